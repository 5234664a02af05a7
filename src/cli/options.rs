//! Options that several commands share: which data, which models, how much memory.
//!
//! Upstream's own spellings (`--split_dir`, `--autocast_dtype bfloat16`) work as hidden aliases.

use super::engines::EnginesDir;
use crate::clip::JpegBy;
use crate::dataset::prompts::{ModelTag, PromptKind};
use crate::dataset::{Split, SplitOptions};
use crate::error::{Classified, ErrorClass};
use clap::{Args, ValueEnum};
use masklet_engines::backend::{
    self, Availability, BackendError, BackendKind, BackendOptions, FrameLimits, FrameStaging,
    GraphMode,
};
use masklet_engines::bundle::{Bundle, BundleError, BundleStore, Precision, Wanted};
use masklet_engines::cuda::BlockChoice;
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
    /// Seed of that order; asks for it by itself.
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
}

impl DataArgs {
    /// Whether anything but the folder was given: a list, names, limits, an order.
    pub fn selects(&self) -> bool {
        self.split_name.is_some()
            || !self.videos.is_empty()
            || self.limit_videos > 0
            || self.limit_objects > 0
            || self.shuffle_videos
            || self.seed.is_some()
    }

    /// Reads the split.
    ///
    /// # Errors
    /// When the folder is not a split.
    pub fn open(&self) -> anyhow::Result<Split> {
        let dir = self
            .split_dir
            .as_deref()
            .ok_or_else(|| UsageError("--split-dir DIR is missing".to_owned()))?;
        Ok(Split::open(
            dir,
            &SplitOptions {
                split_name: self.split_name.clone(),
                videos: self.videos.clone(),
                limit_videos: self.limit_videos,
                limit_objects: self.limit_objects,
                shuffle: self.shuffle_videos || self.seed.is_some(),
                seed: self.seed.unwrap_or(0),
            },
        )?)
    }
}

/// Arithmetic of the graphs, in masklet's and in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// bfloat16.
    #[value(alias = "bfloat16")]
    Bf16,
    /// IEEE half precision.
    #[value(alias = "float16")]
    Fp16,
    /// IEEE single precision.
    #[value(alias = "float32")]
    Fp32,
}

impl From<PrecisionArg> for Precision {
    fn from(arg: PrecisionArg) -> Self {
        match arg {
            PrecisionArg::Bf16 => Self::Bf16,
            PrecisionArg::Fp16 => Self::Fp16,
            PrecisionArg::Fp32 => Self::Fp32,
        }
    }
}

/// What runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    /// TensorRT where a device and engines are there, else the CPU.
    Auto,
    /// TensorRT on a CUDA device, with engines made by `masklet build`.
    #[value(name = "tensorrt")]
    TensorRt,
    /// The CPU.
    Cpu,
}

/// Whether components run from captured CUDA graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphArg {
    /// Where capturing works.
    Auto,
    /// Always; a component that cannot be captured is an error.
    On,
    /// Never.
    Off,
}

/// How the bytes of a frame reach the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StagingArg {
    /// On an integrated device the faster of the two, measured; elsewhere copied.
    Auto,
    /// Copied.
    Copy,
    /// Read where the host wrote them.
    InPlace,
}

/// How the arena's block is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockArg {
    /// As one plain allocation; where the driver refuses it, in chunks behind one range of addresses.
    Auto,
    /// As one plain allocation.
    Plain,
    /// In chunks.
    Chunks,
}

/// Who decodes JPEG frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JpegArg {
    /// The CPU, ahead of the model.
    Cpu,
    /// nvJPEG on the GPU, ahead of the model and beside it; its pixels may differ a little from the CPU's.
    Nvjpeg,
}

