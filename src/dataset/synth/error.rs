//! Why a split could not be made.

use crate::error::{Classified, ErrorClass};
use crate::media::image::ImageError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a split could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The recipe asks for something that cannot be.
    #[error("{what} {value} is not possible; give {expected}")]
    Recipe {
        /// The option.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The folder holds something already.
    #[error("{path} is not empty; give another folder, or --force to replace the split in it")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// `--force` would remove what is not a split of `masklet synth`.
    #[error(
        "{path} was not made by masklet synth, so --force removes nothing; move it away or give \
         another folder"
    )]
    Foreign {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write {path}: {source}; choose a folder that can be written and has room")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A frame could not be encoded.
    #[error("cannot encode {path}: {message}")]
    Encode {
        /// The frame.
        path: PathBuf,
        /// What the encoder said.
        message: String,
    },
    /// A mask could not be written.
    #[error(transparent)]
    Mask(ImageError),
}

impl SynthError {
    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

impl Classified for SynthError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Recipe { .. } | Self::NotEmpty { .. } | Self::Foreign { .. } => ErrorClass::Usage,
            // What stands in the way of writing is never the fault of data that was given.
            Self::Write { .. } => ErrorClass::Environment,
            Self::Encode { .. } => ErrorClass::Run,
            Self::Mask(error) => error.class(),
        }
    }
}
