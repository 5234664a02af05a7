//! What can be wrong with a dataset.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{Classified, ErrorClass, io_class};
use crate::media::image::ImageError;

/// A dataset that is missing, incomplete or inconsistent.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// A folder is not there.
    #[error("there is no {what} at {path}; check the path")]
    NoFolder {
        /// What it should be.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The folder is no dataset.
    #[error(
        "{path} holds neither JPEGImages_24fps (SA-V layout) nor JPEGImages (DAVIS layout); give \
         the folder that contains one of them"
    )]
    NoLayout {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}; check that it exists and may be read")]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The named list of videos is not there.
    #[error(
        "there is no list of videos at {path}; create it with one video per line, or leave out \
         the split name to take every video folder"
    )]
    NoList {
        /// The list.
        path: PathBuf,
    },
    /// A line of the list (or a name given) cannot be a folder's name.
    #[error("{place} names video '{id}', which is no plain folder name; write the name alone")]
    BadName {
        /// Where it stands.
        place: String,
        /// What stands there.
        id: String,
    },
    /// A video is listed twice.
    #[error("{place} names video '{id}' twice; remove one")]
    Twice {
        /// Where it stands.
        place: String,
        /// The video.
        id: String,
    },
    /// Nothing is selected.
    #[error("the split is empty: {path} holds no videos; check the folder or the list")]
    EmptySplit {
        /// The list or the folder.
        path: PathBuf,
    },
    /// A listed video has no folder.
    #[error("{place} names video '{id}' but there is no folder {path}; extract it or unlist it")]
    VideoMissing {
        /// Where it is named.
        place: String,
        /// The video.
        id: String,
        /// The folder that should be there.
        path: PathBuf,
    },
    /// A video asked for by name is not in the split.
    #[error("video '{id}' is not among the {available} videos of {path}; check the name")]
    NotInSplit {
        /// The video.
        id: String,
        /// The list or folder.
        path: PathBuf,
        /// How many there are.
        available: usize,
    },
    /// A video has no frames.
    #[error(
        "video '{video}' has no frames: {path} holds no .jpg, .jpeg or .png files; extract them"
    )]
    NoFrames {
        /// The video.
        video: String,
        /// Its folder.
        path: PathBuf,
    },
    /// A video has no annotated objects.
    #[error(
        "video '{video}' has no annotated objects in {path}; add their masks or leave the video out"
    )]
    NoObjects {
        /// The video.
        video: String,
        /// Where they should be.
        path: PathBuf,
    },
    /// Two frames claim one index.
    #[error("video '{video}' has two frames numbered {number}: {first} and {second}; remove one")]
    FrameTwice {
        /// The video.
        video: String,
        /// The number.
        number: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Two masks of one object claim one frame.
    #[error("{first} and {second} annotate the same frame of one object; remove one")]
    AnnotationTwice {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// An annotation's name is no frame number.
    #[error(
        "annotation {path} is not named by a frame number; name it by its 24 fps frame index, \
         such as 00004.png"
    )]
    NotANumber {
        /// The file.
        path: PathBuf,
    },
    /// An annotation belongs to no frame.
    #[error(
        "annotation {path} has no frame: video '{video}' has {detail}; extract the missing frames \
         or remove the annotation"
    )]
    NoFrameFor {
        /// The annotation.
        path: PathBuf,
        /// The video.
        video: String,
        /// Which frames it has.
        detail: String,
    },
    /// An object never shows, so that there is nothing to prompt with.
    #[error(
        "object '{object}' of video '{video}' cannot be prompted: none of its {annotated} \
         annotations shows it; leave it out or check its masks"
    )]
    NeverVisible {
        /// The video.
        video: String,
        /// The object.
        object: String,
        /// How many masks it has.
        annotated: usize,
    },
    /// An image is wrong.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Classified for DatasetError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } => io_class(source),
            Self::Image(error) => error.class(),
            _ => ErrorClass::Data,
        }
    }
}
