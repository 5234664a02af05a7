//! `summary.csv`: the Python benchmark's columns first and in its order, ours after, those of the
//! stages last.
//!
//! A figure that was not measured is an empty cell; so is every figure of a failed object.

use super::catalogue::{Figure, PERCENTILES, Percentile, figures, rounded};
use crate::record::{MODEL, ObjectSummary, Stage, Summary};
use crate::render::{Cell, Table};

/// The Python benchmark's columns in its order.
pub const UPSTREAM_COLUMNS: [&str; 21] = [
    "video",
    "object",
    "model",
    "imgsz",
    "precision",
    "frames",
    "processed_end_frame",
    "fps",
    "latency_ms",
    "gpu_peak_alloc_MiB",
    "gpu_peak_reserved_MiB",
    "cpu_peak_rss_MiB",
    "J",
    "F",
    "JandF",
    "overlay",
    "input_H",
    "input_W",
    "infer_H",
    "infer_W",
    "setup_ms",
];

/// A column: its name and its cell of a row.
type Column<'c> = (String, Box<dyn Fn(&ObjectSummary) -> String + 'c>);

fn columns() -> impl Iterator<Item = Column<'static>> {
    let own = || {
        figures().filter_map(|figure| {
            let column = figure.column.filter(|column| !column.of_stage)?;
            Some((column.name, figure))
        })
    };
    let upstream = UPSTREAM_COLUMNS
        .iter()
        .filter_map(move |name| own().find(|(of, _)| of == name));
    let later = own().filter(|(name, _)| !UPSTREAM_COLUMNS.contains(name));
    let fixed = upstream.chain(later).map(|(name, figure): (_, &Figure)| {
        let cell = |object: &ObjectSummary| figure.cell(object);
        (name.to_owned(), Box::new(cell) as Box<dyn Fn(&_) -> _>)
    });
    let series = Stage::ALL.into_iter().map(Stage::name).chain([MODEL]);
    let of_stages = series.flat_map(|series| {
        PERCENTILES.iter().map(move |percentile| {
            let Percentile { name, value } = percentile;
            let cell = move |object: &ObjectSummary| {
                rounded(object.latency_ms.get(series).and_then(value), 3)
            };
            (
                format!("{series}_{name}_ms"),
                Box::new(cell) as Box<dyn Fn(&_) -> _>,
            )
        })
    });
    fixed.chain(of_stages)
}

/// One row per (video, object, model).
pub fn summary_csv(summary: &Summary) -> Table {
    let columns: Vec<Column<'_>> = columns().collect();
    let row = |object| {
        columns
            .iter()
            .map(move |(_, cell)| Cell::text(cell(object)))
    };
    Table::new("summary", columns.iter().map(|(name, _)| Cell::text(name)))
        .with_rows(summary.objects.iter().map(row))
}

#[cfg(test)]
mod tests;
