//! `masklet build`: compiles bundles into engines for this device, once.

use super::engines::EnginesDir;
use super::exit;
use super::json::{JsonArg, JsonOutput};
use super::options::parse_size;
use super::print;
use super::select::{BundleSelection, Chosen};
use super::watch::Watch;
use crate::error::{Error, ErrorClass, WithClass};
use crate::figures::stats::bytes;
use crate::machine::{Environment, SystemRoot};
use crate::record::free_bytes;
use crate::render::{Block, Cell, Table};
use clap::{Args, ValueEnum};
use masklet_engines::bundle::Bundle;
use masklet_engines::engine::{
    BuildHost, BuildPlan, BuildSettings, Built, Device, EngineError, EngineStore, build_bundle,
    parse_compute_capabilities,
};
use masklet_engines::tensorrt::{ErrorKind, Flavour, ProfilingVerbosity};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::Duration;

/// When a wait for the device ends, in seconds since boot; set for the process that tries again.
const DEADLINE_ENV: &str = "MASKLET_DEVICE_DEADLINE";

/// Which TensorRT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FlavourArg {
    /// TensorRT (JetPack, data centre).
    Tensorrt,
    /// TensorRT-RTX.
    Rtx,
}

impl From<FlavourArg> for Flavour {
    fn from(arg: FlavourArg) -> Self {
        match arg {
            FlavourArg::Tensorrt => Self::TensorRt,
            FlavourArg::Rtx => Self::Rtx,
        }
    }
}

/// `masklet build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub bundles: BundleSelection,
    #[command(flatten)]
    pub engines: EnginesDir,
    /// Most workspace memory that any layer may use (bytes, or with KiB, MiB, GiB).
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256MiB")]
    pub workspace: usize,
    /// Keep tactic timings in this file instead of in the engines folder.
    #[arg(long, value_name = "FILE")]
    pub timing_cache: Option<PathBuf>,
    /// Build existing engines again, too.
    #[arg(long)]
    pub force: bool,
    /// Print what would be built; build and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Ordinal of the CUDA device to build on.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub device: usize,
    /// Build for these GPUs instead of the one that is here: 8.9, or 8.6,8.9, or all. Needs
    /// TensorRT-RTX and no GPU; Orin (8.7) is not among them.
    #[arg(long, env = "MASKLET_COMPUTE_CAPABILITY", value_name = "X.Y,…")]
    pub compute_capability: Option<String>,
    /// Only this TensorRT; without it TensorRT before TensorRT-RTX.
    #[arg(long, value_enum)]
    pub tensorrt: Option<FlavourArg>,
    /// Keep formats and tactics of every layer in the engines, for inspection and profiling.
    #[arg(long)]
    pub detailed: bool,
    /// TensorRT's builder optimisation level (its default is 3): lower builds faster, higher may
    /// run faster.
    #[arg(long, value_name = "0..5", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub optimization_level: Option<u8>,
    /// Let fp32 models use TF32.
    #[arg(long)]
    pub tf32: bool,
    /// Wait so long for a CUDA driver that is not up yet.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait_for_device: u64,
    /// Wait so long for another build in the same folder.
    #[arg(long, value_name = "SECONDS", default_value_t = 7200)]
    pub wait_for_lock: u64,
    /// Keep the engines folder below this size by removing engines that do not run here (of an
    /// earlier TensorRT, of another device).
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_size: Option<usize>,
    #[command(flatten)]
    pub json: JsonArg,
    /// No progress.
    #[arg(long)]
    pub quiet: bool,
}

impl BuildArgs {
    fn settings(&self) -> anyhow::Result<BuildSettings> {
        Ok(BuildSettings {
            workspace_bytes: self.workspace as u64,
            profiling: if self.detailed {
                ProfilingVerbosity::Detailed
            } else {
                ProfilingVerbosity::LayerNames
            },
            optimization_level: self.optimization_level,
            tf32: self.tf32,
            compute_capabilities: self
                .compute_capability
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(parse_compute_capabilities)
                .transpose()?,
            flavour: self.tensorrt.map(Flavour::from),
            timing_cache: self.timing_cache.clone(),
            force: self.force,
            device: self.device,
            lock_wait: Some(Duration::from_secs(self.wait_for_lock)),
            machine: machine(self.device),
        })
    }
}

