//! For tests: a folder that holds the stand-in under TensorRT's names.
//!
//! A package whose tests want it takes this crate as a dev-dependency; cargo then builds the
//! library beside the tests' own programs.

use std::io;
use std::path::PathBuf;

#[path = "../../links.rs"]
mod links;

/// The names under which a client looks for TensorRT 10.
pub const NAMES: [&str; 2] = ["libnvinfer.so.10", "libnvonnxparser.so.10"];

/// A folder with links named [`NAMES`] to the stand-in, for `LD_LIBRARY_PATH`; `None` when the
/// stand-in was built without TensorRT's headers.
///
/// # Errors
/// When the stand-in's file is not where cargo puts it, or the folder cannot be written.
pub fn library_folder() -> io::Result<Option<PathBuf>> {
    if crate::HEADERS.is_none() {
        return Ok(None);
    }
    links::folder_of("masklet_sim_nvinfer", "sim-nvinfer", &NAMES).map(Some)
}
