//! Which frames and objects count, and how their scores are averaged.
//!
//! Accumulators take one annotated frame after the other, so they follow a running tracker as well
//! as a pass over files. They hold sums, never masks.
//!
//! | rule | official | upstream |
//! |---|---|---|
//! | first and last annotated frame | left out (unless asked for) | counted |
//! | an object counts from | the first remaining frame with it in ground truth or prediction | its prompt frame: the first with it in the ground truth |
//! | afterwards, empty against empty | 1 | 1 |
//! | no prediction | an error: nothing is scored | 0 |
//! | prediction of another size | an error | nearest-pixel resize |
//! | object never in the ground truth of a counted frame | dropped, by name | dropped, by name |
//! | object of whose frames only the prompt's counts | scored | dropped, by name |
//!
//! The official evaluator drops such an object too in DAVIS layout; in SA-V layout it stops with an
//! assertion instead. Upstream skips an object whose very first annotated frame is empty; starting
//! at the first frame with the object extends its rule to objects that appear late.
//!
//! An object's J (F) is the mean over its counted frames; the set's is the flat mean over all
//! objects of all videos, and J&F is the mean of the two. All in percent.

use super::error::SizeMismatch;
use super::{FrameScore, Scorer};
use crate::mask::Mask;
use serde::Serialize;

/// Whose rules and formulas are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The SA-V evaluator: comparable with published numbers.
    #[default]
    Official,
    /// The Python benchmark this project replaces: comparable with its CSVs only.
    Upstream,
}

impl Protocol {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Upstream => "upstream",
        }
    }
}

/// Mean scores of one object, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ObjectScore {
    /// Mean region similarity over the counted frames.
    #[serde(rename = "J")]
    pub j: f64,
    /// Mean boundary similarity over the counted frames.
    #[serde(rename = "F")]
    pub f: f64,
    /// Number of counted frames.
    pub frames: usize,
}

impl ObjectScore {
    /// The mean of J and F.
    pub fn jf(&self) -> f64 {
        (self.j + self.f) / 2.0
    }
}

/// What became of one object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It has a score.
    Scored(ObjectScore),
    /// No counted frame holds it in the ground truth; it has no score and enters no mean.
    NeverInGroundTruth,
    /// This many counted frames had no prediction; under the official protocol the object cannot
    /// be scored.
    MissingPredictions(usize),
    /// Upstream's rules count the frame of its prompt and no other: there is nothing to judge by.
    PromptOnly,
}

impl Outcome {
    /// The score, if there is one.
    pub fn score(self) -> Option<ObjectScore> {
        match self {
            Self::Scored(score) => Some(score),
            _ => None,
        }
    }
}

/// Which of an object's annotated frames are looked at, by their position 0, 1, 2, … in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRule {
    annotated_frames: usize,
    skip_ends: bool,
}

impl FrameRule {
    /// The rule of a protocol for an object (in DAVIS layout: a video) with this many annotated
    /// frames.
    pub fn new(protocol: Protocol, annotated_frames: usize) -> Self {
        Self {
            annotated_frames,
            skip_ends: protocol == Protocol::Official,
        }
    }

    /// Counts the first and the last annotated frame as well.
    pub fn with_first_and_last(self) -> Self {
        Self {
            skip_ends: false,
            ..self
        }
    }

    /// Whether the frame at this position is looked at.
    pub fn includes(&self, position: usize) -> bool {
        match self.skip_ends {
            true => position > 0 && position + 1 < self.annotated_frames,
            false => position < self.annotated_frames,
        }
    }
}

/// One counted frame of one object: whether it is there, and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameOutcome {
    /// The object is in the ground truth.
    pub in_gt: bool,
    /// The object is in the prediction.
    pub in_pred: bool,
    /// The score of the frame.
    pub score: FrameScore,
}

impl FrameOutcome {
    /// A frame without the object in ground truth and prediction.
    pub const ABSENT: Self = Self {
        in_gt: false,
        in_pred: false,
        score: FrameScore::PERFECT,
    };
}

/// Sums the scores of one object under one protocol. Frames come in the order of time, and only
/// those that the [`FrameRule`] includes.
#[derive(Clone, Debug)]
pub struct ObjectAccumulator {
    protocol: Protocol,
    started: bool,
    seen_in_gt: bool,
    sum_j: f64,
    sum_f: f64,
    frames: usize,
    missing: usize,
}

