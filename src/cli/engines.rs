//! `masklet engines`: what the engines folder contains, whether it is whole, whether it has what
//! models need here, and tidying it.

use super::json::JsonArg;
use super::print;
use super::select::BundleSelection;
use crate::error::{Classified, ErrorClass};
use crate::figures::stats::bytes;
use crate::render::{Block, Cell, Table};
use clap::{Args, Subcommand};
use masklet_engines::bundle::BundleStore;
use masklet_engines::engine::{
    ComponentState, Device, EngineError, EngineState, EngineStore, StoredEngine, readiness,
};
use masklet_engines::tensorrt::{self, driver};
use serde_json::json;
use std::path::PathBuf;

/// Where engines are.
#[derive(Debug, Args)]
pub struct EnginesDir {
    /// Folder of engines; without it MASKLET_ENGINES, /var/lib/masklet/engines for root, or
    /// ~/.cache/masklet/engines.
    #[arg(long, env = "MASKLET_ENGINES", value_name = "DIR")]
    pub engines: Option<PathBuf>,
}

/// `masklet engines`.
#[derive(Debug, Args)]
pub struct EnginesArgs {
    /// What to do with engines.
    #[command(subcommand)]
    pub command: EnginesCommand,
}

/// Commands on engines.
#[derive(Debug, Subcommand)]
pub enum EnginesCommand {
    /// List all engines, and whether this machine can run them.
    List(ListArgs),
    /// Print everything that is known about engines: what they were built of, with what, and what
    /// building showed.
    Inspect(InspectArgs),
    /// Check whether this device has the engines that models need: missing, stale, damaged, built
    /// for another module. Exit code 3 when it has not.
    Check(CheckArgs),
    /// Check every existing engine against size and hash of its record.
    Verify(VerifyArgs),
    /// Remove engines that are damaged or that no bundle or this device has a use for.
    Prune(PruneArgs),
}

/// `masklet engines list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    dir: EnginesDir,
    #[command(flatten)]
    json: JsonArg,
}

/// `masklet engines check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    bundles: BundleSelection,
    #[command(flatten)]
    dir: EnginesDir,
    /// Ordinal of the CUDA device.
    #[arg(long, default_value_t = 0, value_name = "N")]
    device: usize,
    /// The build options of the engines, as `masklet engines list` prints them; without it the
    /// default ones where several engines fit.
    #[arg(long, value_name = "OPTIONS")]
    engine_options: Option<String>,
    /// Read every plan and compare it with its hash; without it no plan is opened.
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    json: JsonArg,
}

/// `masklet engines inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Beginning of a key, or a model's or component's name; without it all.
    pub which: Option<String>,
    #[command(flatten)]
    dir: EnginesDir,
}

/// `masklet engines verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    dir: EnginesDir,
    #[command(flatten)]
    json: JsonArg,
}

/// `masklet engines prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    #[command(flatten)]
    dir: EnginesDir,
    /// Keep engines of the bundles in this folder (and of the embedded one); without it of every
    /// bundle.
    #[arg(long, env = "MASKLET_EXPORTS", value_name = "DIR")]
    exports: Option<PathBuf>,
    /// Remove engines that this machine's TensorRT and GPU cannot run, too.
    #[arg(long)]
    other_devices: bool,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

/// Engines that are damaged.
#[derive(Debug, thiserror::Error)]
#[error(
    "{bad} of {all} engines are damaged: masklet build builds those again that this device needs, \
     masklet engines prune removes the others"
)]
pub struct VerifyError {
    bad: usize,
    all: usize,
}

impl Classified for VerifyError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Data
    }
}

/// Runs the command.
///
/// # Errors
/// When engines are damaged, or the folder cannot be read or written.
pub fn engines(args: &EnginesArgs) -> anyhow::Result<u8> {
    match &args.command {
        EnginesCommand::List(args) => list(args),
        EnginesCommand::Inspect(args) => inspect(args),
        EnginesCommand::Check(args) => check(args),
        EnginesCommand::Verify(args) => verify(args),
        EnginesCommand::Prune(args) => prune(args),
    }
}

