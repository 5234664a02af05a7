//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::StorageError;

/// Writes a file by way of a temporary one beside it and a rename. A reader sees the old text or
/// the new one; when anything fails the old one stays and the temporary one is removed.
///
/// # Errors
/// [`StorageError`] when the folder takes no more or is not to be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let outcome = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if let Err(source) = outcome {
        // What is left behind would only add to a full disk; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        return Err(StorageError::new("write", path, source));
    }
    sync_folder(path);
    Ok(())
}

/// Makes the rename itself last through a power cut where the file system can.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent()
        && let Ok(handle) = File::open(folder)
    {
        let _ = handle.sync_all();
    }
}
