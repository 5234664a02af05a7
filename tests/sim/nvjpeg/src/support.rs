//! For tests: a folder that holds the stand-in under nvJPEG's name.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// A folder with the stand-in as `libnvjpeg.so.12`, for `LD_LIBRARY_PATH`.
///
/// # Errors
/// When the stand-in's file is not where cargo puts it, or the folder cannot be written.
pub fn library_folder() -> io::Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let program = std::env::current_exe()?;
    let library = program
        .ancestors()
        .skip(1)
        .take(3)
        .flat_map(|folder| [folder.to_path_buf(), folder.join("deps")])
        .map(|folder| folder.join("libmasklet_sim_nvjpeg.so"))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            io::Error::other(format!(
                "libmasklet_sim_nvjpeg.so is not near {}: is masklet-sim-nvjpeg a dev-dependency?",
                program.display()
            ))
        })?;
    let folder = library.with_file_name("sim-nvjpeg");
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::create_dir_all(&folder)?;
    let link = folder.join("libnvjpeg.so.12");
    if !std::fs::read_link(&link).is_ok_and(|target| target == library) {
        // Made beside and renamed: other processes may do this at once.
        let fresh = folder.join(format!("libnvjpeg.so.12.{}", std::process::id()));
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(&library, &fresh)?;
        std::fs::rename(&fresh, &link)?;
    }
    Ok(folder)
}
