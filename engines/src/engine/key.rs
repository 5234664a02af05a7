//! What identifies an engine: everything that decides what TensorRT makes of a graph.

use crate::bundle::Precision;
use crate::tensor::TensorSpec;
use crate::tensorrt::{BuildOptions, DeviceIdentity, Flavour, Library, ProfilingVerbosity, Target};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Raised when the meaning of a field changes.
const KEY_FORMAT: u32 = 2;

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

/// The options of a build. Their text, `workspace=256MiB,tf32`, names them on the command line.
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

impl OptionFields {
    /// Of what the builder is given.
    pub fn of(options: &BuildOptions) -> Self {
        Self {
            workspace_bytes: options.workspace_bytes,
            profiling: options.profiling,
            optimization_level: options.optimization_level,
            tf32: options.tf32,
        }
    }
}

impl fmt::Display for OptionFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1 << 20;
        if self.workspace_bytes.is_multiple_of(MIB) {
            write!(f, "workspace={}MiB", self.workspace_bytes / MIB)?;
        } else {
            write!(f, "workspace={}", self.workspace_bytes)?;
        }
        if let Some(level) = self.optimization_level {
            write!(f, ",level={level}")?;
        }
        if self.profiling == ProfilingVerbosity::Detailed {
            f.write_str(",detailed")?;
        }
        if self.tf32 {
            f.write_str(",tf32")?;
        }
        Ok(())
    }
}

/// A device as far as a plan depends on it: a plan runs on others of its compute capability, but
/// its tactics were timed, and its memory was chosen, on this kind.
///
/// Every Orin module has the same name and compute capability; they differ in the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFields {
    /// The driver's name of it.
    pub name: String,
    /// Streaming multiprocessors that are switched on.
    pub multiprocessors: u32,
    /// Memory in GiB, rounded up to a power of two: what the driver reports for one module differs
    /// a little from one system release to the next.
    pub memory_gib: u64,
    /// L2 cache in bytes.
    pub l2_bytes: u64,
}

impl DeviceFields {
    /// Of a device.
    pub fn of(device: &DeviceIdentity) -> Self {
        Self {
            name: device.name.clone(),
            multiprocessors: device.multiprocessors,
            memory_gib: device.memory_bytes.div_ceil(1 << 30).next_power_of_two(),
            l2_bytes: device.l2_bytes,
        }
    }
}

impl fmt::Display for DeviceFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} SMs, {} GiB, {} KiB L2",
            self.name,
            self.multiprocessors,
            self.memory_gib,
            self.l2_bytes >> 10
        )
    }
}

/// What the plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFields {
    /// Compute capabilities, "8.7".
    pub compute_capabilities: Vec<String>,
    /// The device; null where a plan serves every device of its compute capabilities
    /// (TensorRT-RTX).
    pub device: Option<DeviceFields>,
}

impl TargetFields {
    /// Of a device, for plans of this flavour.
    pub fn of(device: &DeviceIdentity, flavour: Flavour) -> Self {
        let (major, minor) = device.compute_capability;
        Self {
            compute_capabilities: vec![format!("{major}.{minor}")],
            device: (flavour == Flavour::TensorRt).then(|| DeviceFields::of(device)),
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
            && self
                .device
                .as_ref()
                .is_none_or(|built| *built == DeviceFields::of(device))
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
            options: OptionFields::of(options),
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
