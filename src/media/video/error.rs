//! Why a video file could not be read or written.

use crate::error::{Classified, ErrorClass, io_class};
use std::io;
use std::path::PathBuf;

/// Why a video file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// The program is not there.
    #[error(
        "{program} is needed for video files and was not found{wanted}; install it (apt-get install ffmpeg) \
         or name its folder in MASKLET_FFMPEG_DIR"
    )]
    NoProgram {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
        /// Where it was looked for, when not on the path: ` in FOLDER`.
        wanted: String,
    },
    /// The program is there, but cannot encode.
    #[error(
        "this ffmpeg writes no H.264 videos with libx264: {message}; install a full one (apt-get install \
         ffmpeg) or name its folder in MASKLET_FFMPEG_DIR"
    )]
    NoEncoder {
        /// Its last words.
        message: String,
    },
    /// The program could not be started or spoken to.
    #[error("{program} failed on {path}: {source}")]
    Pipe {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
        /// The video file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended with an error of its own.
    #[error("{program} cannot handle {path}: {message}")]
    Refused {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
        /// The video file.
        path: PathBuf,
        /// Its last words.
        message: String,
    },
    /// The file holds no video that can be tracked.
    #[error("{path} {what}")]
    Unusable {
        /// The video file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
}

impl Classified for VideoError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoProgram { .. } | Self::NoEncoder { .. } => ErrorClass::Environment,
            Self::Pipe { source, .. } => io_class(source),
            Self::Refused { .. } | Self::Unusable { .. } => ErrorClass::Data,
        }
    }
}
