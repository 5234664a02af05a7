//! The run folder: made, continued, finished.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::figures::columns::summary_csv;
use crate::machine::{Telemetry, TelemetryLog};
use crate::render;
use crate::spec::OpenMode;

use super::journal::Journal;
pub(super) use super::manifest::FILE as RUN;
use super::manifest::{RunManifest, RunState};
use super::{
    ModelRate, ObjectKey, ObjectRow, Summary, atomic, audit, clear, read_journal, storage,
    summarise,
};
use crate::error::{Error, ErrorClass, Result, WithClass};
use crate::files;

pub(super) const JOURNAL: &str = "journal.jsonl";
pub(super) const SUMMARY_CSV: &str = "summary.csv";
pub(super) const SUMMARY_JSON: &str = "summary.json";
pub(super) const MASKS: &str = "masks";
pub(super) const OVERLAYS: &str = "overlays";
/// Baselines of a run, which mean nothing without it.
pub(super) const BASELINES: [&str; 2] = ["baseline-upstream", "baseline-best"];
pub(super) const TELEMETRY: &str = "telemetry";

/// The folder of a run in progress.
#[derive(Debug)]
pub struct RunFolder {
    /// Locked as long as this process may write.
    _lock: File,
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
    /// A run is there already and `mode` is [`OpenMode::New`]; the options differ from those the run
    /// was started with; the journal is damaged; another process writes the folder; `mode` is
    /// [`OpenMode::Force`] and the folder holds what masklet did not write; the folder cannot be
    /// written or the disk is full.
    pub fn create(
        out_dir: &Path,
        tag: &str,
        manifest: &RunManifest,
        mode: OpenMode,
    ) -> Result<Opened> {
        let allowed = |c: char| c.is_alphanumeric() || "._-".contains(c);
        if tag.is_empty() || !tag.chars().all(allowed) || tag.starts_with('.') {
            return Err(Error::usage(format!(
                "{tag:?}: invalid run-folder name; use letters, digits, '.', '_' and '-'"
            )));
        }
        let path = out_dir.join(tag);
        let there = [RUN, JOURNAL].iter().any(|name| path.join(name).exists());
        match mode {
            OpenMode::New if there => {
                let rows = read_journal(&path.join(JOURNAL))
                    .map_or("?".to_owned(), |found| found.rows.len().to_string());
                return Err(Error::usage(format!(
                    "{} already contains a run ({rows} finished objects); continue it with \
                     --resume, start over with --force, or choose another --out-dir",
                    path.display()
                )));
            }
            _ => {}
        }
        fs::create_dir_all(&path).map_err(|source| storage("create", &path, source))?;
        // The lock is the folder's: it holds while files in it are removed and made again.
        let lock = lock_folder(&path)?;
        let mut warnings = Vec::new();
        if mode == OpenMode::Force && there {
            let removed = clear::remove_run(&path)?;
            let shown = path.display();
            warnings.push(format!(
                "--force removed the {removed} files of the run in {shown}"
            ));
        }
        for folder in [path.join(MASKS), path.join(OVERLAYS)] {
            fs::create_dir_all(&folder).map_err(|source| storage("create", &folder, source))?;
        }
        let pinned = manifest.pinned();
        let place = path.join(JOURNAL);
        let (mut journal, mut found) = match mode {
            OpenMode::Resume | OpenMode::RetryFailed => Journal::resume(&place, &pinned)?,
            OpenMode::New | OpenMode::Force => {
                (Journal::begin(&place, &pinned)?, Default::default())
            }
        };
        warnings.extend(found.warning);
        let again = audit::to_redo(&path, &found.rows, mode == OpenMode::RetryFailed);
        warnings.extend(
            again
                .iter()
                .map(|(key, why)| format!("{key} runs again: {why}")),
        );
        found
            .rows
            .retain(|row| again.iter().all(|(key, _)| row.key != *key));
        journal.withdraw(again)?;
        let folder = Self {
            _lock: lock,
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
            warnings,
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
    /// A row that exists already or is not a measurement, or a disk that takes no more. The journal
    /// is as before in each case.
    pub fn append(&mut self, rows: &[ObjectRow]) -> Result<()> {
        self.write_telemetry()?;
        // What a row promises is on disk before the row.
        let mut promised = Vec::new();
        for row in rows.iter().filter(|row| row.is_ok()) {
            promised.extend(audit::files_of(&self.path, row));
        }
        files::sync(&promised, &self.path)
            .map_err(|(path, source)| storage("sync", &path, source))?;
        self.journal.append(rows)
    }

    /// Takes a recording down beside the journal: its samples go to `telemetry.csv` (after the N-th
    /// resumption to `telemetry-N.csv`) whenever rows are added, its sensors to `run.json`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn record(&mut self, telemetry: Arc<Telemetry>) -> Result<()> {
        let name = match self.journal.session() {
            0 => format!("{TELEMETRY}.csv"),
            session => format!("{TELEMETRY}-{session}.csv"),
        };
        let place = self.path.join(name);
        self.manifest.telemetry = Some(telemetry.record());
        let log = TelemetryLog::create(&place, telemetry)
            .map_err(|source| storage("create", &place, source))?;
        self.telemetry = Some(log);
        self.write_run(RunState::Running)
    }

    fn write_telemetry(&mut self) -> Result<()> {
        let Some(log) = &mut self.telemetry else {
            return Ok(());
        };
        log.write()
            .map_err(|source| storage("append to", &self.path.join(TELEMETRY), source))
    }

    /// Recomputes both summaries from the journal's text and writes them.
    ///
    /// # Errors
    /// The journal was replaced or cannot be read back, or a file cannot be written.
    pub fn write_summary(&self) -> Result<Summary> {
        self.journal.check_place()?;
        let found = read_journal(&self.path.join(JOURNAL))?;
        let mut summary = summarise(&found.rows);
        summary.take_rates(&found.rates);
        let csv = render::csv(&summary_csv(&summary)).class(ErrorClass::Run, || {
            format!("{SUMMARY_CSV}: failed to serialize")
        })?;
        atomic::write(&self.path.join(SUMMARY_CSV), &csv)?;
        let json = to_json(SUMMARY_JSON, &summary)?;
        atomic::write(&self.path.join(SUMMARY_JSON), &json)?;
        Ok(summary)
    }

    /// Adds what a search for the highest frame rate found. It is on disk afterwards.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn append_rate(&mut self, rate: &ModelRate) -> Result<()> {
        self.journal.append_rate(rate)
    }

