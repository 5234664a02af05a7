//! `masklet bundle inspect`: what a bundle is, after checking all of it.

use super::print;
use clap::{Args, Subcommand};
use masklet_engines::bundle::Bundle;
use std::fmt::Write;
use std::path::PathBuf;

/// `masklet bundle`.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// What to do with bundles.
    #[command(subcommand)]
    pub command: BundleCommand,
}

/// Commands on bundles.
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Check a bundle against its manifest, hashes and graphs, and describe it.
    Inspect(InspectArgs),
}

/// `masklet bundle inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Folder of the bundle; without it the embedded one.
    pub folder: Option<PathBuf>,
    /// Print the manifest as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the bundle is damaged.
pub fn bundle(args: &BundleArgs) -> anyhow::Result<u8> {
    let BundleCommand::Inspect(args) = &args.command;
    let bundle = match &args.folder {
        Some(folder) => Bundle::open(folder)?,
        None => Bundle::embedded()?,
    };
    let m = bundle.manifest();
    if args.json {
        print(&(serde_json::to_string_pretty(m)? + "\n"))?;
        return Ok(0);
    }
    let mut out = String::new();
    let d = &m.dims;
    writeln!(
        out,
        "{} ({} {}), format {}",
        m.name, m.family, m.variant, m.format
    )?;
    writeln!(out, "  from       {}", bundle.origin())?;
    writeln!(out, "  manifest   SHA-256 {}", bundle.sha256())?;
    writeln!(out, "  weights    {}", m.weights.describe())?;
    writeln!(
        out,
        "  input      {0} x {0}, computed in {1}, stored in {2}, {3} object(s) per call",
        m.image_size, m.precision, m.weight_storage, m.objects_per_batch
    )?;
    writeln!(
        out,
        "  dimensions hidden {}, memory {} x {} tokens, {} memories, {} pointers, {} prompt slots",
        d.hidden, d.memory, d.tokens_per_memory, d.memory_slots, d.pointer_slots, d.prompt_slots
    )?;
    match &m.check {
        Some(check) => writeln!(
            out,
            "  exporter   checked: components within {:.1e} of the reference's spread, mask IoU at \
             least {:.5} over {} frames",
            check.components_max_rel, check.clip_min_iou, check.frames
        )?,
        None => writeln!(out, "  exporter   wrote this bundle without checking it")?,
    }
    for entry in &m.component {
        writeln!(
            out,
            "  {:<15} {} (SHA-256 ok, graph ok)",
            entry.name, entry.file
        )?;
        for (arrow, specs) in [("<-", &entry.inputs), ("->", &entry.outputs)] {
            for spec in specs {
                writeln!(out, "    {arrow} {spec}")?;
            }
        }
    }
    print(&out)?;
    Ok(0)
}
