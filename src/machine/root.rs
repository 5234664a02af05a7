//! Where `/proc`, `/sys` and `/etc` are looked for: the machine, or a tree that stands in for it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Names a folder that stands in for `/` wherever the machine is asked about itself: for tests of
/// what a run or `masklet doctor` does on a board that is not there.
pub const ROOT_ENV: &str = "MASKLET_SYSTEM_ROOT";

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

    /// The tree that [`ROOT_ENV`] names, or the machine itself.
    pub fn from_env() -> Self {
        match std::env::var_os(ROOT_ENV) {
            Some(root) if !root.is_empty() => Self::at(root),
            _ => Self::real(),
        }
    }

    /// Whether it is the machine itself. What is read elsewhere is no measurement of this machine,
    /// and libraries that ask the machine directly (NVML) are not asked.
    pub fn is_real(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// The place of an absolute system path such as `/proc/meminfo` below this root.
    pub fn path(&self, system_path: &str) -> PathBuf {
        self.0.join(system_path.trim_start_matches('/'))
    }

    /// Reads a small text file; a failure is a reason that names the system path.
    pub(crate) fn read(&self, system_path: &str) -> Result<String, String> {
        let bytes = std::fs::read(self.path(system_path))
            .map_err(|error| unreadable(system_path, &error))?;
        Ok(text_of(&bytes))
    }

    /// A number that stands alone in a file.
    pub(crate) fn number(&self, system_path: &str) -> Result<f64, String> {
        number_of(&self.read(system_path)?, system_path)
    }

    /// Whether something is there.
    pub(crate) fn exists(&self, system_path: &str) -> bool {
        self.path(system_path).exists()
    }

    /// The system paths of what is in a folder, sorted with numbers in numeric order; empty where
    /// there is no such folder.
    pub(crate) fn list(&self, system_folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(system_folder)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        // in2 before in10.
        names.sort_by_key(|name| {
            let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            let end = digits.find(|c: char| !c.is_ascii_digit());
            let number: u64 = digits[..end.unwrap_or(digits.len())].parse().unwrap_or(0);
            (
                name[..name.len() - digits.len()].to_owned(),
                number,
                name.clone(),
            )
        });
        let folder = system_folder.trim_end_matches('/');
        names
            .into_iter()
            .map(|name| format!("{folder}/{name}"))
            .collect()
    }
}

impl Default for SystemRoot {
    fn default() -> Self {
        Self::real()
    }
}

fn unreadable(shown: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("{shown} does not exist"),
        std::io::ErrorKind::PermissionDenied => {
            format!("{shown} may be read by root only (permission denied)")
        }
        _ => format!("{shown} cannot be read: {error}"),
    }
}

fn text_of(bytes: &[u8]) -> String {
    // Device-tree strings end in NUL.
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(['\0', '\n']).to_owned()
}

fn number_of(text: &str, shown: &str) -> Result<f64, String> {
    let word = text.split_whitespace().next().unwrap_or("");
    word.parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .ok_or_else(|| format!("{shown} holds no number: {:?}", text.trim()))
}

/// One file of the kernel's that is kept open and read again and again: a read is one system call.
#[derive(Debug)]
pub(super) struct Probe {
    file: File,
    shown: String,
    buffer: Vec<u8>,
}

/// More than any file that is read here; a list of memory clients may have hundreds of lines.
const MOST_BYTES: usize = 256 * 1024;

impl Probe {
    /// Opens a file; a failure is a reason that names the system path.
    pub fn open(root: &SystemRoot, system_path: &str) -> Result<Self, String> {
        let file =
            File::open(root.path(system_path)).map_err(|error| unreadable(system_path, &error))?;
        Ok(Self {
            file,
            shown: system_path.to_owned(),
            buffer: vec![0; 256],
        })
    }

    /// Where it is.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Its text now.
    pub fn text(&mut self) -> Result<&str, String> {
        let mut length = 0;
        loop {
            if length == self.buffer.len() {
                if length >= MOST_BYTES {
                    return Err(format!("{} is too long", self.shown));
                }
                self.buffer.resize(length * 4, 0);
            }
            let space = self.buffer.get_mut(length..).unwrap_or_default();
            match self.file.read_at(space, length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) => return Err(unreadable(&self.shown, &error)),
            }
        }
        let bytes = self.buffer.get(..length).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| format!("{} is not text", self.shown))
    }

    /// The number that it holds now.
    pub fn number(&mut self) -> Result<f64, String> {
        let shown = self.shown.clone();
        number_of(self.text()?, &shown)
    }
}
