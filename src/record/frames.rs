//! Durations laid out by frame: rows of objects that advanced together become one series, in
//! which work done once for all of them counts once.

use std::collections::BTreeMap;

use super::{ObjectRow, Stage, StageSamples};

/// Where a frame stands in a clip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Counted in the statistics, with a full memory bank.
    #[default]
    Steady,
    /// Counted, while the memory bank of an object was still filling.
    BankFill,
    /// Not counted.
    WarmUp,
}

/// All durations of one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frame {
    pub phase: Phase,
    /// Per stage of [`Stage::ALL`]: milliseconds over all objects, `None` where it did not run.
    pub stages: [Option<f64>; Stage::ALL.len()],
    /// Objects that had a duration of their own or a share in one.
    pub objects: usize,
}

/// The frames of one group of rows, by frame index in the video.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frames(pub BTreeMap<usize, Frame>);

impl Frame {
    /// Milliseconds of the stages that a figure counts; `None` where none of them ran.
    pub fn sum(&self, counts: impl Fn(Stage) -> bool) -> Option<f64> {
        Stage::ALL
            .into_iter()
            .zip(self.stages)
            .filter(|(stage, _)| counts(*stage))
            .filter_map(|(_, ms)| ms)
            .reduce(|a, b| a + b)
    }
}

impl Frames {
    /// Lays out rows that advanced together. Rows without durations add nothing.
    pub fn of(rows: &[&ObjectRow]) -> Self {
        let mut frames = Self::default();
        for row in rows {
            let Some(timing) = &row.timing else { continue };
            let phase = |frame: usize| match frame {
                f if f < timing.warmup_frames => Phase::WarmUp,
                f if f < timing.bank_fill_frames => Phase::BankFill,
                _ => Phase::Steady,
            };
            let stages = Stage::ALL.map(|stage| timing.stages.get(&stage));
            // Only frames that have a sample: no row makes the loop longer than its data.
            let indices = |s: &StageSamples| {
                let first = s.first;
                (0..s.ms.len()).map(move |at| first.saturating_add(at))
            };
            let mut present: Vec<usize> = stages.into_iter().flatten().flat_map(indices).collect();
            present.sort_unstable();
            present.dedup();
            for frame in present {
                let sample = |samples: &StageSamples| {
                    let at = frame.checked_sub(samples.first)?;
                    Some((samples.shared, *samples.ms.get(at)?))
                };
                let here = stages.map(|samples| samples.and_then(sample));
                let index = row.prompt_frame.saturating_add(place(row, frame));
                let entry = frames.0.entry(index).or_default();
                entry.phase = entry.phase.max(phase(frame));
                entry.objects += 1;
                for (slot, sample) in entry.stages.iter_mut().zip(here) {
                    *slot = match (*slot, sample) {
                        (known, None) => known,
                        (Some(known), Some((true, _))) => Some(known),
                        (Some(known), Some((false, ms))) => Some(known + ms),
                        (None, Some((_, ms))) => Some(ms),
                    };
                }
            }
        }
        frames
    }

    /// One series in time order over the frames of the wanted phases.
    pub fn series(
        &self,
        wanted: impl Fn(Phase) -> bool,
        value: impl Fn(&Frame) -> Option<f64>,
    ) -> Vec<f64> {
        self.0
            .values()
            .filter(|frame| wanted(frame.phase))
            .filter_map(value)
            .collect()
    }

    /// Frames per second of a series: how many there are over their sum.
    pub fn rate(series: &[f64]) -> Option<f64> {
        let total: f64 = series.iter().sum();
        (total > 0.0).then(|| series.len() as f64 * 1000.0 / total)
    }
}

/// How many frames behind its prompt frame an object's processed frame is: as many as it has
/// predecessors, where none was dropped.
fn place(row: &ObjectRow, processed: usize) -> usize {
    let marks = row.realtime.as_ref();
    let listed = marks.and_then(|marks| marks.processed.get(processed));
    listed.copied().unwrap_or(processed)
}

/// Whether a phase is in the statistics.
pub(super) fn counted(phase: Phase) -> bool {
    phase != Phase::WarmUp
}
