//! `report.html`: a run, or several beside each other, for people who look rather than read.
//!
//! Reading and producing are apart. [`RunRecord::read`] takes in what a run folder holds;
//! [`of_run`] and [`of_comparison`] are functions of plain data that give a [`Document`], which
//! [`crate::render`] turns into text or one HTML file.
//!
//! Figures are those of [`crate::record::Summary`] and [`crate::figures::compare::Comparison`]; none is
//! worked out here. It measures nothing and writes no files.

mod comparison;
mod hardest;
mod picture;
mod record;
mod section;
mod telemetry;

pub use comparison::of_comparison;
pub use hardest::{Attempt, HardObject, Pictures};
pub use record::RunRecord;
pub use telemetry::TelemetrySeries;

use crate::render::{Document, counted};

/// The report's name in a run folder.
pub const REPORT_FILE: &str = "report.html";

/// Milliseconds from one frame to the next at 24 per second.
const DEADLINE_MS: f64 = 1000.0 / 24.0;

/// The report of one run.
pub fn of_run(record: &RunRecord) -> Document {
    let sections = [
        Some(section::headline(record)),
        section::failures(record),
        Some(section::videos(record)),
        Some(section::accuracy_and_speed(record)),
        Some(section::stages(record)),
        Some(section::timeline(record)),
        Some(section::deadline(record)),
        Some(section::memory(record)),
        Some(section::machine(record)),
        Some(section::hard_objects(record)),
        Some(section::timed(record)),
        Some(section::environment(record)),
    ];
    let run = &record.manifest;
    let text = |place: &str| run.pointer(place).and_then(|value| value.as_str());
    let device = text("/environment/jetson_model/value")
        .or(text("/backend/device"))
        .or(text("/environment/cpu_model/value"));
    let counts = record.summary.counts;
    let known = [
        device.map(str::to_owned),
        text("/started").map(|at| format!("started {}", date(at))),
        Some(format!(
            "{}, {} tracked, {} failed",
            counted(counts.videos, "video"),
            counted(counts.ok, "object"),
            counts.failed
        )),
        text("/state").map(str::to_owned),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    Document {
        title: format!("masklet run {}", record.name),
        about: known.join(" · "),
        small: format!(
            "A benchmark of video object segmentation by masklet {}. Raw figures are beside this page in \
             summary.json, summary.csv and journal.jsonl. Page made {}.",
            text("/environment/masklet_version").unwrap_or(env!("CARGO_PKG_VERSION")),
            date(&record.made)
        ),
        sections: sections.into_iter().flatten().collect(),
    }
}

/// `2025-11-21T08:09:10Z` for people.
fn date(utc: &str) -> String {
    match utc.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some((day, time)) => format!("{day} {time} UTC"),
        None => utc.to_owned(),
    }
}
