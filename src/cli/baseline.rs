//! `masklet baseline`, which `masklet run --baseline` becomes when its own work is done.
//!
//! The run replaces itself by this command (`exec`), so that nothing of it, neither memory nor a
//! device's context, is left while the baseline runs.

mod earlier;
mod watch;

use super::exit::interrupted;
use super::print;
use crate::benchmark::bundle_record;
use crate::dataset::Split;
use crate::dataset::prompts::PromptKind;
use crate::figures::stats;
use crate::machine::{Environment, ProcessMemory, SystemRoot};
use crate::progress::{LogFormat, Progress};
use crate::record::{ObjectKey, ObjectRow, RunFolder, RunManifest, RunState, Summary};
use crate::reference::baseline::process::{JOB, LOG, last_words, verdict};
use crate::reference::baseline::{
    BaselineError, Ending, Job, JobSettings, Mode, Planned, PyTorchRecord, Tools, beside, plan,
    read_record, score_row,
};
use crate::spec::{Baseline, BaselineDevice, Free, ObjectMode, OpenMode, SaveMasks, Spec};
use anyhow::Context;
use clap::{Args, ValueEnum};
use earlier::Earlier;
use masklet_engines::bundle::{Bundle, Precision};
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use watch::Watch;

/// How the baseline is run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Baseline")]
pub struct BaselineOptions {
    /// Python with tools/export/requirements.txt; the checkout's .venv or python3 without it.
    #[arg(long, env = "MASKLET_PYTHON", value_name = "PATH")]
    baseline_python: Option<PathBuf>,
    /// The checkpoint that the bundle was exported from, where the weights are neither in its
    /// folder nor a seed's.
    #[arg(long, value_name = "PATH")]
    baseline_weights: Option<PathBuf>,
    /// What PyTorch runs on.
    #[arg(long, value_enum, default_value_t = BaselineDevice::Auto, value_name = "DEVICE")]
    baseline_device: BaselineDevice,
    /// Arithmetic under autocast; the bundle's own without it.
    #[arg(long, value_enum, value_name = "PRECISION")]
    baseline_precision: Option<Precision>,
    /// Compile the image encoder with torch.compile (mode best).
    #[arg(long)]
    baseline_compile: bool,
    /// Let fp32 products be TF32 on CUDA, as the Python benchmark does.
    #[arg(long)]
    baseline_tf32: bool,
}

/// `masklet baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// Folder of a finished run.
    run: PathBuf,
    /// Manners, one after the other.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "upstream",
        value_name = "MODE,…"
    )]
    mode: Vec<Mode>,
    #[command(flatten)]
    options: BaselineOptions,
    /// Go on with a baseline that was stopped or has died.
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Remove the baseline that is there and start over.
    #[arg(long)]
    force: bool,
    /// Only write the job, and print how to run it by hand.
    #[arg(long)]
    prepare: bool,
    /// Print nothing but the table, what went wrong, and errors.
    #[arg(short, long)]
    quiet: bool,
    /// Exit code of the run that this follows; whatever becomes of the baseline, it stays.
    #[arg(long, hide = true, value_name = "CODE")]
    exit_code: Option<u8>,
}

impl BaselineOptions {
    /// Finds out before a long run whether its baseline could begin: interpreter, packages,
    /// device, weights. Nothing to do without a mode.
    ///
    /// # Errors
    /// [`BaselineError`] with what to do.
    pub fn check(
        &self,
        modes: &[Mode],
        models: &[(&Bundle, &[(String, PromptKind)])],
        threads: usize,
    ) -> Result<(), BaselineError> {
        let Some(mode) = modes.first() else {
            return Ok(());
        };
        let nothing = Split {
            root: PathBuf::new(),
            layout: crate::dataset::Layout::SaV,
            list: None,
            available: 0,
            videos: Vec::new(),
            notes: Vec::new(),
        };
        let settings = JobSettings {
            threads,
            ..self.settings(*mode)
        };
        let (job, _) = plan(&settings, models, &nothing, Path::new("."), &|_| true);
        Tools::find(self.baseline_python.as_deref())?.check(&job)
    }

    fn settings(&self, mode: Mode) -> JobSettings {
        JobSettings {
            mode,
            device: name(&self.baseline_device),
            precision: self.baseline_precision,
            compile: self.baseline_compile,
            tf32: self.baseline_tf32,
            threads: 0,
            decode_threads: 2,
            warmup: 0,
            weights: self.baseline_weights.clone(),
            max_clip_frames: None,
            save_masks: SaveMasks::Annotated,
        }
    }

