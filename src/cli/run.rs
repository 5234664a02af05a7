//! `masklet run`: from options to a run folder and a table.

use super::baseline::{BaselineOptions, ModeArg};
use super::exit::INTERRUPTED;
use super::fleet::{ShardArgs, Share};
use super::options::{DataArgs, JpegArg, ModelArgs, ModelRun, ResourceArgs, UsageError};
use super::overlay::{OverlayArgs, VideoOverlays};
use super::plan::{most_objects, render};
use super::print;
use super::rate::FindRateArgs;
use super::telemetry::TelemetryArgs;
use super::video::{RealtimeArgs, VideoArgs};
use crate::clip::frame_limits;
use crate::clip::{ObjectMode, PipelineError, Rate, SaveMasks, Session, Settings, run_clip};
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Split, Video};
use crate::machine::{Environment, SystemMemory, Telemetry};
use crate::media::video::Ffmpeg;
use crate::overlay::Overlays;
use crate::progress::{LogFormat, Progress, VideoOutcome, init_logging};
use crate::record::{
    BundleRecord, ModelRate, ObjectKey, OpenMode, Opened, Options, RunFolder, RunManifest,
    RunState, Status, WeightsRecord,
};
use crate::reference::baseline::Mode;
use crate::track::layout::Demand;
use crate::track::{ModelPrompt, TrackerLayout};
use anyhow::Context;
use clap::{ArgAction, Args, ValueEnum};
use masklet_engines::backend::{self, BackendInfo, BackendKind};
use masklet_engines::bundle::{Bundle, WeightSource};
use masklet_engines::memory::Plan;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// `masklet run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    video: VideoArgs,
    #[command(flatten)]
    realtime: RealtimeArgs,
    #[command(flatten)]
    find_rate: FindRateArgs,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    shard: ShardArgs,
    /// Afterwards run the PyTorch baseline too, one manner or both (`upstream,best`), each in a
    /// process of its own.
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        default_missing_value = "upstream",
        value_delimiter = ',',
        value_name = "MODE,…",
        help_heading = "Baseline",
        conflicts_with = "no_memory"
    )]
    baseline: Vec<ModeArg>,
    #[command(flatten)]
    baseline_options: BaselineOptions,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    /// Track the objects of a video together, or one by one as the Python benchmark does.
    #[arg(long, value_enum, default_value_t = ObjectMode::Lockstep, value_name = "MODE")]
    objects: ObjectMode,
    /// At most this many frames of each object, counted from its prompt; 0 for all.
    #[arg(long, alias = "max_clip_frames", default_value_t = 0, value_name = "N")]
    max_clip_frames: usize,
    /// Rounds of every component before the first frame that counts.
    #[arg(long, default_value_t = 2, value_name = "N")]
    warmup: usize,
    /// Fill holes of up to this many pixels of the low-resolution mask (the reference predictors
    /// use 8; the official SA-V protocol fills none).
    #[arg(long, default_value_t = 0, value_name = "AREA")]
    fill_holes: usize,
    /// Decoder threads.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    decode_threads: u16,
    /// Who decodes JPEG frames.
    #[arg(long, value_enum, default_value_t = JpegArg::Cpu, value_name = "WHO")]
    jpeg_decoder: JpegArg,
    /// Run folder; `runs/<name of the split folder>` without it.
    #[arg(long, alias = "out_dir", value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Continue the run in the run folder.
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Remove the run that is in the run folder and begin anew.
    #[arg(long)]
    force: bool,
    /// Which predicted masks to write, in SA-V layout; without it those of annotated frames, and of
    /// a video file all.
    #[arg(long, value_enum, value_name = "WHICH")]
    save_masks: Option<SaveMasks>,
    /// Leave the memory bank empty: an ablation that shows what the memory is good for.
    #[arg(long)]
    no_memory: bool,
    #[command(flatten)]
    overlays: OverlayArgs,
    /// Print nothing but the final table and errors.
    #[arg(short, long, action = ArgAction::SetTrue)]
    quiet: bool,
    /// How progress and warnings are written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormatArg::Text, value_name = "FORMAT")]
    log_format: LogFormatArg,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormatArg {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Runs the command; the number is the exit code.
///
/// # Errors
/// What stopped the run. The journal then holds every object that was finished before.
pub fn run(mut args: RunArgs) -> anyhow::Result<u8> {
    let ffmpeg = args.overlays.ffmpeg()?;
    let modes: Vec<Mode> = args.baseline.iter().map(|mode| (*mode).into()).collect();
    if !modes.is_empty() && (args.video.any() || args.realtime.any()) {
        return Err(UsageError(
            "--baseline gives PyTorch the frames of a split, every one of them: leave out --video \
             and --realtime, or --baseline"
                .to_owned(),
        )
        .into());
    }
    args.find_rate
        .check(args.realtime.any(), args.shard.any())?;
    let save_masks = args.video.save_masks(args.save_masks)?;
    args.save_masks = Some(save_masks);
    let mut split = args.video.open(&args.data)?;
    let realtime = args.realtime.rate(&split)?;
    let models = match args.video.any() {
        true => args.models.open_given()?,
        false => args.models.open()?,
    };
    args.baseline_options
        .check(&modes, &models, args.resources.threads())?;
    let (kind, unused_device) = args.resources.choose(&models)?;
    if args.jpeg_decoder == JpegArg::Nvjpeg && kind == BackendKind::Cpu {
        return Err(UsageError(
            "--jpeg-decoder nvjpeg needs a GPU, and the run is on the CPU; leave it away"
                .to_owned(),
        )
        .into());
    }
    if kind == BackendKind::Cpu {
        masklet_engines::cpu::keep_heap();
    }
    let demand = Demand {
        objects: match args.objects {
            ObjectMode::Lockstep => most_objects(&split),
            ObjectMode::Isolated => 1,
        },
        ring_frames: usize::from(args.resources.ring_frames),
        frames: frame_limits(&split.videos),
    };
    // The plan above is the whole run's, so that every share runs in the same memory.
    let share = args.shard.select(&mut split, args.max_clip_frames)?;
    let path = args
        .out_dir
        .clone()
        .unwrap_or_else(|| match &args.data.split_dir {
            Some(dir) => default_folder(dir),
            None => VideoArgs::run_name(&split),
        });
    let (parent, name) = parent_and_name(&path)?;
    let mode = match (args.resume, args.force) {
        (true, _) => OpenMode::Resume,
        (_, true) => OpenMode::Force,
        _ => OpenMode::New,
    };
    let mut plans = Vec::new();
    let mut device = None;
    for model in &models {
        let (needs, info) = backend::prepare(
            kind,
            &model.bundle,
            &args.resources.backend_options(),
            demand.frames,
            demand.objects,
        )?;
        let plan = TrackerLayout::new(model.bundle.manifest(), demand).plan(needs);
        check_plan(&args, &plan)?;
        plans.push(plan);
        device = Some(info);
    }
    let running_on = device.as_ref().map(describe_backend);
    let mut manifest = manifest(&args, &models, kind, device);
    Share::pin(share.as_ref(), &mut manifest.options);
    args.video.record(&split, &mut manifest.options);
    args.realtime.record(&mut manifest.options);
    args.find_rate.record(&mut manifest.options);
    let Opened {
        mut folder,
        finished,
        rates,
        warnings,
    } = RunFolder::create(parent, &name, &manifest, mode)?;
    let format = match args.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    let progress = Arc::new(Progress::new(args.quiet, format));
    init_logging(format, &progress)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if let Some(why) = unused_device {
        tracing::warn!("there is a CUDA device, but this run is on the CPU: {why}");
    }
    if let Some(notice) = args.telemetry.notice() {
        progress.println(&notice);
    }
    if let Some(running_on) = running_on {
        progress.println(&running_on);
    }
    let telemetry = args.telemetry.start(kind, args.resources.device)?;
    if let Some(telemetry) = &telemetry {
        folder.record(Arc::clone(telemetry))?;
    }
    announce(&progress, &args, &models, &plans, demand, &split);
    if let Some(share) = &share {
        progress.println(&share.describe());
    }
    if !finished.is_empty() {
        progress.println(&format!(
            "resuming: {} objects are finished already",
            finished.len()
        ));
    }
    let stop = stop_flag().context("installing signal handlers")?;
    let mut outcome = Ok(());
    for model in models {
        outcome = run_model(
            &args,
            model,
            kind,
            demand,
            &split,
            &mut folder,
            &progress,
            &stop,
            realtime,
            &rates,
            telemetry.as_ref(),
            ffmpeg.as_ref(),
        );
        if outcome.is_err() {
            break;
        }
    }
    progress.finish();
    let interrupted = outcome.as_ref().err().is_some_and(is_interruption);
    match outcome {
        Ok(()) => {
            let summary = folder.finish(RunState::Finished)?;
            super::print_blocks(&crate::figures::tables::of_summary(&summary))?;
            print(&format!("\nRun folder: {}\n", folder.path().display()))?;
            match super::report::after_run(folder.path()) {
                Ok(path) => print(&format!("Report: {}\n", path.display()))?,
                Err(why) => tracing::warn!("{why}"),
            }
            let code = u8::from(summary.counts.failed > 0);
            if modes.is_empty() {
                return Ok(code);
            }
            let path = folder.path().to_owned();
            // Everything of this run goes before the baseline begins.
            drop((folder, split, progress));
            super::baseline::after_run(
                &path,
                &args.baseline_options,
                &modes,
                mode,
                args.quiet,
                code,
            )
        }
        Err(_) if interrupted => {
            folder.finish(RunState::Interrupted)?;
            if let Err(why) = super::report::after_run(folder.path()) {
                tracing::warn!("{why}");
            }
            eprintln!(
                "Interrupted. {} finished objects are in {}; run the same command with --resume to \
                 continue.",
                folder.rows(),
                folder.path().display()
            );
            Ok(INTERRUPTED)
        }
        Err(error) => {
            // The first error is what the user must hear of; the journal is safe either way.
            let _ = folder.finish(RunState::Interrupted);
            Err(error.context(format!(
                "the run stopped; {} finished objects are kept, continue with --resume",
                folder.rows()
            )))
        }
    }
}

fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(PipelineError::Interrupted))
}

