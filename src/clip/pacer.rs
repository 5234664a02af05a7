//! A live camera with room for one frame, without a clock of its own.
//!
//! Frame i of a clip is due i periods after the first. Who asks for a turn says what time it is and
//! gets the newest frame that is due; older ones are dropped. So the same code paces a run against
//! the wall clock and is tested, and searched with, against made-up times.

use std::ops::Range;
use std::time::Duration;

/// Decides which frame is processed next.
#[derive(Clone, Debug)]
pub struct Pacer {
    fps: f64,
    first: usize,
    end: usize,
    next: usize,
    /// Frames that are never dropped, ascending.
    pinned: Vec<usize>,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is due; wait so long.
    Wait(Duration),
    /// Process `frame`; those in `dropped`, just before it, are lost.
    Take {
        /// Frame index.
        frame: usize,
        /// Frame indices.
        dropped: Range<usize>,
    },
    /// Every frame had its turn.
    Over,
}

impl Pacer {
    /// Paces the frames of `frames` at `fps` frames per second (above 0). `pinned` are frames that
    /// are processed however late it is: those that objects are prompted on.
    pub fn new(fps: f64, frames: Range<usize>, pinned: impl IntoIterator<Item = usize>) -> Self {
        let mut pinned: Vec<usize> = pinned.into_iter().collect();
        pinned.sort_unstable();
        Self {
            fps,
            first: frames.start,
            end: frames.end,
            next: frames.start,
            pinned,
        }
    }

    /// When a frame is due, counted from when the first one is.
    pub fn due(&self, frame: usize) -> Duration {
        seconds(frame.saturating_sub(self.first) as f64 / self.fps)
    }

    /// The time between two frames; a result that takes longer than this from when its frame was
    /// due is late.
    pub fn period(&self) -> Duration {
        seconds(1.0 / self.fps)
    }

    /// What to do at the time `now`, counted from when the first frame is due.
    pub fn turn(&mut self, now: Duration) -> Turn {
        let from = self.next;
        if from >= self.end {
            return Turn::Over;
        }
        if let Some(wait) = self
            .due(from)
            .checked_sub(now)
            .filter(|wait| !wait.is_zero())
        {
            return Turn::Wait(wait);
        }
        let newest = self.newest(now).max(from);
        let pinned = self.pinned.iter().find(|p| (from..=newest).contains(*p));
        let frame = pinned.copied().unwrap_or(newest);
        self.next = frame + 1;
        Turn::Take {
            frame,
            dropped: from..frame,
        }
    }

    /// The newest frame that is due.
    fn newest(&self, now: Duration) -> usize {
        let last = self.end.saturating_sub(1);
        let periods = (now.as_secs_f64() * self.fps) as usize;
        let mut newest = self.first.saturating_add(periods).min(last);
        // The product may be a rounding error off.
        while newest < last && self.due(newest + 1) <= now {
            newest += 1;
        }
        while newest > self.first && self.due(newest) > now {
            newest -= 1;
        }
        newest
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Runs a pacer against a made-up server that needs `service` for a frame: every processed frame
/// with its latency from when it was due, in order.
pub fn simulate(
    mut pacer: Pacer,
    mut service: impl FnMut(usize) -> Duration,
) -> Vec<(usize, Duration)> {
    let mut now = Duration::ZERO;
    let mut processed = Vec::new();
    loop {
        match pacer.turn(now) {
            Turn::Wait(wait) => now += wait,
            Turn::Take { frame, .. } => {
                now += service(frame);
                processed.push((frame, now.saturating_sub(pacer.due(frame))));
            }
            Turn::Over => return processed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RealtimeMarks;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// (processed frames, dropped, late) of `frames` frames at `fps`.
    fn played(
        fps: f64,
        frames: usize,
        pinned: &[usize],
        service: impl FnMut(usize) -> Duration,
    ) -> (Vec<usize>, usize, usize) {
        let pacer = Pacer::new(fps, 0..frames, pinned.iter().copied());
        let processed = simulate(pacer, service);
        let ms = processed
            .iter()
            .map(|(frame, latency)| (*frame, latency.as_secs_f64() * 1e3));
        let marks = RealtimeMarks::new(fps, frames, ms);
        (marks.processed, marks.dropped_frames, marks.late_frames)
    }

    #[test]
    fn who_is_fast_enough_misses_nothing() {
        assert_eq!(
            played(10.0, 5, &[], |_| MS(40)),
            (vec![0, 1, 2, 3, 4], 0, 0)
        );
        // Ready exactly when the next frame is due is in time.
        assert_eq!(played(10.0, 4, &[], |_| MS(100)), (vec![0, 1, 2, 3], 0, 0));
    }

    #[test]
    fn who_needs_two_and_a_half_periods_drops_and_is_always_late() {
        // 0 at 0..250, the newest at 250 is 2, ready at 500; 5 is due then, ready at 750; then 7.
        assert_eq!(played(10.0, 8, &[], |_| MS(250)), (vec![0, 2, 5, 7], 4, 4));
    }

    #[test]
    fn one_hiccup_costs_what_was_due_meanwhile_and_is_over_then() {
        let service = |frame| if frame == 2 { MS(320) } else { MS(50) };
        // 2 is taken at 200 and ready at 520: 3 and 4 are superseded by 5, taken 20 ms after due.
        assert_eq!(
            played(10.0, 8, &[], service),
            (vec![0, 1, 2, 5, 6, 7], 2, 1)
        );
    }

    #[test]
    fn a_little_too_slow_builds_up_lateness_until_a_frame_is_dropped() {
        // 120 ms of 100: late by 20, 40, … of the frame before, so every frame is late.
        let (processed, dropped, late) = played(10.0, 12, &[], |_| MS(120));
        assert_eq!(processed, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
        assert_eq!((dropped, late), (1, 11));
    }

    #[test]
    fn the_last_frame_and_prompted_frames_are_never_dropped() {
        assert_eq!(played(1e6, 1000, &[], |_| MS(100)), (vec![0, 999], 998, 2));
        assert_eq!(
            played(1e6, 1000, &[400, 3], |_| MS(100)),
            (vec![0, 3, 400, 999], 996, 4)
        );
    }

    #[test]
    fn a_clip_that_begins_late_is_due_from_its_own_first_frame() {
        let mut pacer = Pacer::new(4.0, 7..9, []);
        assert_eq!(pacer.period(), MS(250));
        let take = |frame| Turn::Take {
            frame,
            dropped: frame..frame,
        };
        assert_eq!(pacer.turn(MS(0)), take(7));
        assert_eq!(pacer.turn(MS(100)), Turn::Wait(MS(150)));
        assert_eq!(pacer.turn(MS(250)), take(8));
        assert_eq!(pacer.turn(MS(250)), Turn::Over);
    }
}