    /// The same options on a command line.
    fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut out = vec![
            "--baseline-device".into(),
            name(&self.baseline_device).into(),
        ];
        let paths = [
            ("--baseline-python", &self.baseline_python),
            ("--baseline-weights", &self.baseline_weights),
        ];
        for (option, path) in paths {
            if let Some(path) = path {
                out.extend([option.into(), path.into()]);
            }
        }
        if let Some(precision) = &self.baseline_precision {
            out.extend(["--baseline-precision".into(), name(precision).into()]);
        }
        let flags = [
            ("--baseline-compile", self.baseline_compile),
            ("--baseline-tf32", self.baseline_tf32),
        ];
        out.extend(
            flags
                .iter()
                .filter(|(_, on)| *on)
                .map(|(flag, _)| flag.into()),
        );
        out
    }
}

/// A value's name on the command line.
fn name(value: &impl ValueEnum) -> String {
    let known = value.to_possible_value();
    known.map_or_else(String::new, |known| known.get_name().to_owned())
}

/// Goes on with the baselines of a run that has ended with `code`, in this process's place.
///
/// # Errors
/// When standard output is closed. What goes wrong with a baseline is a warning: the run is done.
pub fn after_run(
    run: &Path,
    options: &BaselineOptions,
    modes: &[Mode],
    opened: OpenMode,
    quiet: bool,
    code: u8,
) -> anyhow::Result<u8> {
    use std::io::Write;
    std::io::stdout().flush()?;
    let names: Vec<&str> = modes.iter().map(|mode| mode.name()).collect();
    let mut command = match std::env::current_exe() {
        Ok(program) => std::process::Command::new(program),
        Err(error) => {
            tracing::warn!("the baseline does not run, this program cannot find itself: {error}");
            return Ok(code);
        }
    };
    command.arg("baseline").arg(run);
    command.args(["--mode", &names.join(","), "--exit-code", &code.to_string()]);
    command.args(options.arguments());
    match opened {
        OpenMode::Resume | OpenMode::RetryFailed => _ = command.arg("--resume"),
        OpenMode::Force => _ = command.arg("--force"),
        OpenMode::New => {}
    }
    if quiet {
        command.arg("--quiet");
    }
    let error = command.exec();
    tracing::warn!("the baseline does not run, this program does not start again: {error}");
    Ok(code)
}

/// Runs the command; the number is the exit code.
///
/// # Errors
/// A folder that is not a finished run, a baseline that cannot begin. One that dies is not an error.
pub fn baseline(args: &BaselineArgs) -> anyhow::Result<u8> {
    match (run_modes(args), args.exit_code) {
        (Err(error), Some(code)) => {
            // The run before it is complete, whatever this is.
            let class = super::exit::class(&error);
            super::warn(&format!(
                "warning: no baseline ({class:?}): {error:#}; the run itself is complete"
            ));
            Ok(code)
        }
        (Ok(code), _) if code > 128 => Ok(code),
        (Ok(_), Some(code)) => Ok(code),
        (outcome, None) => outcome,
    }
}

fn run_modes(args: &BaselineArgs) -> anyhow::Result<u8> {
    let earlier = Earlier::read(&args.run)?;
    let tools = Tools::find(args.options.baseline_python.as_deref())?;
    let stop = crate::signals::install().context("installing signal handlers")?;
    let progress = Progress::new(args.quiet, LogFormat::Text);
    let mut baselines: Vec<(String, Summary)> = Vec::new();
    let mut code = 0;
    for mode in &args.mode {
        let Some((summary, died)) = run_mode(args, *mode, &earlier, &tools, &progress, &stop)?
        else {
            continue;
        };
        code = code.max(u8::from(died || summary.counts.failed > 0));
        baselines.push((format!("pytorch {mode}"), summary));
        if stop.load(Ordering::Relaxed) {
            code = interrupted();
            break;
        }
    }
    if !baselines.is_empty() {
        // `masklet compare` says more: intervals, pairs, and what is not comparable.
        super::show("\n");
        super::show_blocks(&beside::beside(&earlier.summary, &baselines));
    }
    Ok(code)
}