    /// Writes the summaries and closes the run in `run.json`.
    ///
    /// # Errors
    /// As for [`Self::write_summary`].
    pub fn finish(&mut self, state: RunState) -> Result<Summary> {
        self.write_telemetry()?;
        if let Some(log) = &self.telemetry {
            // A sensor may have failed since the run began.
            self.manifest.telemetry = Some(log.telemetry().record());
        }
        let summary = self.write_summary()?;
        self.write_run(state)?;
        Ok(summary)
    }

    fn write_run(&self, state: RunState) -> Result<()> {
        let journal = &self.journal;
        let file = self.manifest.file(
            &self.name,
            state,
            &journal.started,
            &journal.resumed,
            journal.rows(),
        );
        atomic::write(&self.path.join(RUN), &to_json(RUN, &file)?)
    }
}

pub(super) fn to_json(what: &'static str, value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)
        .class(ErrorClass::Run, || format!("{what}: failed to serialize"))?;
    text.push(b'\n');
    Ok(text)
}

/// Takes the exclusive lock of a run folder; dropping the handle releases it.
pub(super) fn lock_folder(path: &Path) -> Result<File> {
    let folder = File::open(path).map_err(|source| storage("open", path, source))?;
    lock(&folder, path)?;
    Ok(folder)
}

/// Locks an open file or folder, without waiting.
pub(super) fn lock(file: &File, path: &Path) -> Result<()> {
    use rustix::fs::{FlockOperation, flock};
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::passing(format!(
            "{} is being written by another process; wait for it or choose another --out-dir",
            path.display()
        ))),
        // A file system without locks: the run continues without the safeguard.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
