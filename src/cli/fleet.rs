//! `--shard`, and `masklet merge`: one run on many machines.

use super::show;
use crate::error::Result;
use crate::figures::tables::of_summary;
use crate::record::audit::Loss;
use crate::record::{MergeOptions, merge};
use crate::spec::{Shard, ShardChoice};
use clap::Args;
use std::path::PathBuf;

/// Which share of the videos.
#[derive(Debug, Args)]
pub struct ShardArgs {
    /// Run only the K-th of N shares of the videos, K from 1 to N; shares cost about the same
    /// (frames times objects), and the run folders are joined with `masklet merge`. `auto` takes
    /// the share from a Slurm array job, `auto/N` also from a Kubernetes indexed job.
    #[arg(long, value_name = "K/N|auto")]
    shard: Option<ShardChoice>,
}

impl ShardArgs {
    /// The share; `None` where all videos are wanted.
    ///
    /// # Errors
    /// When `auto` finds no scheduler.
    pub fn resolve(&self) -> Result<Option<Shard>> {
        let choice = self.shard;
        choice
            .map(|choice| choice.resolve(|name| std::env::var(name).ok()))
            .transpose()
    }
}

/// Join the run folders of a sharded run into one.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Run folders, one per shard, in any order.
    #[arg(required = true, value_name = "DIR")]
    runs: Vec<PathBuf>,
    /// The run folder to make; it must not be there yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Join although shards are missing or not finished.
    #[arg(long)]
    partial: bool,
    /// Join although a part lacks these: rows that its run.json counts, or masks and overlays that
    /// its rows name.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    accept_missing: Vec<Loss>,
    /// Join although the shards ran on different devices; times are then a mixture.
    #[arg(long)]
    anyway: bool,
}

/// Joins; the number is the exit code.
///
/// # Errors
/// Folders that are not parts of one run, or lack something.
pub fn run(args: &MergeArgs) -> anyhow::Result<u8> {
    let options = MergeOptions {
        partial: args.partial,
        accepted: args.accept_missing.clone(),
        anyway: args.anyway,
    };
    let merged = merge(&args.runs, &args.out, &options)?;
    for warning in &merged.warnings {
        super::warn(&format!("warning: {warning}"));
    }
    super::show_blocks(&of_summary(&merged.summary));
    show(&format!("\nRun folder: {}\n", args.out.display()));
    match super::report::after_run(&args.out) {
        Ok(path) => show(&format!("Report: {}\n", path.display())),
        Err(why) => super::warn(&format!("warning: {why}")),
    }
    Ok(u8::from(merged.summary.counts.failed > 0))
}
