//! `masklet run`: from options to a run folder and a table.

use super::baseline::BaselineOptions;
use super::fleet::ShardArgs;
use super::options::{DataArgs, ModelArgs, ResourceArgs, TelemetryArgs, UsageError};
use super::plan::render;
use super::show;
use super::video::{FindRateArgs, RealtimeArgs, VideoArgs, describe};
use crate::benchmark::{Events, ModelReady, Outcome, Prepared, VideoBegan};
use crate::figures::stats;
use crate::progress::{LogFormat, Progress, VideoOutcome, init_logging};
use crate::record::{BackendRecord, ObjectRow, RateTrial, RunState};
use crate::spec::{BaselineMode, Free, JpegBy, ObjectMode, OpenMode, Pinned, SaveMasks, Spec};
use anyhow::Context;
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    baseline: Vec<BaselineMode>,
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
    /// Warm-up iterations per component.
    #[arg(long, default_value_t = 2, value_name = "N")]
    warmup: usize,
    /// Fill holes of up to this many pixels of the low-resolution mask (the reference predictors
    /// use 8; the official SA-V protocol fills none).
    #[arg(long, default_value_t = 0, value_name = "AREA")]
    fill_holes: usize,
    /// Decoder threads.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    decode_threads: u16,
    /// JPEG decoder.
    #[arg(long, value_enum, default_value_t = JpegBy::Cpu, value_name = "WHO")]
    jpeg_decoder: JpegBy,
    /// Run folder; `runs/<name of the split folder>` without it.
    #[arg(long, alias = "out_dir", value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Continue the run in the run folder. Objects whose masks or overlays are gone, and those that
    /// failed for a reason of the machine, run again.
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// With --resume: all objects that failed run again.
    #[arg(long, requires = "resume")]
    retry_failed: bool,
    /// Remove the run that is in the run folder, and nothing else, and start over.
    #[arg(long)]
    force: bool,
    /// Which predicted masks to write, in SA-V layout; without it those of annotated frames, and of
    /// a video file all.
    #[arg(long, value_enum, value_name = "WHICH")]
    save_masks: Option<SaveMasks>,
    /// Leave the memory bank empty: an ablation that shows what the memory is good for.
    #[arg(long)]
    no_memory: bool,
    /// Draw every object's masks onto its video (MP4) and a contact sheet per video, into overlays/.
    #[arg(
        long,
        alias = "save_overlays",
        num_args = 0..=1,
        default_value_t = 0,
        default_missing_value = "1",
        hide_default_value = true,
        value_name = "0|1",
        value_parser = clap::value_parser!(u8).range(0..=1)
    )]
    save_overlays: u8,
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

impl RunArgs {
    /// As the core takes it.
    fn spec(&self) -> anyhow::Result<Spec> {
        let pinned = Pinned {
            data: self.video.spec(&self.data)?,
            models: self.models.spec(),
            engine: self.resources.engine(),
            objects: self.objects,
            max_clip_frames: self.max_clip_frames,
            fill_holes: self.fill_holes,
            no_memory: self.no_memory,
            save_masks: self.save_masks,
            warmup: self.warmup,
            decode_threads: usize::from(self.decode_threads),
            jpeg_decoder: self.jpeg_decoder,
            realtime: self.realtime.realtime,
            find_rate: self.find_rate.find_rate,
            shard: self.shard.resolve()?,
            baseline: None,
        };
        let free = Free {
            exports: self.models.exports.clone(),
            out_dir: self.out_dir.clone(),
            opening: match (self.resume, self.force) {
                (true, _) if self.retry_failed => OpenMode::RetryFailed,
                (true, _) => OpenMode::Resume,
                (_, true) => OpenMode::Force,
                _ => OpenMode::New,
            },
            telemetry_hz: self.telemetry.telemetry_hz,
            save_overlays: self.save_overlays != 0,
            system_root: self.telemetry.system_root.clone(),
            ..self.resources.free()
        };
        Ok(Spec { pinned, free })
    }
}

/// Runs the command; the number is the exit code.
///
/// # Errors
/// What stopped the run. The journal then holds every object that was finished before.
pub fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let modes = &args.baseline;
    if !modes.is_empty() && (args.video.any() || args.realtime.realtime.is_some()) {
        return Err(UsageError(
            "--baseline gives PyTorch the frames of a split, every one of them: leave out --video \
             and --realtime, or --baseline"
                .to_owned(),
        )
        .into());
    }
    let spec = args.spec()?;
    let prepared = Prepared::open(&spec)?;
    let models = prepared.models.iter();
    let models: Vec<_> = models.map(|m| (&m.bundle, m.tags.as_slice())).collect();
    args.baseline_options
        .check(modes, &models, prepared.spec.pinned.engine.threads)?;
    let format = match args.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    let progress = Arc::new(Progress::new(args.quiet, format));
    init_logging(format, &progress)?;
    let mut events = Told {
        progress: Arc::clone(&progress),
        stop: crate::signals::install().context("installing signal handlers")?,
        notice: args.telemetry.notice(),
        video: VideoOutcome::default(),
    };
    let outcome = prepared.execute(&mut events);
    progress.finish();
    let outcome = outcome?;
    drop((events, progress));
    if outcome.state == RunState::Interrupted {
        return Ok(interrupted(&outcome));
    }
    let code = finished(&outcome);
    if modes.is_empty() {
        return Ok(code);
    }
    // Nothing of this run is left when the baseline begins.
    super::baseline::after_run(
        &outcome.folder,
        &args.baseline_options,
        modes,
        spec.free.opening,
        args.quiet,
        code,
    )
}

