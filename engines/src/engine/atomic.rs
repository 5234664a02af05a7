//! Files of the engines folder that are there whole or not at all, and the folder's lock.

use super::EngineError;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What names of unfinished files begin with.
const UNFINISHED: &str = ".unfinished-";

/// Writes by way of a file of this process's own and a rename; both are synced, so that a power cut
/// leaves the old file or the new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("{UNFINISHED}{}-{name}", std::process::id()));
    let outcome = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if outcome.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    outcome.map_err(EngineError::io("write", path))?;
    if let Some(folder) = path.parent()
        && let Ok(handle) = File::open(folder)
    {
        // Makes the rename itself last, where the file system can.
        let _ = handle.sync_all();
    }
    Ok(())
}

/// Removes what killed builds left behind. Only under the lock: nobody else is writing then.
pub(super) fn remove_unfinished(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED))
        })
        .filter(|path| fs::remove_file(path).is_ok())
        .collect()
}

/// Holds the folder's lock until dropped (or until the process dies).
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `waiting` is called once when somebody else has it.
    pub(super) fn take(folder: &Path, waiting: impl FnOnce()) -> Result<Self, EngineError> {
        let path = folder.join(".lock");
        fs::create_dir_all(folder).map_err(EngineError::io("create", folder))?;
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(EngineError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(EngineError::io("lock", &path))?;
            }
            Err(fs::TryLockError::Error(source)) => {
                return Err(EngineError::io("lock", &path)(source));
            }
        }
        Ok(Self { _file: file })
    }
}
