// How tests find a stand-in: the library that cargo built beside them, under the names that programs load.
// Included by each stand-in's `support`: one that depended on another would export its functions.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The folder `<folder>` beside the library `lib<package>.so`, with links to it named `names`.
///
/// # Errors
/// When the library is not where cargo puts it, or the folder cannot be written.
pub(crate) fn folder_of(package: &str, folder: &str, names: &[&str]) -> io::Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let program = std::env::current_exe()?;
    let file = format!("lib{package}.so");
    // Tests lie in target/<profile>/deps, as does the library; examples and binaries beside that.
    let library = program
        .ancestors()
        .skip(1)
        .take(3)
        .flat_map(|folder| [folder.to_path_buf(), folder.join("deps")])
        .map(|folder| folder.join(&file))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            io::Error::other(format!(
                "{file} is not near {}: is its package a dev-dependency?",
                program.display()
            ))
        })?;
    let folder = library.with_file_name(folder);
    // The tests of a process are threads of it and would make the same links.
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::create_dir_all(&folder)?;
    for name in names {
        let link = folder.join(name);
        if std::fs::read_link(&link).is_ok_and(|target| target == library) {
            continue;
        }
        // Made beside and renamed: other processes may do this at once. One that was killed may
        // have left a link of this name.
        let fresh = folder.join(format!("{name}.{}", std::process::id()));
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(&library, &fresh)?;
        std::fs::rename(&fresh, &link)?;
    }
    Ok(folder)
}
