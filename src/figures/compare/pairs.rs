//! Which row of one run belongs to which row of the other, and what the pairs say.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::source::{Row, Source};
use crate::error::{Error, Result};
use crate::figures::catalogue::{Figure, Method, Unit, compared};
use crate::figures::stats::{Bootstrap, Estimate, Interval};

/// Rows of the same (video, object, model), both of them ok.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub a: &'a Row,
    pub b: &'a Row,
}

/// All pairs of one model, and what found no partner.
#[derive(Clone, Debug)]
pub(super) struct ModelPairs<'a> {
    pub model_a: String,
    pub model_b: String,
    pub pairs: Vec<Pair<'a>>,
    pub coverage: Coverage,
}

/// Rows behind the figures of a model, and rows that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Pairs that are ok in both runs.
    pub pairs: usize,
    /// Videos they are of.
    pub videos: usize,
    /// Rows that only the first run has.
    pub only_in_a: usize,
    /// Rows that only the second run has.
    pub only_in_b: usize,
    /// Rows that failed in the first run: which, and why.
    pub failed_in_a: Vec<String>,
    /// Rows that failed in the second run: which, and why.
    pub failed_in_b: Vec<String>,
    /// Of those, how many were ok in the first run.
    pub newly_failed: usize,
}

/// Pairs rows by (video, object, model). Where no tag is in both runs and each has but one, these
/// two are paired: the difference is named elsewhere.
pub(super) fn pair<'a>(a: &'a Source, b: &'a Source) -> Result<Vec<ModelPairs<'a>>> {
    let tags = |source: &'a Source| -> BTreeSet<&'a str> {
        source.rows.iter().map(|row| row.model.as_str()).collect()
    };
    let (tags_a, tags_b) = (tags(a), tags(b));
    let mut both: Vec<(&str, &str)> = tags_a
        .intersection(&tags_b)
        .map(|tag| (*tag, *tag))
        .collect();
    if both.is_empty()
        && let (Some(one), Some(other)) = (tags_a.first(), tags_b.first())
        && tags_a.len() == 1
        && tags_b.len() == 1
    {
        both.push((one, other));
    }
    let models: Vec<ModelPairs<'a>> = both
        .into_iter()
        .map(|(x, y)| of_model(a, b, x, y))
        .collect();
    if models.iter().any(|model| !model.pairs.is_empty()) {
        return Ok(models);
    }
    let videos = |source: &Source| {
        source
            .rows
            .iter()
            .map(|r| r.video.clone())
            .collect::<BTreeSet<_>>()
    };
    let listed = |tags: &BTreeSet<&str>| tags.iter().copied().collect::<Vec<_>>().join(", ");
    let failed = models
        .iter()
        .map(|m| m.coverage.failed_in_a.len() + m.coverage.failed_in_b.len());
    Err(Error::data(format!(
        "{} and {} have no (video, object, model) in common that is ok in both: the first has {} rows of \
         {}, the second {} rows of {}; {} videos are in both, {} rows failed",
        a.path,
        b.path,
        a.rows.len(),
        listed(&tags_a),
        b.rows.len(),
        listed(&tags_b),
        videos(a).intersection(&videos(b)).count(),
        failed.sum::<usize>(),
    )))
}

