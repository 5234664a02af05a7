//! `masklet synth`: a synthetic split on disk.

use super::print;
use crate::dataset::synth::{Recipe, make};
use clap::Args;
use std::path::PathBuf;

/// `masklet synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Folder to make the split in.
    pub out: PathBuf,
    /// Number of videos.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub videos: usize,
    /// Frames of each video, at 24 per second.
    #[arg(long, default_value_t = 48, value_name = "N")]
    pub frames: usize,
    /// Size of the videos.
    #[arg(long, default_value = "320x240", value_name = "WIDTHxHEIGHT", value_parser = super::plan::parse_frame_size)]
    pub size: (usize, usize),
    /// Objects of each video; 3, 2, 4 and 1 in turn without it.
    #[arg(long, value_name = "N")]
    pub objects: Option<usize>,
    /// Seed: the same seed gives the same bytes.
    #[arg(long, default_value_t = 7, value_name = "SEED")]
    pub seed: u64,
    /// Name of the list of videos.
    #[arg(long, default_value = "synth", value_name = "NAME")]
    pub split_name: String,
    /// Replace a split that is there already.
    #[arg(long)]
    pub force: bool,
}

/// Makes the split and says what is in it.
///
/// # Errors
/// When the recipe is impossible or the folder cannot be written.
pub fn synth(args: SynthArgs) -> anyhow::Result<()> {
    let recipe = Recipe {
        videos: args.videos,
        frames: args.frames,
        width: args.size.0,
        height: args.size.1,
        objects: args.objects,
        seed: args.seed,
        split_name: args.split_name,
    };
    let videos = make(&args.out, &recipe, args.force)?;
    let objects: usize = videos.iter().map(|v| v.objects.len()).sum();
    print(&format!(
        "{}: {} videos of {} frames at {}x{}, {objects} objects, seed {}\n",
        args.out.display(),
        videos.len(),
        recipe.frames,
        recipe.width,
        recipe.height,
        recipe.seed
    ))?;
    Ok(())
}
