//! A few lines that put masklet's run and its baselines side by side. Intervals, pairing and what is
//! not comparable are another module's.

use crate::figures::stats;
use crate::record::{ModelSummary, Stage, Summary};

/// A cell of the table, and the figure by which a baseline is set against masklet's.
type Line = (&'static str, fn(&ModelSummary) -> Option<(f64, String)>);

const LINES: [Line; 9] = [
    ("object frames/s, end to end", |m| {
        rate(m, m.speed.fps_end_to_end)
    }),
    ("object frames/s, tracking", |m| {
        rate(m, m.speed.fps_upstream)
    }),
    ("object frames/s, model only", |m| {
        rate(m, m.speed.fps_model)
    }),
    ("frame p50, end to end", |m| {
        let wall = m.latency_ms.counted.get(Stage::EndToEnd.name())?;
        Some((wall.p50_ms, stats::milliseconds(wall.p50_ms)))
    }),
    ("J&F (official, %)", |m| {
        let jf = m.official_percent?.jf;
        Some((jf, format!("{jf:.2}")))
    }),
    ("peak RSS", |m| bytes(m.memory.peak_rss_bytes)),
    ("RSS slope per frame", |m| {
        let slope = m.memory.rss_slope_per_frame?.per_step;
        Some((slope, stats::signed_bytes(slope)))
    }),
    ("peak device memory", |m| {
        let arena = m.memory.arena_slab_bytes;
        let arena = arena.filter(|_| m.memory.arena_on_device == Some(true));
        bytes(arena.or(m.memory.allocator_reserved_bytes))
    }),
    ("objects ok / failed", |m| {
        let counts = m.counts;
        Some((0.0, format!("{} / {}", counts.ok, counts.failed)))
    }),
];

/// Lines whose ratio to masklet's is printed: speeds.
const RATIOS: usize = 3;

/// The table for every model tag of `ours`: masklet's column, then one per baseline. Behind a
/// baseline's speeds stands masklet's over them. A frame counts once for every object on it, so
/// that objects together and objects one by one can be set side by side.
pub fn render(ours: &Summary, baselines: &[(String, Summary)]) -> String {
    let mut out = String::new();
    for model in &ours.models {
        let theirs: Vec<Option<&ModelSummary>> = baselines
            .iter()
            .map(|(_, summary)| summary.models.iter().find(|m| m.model == model.model))
            .collect();
        let mut table = vec![vec![model.model.clone(), "masklet".to_owned()]];
        table[0].extend(baselines.iter().map(|(name, _)| name.clone()));
        for (at, (label, cell)) in LINES.iter().enumerate() {
            let own = cell(model);
            let mut row = vec![(*label).to_owned(), text(own.clone())];
            for theirs in &theirs {
                let other = theirs.and_then(cell);
                let ratio = match (&own, &other) {
                    (Some((own, _)), Some((other, _))) if at < RATIOS && *other > 0.0 => {
                        format!(" ({:.2}x)", own / other)
                    }
                    _ => String::new(),
                };
                row.push(text(other) + &ratio);
            }
            table.push(row);
        }
        out.push('\n');
        out.push_str(&aligned(&table));
    }
    if !baselines.is_empty() {
        out.push_str("\nIn brackets: masklet's speed over the baseline's.\n");
    }
    out
}

fn text(cell: Option<(f64, String)>) -> String {
    cell.map_or_else(|| "-".to_owned(), |(_, text)| text)
}

fn bytes(count: Option<u64>) -> Option<(f64, String)> {
    count.map(|count| (count as f64, stats::bytes(count)))
}

/// Objects advanced by a frame, per second.
fn rate(model: &ModelSummary, fps: Option<f64>) -> Option<(f64, String)> {
    let speed = &model.speed;
    let rate = fps? * speed.object_frames as f64 / speed.frames as f64;
    rate.is_finite().then(|| (rate, format!("{rate:.2}")))
}

/// The first column to the left, the others to the right; a rule under the first row.
fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (at, row) in table.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            match column {
                0 => line.push_str(&format!("{cell}{space}")),
                _ => line.push_str(&format!("   {space}{cell}")),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
        if at == 0 {
            let rule = widths.iter().sum::<usize>() + 3 * columns.saturating_sub(1);
            out.push_str(&"-".repeat(rule));
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{samples, summarise};

    #[test]
    fn speeds_are_set_against_each_other_per_object() {
        // Two objects together, in 62.5 ms a frame, against one at a time in 62.5 ms each.
        let together = ["1", "2"].map(|object| {
            let mut row = samples::row("v", object, "m_points");
            row.lockstep_objects = 2;
            row
        });
        let alone = ["1", "2"].map(|object| samples::row("v", object, "m_points"));
        let theirs = ("upstream".to_owned(), summarise(&alone));
        let text = render(&summarise(&together), &[theirs]);
        let cells = |label: &str| -> Vec<String> {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            let line = line.unwrap_or_else(|| panic!("no {label} in {text}"));
            line.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(
            cells("object frames/s, end to end"),
            ["32.00", "16.00", "(2.00x)"]
        );
        assert_eq!(cells("J&F (official, %)"), ["62.50", "62.50"]);
        assert_eq!(cells("RSS slope per frame"), ["-", "-"]);
    }
}
