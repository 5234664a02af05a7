//! What can go wrong when masks and folders of masks are scored.

use crate::dataset::DatasetError;
use crate::error::{Classified, ErrorClass, io_class};
use crate::media::image::ImageError;
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
    /// The ground truth has a folder per object, the prediction has label maps.
    #[error(
        "video {video}: the ground truth has a folder of masks per object, but the prediction {} \
         has label maps, which cannot tell its objects; write video/object/frame.png",
        path.display()
    )]
    LayoutMismatch {
        /// The video.
        video: String,
        /// The prediction's video folder.
        path: PathBuf,
    },
    /// No video of one folder is in the other.
    #[error(
        "{} and {} have no video in common: the ground truth has {gt_first}, the predictions have \
         {}{}",
        gt.display(), pred.display(),
        pred_first.as_deref().unwrap_or("no folder at all"),
        nearer.as_ref().map_or(String::new(), |path| format!("; did you mean {}?", path.display()))
    )]
    NothingInCommon {
        /// The folder of ground-truth videos.
        gt: PathBuf,
        /// The folder of predictions.
        pred: PathBuf,
        /// The first video of the ground truth.
        gt_first: String,
        /// The first folder of the predictions.
        pred_first: Option<String>,
        /// The nearest folder that fits the other.
        nearer: Option<PathBuf>,
    },
    /// Labels of which none is in the other folder.
    #[error(
        "the ground truth has labels {{{}}}, the predictions have {{{}}}: no object is in both; \
         write predictions with the labels of the ground truth",
        listed(gt, 8),
        listed(pred, 8)
    )]
    OtherLabels {
        /// Labels of the ground truth.
        gt: Vec<u32>,
        /// Labels of the predictions.
        pred: Vec<u32>,
    },
    /// The ground truth holds first masks only.
    #[error(
        "{} holds the first mask of each object and nothing to score by: the truth of this set is \
         hidden; submit the masks to its evaluation server",
        gt.display()
    )]
    Hidden {
        /// The ground-truth folder.
        gt: PathBuf,
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
    Mask(#[from] ImageError),
    /// Folders that cannot be listed or understood.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
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
            Self::Dataset(error) => error.class(),
            Self::Write { source, .. } => io_class(source),
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
