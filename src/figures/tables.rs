//! The table that a run ends with.

use super::catalogue::{Figure, Shown, Value, of_models};
use crate::record::{ModelSummary, Summary};
use crate::render::{Block, Cell, Table};

/// What must be known first (random weights, failures), then one column per model tag.
pub fn of_summary(summary: &Summary) -> Vec<Block> {
    let notes = Block::Notes(notes(summary));
    if summary.models.is_empty() {
        return vec![notes, Block::Paragraph("No object was run.".to_owned())];
    }
    vec![notes, Block::Table(of_models_table(&summary.models))]
}

fn of_models_table(models: &[ModelSummary]) -> Table {
    let names = models.iter().map(|model| Cell::number(&model.model));
    let shown = of_models().filter_map(|(figure, shown, value)| {
        let values: Vec<Value> = models.iter().map(value).collect();
        let known = |value: &Value| figure.text(value).is_ok();
        let show = match shown {
            Shown::Always => true,
            Shown::Known | Shown::Explained => values.iter().any(known),
            Shown::Report => false,
        };
        let cells = values.iter().map(|value| cell(figure, value));
        show.then(|| {
            [Cell::text(figure.label)]
                .into_iter()
                .chain(cells)
                .collect()
        })
    });
    let rows: Vec<Vec<Cell>> = shown.collect();
    Table::new("models", [Cell::text("model")].into_iter().chain(names)).with_rows(rows)
}

/// A figure's value as a cell, with the number in full for programs that read the page.
pub fn cell(figure: &Figure, value: &Value) -> Cell {
    match figure.text(value) {
        Ok(text) => Cell::number(text),
        Err(why) => Cell::missing(why),
    }
    .valued(figure.name, value.number)
}

/// What must not be overlooked.
pub fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    for model in &summary.models {
        if let Some(seed) = model.random_init_seed {
            notes.push(format!(
                "the weights of {} are a random initialisation (seed {seed}): its speed and memory are \
                 meaningful, its scores are not.",
                model.model
            ));
        }
    }
    if summary.counts.failed > 0 {
        notes.push(format!(
            "{} of {} objects failed; summary.csv contains the reasons. Means exclude them.",
            summary.counts.failed, summary.counts.rows
        ));
    }
    let mut warnings: Vec<&String> = Vec::new();
    for warning in summary.objects.iter().filter_map(|o| o.warning.as_ref()) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    notes.extend(warnings.iter().map(|warning| format!("{warning}.")));
    for model in &summary.models {
        if let Some(found) = &model.found_rate {
            notes.push(format!("RATE of {}: {}.", model.model, found.describe()));
        }
    }
    for model in &summary.models {
        if let Some(rows @ 1..) = model.memory.arena_rows_not_returned {
            notes.push(format!(
                "after {rows} objects of {} the arena had not returned to its baseline.",
                model.model
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests;