/// What engines' records keep about the machine.
fn machine(device: usize) -> BTreeMap<String, String> {
    let environment = Environment::read(&SystemRoot::real());
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |name: &str, value: Option<String>| {
        all.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("os", environment.os.value);
    add("kernel", environment.kernel.value);
    add("l4t_release", environment.l4t_release.value);
    add("jetson_model", environment.jetson_model.value);
    add("power_mode", environment.power_mode.value);
    let fixed = environment.clocks_fixed.value;
    add("clocks_fixed", fixed.map(|fixed| fixed.to_string()));
    if let Ok(info) = masklet_engines::cuda::describe_device(device) {
        add("cuda_driver", Some(info.driver_version.to_string()));
        add("device_memory_bytes", Some(info.total_bytes.to_string()));
    }
    all
}

/// What became of all bundles.
#[derive(Default)]
struct Totals {
    built: usize,
    unchanged: usize,
    whole_bundles: usize,
    failures: Vec<ErrorClass>,
}

impl Totals {
    /// The exit code by what is to be done: trying again, if that helps; else the failures' own
    /// code when nothing succeeded and they are of one class; else 1, as for failed objects.
    fn exit_code(&self) -> u8 {
        let Some(first) = self.failures.first() else {
            return 0;
        };
        if self.failures.contains(&ErrorClass::Passing) {
            return ErrorClass::Passing.exit_code();
        }
        let alike = self.failures.iter().all(|class| class == first);
        if alike && self.whole_bundles == 0 {
            return first.exit_code();
        }
        ErrorClass::Run.exit_code()
    }
}

/// Runs the command; the number is the exit code.
///
/// # Errors
/// When a bundle that was named does not exist, or there is no TensorRT or device.
pub fn build(args: &BuildArgs) -> anyhow::Result<u8> {
    let settings = args.settings()?;
    let deadline = std::env::var(DEADLINE_ENV).ok();
    let json = args.json.open(deadline.is_some())?;
    let watch = Watch::new(args.quiet, &json)?;
    let outcome = run(args, &settings, &json, &watch);
    if let Some(code) = watch.signal_code() {
        let error = outcome.err().map(|error| exit::sentence(&error));
        let reason = error.unwrap_or_else(|| "interrupted".to_owned());
        json.line(&json!({"event": "interrupted", "exit_code": code}))?;
        eprintln!("Error: {reason}; what is finished stays");
        return Ok(code);
    }
    if let Err(error) = &outcome {
        let class = exit::class(error);
        json.line(&json!({
            "event": "finished", "changed": false, "built": 0, "unchanged": 0, "failed": 0,
            "error": exit::sentence(error), "exit_code": class.exit_code(),
        }))?;
    }
    outcome
}

fn run(
    args: &BuildArgs,
    settings: &BuildSettings,
    json: &JsonOutput,
    watch: &Watch<'_>,
) -> anyhow::Result<u8> {
    let chosen = args.bundles.choose()?;
    let host = find_host(args, settings, json, watch)?;
    let store = EngineStore::open(args.engines.engines.as_deref());
    let print = |text: &str| {
        if json.takes_stdout() {
            return Ok(());
        }
        print(text)
    };
    let verb = if args.dry_run {
        "Would build"
    } else {
        "Building"
    };
    print(&format!(
        "{verb} with {} {} for {} into {}\n",
        host.library().flavour(),
        host.library().full_version(),
        host.describe_target(),
        store.folder().display()
    ))?;
    let mut totals = Totals::default();
    for chosen in chosen {
        let name = chosen.name.clone();
        let result = one_bundle(args, settings, json, watch, &host, &store, chosen);
        watch.done();
        match result {
            Ok((blocks, built, unchanged)) => {
                totals.built += built;
                totals.unchanged += unchanged;
                totals.whole_bundles += 1;
                if !json.takes_stdout() {
                    super::print_blocks(&blocks)?;
                }
            }
            Err(error) if watch.signal_code().is_some() => return Err(error),
            Err(error) => {
                let class = exit::class(&error);
                let reason = exit::sentence(&error);
                totals.failures.push(class);
                let (built, unchanged) = watch.counts();
                totals.built += built;
                totals.unchanged += unchanged;
                json.line(&json!({
                    "event": "failed", "bundle": name, "component": watch.component_name(),
                    "error": reason, "exit_code": class.exit_code(),
                }))?;
                eprintln!("Error: {name}: {reason}");
                // What passes would stop the others as well.
                if class == ErrorClass::Passing {
                    break;
                }
            }
        }
    }
    if !args.dry_run {
        evict(args, &host, &store, json)?;
    }
    let code = totals.exit_code();
    let changed = totals.built > 0;
    json.line(&json!({
        "event": "finished", "changed": changed, "built": totals.built,
        "unchanged": totals.unchanged, "failed": totals.failures.len(), "exit_code": code,
    }))?;
    print(&format!(
        "changed={changed} built={} unchanged={} failed={}\n",
        totals.built,
        totals.unchanged,
        totals.failures.len()
    ))?;
    Ok(code)
}

/// Builds one bundle; its table, and how many engines were built and were there.
fn one_bundle(
    args: &BuildArgs,
    settings: &BuildSettings,
    json: &JsonOutput,
    watch: &Watch<'_>,
    host: &BuildHost,
    store: &EngineStore,
    chosen: Chosen,
) -> anyhow::Result<(Vec<Block>, usize, usize)> {
    let name = chosen.name.clone();
    watch.bundle(&name);
    let bundle = chosen.open()?;
    let plan = BuildPlan::new(store, host, &bundle, settings);
    json.line(&json!({
        "event": "planned", "bundle": name,
        "build": plan.missing.iter().map(|p| json!({
            "component": p.component.name(), "seconds": p.seconds, "bytes": p.bytes,
        })).collect::<Vec<_>>(),
        "unchanged": plan.present.iter().map(|e| &e.sidecar.component).collect::<Vec<_>>(),
        "seconds": plan.seconds(), "bytes": plan.bytes(),
    }))?;
    if args.dry_run {
        let present = plan
            .present
            .iter()
            .map(|engine| format!("{}: up to date", engine.sidecar.component));
        let missing = plan.missing.iter().map(|planned| {
            let seconds = planned
                .seconds
                .map_or_else(String::new, |s| format!(", {s:.0} s the last time"));
            format!("{}: to build{seconds}", planned.component.name())
        });
        let blocks = vec![
            Block::heading(name),
            Block::Notes(present.chain(missing).collect()),
        ];
        return Ok((blocks, plan.missing.len(), plan.present.len()));
    }
    let (needed, free) = (plan.bytes(), free_bytes(store.folder()));
    if let Some(free) = free.filter(|&free| free < needed) {
        return Err(Error::passing(format!(
            "the engines need about {}, {} has {} free",
            bytes(needed),
            store.folder().display(),
            bytes(free)
        ))
        .into());
    }
    watch.start(plan.missing.len());
    let built = build_bundle(store, host, &bundle, settings, watch)?;
    let new = built.iter().filter(|built| built.new).count();
    Ok((table(&bundle, &built), new, built.len() - new))
}

/// The device and TensorRT; waits for a driver that is not up yet. Each attempt is a process of its
/// own (by exec): a CUDA driver that failed to start once stays failed within a process.
fn find_host(
    args: &BuildArgs,
    settings: &BuildSettings,
    json: &JsonOutput,
    watch: &Watch<'_>,
) -> anyhow::Result<BuildHost> {
    let error = match BuildHost::find(settings) {
        Ok(host) => return Ok(host),
        Err(error) => error,
    };
    let device_missing = matches!(
        &error,
        EngineError::NoDevice { source }
            if matches!(source.kind(), ErrorKind::NotReady | ErrorKind::Driver)
    );
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
    let deadline = std::env::var(DEADLINE_ENV)
        .ok()
        .and_then(|text| text.parse().ok());
    let wait = i64::try_from(args.wait_for_device).unwrap_or(i64::MAX);
    let until = deadline.unwrap_or_else(|| now.saturating_add(wait));
    if !device_missing || now >= until {
        return Err(error.into());
    }
    if deadline.is_none() {
        json.line(&json!({"event": "waiting", "for": "device", "error": error.to_string()}))?;
        watch.line(&format!("waiting for the device: {error}"));
    }
    for _ in 0..10 {
        if watch.signal_code().is_some() {
            return Err(error.into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let program = std::env::current_exe().environment(|| "cannot find this program's own file")?;
    let failed = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(DEADLINE_ENV, until.to_string())
        .exec();
    Err(Error::environment("cannot start this program again")
        .with_source(failed)
        .into())
}

/// Removes engines that do not run here until the folder is below `--max-size`.
fn evict(
    args: &BuildArgs,
    host: &BuildHost,
    store: &EngineStore,
    json: &JsonOutput,
) -> anyhow::Result<()> {
    let (Some(limit), Some(identity)) = (args.max_size, host.device()) else {
        return Ok(());
    };
    let device = Device::new(host.library(), identity.clone());
    let mut engines = store.list()?;
    let mut size: u64 = engines.iter().map(|e| e.sidecar.plan.bytes).sum();
    engines.retain(|engine| engine.fits(&device).is_err());
    engines.sort_by_key(|engine| std::cmp::Reverse(engine.sidecar.plan.bytes));
    let mut evicted = Vec::new();
    for engine in engines {
        if size <= limit as u64 {
            break;
        }
        size -= engine.sidecar.plan.bytes;
        evicted.push(engine.sidecar.key.clone());
    }
    if evicted.is_empty() {
        return Ok(());
    }
    let removed = store.prune(false, None, |engine| !evicted.contains(&engine.sidecar.key))?;
    json.line(&json!({"event": "evicted", "files": removed}))?;
    Ok(())
}

/// What one bundle's build did, as a table.
fn table(bundle: &Bundle, built: &[Built]) -> Vec<Block> {
    let m = bundle.manifest();
    let size = |value: Option<u64>| Cell::number(value.map_or_else(|| "?".to_owned(), bytes));
    let head = [
        Cell::text("component"),
        Cell::text(""),
        Cell::number("time"),
        Cell::number("engine"),
        Cell::number("weights"),
        Cell::number("scratch"),
        Cell::number("skipped"),
        Cell::number("MemAvailable"),
    ];
    let rows = built.iter().map(|Built { engine, new }| {
        let record = &engine.sidecar.build;
        [
            Cell::text(&engine.sidecar.component),
            Cell::text(if *new { "built" } else { "up to date" }),
            Cell::number(format!("{:.1} s", record.seconds)),
            Cell::number(bytes(engine.sidecar.plan.bytes)),
            size(record.weight_bytes),
            size(record.activation_bytes),
            Cell::number(record.tactics_skipped.to_string()),
            size(record.mem_available_bytes),
        ]
    });
    let mut blocks = vec![
        Block::heading(format!("{} {} {}", m.name, m.image_size, m.precision)),
        Block::Table(Table::new("build", head).with_rows(rows)),
    ];
    let skipped: u64 = built
        .iter()
        .map(|built| built.engine.sidecar.build.tactics_skipped)
        .sum();
    if skipped > 0 {
        blocks.push(Block::Notes(vec![format!(
            "{skipped} tactics were not tried because memory was short: the engines may be slower than \
             they could be. Build again with --force when more memory is free."
        )]));
    }
    blocks
}
