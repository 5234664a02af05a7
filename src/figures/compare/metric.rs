//! The figures that are compared, and how each is read.

use serde::Serialize;

use super::source::Row;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// How two runs are set against each other.
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

/// What a figure is about; differences between runs make some of it unlike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// Times and rates.
    Speed,
    /// J and F.
    Scores,
    /// Bytes.
    Memory,
}

/// Unit of a figure, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Frames per second.
    FramesPerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Percent.
    Percent,
    /// Bytes.
    Bytes,
}

/// A figure that is compared.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in `--threshold` and JSON.
    pub name: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// What it is about.
    pub area: Area,
    /// Its unit.
    pub unit: Unit,
    /// How runs are set against each other.
    pub method: Method,
    /// Which way is better.
    pub better: Better,
    /// The figure of a row.
    pub value: fn(&Row) -> Option<f64>,
}

const fn speed(name: &'static str, label: &'static str, value: fn(&Row) -> Option<f64>) -> Metric {
    Metric {
        name,
        label,
        area: Area::Speed,
        unit: Unit::FramesPerSecond,
        method: Method::Ratio,
        better: Better::Higher,
        value,
    }
}

const fn duration(
    name: &'static str,
    label: &'static str,
    value: fn(&Row) -> Option<f64>,
) -> Metric {
    Metric {
        unit: Unit::Milliseconds,
        better: Better::Lower,
        ..speed(name, label, value)
    }
}

const fn score(name: &'static str, label: &'static str, value: fn(&Row) -> Option<f64>) -> Metric {
    Metric {
        area: Area::Scores,
        unit: Unit::Percent,
        method: Method::Difference,
        ..speed(name, label, value)
    }
}

const fn memory(name: &'static str, label: &'static str, value: fn(&Row) -> Option<f64>) -> Metric {
    Metric {
        area: Area::Memory,
        unit: Unit::Bytes,
        method: Method::RatioOfMaxima,
        ..duration(name, label, value)
    }
}

/// All figures, in the order of the table.
pub static METRICS: [Metric; 18] = [
    speed("fps_end_to_end", "FPS end to end", |r| r.fps_end_to_end),
    speed("fps", "FPS, networks and masks", |r| r.fps),
    speed("fps_model", "FPS, networks alone", |r| r.fps_model),
    speed("fps_with_setup", "FPS with set-up", Row::fps_with_setup),
    speed("object_fps", "objects x FPS", Row::object_fps),
    duration("p50", "frame p50, end to end", |r| r.p50_ms),
    duration("p99", "frame p99, end to end", |r| r.p99_ms),
    duration("setup", "set-up per object", |r| r.setup_ms),
    score("jf", "J&F (official, %)", |r| {
        r.official.map(|[j, f]| f64::midpoint(j, f))
    }),
    score("j", "J (official, %)", |r| r.official.map(|[j, _]| j)),
    score("f", "F (official, %)", |r| r.official.map(|[_, f]| f)),
    score("jf_upstream", "J&F (upstream, %)", |r| {
        Some(f64::midpoint(r.upstream_j?, r.upstream_f?))
    }),
    score("j_upstream", "J (upstream, %)", |r| r.upstream_j),
    score("f_upstream", "F (upstream, %)", |r| r.upstream_f),
    memory("arena", "peak arena", |r| r.arena_bytes),
    memory("gpu_alloc", "peak GPU allocated", |r| r.gpu_alloc_bytes),
    memory("gpu_reserved", "peak GPU reserved", |r| {
        r.gpu_reserved_bytes
    }),
    memory("rss", "peak RSS", |r| r.rss_bytes),
];

/// Names of all figures.
pub fn metric_names() -> Vec<&'static str> {
    METRICS.iter().map(|metric| metric.name).collect()
}
