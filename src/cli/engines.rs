//! `masklet engines`: what is in the engines folder, whether it is whole, and tidying it.

use super::print;
use crate::error::{Classified, ErrorClass};
use crate::figures::stats::bytes;
use crate::render::{Block, Cell, Table};
use clap::{Args, Subcommand};
use masklet_engines::bundle::BundleStore;
use masklet_engines::engine::{Device, EngineStore, StoredEngine};
use masklet_engines::tensorrt::{self, driver};
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
    /// Check every engine against size and hash of its record.
    Verify(VerifyArgs),
    /// Remove engines that no bundle or this device has a use for.
    Prune(PruneArgs),
}

/// `masklet engines list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    dir: EnginesDir,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
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

/// Engines that are no good.
#[derive(Debug, thiserror::Error)]
#[error("{bad} of {all} engines are no good: masklet build --force builds them again")]
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
        EnginesCommand::Verify(args) => verify(args),
        EnginesCommand::Prune(args) => prune(args),
    }
}

/// What would load engines here, or why nothing would.
fn here() -> Result<Device, String> {
    let identity = driver::device(0).map_err(|error| error.to_string())?;
    let library = tensorrt::load(None).map_err(|error| error.to_string())?;
    Ok(Device::new(&library, identity))
}

fn list(args: &ListArgs) -> anyhow::Result<u8> {
    let store = EngineStore::open(args.dir.engines.as_deref());
    let engines = store.list();
    let device = here();
    if args.json {
        let all: Vec<_> = engines
            .iter()
            .map(|engine| {
                serde_json::json!({
                    "path": engine.plan_path(),
                    "runs_here": device.as_ref().is_ok_and(|d| engine.fits(d).is_ok()),
                    "sidecar": engine.sidecar,
                })
            })
            .collect();
        print(&(serde_json::to_string_pretty(&all)? + "\n"))?;
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
        .list()
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

fn verify(args: &VerifyArgs) -> anyhow::Result<u8> {
    let store = EngineStore::open(args.dir.engines.as_deref());
    let all = store.list().len();
    let problems = store.verify();
    for problem in &problems {
        print(&format!("{}\n", problem.error))?;
    }
    if !problems.is_empty() {
        let bad = problems.len();
        return Err(VerifyError {
            bad,
            all: all.max(bad),
        }
        .into());
    }
    print(&format!("{all} engines, all whole\n"))?;
    Ok(0)
}

fn prune(args: &PruneArgs) -> anyhow::Result<u8> {
    let store = EngineStore::open(args.dir.engines.as_deref());
    let device = if args.other_devices {
        Some(here().map_err(|reason| {
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
    let removed = store.prune(args.dry_run, |engine| {
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