/// What would load engines here, or why nothing would.
fn here(ordinal: usize) -> Result<Device, EngineError> {
    let ordinal = i32::try_from(ordinal).unwrap_or(i32::MAX);
    let identity = driver::device(ordinal)?;
    let library = tensorrt::load(None)?;
    Ok(Device::new(&library, identity))
}

fn list(args: &ListArgs) -> anyhow::Result<u8> {
    let store = EngineStore::open(args.dir.engines.as_deref());
    let engines = store.list()?;
    let device = here(0);
    let json = args.json.open(false)?;
    if !matches!(json, super::json::JsonOutput::None) {
        let all: Vec<_> = engines
            .iter()
            .map(|engine| {
                serde_json::json!({
                    "path": engine.plan_path(),
                    "runs_here": device.as_ref().is_ok_and(|d| engine.fits(d).is_ok()),
                    "options": engine.options().to_string(),
                    "sidecar": engine.sidecar,
                })
            })
            .collect();
        json.document(&all)?;
        return Ok(0);
    }
    if engines.is_empty() {
        print(&format!(
            "No engines in {}; masklet build makes them.\n",
            store.folder().display()
        ))?;
        return Ok(0);
    }
    let head = [
        Cell::text("key"),
        Cell::text("model"),
        Cell::text("component"),
        Cell::number("size"),
        Cell::text("built by"),
        Cell::text("options"),
        Cell::text("for"),
    ];
    let rows = engines.iter().map(|engine| {
        let s = &engine.sidecar;
        [
            Cell::text(s.key.short()),
            Cell::text(format!(
                "{} {} {}",
                s.model, s.image_size, s.fields.precision
            )),
            Cell::text(&s.component),
            Cell::number(bytes(s.plan.bytes)),
            Cell::long(s.fields.tensorrt.to_string()),
            Cell::text(s.fields.options.to_string()),
            Cell::text(s.fields.target.to_string()),
        ]
    });
    let fitting = match &device {
        Ok(device) => {
            let fitting = engines.iter().filter(|e| e.fits(device).is_ok()).count();
            format!(
                "{fitting} of {} run here ({}, {})",
                engines.len(),
                device.tensorrt,
                device.identity.name
            )
        }
        Err(reason) => format!("None runs here: {reason}"),
    };
    super::print_blocks(&[
        Block::Table(Table::new("engines", head).with_rows(rows)),
        Block::Paragraph(fitting),
    ])?;
    Ok(0)
}

fn inspect(args: &InspectArgs) -> anyhow::Result<u8> {
    let store = EngineStore::open(args.dir.engines.as_deref());
    let chosen: Vec<StoredEngine> = store
        .list()?
        .into_iter()
        .filter(|engine| {
            let s = &engine.sidecar;
            args.which.as_deref().is_none_or(|which| {
                s.key.to_string().starts_with(which) || s.model == which || s.component == which
            })
        })
        .collect();
    if chosen.is_empty() {
        return Err(super::options::UsageError(format!(
            "no engine in {} fits '{}'; masklet engines list shows all",
            store.folder().display(),
            args.which.as_deref().unwrap_or("")
        ))
        .into());
    }
    let sidecars: Vec<_> = chosen.iter().map(|engine| &engine.sidecar).collect();
    print(&(serde_json::to_string_pretty(&sidecars)? + "\n"))?;
    Ok(0)
}

/// One word for a bundle: the components' own where they agree, `incomplete` where some are ready,
/// else the first that is not missing.
fn bundle_state(components: &[ComponentState]) -> EngineState {
    let states = || components.iter().map(|component| component.state);
    let first = states().next().unwrap_or(EngineState::Missing);
    if states().all(|state| state == first) {
        return first;
    }
    if states().any(|state| state == EngineState::Ready) {
        return EngineState::Incomplete;
    }
    states()
        .find(|&state| state != EngineState::Missing)
        .unwrap_or(first)
}

fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let json = args.json.open(false)?;
    let chosen = args.bundles.choose()?;
    let store = EngineStore::open(args.dir.engines.as_deref());
    let place = store.folder().display().to_string();
    let device = match here(args.device) {
        Ok(device) => device,
        Err(error) => {
            json.document(&json!({
                "ready": false, "engines": place, "error": error.to_string(),
            }))?;
            return Err(error.into());
        }
    };
    let mut ready = true;
    let mut bundles = Vec::new();
    let mut text = String::new();
    for chosen in chosen {
        let manifest = match chosen.manifest {
            Ok(manifest) => manifest,
            Err(error) => {
                ready = false;
                text += &format!("{}: {error}\n", chosen.name);
                bundles.push(json!({"bundle": chosen.name, "error": error.to_string()}));
                continue;
            }
        };
        let options = args.engine_options.as_deref();
        let components = readiness(&store, &manifest, &device, options, args.deep)?;
        let state = bundle_state(&components);
        ready &= state == EngineState::Ready;
        text += &format!("{}: {}\n", chosen.name, state.name());
        for component in components.iter().filter(|c| c.state != EngineState::Ready) {
            let reason = component.reason.as_deref();
            text += &format!(
                "  {:<15} {}{}\n",
                component.component,
                component.state.name(),
                reason.map_or_else(String::new, |reason| format!(": {reason}"))
            );
        }
        bundles.push(json!({
            "bundle": chosen.name, "state": state, "components": components,
        }));
    }
    json.document(&json!({
        "ready": ready, "engines": place, "deep": args.deep,
        "tensorrt": device.tensorrt.to_string(),
        "device": masklet_engines::engine::DeviceFields::of(&device.identity),
        "bundles": bundles,
    }))?;
    if !json.takes_stdout() {
        print(&text)?;
    }
    if ready {
        return Ok(0);
    }
    if !json.takes_stdout() {
        eprintln!("Error: engines are not ready in {place}; masklet build builds what is needed");
    }
    Ok(ErrorClass::Environment.exit_code())
}

fn verify(args: &VerifyArgs) -> anyhow::Result<u8> {
    let json = args.json.open(false)?;
    let store = EngineStore::open(args.dir.engines.as_deref());
    let verified = store.verify()?;
    let (whole, bad) = (verified.whole, verified.problems.len());
    let problems: Vec<_> = verified
        .problems
        .iter()
        .map(|problem| json!({"path": problem.path, "error": problem.error.to_string()}))
        .collect();
    json.document(&json!({"whole": whole, "damaged": bad, "problems": problems}))?;
    if !json.takes_stdout() {
        for problem in &verified.problems {
            print(&format!("{}\n", problem.error))?;
        }
    }
    if bad > 0 {
        let all = whole + bad;
        return Err(VerifyError { bad, all }.into());
    }
    if !json.takes_stdout() {
        print(&format!("{whole} engines, all whole\n"))?;
    }
    Ok(0)
}

fn prune(args: &PruneArgs) -> anyhow::Result<u8> {
    let store = EngineStore::open(args.dir.engines.as_deref());
    let device = if args.other_devices {
        Some(here(0).map_err(|reason| {
            super::options::UsageError(format!(
                "--other-devices needs to know this one's device: {reason}"
            ))
        })?)
    } else {
        None
    };
    // Without --exports there is no saying which bundles are still wanted.
    let wanted: Option<Vec<String>> = match &args.exports {
        Some(exports) => Some(
            BundleStore::new(Some(exports.clone()))
                .list()?
                .into_iter()
                .flat_map(|(_, manifest)| manifest.component)
                .map(|entry| entry.sha256)
                .collect(),
        ),
        None => None,
    };
    let removed = store.prune(args.dry_run, device.as_ref(), |engine| {
        let of_bundle = wanted
            .as_ref()
            .is_none_or(|all| all.contains(&engine.sidecar.fields.onnx_sha256));
        of_bundle && device.as_ref().is_none_or(|d| engine.fits(d).is_ok())
    })?;
    let mut text = String::new();
    for path in &removed {
        text += &format!("{}\n", path.display());
    }
    text += &format!(
        "{} {} files\n",
        if args.dry_run {
            "would remove"
        } else {
            "removed"
        },
        removed.len()
    );
    print(&text)?;
    Ok(0)
}
