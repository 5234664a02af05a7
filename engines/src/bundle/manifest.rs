//! `bundle.toml`: what an export says about itself. Plain data, no checks beyond the syntax.

use super::BundleError;
use crate::tensor::TensorSpec;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The format version that this library reads.
pub const FORMAT: u32 = 2;

/// Model family; decides which image sizes are possible and how memories are shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// EdgeTAM (arXiv 2501.07256): memories compressed by a 2-D spatial perceiver.
    EdgeTam,
    /// SAM 2 and 2.1 (arXiv 2408.00714): one memory token per feature position.
    Sam2,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EdgeTam => "edgetam",
            Self::Sam2 => "sam2",
        })
    }
}

/// Arithmetic of the graphs, or the storage of their weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE 754 binary32.
    #[cfg_attr(feature = "clap", value(alias = "float32"))]
    Fp32,
    /// IEEE 754 binary16.
    #[cfg_attr(feature = "clap", value(alias = "float16"))]
    Fp16,
    /// bfloat16.
    #[cfg_attr(feature = "clap", value(alias = "bfloat16"))]
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
        })
    }
}

/// How a frame becomes the `image` tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Channel order; only `rgb` is known.
    pub color_order: String,
    /// Per-channel mean of values in 0..1.
    pub mean: [f32; 3],
    /// Per-channel standard deviation of values in 0..1.
    pub std: [f32; 3],
    /// Resize rule; only `stretch` is known.
    pub resize: String,
    /// Interpolation; only `bilinear-antialias` is known.
    pub interpolation: String,
}

/// The dimensions of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dims {
    /// C: width of features and object pointers.
    pub hidden: usize,
    /// D: width of memory tokens.
    pub memory: usize,
    /// T: tokens per memory.
    pub tokens_per_memory: usize,
    /// M: memories attended to, the conditioning frame's included.
    pub memory_slots: usize,
    /// P: object pointers attended to, the conditioning frame's included.
    pub pointer_slots: usize,
    /// N: points of a prompt, the padding point included.
    pub prompt_slots: usize,
}

/// Number format in which the reference keeps memories between frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredAs {
    /// As they come out.
    Fp32,
    /// Rounded to bfloat16, as transformers' SAM 2 does.
    Bf16,
}

/// How memories are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRules {
    /// Rounding applied when a memory is stored.
    pub stored_as: StoredAs,
}

/// Where weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightSource {
    /// Drawn at random from a seed: masks mean nothing.
    RandomInit,
    /// Converted from a published checkpoint.
    Checkpoint,
    /// Trained by this project.
    Trained,
}

/// Weights of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Where they come from.
    pub source: WeightSource,
    /// Seed of a random initialisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// File name of the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Weights {
    /// One sentence for reports; random weights say so plainly.
    pub fn describe(&self) -> String {
        match self.source {
            WeightSource::RandomInit => format!(
                "random-init weights (seed {}): speed and memory are real, masks and scores mean nothing",
                self.seed.map_or("unknown".to_owned(), |s| s.to_string())
            ),
            WeightSource::Checkpoint => format!(
                "weights from {} (SHA-256 {})",
                self.file.as_deref().unwrap_or("a checkpoint"),
                self.sha256.as_deref().unwrap_or("not recorded")
            ),
            WeightSource::Trained => {
                "weights trained by this project on synthetic video".to_owned()
            }
        }
    }
}

/// What made the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exporter {
    /// Version of tools/export.
    pub version: String,
    /// Version of PyTorch.
    pub torch: String,
    /// Version of transformers.
    pub transformers: String,
    /// Version of onnx.
    pub onnx: String,
}

/// What the exporter measured before it wrote the bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRecord {
    /// Worst difference of any component output over the reference's spread.
    pub components_max_rel: f64,
    /// Worst mask IoU against the reference over the clip.
    pub clip_min_iou: f64,
    /// Frames of the clip.
    pub frames: usize,
}

/// One component of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentEntry {
    /// The component's name in the contract.
    pub name: String,
    /// File name inside the bundle.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Inputs, in the contract's order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs, in the contract's order.
    pub outputs: Vec<TensorSpec>,
}

/// The whole manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version.
    pub format: u32,
    /// The model's part of a tag.
    pub name: String,
    /// Model family.
    pub family: Family,
    /// Size within the family.
    pub variant: String,
    /// S: side of the square model input in pixels.
    pub image_size: usize,
    /// Arithmetic of the graphs.
    pub precision: Precision,
    /// Number format of the stored weights.
    pub weight_storage: Precision,
    /// B: objects per call.
    pub objects_per_batch: usize,
    /// From frame to tensor.
    pub preprocess: Preprocess,
    /// Dimensions.
    pub dims: Dims,
    /// How memories are kept.
    pub memory: MemoryRules,
    /// Where the weights come from.
    pub weights: Weights,
    /// What made the bundle.
    pub exporter: Exporter,
    /// What was checked; absent when the exporter was told to skip it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckRecord>,
    /// The components.
    pub component: Vec<ComponentEntry>,
}

/// Just the version, read first: other versions have other keys.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Manifest {
    /// Parses `bundle.toml`; `bundle` names the bundle in errors.
    ///
    /// # Errors
    /// Syntax, unknown keys, or a version of another time.
    pub fn parse(bundle: &str, text: &str) -> Result<Self, BundleError> {
        let syntax = |error: toml::de::Error| BundleError::Syntax {
            bundle: bundle.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        };
        let version: Version = toml::from_str(text).map_err(syntax)?;
        if version.format != FORMAT {
            return Err(BundleError::UnknownVersion {
                bundle: bundle.to_owned(),
                found: version.format,
                known: FORMAT,
            });
        }
        toml::from_str(text).map_err(syntax)
    }

    /// g: side of the coarsest feature map.
    pub fn feature_side(&self) -> usize {
        self.image_size / 16
    }

    /// Side of the low-resolution mask, S/4.
    pub fn mask_side(&self) -> usize {
        4 * self.feature_side()
    }
}
