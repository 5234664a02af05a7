//! The catalogue: every figure once, with its name, unit, direction, definition, how it is read, and
//! why it may be missing.
//!
//! `summary.csv`, the tables of `run`, `baseline` and `compare`, `report.html`, thresholds and the
//! table in `docs/metrics.md` are made from these entries. A new figure is one entry in the file of
//! its group.

mod accuracy;
mod amount;
mod identity;
mod memory;
mod power;
mod realtime;
mod speed;
mod value;

pub(crate) use value::rounded;
pub use value::{Unit, Value};

use crate::figures::compare::Row;
use crate::figures::stats::LatencySummary;
use crate::record::{ModelSummary, ObjectSummary};
use serde::Serialize;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// It describes the run; neither is better.
    Neither,
}

/// What a figure is about: a heading of the tables, and what differences between runs make not
/// comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// J and F.
    Scores,
    /// Times and rates.
    Speed,
    /// Bytes.
    Memory,
    /// Frames that came at a rate.
    Realtime,
    /// Energy, power, clocks, temperatures.
    Power,
    /// How much was measured.
    Amount,
    /// What a row is about; none of it is measured.
    Identity,
}

/// Which tables over models show a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All.
    Always,
    /// All, where a model has a value.
    Known,
    /// All, where a model has a value; the report also where none has, with the reason.
    Explained,
    /// The report only.
    Report,
}

/// How two runs are compared by a figure; follows from its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Geometric mean over pairs of B over A, with an interval.
    Ratio,
    /// Mean over pairs of B minus A, with an interval.
    Difference,
    /// Largest of B over largest of A; a maximum has no interval.
    RatioOfMaxima,
}

/// How `summary.csv` writes a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// As text.
    Text,
    /// As an integer.
    Whole,
    /// Rounded to so many decimals, as Python does.
    Decimals(usize),
}

/// A column of `summary.csv`.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The figure is the cell times this (MiB to bytes, fractions to percent).
    pub times: f64,
    /// How it is written.
    pub digits: Digits,
    /// Whether the column is one of a stage's ([`PERCENTILES`]), written with those.
    pub of_stage: bool,
}

/// How `compare` gets a figure of a row.
#[derive(Clone, Copy, Debug)]
pub enum Compared {
    /// Not compared.
    No,
    /// From its column.
    Column,
    /// From other figures of the row.
    Derived(fn(&Row) -> Option<f64>),
}

/// How a figure is read from a model.
pub type OfModel = fn(&ModelSummary) -> Value;

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name: in `--threshold`, JSON, and as `data-metric` in HTML.
    pub name: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// What it is about.
    pub area: Area,
    /// Its unit.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// What it is, in a phrase.
    pub definition: &'static str,
    /// Why it may be missing; empty where it never is.
    pub missing: &'static str,
    /// Its column in `summary.csv`.
    pub column: Option<Column>,
    /// Its value for one row.
    pub of_object: Option<fn(&ObjectSummary) -> Value>,
    /// Its value for one model, and which tables show it.
    pub of_model: Option<(Shown, OfModel)>,
    /// How runs are compared by it.
    pub compared: Compared,
}

impl Figure {
    const fn new(
        area: Area,
        name: &'static str,
        label: &'static str,
        unit: Unit,
        better: Better,
        definition: &'static str,
    ) -> Self {
        Self {
            name,
            label,
            area,
            unit,
            better,
            definition,
            missing: "",
            column: None,
            of_object: None,
            of_model: None,
            compared: Compared::No,
        }
    }

    const fn missing(mut self, why: &'static str) -> Self {
        self.missing = why;
        self
    }

    const fn object(
        mut self,
        column: &'static str,
        digits: Digits,
        value: fn(&ObjectSummary) -> Value,
    ) -> Self {
        let times = match (self.unit, digits) {
            (Unit::Bytes, Digits::Decimals(_)) => 1_048_576.0,
            _ => 1.0,
        };
        self.column = Some(Column {
            name: column,
            times,
            digits,
            of_stage: false,
        });
        self.of_object = Some(value);
        self
    }

