//! The parts of a run's page, in its order. Each is a function of the record alone.

mod circumstances;
mod deadline;
mod headline;
mod machine;
mod memory;
mod objects;
mod speed;
mod timeline;
mod videos;

pub(super) use circumstances::{environment, timed};
pub(super) use deadline::deadline;
pub(super) use headline::headline;
pub(super) use machine::machine;
pub(super) use memory::memory;
pub(super) use objects::{failures, hard_objects};
pub(super) use speed::{accuracy_and_speed, stages};
pub(super) use timeline::timeline;
pub(super) use videos::videos;

use super::record::RunRecord;
use crate::record::ObjectRow;
use crate::render::plot::Colour;

/// Models with the colours that they have in every plot.
fn coloured(record: &RunRecord) -> impl Iterator<Item = (&crate::record::ModelSummary, Colour)> {
    record
        .summary
        .models
        .iter()
        .enumerate()
        .map(|(at, model)| (model, Colour::Series(at)))
}

/// A model's rows in the order they were finished.
fn rows_of<'r>(record: &'r RunRecord, model: &str) -> Vec<&'r ObjectRow> {
    record
        .rows
        .iter()
        .filter(|row| row.key.model == model)
        .collect()
}
