//! For tests: a folder that holds the stand-in under TensorRT's names.
//!
//! A package whose tests want it takes this crate as a dev-dependency; cargo then builds the
//! library beside the tests' own programs.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The names under which a client looks for TensorRT 10.
pub const NAMES: [&str; 2] = ["libnvinfer.so.10", "libnvonnxparser.so.10"];

/// A folder with links named [`NAMES`] to the stand-in, for `LD_LIBRARY_PATH`; `None` when the
/// stand-in was built without TensorRT's headers.
///
/// # Errors
/// When the stand-in's file is not where cargo puts it, or the folder cannot be written.
pub fn library_folder() -> io::Result<Option<PathBuf>> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if crate::HEADERS.is_none() {
        return Ok(None);
    }
    let program = std::env::current_exe()?;
    // Tests lie in target/<profile>/deps, as does the library; binaries and examples above that.
    let library = program
        .ancestors()
        .skip(1)
        .take(3)
        .flat_map(|folder| [folder.to_path_buf(), folder.join("deps")])
        .map(|folder| folder.join("libmasklet_sim_nvinfer.so"))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            io::Error::other(format!(
                "libmasklet_sim_nvinfer.so is not near {}: is masklet-sim-nvinfer a dev-dependency?",
                program.display()
            ))
        })?;
    let folder = library.with_file_name("sim-nvinfer");
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::create_dir_all(&folder)?;
    for name in NAMES {
        let link = folder.join(name);
        if std::fs::read_link(&link).is_ok_and(|target| target == library) {
            continue;
        }
        // Made beside and renamed: other processes may do this at once.
        let fresh = folder.join(format!("{name}.{}", std::process::id()));
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(&library, &fresh)?;
        std::fs::rename(&fresh, &link)?;
    }
    Ok(Some(folder))
}
