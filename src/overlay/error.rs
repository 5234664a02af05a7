//! Why an overlay could not be drawn.

use crate::dataset::DatasetError;
use crate::error::{Classified, ErrorClass, io_class};
use crate::media::image::ImageError;
use crate::media::video::VideoError;
use std::io;
use std::path::PathBuf;

/// Why an overlay could not be drawn. The run it belongs to goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// A frame or a predicted mask cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Ground truth cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The video file cannot be written.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// The object has no prompt.
    #[error("{0}")]
    Start(String),
    /// A predicted mask is of another size than the video.
    #[error(
        "the predicted mask {path} is {found_width}x{found_height}, the video {width}x{height}; \
         it is not of this run: remove it"
    )]
    MaskSize {
        /// The mask's file.
        path: PathBuf,
        /// Its columns.
        found_width: usize,
        /// Its rows.
        found_height: usize,
        /// Columns of the video.
        width: usize,
        /// Rows of the video.
        height: usize,
    },
    /// The run kept no mask of a frame.
    #[error("the run kept no mask of frame {frame}")]
    NoMask {
        /// The frame's index.
        frame: usize,
    },
    /// A file cannot be written or renamed.
    #[error("cannot write {path}: {source}; make room or make it writable")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The run was asked to stop.
    #[error("the run was asked to stop")]
    Stopped,
}

impl Classified for OverlayError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Image(error) => error.class(),
            Self::Dataset(error) => error.class(),
            Self::Video(error) => error.class(),
            Self::Write { source, .. } => io_class(source),
            Self::Start(_) | Self::MaskSize { .. } | Self::NoMask { .. } => ErrorClass::Data,
            Self::Stopped => ErrorClass::Run,
        }
    }
}
