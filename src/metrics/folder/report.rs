//! The scores of a folder as the official `results.csv`, as JSON, and as a table to read.
//!
//! Everything is rendered to text; writing it somewhere is the caller's.

use super::{Coverage, FolderScores, counted};
use crate::metrics::protocol::Protocol;
use crate::render::{Cell, Table};
use serde::Serialize;
use std::fmt::Write;

/// The official evaluator's `results.csv`, byte for byte: one decimal, names padded to the longest.
///
/// One difference: an object folder whose name has fewer than three characters is padded with
/// zeros on the left (`001`), as object numbers are. Python pads such text on the right (`100`),
/// which makes names ambiguous; SA-V's own names have three characters.
pub fn official_csv(scores: &FolderScores) -> String {
    let width = name_width(scores);
    let mut text = format!("{:<width$},obj,  J&F,    J,    F\n", "sequence");
    let g = &scores.global;
    let _ = writeln!(
        text,
        "{:<width$},   , {:.1}, {:.1}, {:.1}",
        "Global score", g.jf, g.j, g.f
    );
    for o in &scores.objects {
        let s = &o.score;
        let _ = writeln!(
            text,
            "{:<width$},{:0>3}, {:>4.1}, {:>4.1}, {:>4.1}",
            o.video,
            o.object,
            s.jf(),
            s.j,
            s.f
        );
    }
    text
}

fn name_width(scores: &FolderScores) -> usize {
    let names = scores.objects.iter().map(|o| o.video.chars().count());
    names.max().unwrap_or(0).max("Global score".len())
}

/// The JSON report: `J`, `F`, `JF` and `objects` in percent at full precision, then what they
/// stand on. Ends with a newline.
pub fn json(scores: &FolderScores) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        video: &'a str,
        object: &'a str,
        #[serde(rename = "J")]
        j: f64,
        #[serde(rename = "F")]
        f: f64,
        frames: usize,
    }
    #[derive(Serialize)]
    struct Report<'a> {
        #[serde(rename = "J")]
        j: f64,
        #[serde(rename = "F")]
        f: f64,
        #[serde(rename = "JF")]
        jf: f64,
        objects: Vec<Object<'a>>,
        protocol: Protocol,
        skip_first_and_last: bool,
        coverage: Coverage,
        missing_videos: &'a [String],
        missing_objects: &'a [String],
        missing_frames: &'a [String],
        dropped_objects: &'a [String],
        warnings: Vec<String>,
    }
    let report = Report {
        j: scores.global.j,
        f: scores.global.f,
        jf: scores.global.jf,
        objects: scores
            .objects
            .iter()
            .map(|o| Object {
                video: &o.video,
                object: &o.object,
                j: o.score.j,
                f: o.score.f,
                frames: o.score.frames,
            })
            .collect(),
        protocol: scores.protocol,
        skip_first_and_last: scores.skipped_first_and_last,
        coverage: scores.coverage,
        missing_videos: &scores.missing.videos,
        missing_objects: &scores.missing.objects,
        missing_frames: &scores.missing.frames,
        dropped_objects: &scores.dropped,
        warnings: scores.warnings(),
    };
    // Plain data without maps: there is nothing in it that JSON could refuse.
    let mut text = serde_json::to_string_pretty(&report).unwrap_or_default();
    text.push('\n');
    text
}

/// One line with the mean scores.
pub fn summary(scores: &FolderScores) -> String {
    let g = &scores.global;
    format!(
        "J&F {:.1}   J {:.1}   F {:.1}   ({} protocol; {}, {}, {})",
        g.jf,
        g.j,
        g.f,
        scores.protocol.name(),
        counted(scores.coverage.videos, "video"),
        counted(scores.objects.len(), "object"),
        counted(scores.coverage.frames, "mask file"),
    )
}

/// How much of the ground truth was scored, and what is missing from it.
pub fn coverage(scores: &FolderScores) -> String {
    let c = &scores.coverage;
    let mut text = format!(
        "Partial: scored {} of {} videos and {} of {} mask files.",
        c.videos, c.videos_total, c.frames, c.frames_total
    );
    let missing = &scores.missing;
    for (noun, names) in [
        ("video", &missing.videos),
        ("object", &missing.objects),
        ("frame", &missing.frames),
    ] {
        if !names.is_empty() {
            let names_listed = crate::metrics::error::listed(names, 5);
            let _ = write!(
                text,
                " Missing {}: {names_listed}.",
                counted(names.len(), noun)
            );
        }
    }
    text
}

/// The table of all objects, the mean last.
pub fn table(scores: &FolderScores) -> Table {
    let head = [Cell::text("video"), Cell::text("object")].into_iter();
    let head = head.chain(["frames", "J&F", "J", "F"].map(Cell::number));
    let row = |video: &str, object: &str, frames: usize, values: [f64; 3]| {
        let names = [
            Cell::text(video),
            Cell::text(object),
            Cell::number(frames.to_string()),
        ];
        let values = values.map(|value| Cell::number(format!("{value:.1}")));
        names.into_iter().chain(values).collect::<Vec<_>>()
    };
    let objects = scores.objects.iter().map(|o| {
        let s = &o.score;
        row(&o.video, &o.object, s.frames, [s.jf(), s.j, s.f])
    });
    let g = &scores.global;
    let frames = scores.objects.iter().map(|o| o.score.frames).sum();
    let count = scores.objects.len().to_string();
    let mean = row("Global score", &count, frames, [g.jf, g.j, g.f]);
    Table::new("scores", head).with_rows(objects.chain([mean]))
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
