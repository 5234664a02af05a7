//! Options that several commands share: which data, which models, how much memory.
//!
//! Upstream's own spellings (`--split_dir`, `--autocast_dtype bfloat16`) work as hidden aliases.

use super::backend::PairArgs;
use super::engines::EnginesDir;
use crate::error::{Classified, ErrorClass};
use crate::machine::SystemRoot;
use crate::spec::{Data, Engine, Free, Models};
use clap::Args;
use masklet_engines::bundle::Precision;
use masklet_engines::cuda::BlockChoice;
use masklet_engines::device::FrameStaging;
use masklet_engines::runtime::GraphMode;
use std::path::PathBuf;

/// A command line that asks for something that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Classified for UsageError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

/// Which videos and objects.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Folder of the split, in SA-V or DAVIS layout.
    #[arg(long, alias = "split_dir", value_name = "DIR")]
    pub split_dir: Option<PathBuf>,
    /// Name of the list of videos, `<split-dir>/<NAME>.txt`; without it all videos of the folder.
    #[arg(long, alias = "split_name", value_name = "NAME")]
    pub split_name: Option<String>,
    /// Only these videos, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID,…")]
    pub videos: Vec<String>,
    /// At most this many videos; 0 for all.
    #[arg(long, alias = "limit_videos", default_value_t = 0, value_name = "N")]
    pub limit_videos: usize,
    /// At most this many objects of each video; 0 for all.
    #[arg(long, alias = "limit_objects", default_value_t = 0, value_name = "N")]
    pub limit_objects: usize,
    /// Take the videos in a random order.
    #[arg(long, alias = "shuffle_videos")]
    pub shuffle_videos: bool,
    /// Seed of that order; implies --shuffle-videos.
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
}

impl DataArgs {
    /// As a spec holds it.
    pub fn spec(&self) -> Data {
        Data {
            split_dir: self.split_dir.clone(),
            split_name: self.split_name.clone(),
            videos: self.videos.clone(),
            limit_videos: self.limit_videos,
            limit_objects: self.limit_objects,
            shuffle_videos: self.shuffle_videos,
            seed: self.seed,
            ..Data::default()
        }
    }
}

/// Which models.
#[derive(Debug, Args)]
#[command(next_help_heading = "Models")]
pub struct ModelArgs {
    /// Tags `<model>_<prompt>`, separated by commas; prompts are points, bbox, mask and
    /// points_interior.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "edgetam_small_points",
        value_name = "TAG,…"
    )]
    pub models: Vec<String>,
    /// Folder of model bundles (see docs/bundle-format.md); without it the embedded bundle.
    #[arg(long, env = "MASKLET_EXPORTS", value_name = "DIR")]
    pub exports: Option<PathBuf>,
    /// Image side of the model; needed where bundles of several sizes are there.
    #[arg(long, value_name = "PIXELS")]
    pub imgsz: Option<usize>,
    /// Precision of the model; needed where bundles of several precisions are there.
    #[arg(long, alias = "autocast_dtype", value_enum)]
    pub precision: Option<Precision>,
}

impl ModelArgs {
    /// As a spec holds it.
    pub fn spec(&self) -> Models {
        Models {
            models: self.models.clone(),
            imgsz: self.imgsz,
            precision: self.precision,
        }
    }
}

/// How much memory and how many threads.
#[derive(Debug, Args)]
#[command(next_help_heading = "Resources")]
pub struct ResourceArgs {
    #[command(flatten)]
    pub pair: PairArgs,
    /// Where engines are.
    #[command(flatten)]
    pub engines: EnginesDir,
    /// Which engines, where several fit this device: the build options as `masklet engines list`
    /// prints them, such as `workspace=256MiB,tf32`; without it the default ones.
    #[arg(long, value_name = "OPTIONS")]
    pub engine_options: Option<String>,
    /// Run components from captured CUDA graphs.
    #[arg(long, value_enum, default_value_t = GraphMode::Auto, value_name = "WHEN")]
    pub cuda_graph: GraphMode,
    /// How frames reach the device.
    #[arg(long, value_enum, default_value_t = FrameStaging::Auto, value_name = "HOW")]
    pub frame_staging: FrameStaging,
    /// How the arena's one block of device memory is asked for.
    #[arg(long, value_enum, default_value_t = BlockChoice::Auto, value_name = "HOW")]
    pub arena_block: BlockChoice,
    /// Threads of a runtime that computes on the CPU; 0 for one per core.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1024))]
    pub threads: u16,
    /// Frames that may be decoded ahead of the model.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub ring_frames: u16,
    /// Refuse to start when the memory plan is larger (bytes, or with KiB, MiB, GiB).
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory_budget: Option<usize>,
}

impl ResourceArgs {
    /// What runs the models, as a spec holds it.
    pub fn engine(&self) -> Engine {
        Engine {
            device: self.pair.selection().device,
            runtime: self.pair.selection().runtime,
            engine_options: self.engine_options.clone(),
            cuda_graph: self.cuda_graph,
            frame_staging: self.frame_staging,
            arena_block: self.arena_block,
            threads: usize::from(self.threads),
            ring_frames: usize::from(self.ring_frames),
        }
    }

    /// What of it does not decide the outcome.
    pub fn free(&self) -> Free {
        Free {
            engines: self.engines.engines.clone(),
            device: self.pair.ordinal(),
            memory_budget: self.memory_budget,
            ..Free::default()
        }
    }

    /// What a backend is opened with.
    pub fn backend_options(&self) -> masklet_engines::backend::BackendOptions {
        self.engine().backend_options(&self.free())
    }
}

/// What to watch while a run goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Samples of power, clocks, temperatures and memory per second, 1 to 10; 0 for none.
    #[arg(long, default_value_t = 5, value_name = "HZ", value_parser = clap::value_parser!(u32).range(0..=10))]
    pub telemetry_hz: u32,
    /// A tree that stands in for / (for tests).
    #[arg(long, env = crate::machine::ROOT_ENV, hide = true, value_name = "DIR")]
    pub system_root: Option<PathBuf>,
}

impl TelemetryArgs {
    /// What must be said when the machine is not the one that is asked.
    pub fn notice(&self) -> Option<String> {
        let root = self.system_root.as_ref()?;
        if root.as_os_str().is_empty() || SystemRoot::at(root).is_real() {
            return None;
        }
        Some(format!(
            "STAND-IN: sensors, memory figures and the environment are read below {}; they are not \
             this machine's",
            root.display()
        ))
    }
}

/// Parses `1500`, `256MiB`, `1.5GiB`, `64k`.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        other => return Err(format!("'{other}' is not a unit; use KiB, MiB or GiB")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("'{text}' is not a size; write 512MiB, 2GiB or a number of bytes"))?;
    Ok((number * scale) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_refuse_nonsense() {
        assert_eq!(parse_size("1500"), Ok(1500));
        assert_eq!(parse_size("256MiB"), Ok(256 << 20));
        assert_eq!(parse_size("1.5 GiB"), Ok(3 << 29));
        assert!(parse_size("12 apples").unwrap_err().contains("apples"));
        assert!(parse_size("MiB").is_err());
    }
}
