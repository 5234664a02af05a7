//! Why a comparison could not be made.

use crate::dataset::DatasetError;
use crate::error::{Classified, ErrorClass, io_class};
use crate::media::image::ImageError;
use masklet_engines::memory::{AccessError, ArenaError};

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// The two bundles are not of one model.
    #[error(
        "{candidate} and {reference} cannot be compared: {field} is {left} in the one and {right} in \
         the other; export both from the same weights with the same options"
    )]
    Unlike {
        /// The bundle in question.
        candidate: String,
        /// The reference.
        reference: String,
        /// What differs.
        field: &'static str,
        /// Its value in the bundle in question.
        left: String,
        /// Its value in the reference.
        right: String,
    },
    /// An object failed on one side, so that there is nothing to compare.
    #[error("{side} failed on {object}: {reason}")]
    Object {
        /// Which side.
        side: String,
        /// Video, object and prompt.
        object: String,
        /// What went wrong.
        reason: String,
    },
    /// The reference gave other tensors than were asked for.
    #[error("the reference's {tensor} of call {call} has {got} values, {want} are expected")]
    Size {
        /// Component and tensor.
        tensor: String,
        /// Index of the call.
        call: usize,
        /// Values it has.
        got: usize,
        /// Values it should have.
        want: usize,
    },
    /// The clip gave no call of any component.
    #[error("no component ran: the clip has no object that could be prompted")]
    Nothing,
    /// Python could not be started, or stopped with an error.
    #[error("PyTorch's side did not run ({command}): {reason}")]
    Python {
        /// The command.
        command: String,
        /// Exit status and the last lines of what it said.
        reason: String,
    },
    /// A file of the exchange with Python is not what it should be.
    #[error("{path} cannot be read: {reason}")]
    Exchange {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A working file could not be written.
    #[error("cannot write {path}: {source}; TMPDIR chooses another folder")]
    Write {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] masklet_engines::Error),
    /// The arena refused.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// A tensor could not be read.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The clip could not be tracked.
    #[error(transparent)]
    Clip(#[from] crate::error::Error),
    /// The clip could not be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A mask could not be read.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Classified for ParityError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unlike { .. } | Self::Nothing => ErrorClass::Usage,
            Self::Object { .. } => ErrorClass::Run,
            Self::Size { .. } | Self::Exchange { .. } => ErrorClass::Data,
            Self::Python { .. } | Self::Backend(_) | Self::Arena(_) | Self::Access(_) => {
                ErrorClass::Environment
            }
            Self::Write { source, .. } => io_class(source),
            Self::Clip(error) => error.class(),
            Self::Dataset(error) => error.class(),
            Self::Image(error) => error.class(),
        }
    }
}
