//! What can go wrong with a run folder.

use std::path::{Path, PathBuf};

use crate::error::{Classified, ErrorClass};
use crate::figures::stats;

/// Output cannot be written. The text names the path, what was tried, the free bytes where they
/// matter, and the way out.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}{free}; {fix}")]
pub struct StorageError {
    /// What was tried, such as `write`.
    pub action: &'static str,
    /// Where.
    path: PathShown,
    free: FreeShown,
    fix: &'static str,
    /// The system's own error.
    source: std::io::Error,
}

#[derive(Debug)]
struct PathShown(PathBuf);

#[derive(Debug)]
struct FreeShown(Option<u64>);

impl std::fmt::Display for PathShown {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(out)
    }
}

impl std::fmt::Display for FreeShown {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(bytes) => write!(out, " ({} free there)", stats::bytes(bytes)),
            None => Ok(()),
        }
    }
}

impl StorageError {
    /// Wraps an I/O error of the output side. For a full disk the free bytes are looked up.
    pub fn new(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind::*;
        let full = matches!(source.kind(), StorageFull | QuotaExceeded);
        let fix = match source.kind() {
            StorageFull | QuotaExceeded => {
                "free some space or choose another place with --out-dir, then go on with --resume"
            }
            PermissionDenied | ReadOnlyFilesystem => {
                "make it writable or choose another place with --out-dir"
            }
            NotADirectory | AlreadyExists => {
                "a file is in the way: choose another place with --out-dir"
            }
            _ => "choose another place with --out-dir",
        };
        Self {
            action,
            free: FreeShown(full.then(|| free_bytes(path)).flatten()),
            path: PathShown(path.to_owned()),
            fix,
            source,
        }
    }

    /// The path that could not be written.
    pub fn path(&self) -> &Path {
        &self.path.0
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::*;
        matches!(self.source.kind(), StorageFull | QuotaExceeded)
    }
}

impl Classified for StorageError {
    fn class(&self) -> ErrorClass {
        if self.is_full() {
            ErrorClass::Passing
        } else {
            ErrorClass::Environment
        }
    }
}

/// Bytes free to this user on the file system of a path, or of its nearest parent that exists.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let place = path.ancestors().find(|p| p.exists())?;
    let seen = rustix::fs::statvfs(place).ok()?;
    Some(seen.f_bavail.saturating_mul(seen.f_frsize))
}

/// A journal cannot be read or continued.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; check the path and its permissions")]
    Read {
        /// The journal.
        path: String,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The first line is not a journal's.
    #[error(
        "{path} is not a journal of masklet: line 1 {why}; choose another run folder, or begin anew with --force"
    )]
    NotAJournal {
        /// The journal.
        path: String,
        /// What the line is.
        why: String,
    },
    /// The journal is of another schema version.
    #[error(
        "{path} has journal schema {found}, this program writes {known}; resume it with the program that began it, or begin anew with --force"
    )]
    Schema {
        /// The journal.
        path: String,
        /// Version in the file.
        found: u64,
        /// Version of this program.
        known: u64,
    },
    /// A line that is not the last is damaged.
    #[error(
        "{path} line {line} is damaged ({why}); nothing was changed: remove that line to have its object run again, or begin anew with --force"
    )]
    Damaged {
        /// The journal.
        path: String,
        /// Line number, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Two lines are about the same object and model.
    #[error(
        "{path} line {line} repeats {key} of line {first}; remove one of the two lines, or begin anew with --force"
    )]
    Repeated {
        /// The journal.
        path: String,
        /// The later line.
        line: usize,
        /// The earlier line.
        first: usize,
        /// Video, object and model.
        key: String,
    },
    /// The run was begun with other options.
    #[error(
        "{path} was begun with other options: {}; resume with the same options, or begin anew with --force", .differences.join(", ")
    )]
    OtherOptions {
        /// The journal.
        path: String,
        /// One text per option that differs: name, then and now.
        differences: Vec<String>,
    },
    /// The row is there already.
    #[error("{key} is already in the journal; a row is written once")]
    Duplicate {
        /// Video, object and model.
        key: String,
    },
    /// The row is no measurement.
    #[error(transparent)]
    Row(#[from] super::RowError),
    /// A row or header does not become JSON.
    #[error("{key} does not become JSON: {source}")]
    Encode {
        /// What was to be written.
        key: String,
        /// The encoder's error.
        source: serde_json::Error,
    },
    /// Another process writes the same journal.
    #[error("{path} is being written by another process; wait for it or choose another --out-dir")]
    Busy {
        /// The journal.
        path: String,
    },
    /// The journal cannot be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Classified for JournalError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } => crate::error::io_class(source),
            Self::NotAJournal { .. }
            | Self::Schema { .. }
            | Self::Damaged { .. }
            | Self::Repeated { .. } => ErrorClass::Data,
            Self::OtherOptions { .. } => ErrorClass::Usage,
            Self::Duplicate { .. } | Self::Encode { .. } => ErrorClass::Run,
            Self::Row(error) => error.class(),
            Self::Busy { .. } => ErrorClass::Passing,
            Self::Storage(error) => error.class(),
        }
    }
}

/// A run folder cannot be made, opened or finished.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is a run already.
    #[error(
        "{path} holds a run already ({rows} finished objects); continue it with --resume, begin anew with --force, or choose another --out-dir"
    )]
    Exists {
        /// The run folder.
        path: String,
        /// Rows in its journal, or `?`.
        rows: String,
    },
    /// The run's name is not a folder name.
    #[error("{tag:?} is no name for a run folder; use letters, digits, '.', '_' and '-'")]
    Tag {
        /// The name.
        tag: String,
    },
    /// A file of the run cannot be encoded.
    #[error("{what} does not become text: {why}")]
    Encode {
        /// Which file.
        what: &'static str,
        /// The encoder's error.
        why: String,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file or folder cannot be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Classified for FolderError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Exists { .. } | Self::Tag { .. } => ErrorClass::Usage,
            Self::Encode { .. } => ErrorClass::Run,
            Self::Journal(error) => error.class(),
            Self::Storage(error) => error.class(),
        }
    }
}
