//! What lives as long as a run of one model: backend, slab, layout, settings.

use super::PipelineError;
use crate::telemetry::{MemorySampler, SystemRoot};
use crate::track::layout::Demand;
use crate::track::{ModelPrompt, ObjectTask, TrackerLayout, VideoTracker};
use masklet_engines::backend::Backend;
use masklet_engines::bundle::Bundle;
use masklet_engines::memory::{Arena, HighWater, Plan, RegionKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How the objects of a video go through the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ObjectMode {
    /// All together, frame by frame; the image encoder runs once per frame.
    Lockstep,
    /// One after the other over the whole video, as the Python benchmark does.
    Isolated,
}

/// Which predicted masks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SaveMasks {
    /// None.
    None,
    /// Those of annotated frames: what an evaluator needs.
    Annotated,
    /// Those of every processed frame.
    All,
}

/// Choices of a run that the pipeline needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Together or one by one.
    pub objects: ObjectMode,
    /// Most frames of an object, counted from its prompt; `None` for the whole video.
    pub max_clip_frames: Option<usize>,
    /// Decoder threads.
    pub decode_threads: usize,
    /// Rounds of every component before the first frame that counts.
    pub warmup: usize,
    /// Largest hole that is filled, in pixels of the low-resolution mask; 0 for none.
    pub fill_holes: usize,
    /// Which masks are written.
    pub save_masks: SaveMasks,
    /// Folder below which masks go: `<masks>/<tag>/<video>/<object>/<frame>.png`.
    pub masks_dir: PathBuf,
}

/// A loaded model with its memory, ready for videos.
pub struct Session {
    /// The bundle.
    pub bundle: Bundle,
    /// What runs it.
    pub backend: Box<dyn Backend>,
    /// Where its tensors lie.
    pub layout: TrackerLayout,
    /// The plan the slab was sized by.
    pub plan: Plan,
    /// The run's choices.
    pub settings: Settings,
    /// Watches the process's memory.
    pub sampler: MemorySampler,
    /// Set when the run should stop after the current frame.
    pub stop: Arc<AtomicBool>,
    /// Marks over everything that ran.
    pub high_water: HighWater,
    arena: Option<Arena>,
}

impl Session {
    /// Takes the slab and warms up.
    ///
    /// # Errors
    /// When the slab cannot be had or a component fails.
    pub fn open(
        bundle: Bundle,
        backend: Box<dyn Backend>,
        demand: Demand,
        settings: Settings,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, PipelineError> {
        let layout = TrackerLayout::new(bundle.manifest(), demand);
        let plan = layout.plan(Some(backend.as_ref()));
        let arena = Arena::new(backend.slab(plan.bytes())?);
        let sampler = MemorySampler::start(SystemRoot::real(), 10).map_err(|source| {
            PipelineError::CreateFolder {
                path: "the memory sampler's thread".to_owned(),
                source,
            }
        })?;
        Ok(Self {
            bundle,
            backend,
            layout,
            plan,
            settings,
            sampler,
            stop,
            high_water: HighWater::default(),
            arena: Some(arena),
        })
    }

    /// Whether the run was asked to stop.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Lends the arena out; [`Self::give_back`] returns it. `None` while it is lent.
    pub(super) fn take_arena(&mut self) -> Option<Arena> {
        self.arena.take()
    }

    pub(super) fn give_back(&mut self, arena: Arena) {
        let marks = arena.high_water();
        let all = &mut self.high_water;
        all.process = all.process.max(marks.process);
        all.video = all.video.max(marks.video);
        all.object_batch = all.object_batch.max(marks.object_batch);
        all.frame = all.frame.max(marks.frame);
        all.total = all.total.max(marks.total);
        self.arena = Some(arena);
    }

    /// Runs every component that `prompt` needs `warmup` times on a grey image; returns the time.
    ///
    /// # Errors
    /// When a component fails.
    pub fn warm_up(&mut self, prompt: ModelPrompt) -> Result<Duration, PipelineError> {
        let started = Instant::now();
        let rounds = self.settings.warmup;
        let Some(mut arena) = self.take_arena() else {
            return Ok(Duration::ZERO);
        };
        let result = warm_up(self, &mut arena, prompt, rounds);
        self.give_back(arena);
        result.map(|()| started.elapsed())
    }
}

fn warm_up(
    session: &Session,
    arena: &mut Arena,
    prompt: ModelPrompt,
    rounds: usize,
) -> Result<(), PipelineError> {
    let process = arena.root(RegionKind::Process);
    let video = process.enter(RegionKind::Video)?;
    let mut features = session.layout.features.iter().map(|row| video.alloc(row));
    let mut feature = || features.next().transpose();
    let (Some(feat), Some(feat_s0), Some(feat_s1)) = (feature()?, feature()?, feature()?) else {
        return Ok(());
    };
    let objects = video.enter(RegionKind::ObjectBatch)?;
    let task = ObjectTask {
        frame: 0,
        end: rounds + 1,
        prompt,
    };
    let mut tracker = VideoTracker::new(
        session.backend.as_ref(),
        session.bundle.manifest(),
        &session.layout,
        [feat, feat_s0, feat_s1],
        &objects,
        vec![task],
        rounds + 1,
    )?;
    for index in 0..=rounds {
        if rounds == 0 {
            break;
        }
        let frame = objects.enter(RegionKind::Frame)?;
        tracker.encode(&frame, |image| image.fill(0.0))?;
        tracker.step(&frame, index, &mut |_, _, _| {})?;
    }
    Ok(())
}
