//! What the machine says of itself: memory of the process and the system, and the environment a
//! run was made in.
//!
//! Everything is read from `/proc`, `/sys` and `/etc` below a [`SystemRoot`], so that tests can
//! set up a tree of their own. A sensor that is missing is a [`Reading`] without a value and with
//! the reason, never a zero. Device memory is not read here: the arena of `masklet-engines`
//! keeps its own books.

mod environment;
mod memory;
mod reading;
mod sampler;

pub use environment::{Environment, cpu_model, git_describe};
pub use memory::{MemorySnapshot, ProcessMemory, SystemMemory};
pub use reading::Reading;
pub use sampler::{MemorySampler, PeakMemory};

use std::path::{Path, PathBuf};

/// Where `/proc`, `/sys` and `/etc` are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemRoot(PathBuf);

impl SystemRoot {
    /// The machine itself.
    pub fn real() -> Self {
        Self(PathBuf::from("/"))
    }

    /// A tree that stands in for the machine.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// The place of an absolute system path such as `/proc/meminfo` below this root.
    pub fn path(&self, system_path: &str) -> PathBuf {
        self.0.join(system_path.trim_start_matches('/'))
    }

    /// Reads a small text file; a failure is a reason that names the system path.
    pub(crate) fn read(&self, system_path: &str) -> Result<String, String> {
        read_text(&self.path(system_path), system_path)
    }
}

impl Default for SystemRoot {
    fn default() -> Self {
        Self::real()
    }
}

fn read_text(path: &Path, shown: &str) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{shown} does not exist"),
        _ => format!("{shown} cannot be read: {error}"),
    })?;
    // Device-tree strings end in NUL.
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end_matches(['\0', '\n']).to_owned())
}

#[cfg(test)]
mod tests;
