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
    /// The folder is not a dataset.
    #[error(
        "{path} holds neither JPEGImages_24fps (SA-V layout) nor JPEGImages (DAVIS layout) but \
         {found}; {}",
        advice(nearer)
    )]
    NoLayout {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// Folders in it and around it that are datasets.
        nearer: Vec<PathBuf>,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The named list of videos is not there.
    #[error(
        "there is no list of videos at {path}; {}leave out the split name to take every video folder",
        lists(known)
    )]
    NoList {
        /// The list.
        path: PathBuf,
        /// Lists that are there.
        known: Vec<String>,
    },
    /// A list of videos that is not text.
    #[error("{path} is neither UTF-8 nor UTF-16 text; save it as UTF-8, one video a line")]
    NotText {
        /// The list.
        path: PathBuf,
    },
    /// No folder of frames has a folder of masks of the same name.
    #[error(
        "no video folder of {frames} has a folder of the same name in {masks} (such as '{first}'); \
         check that they belong together"
    )]
    NoCounterpart {
        /// Where the frames are.
        frames: PathBuf,
        /// Where the masks are.
        masks: PathBuf,
        /// The first video without masks.
        first: String,
    },
    /// A folder of masks without masks.
    #[error("{path} holds no masks (PNG files, or a folder of them per object) but {found}")]
    NoMasks {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// Label maps beside folders of objects.
    #[error(
        "{path} holds both PNG files and folders of PNG files; a video has either a label map per \
         frame or a folder per object"
    )]
    BothWays {
        /// The folder.
        path: PathBuf,
    },
    /// Files of two naming schemes.
    #[error(
        "the files of {path} are named in two ways, such as {first} and {second}, so that their \
         order is not certain; take those out that do not belong there"
    )]
    Mixed {
        /// The folder.
        path: PathBuf,
        /// A name of one scheme, without extension.
        first: String,
        /// A file of the other.
        second: String,
    },
    /// A mask that may belong to either of two frames.
    #[error(
        "mask {mask} of video '{video}' can mean frame {by_number} (the same number) or frame \
         {by_position} (the position, counted from 0); rename masks or frames so that both have \
         the same names"
    )]
    Ambiguous {
        /// The video.
        video: String,
        /// The mask.
        mask: PathBuf,
        /// The frame of its number.
        by_number: String,
        /// The frame at its position.
        by_position: String,
    },
    /// Something is wrong with an object's files, or its video's.
    #[error("{0}")]
    Unusable(String),
    /// No selected video can be used.
    #[error("none of the {count} selected videos can be used; {id}: {reason}")]
    NoVideoUsable {
        /// The first video.
        id: String,
        /// How many there are.
        count: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of the list (or a name given) cannot be a folder's name.
    #[error("{place} names video '{id}', which is not a plain folder name; write the name alone")]
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
    #[error("video '{video}' has no frames: {path} holds no .jpg, .jpeg or .png files but {found}")]
    NoFrames {
        /// The video.
        video: String,
        /// Its folder.
        path: PathBuf,
        /// What it holds.
        found: String,
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

/// Where to look instead.
fn advice(nearer: &[PathBuf]) -> String {
    match nearer {
        [] => "give the folder that contains one of them".to_owned(),
        [one] => format!("did you mean {}?", one.display()),
        [first, ..] => format!(
            "give one of the {} datasets there, such as {}",
            nearer.len(),
            first.display()
        ),
    }
}

fn lists(known: &[String]) -> String {
    if known.is_empty() {
        return "create it with one video per line, or ".to_owned();
    }
    let names: Vec<&str> = known.iter().take(8).map(String::as_str).collect();
    format!("there are {}; give one of them, or ", names.join(", "))
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
