//! Files of the run folder that are there whole or not at all.

use std::path::Path;

use super::error::storage;
use crate::error::Result;
use crate::files;

/// Writes a file by way of a temporary one and a rename; see [`files::write_whole`].
///
/// # Errors
/// When the folder cannot be written or takes no more.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    files::write_whole(path, bytes).map_err(|source| storage("write", path, source))
}
