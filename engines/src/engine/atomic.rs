//! Files of the engines folder that exist whole or not at all, and the folder's lock.
//!
//! Permissions are the same whatever the umask: engines built by root in provisioning are read by
//! every user.

use super::EngineError;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What names of unfinished files begin with.
const UNFINISHED: &str = ".unfinished-";

/// Of plans and sidecars.
const FILE_MODE: u32 = 0o644;
/// Of the folders that are made.
const FOLDER_MODE: u32 = 0o755;

/// Makes a folder and its parents.
pub(super) fn create_folder(folder: &Path) -> Result<(), EngineError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    let made = match fs::create_dir(folder) {
        // Another process was faster.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {
            return Ok(());
        }
        made => made,
    };
    made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)))
        .map_err(EngineError::io("create", folder))
}

/// Writes through a temporary file and a rename; both are synced, so that a power cut leaves the
/// old file or the new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = (|| {
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(folder)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    })();
    written.map_err(EngineError::io("write", path))?;
    if let Ok(handle) = File::open(folder) {
        // Makes the rename itself durable, where the file system can.
        let _ = handle.sync_all();
    }
    Ok(())
}

/// Whether a killed process left this file before it was whole.
pub(super) fn is_unfinished(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED))
}

/// When the lock is waited for.
pub(super) struct Wait<'a> {
    /// Longest wait; `None` for as long as it takes.
    pub(super) limit: Option<Duration>,
    /// Called once when another process has the lock.
    pub(super) waiting: &'a dyn Fn(),
    /// Whether the user has ended the wait.
    pub(super) cancelled: &'a dyn Fn() -> bool,
}

impl Wait<'_> {
    /// Not at all.
    pub(super) const NONE: Wait<'static> = Wait {
        limit: Some(Duration::ZERO),
        waiting: &|| {},
        cancelled: &|| false,
    };
}

/// Holds the folder's lock until dropped (or until the process dies).
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// How often a lock that another process holds is tried.
    const INTERVAL: Duration = Duration::from_millis(100);

    /// Takes the lock.
    pub(super) fn take(folder: &Path, wait: &Wait<'_>) -> Result<Self, EngineError> {
        let path = folder.join(".lock");
        create_folder(folder)?;
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(EngineError::io("open", &path))?;
        let began = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(fs::TryLockError::Error(source)) => {
                    return Err(EngineError::io("lock", &path)(source));
                }
                Err(fs::TryLockError::WouldBlock) => {}
            }
            if wait.limit.is_some_and(|limit| began.elapsed() >= limit) {
                return Err(EngineError::Locked {
                    folder: folder.to_owned(),
                    seconds: began.elapsed().as_secs(),
                });
            }
            if !told {
                (wait.waiting)();
                told = true;
            }
            if (wait.cancelled)() {
                return Err(EngineError::Interrupted {
                    folder: folder.to_owned(),
                });
            }
            std::thread::sleep(Self::INTERVAL);
        }
    }
}

/// Removes files; those that are gone already count as removed.
pub(super) fn remove(paths: &[PathBuf]) -> Result<(), EngineError> {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::io("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
