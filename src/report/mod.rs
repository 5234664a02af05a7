//! `report.html`: a run, or several beside each other, for people who look rather than read.
//!
//! Reading and rendering are apart. [`RunRecord::read`] takes in what a run folder holds;
//! [`render_run`] and [`render_comparison`] are functions of plain data that give the text of one
//! HTML file. It needs no script and loads nothing: style, plots (SVG) and pictures are in it. It
//! has light and dark colours, prints in light ones, and is as readable on a telephone.
//!
//! Figures are those of [`crate::record::Summary`] and [`crate::figures::compare::Comparison`]; none is
//! worked out here. It measures nothing and writes no files.

mod comparison;
mod error;
mod hardest;
mod html;
mod page;
mod picture;
mod plot;
mod record;
mod section;
mod telemetry;

pub use comparison::render_comparison;
pub use error::ReportError;
pub use hardest::{Attempt, HardObject, Pictures};
pub use picture::Picture;
pub use record::RunRecord;
pub use telemetry::TelemetrySeries;

use html::{counted, escape};

/// The report's name in a run folder.
pub const REPORT_FILE: &str = "report.html";

/// Milliseconds from one frame to the next at 24 per second.
const DEADLINE_MS: f64 = 1000.0 / 24.0;

/// The page of one run.
///
/// # Errors
/// [`ReportError::Plot`] when a plot cannot be drawn.
pub fn render_run(record: &RunRecord) -> Result<String, ReportError> {
    let sections = [
        section::headline(record),
        section::accuracy_and_speed(record)?,
        section::stages(record)?,
        section::timeline(record)?,
        section::deadline(record),
        section::memory(record)?,
        section::machine(record)?,
        section::hard_objects(record),
        section::failures(record),
        section::timed(record),
        section::environment(record),
    ];
    let mut contents = vec![
        ("summary", "Summary"),
        ("accuracy", "Accuracy and speed"),
        ("stages", "Stages"),
        ("timeline", "Timeline"),
        ("deadline", "Deadline"),
        ("memory", "Memory"),
        ("machine", "Power and temperature"),
        ("hardest", "Lowest scores"),
    ];
    if record.summary.counts.failed > 0 {
        contents.push(("failures", "Failed"));
    }
    contents.extend([("timed", "What was timed"), ("environment", "Environment")]);
    let title = format!("masklet run {}", record.name);
    Ok(page::page(
        &title,
        &header(record),
        &contents,
        &sections.concat(),
    ))
}

fn header(record: &RunRecord) -> String {
    let run = &record.manifest;
    let text = |place: &str| run.pointer(place).and_then(|value| value.as_str());
    let device = text("/environment/jetson_model/value")
        .or(text("/backend/device"))
        .or(text("/environment/cpu_model/value"));
    let counts = record.summary.counts;
    let known = [
        device.map(str::to_owned),
        text("/started").map(|at| format!("begun {}", date(at))),
        Some(format!(
            "{}, {} tracked, {} failed",
            counted(counts.videos, "video"),
            counted(counts.ok, "object"),
            counts.failed
        )),
        text("/state").map(str::to_owned),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    format!(
        "<h1>Run {}</h1>\n<p>{}</p>\n<p><small>A benchmark of video object segmentation by masklet {}. \
         Raw figures are beside this page in summary.json, summary.csv and journal.jsonl. Page made {}.</small></p>\n",
        escape(&record.name),
        escape(&known.join(" · ")),
        escape(text("/environment/masklet_version").unwrap_or(env!("CARGO_PKG_VERSION"))),
        escape(&date(&record.made))
    )
}

/// `2025-11-21T08:09:10Z` for people.
fn date(utc: &str) -> String {
    match utc.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some((day, time)) => format!("{day} {time} UTC"),
        None => utc.to_owned(),
    }
}
