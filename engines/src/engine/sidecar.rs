//! The JSON beside a plan: what it was made of, what building it showed.

use super::{EngineError, EngineKey, KeyFields, atomic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The format of sidecars that this version writes and reads.
pub(super) const SIDECAR_FORMAT: u32 = 2;

/// The plan's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    /// File name beside the sidecar.
    pub file: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
}

/// What building showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Seconds of parsing and building.
    pub seconds: f64,
    /// Seconds since 1970 when it was done.
    pub finished_unix_s: u64,
    /// Version of masklet.
    pub masklet: String,
    /// Layers of the network before fusion.
    pub network_layers: usize,
    /// Bytes of activations that the builder planned (scratch memory); null when it did not say.
    pub activation_bytes: Option<u64>,
    /// Bytes of weights; null when it did not say.
    pub weight_bytes: Option<u64>,
    /// Tactics that were left out because memory was short: more than 0 may mean a slower engine.
    pub tactics_skipped: u64,
    /// What the system could have given when the build began; null where it does not say.
    pub mem_available_bytes: Option<u64>,
    /// TensorRT's warnings.
    pub warnings: Vec<String>,
    /// The machine that built it (driver, system release, power mode, clocks), by name; not in the
    /// key, since an engine runs without them being the same.
    #[serde(default)]
    pub machine: BTreeMap<String, String>,
}

/// What an engine takes on its device, known once it has been loaded there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Bytes taken while the plan became an engine.
    pub weights_bytes: u64,
    /// Bytes taken while its context was made.
    pub persistent_bytes: u64,
    /// Bytes of scratch memory.
    pub scratch_bytes: u64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sidecar {
    /// Format version.
    pub format: u32,
    /// Hash over `fields`.
    pub key: EngineKey,
    /// The bundle's name.
    pub model: String,
    /// The bundle's image size.
    pub image_size: usize,
    /// The component.
    pub component: String,
    /// What decides the plan.
    pub fields: KeyFields,
    /// The plan.
    pub plan: PlanFile,
    /// What building showed.
    pub build: BuildRecord,
    /// What running showed; null until it ran.
    pub measured: Option<Measured>,
}

impl Sidecar {
    /// Reads and checks one.
    ///
    /// # Errors
    /// When it cannot be read, does not parse, or is of another format.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let text = std::fs::read(path).map_err(EngineError::io("read", path))?;
        let damaged = |message: String| EngineError::Sidecar {
            path: path.to_owned(),
            message,
        };
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if format != SIDECAR_FORMAT {
            return Err(EngineError::OtherFormat {
                path: path.to_owned(),
                found: format,
                known: SIDECAR_FORMAT,
            });
        }
        let sidecar: Self =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if sidecar.key != sidecar.fields.key() {
            return Err(damaged("its key is not the hash of its fields".to_owned()));
        }
        if sidecar.plan.file.contains('/') {
            return Err(damaged("its plan is outside the folder".to_owned()));
        }
        Ok(sidecar)
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), EngineError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| EngineError::Sidecar {
            path: path.to_owned(),
            message: error.to_string(),
        })? + "\n";
        atomic::write(path, text.as_bytes())
    }
}
