//! J and F.

use super::Area::Scores;
use super::Better::{Higher, Neither};
use super::Digits::{Decimals, Whole};
use super::Shown::{Always, Report};
use super::{Figure, Unit, Value};
use crate::figures::compare::Row;
use crate::record::{ModelSummary, ObjectScores, ObjectSummary, Score, ScoreSummary};

const UNSCORED: &str = "no ground truth, or the object failed";

const fn score(name: &'static str, label: &'static str, definition: &'static str) -> Figure {
    Figure::new(Scores, name, label, Unit::Percent, Higher, definition).missing(UNSCORED)
}

const fn frames(name: &'static str, definition: &'static str) -> Figure {
    Figure::new(Scores, name, name, Unit::Count, Neither, definition).missing(UNSCORED)
}

pub(super) static FIGURES: [Figure; 8] = [
    score(
        "jf",
        "J&F (official)",
        "mean of J and F by the SA-V evaluator's protocol",
    )
    .object("official_JF", Decimals(4), |o| {
        percent(official(o), |s| s.jf())
    })
    .model(Always, |m| mean(m, m.official_percent, |s| s.jf))
    .derived(|r| mean_of(r, "j", "f")),
    score(
        "j",
        "J (official)",
        "region similarity: intersection over union",
    )
    .object("official_J", Decimals(4), |o| percent(official(o), |s| s.j))
    .model(Always, |m| mean(m, m.official_percent, |s| s.j))
    .compared(),
    score("f", "F (official)", "boundary accuracy")
        .object("official_F", Decimals(4), |o| percent(official(o), |s| s.f))
        .model(Always, |m| mean(m, m.official_percent, |s| s.f))
        .compared(),
    frames("official_frames", "frames behind the official scores").object(
        "official_frames",
        Whole,
        |o| official(o).map(|s| s.frames).into(),
    ),
    score(
        "jf_upstream",
        "J&F (upstream)",
        "by the Python benchmark's formulas, for comparison with its files",
    )
    .object("JandF", Decimals(4), |o| percent(upstream(o), |s| s.jf()))
    .as_fraction()
    .model(Always, |m| mean(m, m.upstream.map(in_percent), |s| s.jf))
    .derived(|r| mean_of(r, "j_upstream", "f_upstream")),
    score(
        "j_upstream",
        "J (upstream)",
        "J by the Python benchmark's formula",
    )
    .object("J", Decimals(4), |o| percent(upstream(o), |s| s.j))
    .as_fraction()
    .model(Report, |m| mean(m, m.upstream.map(in_percent), |s| s.j))
    .compared(),
    score(
        "f_upstream",
        "F (upstream)",
        "F by the Python benchmark's formula",
    )
    .object("F", Decimals(4), |o| percent(upstream(o), |s| s.f))
    .as_fraction()
    .model(Report, |m| mean(m, m.upstream.map(in_percent), |s| s.f))
    .compared(),
    frames("upstream_frames", "frames behind the upstream scores").object(
        "upstream_frames",
        Whole,
        |o| upstream(o).map(|s| s.frames).into(),
    ),
];

fn of(object: &ObjectSummary, protocol: fn(&ObjectScores) -> Option<Score>) -> Option<Score> {
    protocol(object.row.scores.as_ref()?)
}

fn official(object: &ObjectSummary) -> Option<Score> {
    of(object, |scores| scores.official)
}

fn upstream(object: &ObjectSummary) -> Option<Score> {
    of(object, |scores| scores.upstream)
}

fn percent(score: Option<Score>, value: fn(&Score) -> f64) -> Value {
    score.map(|score| value(&score) * 100.0).into()
}

fn in_percent(mean: ScoreSummary) -> ScoreSummary {
    ScoreSummary {
        j: mean.j * 100.0,
        f: mean.f * 100.0,
        jf: mean.jf * 100.0,
        ..mean
    }
}

/// A model's mean; where there is none and all objects have the same reason, that reason.
fn mean(
    model: &ModelSummary,
    score: Option<ScoreSummary>,
    value: fn(&ScoreSummary) -> f64,
) -> Value {
    let reason = match model.scores_missing.as_slice() {
        [reason] => reason.as_str(),
        _ => "",
    };
    Value::from(score.map(|score| value(&score))).or(reason)
}

fn mean_of(row: &Row, j: &str, f: &str) -> Option<f64> {
    Some(f64::midpoint(*row.figures.get(j)?, *row.figures.get(f)?))
}
