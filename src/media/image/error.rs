//! What can be wrong with an image file.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::{Classified, ErrorClass, io_class};

/// An image that could not be read, did not fit, or could not be written.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first bytes belong to no supported format.
    #[error("{path} is neither JPEG nor PNG: {found}")]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what helps.
        found: String,
    },
    /// The file ends before its image does.
    #[error("{path} is truncated: {detail}; copy or extract it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where it ends.
        detail: String,
    },
    /// A frame that asks to be shown turned.
    #[error(
        "{path} has the EXIF orientation {value} (to be shown {shown}), and whether masks and clicks \
         are meant for the stored or the shown picture is not certain; turn the pixels (mogrify \
         -auto-orient) or remove the tag (exiftool -Orientation=)"
    )]
    Turned {
        /// The file.
        path: PathBuf,
        /// The tag's value, 2 to 8.
        value: u16,
        /// What it asks for.
        shown: &'static str,
    },
    /// The GPU's decoder failed.
    #[error(
        "{path} could not be decoded on the GPU: {message}; --jpeg-decoder cpu does without it"
    )]
    Device {
        /// The file.
        path: PathBuf,
        /// The decoder's words.
        message: String,
    },
    /// The decoder refused the file.
    #[error("{path} cannot be decoded: {message}; copy or extract it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The decoder's words.
        message: String,
    },
    /// The image has another size than the video it belongs to.
    #[error(
        "{path} is {found_width}x{found_height} but {expected_width}x{expected_height} is \
         expected; all frames and masks of a video must have one size"
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Columns expected.
        expected_width: usize,
        /// Rows expected.
        expected_height: usize,
        /// Columns found.
        found_width: usize,
        /// Rows found.
        found_height: usize,
    },
    /// A one-object mask holds more than two values.
    #[error(
        "mask {path} holds {count} different values ({values}) where a mask of one object holds at \
         most two (0 is background); split its objects into one folder each"
    )]
    NotBinary {
        /// The file.
        path: PathBuf,
        /// How many values.
        count: usize,
        /// The first of them.
        values: String,
    },
    /// Pixels that cannot be read as object numbers.
    #[error("{path} holds no labels: {detail}; save it as a palette or greyscale PNG")]
    NotLabels {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        detail: String,
    },
    /// A buffer handed in does not fit the image.
    #[error("{what} needs {expected} values but the buffer holds {found}")]
    Buffer {
        /// What was to be done.
        what: &'static str,
        /// Length needed.
        expected: usize,
        /// Length given.
        found: usize,
    },
    /// The resizer cannot work on these sizes.
    #[error("cannot resize {width}x{height} to {size}x{size}: {message}")]
    Resize {
        /// Source columns.
        width: usize,
        /// Source rows.
        height: usize,
        /// Target side.
        size: usize,
        /// Why.
        message: String,
    },
    /// The file cannot be written.
    #[error("cannot write {path}: {source}; check the folder's permissions and free space")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ImageError {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn truncated(path: &Path, detail: impl Into<String>) -> Self {
        Self::Truncated {
            path: path.to_owned(),
            detail: detail.into(),
        }
    }

    pub(crate) fn device(path: &Path, message: impl ToString) -> Self {
        Self::Device {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }

    pub(crate) fn damaged(path: &Path, message: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }
}

impl Classified for ImageError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } => io_class(source),
            // Whatever stops a write (no folder, no permission, no space) is the machine's.
            Self::Write { .. } => ErrorClass::Environment,
            Self::Buffer { .. } => ErrorClass::Usage,
            _ => ErrorClass::Data,
        }
    }
}
