//! `--shard`, and `masklet merge`: one run on many machines.

use super::print;
use crate::benchmark::{Shard, ShardChoice, fingerprint, video_cost};
use crate::dataset::Split;
use crate::figures::tables::of_summary;
use crate::record::{MergeOptions, Options, merge};
use clap::Args;
use serde_json::json;
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

/// A share of a split, and what identifies it.
#[derive(Debug)]
pub struct Share {
    shard: Shard,
    fingerprint: String,
}

impl ShardArgs {
    /// Whether only a share is run.
    pub fn any(&self) -> bool {
        self.shard.is_some()
    }

    /// Leaves only the share's videos in the split; `None` where all of them are wanted.
    ///
    /// # Errors
    /// When `auto` finds no scheduler.
    pub fn select(
        &self,
        split: &mut Split,
        max_clip_frames: usize,
    ) -> anyhow::Result<Option<Share>> {
        let Some(choice) = self.shard else {
            return Ok(None);
        };
        let shard = choice.resolve(|name| std::env::var(name).ok())?;
        let cost = |video| video_cost(video, max_clip_frames);
        let videos: Vec<_> = split.videos.iter().map(cost).collect();
        let mut keeps = shard.keeps(&videos).into_iter();
        split.videos.retain(|_| keeps.next().unwrap_or(false));
        Ok(Some(Share {
            shard,
            fingerprint: fingerprint(&videos),
        }))
    }
}

impl Share {
    /// What a resumed run, and the other shares, must agree on.
    pub fn pin(share: Option<&Self>, options: &mut Options) {
        if let Some(share) = share {
            options.insert("shard".to_owned(), json!(share.shard.to_string()));
            options.insert("videos and frames".to_owned(), json!(share.fingerprint));
        }
    }

    /// The share in a line.
    pub fn describe(&self) -> String {
        format!("shard {}", self.shard)
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
    /// Join although the shards ran on different devices; times are then a mixture.
    #[arg(long)]
    anyway: bool,
}

/// Joins; the number is the exit code.
///
/// # Errors
/// [`crate::record::MergeError`] for folders that are no parts of one run.
pub fn run(args: &MergeArgs) -> anyhow::Result<u8> {
    let options = MergeOptions {
        partial: args.partial,
        anyway: args.anyway,
    };
    let merged = merge(&args.runs, &args.out, options)?;
    for warning in &merged.warnings {
        eprintln!("warning: {warning}");
    }
    super::print_blocks(&of_summary(&merged.summary))?;
    print(&format!("\nRun folder: {}\n", args.out.display()))?;
    match super::report::after_run(&args.out) {
        Ok(path) => print(&format!("Report: {}\n", path.display()))?,
        Err(why) => eprintln!("warning: {why}"),
    }
    Ok(u8::from(merged.summary.counts.failed > 0))
}
