//! Raw durations per frame and stage of one clip, and the resident set after each frame, cut out per
//! object afterwards.

use crate::record::{Stage, StageSamples, Timing};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Frames after the prompt in which the object pointers are still filling: not steady state.
pub const BANK_FILL_FRAMES: usize = 16;

/// Durations of one frame; `None` for a stage that did not run in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameTimes {
    /// Index in the video.
    index: usize,
    durations: [Option<Duration>; Stage::ALL.len()],
    began: Option<Instant>,
}

impl FrameTimes {
    /// Adds to a stage's duration.
    pub fn add(&mut self, stage: Stage, duration: Duration) {
        let slot = &mut self.durations[stage as usize];
        *slot = Some(slot.unwrap_or_default() + duration);
    }

    /// Durations of the frame with this index.
    pub fn of(index: usize) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }

    /// Notes when the frame's wall clock began.
    pub fn began(&mut self, at: Instant) {
        self.began = Some(at);
    }

    fn get(&self, stage: Stage) -> Option<Duration> {
        self.durations[stage as usize]
    }
}

/// Durations of the frames of a clip that were processed, in order.
#[derive(Clone, Debug, Default)]
pub struct ClipClock {
    frames: Vec<FrameTimes>,
    /// Resident set after each frame in bytes, as long as it could be read.
    rss_bytes: Vec<u64>,
}

impl ClipClock {
    /// A clock for the frames from `first` to before `end`.
    pub fn new(first: usize, end: usize) -> Self {
        Self {
            frames: Vec::with_capacity(end.saturating_sub(first)),
            rss_bytes: Vec::with_capacity(end.saturating_sub(first)),
        }
    }

    /// Records the resident set after the frame that was pushed last.
    pub fn push_rss(&mut self, bytes: Option<u64>) {
        // A gap would move later samples to other frames.
        if let Some(bytes) = bytes.filter(|_| self.rss_bytes.len() + 1 == self.frames.len()) {
            self.rss_bytes.push(bytes);
        }
    }

    /// The resident set after each frame of an object, from its prompt frame on.
    pub fn rss_of_object(&self, prompt: usize, end: usize) -> Vec<u64> {
        let samples = self.frames.iter().zip(&self.rss_bytes);
        let own = samples.filter(|(times, _)| (prompt..end).contains(&times.index));
        own.map(|(_, bytes)| *bytes).collect()
    }

    /// Records the next frame.
    pub fn push(&mut self, times: FrameTimes) {
        self.frames.push(times);
    }

    /// How many of the frames from `prompt` to before `end` were processed.
    pub fn processed(&self, prompt: usize, end: usize) -> usize {
        let own = |times: &&FrameTimes| (prompt..end).contains(&times.index);
        self.frames.iter().filter(own).count()
    }

    /// Every frame's index, begin and wall time.
    pub fn walls(&self) -> impl Iterator<Item = (usize, Instant, Duration)> {
        self.frames.iter().filter_map(|times| {
            let wall = times.get(Stage::EndToEnd)?;
            Some((times.index, times.began?, wall))
        })
    }

    /// The durations of an object that was prompted at `prompt` and processed up to before `end`.
    /// `shared` says whether other objects advanced with it.
    pub fn of_object(&self, prompt: usize, end: usize, shared: bool, setup: Duration) -> Timing {
        let own: Vec<(usize, &FrameTimes)> = self
            .frames
            .iter()
            .map(|times| (times.index, times))
            .filter(|(frame, _)| (prompt..end).contains(frame))
            .collect();
        let mut stages = BTreeMap::new();
        for stage in Stage::ALL {
            // Prompting is an event of the object's own first frame; tracking begins after it,
            // even where another object was already being tracked in that frame.
            let wanted = match stage {
                Stage::Prompt => prompt..prompt + 1,
                Stage::Track => prompt + 1..end,
                _ => prompt..end,
            };
            let ms: Vec<f64> = own
                .iter()
                .filter(|(frame, _)| wanted.contains(frame))
                .filter_map(|(_, times)| times.get(stage))
                .map(|d| d.as_secs_f64() * 1e3)
                .collect();
            if !ms.is_empty() {
                let first = wanted.start - prompt;
                stages.insert(stage, StageSamples::new(shared, first, ms));
            }
        }
        Timing {
            setup_ms: setup.as_secs_f64() * 1e3,
            warmup_frames: 0,
            bank_fill_frames: BANK_FILL_FRAMES.min(own.len()),
            stages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_gets_its_own_frames_of_each_stage() {
        let mut clock = ClipClock::new(10, 14);
        for frame in 10..14u64 {
            let mut times = FrameTimes::of(frame as usize);
            times.add(Stage::Encode, Duration::from_millis(frame));
            if frame > 10 {
                times.add(Stage::Track, Duration::from_millis(100 + frame));
            }
            if frame == 10 || frame == 12 {
                times.add(Stage::Prompt, Duration::from_millis(200 + frame));
            }
            clock.push(times);
        }
        let late = clock.of_object(12, 14, true, Duration::from_millis(5));
        assert_eq!(late.stages[&Stage::Encode].ms, [12.0, 13.0]);
        assert_eq!(late.stages[&Stage::Prompt].ms, [212.0]);
        let track = &late.stages[&Stage::Track];
        assert_eq!((track.first, track.ms.as_slice()), (1, [113.0].as_slice()));
        assert!(track.shared && !late.stages.contains_key(&Stage::Copy));
        assert_eq!((late.setup_ms, late.bank_fill_frames), (5.0, 2));
    }
}
