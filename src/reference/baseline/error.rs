//! Why a baseline cannot be run. One that died while running is not an error.

use std::path::PathBuf;

use crate::error::{Classified, ErrorClass, io_class};

/// Why a baseline cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The Python package is not where it is looked for.
    #[error(
        "tools/{package} is not beside this program; name the checkout's tools folder with MASKLET_TOOLS"
    )]
    NoTools {
        /// The folder of `tools` that is needed: `baseline`, `export`.
        package: &'static str,
    },
    /// The interpreter does not start.
    #[error(
        "{python} does not start: {source}; name an interpreter that has tools/export/requirements.txt with --baseline-python or MASKLET_PYTHON"
    )]
    Python {
        /// The interpreter.
        python: String,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The package says that it cannot run the job.
    #[error("the baseline cannot run: {why}")]
    NotReady {
        /// Its last line.
        why: String,
    },
    /// A file of the baseline cannot be written or read.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The job does not become JSON.
    #[error("the job does not become JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl Classified for BaselineError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoTools { .. } | Self::Python { .. } | Self::NotReady { .. } => {
                ErrorClass::Environment
            }
            Self::File { source, .. } => io_class(source),
            Self::Encode(_) => ErrorClass::Run,
        }
    }
}
