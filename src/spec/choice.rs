//! Choices among a few, with their names on the command line and in `run.json`.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How the objects of a video go through the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ObjectMode {
    /// All together, frame by frame; the image encoder runs once per frame.
    Lockstep,
    /// One after the other over the whole video, as the Python benchmark does.
    Isolated,
}

/// Which predicted masks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SaveMasks {
    /// None.
    None,
    /// Those of annotated frames: what an evaluator needs.
    Annotated,
    /// Those of every processed frame.
    All,
}

/// JPEG decoder. Other formats, and JPEG files that nvJPEG does not take, are the CPU's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum JpegBy {
    /// The CPU, ahead of the model.
    #[default]
    Cpu,
    /// nvJPEG on the GPU, ahead of the model and beside it; its pixels may differ a little from the CPU's.
    Nvjpeg,
}

/// What to do with a run folder that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenMode {
    /// Refuse it.
    #[default]
    New,
    /// Continue it; start where there is nothing to continue. Objects that failed for a reason of
    /// the machine run again.
    Resume,
    /// The same, and all objects that failed run again.
    RetryFailed,
    /// Remove the run that is in it and start over.
    Force,
}

/// How PyTorch is used as a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BaselineMode {
    /// As the Python benchmark: one object at a time, each with a model of its own.
    Upstream,
    /// As well as PyTorch can: model kept, objects together, memories dropped.
    Best,
}

/// What a PyTorch baseline runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BaselineDevice {
    /// CUDA where PyTorch sees it.
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or nothing.
    Cuda,
}

/// How fast frames are fed. In JSON `"own"` or a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "WrittenRate", try_from = "WrittenRate")]
pub enum Rate {
    /// At the video's own rate.
    Own,
    /// At so many frames per second.
    Fps(f64),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenRate {
    Word(String),
    Fps(f64),
}

impl From<Rate> for WrittenRate {
    fn from(rate: Rate) -> Self {
        match rate {
            Rate::Own => Self::Word("own".to_owned()),
            Rate::Fps(fps) => Self::Fps(fps),
        }
    }
}

impl TryFrom<WrittenRate> for Rate {
    type Error = String;

    fn try_from(written: WrittenRate) -> Result<Self, String> {
        match written {
            WrittenRate::Word(word) => parse_rate(&word),
            WrittenRate::Fps(fps) => Ok(Self::Fps(fps)),
        }
    }
}

/// Reads `own` or a rate in frames per second.
///
/// # Errors
/// A sentence with what a rate looks like.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
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
