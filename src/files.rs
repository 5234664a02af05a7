//! Writing files: whole or not at all, never through a planted symbolic link, on disk before
//! anything promises them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

/// Start of the names of temporary files; the rest is random.
pub(crate) const TEMPORARY: &str = ".masklet-";
/// Up to this many files are synced one by one; more of them with their file system.
const MOST_SINGLE_SYNCS: usize = 32;

/// A new file of a random name beside `path`, to be renamed to it; removed when dropped.
///
/// # Errors
/// The system's own.
pub(crate) fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        // As for any new file; the umask takes away from it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder_of(path))
}

/// Gives a temporary file its name, after its contents have reached the disk. A symbolic link of
/// that name is replaced, not followed.
///
/// # Errors
/// The system's own; the temporary file is removed.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself lasts where the file system can sync folders.
    let _ = sync_folder(folder_of(path));
    Ok(())
}

/// Writes a file by way of a temporary one and a rename: a reader sees the old contents or the new
/// ones, and after a failure the old ones stay.
///
/// # Errors
/// The system's own.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)?;
    persist(file, path)
}

/// Writes a file that the user named: [`write_whole`], except for devices, pipes and symbolic
/// links, which are written to directly.
///
/// # Errors
/// The system's own.
pub(crate) fn write_named(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(seen) if !seen.is_file() => fs::write(path, bytes),
        _ => write_whole(path, bytes),
    }
}

/// Creates or empties a file of the run folder; a symbolic link or a pipe of that name is refused.
///
/// # Errors
/// The system's own.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

/// Makes `files` last through a power cut, with the folders between them and `root`.
///
/// # Errors
/// The first file or folder that cannot be synced, and the system's own error.
pub(crate) fn sync(files: &[PathBuf], root: &Path) -> Result<(), (PathBuf, io::Error)> {
    let open = |path: &Path| File::open(path).map_err(|error| (path.to_owned(), error));
    if files.len() > MOST_SINGLE_SYNCS {
        // One flush instead of hundreds. Files may be on another file system than the run folder.
        let place = files.first().map_or(root, PathBuf::as_path);
        let handle = open(place)?;
        return rustix::fs::syncfs(handle).map_err(|error| (place.to_owned(), error.into()));
    }
    let mut folders = BTreeSet::new();
    for file in files {
        let synced = open(file)?.sync_all();
        synced.map_err(|error| (file.clone(), error))?;
        let above = file.ancestors().skip(1);
        folders.extend(above.take_while(|folder| folder.starts_with(root)));
    }
    for folder in folders {
        sync_folder(folder).map_err(|error| (folder.to_owned(), error))?;
    }
    Ok(())
}

/// Syncs a folder's entries; file systems that cannot are left alone.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_planted_link_is_replaced_or_refused_and_its_target_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("summary.csv"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        // The old predictable name of the temporary file is of no use either.
        symlink(&victim, dir.path().join("summary.csv.tmp")).unwrap();
        assert!(create(&link).is_err());
        write_whole(&link, b"rows").unwrap();
        assert_eq!(fs::read(&link).unwrap(), b"rows");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run.json");
        fs::create_dir_all(folder.join("inside")).unwrap();
        assert!(write_whole(&folder, b"new").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn few_and_many_files_are_synced() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0, 1, 3, MOST_SINGLE_SYNCS + 1] {
            let files: Vec<PathBuf> = (0..count)
                .map(|n| dir.path().join(format!("{n}")))
                .collect();
            for file in &files {
                fs::write(file, "x").unwrap();
            }
            sync(&files, dir.path()).unwrap();
        }
        let gone = dir.path().join("gone");
        assert_eq!(
            sync(std::slice::from_ref(&gone), dir.path()).unwrap_err().0,
            gone
        );
    }
}
