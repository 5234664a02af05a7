//! Why runs cannot be compared.

use std::path::PathBuf;

use crate::error::{Classified, ErrorClass, io_class};
use crate::record::JournalError;

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The path is neither a run folder nor a file.
    #[error(
        "{path} is no run: give a run folder (with run.json and journal.jsonl) or a CSV file such \
         as sav_benchmark_summary.csv"
    )]
    NotARun {
        /// The path.
        path: PathBuf,
    },
    /// The file as a whole is no table of results.
    #[error("{path} cannot be used: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A line of a CSV file is damaged.
    #[error("{path} line {line}: {why}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: u64,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A run's journal is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Nothing is in both runs.
    #[error("{a} and {b} have no (video, object, model) in common that is ok in both: {why}")]
    NoPairs {
        /// The first run.
        a: String,
        /// The second run.
        b: String,
        /// What each of them has.
        why: String,
    },
    /// The runs are not alike.
    #[error(
        "no figures for runs that are not alike ({count} above); make them alike, or give --anyway \
         to have the figures under the differences"
    )]
    Unlike {
        /// How many differences, in words.
        count: String,
    },
    /// A threshold cannot be understood.
    #[error("--threshold {text}: {why}")]
    Threshold {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A threshold is about a figure that was not measured.
    #[error(
        "--threshold {name}: {model} has no such figure in both {a} and {b}; a gate on what was \
         not measured would always be open. Measured there: {measured}"
    )]
    NotMeasured {
        /// The figure.
        name: String,
        /// The model tag.
        model: String,
        /// The first run.
        a: String,
        /// The second run.
        b: String,
        /// Figures that were measured in both.
        measured: String,
    },
}

impl Classified for CompareError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } => io_class(source),
            Self::Threshold { .. } => ErrorClass::Usage,
            Self::NotARun { .. }
            | Self::File { .. }
            | Self::Line { .. }
            | Self::NoPairs { .. }
            | Self::Unlike { .. }
            | Self::NotMeasured { .. } => ErrorClass::Data,
            // The texts of a damaged journal speak of resuming; its class is what matters here.
            Self::Journal(error) => match error.class() {
                ErrorClass::Usage | ErrorClass::Run => ErrorClass::Data,
                class => class,
            },
        }
    }
}
