//! Datasets on disk: which videos, which frames, which objects, and their ground-truth masks.
//!
//! Two layouts are read, whichever dataset they hold. SA-V:
//! ```text
//! <dir>/<split_name>.txt                          one video per line; without it every folder
//! <dir>/JPEGImages_24fps/<video>/*.jpg
//! <dir>/Annotations_6fps/<video>/<object>/00004.png
//! ```
//! and DAVIS (YouTube-VOS, MOSE, LVOS, VOST and VISOR have it too):
//! ```text
//! <dir>/ImageSets/2017/<split_name>.txt           optional; any folder of ImageSets, or <dir>
//! <dir>/JPEGImages/[480p/]<video>/00000.jpg
//! <dir>/Annotations/[480p/]<video>/00000.png      palette index or grey value = object
//! ```
//! SA-V's training set (`sav_000001.mp4` beside `sav_000001_manual.json`) is read as it is.
//! Masks may be filed either way in both. Which frame a mask belongs to is `pairing`'s.
//! Video files with prompts that were given stand in for a split: [`video_files`].
//!
//! [`Split::open`] looks at folders and at the header of each video's first frame; masks are read
//! when asked for ([`ObjectTrack::load`]), except that label maps must be seen to tell their objects.
//! A video that cannot be used becomes one object that fails with the reason; the others run.
//!
//! It decodes no frames (`crate::media::image`), makes no prompts (`crate::dataset::prompts`), and caps no clips:
//! that is the pipeline's.

mod error;
pub(crate) mod layout;
pub(crate) mod listing;
mod open;
pub(crate) mod pairing;
pub mod prompts;
pub(crate) mod rle;
mod select;
pub mod synth;
mod track;
mod video_file;

pub use error::DatasetError;
pub(crate) use open::{Labels, VOID};
pub use pairing::Rule;
pub use track::{Annotation, ObjectTrack, PromptFrame, Unusable};
pub use video_file::{Clip, FrameFolder, video_files};

use crate::media::video::{FrameRate, VideoFile};
use masklet_engines::device::FrameSize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Frames per second of folders of frames: that of SA-V's `JPEGImages_24fps`, and of most of DAVIS.
pub const FOLDER_FPS: f64 = 24.0;

/// How a dataset is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// SA-V: one folder of masks per object.
    SaV,
    /// DAVIS: one label map per frame.
    Davis,
    /// Video files with prompts that were given, without masks.
    VideoFiles,
}

impl Layout {
    /// The layout's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SaV => "sa-v",
            Self::Davis => "davis",
            Self::VideoFiles => "video-files",
        }
    }
}

/// Which part of a dataset is wanted. The default is all of it, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitOptions {
    /// Name of the list of videos, with or without `.txt`. `None` takes `sav_val.txt` where an
    /// SA-V folder has it and every video folder otherwise.
    pub split_name: Option<String>,
    /// At most so many videos, counted after shuffling; 0 is all.
    pub limit_videos: usize,
    /// At most so many objects per video, counted after sorting; 0 is all.
    pub limit_objects: usize,
    /// Whether the videos are shuffled.
    pub shuffle: bool,
    /// Seed of the shuffle: ChaCha8 seeded with this number, Fisher-Yates from the last place down.
    pub seed: u64,
    /// Only these videos, in this order; empty is every video of the split.
    pub videos: Vec<String>,
}

/// The selected videos of a dataset.
#[derive(Clone, Debug)]
pub struct Split {
    /// The dataset's folder.
    pub root: PathBuf,
    /// How it is laid out.
    pub layout: Layout,
    /// The list that was read, if one was.
    pub list: Option<PathBuf>,
    /// How many videos there were to select from.
    pub available: usize,
    /// The selected videos, in the order in which they run.
    pub videos: Vec<Video>,
    /// What was left out, in words.
    pub notes: Vec<String>,
}

/// One video: its frames and the objects annotated in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// Folder name.
    pub id: String,
    /// Frame files; the position is the frame index (24 fps in SA-V). Empty for a video file.
    pub frames: Vec<PathBuf>,
    /// The video file, where the frames are in one.
    pub file: Option<VideoFile>,
    /// Columns of the first frame.
    pub width: usize,
    /// Rows of the first frame.
    pub height: usize,
    /// Objects, sorted by id with numbers in numeric order.
    pub objects: Vec<ObjectTrack>,
    /// How its masks found their frames; `None` where it has none.
    pub rule: Option<Rule>,
    /// The name, without extension, that the mask of each frame has or would have in the dataset.
    pub mask_names: Vec<String>,
    /// Whether its masks are label maps, one per frame, and not a folder per object.
    pub label_maps: bool,
    /// Whether each object is annotated where it first appears and nowhere else.
    pub first_masks_only: bool,
    /// Whether label 255 is void in it.
    pub void: bool,
    /// Files in its folders that were left out: copies, and what systems leave.
    pub ignored: Vec<String>,
}

