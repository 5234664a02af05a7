//! Whether a run folder holds what its rows and its `run.json` promise.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{JOURNAL, MASKS};
use super::{ObjectKey, ObjectRow, RunFile, RunState, Status, read_journal};
use crate::error::Result;
use crate::media::image::read_mask_png;

/// What a run folder can lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Loss {
    /// The run is not finished.
    State,
    /// Rows are missing.
    Rows,
    /// Masks or overlays that rows name are missing or damaged.
    Masks,
}

/// The folder of a row's predicted masks.
fn masks_of(run: &Path, key: &ObjectKey) -> PathBuf {
    run.join(MASKS)
        .join(&key.model)
        .join(&key.video)
        .join(&key.object)
}

/// The PNG files in a folder; without following symbolic links.
fn mask_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let files = entries.flatten().filter(|entry| {
        let named = entry.path().extension().is_some_and(|end| end == "png");
        named && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    files.map(|entry| entry.path()).collect()
}

/// The files that a row promises, as far as they are there: its masks, the label maps of its video,
/// its overlay.
pub(super) fn files_of(run: &Path, row: &ObjectRow) -> Vec<PathBuf> {
    let masks = masks_of(run, &row.key);
    let mut files = mask_files(&masks);
    files.extend(masks.parent().into_iter().flat_map(mask_files));
    let overlay = row.overlay.iter().map(|overlay| run.join(overlay));
    files.extend(overlay.filter(|path| path.exists()));
    files
}

/// What of the files that a row names is missing or damaged; `None` where all is whole. Rows of
/// versions that did not count their masks name none.
fn lost(run: &Path, row: &ObjectRow) -> Option<String> {
    if !row.is_ok() {
        return None;
    }
    if let Some(promised) = row.masks {
        let files = mask_files(&masks_of(run, &row.key));
        if files.len() < promised {
            return Some(format!("{} of its {promised} masks are there", files.len()));
        }
        let damaged = files.iter().find_map(|file| read_mask_png(file).err());
        if let Some(error) = damaged {
            return Some(error.to_string());
        }
    }
    let overlay = row.overlay.as_ref().map(|overlay| run.join(overlay));
    let missing = overlay.filter(|path| fs::metadata(path).map_or(0, |seen| seen.len()) == 0);
    missing.map(|path| format!("its overlay {} is missing or empty", path.display()))
}

/// Rows that a resumed run does again, each with the reason: files that they name are missing or
/// damaged, they failed for a reason of the machine, or, where `failed` is given, they failed.
pub(super) fn to_redo(run: &Path, rows: &[ObjectRow], failed: bool) -> Vec<(ObjectKey, String)> {
    let reason = |row: &ObjectRow| match &row.status {
        Status::Ok => lost(run, row),
        Status::Failed { reason } => {
            (failed || row.machine_failed).then(|| format!("it failed before ({reason})"))
        }
    };
    let again = |row: &ObjectRow| Some((row.key.clone(), reason(row)?));
    rows.iter().filter_map(again).collect()
}

/// What a run lacks, one sentence each. `manifest` is `None` where there is no `run.json`, which
/// then does not tell that the run was finished.
pub(crate) fn losses(
    run: &Path,
    manifest: Option<&RunFile>,
    rows: &[ObjectRow],
) -> Vec<(Loss, String)> {
    let shown = run.display();
    let mut found = Vec::new();
    match manifest {
        None => found.push((Loss::State, format!("{shown} has no run.json"))),
        Some(file) if file.state != RunState::Finished => {
            found.push((
                Loss::State,
                format!("{shown} is {}, not finished", file.state),
            ));
        }
        Some(file) if file.rows != rows.len() => {
            let (there, counted) = (rows.len(), file.rows);
            let why = format!("{shown}: the journal has {there} rows, run.json counts {counted}");
            found.push((Loss::Rows, why));
        }
        Some(_) => {}
    }
    let damaged: Vec<(&ObjectKey, String)> = rows
        .iter()
        .filter_map(|row| Some((&row.key, lost(run, row)?)))
        .collect();
    if let Some((key, why)) = damaged.first() {
        let count = damaged.len();
        let why =
            format!("{shown}: files of {count} rows are missing or damaged, first {key}: {why}");
        found.push((Loss::Masks, why));
    }
    found
}

/// [`losses`] of a folder; none for a path that is not a run folder.
///
/// # Errors
/// A journal or `run.json` that cannot be read.
pub(crate) fn losses_of(run: &Path) -> Result<Vec<(Loss, String)>> {
    let journal = run.join(JOURNAL);
    if !journal.is_file() {
        return Ok(Vec::new());
    }
    let rows = read_journal(&journal)?.rows;
    Ok(losses(run, RunFile::read(run)?.as_ref(), &rows))
}
