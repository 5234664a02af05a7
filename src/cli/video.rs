//! `--video` with its prompts, `--realtime` and `--find-rate`: clips without ground truth, and
//! frames at a rate.

use super::options::{DataArgs, UsageError};
use crate::dataset::prompts::{Prompt, Shown, mask_labels, parse_box, parse_point, read_prompts};
use crate::dataset::{FOLDER_FPS, Layout, Split};
use crate::spec::{ClipPrompt, Data, Place, Rate, VideoPath, parse_rate};
use clap::Args;
use std::path::PathBuf;

/// Which video files, and what is tracked in them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Video files")]
pub struct VideoArgs {
    /// A video file instead of a split, through ffmpeg, a folder of frames, or a pattern of them
    /// (`frames/%05d.jpg`); may be given again. There is no ground truth: every prompt is an object,
    /// and scores are missing.
    #[arg(long, value_name = "FILE")]
    video: Vec<PathBuf>,
    /// Track the object at this pixel of the video as displayed; may be given again. Several clicks
    /// of one object: `X,Y,1;X,Y,0`, 1 the object, 0 not. Points are objects 1, 2, …, boxes come
    /// after them, then masks, then those of --prompts.
    #[arg(long, value_name = "X,Y[,LABEL][;…]", value_parser = parse_point, allow_hyphen_values = true)]
    prompt_point: Vec<Prompt>,
    /// Track the object in this box, upper left and lower right corner; may be given again.
    #[arg(long, value_name = "X0,Y0,X1,Y1", value_parser = parse_box, allow_hyphen_values = true)]
    prompt_box: Vec<Prompt>,
    /// Track the object of this mask (PNG), or every object of this label map; may be given again.
    #[arg(long, value_name = "FILE")]
    prompt_mask: Vec<PathBuf>,
    /// Prompts of several objects and frames from a JSON file.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
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
        let mut places: Vec<Place> = places.filter_map(Place::of).collect();
        for file in &self.prompt_mask {
            let labels = mask_labels(file)?.into_iter();
            places.extend(labels.map(|label| Place::Mask {
                file: file.clone(),
                label,
            }));
        }
        let given = places.into_iter();
        let mut prompts: Vec<_> = given.map(|prompt| ClipPrompt { frame, prompt }).collect();
        if let Some(path) = &self.prompts {
            for (frame, shown) in read_prompts(path)? {
                let prompt = match shown {
                    Shown::Here(prompt) => Place::of(&prompt),
                    Shown::InMask { file, label } => Some(Place::Mask { file, label }),
                };
                prompts.extend(prompt.map(|prompt| ClipPrompt { frame, prompt }));
            }
        }
        Ok(Data {
            video: self.video.iter().cloned().map(VideoPath).collect(),
            prompts,
            ..data.spec()
        })
    }
}

/// The video files of a split in words, a line each.
pub fn describe(split: &Split) -> Vec<String> {
    let given = split.videos.iter();
    given
        .filter(|_| split.layout == Layout::VideoFiles)
        .map(|video| {
            let Some(file) = &video.file else {
                return format!(
                    "{}: {} pictures of {}x{}, taken as {FOLDER_FPS} fps; no ground truth, so no \
                     scores",
                    video.id,
                    video.frames.len(),
                    video.width,
                    video.height
                );
            };
            let rate = file.rate.map_or("unknown rate".to_owned(), |rate| {
                format!("{} fps", crate::figures::stats::rate(rate.fps()))
            });
            let turned = match file.rotation {
                0 => String::new(),
                degrees => format!(", turned by {degrees} degrees"),
            };
            format!(
                "{}: {} {}x{}{turned}, {rate}, {} frames, read by {}; no ground \
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
