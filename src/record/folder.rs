//! The run folder: made, continued, finished.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::figures::columns::summary_csv;
use crate::machine::{Telemetry, TelemetryLog};
use crate::render;
use crate::spec::OpenMode;

use super::journal::Journal;
use super::manifest::{FILE as RUN, RunManifest, RunState};
use super::{
    FolderError, JournalError, ModelRate, ObjectKey, ObjectRow, StorageError, Summary, atomic,
    read_journal, summarise,
};

const JOURNAL: &str = "journal.jsonl";
const SUMMARY_CSV: &str = "summary.csv";
const SUMMARY_JSON: &str = "summary.json";
const MASKS: &str = "masks";
const OVERLAYS: &str = "overlays";
/// Baselines of a run, which mean nothing without it.
const BASELINES: [&str; 2] = ["baseline-upstream", "baseline-best"];
const TELEMETRY: &str = "telemetry";

/// The folder of a run in progress.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    name: String,
    journal: Journal,
    manifest: RunManifest,
    telemetry: Option<TelemetryLog>,
}

/// A run folder that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The folder, ready for rows.
    pub folder: RunFolder,
    /// Rows that an earlier process finished.
    pub finished: Vec<ObjectRow>,
    /// Outcomes of searches for the highest frame rate that it finished.
    pub rates: Vec<ModelRate>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

impl RunFolder {
    /// Makes or continues the run folder `out_dir/tag` and writes `run.json`.
    ///
    /// # Errors
    /// [`FolderError`]: a run is there already and `mode` is [`OpenMode::New`]; the options differ
    /// from those the run was begun with; the journal is damaged; the folder cannot be written or
    /// the disk is full.
    pub fn create(
        out_dir: &Path,
        tag: &str,
        manifest: &RunManifest,
        mode: OpenMode,
    ) -> Result<Opened, FolderError> {
        let allowed = |c: char| c.is_alphanumeric() || "._-".contains(c);
        if tag.is_empty() || !tag.chars().all(allowed) || tag.starts_with('.') {
            return Err(FolderError::Tag {
                tag: tag.to_owned(),
            });
        }
        let path = out_dir.join(tag);
        let there = [RUN, JOURNAL].iter().any(|name| path.join(name).exists());
        match mode {
            OpenMode::New if there => {
                let rows = read_journal(&path.join(JOURNAL))
                    .map_or("?".to_owned(), |found| found.rows.len().to_string());
                return Err(FolderError::Exists {
                    path: path.display().to_string(),
                    rows,
                });
            }
            OpenMode::Force if there => remove_run(&path)?,
            _ => {}
        }
        for folder in [path.clone(), path.join(MASKS), path.join(OVERLAYS)] {
            fs::create_dir_all(&folder)
                .map_err(|source| StorageError::new("create", &folder, source))?;
        }
        let pinned = manifest.pinned();
        let place = path.join(JOURNAL);
        let (journal, found) = match mode {
            OpenMode::Resume => Journal::resume(&place, &pinned)?,
            OpenMode::New | OpenMode::Force => {
                (Journal::begin(&place, &pinned)?, Default::default())
            }
        };
        let folder = Self {
            path,
            name: tag.to_owned(),
            journal,
            manifest: manifest.clone(),
            telemetry: None,
        };
        folder.write_run(RunState::Running)?;
        Ok(Opened {
            folder,
            finished: found.rows,
            rates: found.rates,
            warnings: found.warning.into_iter().collect(),
        })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where predicted masks go, in SA-V layout below one folder per model tag.
    pub fn masks_dir(&self) -> PathBuf {
        self.path.join(MASKS)
    }

    /// Adds to what `run.json` tells beside the options, for what is known only once a run is on
    /// its way; written with the next [`Self::finish`].
    pub fn note(&mut self, name: &str, value: serde_json::Value) {
        self.manifest.noted.insert(name.to_owned(), value);
    }

    /// Where overlays go.
    pub fn overlays_dir(&self) -> PathBuf {
        self.path.join(OVERLAYS)
    }

    /// Whether a row is finished, by this process or an earlier one.
    pub fn is_done(&self, key: &ObjectKey) -> bool {
        self.journal.contains(key)
    }

    /// Number of finished rows.
    pub fn rows(&self) -> usize {
        self.journal.rows()
    }

    /// Adds finished rows to the journal: all of them or none, on disk when this returns. Objects
    /// that advanced together belong in one call, so that a crash cannot part them.
    ///
    /// # Errors
    /// [`JournalError`]: a row that is there already or is no measurement, or a disk that takes
    /// no more. The journal is as before in each case.
    pub fn append(&mut self, rows: &[ObjectRow]) -> Result<(), JournalError> {
        self.write_telemetry()?;
        self.journal.append(rows)
    }

    /// Takes a recording down beside the journal: its samples go to `telemetry.csv` (after the N-th
    /// resumption to `telemetry-N.csv`) whenever rows are added, its sensors to `run.json`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn record(&mut self, telemetry: Arc<Telemetry>) -> Result<(), FolderError> {
        let name = match self.journal.session() {
            0 => format!("{TELEMETRY}.csv"),
            session => format!("{TELEMETRY}-{session}.csv"),
        };
        let place = self.path.join(name);
        self.manifest.telemetry = Some(telemetry.record());
        let log = TelemetryLog::create(&place, telemetry)
            .map_err(|source| StorageError::new("create", &place, source))?;
        self.telemetry = Some(log);
        self.write_run(RunState::Running)
    }