impl From<JpegArg> for JpegBy {
    fn from(arg: JpegArg) -> Self {
        match arg {
            JpegArg::Cpu => Self::Cpu,
            JpegArg::Nvjpeg => Self::Nvjpeg,
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
    pub precision: Option<PrecisionArg>,
}

/// The tags of one bundle.
#[derive(Debug)]
pub struct ModelRun {
    /// The bundle, opened and checked.
    pub bundle: Bundle,
    /// Its tags with their prompt kinds, in the order asked for.
    pub tags: Vec<(String, PromptKind)>,
}

impl ModelArgs {
    /// Opens every bundle that the tags name, each once.
    ///
    /// # Errors
    /// For a tag that does not parse, and for a bundle that is missing or damaged.
    pub fn open(&self) -> anyhow::Result<Vec<ModelRun>> {
        self.open_as(|tag| Ok((tag.to_owned(), tag.parse()?)))
    }

    /// Opens every bundle once for prompts that were given. Of a tag only the model counts: a
    /// prompt kind at its end is left out. The tag of the rows is `<model>_given`.
    ///
    /// # Errors
    /// For a bundle that is missing or damaged.
    pub fn open_given(&self) -> anyhow::Result<Vec<ModelRun>> {
        self.open_as(|tag| {
            let parsed: Result<ModelTag, _> = tag.parse();
            let model = parsed.map_or_else(|_| tag.to_owned(), |tag| tag.model);
            // The kind plays no part: what was given is taken.
            let prompt = PromptKind::Points;
            Ok((format!("{model}_given"), ModelTag { model, prompt }))
        })
    }

    fn open_as(
        &self,
        read: impl Fn(&str) -> anyhow::Result<(String, ModelTag)>,
    ) -> anyhow::Result<Vec<ModelRun>> {
        let store = BundleStore::new(self.exports.clone());
        let mut runs: Vec<(String, ModelRun)> = Vec::new();
        for tag in self.models.iter().filter(|tag| !tag.is_empty()) {
            let (
                tag,
                ModelTag {
                    model,
                    prompt: kind,
                },
            ) = read(tag)?;
            if let Some((_, run)) = runs.iter_mut().find(|(name, _)| *name == model) {
                if run.tags.iter().all(|(known, _)| *known != tag) {
                    run.tags.push((tag, kind));
                }
                continue;
            }
            let wanted = Wanted {
                name: model.clone(),
                image_size: self.imgsz,
                precision: self.precision.map(Precision::from),
            };
            let bundle = store.open(&wanted).map_err(|error| match error {
                // Nothing is damaged: something was asked for that is not there.
                BundleError::NotFound { .. } | BundleError::Ambiguous { .. } => {
                    anyhow::Error::new(UsageError(error.to_string()))
                }
                BundleError::ImageSize { size, .. } if self.imgsz == Some(size) => {
                    anyhow::Error::new(UsageError(error.to_string()))
                }
                error => error.into(),
            })?;
            let tags = vec![(tag, kind)];
            runs.push((model, ModelRun { bundle, tags }));
        }
        if runs.is_empty() {
            return Err(UsageError("--models names no model".to_owned()).into());
        }
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }
}

/// How much memory and how many threads.
#[derive(Debug, Args)]
#[command(next_help_heading = "Resources")]
pub struct ResourceArgs {
    /// What runs the model.
    #[arg(long, value_enum, default_value_t = BackendArg::Auto)]
    pub backend: BackendArg,
    /// Where engines are.
    #[command(flatten)]
    pub engines: EnginesDir,
    /// Ordinal of the CUDA device.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub device: usize,
    /// Run components from captured CUDA graphs.
    #[arg(long, value_enum, default_value_t = GraphArg::Auto, value_name = "WHEN")]
    pub cuda_graph: GraphArg,
    /// How frames reach the device.
    #[arg(long, value_enum, default_value_t = StagingArg::Auto, value_name = "HOW")]
    pub frame_staging: StagingArg,
    /// How the arena's one block of device memory is asked for.
    #[arg(long, value_enum, default_value_t = BlockArg::Auto, value_name = "HOW")]
    pub arena_block: BlockArg,
    /// Threads of the CPU backend; 0 for one per core.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
    /// Frames that may be decoded ahead of the model.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub ring_frames: u16,
    /// Refuse to start when the memory plan is larger (bytes, or with KiB, MiB, GiB).
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory_budget: Option<usize>,
}

impl ResourceArgs {
    /// What a backend is opened with.
    pub fn backend_options(&self) -> BackendOptions {
        BackendOptions {
            threads: self.threads(),
            engines: self.engines.engines.clone(),
            device: self.device,
            graphs: match self.cuda_graph {
                GraphArg::Auto => GraphMode::Auto,
                GraphArg::On => GraphMode::On,
                GraphArg::Off => GraphMode::Off,
            },
            staging: match self.frame_staging {
                StagingArg::Auto => FrameStaging::Auto,
                StagingArg::Copy => FrameStaging::Copy,
                StagingArg::InPlace => FrameStaging::InPlace,
            },
            block: match self.arena_block {
                BlockArg::Auto => BlockChoice::Auto,
                BlockArg::Plain => BlockChoice::Plain,
                BlockArg::Chunks => BlockChoice::Chunks,
            },
        }
    }

    /// The backend for these models; with it, why `auto` left a device that is there unused.
    ///
    /// # Errors
    /// When the backend that was asked for is not there.
    pub fn choose(&self, models: &[ModelRun]) -> anyhow::Result<(BackendKind, Option<String>)> {
        match self.backend {
            BackendArg::Cpu => Ok((BackendKind::Cpu, None)),
            BackendArg::TensorRt => match backend::availability(BackendKind::TensorRt) {
                Availability::Available => Ok((BackendKind::TensorRt, None)),
                Availability::Unavailable(reason) => Err(BackendError::Unavailable {
                    kind: BackendKind::TensorRt,
                    reason,
                }
                .into()),
            },
            BackendArg::Auto => {
                let there = backend::availability(BackendKind::TensorRt);
                if there != Availability::Available {
                    return Ok((BackendKind::Cpu, None));
                }
                let options = self.backend_options();
                let limits = FrameLimits::default();
                for model in models {
                    let prepared =
                        backend::prepare(BackendKind::TensorRt, &model.bundle, &options, limits, 1);
                    if let Err(error) = prepared {
                        return Ok((BackendKind::Cpu, Some(error.to_string())));
                    }
                }
                Ok((BackendKind::TensorRt, None))
            }
        }
    }

    /// Threads of the CPU backend.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
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