    /// The column holds hundredths of the figure: fractions of 1 for percent.
    const fn as_fraction(mut self) -> Self {
        if let Some(column) = &mut self.column {
            column.times = 100.0;
        }
        self
    }

    /// The column is one of a stage's percentiles.
    const fn of_stage(mut self) -> Self {
        if let Some(column) = &mut self.column {
            column.of_stage = true;
        }
        self
    }

    const fn model(mut self, shown: Shown, value: OfModel) -> Self {
        self.of_model = Some((shown, value));
        self
    }

    const fn compared(mut self) -> Self {
        self.compared = Compared::Column;
        self
    }

    const fn derived(mut self, value: fn(&Row) -> Option<f64>) -> Self {
        self.compared = Compared::Derived(value);
        self
    }

    /// How two runs are compared by it.
    pub fn method(&self) -> Method {
        match self.unit {
            Unit::Percent => Method::Difference,
            Unit::Bytes => Method::RatioOfMaxima,
            _ => Method::Ratio,
        }
    }

    /// Its value in a row of `compare`.
    pub fn of_row(&self, row: &Row) -> Option<f64> {
        match self.compared {
            Compared::No => None,
            Compared::Column => row.figures.get(self.name).copied(),
            Compared::Derived(value) => value(row),
        }
    }

    /// Its cell in `summary.csv`; empty where it was not measured.
    pub fn cell(&self, object: &ObjectSummary) -> String {
        let (Some(column), Some(value)) = (self.column, self.of_object) else {
            return String::new();
        };
        let value = value(object);
        match column.digits {
            Digits::Text => value.text.unwrap_or_default(),
            Digits::Whole => value
                .number
                .map_or(String::new(), |number| format!("{number:.0}")),
            Digits::Decimals(decimals) => {
                value::rounded(value.number.map(|number| number / column.times), decimals)
            }
        }
    }

    /// Its value of a model as text with its unit, or why it is missing.
    ///
    /// # Errors
    /// The reason.
    pub fn text(&self, value: &Value) -> Result<String, String> {
        match (&value.text, value.number) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(number)) => Ok(self.unit.text(number)),
            (None, None) => Err(match value.reason.as_str() {
                "" => self.missing.to_owned(),
                reason => reason.to_owned(),
            }),
        }
    }
}

/// All figures, in the order of the tables.
pub fn figures() -> impl Iterator<Item = &'static Figure> {
    let groups: [&'static [Figure]; 7] = [
        &identity::FIGURES,
        &accuracy::FIGURES,
        &speed::FIGURES,
        &memory::FIGURES,
        &realtime::FIGURES,
        &power::FIGURES,
        &amount::FIGURES,
    ];
    groups.into_iter().flatten()
}

/// The figure of a name.
pub fn find(name: &str) -> Option<&'static Figure> {
    figures().find(|figure| figure.name == name)
}

/// Figures that `compare` sets against each other.
pub fn compared() -> impl Iterator<Item = &'static Figure> {
    figures().filter(|figure| !matches!(figure.compared, Compared::No))
}

/// Figures of models that tables show, with how each is read.
pub fn of_models() -> impl Iterator<Item = (&'static Figure, Shown, OfModel)> {
    figures().filter_map(|figure| {
        let (shown, value) = figure.of_model?;
        Some((figure, shown, value))
    })
}

/// A statistic of a stage's durations.
#[derive(Clone, Copy, Debug)]
pub struct Percentile {
    /// Its name in columns (`encode_p50_ms`).
    pub name: &'static str,
    /// In milliseconds; `None` with too few samples.
    pub value: fn(&LatencySummary) -> Option<f64>,
}

/// The statistics that `summary.csv` has of every stage, in order.
pub const PERCENTILES: [Percentile; 4] = [
    Percentile {
        name: "p50",
        value: |l| Some(l.p50_ms),
    },
    Percentile {
        name: "p95",
        value: |l| Some(l.p95_ms),
    },
    Percentile {
        name: "p99",
        value: |l| Some(l.p99_ms),
    },
    Percentile {
        name: "p99_bound",
        value: |l| l.p99_bound_ms,
    },
];

#[cfg(test)]
mod tests;
