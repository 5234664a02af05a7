//! `--video` with its prompts, and `--realtime`: clips without ground truth, and frames at a rate.

use super::options::{DataArgs, UsageError};
use crate::clip::{Rate, SaveMasks};
use crate::dataset::prompts::{GivenPrompt, Prompt, parse_box, parse_point};
use crate::dataset::{Split, video_files};
use crate::media::video::{Ffmpeg, FrameCount, VideoFile};
use crate::record::Options;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

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

    /// Opens the video files, or the split where there are none.
    ///
    /// # Errors
    /// Options that do not go together, files that are no videos, prompts outside of them.
    pub fn open(&self, data: &DataArgs) -> anyhow::Result<Split> {
        let usage = |text: &str| Err(UsageError(text.to_owned()).into());
        let prompts = self.prompts();
        if !self.any() {
            return match (
                &data.split_dir,
                prompts.is_empty() && self.prompt_frame.is_none(),
            ) {
                (_, false) => usage(
                    "--prompt-point, --prompt-box and --prompt-frame are for a video file: give \
                     --video FILE, or leave them out (prompts in a split are made from its masks)",
                ),
                (None, true) => usage(
                    "there is nothing to run on: give --split-dir DIR, or --video FILE with \
                     --prompt-point X,Y or --prompt-box X0,Y0,X1,Y1",
                ),
                (Some(_), true) => data.open(),
            };
        }
        if data.split_dir.is_some() {
            return usage(
                "--split-dir and --video are two kinds of data: give one of them; a run has either",
            );
        }
        if data.selects() {
            return usage(
                "--split-name, --videos, --limit-videos, --limit-objects, --shuffle-videos and \
                 --seed select from a split; leave them out with --video",
            );
        }
        if prompts.is_empty() {
            return usage(
                "--video needs to know what to track: give --prompt-point X,Y or --prompt-box \
                 X0,Y0,X1,Y1, in pixels of the video",
            );
        }
        let ffmpeg = Ffmpeg::find()?;
        let files = self.video.iter();
        let files = files.map(|path| VideoFile::probe(&ffmpeg, path));
        Ok(video_files(files.collect::<Result<_, _>>()?, &prompts)?)
    }

    fn prompts(&self) -> Vec<GivenPrompt> {
        let all = self.prompt_point.iter().chain(&self.prompt_box);
        let frame = self.prompt_frame.unwrap_or(0);
        all.map(|prompt| GivenPrompt {
            frame,
            prompt: prompt.clone(),
        })
        .collect()
    }

    /// Which masks are written where nothing was said: those that an evaluator needs, and of a
    /// video file all.
    ///
    /// # Errors
    /// For annotated frames of a video file, which has none.
    pub fn save_masks(&self, given: Option<SaveMasks>) -> anyhow::Result<SaveMasks> {
        match (self.any(), given) {
            (true, Some(SaveMasks::Annotated)) => Err(UsageError(
                "a video file has no annotated frames: give --save-masks all or none".to_owned(),
            )
            .into()),
            (true, None) => Ok(SaveMasks::All),
            (_, Some(given)) => Ok(given),
            (false, None) => Ok(SaveMasks::Annotated),
        }
    }

    /// The name of a run's folder where none was given.
    pub fn run_name(split: &Split) -> PathBuf {
        let first = split.videos.first().map(|video| video.id.clone());
        Path::new("runs").join(first.unwrap_or_else(|| "video".to_owned()))
    }

    /// What `run.json` holds of the files and prompts; a resumed run must have the same.
    pub fn record(&self, split: &Split, options: &mut Options) {
        if !self.any() {
            return;
        }
        let files: Vec<_> = split
            .videos
            .iter()
            .filter_map(|v| v.file.as_ref())
            .collect();
        let objects = split.videos.first().map(|video| &video.objects);
        let prompts = objects.into_iter().flatten().filter_map(|object| {
            let given = object.given.as_ref()?;
            let what = match &given.prompt {
                Prompt::Points { points, .. } => json!({ "point": points.first() }),
                Prompt::Box {
                    x_min,
                    y_min,
                    x_max,
                    y_max,
                } => json!({ "box": [x_min, y_min, x_max, y_max] }),
                Prompt::Mask(_) => return None,
            };
            Some(json!({ "object": object.id, "frame": given.frame, "prompt": what }))
        });
        options.insert("video".to_owned(), json!(files));
        options.insert("prompts".to_owned(), prompts.collect());
        options.insert(
            "ground-truth".to_owned(),
            json!("none: video files have no masks to score against"),
        );
    }

    /// The files in words, a line each.
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
    realtime: Option<Rate>,
}

impl RealtimeArgs {
    /// The rate, checked against the videos.
    ///
    /// # Errors
    /// When a video's own rate is wanted and not known.
    pub fn rate(&self, split: &Split) -> anyhow::Result<Option<Rate>> {
        if self.realtime == Some(Rate::Own)
            && let Some(video) = split.videos.iter().find(|video| video.fps().is_none())
        {
            return Err(UsageError(format!(
                "video {} does not say its frame rate; give one, such as --realtime 30",
                video.id
            ))
            .into());
        }
        Ok(self.realtime)
    }

    /// Whether it was asked for.
    pub fn any(&self) -> bool {
        self.realtime.is_some()
    }

    /// What `run.json` holds of it; a resumed run must have the same.
    pub fn record(&self, options: &mut Options) {
        if let Some(rate) = self.realtime {
            let value = match rate {
                Rate::Own => json!("own"),
                Rate::Fps(fps) => json!(fps),
            };
            options.insert("realtime".to_owned(), value);
        }
    }
}

/// Reads a rate in frames per second.
fn parse_rate(text: &str) -> Result<Rate, String> {
    const MOST: f64 = 1e6;
    if text == "own" {
        return Ok(Rate::Own);
    }
    match text.parse::<f64>() {
        Ok(fps) if fps > 0.0 && fps <= MOST => Ok(Rate::Fps(fps)),
        _ => Err(format!(
            "'{text}' is not a rate; write frames per second above 0, such as 24 or 29.97"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_above_nought() {
        assert_eq!(parse_rate("own"), Ok(Rate::Own));
        assert_eq!(parse_rate("29.97"), Ok(Rate::Fps(29.97)));
        for text in ["0", "-1", "nan", "inf", "1e9", "fast", ""] {
            assert!(
                parse_rate(text).unwrap_err().contains("not a rate"),
                "{text}"
            );
        }
    }
}
