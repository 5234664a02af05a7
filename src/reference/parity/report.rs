//! What was found, as a table and as JSON, and whether it is within tolerance.

use super::{ClipDifference, Difference};
use masklet_engines::bundle::{Component, Precision};
use serde::Serialize;
use std::fmt::Write;

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

    /// For people, 100 columns.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} in {}",
            self.candidate.bundle, self.candidate.runtime
        );
        let _ = writeln!(
            out,
            "against {} in {}",
            self.reference.bundle, self.reference.runtime
        );
        let _ = writeln!(out, "{}", self.candidate.weights);
        if self.reference.weights != self.candidate.weights {
            let _ = writeln!(out, "the reference: {}", self.reference.weights);
        }
        if self.simulated {
            let _ = writeln!(out, "SIMULATED: this says nothing about a GPU");
        }
        let _ = writeln!(out, "\nComponents on identical inputs");
        let _ = writeln!(
            out,
            "{:<29} {:<10} {:>5} {:>9} {:>9} {:>9} {:>10} {:>8}",
            "stage", "output", "calls", "max abs", "mean abs", "of spread", "cosine", "mask IoU"
        );
        let mut last = "";
        for row in &self.components {
            let name = stage(row.component, &row.output);
            let iou = row
                .mask_iou
                .map_or_else(String::new, |iou| format!("{iou:.5}"));
            let _ = writeln!(
                out,
                "{:<29} {:<10} {:>5} {:>9} {:>9} {:>9} {:>10.7} {:>8}",
                if name == last { "" } else { name },
                row.output,
                row.calls,
                small(row.max_abs),
                small(row.mean_abs),
                small(row.of_spread),
                row.cosine,
                iou
            );
            last = name;
        }
        let _ = writeln!(out, "\nMasks over the clip, each side on its own");
        let width = self.clip.iter().map(|row| row.object.chars().count()).max();
        let width = width.unwrap_or(6).max(6);
        let _ = writeln!(
            out,
            "{:<width$} {:>6} {:>9} {:>9}  first frame that differs",
            "object", "frames", "least IoU", "mean IoU"
        );
        for row in &self.clip {
            let first = row
                .first_different
                .map_or_else(|| "none".to_owned(), |frame| frame.to_string());
            let _ = writeln!(
                out,
                "{:<width$} {:>6} {:>9.5} {:>9.5}  {first}",
                row.object, row.frames, row.least_iou, row.mean_iou
            );
        }
        let failures = self.failures();
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
        let _ = writeln!(out, "\nAsked of {}: {asked}", self.precision);
        if failures.is_empty() {
            let _ = writeln!(out, "Both sides agree.");
        } else {
            let _ = writeln!(out, "They do NOT agree:");
            for line in failures {
                let _ = writeln!(out, "  {line}");
            }
        }
        out
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