fn of_model<'a>(a: &'a Source, b: &'a Source, model_a: &str, model_b: &str) -> ModelPairs<'a> {
    let index = |source: &'a Source, model: &str| -> BTreeMap<(String, String), &'a Row> {
        let rows = source.rows.iter().filter(|row| row.model == model);
        rows.map(|row| ((row.video.clone(), row.key().object), row))
            .collect()
    };
    let (rows_a, rows_b) = (index(a, model_a), index(b, model_b));
    let mut coverage = Coverage::default();
    let mut pairs = Vec::new();
    let named = |row: &Row, reason: &str| {
        let line = row
            .line
            .map_or(String::new(), |line| format!(" (line {line})"));
        format!("video {}, object {}{line}: {reason}", row.video, row.object)
    };
    for (key, row) in &rows_a {
        if let Some(reason) = &row.failed {
            coverage.failed_in_a.push(named(row, reason));
        }
        match rows_b.get(key) {
            None => coverage.only_in_a += 1,
            Some(other) => match (&row.failed, &other.failed) {
                (None, None) => pairs.push(Pair { a: row, b: other }),
                (None, Some(_)) => coverage.newly_failed += 1,
                _ => {}
            },
        }
    }
    for (key, row) in &rows_b {
        if let Some(reason) = &row.failed {
            coverage.failed_in_b.push(named(row, reason));
        }
        coverage.only_in_b += usize::from(!rows_a.contains_key(key));
    }
    let videos: BTreeSet<&str> = pairs.iter().map(|pair| pair.a.video.as_str()).collect();
    coverage.pairs = pairs.len();
    coverage.videos = videos.len();
    ModelPairs {
        model_a: model_a.to_owned(),
        model_b: model_b.to_owned(),
        pairs,
        coverage,
    }
}

/// One figure of both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Its entry in the catalogue.
    #[serde(skip)]
    pub figure: &'static Figure,
    /// Its name, as in `--threshold`.
    pub name: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// How the runs are set against each other.
    pub method: Method,
    /// Pairs in which both runs have it.
    pub pairs: usize,
    /// The first run's: geometric mean of rates and durations, mean of scores, maximum of memory,
    /// over these pairs.
    pub a: f64,
    /// The second run's.
    pub b: f64,
    /// The second over the first, or minus it.
    pub change: f64,
    /// 95 % interval of the change.
    pub interval: Option<Interval>,
    /// Whether a difference between the runs makes it unlike.
    pub unlike: bool,
}

/// The figures that both runs have.
pub(super) fn figures(model: &ModelPairs<'_>, bootstrap: Bootstrap) -> Vec<Change> {
    compared()
        .filter_map(|figure| change(figure, &model.pairs, bootstrap))
        .collect()
}

fn change(figure: &'static Figure, pairs: &[Pair<'_>], bootstrap: Bootstrap) -> Option<Change> {
    let method = figure.method();
    let mut by_video: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    let mut count = 0;
    for pair in pairs {
        let usable =
            |value: &f64| value.is_finite() && (method == Method::Difference || *value > 0.0);
        let values = [pair.a, pair.b].map(|row| figure.of_row(row).filter(usable));
        let [Some(a), Some(b)] = values else { continue };
        let [of_a, of_b] = by_video.entry(&pair.a.video).or_default();
        of_a.push(a);
        of_b.push(b);
        count += 1;
    }
    if count == 0 {
        return None;
    }
    let side = |at: usize| -> Vec<Vec<f64>> {
        by_video
            .values()
            .map(|both| both.get(at).cloned().unwrap_or_default())
            .collect()
    };
    let changes = |change: fn(f64, f64) -> f64| -> Vec<Vec<f64>> {
        let of_video =
            |[a, b]: &[Vec<f64>; 2]| a.iter().zip(b).map(|(a, b)| change(*a, *b)).collect();
        by_video.values().map(of_video).collect()
    };
    let most = |values: Vec<Vec<f64>>| values.into_iter().flatten().fold(0.0, f64::max);
    let (a, b, change) = match method {
        Method::Ratio => (
            bootstrap.geometric_mean(&side(0))?.value,
            bootstrap.geometric_mean(&side(1))?.value,
            bootstrap.geometric_mean(&changes(|a, b| b / a))?,
        ),
        Method::Difference => (
            bootstrap.mean(&side(0))?.value,
            bootstrap.mean(&side(1))?.value,
            bootstrap.mean(&changes(|a, b| b - a))?,
        ),
        Method::RatioOfMaxima => {
            let (a, b) = (most(side(0)), most(side(1)));
            let change = Estimate {
                value: b / a,
                interval: None,
            };
            (a, b, change)
        }
    };
    Some(Change {
        figure,
        name: figure.name,
        label: figure.label,
        unit: figure.unit,
        method,
        pairs: count,
        a,
        b,
        change: change.value,
        interval: change.interval,
        unlike: false,
    })
}
