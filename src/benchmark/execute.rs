//! A prepared run, run: models in turn, videos in turn, rows into the run folder.

use super::events::{Events, ModelReady, VideoBegan};
use super::overlays::VideoOverlays;
use super::{Prepared, PreparedModel, Spec, rate};
use crate::clip::{Session, Settings, run_clip};
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Split, Video};
use crate::error::{Context, Result};
use crate::machine::{GpuChoice, SystemRoot, Telemetry, TelemetryOptions};
use crate::media::video::Ffmpeg;
use crate::overlay::Overlays;
use crate::record::{ModelRate, ObjectKey, ObjectRow, RunFolder, RunState, Status, Summary};
use crate::spec::{ObjectMode, Pinned};
use crate::track::ModelPrompt;
use crate::track::layout::Demand;
use masklet_engines::backend::Backend;
use masklet_engines::bundle::Bundle;
use masklet_engines::device::DeviceKind;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A benchmark: prompted objects of videos through models, timed and scored.
#[derive(Debug)]
pub struct Benchmark;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The run folder.
    pub folder: PathBuf,
    /// Finished, or interrupted and to be resumed.
    pub state: RunState,
    /// Rows in the journal, those of earlier processes included.
    pub rows: usize,
    /// What the rows say together.
    pub summary: Summary,
}

impl Benchmark {
    /// Prepares and runs `spec`.
    ///
    /// # Errors
    /// What [`Prepared::open`] refuses, and what stopped the run. The journal then holds every
    /// object that was finished before. An object that fails is a failed row, not an error.
    pub fn execute(spec: &Spec, events: &mut dyn Events) -> Result<Outcome> {
        Prepared::open(spec)?.execute(events)
    }
}

impl Prepared {
    /// Runs what was prepared.
    ///
    /// # Errors
    /// What stopped the run, as for [`Benchmark::execute`].
    pub fn execute(self, events: &mut dyn Events) -> Result<Outcome> {
        let (mut run, finished) = self.begin(events)?;
        run.events.began(&self, finished);
        let Self { models, split, .. } = self;
        let ran = models
            .into_iter()
            .try_for_each(|model| run.model(&split, model));
        match ran {
            Ok(()) => run.end(RunState::Finished),
            Err(error) if error.is_interrupted() => run.end(RunState::Interrupted),
            Err(error) => {
                // The first error is what the user must hear of; the journal is safe either way.
                let _ = run.folder.finish(RunState::Interrupted);
                let rows = run.folder.rows();
                Err(error).context(|| {
                    format!(
                        "the run stopped; {rows} finished objects are kept, continue with --resume"
                    )
                })
            }
        }
    }

    /// Makes or continues the run folder and starts the sensors; with the number of rows that are
    /// finished.
    fn begin<'e>(&self, events: &'e mut dyn Events) -> Result<(Run<'e>, usize)> {
        let (parent, name) = self.place()?;
        let opened = RunFolder::create(&parent, &name, &self.manifest(), self.spec.free.opening)?;
        for warning in opened.warnings.iter().chain(&self.warnings) {
            events.warning(warning);
        }
        let mut folder = opened.folder;
        let telemetry = self
            .start_telemetry()
            .context(|| "the telemetry's thread cannot be started")?;
        if let Some(telemetry) = &telemetry {
            folder.record(Arc::clone(telemetry))?;
        }
        let run = Run {
            pinned: self.spec.pinned.clone(),
            folder,
            stop: events.stop(),
            events,
            demand: self.demand,
            root: self.root(),
            ffmpeg: self.ffmpeg.clone(),
            telemetry,
            rates: opened.rates,
        };
        Ok((run, opened.finished.len()))
    }

    /// Starts sampling; a discrete GPU is watched when the run is on it.
    fn start_telemetry(&self) -> std::io::Result<Option<Arc<Telemetry>>> {
        let free = &self.spec.free;
        if free.telemetry_hz == 0 {
            return Ok(None);
        }
        let gpu = (self.pair.device == DeviceKind::Cuda).then(|| GpuChoice {
            ordinal: free.device,
            pci: masklet_engines::cuda::pci_address(free.device),
        });
        let telemetry = Telemetry::start(&TelemetryOptions {
            hz: free.telemetry_hz,
            root: self.root(),
            gpu,
        })?;
        Ok(Some(Arc::new(telemetry)))
    }
}

