//! The raw durations behind the summary, for those who draw them: frame by frame in the order of
//! the run, and pooled per stage as the summary pools them.

use std::collections::{BTreeMap, HashMap};

use super::frames::{Phase, counted};
use super::summary::{Group, groups, pooled_samples, wall_ms};
use super::{ObjectKey, ObjectRow};
use crate::figures::stats::Samples;

/// Frames of objects that advanced together: a video in lockstep, one object where objects ran
/// alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipTimes {
    /// Model tag.
    pub model: String,
    /// Video.
    pub video: String,
    /// Objects on it.
    pub objects: Vec<String>,
    /// Times that the run had been resumed then.
    pub session: u32,
    /// Its frames that have a wall clock, in time order.
    pub frames: Vec<FrameTime>,
}

/// Wall clock of one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameTime {
    /// Frame index in the video.
    pub frame: usize,
    /// Whether no statistic counts it.
    pub warm_up: bool,
    /// Milliseconds from asking for the frame to its masks.
    pub end_to_end_ms: f64,
}

impl ClipTimes {
    /// The frames that statistics count.
    pub fn counted(&self) -> impl Iterator<Item = &FrameTime> {
        self.frames.iter().filter(|frame| !frame.warm_up)
    }
}

/// Wall clock of every frame of every clip, in the order in which the clips were finished. Rows
/// that failed have none.
pub fn clip_times(rows: &[ObjectRow]) -> Vec<ClipTimes> {
    let place: HashMap<&ObjectKey, usize> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| (&row.key, at))
        .collect();
    let sorted: Vec<&ObjectRow> = rows.iter().collect();
    let mut clips: Vec<(Option<usize>, ClipTimes)> = groups(&sorted)
        .into_iter()
        .map(|(key, group)| {
            let first = group.rows.iter().filter_map(|row| place.get(&row.key));
            let times = group.frames.0.iter().filter_map(|(index, frame)| {
                Some(FrameTime {
                    frame: *index,
                    warm_up: !counted(frame.phase),
                    end_to_end_ms: wall_ms(frame)?,
                })
            });
            let clip = ClipTimes {
                model: key.model.to_owned(),
                video: key.video.to_owned(),
                objects: group.rows.iter().map(|r| r.key.object.clone()).collect(),
                session: key.session,
                frames: times.collect(),
            };
            (first.min().copied(), clip)
        })
        .collect();
    clips.sort_by_key(|(first, _)| *first);
    clips.into_iter().map(|(_, clip)| clip).collect()
}

/// All durations of a model tag after warm-up by stage name, pooled as those of
/// [`super::Latencies::counted`].
pub fn stage_samples(rows: &[ObjectRow], model: &str) -> BTreeMap<String, Samples> {
    let of_model: Vec<&ObjectRow> = rows.iter().filter(|row| row.key.model == model).collect();
    let groups = groups(&of_model);
    let groups: Vec<&Group<'_>> = groups.values().collect();
    let mut samples = pooled_samples(&groups, |phase| phase != Phase::WarmUp);
    samples.retain(|_, samples| !samples.is_empty());
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{samples, summarise};

    #[test]
    fn series_hold_what_the_summary_counts() {
        let mut rows = vec![
            samples::row("b", "1", "m_points"),
            samples::row("a", "1", "m_points"),
            samples::row("a", "2", "m_points"),
        ];
        for row in &mut rows[1..] {
            row.lockstep_objects = 2;
        }
        let clips = clip_times(&rows);
        let order: Vec<&str> = clips.iter().map(|clip| clip.video.as_str()).collect();
        assert_eq!(order, ["b", "a"], "the order of the run, not of names");
        assert_eq!(clips[1].objects, ["1", "2"]);
        let summary = summarise(&rows);
        let counted = &summary.models[0].latency_ms.counted;
        let frames: usize = clips.iter().map(|clip| clip.counted().count()).sum();
        assert_eq!(frames, counted["end_to_end"].n);
        assert_eq!(frames, summary.models[0].speed.frames);
        let pooled = stage_samples(&rows, "m_points");
        assert_eq!(pooled.len(), counted.len());
        for (name, samples) in pooled {
            assert_eq!(samples.summary().as_ref(), counted.get(&name), "{name}");
        }
        assert!(stage_samples(&rows, "other").is_empty());
    }
}
