//! What ends a run. A failing object does not: it becomes a failed row.

use crate::error::{Classified, ErrorClass};
use crate::media::image::ImageError;
use crate::track::TrackError;
use masklet_engines::backend::BackendError;
use masklet_engines::bundle::BundleError;
use masklet_engines::memory::{ArenaError, PlanError};

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A bundle was refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The backend failed outside any object.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The plan is larger than what it may take.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The arena refused what the plan promised.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The tracker failed outside any object (warm-up).
    #[error(transparent)]
    Track(#[from] TrackError),
    /// A mask could not be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A folder for masks could not be made.
    #[error("cannot create {path}: {source}; choose another --out-dir or make it writable")]
    CreateFolder {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Classified for PipelineError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Bundle(BundleError::Unreadable { source, .. }) => crate::error::io_class(source),
            Self::Bundle(_) => ErrorClass::Data,
            Self::Backend(_) | Self::Plan(_) | Self::Arena(_) | Self::Track(_) => {
                ErrorClass::Environment
            }
            Self::Image(error) => error.class(),
            Self::CreateFolder { source, .. } => crate::error::io_class(source),
            Self::Interrupted => ErrorClass::Run,
        }
    }
}
