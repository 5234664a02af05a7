//! The highest frame rate that a model keeps up with: what a search for it found.

use serde::{Deserialize, Serialize};

use super::frames_still_needed;
use crate::figures::stats;

/// Share of the frames that may be missed (late or dropped) at a rate that is kept up with.
pub const MOST_MISSED: f64 = 0.01;

/// One trial: the clips once through, or more often, at one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateTrial {
    /// Frames per second.
    pub fps: f64,
    /// Frames that were due.
    pub frames: usize,
    /// Frames among them whose result was late.
    pub late: usize,
    /// Frames among them that were dropped.
    pub dropped: usize,
}

impl RateTrial {
    /// Late and dropped frames.
    pub fn missed(&self) -> usize {
        self.late + self.dropped
    }

    /// Whether at most [`MOST_MISSED`] of the frames were missed.
    pub fn kept_up(&self) -> bool {
        self.frames > 0 && self.missed() as f64 <= MOST_MISSED * self.frames as f64
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundRate {
    /// The highest rate that was kept up with, in frames per second; `None` when none was.
    pub sustained_fps: Option<f64>,
    /// The lowest rate that was not; `None` when every rate was kept up with.
    pub failed_fps: Option<f64>,
    /// The gap between both that was to be reached, as a share of the lower.
    pub tolerance: f64,
    /// Share of the frames that might be missed.
    pub most_missed: f64,
    /// Every trial, in order.
    pub trials: Vec<RateTrial>,
}

/// What a search found for one model tag: a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRate {
    /// Model tag.
    pub model: String,
    /// What was found.
    #[serde(flatten)]
    pub found: FoundRate,
}

impl FoundRate {
    /// The trial at the rate that was found.
    pub fn trial(&self) -> Option<&RateTrial> {
        let fps = self.sustained_fps?;
        self.trials.iter().find(|t| t.fps == fps && t.kept_up())
    }

    /// The result in sentences: the rate, what failed, and what the frames are enough for.
    pub fn describe(&self) -> String {
        let percent = self.most_missed * 100.0;
        let fps = |rate: f64| format!("{} fps", stats::rate(rate));
        let outcome = |trial: &RateTrial| {
            format!(
                "{} of {} frames missed, {} of them dropped",
                trial.missed(),
                trial.frames,
                trial.dropped
            )
        };
        let failed = self.failed_fps.and_then(|rate| {
            let trial = self.trials.iter().find(|t| t.fps == rate)?;
            Some(format!("{} was too fast ({})", fps(rate), outcome(trial)))
        });
        let trials = self.trials.len();
        let Some(trial) = self.trial() else {
            return match failed {
                Some(failed) => {
                    format!("no rate was kept up with in {trials} trials; even {failed}")
                }
                None => "no rate was tried".to_owned(),
            };
        };
        let above = failed.unwrap_or_else(|| "no rate that was tried was too fast".to_owned());
        let enough = match frames_still_needed(trial.frames) {
            0 => String::new(),
            more => format!(
                "; {more} more frames per trial are needed to be 99 % sure of \"at most {percent} %\" \
                 (--find-rate {})",
                trial.frames + more
            ),
        };
        format!(
            "{} is the highest rate kept up with, at most {percent} % missed ({}); {above}; {trials} \
             trials{enough}",
            fps(trial.fps),
            outcome(trial)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(fps: f64, frames: usize, late: usize, dropped: usize) -> RateTrial {
        RateTrial {
            fps,
            frames,
            late,
            dropped,
        }
    }

    fn found(sustained: Option<f64>, failed: Option<f64>, trials: Vec<RateTrial>) -> FoundRate {
        FoundRate {
            sustained_fps: sustained,
            failed_fps: failed,
            tolerance: 0.02,
            most_missed: MOST_MISSED,
            trials,
        }
    }

    #[test]
    fn a_share_of_few_frames_allows_none_missed() {
        assert!(trial(24.0, 99, 0, 0).kept_up() && !trial(24.0, 99, 1, 0).kept_up());
        assert!(trial(24.0, 100, 1, 0).kept_up() && !trial(24.0, 100, 1, 1).kept_up());
        assert!(!trial(24.0, 0, 0, 0).kept_up());
    }

    #[test]
    fn the_sentence_says_what_failed_and_what_is_missing() {
        let trials = vec![trial(30.0, 100, 3, 9), trial(29.5, 100, 1, 0)];
        let text = found(Some(29.5), Some(30.0), trials).describe();
        for words in [
            "29.5 fps is the highest",
            "1 of 100 frames missed",
            "30 fps was too fast (12 of 100 frames missed, 9 of them dropped)",
            "562 more frames per trial",
            "--find-rate 662",
        ] {
            assert!(text.contains(words), "no '{words}' in {text}");
        }
        let enough = found(Some(29.5), None, vec![trial(29.5, 700, 0, 0)]).describe();
        assert!(
            !enough.contains("needed") && enough.contains("no rate that was tried"),
            "{enough}"
        );
        let none = found(None, Some(0.1), vec![trial(0.1, 9, 9, 0)]).describe();
        assert!(
            none.contains("no rate was kept up with") && none.contains("0.1 fps"),
            "{none}"
        );
    }
}
