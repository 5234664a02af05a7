//! What identifies an engine: everything that decides what TensorRT makes of a graph.

use crate::bundle::Precision;
use crate::tensor::TensorSpec;
use crate::tensorrt::{BuildOptions, DeviceIdentity, Flavour, Library, ProfilingVerbosity, Target};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Raised when the meaning of a field changes.
const KEY_FORMAT: u32 = 1;

/// The TensorRT that builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorRtFields {
    /// TensorRT or TensorRT-RTX.
    pub flavour: Flavour,
    /// The library's version with its build number.
    pub version: String,
}

impl TensorRtFields {
    /// Of a loaded library.
    pub fn of(library: &Library) -> Self {
        Self {
            flavour: library.flavour(),
            version: library.full_version(),
        }
    }
}

impl fmt::Display for TensorRtFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.flavour, self.version)
    }
}

/// The options of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionFields {
    /// Workspace limit in bytes.
    pub workspace_bytes: u64,
    /// Layer information in the plan.
    pub profiling: ProfilingVerbosity,
    /// Builder optimisation level; null is TensorRT's default.
    pub optimization_level: Option<u8>,
    /// Whether fp32 may be TF32.
    pub tf32: bool,
}

/// What the plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFields {
    /// Compute capabilities, "8.7".
    pub compute_capabilities: Vec<String>,
    /// The device's name; null where a plan serves every device of its compute capabilities
    /// (TensorRT-RTX).
    pub device: Option<String>,
}

impl TargetFields {
    /// Of a device, for plans of this flavour.
    pub fn of(device: &DeviceIdentity, flavour: Flavour) -> Self {
        let (major, minor) = device.compute_capability;
        Self {
            compute_capabilities: vec![format!("{major}.{minor}")],
            device: (flavour == Flavour::TensorRt).then(|| device.name.clone()),
        }
    }

    /// Of named compute capabilities.
    pub fn named(capabilities: &[(u32, u32)]) -> Self {
        Self {
            compute_capabilities: capabilities
                .iter()
                .map(|(major, minor)| format!("{major}.{minor}"))
                .collect(),
            device: None,
        }
    }

    /// Whether a plan for `self` runs on this device.
    pub fn serves(&self, device: &DeviceIdentity) -> bool {
        let (major, minor) = device.compute_capability;
        self.compute_capabilities
            .contains(&format!("{major}.{minor}"))
            && self.device.as_ref().is_none_or(|name| *name == device.name)
    }
}

impl fmt::Display for TargetFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capabilities = self.compute_capabilities.join(", ");
        match &self.device {
            Some(device) => write!(f, "{device} (compute capability {capabilities})"),
            None => write!(f, "compute capability {capabilities}"),
        }
    }
}

/// Everything that decides a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFields {
    /// Format of this list.
    pub format: u32,
    /// SHA-256 of the component's ONNX file.
    pub onnx_sha256: String,
    /// Arithmetic of the graph.
    pub precision: Precision,
    /// Inputs with their types and shapes.
    pub inputs: Vec<TensorSpec>,
    /// Outputs with their types and shapes.
    pub outputs: Vec<TensorSpec>,
    /// Builder options.
    pub options: OptionFields,
    /// The TensorRT that builds.
    pub tensorrt: TensorRtFields,
    /// What it is for.
    pub target: TargetFields,
}

impl KeyFields {
    /// The fields of one component.
    pub fn new(
        entry: &crate::bundle::ComponentEntry,
        precision: Precision,
        options: &BuildOptions,
        tensorrt: TensorRtFields,
        device: Option<&DeviceIdentity>,
    ) -> Self {
        let target = match (&options.target, device) {
            (Target::Capabilities(list), _) => TargetFields::named(list),
            (Target::Current, Some(device)) => TargetFields::of(device, tensorrt.flavour),
            (Target::Current, None) => TargetFields::named(&[]),
        };
        Self {
            format: KEY_FORMAT,
            onnx_sha256: entry.sha256.clone(),
            precision,
            inputs: entry.inputs.clone(),
            outputs: entry.outputs.clone(),
            options: OptionFields {
                workspace_bytes: options.workspace_bytes,
                profiling: options.profiling,
                optimization_level: options.optimization_level,
                tf32: options.tf32,
            },
            tensorrt,
            target,
        }
    }

    /// The hash of all of it.
    pub fn key(&self) -> EngineKey {
        // Plain data without maps always serialises, and always in the same order.
        let text = serde_json::to_vec(self).unwrap_or_default();
        EngineKey(crate::bundle::hex(&Sha256::digest(text)))
    }
}

/// SHA-256 over [`KeyFields`], in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineKey(String);

impl EngineKey {
    /// The part that file names carry.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Display for EngineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