/// One baseline from job to summary, and whether it died; nothing when it was only prepared.
fn run_mode(
    args: &BaselineArgs,
    mode: Mode,
    earlier: &Earlier,
    tools: &Tools,
    progress: &Progress,
    stop: &AtomicBool,
) -> anyhow::Result<Option<(Summary, bool)>> {
    let carried = &earlier.spec.pinned;
    let save_masks = carried.save_masks.unwrap_or(SaveMasks::Annotated);
    let settings = JobSettings {
        threads: carried.engine.threads,
        decode_threads: carried.decode_threads.max(1),
        warmup: carried.warmup,
        max_clip_frames: carried.most_frames(),
        save_masks,
        ..args.options.settings(mode)
    };
    let models: Vec<(&Bundle, &[(String, PromptKind)])> = earlier
        .models
        .iter()
        .map(|model| (&model.bundle, model.tags.as_slice()))
        .collect();
    let folder = args.run.join(mode.folder());
    if args.prepare {
        std::fs::create_dir_all(&folder)?;
        let (mut job, _) = plan(&settings, &models, &earlier.split, &folder, &|_| false);
        job.supervised = false;
        Tools::write_job(&folder, &job)?;
        print(&format!("{}\n", tools.by_hand(&folder)))?;
        return Ok(None);
    }
    let opening = match (args.resume, args.force) {
        (true, _) => OpenMode::Resume,
        (_, true) => OpenMode::Force,
        _ => OpenMode::New,
    };
    let manifest = manifest(args, mode, earlier, opening);
    let mut opened = RunFolder::create(&args.run, &mode.folder(), &manifest, opening)?;
    let log = folder.join(crate::reference::baseline::record::FILE);
    if opening != OpenMode::Resume {
        for file in [JOB, LOG, crate::reference::baseline::record::FILE] {
            // What is not there need not be removed.
            let _ = std::fs::remove_file(folder.join(file));
        }
    }
    for warning in &opened.warnings {
        super::warn(&format!("warning: {warning}"));
    }
    if carried.fill_holes > 0 {
        super::warn(&format!(
            "warning: the run filled holes of up to {} pixels, the baseline fills none: masks differ there",
            carried.fill_holes
        ));
    }
    let mut keeper = Keeper {
        folder: &mut opened.folder,
        path: &folder,
    };
    // Rows that an earlier process left, but nobody entered.
    if opening == OpenMode::Resume {
        let (_, planned) = keeper.plan(&settings, &models, &earlier.split);
        let left = keeper.read(&log, 0, &planned)?;
        keeper.enter(&left.rows, &planned)?;
    }
    let (job, planned) = keeper.plan(&settings, &models, &earlier.split);
    let refused: Vec<ObjectRow> = planned
        .iter()
        .filter(|planned| !planned.row.is_ok())
        .map(|planned| planned.row.clone())
        .collect();
    keeper.folder.append(&refused)?;
    let total = job.objects();
    let mut said = None;
    if total > 0 {
        Tools::write_job(&folder, &job)?;
        let rss = ProcessMemory::rss(&SystemRoot::real()).get();
        progress.println(&format!(
            "\nbaseline ({mode}): {total} objects in a process of its own{}",
            rss.map_or_else(String::new, |rss| format!(
                "; this one holds {}",
                stats::bytes(rss)
            ))
        ));
        let offset = std::fs::metadata(&log).map_or(0, |seen| seen.len());
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let watch = Watch::new(&log, offset, progress, mode);
        let ending = tools.run(&folder, &mut || {
            watch.look();
            stop.load(Ordering::Relaxed)
        })?;
        let left = keeper.read(&log, offset, &planned)?;
        said = verdict(mode, ending, &left, total, last_words(&folder).as_deref());
        keeper.enter(&left.rows, &planned)?;
        if ending != Ending::Stopped
            && let Some(said) = &said
        {
            keeper.fail(&left.in_progress(), &planned, said)?;
        }
        for line in rejected(&left) {
            super::warn(&format!("warning: {line}"));
        }
        if let Some(hello) = left.hello {
            keeper.folder.note("pytorch", hello);
        }
        if save_masks == SaveMasks::None {
            std::fs::remove_dir_all(folder.join("masks"))
                .context("removing the baseline's masks")?;
        }
    }
    if let Some(said) = &said {
        keeper.folder.note("outcome", json!(said));
        super::show(&format!("\n{said}.\n"));
    }
    let (_, missing) = keeper.plan(&settings, &models, &earlier.split);
    let state = match missing.is_empty() {
        true => RunState::Finished,
        false => RunState::Interrupted,
    };
    let summary = opened.folder.finish(state)?;
    if let Err(why) = super::report::after_run(&folder) {
        super::warn(&format!("warning: {why}"));
    }
    if !missing.is_empty() {
        super::warn(&format!(
            "warning: {} of its objects were not reached; the {} finished ones are in {}, \
             `masklet baseline {} --mode {mode} --resume` goes on",
            missing.len(),
            opened.folder.rows(),
            folder.display(),
            args.run.display()
        ));
    }
    Ok(Some((summary, said.is_some())))
}

