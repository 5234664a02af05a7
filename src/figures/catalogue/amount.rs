//! How much was measured.

use super::Area::Amount;
use super::Better::{Lower, Neither};
use super::Digits::Whole;
use super::Shown::{Always, Report};
use super::{Figure, Unit};

const fn count(
    name: &'static str,
    label: &'static str,
    better: super::Better,
    definition: &'static str,
) -> Figure {
    Figure::new(Amount, name, label, Unit::Count, better, definition)
}

pub(super) static FIGURES: [Figure; 4] = [
    count("frames", "frames", Neither, "frames processed for an object; of a model, frames behind its speeds, each once, warm-up omitted")
        .missing("the object failed")
        .object("frames", Whole, |o| o.row.is_ok().then_some(o.row.frames).into())
        .model(Always, |m| m.speed.frames.into()),
    count("videos", "videos", Neither, "videos of the run")
        .model(Report, |m| m.counts.videos.into()),
    count("objects_ok", "objects tracked", Neither, "objects that are ok")
        .model(Always, |m| m.counts.ok.into()),
    count("objects_failed", "objects failed", Lower, "excluded from every mean")
        .model(Always, |m| m.counts.failed.into()),
];
