//! What a run was asked to do, on what, with what: the contents of `run.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::timing::{TimedRegion, timed_region};
use crate::error::{Context, Error, Result, WithClass};
use crate::machine::{Environment, TelemetryRecord};
use crate::media::video::VideoFile;
use crate::spec::{Shard, Spec};
use masklet_engines::backend::BackendInfo;

/// Name of the file.
pub(super) const FILE: &str = "run.json";

/// Options by their long name without dashes, such as `imgsz`.
pub type Options = BTreeMap<String, Value>;

/// What a run was asked to do, and what was found before its first frame. The caller fills it in
/// once, before the run folder is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunManifest {
    /// What was asked for, with what was left open decided.
    #[serde(flatten)]
    pub spec: Spec,
    /// The video files, where there are some, by ffprobe's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub video_files: Vec<VideoFile>,
    /// SHA-256 over the videos and their costs, where a share of them is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_sha256: Option<String>,
    /// Models of the run.
    #[serde(default)]
    pub bundles: Vec<BundleRecord>,
    /// What runs the models, and whether it is a stand-in for tests; `None` where nothing did.
    #[serde(default)]
    pub backend: Option<BackendRecord>,
    /// Machine, system and program.
    pub environment: Environment,
    /// Sensors; `None` where telemetry was off. The folder fills it in.
    #[serde(default)]
    pub telemetry: Option<TelemetryRecord>,
    /// What was found on the way, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub noted: BTreeMap<String, Value>,
}

/// What ran the models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendRecord {
    /// Which backend, such as `tensorrt`.
    pub kind: String,
    /// The runtime and its version.
    pub runtime: String,
    /// The device's name.
    pub device: String,
    /// Threads of a CPU runtime.
    pub threads: Option<usize>,
    /// Whether the device or TensorRT is a stand-in for tests: nothing it does is a measurement.
    pub simulated: bool,
    /// What the arena does not hold, in a sentence.
    #[serde(default)]
    pub outside_arena: String,
    /// What was tried before and not taken, each with the reason.
    #[serde(default)]
    pub not_taken: Vec<String>,
}

impl From<BackendInfo> for BackendRecord {
    fn from(info: BackendInfo) -> Self {
        Self {
            kind: info.kind.to_string(),
            runtime: info.runtime,
            device: info.device,
            threads: info.threads,
            simulated: info.simulated,
            outside_arena: info.outside_arena,
            not_taken: Vec::new(),
        }
    }
}

/// One model bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRecord {
    /// The model's part of a tag, such as `edgetam`.
    pub name: String,
    /// Where it was loaded from, or `embedded`.
    pub source: String,
    /// SHA-256 of its manifest, which holds the hashes of all components.
    pub sha256: String,
    /// Image side S.
    pub image_size: usize,
    /// What its graphs compute in.
    pub precision: String,
    /// Where the weights came from.
    pub weights: WeightsRecord,
}

/// Where weights came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum WeightsRecord {
    /// Random numbers: speed and memory mean something, scores do not.
    RandomInit {
        /// Seed of the initialisation.
        seed: u64,
    },
    /// A published checkpoint.
    Checkpoint {
        /// File name.
        file: String,
        /// SHA-256 of the file.
        sha256: String,
    },
    /// Trained with this project's own tools.
    Trained {
        /// What is known of it, such as the recipe's name.
        note: String,
    },
}

/// How far a run has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Begun; also what a killed run leaves behind.
    Running,
    /// Stopped by a signal; can be resumed.
    Interrupted,
    /// Through.
    Finished,
}

impl std::fmt::Display for RunState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
        })
    }
}

/// Version of `run.json`. Folders of version 1 are read too: their options have the same names.
const SCHEMA: u32 = 2;

/// The contents of `run.json`, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// Version of the file.
    pub schema: u32,
    /// The run's name.
    pub run: String,
    /// How far it has got.
    pub state: RunState,
    /// When it began (UTC).
    pub started: String,
    /// When it was resumed.
    #[serde(default)]
    pub resumed: Vec<String>,
    /// When it ended.
    #[serde(default)]
    pub finished: Option<String>,
    /// What was asked for, and what was found.
    #[serde(flatten)]
    pub manifest: RunManifest,
    /// What the clocks run over, in words.
    #[serde(skip_deserializing, default = "timed_region")]
    timed_region: Vec<TimedRegion>,
    /// Finished rows.
    #[serde(default)]
    pub rows: usize,
    /// The shards that it was joined from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<MergedPart>,
}

/// A run folder that was joined with others into one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedPart {
    /// Where it was.
    pub folder: String,
    /// Its share.
    pub shard: Option<Shard>,
    /// Its rows.
    pub rows: usize,
    /// When it began (UTC).
    pub started: String,
    /// When it ended.
    pub finished: Option<String>,
}

impl RunFile {
    /// Reads `run.json` of a run folder; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not one that this version understands.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(|| format!("cannot read {}", path.display())),
        };
        let file: Self = serde_json::from_slice(&text).data(|| {
            format!(
                "{} is damaged or of a version of masklet that this one cannot read",
                path.display()
            )
        })?;
        if file.schema > SCHEMA {
            return Err(Error::data(format!(
                "{} has schema {}, this program reads up to {SCHEMA}: use the version that wrote it",
                path.display(),
                file.schema
            )));
        }
        Ok(Some(file))
    }
}

impl RunManifest {
    /// Everything that must be the same when a run is resumed: the options, the data that was
    /// found, the version of the program and the bundles.
    pub fn pinned(&self) -> Options {
        let mut pinned: Options = match serde_json::to_value(&self.spec.pinned) {
            Ok(Value::Object(map)) => map.into_iter().collect(),
            // Plain data has no other form.
            _ => Options::new(),
        };
        let mut add = |name: &str, value: Value| pinned.insert(name.to_owned(), value);
        add(
            "masklet version",
            Value::from(self.environment.masklet_version.clone()),
        );
        for bundle in &self.bundles {
            add(
                &format!("bundle {}", bundle.name),
                Value::from(bundle.sha256.clone()),
            );
        }
        if let Some(split) = &self.split_sha256 {
            add("videos and frames", Value::from(split.clone()));
        }
        if !self.video_files.is_empty() {
            add("video files", serde_json::json!(self.video_files));
        }
        pinned
    }

    pub(super) fn file(
        &self,
        run: &str,
        state: RunState,
        started: &str,
        resumed: &[String],
        rows: usize,
    ) -> RunFile {
        RunFile {
            schema: SCHEMA,
            run: run.to_owned(),
            state,
            started: started.to_owned(),
            resumed: resumed.to_vec(),
            finished: (state != RunState::Running).then(super::utc_now),
            manifest: self.clone(),
            timed_region: timed_region(),
            rows,
            merged_from: Vec::new(),
        }
    }
}

/// SHA-256 over the options, in hexadecimal.
pub(super) fn fingerprint(pinned: &Options) -> String {
    let mut hash = Sha256::new();
    for (name, value) in pinned {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(value.to_string().as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The options that differ, each as one text: name, then and now.
pub(super) fn differences(then: &Options, now: &Options) -> Vec<String> {
    let shown = |value: Option<&Value>| value.map_or("unset".to_owned(), Value::to_string);
    let mut names: Vec<&String> = then.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| then.get(*name) != now.get(*name))
        .map(|name| {
            format!(
                "{name} was {}, now {}",
                shown(then.get(name)),
                shown(now.get(name))
            )
        })
        .collect()
}
