//! From what was asked for to what can begin: split, bundles, backends, memory plans.

use super::data::{check_rate, most_objects, open_split, save_masks};
use super::shard::{fingerprint, keeps, video_cost};
use super::{bundle_record, open_models};
use crate::clip::frame_limits;
use crate::dataset::Split;
use crate::dataset::prompts::PromptKind;
use crate::error::{Error, Result};
use crate::machine::{Environment, SystemMemory, SystemRoot};
use crate::media::video::Ffmpeg;
use crate::overlay::Overlays;
use crate::record::{BackendRecord, RunManifest};
use crate::spec::{Free, JpegBy, ObjectMode, Pinned, SaveMasks, Spec};
use crate::track::TrackerLayout;
use crate::track::layout::Demand;
use masklet_engines::backend::{Backend, Pair};
use masklet_engines::bundle::Bundle;
use masklet_engines::device::DeviceKind;
use masklet_engines::memory::Plan;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A run that can begin: everything is opened, and fits into memory.
pub struct Prepared {
    /// What was asked for, with what was left open decided.
    pub spec: Spec,
    /// The videos.
    pub split: Split,
    /// The models, each with its plan.
    pub models: Vec<PreparedModel>,
    /// What the plans were made for.
    pub demand: Demand,
    /// What runs the models.
    pub backend: Option<BackendRecord>,
    pub(super) pair: Pair,
    pub(super) ffmpeg: Option<Ffmpeg>,
    pub(super) warnings: Vec<String>,
    split_sha256: Option<String>,
}

/// A model of a run.
pub struct PreparedModel {
    /// The bundle.
    pub bundle: Bundle,
    /// Its tags with their prompt kinds.
    pub tags: Vec<(String, PromptKind)>,
    /// The memory that it will take.
    pub plan: Plan,
    pub(super) backend: Backend,
}

impl Prepared {
    /// Reads and opens everything, makes the plans, and refuses what cannot be.
    ///
    /// # Errors
    /// Options that do not go together; data, bundles, devices or memory that are not there.
    pub fn open(spec: &Spec) -> Result<Self> {
        let mut spec = spec.clone();
        let (pinned, free) = (&mut spec.pinned, &mut spec.free);
        let ffmpeg = free.save_overlays.then(Overlays::ffmpeg).transpose()?;
        check_rate_search(pinned)?;
        let masks_wanted = pinned.save_masks;
        pinned.save_masks = Some(save_masks(&pinned.data, pinned.save_masks)?);
        let mut split = open_split(&pinned.data)?;
        if masks_wanted.is_none() && split.truth_is_hidden() {
            // What is left to do with them is to submit them.
            pinned.save_masks = Some(SaveMasks::All);
        }
        check_rate(pinned.realtime, &split)?;
        let given = !pinned.data.video.is_empty();
        let runs = open_models(&pinned.models, free.exports.clone(), given)?;
        let options = pinned.engine.backend_options(free);
        let bundles: Vec<&Bundle> = runs.iter().map(|run| &run.bundle).collect();
        let opened = pinned.engine.selection().open(&bundles, &options)?;
        let pair = opened.pair;
        let on_host = pair.device == DeviceKind::Host;
        if pinned.jpeg_decoder == JpegBy::Nvjpeg && on_host {
            return Err(Error::usage(
                "--jpeg-decoder nvjpeg needs a GPU, and the run is on the CPU; omit it",
            ));
        }
        // Of the whole run, so that every share runs in the same memory.
        let demand = demand(pinned, &split);
        let split_sha256 = select_share(pinned, &mut split);
        settle(pinned, free, pair, &split);
        let mut models = Vec::new();
        let mut backend = None;
        let not_taken = opened.passed_over.iter();
        let not_taken: Vec<String> = not_taken.map(|(_, why)| why.to_string()).collect();
        for (run, opened) in runs.into_iter().zip(opened.backends) {
            let needs = opened.requirements(demand.frames, demand.objects);
            let plan = TrackerLayout::new(run.bundle.manifest(), demand).plan(needs);
            check_plan(free, &plan)?;
            backend = Some(BackendRecord {
                not_taken: not_taken.clone(),
                ..opened.info().into()
            });
            models.push(PreparedModel {
                bundle: run.bundle,
                tags: run.tags,
                plan,
                backend: opened,
            });
        }
        let unused = on_host && masklet_engines::cuda::availability().is_ok();
        let unused = not_taken.first().filter(|_| unused);
        let unused =
            unused.map(|why| format!("there is a CUDA device, but this run is on the CPU: {why}"));
        Ok(Self {
            spec,
            split,
            models,
            demand,
            backend,
            pair,
            ffmpeg,
            warnings: unused.into_iter().collect(),
            split_sha256,
        })
    }