/// Table, folder and report of a run that is through; the number is the exit code.
fn finished(outcome: &Outcome) -> u8 {
    super::show_blocks(&crate::figures::tables::of_summary(&outcome.summary));
    show(&format!("\nRun folder: {}\n", outcome.folder.display()));
    match super::report::after_run(&outcome.folder) {
        Ok(path) => show(&format!("Report: {}\n", path.display())),
        Err(why) => tracing::warn!("{why}"),
    }
    u8::from(outcome.summary.counts.failed > 0)
}

fn interrupted(outcome: &Outcome) -> u8 {
    if let Err(why) = super::report::after_run(&outcome.folder) {
        tracing::warn!("{why}");
    }
    super::warn(&format!(
        "Interrupted. {} finished objects are in {}; run the same command with --resume to \
         continue.",
        outcome.rows,
        outcome.folder.display()
    ));
    super::exit::interrupted()
}

/// A run, told on standard error.
struct Told {
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    notice: Option<String>,
    video: VideoOutcome,
}

impl Events for Told {
    fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    fn warning(&mut self, text: &str) {
        tracing::warn!("{text}");
    }

    fn began(&mut self, run: &Prepared, finished: usize) {
        let lines = self.notice.take().into_iter();
        let lines = lines.chain(run.backend.as_ref().map(describe_backend));
        for line in lines.chain(announce(run)) {
            self.progress.println(&line);
        }
        if finished > 0 {
            self.progress.println(&format!(
                "resuming: {finished} objects are finished already"
            ));
        }
    }

    fn model_ready(&mut self, model: &ModelReady<'_>) {
        self.progress.println(&format!(
            "{}: loaded in {:.2} s, warmed up in {:.2} s ({} rounds)",
            model.name,
            model.loaded.as_secs_f64(),
            model.warmed.as_secs_f64(),
            model.rounds
        ));
        self.progress.start(model.videos, 0);
    }

    fn video_began(&mut self, video: &VideoBegan<'_>) {
        self.video = VideoOutcome::default();
        let title = format!("{} {}", video.tag, video.video);
        self.progress
            .video_started(&title, video.frames, video.objects);
    }

    fn frame_done(&mut self) {
        self.progress.frame_done();
    }

    fn drawing(&mut self) {
        self.progress.video_note("drawing overlays");
    }

    fn objects_done(&mut self, rows: &[ObjectRow]) {
        let ok = rows.iter().filter(|row| row.is_ok()).count();
        self.video.ok += ok;
        self.video.failed += rows.len() - ok;
    }

    fn video_done(&mut self) {
        self.progress.video_finished(self.video);
    }

    fn trial_done(&mut self, tag: &str, round: usize, trial: &RateTrial) {
        self.progress.println(&format!(
            "{tag}, trial {round}: {} fps, {} of {} frames missed ({} late, {} dropped)",
            stats::rate(trial.fps),
            trial.missed(),
            trial.frames,
            trial.late,
            trial.dropped
        ));
    }
}

/// What the run runs on, in a line.
fn describe_backend(info: &BackendRecord) -> String {
    let threads = info
        .threads
        .map_or_else(String::new, |n| format!(", {n} threads"));
    let simulated = if info.simulated {
        "; SIMULATED: nothing in this run is a measurement of a GPU"
    } else {
        ""
    };
    let not_taken = info
        .not_taken
        .iter()
        .map(|why| format!("\n  not taken: {why}"));
    format!(
        "backend {}: {} on {}{threads}{simulated}{}",
        info.kind,
        info.runtime,
        info.device,
        not_taken.collect::<String>()
    )
}

/// Models, plans and data of a run, before its first frame.
fn announce(run: &Prepared) -> Vec<String> {
    let mut lines = Vec::new();
    for model in &run.models {
        let manifest = model.bundle.manifest();
        let tags: Vec<&str> = model.tags.iter().map(|(tag, _)| tag.as_str()).collect();
        lines.push(format!(
            "{}: {}",
            tags.join(", "),
            manifest.weights.describe()
        ));
        lines.push(render(&manifest.name, &model.plan, run.demand));
    }
    let videos = &run.split.videos;
    let objects: usize = videos.iter().map(|video| video.objects.len()).sum();
    lines.extend(describe(&run.split));
    if let Some(dir) = &run.spec.pinned.data.split_dir {
        lines.push(format!(
            "{} videos, {objects} objects from {}",
            videos.len(),
            dir.display()
        ));
        lines.extend(run.split.describe());
    }
    if let Some(shard) = run.spec.pinned.shard {
        lines.push(format!("shard {shard}"));
    }
    lines
}