/// A run in progress.
pub(super) struct Run<'e> {
    pub pinned: Pinned,
    pub folder: RunFolder,
    pub events: &'e mut dyn Events,
    demand: Demand,
    root: SystemRoot,
    ffmpeg: Option<Ffmpeg>,
    telemetry: Option<Arc<Telemetry>>,
    /// Searches that an earlier process finished.
    rates: Vec<ModelRate>,
    stop: Arc<AtomicBool>,
}

/// A tag's pass over a video.
struct Pass<'a> {
    tag: &'a str,
    prompt: PromptKind,
    video: &'a Video,
}

impl Run<'_> {
    fn end(&mut self, state: RunState) -> Result<Outcome> {
        Ok(Outcome {
            summary: self.folder.finish(state)?,
            state,
            rows: self.folder.rows(),
            folder: self.folder.path().to_owned(),
        })
    }

    /// All tags of one model: what of their passes is not finished, then the searches for a rate.
    fn model(&mut self, split: &Split, model: PreparedModel) -> Result<()> {
        let pending = self.pending(split, &model.tags);
        let searches: Vec<&(String, PromptKind)> = model
            .tags
            .iter()
            .filter(|(tag, _)| self.pinned.find_rate.is_some() && !self.is_searched(tag))
            .collect();
        let prompts = pending.iter().map(|pass| pass.prompt);
        let mut kinds: Vec<PromptKind> = Vec::new();
        for kind in prompts.chain(searches.iter().map(|(_, kind)| *kind)) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let first = pending.first().map(|pass| pass.video);
        let Some(first) = first.or(split.videos.first()) else {
            return Ok(());
        };
        if kinds.is_empty() {
            return Ok(());
        }
        let (mut session, overlays) =
            self.open(model.bundle, model.backend, &kinds, first, pending.len())?;
        for pass in &pending {
            self.video(&mut session, overlays.as_ref(), pass)?;
        }
        for (tag, prompt) in searches {
            rate::search(self, &mut session, split, tag, *prompt)?;
        }
        self.note(&session);
        Ok(())
    }

    fn is_searched(&self, tag: &str) -> bool {
        self.rates.iter().any(|rate| rate.model == *tag)
    }

    /// Passes over videos with an object that is not finished.
    fn pending<'a>(&self, split: &'a Split, tags: &'a [(String, PromptKind)]) -> Vec<Pass<'a>> {
        let passes = tags.iter().flat_map(|(tag, prompt)| {
            split.videos.iter().map(move |video| Pass {
                tag,
                prompt: *prompt,
                video,
            })
        });
        let open = |pass: &Pass<'_>| {
            let mut objects = pass.video.objects.iter();
            objects.any(|object| !self.folder.is_done(&key(pass.video, object, pass.tag)))
        };
        passes.filter(open).collect()
    }

    /// Loads and warms up a model.
    fn open(
        &mut self,
        bundle: Bundle,
        backend: Backend,
        kinds: &[PromptKind],
        video: &Video,
        passes: usize,
    ) -> Result<(Session, Option<Overlays>)> {
        let drawn = self.folder.overlays_dir();
        let settings = Settings {
            run: self.pinned.clone(),
            scores: true,
            masks_dir: self.folder.masks_dir(),
            other_masks_dir: self
                .ffmpeg
                .as_ref()
                .map(|_| Overlays::other_masks_dir(&drawn)),
            root: self.root.clone(),
            telemetry: self.telemetry.clone(),
        };
        let overlays = self
            .ffmpeg
            .as_ref()
            .map(|ffmpeg| Overlays::new(ffmpeg.clone(), &drawn, &settings, Arc::clone(&self.stop)));
        let prompts: Vec<ModelPrompt> = kinds
            .iter()
            .map(|kind| warm_up_prompt(&bundle, *kind))
            .collect();
        let stop = Arc::clone(&self.stop);
        let started = Instant::now();
        let mut session = Session::open(bundle, backend, self.demand, settings, stop)?;
        let loaded = started.elapsed();
        let warmed = session.warm_up(&prompts, video.size())?;
        self.events.model_ready(&ModelReady {
            name: &session.bundle.manifest().name,
            loaded,
            warmed,
            rounds: self.pinned.warmup,
            videos: passes,
        });
        Ok((session, overlays))
    }

    fn video(
        &mut self,
        session: &mut Session,
        overlays: Option<&Overlays>,
        pass: &Pass<'_>,
    ) -> Result<()> {
        let Pass { tag, prompt, video } = *pass;
        let mut overlays = VideoOverlays::new(overlays, video, tag, prompt);
        let all: Vec<&ObjectTrack> = video.objects.iter().collect();
        let passes = match self.pinned.objects {
            ObjectMode::Lockstep => 1,
            ObjectMode::Isolated => all.len(),
        };
        self.events.video_began(&VideoBegan {
            tag,
            video: &video.id,
            frames: video.frame_count() * passes,
            objects: all.len(),
        });
        let is_done = |object: &&ObjectTrack| self.folder.is_done(&key(video, object, tag));
        let clips: Vec<&[&ObjectTrack]> = match self.pinned.objects {
            // A video whose journal was cut is run again as a whole, so that its masks and shared
            // clocks are those of an uninterrupted run; rows that are there stay as they are.
            ObjectMode::Lockstep => vec![all.as_slice()],
            ObjectMode::Isolated => all
                .chunks(1)
                .filter(|one| !one.iter().all(is_done))
                .collect(),
        };
        let last = clips.len().saturating_sub(1);
        for (number, objects) in clips.into_iter().enumerate() {
            let events = &mut *self.events;
            let mut rows = run_clip(session, video, objects, prompt, tag, &mut || {
                events.frame_done();
            })?;
            overlays.note(&rows);
            rows.retain(|row| !self.folder.is_done(&row.key));
            // Drawn before the rows are entered: the journal names no file that is not there.
            overlays.draw(&mut rows, self.events);
            if number == last {
                overlays.finish(self.events);
            }
            self.folder.append(&rows)?;
            self.tell(&rows);
        }
        self.events.video_done();
        Ok(())
    }

    fn tell(&mut self, rows: &[ObjectRow]) {
        for row in rows {
            match (&row.status, &row.warning) {
                (Status::Failed { reason }, _) => {
                    self.events
                        .warning(&format!("{} failed: {reason}", row.key));
                }
                (Status::Ok, Some(warning)) => {
                    self.events.warning(&format!("{}: {warning}", row.key));
                }
                (Status::Ok, None) => {}
            }
        }
        self.events.objects_done(rows);
    }

    /// Notes what is known only once a model has run.
    fn note(&mut self, session: &Session) {
        let name = &session.bundle.manifest().name;
        if let Some(strategy) = session.backend.device().slab_strategy() {
            self.folder
                .note(&format!("arena-block-taken.{name}"), json!(strategy));
        }
        if let Some(version) = session.jpeg_version() {
            self.folder
                .note(&format!("nvjpeg-version.{name}"), json!(version));
        }
        if let Some(frames) = session.backend.device().frames() {
            let option = format!("frame-staging-measured.{name}");
            self.folder.note(&option, json!(frames.ways()));
        }
    }
}

fn key(video: &Video, object: &ObjectTrack, tag: &str) -> ObjectKey {
    ObjectKey {
        video: video.id.clone(),
        object: object.id.clone(),
        model: tag.to_owned(),
    }
}

/// A prompt of the kind that the run begins with, in the middle of the image.
fn warm_up_prompt(bundle: &Bundle, kind: PromptKind) -> ModelPrompt {
    let side = bundle.manifest().image_size;
    let middle = side as f32 / 2.0;
    match kind {
        PromptKind::Mask => ModelPrompt::Mask(vec![1.0; side * side]),
        PromptKind::Bbox => ModelPrompt::Points {
            points: vec![[middle / 2.0; 2], [middle; 2]],
            labels: vec![2, 3],
        },
        PromptKind::Points | PromptKind::PointsInterior => ModelPrompt::Points {
            points: vec![[middle; 2]],
            labels: vec![1],
        },
    }
}
