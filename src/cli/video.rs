//! `--video` with its prompts, `--realtime` and `--find-rate`: clips without ground truth, and
//! frames at a rate.

use super::options::{DataArgs, UsageError};
use crate::dataset::Split;
use crate::dataset::prompts::{Prompt, parse_box, parse_point};
use crate::media::video::FrameCount;
use crate::spec::{ClipPrompt, Data, Place, Rate, VideoPath, parse_rate};
use clap::Args;
use std::path::PathBuf;

/// Which video files, and what is tracked in them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Video files")]
pub struct VideoArgs {
    /// A video file instead of a split, through ffmpeg; may be given again. There is no ground truth:
    /// every prompt is an object, and scores are missing.
    #[arg(long, value_name = "FILE")]
    video: Vec<PathBuf>,
    /// Track the object at this pixel of the video as displayed; may be given again. Points are
    /// objects 1, 2, …, boxes come after them.
    #[arg(long, value_name = "X,Y", value_parser = parse_point, allow_hyphen_values = true)]
    prompt_point: Vec<Prompt>,
    /// Track the object in this box, upper left and lower right corner; may be given again.
    #[arg(long, value_name = "X0,Y0,X1,Y1", value_parser = parse_box, allow_hyphen_values = true)]
    prompt_box: Vec<Prompt>,
    /// Frame that the prompts are on, counted from 0 (0 without it); frames before it are skipped.
    #[arg(long, value_name = "N")]
    prompt_frame: Option<usize>,
}

impl VideoArgs {
    /// Whether video files are run.
    pub fn any(&self) -> bool {
        !self.video.is_empty()
    }

    /// The data of a run, with what was selected from a split where there is one.
    ///
    /// # Errors
    /// A frame for prompts that are not there.
    pub fn spec(&self, data: &DataArgs) -> anyhow::Result<Data> {
        if self.prompt_frame.is_some() && !self.any() {
            return Err(UsageError(
                "--prompt-frame is for a video file: give --video FILE, or leave it out (prompts in \
                 a split are made from its masks)"
                    .to_owned(),
            )
            .into());
        }
        let frame = self.prompt_frame.unwrap_or(0);
        let places = self.prompt_point.iter().chain(&self.prompt_box);
        let prompts = places
            .filter_map(Place::of)
            .map(|prompt| ClipPrompt { frame, prompt });
        Ok(Data {
            video: self.video.iter().cloned().map(VideoPath).collect(),
            prompts: prompts.collect(),
            ..data.spec()
        })
    }
}

/// The video files of a split in words, a line each.
pub fn describe(split: &Split) -> Vec<String> {
    let files = split.videos.iter().filter_map(|v| v.file.as_ref());
    files
        .map(|file| {
            let rate = file.rate.map_or("unknown rate".to_owned(), |rate| {
                format!("{} fps", crate::figures::stats::rate(rate.fps()))
            });
            let counted = match file.counted {
                FrameCount::Header => "by its header",
                FrameCount::Packets => "counted",
            };
            let turned = match file.rotation {
                0 => String::new(),
                degrees => format!(", turned by {degrees} degrees"),
            };
            format!(
                "{}: {} {}x{}{turned}, {rate}, {} frames ({counted}), read by {}; no ground \
                 truth, so no scores",
                file.path.display(),
                file.codec,
                file.width,
                file.height,
                file.frames,
                file.decoder
            )
        })
        .collect()
}

/// Frames at a rate.
#[derive(Debug, Args)]
pub struct RealtimeArgs {
    /// Feed frames at a rate, as a live camera with room for one frame does, and report deadline
    /// misses and dropped frames: at FPS frames per second, without it at the video's own rate (24
    /// for a split).
    #[arg(
        long,
        value_name = "FPS",
        num_args = 0..=1,
        default_missing_value = "own",
        value_parser = parse_rate,
        allow_negative_numbers = true,
        help_heading = "Real time"
    )]
    pub realtime: Option<Rate>,
}

/// Whether the highest rate is searched for.
#[derive(Debug, Args)]
pub struct FindRateArgs {
    /// Afterwards search for the highest frame rate at which at most 1 % of the frames are missed
    /// (late or dropped): every trial feeds all clips at one rate, again until there were FRAMES
    /// frames (without it once).
    #[arg(
        long,
        value_name = "FRAMES",
        num_args = 0..=1,
        default_missing_value = "1",
        help_heading = "Real time"
    )]
    pub find_rate: Option<usize>,
}
