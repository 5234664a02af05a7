//! The wall clock of a clip whose frames come at a rate: [`Pacer`] against real time.
//!
//! The clock begins when the first frame is decoded, as a camera's does, and stands still while
//! masks are scored and written, as all clocks here do.

use super::pacer::{Pacer, Turn};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Longest sleep at a time, so that a run can be stopped while it waits.
const NAP: Duration = Duration::from_millis(50);

/// A clip's frames as they come.
pub(super) struct Live {
    pacer: Pacer,
    zero: Instant,
    /// Time that the clock has stood still.
    stopped: Duration,
    /// Processed frames and their latencies.
    processed: Vec<(usize, Duration)>,
}

impl Live {
    /// The first frame is due now.
    pub fn begin(pacer: Pacer) -> Self {
        Self {
            pacer,
            zero: Instant::now(),
            stopped: Duration::ZERO,
            processed: Vec::new(),
        }
    }

    fn now(&self) -> Duration {
        self.zero.elapsed().saturating_sub(self.stopped)
    }

    /// Waits for the next frame to process: its index, and the frames before it that are dropped.
    /// `None` when there is none any more, or when `stopping`.
    pub fn next(&mut self, stopping: impl Fn() -> bool) -> Option<(usize, Range<usize>)> {
        loop {
            match self.pacer.turn(self.now()) {
                Turn::Over => return None,
                Turn::Take { frame, dropped } => return Some((frame, dropped)),
                Turn::Wait(_) if stopping() => return None,
                Turn::Wait(wait) => std::thread::sleep(wait.min(NAP)),
            }
        }
    }

    /// The frame's result is there.
    pub fn finished(&mut self, frame: usize) {
        let latency = self.now().saturating_sub(self.pacer.due(frame));
        self.processed.push((frame, latency));
    }

    /// Does something while the clock stands still.
    pub fn stand_still<T>(&mut self, off_the_clock: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = off_the_clock();
        self.stopped += began.elapsed();
        result
    }

    /// Every processed frame, with the time from when it was due to its result.
    pub fn into_processed(self) -> Vec<(usize, Duration)> {
        self.processed
    }
}
