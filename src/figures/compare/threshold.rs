//! Thresholds: a comparison as a gate.
//!
//! `fps=0.95` holds when the second run has at least 0.95 times the frames per second of the first,
//! `p99=1.1` when its p99 is at most 1.1 times, `jf=-0.5` when its J&F is at most half a point
//! lower. The estimate decides; the interval says how sure that is.

use std::str::FromStr;

use serde::Serialize;

use super::pairs::Change;
use crate::error::{Error, Result};
use crate::figures::catalogue::{Better, Figure, Method, compared};

/// One threshold.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    figure: &'static Figure,
    limit: f64,
}

/// What a threshold says about one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The figure.
    pub name: String,
    /// The model tag.
    pub model: String,
    /// The smallest or largest change that holds.
    pub limit: f64,
    /// Whether that is the smallest or the largest.
    pub bound: &'static str,
    /// The change that was measured.
    pub change: f64,
    /// Whether it holds.
    pub holds: bool,
    /// Whether the whole interval is on the same side; `None` without an interval.
    pub sure: Option<bool>,
}

/// Names of the figures that a threshold can be on.
pub fn threshold_names() -> String {
    let names: Vec<&str> = compared().map(|figure| figure.name).collect();
    names.join(", ")
}

impl FromStr for Threshold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: String| Error::usage(format!("--threshold {text}: {why}"));
        let (name, limit) = text
            .split_once('=')
            .ok_or_else(|| refuse("write NAME=LIMIT, such as fps=0.95 or jf=-0.5".to_owned()))?;
        let figure = compared()
            .find(|figure| figure.name == name.trim())
            .ok_or_else(|| {
                refuse(format!(
                    "{:?} is not a figure; there are {}",
                    name.trim(),
                    threshold_names()
                ))
            })?;
        let limit: f64 = limit
            .trim()
            .parse()
            .ok()
            .filter(|limit: &f64| limit.is_finite())
            .ok_or_else(|| refuse(format!("{:?} is not a number", limit.trim())))?;
        if figure.method() != Method::Difference && limit <= 0.0 {
            return Err(refuse(format!(
                "{} is compared by its ratio, which is above 0; write {}=0.95 for a loss of 5 %",
                figure.name, figure.name
            )));
        }
        Ok(Self { figure, limit })
    }
}

impl Threshold {
    /// The figure's name.
    pub fn name(&self) -> &'static str {
        self.figure.name
    }

    /// Judges a model's figures; `None` when the figure is not among them.
    pub(super) fn judge(&self, model: &str, figures: &[Change]) -> Option<Verdict> {
        let figure = figures
            .iter()
            .find(|figure| figure.name == self.figure.name)?;
        let (bound, on_good_side): (_, Box<dyn Fn(f64) -> bool>) = match self.figure.better {
            Better::Higher => ("at least", Box::new(|change| change >= self.limit)),
            Better::Lower | Better::Neither => ("at most", Box::new(|change| change <= self.limit)),
        };
        let holds = on_good_side(figure.change);
        Some(Verdict {
            name: self.figure.name.to_owned(),
            model: model.to_owned(),
            limit: self.limit,
            bound,
            change: figure.change,
            holds,
            sure: figure
                .interval
                .map(|i| on_good_side(i.low) == holds && on_good_side(i.high) == holds),
        })
    }
}
