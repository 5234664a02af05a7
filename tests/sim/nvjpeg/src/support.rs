//! For tests: a folder that holds the stand-in under nvJPEG's name.

use std::io;
use std::path::PathBuf;

#[path = "../../links.rs"]
mod links;

/// A folder with the stand-in as `libnvjpeg.so.12`, for `LD_LIBRARY_PATH`.
///
/// # Errors
/// When the stand-in's file is not where cargo puts it, or the folder cannot be written.
pub fn library_folder() -> io::Result<PathBuf> {
    links::folder_of("masklet_sim_nvjpeg", "sim-nvjpeg", &["libnvjpeg.so.12"])
}
