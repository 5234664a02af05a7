//! The videos of a run, from a split or from video files.

use crate::dataset::{Clip, FrameFolder, Split, video_files};
use crate::error::{Error, Result};
use crate::media::video::{Ffmpeg, VideoFile};
use crate::spec::{Data, Rate, SaveMasks};
use std::path::Path;

/// Opens the video files, or the split where there are none.
///
/// # Errors
/// Options that do not go together, a folder that is not a split, files that are not videos, prompts
/// outside of them.
pub(crate) fn open_split(data: &Data) -> Result<Split> {
    let usage = |text: &str| Err(Error::usage(text));
    if data.video.is_empty() {
        return match &data.split_dir {
            _ if !data.prompts.is_empty() => usage(
                "--prompts, --prompt-point, -box, -mask and -frame are for a video: give \
                 --video FILE, or leave them out (prompts in a split are made from its masks)",
            ),
            None => usage(
                "there is nothing to run on: give --split-dir DIR, or --video FILE with \
                 --prompt-point X,Y or --prompt-box X0,Y0,X1,Y1",
            ),
            Some(dir) => Ok(Split::open(dir, &data.selection())?),
        };
    }
    if data.split_dir.is_some() {
        return usage(
            "--split-dir and --video are two kinds of data: give one of them; a run has either",
        );
    }
    let nothing = Data {
        video: data.video.clone(),
        prompts: data.prompts.clone(),
        ..Data::default()
    };
    if *data != nothing {
        return usage(
            "--split-name, --videos, --limit-videos, --limit-objects, --shuffle-videos and \
             --seed select from a split; leave them out with --video",
        );
    }
    if data.prompts.is_empty() {
        return usage(
            "--video needs to know what to track: give --prompt-point X,Y or --prompt-box \
             X0,Y0,X1,Y1, in pixels of the video, --prompt-mask FILE or --prompts FILE",
        );
    }
    let clip = |path: &Path| -> Result<Clip> {
        Ok(if FrameFolder::is_meant_by(path) {
            Clip::Frames(FrameFolder::open(path)?)
        } else {
            Clip::File(VideoFile::probe(&Ffmpeg::find()?, path)?)
        })
    };
    let clips = data.video.iter().map(|path| clip(&path.0));
    let clips = clips.collect::<Result<Vec<_>>>()?;
    let prompts = data.prompts.iter().map(|prompt| prompt.given());
    Ok(video_files(clips, &prompts.collect::<Result<Vec<_>>>()?)?)
}

/// Which masks are written: those that an evaluator needs where nothing was said, and of a video
/// file all.
pub(super) fn save_masks(data: &Data, given: Option<SaveMasks>) -> Result<SaveMasks> {
    match (data.video.is_empty(), given) {
        (false, Some(SaveMasks::Annotated)) => Err(Error::usage(
            "a video file has no annotated frames: give --save-masks all or none",
        )),
        (false, None) => Ok(SaveMasks::All),
        (_, Some(given)) => Ok(given),
        (true, None) => Ok(SaveMasks::Annotated),
    }
}

/// Refuses the videos' own rate where one of them has none.
pub(super) fn check_rate(rate: Option<Rate>, split: &Split) -> Result<()> {
    match split.videos.iter().find(|video| video.fps().is_none()) {
        Some(video) if rate == Some(Rate::Own) => Err(Error::usage(format!(
            "video {} does not say its frame rate; give one, such as --realtime 30",
            video.id
        ))),
        _ => Ok(()),
    }
}

/// Most objects of any video.
pub(crate) fn most_objects(split: &Split) -> usize {
    let objects = split.videos.iter().map(|video| video.objects.len());
    objects.max().unwrap_or(0)
}
