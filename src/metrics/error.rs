//! What can go wrong when masks and folders of masks are scored.

use crate::error::{Classified, ErrorClass, io_class};
use std::path::PathBuf;
use thiserror::Error;

/// Two masks that should be compared differ in size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the ground truth is {gt_width}x{gt_height} (width x height) but the prediction is \
     {pred_width}x{pred_height}; write predictions at the size of the video"
)]
pub struct SizeMismatch {
    /// Rows of the ground truth.
    pub gt_height: usize,
    /// Columns of the ground truth.
    pub gt_width: usize,
    /// Rows of the prediction.
    pub pred_height: usize,
    /// Columns of the prediction.
    pub pred_width: usize,
}

impl Classified for SizeMismatch {
    fn class(&self) -> ErrorClass {
        ErrorClass::Data
    }
}

/// Why one mask PNG could not be read.
#[derive(Debug, Error)]
pub enum MaskPngError {
    /// The file could not be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no whole PNG.
    #[error("{} is not a whole PNG file: {reason}; write it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// The header promises more pixels than any mask has.
    #[error(
        "{} claims to be {width}x{height} pixels, more than the {limit} that are read; \
         is it a mask?",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Columns in the header.
        width: u32,
        /// Rows in the header.
        height: u32,
        /// The most pixels a mask may have.
        limit: u64,
    },
    /// A colour or alpha image where a palette or grey image with object numbers is needed.
    #[error(
        "{} is an image with colour or alpha channels; masks of several objects are palette or grey PNGs whose values are \
         object numbers (0 is background)",
        path.display()
    )]
    ColourLabels {
        /// The file.
        path: PathBuf,
    },
    /// An object number that does not fit 8 bits.
    #[error("{} holds the object number {value}; numbers up to 255 are understood", path.display())]
    LabelTooLarge {
        /// The file.
        path: PathBuf,
        /// The number.
        value: u16,
    },
    /// More than two values in a file that holds the mask of a single object.
    #[error(
        "{} holds {} different values ({}); in SA-V layout a file is the mask of one object, with \
         two values at most",
        path.display(),
        values.len(),
        listed(values, 8)
    )]
    ManyValues {
        /// The file.
        path: PathBuf,
        /// The values, smallest first.
        values: Vec<u16>,
    },
}

impl Classified for MaskPngError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => io_class(source),
            _ => ErrorClass::Data,
        }
    }
}

/// Why a folder of predictions could not be scored.
#[derive(Debug, Error)]
pub enum ScoreError {
    /// A folder that was named is not there, or is a file.
    #[error("the {role} folder {} is not there or is not a folder", path.display())]
    NotAFolder {
        /// "ground truth" or "prediction".
        role: &'static str,
        /// The path as given.
        path: PathBuf,
    },
    /// No video in the ground truth.
    #[error(
        "{} holds no video; --gt takes a folder of video folders, such as sav_val/Annotations_6fps \
         or sav_val itself",
        path.display()
    )]
    NoVideos {
        /// The folder that was searched.
        path: PathBuf,
    },
    /// A ground-truth video or object without annotated frames.
    #[error("{} holds no mask (.png); remove the folder or restore its masks", path.display())]
    NoFrames {
        /// The video or object folder.
        path: PathBuf,
    },
    /// PNG files beside object folders.
    #[error(
        "{} holds both PNG files and folders; a video is either in SA-V layout (one folder per \
         object) or in DAVIS layout (PNG files only)",
        path.display()
    )]
    MixedLayout {
        /// The video folder.
        path: PathBuf,
    },
    /// The prediction of a video is in the other layout.
    #[error(
        "video {video}: the ground truth is in {gt} layout but the prediction in {} is in {pred} \
         layout; SA-V has video/object/frame.png, DAVIS has video/frame.png",
        path.display()
    )]
    LayoutMismatch {
        /// The video.
        video: String,
        /// Layout of the ground truth.
        gt: &'static str,
        /// Layout of the prediction.
        pred: &'static str,
        /// The prediction's video folder.
        path: PathBuf,
    },
    /// Predictions that should be there are not.
    #[error("{0}")]
    Missing(Missing),
    /// Nothing is left to score.
    #[error(
        "nothing to score: no object of {} is present in a frame that counts and has a prediction \
         in {}",
        gt.display(),
        pred.display()
    )]
    NothingScored {
        /// The ground-truth folder.
        gt: PathBuf,
        /// The prediction folder.
        pred: PathBuf,
    },
    /// A mask could not be read.
    #[error(transparent)]
    Mask(#[from] MaskPngError),
    /// A prediction of another size than its ground truth.
    #[error(
        "{} is {}x{} (width x height) but its ground truth {} is {}x{}; write predictions at the \
         size of the video",
        pred.display(), sizes.pred_width, sizes.pred_height,
        gt.display(), sizes.gt_width, sizes.gt_height
    )]
    Size {
        /// The ground-truth file.
        gt: PathBuf,
        /// The prediction file.
        pred: PathBuf,
        /// Both sizes.
        sizes: SizeMismatch,
    },
    /// A name that is not Unicode.
    #[error("{} has a name that is not valid UTF-8; rename it", path.display())]
    Name {
        /// The file or folder.
        path: PathBuf,
    },
    /// A folder could not be listed.
    #[error("cannot list {}: {source}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A report could not be written.
    #[error(
        "cannot write {}: {source}; --csv and --json take another place for the reports",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The worker threads could not be started.
    #[error("cannot start {threads} worker threads: {reason}; give --threads a smaller number")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the thread pool said.
        reason: String,
    },
}

impl Classified for ScoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Mask(error) => error.class(),
            Self::List { source, .. } | Self::Write { source, .. } => io_class(source),
            Self::Threads { .. } => ErrorClass::Environment,
            _ => ErrorClass::Data,
        }
    }
}

/// What a prediction folder lacks, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The prediction folder.
    pub pred: PathBuf,
    /// Videos without a folder.
    pub videos: Vec<String>,
    /// Objects without a folder, as `video/object`.
    pub objects: Vec<String>,
    /// Scored frames without a file, as `video/object/frame.png` or `video/frame.png`.
    pub frames: Vec<String>,
}

impl Missing {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.videos.is_empty() && self.objects.is_empty() && self.frames.is_empty()
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: usize = 5;
        write!(f, "the prediction folder {} lacks ", self.pred.display())?;
        let kinds = [
            ("video", &self.videos),
            ("object", &self.objects),
            ("frame", &self.frames),
        ];
        let mut first = true;
        for (kind, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            let comma = if first { "" } else { ", " };
            let plural = if names.len() == 1 { "" } else { "s" };
            let names_listed = listed(names, NAMES);
            write!(f, "{comma}{} {kind}{plural} ({names_listed})", names.len())?;
            first = false;
        }
        write!(
            f,
            "; write what is missing, or pass --partial to score what is there"
        )
    }
}

/// The first names and a count of the others.
pub(super) fn listed<T: ToString>(names: &[T], most: usize) -> String {
    let shown: Vec<String> = names.iter().take(most).map(T::to_string).collect();
    let rest = names.len().saturating_sub(most);
    match rest {
        0 => shown.join(", "),
        _ => format!("{} and {rest} more", shown.join(", ")),
    }
}