impl Video {
    /// Size of its frames in pixels.
    pub fn size(&self) -> FrameSize {
        FrameSize {
            height: self.height,
            width: self.width,
        }
    }

    /// Whether there are frames to track on; without them its one object has the reason.
    pub fn is_usable(&self) -> bool {
        self.file.is_some() || !self.frames.is_empty()
    }

    /// Number of frames; of a video file what [`VideoFile::frames`] says.
    pub fn frame_count(&self) -> usize {
        match &self.file {
            Some(file) => file.frames,
            None => self.frames.len(),
        }
    }

    /// Frames per second: a video file's own rate (`None` where it does not say), and
    /// [`FOLDER_FPS`] for folders of frames, which do not say.
    pub fn fps(&self) -> Option<f64> {
        match &self.file {
            Some(file) => file.rate.map(FrameRate::fps),
            None => Some(FOLDER_FPS),
        }
    }

    /// Frame indices annotated for at least one object, ascending.
    pub fn scored_frames(&self) -> Vec<usize> {
        let mut frames: Vec<usize> = self
            .objects
            .iter()
            .flat_map(|object| object.annotations.iter().map(|a| a.frame))
            .collect();
        frames.sort_unstable();
        frames.dedup();
        frames
    }
}

impl Split {
    /// Opens the dataset in `dir` and selects from it.
    ///
    /// # Errors
    /// A folder or a listed video is missing, nothing is selected, or files are inconsistent
    /// (see [`DatasetError`]).
    pub fn open(dir: &Path, options: &SplitOptions) -> Result<Self, DatasetError> {
        if !dir.is_dir() {
            return Err(DatasetError::NoFolder {
                what: "dataset folder",
                path: dir.to_owned(),
            });
        }
        open::open(dir, options)
    }

    /// Whether the truth of every video is hidden: only first masks are there.
    pub fn truth_is_hidden(&self) -> bool {
        let mut usable = self.videos.iter().filter(|video| video.is_usable());
        usable.clone().next().is_some() && usable.all(|video| video.first_masks_only)
    }

    /// How the dataset was read: a line on what holds for all of it, and what was left out.
    pub fn describe(&self) -> Vec<String> {
        let videos = || self.videos.iter().filter(|video| video.is_usable());
        let mut rules: BTreeMap<Rule, usize> = BTreeMap::new();
        for video in videos() {
            if let Some(rule) = video.rule {
                *rules.entry(rule).or_default() += 1;
            }
        }
        if rules.is_empty() {
            return self.notes.clone();
        }
        let rule = match rules.len() {
            1 => rules.keys().map(|rule| rule.words().to_owned()).collect(),
            _ => {
                let each = rules.iter();
                let each = each.map(|(rule, n)| format!("{} in {n} videos", rule.words()));
                each.collect::<Vec<_>>().join(", ")
            }
        };
        let (frames, annotated) = videos().fold((0, 0), |(frames, annotated), video| {
            (
                frames + video.frame_count(),
                annotated + video.scored_frames().len(),
            )
        });
        let mut parts = vec![
            format!("{} layout", self.layout.name()),
            format!("masks paired with frames {rule}"),
            format!("{annotated} of {frames} frames annotated"),
        ];
        let hidden = videos().filter(|video| video.first_masks_only).count();
        if hidden > 0 {
            parts.push(format!(
                "first masks only in {hidden} of {} videos: their truth is hidden, no scores",
                videos().count()
            ));
        }
        if videos().any(|video| video.void) {
            parts.push("label 255 is void".to_owned());
        }
        let broken = self.videos.len() - videos().count();
        if broken > 0 {
            parts.push(format!("{broken} videos cannot be used"));
        }
        let mut lines = vec![parts.join("; ")];
        lines.extend(self.notes.iter().cloned());
        let ignored: Vec<&String> = videos().flat_map(|video| &video.ignored).collect();
        if let Some(first) = ignored.first() {
            lines.push(format!(
                "left out, copies and foreign files: {} (such as {first})",
                ignored.len()
            ));
        }
        lines
    }
}