impl ObjectAccumulator {
    /// An object of which nothing has been seen yet.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            started: false,
            seen_in_gt: false,
            sum_j: 0.0,
            sum_f: 0.0,
            frames: 0,
            missing: 0,
        }
    }

    /// Adds a frame; says whether it counts.
    pub fn push(&mut self, frame: FrameOutcome) -> bool {
        self.seen_in_gt |= frame.in_gt;
        self.started |= match self.protocol {
            Protocol::Official => frame.in_gt || frame.in_pred,
            Protocol::Upstream => frame.in_gt,
        };
        if self.started {
            self.sum_j += frame.score.j;
            self.sum_f += frame.score.f;
            self.frames += 1;
        }
        self.started
    }

    /// Adds a frame for which there is no prediction at all: 0 upstream, and under the official
    /// protocol the object can no longer be scored.
    pub fn push_missing(&mut self, in_gt: bool) {
        match self.protocol {
            Protocol::Official => self.missing += 1,
            Protocol::Upstream => {
                self.push(FrameOutcome {
                    in_gt,
                    in_pred: false,
                    score: FrameScore::ZERO,
                });
            }
        }
    }

    /// The mean of what was pushed so far.
    pub fn outcome(&self) -> Outcome {
        if self.missing > 0 {
            Outcome::MissingPredictions(self.missing)
        } else if self.protocol == Protocol::Upstream && self.seen_in_gt && self.frames == 1 {
            Outcome::PromptOnly
        } else if self.seen_in_gt && self.frames > 0 {
            let mean = |sum: f64| sum / self.frames as f64 * 100.0;
            Outcome::Scored(ObjectScore {
                j: mean(self.sum_j),
                f: mean(self.sum_f),
                frames: self.frames,
            })
        } else {
            Outcome::NeverInGroundTruth
        }
    }
}

/// Scores one object under both protocols in one pass, frame by frame, beside a running tracker.
///
/// ```
/// use masklet::mask::Mask;
/// use masklet::metrics::Scorer;
/// use masklet::metrics::protocol::BothProtocols;
///
/// let gt = Mask::from_fn(40, 60, |y, x| y > 10 && x > 20);
/// let mut scorer = Scorer::new();
/// let mut object = BothProtocols::new(3);
/// for position in 0..3 {
///     object.push(&mut scorer, position, &gt, Some(&gt))?;
/// }
/// let official = object.official().score();
/// assert_eq!(official.map(|s| (s.jf(), s.frames)), Some((100.0, 1)));
/// # Ok::<(), masklet::metrics::error::SizeMismatch>(())
/// ```
#[derive(Clone, Debug)]
pub struct BothProtocols {
    rule: FrameRule,
    official: ObjectAccumulator,
    upstream: ObjectAccumulator,
}

/// The scores of one frame under both protocols.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BothScores {
    /// `None` where the frame does not count.
    pub official: Option<FrameScore>,
    /// `None` where the frame does not count.
    pub upstream: Option<FrameScore>,
}

impl BothProtocols {
    /// An object with this many annotated frames.
    pub fn new(annotated_frames: usize) -> Self {
        Self {
            rule: FrameRule::new(Protocol::Official, annotated_frames),
            official: ObjectAccumulator::new(Protocol::Official),
            upstream: ObjectAccumulator::new(Protocol::Upstream),
        }
    }

    /// Counts the first and the last annotated frame in the official protocol as well.
    pub fn with_first_and_last(self) -> Self {
        Self {
            rule: self.rule.with_first_and_last(),
            ..self
        }
    }

    /// Adds the annotated frame at this position (0 is the first annotated frame). `pred` is
    /// `None` where the tracker gave no mask at all, which is not the same as an empty mask.
    ///
    /// # Errors
    /// [`SizeMismatch`] when the masks differ in size; the frame is then not counted.
    pub fn push(
        &mut self,
        scorer: &mut Scorer,
        position: usize,
        gt: &Mask,
        pred: Option<&Mask>,
    ) -> Result<BothScores, SizeMismatch> {
        let mut scores = BothScores {
            official: None,
            upstream: None,
        };
        let Some(pred) = pred else {
            let in_gt = !gt.is_empty();
            if self.rule.includes(position) {
                self.official.push_missing(in_gt);
            }
            self.upstream.push_missing(in_gt);
            return Ok(scores);
        };
        scorer.load(gt, pred)?;
        let mut frame = scorer.outcome(Protocol::Upstream);
        scores.upstream = self.upstream.push(frame).then_some(frame.score);
        if self.rule.includes(position) {
            frame.score.f = scorer.f_measure(Protocol::Official);
            scores.official = self.official.push(frame).then_some(frame.score);
        }
        Ok(scores)
    }

    /// What became of the object under the official protocol.
    pub fn official(&self) -> Outcome {
        self.official.outcome()
    }

    /// What became of the object under the upstream protocol.
    pub fn upstream(&self) -> Outcome {
        self.upstream.outcome()
    }
}

/// The mean over objects, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct GlobalScore {
    /// Flat mean of the objects' J.
    #[serde(rename = "J")]
    pub j: f64,
    /// Flat mean of the objects' F.
    #[serde(rename = "F")]
    pub f: f64,
    /// Mean of the two.
    #[serde(rename = "JF")]
    pub jf: f64,
}

impl GlobalScore {
    /// The flat mean over objects, `None` when there are none.
    pub fn of(objects: impl IntoIterator<Item = ObjectScore>) -> Option<Self> {
        let (mut j, mut f, mut count) = (0.0, 0.0, 0usize);
        for object in objects {
            j += object.j;
            f += object.f;
            count += 1;
        }
        if count == 0 {
            return None;
        }
        let (j, f) = (j / count as f64, f / count as f64);
        Some(Self {
            j,
            f,
            jf: (j + f) / 2.0,
        })
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