/// The baseline's run folder while it is being filled.
struct Keeper<'a> {
    folder: &'a mut RunFolder,
    path: &'a Path,
}

impl Keeper<'_> {
    fn plan<'s>(
        &self,
        settings: &JobSettings,
        models: &[(&Bundle, &[(String, PromptKind)])],
        split: &'s Split,
    ) -> (Job, Vec<Planned<'s>>) {
        let done = |key: &ObjectKey| self.folder.is_done(key);
        plan(settings, models, split, self.path, &done)
    }

    fn read(
        &self,
        log: &Path,
        offset: usize,
        planned: &[Planned<'_>],
    ) -> Result<PyTorchRecord, BaselineError> {
        let wanted = crate::reference::baseline::job::keys(planned);
        read_record(log, offset, &|key| {
            // A row that an earlier call entered is not a surprise.
            wanted.contains(key) || self.folder.is_done(key)
        })
    }

    /// Scores rows and puts them into the journal.
    fn enter(&mut self, rows: &[ObjectRow], planned: &[Planned<'_>]) -> anyhow::Result<()> {
        for row in rows {
            if self.folder.is_done(&row.key) {
                continue;
            }
            let Some(planned) = planned.iter().find(|p| p.row.key == row.key) else {
                continue;
            };
            let mut row = row.clone();
            if row.is_ok() {
                match score_row(planned, &self.path.join("masks")) {
                    Ok((scores, missing)) => {
                        row.scores = scores;
                        row.scores_missing = missing;
                    }
                    Err(reason) => row = row.failed(reason),
                }
            }
            self.folder.append(&[row])?;
        }
        Ok(())
    }

    /// Objects that were in progress when the process died have failed of it.
    fn fail(
        &mut self,
        keys: &[ObjectKey],
        planned: &[Planned<'_>],
        why: &str,
    ) -> anyhow::Result<()> {
        for key in keys {
            if self.folder.is_done(key) {
                continue;
            }
            if let Some(planned) = planned.iter().find(|p| p.row.key == *key) {
                self.folder.append(&[planned.row.clone().failed(why)])?;
            }
        }
        Ok(())
    }
}

/// What of a record could not be used, in few lines.
fn rejected(record: &PyTorchRecord) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut lines: Vec<String> = record
        .rejected
        .iter()
        .take(SHOWN)
        .map(|line| format!("of what the baseline left, {line}; it is left out"))
        .collect();
    if let more @ 1.. = record.rejected.len().saturating_sub(SHOWN) {
        lines.push(format!("and {more} more lines that are left out"));
    }
    lines
}

/// The baseline's `run.json`: the run's options as far as they are its own too, and how it ran.
fn manifest(args: &BaselineArgs, mode: Mode, earlier: &Earlier, opening: OpenMode) -> RunManifest {
    let options = &args.options;
    let mut pinned = earlier.spec.pinned.clone();
    pinned.engine.device = None;
    pinned.engine.runtime = None;
    pinned.fill_holes = 0;
    pinned.objects = match mode {
        Mode::Upstream => ObjectMode::Isolated,
        Mode::Best => ObjectMode::Lockstep,
    };
    pinned.baseline = Some(Baseline {
        mode,
        baseline_device: options.baseline_device,
        baseline_precision: options.baseline_precision,
        baseline_compile: options.baseline_compile,
        baseline_tf32: options.baseline_tf32,
        baseline_weights: options.baseline_weights.clone(),
    });
    let free = Free {
        opening,
        baseline_python: options.baseline_python.clone(),
        ..earlier.spec.free.clone()
    };
    let models = earlier.models.iter();
    RunManifest {
        spec: Spec { pinned, free },
        video_files: Vec::new(),
        split_sha256: None,
        bundles: models.map(|model| bundle_record(&model.bundle)).collect(),
        backend: None,
        environment: Environment::read(&SystemRoot::real()),
        telemetry: None,
        noted: Default::default(),
    }
}