/// The run folder's parent and its own name.
fn parent_and_name(path: &Path) -> anyhow::Result<(&Path, String)> {
    let name = path.file_name().ok_or_else(|| {
        UsageError(format!(
            "--out-dir {} has no last part that could name the run; give a folder such as runs/first",
            path.display()
        ))
    })?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((parent, name.to_string_lossy().into_owned()))
}

fn default_folder(split_dir: &Path) -> PathBuf {
    let name = split_dir
        .canonicalize()
        .ok()
        .and_then(|path| path.file_name().map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("run"));
    Path::new("runs").join(name)
}

/// A flag that SIGINT and SIGTERM set; a second signal ends the process at once.
pub(super) fn stop_flag() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn check_plan(args: &RunArgs, plan: &Plan) -> anyhow::Result<()> {
    if let Some(budget) = args.resources.memory_budget {
        plan.check(budget, "--memory-budget")?;
    }
    if let Some(available) = SystemMemory::read(&args.telemetry.root())
        .available_bytes
        .get()
    {
        let available = usize::try_from(available).unwrap_or(usize::MAX);
        plan.check(available, "MemAvailable of this system")?;
    }
    Ok(())
}

/// What the run runs on, in a line.
fn describe_backend(info: &BackendInfo) -> String {
    let threads = info
        .threads
        .map_or_else(String::new, |n| format!(", {n} threads"));
    let simulated = match info.simulated {
        true => "; SIMULATED: nothing in this run is a measurement of a GPU",
        false => "",
    };
    format!(
        "backend {}: {} on {}{threads}{simulated}",
        info.kind, info.runtime, info.device
    )
}

