//! Datasets on disk: which videos, which frames, which objects, and their ground-truth masks.
//!
//! Two layouts are read. SA-V:
//! ```text
//! <dir>/<split_name>.txt                          one video per line; without it every folder
//! <dir>/JPEGImages_24fps/<video>/*.jpg            sorted; position = 24 fps frame index
//! <dir>/Annotations_6fps/<video>/<object>/00004.png   number = 24 fps frame index
//! ```
//! and DAVIS:
//! ```text
//! <dir>/ImageSets/2017/<split_name>.txt           optional, also ImageSets/2016, ImageSets, <dir>
//! <dir>/JPEGImages/[480p/]<video>/00000.jpg
//! <dir>/Annotations/[480p/]<video>/00000.png      palette index or grey value = object
//! ```
//! Video files with prompts that were given stand in for a split: [`video_files`].
//!
//! [`Split::open`] looks at folders and at the header of each video's first frame; masks are read
//! when asked for ([`ObjectTrack::load`]), except that a DAVIS video's labels must be seen to know
//! its objects. Whatever does not fit together is an error of one sentence.
//!
//! It decodes no frames (`crate::media::image`), makes no prompts (`crate::dataset::prompts`), and caps no clips:
//! that is the pipeline's.

mod davis;
mod error;
mod listing;
pub mod prompts;
mod sav;
mod select;
pub mod synth;
mod track;
mod video_file;

pub use error::DatasetError;
pub use track::{Annotation, ObjectTrack, PromptFrame};
pub use video_file::video_files;

use crate::media::video::{FrameRate, VideoFile};
use masklet_engines::device::FrameSize;
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
}

impl Video {
    /// Size of its frames in pixels.
    pub fn size(&self) -> FrameSize {
        FrameSize {
            height: self.height,
            width: self.width,
        }
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
    /// A folder or a listed video is missing, nothing is selected, or files do not fit together
    /// (see [`DatasetError`]).
    pub fn open(dir: &Path, options: &SplitOptions) -> Result<Self, DatasetError> {
        if !dir.is_dir() {
            return Err(DatasetError::NoFolder {
                what: "dataset folder",
                path: dir.to_owned(),
            });
        }
        if dir.join(sav::FRAMES).is_dir() {
            sav::open(dir, options)
        } else if dir.join(davis::FRAMES).is_dir() {
            davis::open(dir, options)
        } else {
            Err(DatasetError::NoLayout {
                path: dir.to_owned(),
            })
        }
    }
}
