//! Compares runs: run folders, PyTorch baselines, old CSV files of the Python
//! benchmark.
//!
//! Rows are paired by (video, object, model); rates and durations are compared by the geometric
//! mean of their ratios, scores by the mean of their differences, memory by its maxima. Intervals
//! are 95 % percentile bootstrap intervals over videos. What is not alike is named first, and
//! withholds the figures unless they are asked for all the same.
//!
//! It runs nothing and measures nothing; [`crate::report::of_comparison`] makes a document of it.

mod csv_file;
mod folder;
mod likeness;
mod pairs;
mod source;
mod threshold;

pub use likeness::Difference;
pub use pairs::{Change, Coverage};
pub use source::{Facts, Row, Source, SourceKind};
pub use threshold::{Threshold, Verdict, threshold_names};

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::figures::stats::Bootstrap;

/// Version of [`Comparison`] as JSON.
pub const COMPARISON_SCHEMA: u32 = 1;

/// Runs beside each other: the first is what all others are set against.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Version of this structure.
    pub schema: u32,
    /// How intervals were made.
    pub bootstrap: Bootstrap,
    /// The runs.
    pub sources: Vec<Source>,
    /// Every run but the first against the first.
    pub against: Vec<Against>,
}

/// One run against the first.
#[derive(Clone, Debug, Serialize)]
pub struct Against {
    /// Letter of the first run.
    pub a: String,
    /// Letter of the other.
    pub b: String,
    /// What is not alike.
    pub differences: Vec<Difference>,
    /// Whether figures are withheld because of them.
    pub withheld: bool,
    /// Models that both have.
    pub models: Vec<ModelComparison>,
    /// What the thresholds say.
    pub verdicts: Vec<Verdict>,
}

/// One model of two runs.
#[derive(Clone, Debug, Serialize)]
pub struct ModelComparison {
    /// Model tag in the first run.
    pub model: String,
    /// Model tag in the other, where it is not the same.
    pub other_model: Option<String>,
    /// Rows behind the figures.
    pub coverage: Coverage,
    /// The figures; empty when they are withheld.
    pub figures: Vec<Change>,
}

/// How runs are compared.
#[derive(Clone, Debug, Default)]
pub struct CompareOptions {
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Whether figures are given for runs that are not alike.
    pub anyway: bool,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
}

/// Reads one run: a run folder or a CSV file.
///
/// # Errors
/// [`Error`] names the file, and the line where one is damaged.
pub fn read_source(path: &Path, label: String) -> Result<Source> {
    if folder::is_run(path) {
        return folder::read(path, label);
    }
    if path.is_dir() || !path.exists() {
        return Err(Error::data(format!(
            "{} is not a run: give a run folder (with run.json and journal.jsonl) or a CSV file such as \
             sav_benchmark_summary.csv",
            path.display()
        )));
    }
    csv_file::read(path, label)
}

fn file_error(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::data(format!("{} cannot be used: {why}", path.display()))
}

fn line_error(path: &Path, line: u64, why: impl std::fmt::Display) -> Error {
    Error::data(format!("{} line {line}: {why}", path.display()))
}

/// Compares every run with the first.
///
/// # Errors
/// [`Error`] for runs that have nothing in common, and for a threshold on a figure that was
/// not measured in both.
pub fn compare(sources: Vec<Source>, options: &CompareOptions) -> Result<Comparison> {
    let against = match sources.split_first() {
        Some((first, others)) => others
            .iter()
            .map(|other| set_against(first, other, options))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    Ok(Comparison {
        schema: COMPARISON_SCHEMA,
        bootstrap: options.bootstrap,
        sources,
        against,
    })
}

fn set_against(a: &Source, b: &Source, options: &CompareOptions) -> Result<Against> {
    let paired = pairs::pair(a, b)?;
    let differences = likeness::differences(a, b, &paired);
    let withheld = !options.anyway && differences.iter().any(|difference| difference.blocks);
    let unlike = |change: &Change, model: &str| {
        let concerns = |d: &&Difference| d.model.as_deref().is_none_or(|of| of == model);
        let mut concerning = differences.iter().filter(|d| d.blocks).filter(concerns);
        concerning.any(|d| d.areas.contains(&change.figure.area))
    };
    let mut models = Vec::new();
    let mut verdicts = Vec::new();
    for model in &paired {
        let mut figures = match withheld {
            true => Vec::new(),
            false => pairs::figures(model, options.bootstrap),
        };
        for figure in &mut figures {
            figure.unlike = unlike(figure, &model.model_a);
        }
        if !withheld {
            for threshold in &options.thresholds {
                verdicts.push(threshold.judge(&model.model_a, &figures).ok_or_else(|| {
                    let measured: Vec<&str> = figures.iter().map(|f| f.name).collect();
                    Error::data(format!(
                        "--threshold {}: {} has no such figure in both {} and {}; a gate on what was \
                         not measured would always be open. Measured there: {}",
                        threshold.name(),
                        model.model_a,
                        a.path,
                        b.path,
                        measured.join(", ")
                    ))
                })?);
            }
        }
        models.push(ModelComparison {
            model: model.model_a.clone(),
            other_model: (model.model_a != model.model_b).then(|| model.model_b.clone()),
            coverage: model.coverage.clone(),
            figures,
        });
    }
    Ok(Against {
        a: a.label.clone(),
        b: b.label.clone(),
        differences,
        withheld,
        models,
        verdicts,
    })
}

impl Comparison {
    /// Differences because of which figures were withheld.
    pub fn withheld(&self) -> usize {
        let withheld = self.against.iter().filter(|against| against.withheld);
        let texts = |against: &Against| -> BTreeSet<String> {
            let blocking = against.differences.iter().filter(|d| d.blocks);
            blocking.map(|difference| difference.text.clone()).collect()
        };
        withheld.map(|against| texts(against).len()).sum()
    }

    /// Whether every threshold holds and, where there are thresholds, no object failed that was ok
    /// in the first run.
    pub fn passes(&self) -> bool {
        self.against.iter().all(|against| {
            against.verdicts.is_empty()
                || against.verdicts.iter().all(|verdict| verdict.holds)
                    && against
                        .models
                        .iter()
                        .all(|model| model.coverage.newly_failed == 0)
        })
    }
}

/// The label of the run at this place: `A`, …, `Z`, `27`, ….
pub fn label(place: usize) -> String {
    match u8::try_from(place) {
        Ok(place) if place < 26 => char::from(b'A' + place).to_string(),
        _ => (place + 1).to_string(),
    }
}

#[cfg(test)]
mod tests;