    /// Where the machine is asked about itself.
    pub fn root(&self) -> SystemRoot {
        system_root(&self.spec.free)
    }

    /// The run folder's parent and its own name.
    pub(super) fn place(&self) -> Result<(PathBuf, String)> {
        let path = self.spec.free.out_dir.as_deref().unwrap_or(Path::new(""));
        let name = path.file_name().ok_or_else(|| {
            Error::usage(format!(
                "--out-dir {} has no last part that could name the run; give a folder such as \
                 runs/first",
                path.display()
            ))
        })?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).to_owned();
        Ok((parent, name.to_string_lossy().into_owned()))
    }

    /// What `run.json` begins with.
    pub(super) fn manifest(&self) -> RunManifest {
        let files = self.split.videos.iter();
        RunManifest {
            spec: self.spec.clone(),
            video_files: files.filter_map(|video| video.file.clone()).collect(),
            split_sha256: self.split_sha256.clone(),
            bundles: self
                .models
                .iter()
                .map(|m| bundle_record(&m.bundle))
                .collect(),
            backend: self.backend.clone(),
            environment: Environment::read(&self.root()),
            telemetry: None,
            noted: [("dataset".to_owned(), json!(self.split.describe()))].into(),
        }
    }
}

/// Where the machine is asked about itself.
fn system_root(free: &Free) -> SystemRoot {
    match &free.system_root {
        Some(root) if !root.as_os_str().is_empty() => SystemRoot::at(root),
        _ => SystemRoot::real(),
    }
}

fn check_rate_search(pinned: &Pinned) -> Result<()> {
    if pinned.find_rate.is_none() {
        return Ok(());
    }
    if pinned.realtime.is_some() {
        return Err(Error::usage(
            "--find-rate tries rates of its own and --realtime sets one; leave one of them out",
        ));
    }
    if pinned.shard.is_some() {
        return Err(Error::usage(
            "--find-rate says what this machine keeps up with; leave out --shard, or search in a \
             run of its own",
        ));
    }
    Ok(())
}

fn demand(pinned: &Pinned, split: &Split) -> Demand {
    Demand {
        objects: match pinned.objects {
            ObjectMode::Lockstep => most_objects(split),
            ObjectMode::Isolated => 1,
        },
        ring_frames: pinned.engine.ring_frames,
        frames: frame_limits(&split.videos),
    }
}

/// Leaves only the share's videos in the split; what identifies the whole where there is a share.
fn select_share(pinned: &Pinned, split: &mut Split) -> Option<String> {
    let shard = pinned.shard?;
    let cost = |video| video_cost(video, pinned.max_clip_frames);
    let videos: Vec<_> = split.videos.iter().map(cost).collect();
    let mut kept = keeps(shard, &videos).into_iter();
    split.videos.retain(|_| kept.next().unwrap_or(false));
    Some(fingerprint(&videos))
}

/// Decides what was left open, so that `run.json` holds it.
fn settle(pinned: &mut Pinned, free: &mut Free, pair: Pair, split: &Split) {
    let full = |path: PathBuf| path.canonicalize().unwrap_or(path);
    pinned.engine.device = Some(pair.device);
    pinned.engine.runtime = Some(pair.runtime);
    pinned.engine.threads = pinned.engine.threads();
    pinned.data.split_dir = pinned.data.split_dir.take().map(full);
    free.exports = free.exports.take().map(full);
    if free.out_dir.is_none() {
        let folder = pinned.data.split_dir.as_deref().and_then(Path::file_name);
        let name = match (&pinned.data.split_dir, split.videos.first()) {
            (None, Some(video)) => video.id.as_ref(),
            _ => folder.unwrap_or("run".as_ref()),
        };
        free.out_dir = Some(Path::new("runs").join(name));
    }
}

fn check_plan(free: &Free, plan: &Plan) -> Result<()> {
    if let Some(budget) = free.memory_budget {
        plan.check(budget, "--memory-budget")?;
    }
    if let Some(available) = SystemMemory::read(&system_root(free)).available_bytes.get() {
        let available = usize::try_from(available).unwrap_or(usize::MAX);
        plan.check(available, "MemAvailable of this system")?;
    }
    Ok(())
}
