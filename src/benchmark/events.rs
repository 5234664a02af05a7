//! What a run tells while it goes on.

use super::Prepared;
use crate::record::{ObjectRow, RateTrial};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Whoever wants to hear of a run. Every method does nothing unless it is implemented; `()` hears
/// nothing.
pub trait Events {
    /// A flag that ends the run after the current frame once it is set.
    fn stop(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    /// Something that the user should know, in a sentence; the run goes on.
    fn warning(&mut self, text: &str) {
        let _ = text;
    }

    /// The run folder is there. `finished` rows are from an earlier process.
    fn began(&mut self, run: &Prepared, finished: usize) {
        let _ = (run, finished);
    }

    /// A model is loaded and warm.
    fn model_ready(&mut self, model: &ModelReady<'_>) {
        let _ = model;
    }

    /// A video begins.
    fn video_began(&mut self, video: &VideoBegan<'_>) {
        let _ = video;
    }

    /// A frame of it is through, for all objects that advance together.
    fn frame_done(&mut self) {}

    /// Its masks are being drawn.
    fn drawing(&mut self) {}

    /// Objects of it are finished, and in the journal.
    fn objects_done(&mut self, rows: &[ObjectRow]) {
        let _ = rows;
    }

    /// It is through.
    fn video_done(&mut self) {}

    /// The search for the highest rate of a model tag has made its trial number `round`, from 1.
    fn trial_done(&mut self, tag: &str, round: usize, trial: &RateTrial) {
        let _ = (tag, round, trial);
    }
}

impl Events for () {}

/// A model that is ready.
#[derive(Clone, Copy, Debug)]
pub struct ModelReady<'a> {
    /// Its bundle's name.
    pub name: &'a str,
    /// Time to open its backend.
    pub loaded: Duration,
    /// Time of its warm-up.
    pub warmed: Duration,
    /// Rounds of warm-up.
    pub rounds: usize,
    /// Passes over videos that it has before it.
    pub videos: usize,
}

/// A video that begins.
#[derive(Clone, Copy, Debug)]
pub struct VideoBegan<'a> {
    /// Model tag.
    pub tag: &'a str,
    /// Video.
    pub video: &'a str,
    /// Frames, over all passes.
    pub frames: usize,
    /// Objects.
    pub objects: usize,
}