fn announce(
    progress: &Progress,
    args: &RunArgs,
    models: &[ModelRun],
    plans: &[Plan],
    demand: Demand,
    split: &Split,
) {
    for (model, plan) in models.iter().zip(plans) {
        let manifest = model.bundle.manifest();
        let tags: Vec<&str> = model.tags.iter().map(|(tag, _)| tag.as_str()).collect();
        progress.println(&format!(
            "{}: {}",
            tags.join(", "),
            manifest.weights.describe()
        ));
        progress.println(&render(&manifest.name, plan, demand));
    }
    let objects: usize = split.videos.iter().map(|video| video.objects.len()).sum();
    for line in VideoArgs::describe(split) {
        progress.println(&line);
    }
    if let Some(dir) = &args.data.split_dir {
        progress.println(&format!(
            "{} videos, {objects} objects from {}",
            split.videos.len(),
            dir.display()
        ));
    }
}

#[allow(clippy::too_many_arguments)]
fn run_model(
    args: &RunArgs,
    model: ModelRun,
    kind: BackendKind,
    demand: Demand,
    split: &Split,
    folder: &mut RunFolder,
    progress: &Progress,
    stop: &Arc<AtomicBool>,
    realtime: Option<Rate>,
    rates: &[ModelRate],
    telemetry: Option<&Arc<Telemetry>>,
    ffmpeg: Option<&Ffmpeg>,
) -> anyhow::Result<()> {
    let pending: Vec<_> = model
        .tags
        .iter()
        .flat_map(|(tag, prompt)| split.videos.iter().map(move |video| (tag, *prompt, video)))
        .filter(|(tag, _, video)| {
            video
                .objects
                .iter()
                .any(|object| !folder.is_done(&key(video, object, tag)))
        })
        .collect();
    let to_search: Vec<_> = model
        .tags
        .iter()
        .filter(|(tag, _)| args.find_rate.any() && rates.iter().all(|rate| rate.model != *tag))
        .cloned()
        .collect();
    let first = pending.first().map(|(_, prompt, video)| (*prompt, *video));
    let to_search_first = || Some((to_search.first()?.1, split.videos.first()?));
    let Some((first_prompt, first_video)) = first.or_else(to_search_first) else {
        return Ok(());
    };
    let started = Instant::now();
    let backend = backend::open(kind, &model.bundle, &args.resources.backend_options())?;
    let loaded = started.elapsed();
    let settings = Settings {
        objects: args.objects,
        max_clip_frames: (args.max_clip_frames > 0).then_some(args.max_clip_frames),
        decode_threads: usize::from(args.decode_threads),
        jpeg: args.jpeg_decoder.into(),
        warmup: args.warmup,
        fill_holes: args.fill_holes,
        save_masks: args.save_masks.unwrap_or(SaveMasks::Annotated),
        scores: true,
        realtime,
        no_memory: args.no_memory,
        masks_dir: folder.masks_dir(),
        other_masks_dir: ffmpeg.map(|_| Overlays::other_masks_dir(&folder.overlays_dir())),
        root: args.telemetry.root(),
        telemetry: telemetry.cloned(),
    };
    let overlays = ffmpeg.map(|ffmpeg| {
        let place = folder.overlays_dir();
        Overlays::new(ffmpeg.clone(), &place, &settings, Arc::clone(stop))
    });
    let mut kinds = vec![first_prompt];
    for (_, kind, _) in &pending {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    let warm_prompts: Vec<ModelPrompt> = kinds
        .into_iter()
        .map(|kind| warm_up_prompt(&model.bundle, kind))
        .collect();
    let mut session = Session::open(model.bundle, backend, demand, settings, Arc::clone(stop))?;
    let warmed = session.warm_up(&warm_prompts, first_video.size())?;
    progress.println(&format!(
        "{}: loaded in {:.2} s, warmed up in {:.2} s ({} rounds)",
        session.bundle.manifest().name,
        loaded.as_secs_f64(),
        warmed.as_secs_f64(),
        args.warmup
    ));
    progress.start(pending.len(), 0);
    for (tag, prompt, video) in pending {
        let drawn = VideoOverlays::new(overlays.as_ref(), video, tag, prompt);
        run_video(&mut session, folder, progress, video, tag, prompt, drawn)?;
    }
    for (tag, prompt) in &to_search {
        args.find_rate
            .search(&mut session, folder, progress, &split.videos, tag, *prompt)?;
    }
    let name = &session.bundle.manifest().name;
    if let Some(strategy) = session.backend.slab_strategy() {
        folder.note(&format!("arena-block-taken.{name}"), json!(strategy));
    }
    if let Some(version) = session.jpeg_version() {
        folder.note(&format!("nvjpeg-version.{name}"), json!(version));
    }
    if let Some(frames) = session.backend.frames() {
        let option = format!("frame-staging-measured.{name}");
        folder.note(&option, json!(frames.ways()));
    }
    Ok(())
}

fn run_video(
    session: &mut Session,
    folder: &mut RunFolder,
    progress: &Progress,
    video: &Video,
    tag: &str,
    prompt: PromptKind,
    mut overlays: VideoOverlays<'_>,
) -> anyhow::Result<()> {
    let passes = match session.settings.objects {
        ObjectMode::Lockstep => 1,
        ObjectMode::Isolated => video.objects.len(),
    };
    let frames = video.frame_count() * passes;
    progress.video_started(&format!("{tag} {}", video.id), frames, video.objects.len());
    let mut outcome = VideoOutcome::default();
    let together: Vec<&ObjectTrack> = video.objects.iter().collect();
    let clips: Vec<&[&ObjectTrack]> = match session.settings.objects {
        // A video whose journal was cut is run again as a whole, so that its masks and shared
        // clocks are those of an uninterrupted run; rows that are there stay as they are.
        ObjectMode::Lockstep => vec![together.as_slice()],
        ObjectMode::Isolated => together
            .chunks(1)
            .filter(|one| {
                one.iter()
                    .any(|object| !folder.is_done(&key(video, object, tag)))
            })
            .collect(),
    };
    let last = clips.len().saturating_sub(1);
    for (number, objects) in clips.into_iter().enumerate() {
        let mut rows = run_clip(session, video, objects, prompt, tag, &mut || {
            progress.frame_done();
        })?;
        overlays.note(&rows);
        rows.retain(|row| !folder.is_done(&row.key));
        // Drawn before the rows are entered: the journal names no file that is not there.
        overlays.draw(&mut rows, progress);
        if number == last {
            overlays.finish();
        }
        folder.append(&rows)?;
        for row in &rows {
            match &row.status {
                Status::Ok => {
                    outcome.ok += 1;
                    if let Some(warning) = &row.warning {
                        tracing::warn!("{}: {warning}", row.key);
                    }
                }
                Status::Failed { reason } => {
                    outcome.failed += 1;
                    tracing::warn!("{} failed: {reason}", row.key);
                }
            }
        }
    }
    progress.video_finished(outcome);
    Ok(())
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

/// What goes into `run.json`: options that decide the outcome apart from those that do not.
fn manifest(
    args: &RunArgs,
    models: &[ModelRun],
    kind: BackendKind,
    backend: Option<BackendInfo>,
) -> RunManifest {
    let path = |path: &Path| {
        let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Value::from(full.display().to_string())
    };
    let options: Options = [
        (
            "split-dir",
            args.data.split_dir.as_deref().map_or(Value::Null, path),
        ),
        ("split-name", json!(args.data.split_name)),
        ("videos", json!(args.data.videos)),
        ("limit-videos", json!(args.data.limit_videos)),
        ("limit-objects", json!(args.data.limit_objects)),
        ("shuffle-videos", json!(args.data.shuffle_videos)),
        ("seed", json!(args.data.seed)),
        ("models", json!(args.models.models)),
        ("imgsz", json!(args.models.imgsz)),
        (
            "precision",
            json!(
                args.models
                    .precision
                    .map(|p| format!("{p:?}").to_lowercase())
            ),
        ),
        ("backend", json!(kind)),
        (
            "cuda-graph",
            json!(format!("{:?}", args.resources.cuda_graph).to_lowercase()),
        ),
        ("frame-staging", json!(args.resources.frame_staging)),
        ("arena-block", json!(args.resources.arena_block)),
        ("objects", json!(args.objects)),
        ("max-clip-frames", json!(args.max_clip_frames)),
        ("fill-holes", json!(args.fill_holes)),
        ("no-memory", json!(args.no_memory)),
        ("save-masks", json!(args.save_masks)),
        ("threads", json!(args.resources.threads())),
        ("warmup", json!(args.warmup)),
        ("ring-frames", json!(args.resources.ring_frames)),
        ("decode-threads", json!(args.decode_threads)),
        ("jpeg-decoder", json!(args.jpeg_decoder)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let free_options: Options = [
        (
            "exports",
            args.models.exports.as_deref().map_or(Value::Null, path),
        ),
        ("out-dir", json!(args.out_dir)),
        ("engines", json!(args.resources.engines.engines)),
        ("device", json!(args.resources.device)),
        ("memory-budget", json!(args.resources.memory_budget)),
        ("telemetry-hz", json!(args.telemetry.telemetry_hz)),
        ("save-overlays", json!(args.overlays.wanted())),
        ("quiet", json!(args.quiet)),
        ("resume", json!(args.resume)),
        ("force", json!(args.force)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    RunManifest {
        options,
        free_options,
        bundles: models.iter().map(|m| record(&m.bundle)).collect(),
        backend,
        environment: Environment::read(&args.telemetry.root()),
        telemetry: None,
    }
}

/// A bundle as `run.json` names it.
pub(super) fn record(bundle: &Bundle) -> BundleRecord {
    let manifest = bundle.manifest();
    let weights = &manifest.weights;
    BundleRecord {
        name: manifest.name.clone(),
        source: match bundle.is_embedded() {
            true => "embedded".to_owned(),
            false => bundle.origin(),
        },
        sha256: bundle.sha256().to_owned(),
        image_size: manifest.image_size,
        precision: manifest.precision.to_string(),
        weights: match weights.source {
            WeightSource::RandomInit => WeightsRecord::RandomInit {
                seed: weights.seed.unwrap_or_default(),
            },
            WeightSource::Checkpoint => WeightsRecord::Checkpoint {
                file: weights.file.clone().unwrap_or_default(),
                sha256: weights.sha256.clone().unwrap_or_default(),
            },
            WeightSource::Trained => WeightsRecord::Trained {
                note: "trained on synthetic video".to_owned(),
            },
        },
    }
}
