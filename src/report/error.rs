//! Why a report cannot be made.

use std::path::PathBuf;

use crate::error::{Classified, ErrorClass, io_class};
use crate::record::JournalError;

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder holds no run.
    #[error(
        "{path} is no run folder: it has no journal.jsonl; give the folder that `masklet run` wrote \
         (--out-dir)"
    )]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the folder cannot be read.
    #[error("{path} cannot be read: {source}; make it readable, or copy the run folder again")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// `run.json` is damaged.
    #[error("{path} is no JSON ({why}); restore it, or remove it to have a report without it")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The drawing library refused a plot.
    #[error("the plot \"{plot}\" cannot be drawn: {why}; please file an issue with the journal")]
    Plot {
        /// Its name.
        plot: String,
        /// The library's words.
        why: String,
    },
}

impl Classified for ReportError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotARun { .. } => ErrorClass::Usage,
            Self::Read { source, .. } => io_class(source),
            Self::Manifest { .. } => ErrorClass::Data,
            Self::Journal(error) => error.class(),
            Self::Plot { .. } => ErrorClass::Run,
        }
    }
}
