//! masklet's run and its baselines in one table. Intervals, pairing and what is not comparable are
//! `compare`'s.

use crate::figures::catalogue::{Unit, Value, find};
use crate::record::{ModelSummary, Summary};
use crate::render::{Block, Cell, Table};

/// The figures of the table. Speeds count a frame once for every object on it, so that objects
/// together and objects one by one can be compared.
const FIGURES: [&str; 9] = [
    "object_fps",
    "object_fps_model",
    "p50",
    "jf",
    "rss",
    "rss_slope_frame",
    "gpu_reserved",
    "objects_ok",
    "objects_failed",
];

/// A table for every model tag of `ours`: masklet's column, then one per baseline. After a
/// baseline's speeds comes masklet's over them.
pub fn beside(ours: &Summary, baselines: &[(String, Summary)]) -> Vec<Block> {
    let table = |model: &ModelSummary| {
        let theirs: Vec<Option<&ModelSummary>> = baselines
            .iter()
            .map(|(_, summary)| summary.models.iter().find(|m| m.model == model.model))
            .collect();
        let names = baselines.iter().map(|(name, _)| Cell::number(name));
        let head = [Cell::text(&model.model), Cell::number("masklet")];
        let rows = FIGURES.iter().filter_map(|name| {
            let figure = find(name)?;
            let value = figure.of_model?.1;
            let text = |value: &Value| figure.text(value).unwrap_or_else(|_| "-".to_owned());
            let own = value(model);
            let mut row = vec![Cell::text(figure.label), Cell::number(text(&own))];
            row.extend(theirs.iter().map(|theirs| {
                let other = theirs.map(value).unwrap_or_default();
                let ratio = match (own.number, other.number) {
                    (Some(own), Some(other)) if figure.unit == Unit::FramesPerSecond => {
                        format!(" ({:.2}x)", own / other)
                    }
                    _ => String::new(),
                };
                Cell::number(text(&other) + &ratio)
            }));
            Some(row)
        });
        Block::Table(Table::new("baselines", head.into_iter().chain(names)).with_rows(rows))
    };
    let mut blocks: Vec<Block> = ours.models.iter().map(table).collect();
    if !baselines.is_empty() {
        let words = "In brackets: masklet's speed over the baseline's.";
        blocks.push(Block::Paragraph(words.to_owned()));
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{samples, summarise};
    use crate::render::{Style, terminal};

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
        let text = terminal(&beside(&summarise(&together), &[theirs]), Style::PLAIN);
        let cells = |label: &str| -> Vec<String> {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            let line = line.unwrap_or_else(|| panic!("no {label} in {text}"));
            line.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(cells("objects x FPS "), ["32.00", "16.00", "(2.00x)"]);
        assert_eq!(cells("J&F (official)"), ["62.50", "%", "62.50", "%"]);
        assert_eq!(cells("RSS slope per frame"), ["-", "-"]);
    }
}
