//! What a report is made of: everything that a run folder holds, read once. Rendering works on
//! this alone.

use std::path::Path;

use serde_json::Value;

use super::hardest::{HardObject, hardest};
use super::telemetry::{TelemetrySeries, read_all};
use crate::error::{Context, Error, Result, WithClass};
use crate::record::{ObjectRow, Summary, read_journal, summarise, utc_now};

/// Objects that are shown with pictures.
const SHOWN: usize = 10;

/// A run folder, read.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The run's name.
    pub name: String,
    /// `run.json`; null where there is none.
    pub manifest: Value,
    /// Every row of the journal in the order they were finished.
    pub rows: Vec<ObjectRow>,
    /// What the rows say together, as in `summary.json`.
    pub summary: Summary,
    /// Raw samples of the sensors, or why there are none.
    pub telemetry: Result<Vec<TelemetrySeries>, String>,
    /// The objects with the lowest scores, worst first, with pictures where they can be had.
    pub hardest: Vec<HardObject>,
    /// What was left out while reading, one sentence each.
    pub warnings: Vec<String>,
    /// When it was read (UTC).
    pub made: String,
}

impl RunRecord {
    /// Reads a run folder. What is missing beside the journal is left out of the report, with the
    /// reason in its place.
    ///
    /// # Errors
    /// [`Error`] for a folder without a journal, and for a journal or a `run.json` that is
    /// damaged.
    pub fn read(run: &Path) -> Result<Self> {
        let journal = run.join("journal.jsonl");
        if !journal.is_file() {
            return Err(Error::usage(format!(
                "{} is not a run folder: it has no journal.jsonl; give the folder that `masklet run` \
                 wrote (--out-dir)",
                run.display()
            )));
        }
        let found = read_journal(&journal)?;
        let manifest = read_manifest(run)?;
        let summary = summarise(&found.rows);
        let mut objects = hardest(&summary, SHOWN);
        super::hardest::add_pictures(&mut objects, run, &manifest);
        let folder = run.canonicalize().unwrap_or_else(|_| run.to_owned());
        let name = manifest["run"].as_str().map_or_else(
            || {
                folder
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            },
            str::to_owned,
        );
        Ok(Self {
            name,
            manifest,
            rows: found.rows,
            summary,
            telemetry: read_all(run),
            hardest: objects,
            warnings: found.warning.into_iter().collect(),
            made: utc_now(),
        })
    }

    /// Why a sensor's column of telemetry is empty, by `run.json`.
    pub(super) fn missing_sensor(&self, column: &str) -> Option<&str> {
        self.manifest["telemetry"]["missing"][column].as_str()
    }
}

fn read_manifest(run: &Path) -> Result<Value> {
    let path = run.join("run.json");
    if !path.exists() {
        return Ok(Value::Null);
    }
    let text = std::fs::read(&path).context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).data(|| {
        format!(
            "{} is not JSON; restore it, or remove it to have a report without it",
            path.display()
        )
    })
}
