//! Removing a run from its folder: what masklet wrote, listed first, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{
    BASELINES, JOURNAL, MASKS, OVERLAYS, RUN, SUMMARY_CSV, SUMMARY_JSON, TELEMETRY, lock_folder,
};
use super::storage;
use crate::error::{Error, Result};

/// Files of a run in its folder, but for the journal and `run.json`, which go last: while they are
/// there the folder is known as a run's.
const FILES: [&str; 6] = [
    SUMMARY_CSV,
    SUMMARY_JSON,
    "report.html",
    "pytorch.log",
    "pytorch.jsonl",
    "job.json",
];

/// What is to be removed, files before their folders.
#[derive(Default)]
struct List {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

/// Removes what a run wrote. Nothing is removed where the folder is not a run's, or where a folder
/// of the run holds something that masklet does not write. Returns the number of files removed.
///
/// # Errors
/// Foreign content, by name; a baseline that is running; the system's own errors.
pub(super) fn remove_run(path: &Path) -> Result<usize> {
    let mut list = List::default();
    let mut locks = Vec::new();
    for baseline in BASELINES.map(|name| path.join(name)) {
        if fs::symlink_metadata(&baseline).is_ok_and(|seen| seen.is_dir()) {
            locks.push(lock_folder(&baseline)?);
            list_run(&baseline, &mut list)?;
            for entry in entries(&baseline)? {
                if !list.files.contains(&entry) && !list.folders.contains(&entry) {
                    return Err(foreign(&entry));
                }
            }
            list.folders.push(baseline);
        }
    }
    list_run(path, &mut list)?;
    for file in &list.files {
        gone(file, fs::remove_file(file))?;
    }
    for folder in &list.folders {
        gone(folder, fs::remove_dir(folder))?;
    }
    Ok(list.files.len())
}

/// Lists a run's own files and folders, the journal and `run.json` last.
fn list_run(path: &Path, list: &mut List) -> Result<()> {
    check_ours(path)?;
    for name in [MASKS, OVERLAYS] {
        let folder = path.join(name);
        match fs::symlink_metadata(&folder) {
            Ok(seen) if seen.is_dir() => list_tree(&folder, list)?,
            Ok(_) => return Err(foreign(&folder)),
            Err(_) => {}
        }
    }
    for entry in entries(path)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if FILES.contains(&&*name) || is_telemetry(&name) {
            list.files.push(entry);
        }
    }
    let last = [JOURNAL, RUN].map(|name| path.join(name));
    list.files
        .extend(last.into_iter().filter(|file| file.exists()));
    Ok(())
}

/// `telemetry.csv` and, after resumptions, `telemetry-N.csv`.
fn is_telemetry(name: &str) -> bool {
    let middle = name
        .strip_prefix(TELEMETRY)
        .and_then(|rest| rest.strip_suffix(".csv"));
    middle.is_some_and(|middle| {
        let number = middle.strip_prefix('-').unwrap_or("0");
        middle.is_empty() || number.parse::<u32>().is_ok() && middle.starts_with('-')
    })
}

/// Masks and overlays: folders of PNG and MP4 files, and what a killed process left half written.
fn list_tree(folder: &Path, list: &mut List) -> Result<()> {
    for entry in entries(folder)? {
        let seen = fs::symlink_metadata(&entry).map_err(|e| storage("read", &entry, e))?;
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let ours = [".png", ".mp4", ".part"]
            .iter()
            .any(|end| name.ends_with(end))
            || name.starts_with(crate::files::TEMPORARY);
        if seen.is_dir() {
            list_tree(&entry, list)?;
        } else if seen.is_file() && ours {
            list.files.push(entry);
        } else {
            return Err(foreign(&entry));
        }
    }
    list.folders.push(folder.to_owned());
    Ok(())
}

/// Whether the run folder was written by masklet: a journal that begins as ours, and a `run.json`
/// with a run's entries where there is one.
fn check_ours(path: &Path) -> Result<()> {
    let first = |name: &str| -> Option<serde_json::Value> {
        let text = fs::read(path.join(name)).ok()?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        serde_json::from_slice(if name == RUN { &text } else { line }).ok()
    };
    let journal = path.join(JOURNAL);
    // A process that was killed at once leaves an empty journal.
    let empty = fs::metadata(&journal).is_ok_and(|seen| seen.len() == 0);
    let begun = first(JOURNAL).is_some_and(|line| line["begin"]["schema"].is_u64());
    if journal.exists() && !begun && !empty {
        return Err(foreign(&journal));
    }
    let run = path.join(RUN);
    let entries = ["schema", "run", "state", "started", "options"];
    let ours = first(RUN).is_some_and(|run| entries.iter().all(|name| run.get(name).is_some()));
    if run.exists() && !ours {
        return Err(foreign(&run));
    }
    Ok(())
}

fn foreign(path: &Path) -> Error {
    Error::usage(format!(
        "{} was not written by masklet, so --force removes nothing; move it away or choose another \
         --out-dir",
        path.display()
    ))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    read().map_err(|source| storage("read", folder, source))
}

fn gone(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(storage("remove", path, source))
        }
        _ => Ok(()),
    }
}