    fn write_telemetry(&mut self) -> Result<(), StorageError> {
        let Some(log) = &mut self.telemetry else {
            return Ok(());
        };
        log.write()
            .map_err(|source| StorageError::new("append to", &self.path.join(TELEMETRY), source))
    }

    /// Recomputes both summaries from the journal's text and writes them.
    ///
    /// # Errors
    /// [`FolderError`] when the journal cannot be read back or a file cannot be written.
    pub fn write_summary(&self) -> Result<Summary, FolderError> {
        let found = read_journal(&self.path.join(JOURNAL))?;
        let mut summary = summarise(&found.rows);
        summary.take_rates(&found.rates);
        let csv = render::csv(&summary_csv(&summary)).map_err(|error| FolderError::Encode {
            what: SUMMARY_CSV,
            why: error.to_string(),
        })?;
        atomic::write(&self.path.join(SUMMARY_CSV), &csv)?;
        let json = to_json(SUMMARY_JSON, &summary)?;
        atomic::write(&self.path.join(SUMMARY_JSON), &json)?;
        Ok(summary)
    }

    /// Adds what a search for the highest frame rate found. It is on disk afterwards.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be written.
    pub fn append_rate(&mut self, rate: &ModelRate) -> Result<(), JournalError> {
        self.journal.append_rate(rate)
    }

    /// Writes the summaries and closes the run in `run.json`.
    ///
    /// # Errors
    /// As for [`Self::write_summary`].
    pub fn finish(&mut self, state: RunState) -> Result<Summary, FolderError> {
        self.write_telemetry()?;
        if let Some(log) = &self.telemetry {
            // A sensor may have failed since the run began.
            self.manifest.telemetry = Some(log.telemetry().record());
        }
        let summary = self.write_summary()?;
        self.write_run(state)?;
        Ok(summary)
    }

    fn write_run(&self, state: RunState) -> Result<(), FolderError> {
        let journal = &self.journal;
        let file = self.manifest.file(
            &self.name,
            state,
            &journal.started,
            &journal.resumed,
            journal.rows(),
        );
        Ok(atomic::write(&self.path.join(RUN), &to_json(RUN, &file)?)?)
    }
}

fn to_json(what: &'static str, value: &impl serde::Serialize) -> Result<Vec<u8>, FolderError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| FolderError::Encode {
        what,
        why: error.to_string(),
    })?;
    text.push(b'\n');
    Ok(text)
}

/// Removes what a run writes, and nothing else that may lie in the folder.
fn remove_run(path: &Path) -> Result<(), FolderError> {
    let journal = path.join(JOURNAL);
    if journal.exists() {
        Journal::lock(&journal)?;
    }
    for name in [MASKS, OVERLAYS].into_iter().chain(BASELINES) {
        gone(&path.join(name), fs::remove_dir_all)?;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TELEMETRY) && name.ends_with(".csv") {
            gone(&entry.path(), fs::remove_file)?;
        }
    }
    // The journal goes last but one: while it is there the folder is known as a run's.
    for name in [SUMMARY_CSV, SUMMARY_JSON, "report.html", JOURNAL, RUN] {
        gone(&path.join(name), fs::remove_file)?;
    }
    Ok(())
}

fn gone(path: &Path, remove: impl Fn(PathBuf) -> std::io::Result<()>) -> Result<(), StorageError> {
    match remove(path.to_owned()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::new("remove", path, source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
