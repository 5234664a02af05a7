//! What a run was asked to do, on what, with what: the contents of `run.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::timing::{TimedRegion, timed_region};
use crate::machine::{Environment, TelemetryRecord};
use masklet_engines::backend::BackendInfo;

/// Options by their long name without dashes, such as `imgsz`.
pub type Options = BTreeMap<String, Value>;

/// What a run was asked to do. The caller fills it in once, before the run folder is made.
#[derive(Clone, Debug, PartialEq)]
pub struct RunManifest {
    /// Options that decide what comes out. A resumed run must have the same.
    pub options: Options,
    /// Options that do not: verbosity, where the output goes, how often something is shown.
    pub free_options: Options,
    /// Models of the run.
    pub bundles: Vec<BundleRecord>,
    /// What runs the models, and whether it is a stand-in for tests; `None` where nothing did.
    pub backend: Option<BackendInfo>,
    /// Machine, system and program.
    pub environment: Environment,
    /// Sensors; `None` where telemetry was off. The folder fills it in.
    pub telemetry: Option<TelemetryRecord>,
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

/// The contents of `run.json`, in this order.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RunFile<'a> {
    pub schema: u32,
    pub run: &'a str,
    pub state: RunState,
    pub started: &'a str,
    pub resumed: &'a [String],
    pub finished: Option<String>,
    pub options: &'a Options,
    pub free_options: &'a Options,
    pub bundles: &'a [BundleRecord],
    pub backend: Option<&'a BackendInfo>,
    pub environment: &'a Environment,
    pub telemetry: Option<&'a TelemetryRecord>,
    pub timed_region: Vec<TimedRegion>,
    pub rows: usize,
}

impl RunManifest {
    /// Everything that must be the same when a run is resumed: the options, the version of the
    /// program and the bundles.
    pub fn pinned(&self) -> Options {
        let mut pinned = self.options.clone();
        pinned.insert(
            "masklet version".to_owned(),
            Value::from(self.environment.masklet_version.clone()),
        );
        for bundle in &self.bundles {
            pinned.insert(
                format!("bundle {}", bundle.name),
                Value::from(bundle.sha256.clone()),
            );
        }
        pinned
    }

    pub(super) fn file<'a>(
        &'a self,
        run: &'a str,
        state: RunState,
        started: &'a str,
        resumed: &'a [String],
        rows: usize,
    ) -> RunFile<'a> {
        RunFile {
            schema: 1,
            run,
            state,
            started,
            resumed,
            finished: (state != RunState::Running).then(super::utc_now),
            options: &self.options,
            free_options: &self.free_options,
            bundles: &self.bundles,
            backend: self.backend.as_ref(),
            environment: &self.environment,
            telemetry: self.telemetry.as_ref(),
            timed_region: timed_region(),
            rows,
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
