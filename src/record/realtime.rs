//! How well a model kept up with frames that came at a rate, over all of its rows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ObjectRow, RealtimeMarks};
use crate::figures::stats::{LatencySummary, Samples, tail_samples_needed};

/// Frames that came at a rate, each counted once however many objects were on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RealtimeSummary {
    /// Rates that occur, in frames per second, ascending.
    pub fps: Vec<f64>,
    /// Frames that were due.
    pub due_frames: usize,
    /// Frames whose result was not there when the next one was due.
    pub late_frames: usize,
    /// Their share of the due ones, 0 to 1.
    pub late_share: f64,
    /// Frames that a newer one superseded before their turn came.
    pub dropped_frames: usize,
    /// Their share of the due ones, 0 to 1.
    pub dropped_share: f64,
    /// Milliseconds from when a frame was due to its result, of the frames that were processed.
    pub latency_ms: Option<LatencySummary>,
}

impl RealtimeSummary {
    /// Late and dropped frames as a share of the due ones, 0 to 1.
    pub fn missed_share(&self) -> f64 {
        self.late_share + self.dropped_share
    }
}

/// One frame: its latency, `None` when it was dropped, and the time it had.
type Fate = (Option<f64>, f64);

/// Pools groups of rows that advanced together; `None` where no frame was fed at a rate.
pub(super) fn realtime_summary<'a>(
    groups: impl Iterator<Item = &'a [&'a ObjectRow]>,
) -> Option<RealtimeSummary> {
    let mut fps: Vec<f64> = Vec::new();
    let (mut due, mut late, mut dropped) = (0, 0, 0);
    let mut latencies = Samples::default();
    for rows in groups {
        let mut frames: BTreeMap<usize, Fate> = BTreeMap::new();
        for row in rows {
            let Some(marks) = &row.realtime else { continue };
            if !fps.contains(&marks.fps) {
                fps.push(marks.fps);
            }
            for (frame, latency) in fates(marks) {
                let fate = (latency, 1000.0 / marks.fps);
                frames.insert(row.prompt_frame.saturating_add(frame), fate);
            }
        }
        due += frames.len();
        for (latency, period) in frames.into_values() {
            match latency {
                None => dropped += 1,
                Some(ms) => {
                    late += usize::from(ms > period);
                    latencies.push(ms);
                }
            }
        }
    }
    fps.sort_by(f64::total_cmp);
    let share = |frames: usize| frames as f64 / due as f64;
    (due > 0).then(|| RealtimeSummary {
        fps,
        due_frames: due,
        late_frames: late,
        late_share: share(late),
        dropped_frames: dropped,
        dropped_share: share(dropped),
        latency_ms: latencies.summary(),
    })
}

/// Every due frame, counted from the prompt frame, with its latency; `None` for dropped ones.
fn fates(marks: &RealtimeMarks) -> impl Iterator<Item = (usize, Option<f64>)> {
    let mut processed = marks.processed.iter().zip(&marks.latency_ms).peekable();
    (0..marks.due_frames).map(move |frame| {
        let here = processed.next_if(|(at, _)| **at == frame);
        (frame, here.map(|(_, ms)| *ms))
    })
}

/// How many more frames are needed before "at most 1 % missed" can be said with 99 % confidence;
/// 0 where there are enough.
pub fn frames_still_needed(frames: usize) -> usize {
    tail_samples_needed(99.0).map_or(0, |needed| needed.saturating_sub(frames))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples;

    fn marked(object: &str, prompt: usize, marks: RealtimeMarks) -> ObjectRow {
        let mut row = samples::row("v", object, "m");
        row.prompt_frame = prompt;
        row.realtime = Some(marks);
        row
    }

    #[test]
    fn a_frame_counts_once_however_many_objects_were_on_it() {
        // Frames 4 to 9 at 10 fps: 5 and 8 were dropped, 6 was late. The second object joined at 7.
        let first = RealtimeMarks::new(10.0, 6, [(0, 50.0), (2, 120.0), (3, 60.0), (5, 70.0)]);
        let second = RealtimeMarks::new(10.0, 3, [(0, 60.0), (2, 70.0)]);
        assert_eq!((first.dropped_frames, first.late_frames), (2, 1));
        let rows = [marked("1", 4, first), marked("2", 7, second)];
        let group: Vec<&ObjectRow> = rows.iter().collect();
        let all = realtime_summary([group.as_slice()].into_iter()).unwrap();
        assert_eq!(
            (all.due_frames, all.dropped_frames, all.late_frames),
            (6, 2, 1)
        );
        let latency = all.latency_ms.as_ref().unwrap();
        assert_eq!(
            (latency.n, latency.p50_ms, latency.max_ms),
            (4, 60.0, 120.0)
        );
        assert!((all.missed_share() - 0.5).abs() < 1e-12);
        // In separate groups (objects one by one) every pass counts.
        let groups: Vec<Vec<&ObjectRow>> = rows.iter().map(|row| vec![row]).collect();
        let apart = realtime_summary(groups.iter().map(Vec::as_slice)).unwrap();
        assert_eq!((apart.due_frames, apart.dropped_frames), (9, 3));
    }

    #[test]
    fn without_a_rate_there_is_nothing_to_say() {
        let row = samples::row("v", "1", "m");
        assert_eq!(realtime_summary([[&row].as_slice()].into_iter()), None);
        assert_eq!(
            (frames_still_needed(600), frames_still_needed(700)),
            (62, 0)
        );
    }
}
