//! What was found, as a table and as JSON, and whether it is within tolerance.

use super::{ClipDifference, Difference};
use crate::render::{Block, Cell, Table};
use masklet_engines::bundle::{Component, Precision};
use serde::Serialize;

/// What each precision has to reach; the exporter holds its graphs to the same
/// (`tools/export/masklet_export/check.py`, `TOLERANCES`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tolerance {
    /// Largest difference of an output over the reference's spread.
    pub of_spread: f64,
    /// Least IoU of a mask on identical inputs.
    pub mask_iou: f64,
    /// Least IoU of a frame of the clip (fp32), or least mean IoU of an object (low precision).
    pub clip_iou: f64,
}

impl Tolerance {
    /// The tolerance of a bundle's precision.
    pub fn of(precision: Precision) -> Self {
        let (of_spread, mask_iou, clip_iou) = match precision {
            Precision::Fp32 => (1e-3, 0.99, 0.999),
            Precision::Fp16 => (0.25, 0.95, 0.90),
            Precision::Bf16 => (2.5, 0.80, 0.80),
        };
        Self {
            of_spread,
            mask_iou,
            clip_iou,
        }
    }
}

/// One side, described.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Model, size, precision.
    pub bundle: String,
    /// Runtime and device.
    pub runtime: String,
    /// Where the weights come from.
    pub weights: String,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParityReport {
    /// What was compared.
    pub candidate: Side,
    /// With what.
    pub reference: Side,
    /// Whether the device is a stand-in for tests.
    pub simulated: bool,
    /// Precision of the bundle that was compared.
    pub precision: String,
    /// What it has to reach.
    pub tolerance: Tolerance,
    /// Whether the clip is judged: with random weights in low precision it is only shown, since an
    /// untrained network carries any rounding on until a choice of masks falls otherwise.
    pub clip_is_judged: bool,
    /// Components on identical inputs.
    pub components: Vec<Difference>,
    /// Masks over the clip.
    pub clip: Vec<ClipDifference>,
}

impl ParityReport {
    /// Everything out of tolerance, a line each; empty when both sides agree.
    pub fn failures(&self) -> Vec<String> {
        let limit = self.tolerance;
        let mut lines = Vec::new();
        for row in &self.components {
            let name = format!("{}, {}", stage(row.component, &row.output), row.output);
            if row.of_spread.is_nan() || row.of_spread > limit.of_spread {
                lines.push(format!(
                    "{name}: differs by {:.2e} of its spread, {:.0e} is allowed",
                    row.of_spread, limit.of_spread
                ));
            }
            if row.mask_iou.is_some_and(|iou| iou < limit.mask_iou) {
                lines.push(format!(
                    "{name}: mask IoU {:.5} on identical inputs, at least {} is asked for",
                    row.mask_iou.unwrap_or_default(),
                    limit.mask_iou
                ));
            }
        }
        if !self.clip_is_judged {
            return lines;
        }
        for row in &self.clip {
            let (word, iou) = self.judged(row);
            if iou.is_nan() || iou < limit.clip_iou {
                lines.push(format!(
                    "clip, {}: {word} mask IoU {iou:.5}, at least {} is asked for",
                    row.object, limit.clip_iou
                ));
            }
        }
        lines
    }

    fn judged(&self, row: &ClipDifference) -> (&'static str, f64) {
        match self.precision.as_str() {
            "fp32" => ("least", row.least_iou),
            _ => ("mean", row.mean_iou),
        }
    }

    /// For people.
    pub fn document(&self) -> Vec<Block> {
        let text = |text: &str| Cell::text(text);
        let mut sides = vec![
            format!("{} in {}", self.candidate.bundle, self.candidate.runtime),
            format!(
                "against {} in {}",
                self.reference.bundle, self.reference.runtime
            ),
            self.candidate.weights.clone(),
        ];
        if self.reference.weights != self.candidate.weights {
            sides.push(format!("the reference: {}", self.reference.weights));
        }
        let mut blocks: Vec<Block> = vec![Block::list(sides)];
        if self.simulated {
            let note = "SIMULATED: not a measurement of a GPU.";
            blocks.push(Block::Notes(vec![note.to_owned()]));
        }
        let numbers = [
            "calls",
            "max abs",
            "mean abs",
            "of spread",
            "cosine",
            "mask IoU",
        ];
        let head = ["stage", "output"].map(text).into_iter();
        let mut last = "";
        let components = self.components.iter().map(|row| {
            let name = stage(row.component, &row.output);
            let shown = if name == last { "" } else { name };
            last = name;
            let iou = row
                .mask_iou
                .map_or_else(String::new, |iou| format!("{iou:.5}"));
            let numbers = [
                row.calls.to_string(),
                small(row.max_abs),
                small(row.mean_abs),
                small(row.of_spread),
                format!("{:.7}", row.cosine),
                iou,
            ];
            let names = [text(shown), text(&row.output)].into_iter();
            names.chain(numbers.map(Cell::number)).collect::<Vec<_>>()
        });
        let components = components.collect::<Vec<_>>();
        let head = head.chain(numbers.map(Cell::number));
        blocks.push(Block::heading("Components on identical inputs"));
        blocks.push(Block::Table(
            Table::new("components", head).with_rows(components),
        ));
        let numbers = [
            "frames",
            "least IoU",
            "mean IoU",
            "first frame that differs",
        ];
        let head = [text("object")]
            .into_iter()
            .chain(numbers.map(Cell::number));
        let clip = self.clip.iter().map(|row| {
            let first = row.first_different;
            [
                text(&row.object),
                Cell::number(row.frames.to_string()),
                Cell::number(format!("{:.5}", row.least_iou)),
                Cell::number(format!("{:.5}", row.mean_iou)),
                Cell::number(first.map_or_else(|| "none".to_owned(), |frame| frame.to_string())),
            ]
        });
        blocks.push(Block::heading("Masks over the clip, each side on its own"));
        blocks.push(Block::Table(Table::new("clip", head).with_rows(clip)));
        let asked = format!(
            "at most {:.0e} of the spread; mask IoU at least {} on identical inputs, {} over the clip{}",
            self.tolerance.of_spread,
            self.tolerance.mask_iou,
            self.tolerance.clip_iou,
            match (self.clip_is_judged, self.precision.as_str()) {
                (false, _) => " (not judged: random weights, low precision)",
                (true, "fp32") => "",
                (true, _) => " on average",
            }
        );
        blocks.push(Block::Paragraph(format!(
            "Required of {}: {asked}",
            self.precision
        )));
        let failures = self.failures();
        if failures.is_empty() {
            blocks.push(Block::Paragraph("Both sides agree.".to_owned()));
        } else {
            blocks.push(Block::heading("They do NOT agree:"));
            blocks.push(Block::list(failures));
        }
        blocks
    }
}

/// What people call the part of the model that an output comes from. The fused track step shows
/// memory attention only through what the decoder makes of it.
pub(super) fn stage(component: Component, output: &str) -> &'static str {
    match (component, output) {
        (Component::ImageEncoder, _) => "image encoder",
        (Component::PromptDecoder, _) => "prompt decoder",
        (Component::MemoryEncoder, _) => "memory encoder",
        (Component::MaskPrompt, _) => "mask prompt",
        (Component::TrackStep, "mem_out") => "memory encoder (tracked)",
        (Component::TrackStep, _) => "memory attention + decoder",
    }
}

fn small(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value => format!("{value:.1e}"),
    }
}
