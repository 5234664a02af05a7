//! Boundary similarity F: do two outlines follow each other within a tolerance?
//!
//! Two definitions live side by side, because numbers of both are in circulation:
//!
//! | | official (SA-V, DAVIS) | upstream (the Python benchmark) |
//! |---|---|---|
//! | outline | 1 pixel: differs from its east, south or south-east neighbour (`seg2bmap`, D. Martin 2003) | 3x3 morphological gradient, about 2 pixels |
//! | tolerance | disk, radius `ceil(0.008 * diagonal)` | square, radius `max(1, round(0.008 * diagonal))` |
//! | no outline on one side | F = 0 | F = 0 |
//! | no outline on either side | F = 1 | F = 1 if both masks are empty or both are not, else 0 |
//!
//! The edge of the image is not an outline in either: a full-frame mask has none. Sources:
//! `sav_dataset/utils/sav_benchmark.py` of facebookresearch/sam2 (BSD-3) and the formulas of
//! antpln/VideoSegmentationComparison. Radii are computed in f64, as NumPy does: sizes such as
//! 600x800 have an integral `0.008 * diagonal` that must not be rounded up.

use super::Scorer;
use super::bits::{BitImage, WORD};
use super::dilation::{Element, Reach};
use super::error::SizeMismatch;
use super::protocol::Protocol;
use crate::mask::Mask;

/// The tolerance as a part of the image diagonal.
const TOLERANCE: f64 = 0.008;

/// Official F of two masks of one size, 0 to 1.
///
/// # Errors
/// [`SizeMismatch`] when the masks differ in height or width.
pub fn f_measure(gt: &Mask, pred: &Mask) -> Result<f64, SizeMismatch> {
    let mut scorer = Scorer::new();
    scorer.load(gt, pred)?;
    Ok(scorer.f_measure(Protocol::Official))
}

/// The tolerance in pixels for an image of `height` x `width` under a protocol.
pub fn tolerance_radius(height: usize, width: usize, protocol: Protocol) -> usize {
    let (h, w) = (height as f64, width as f64);
    let reach = TOLERANCE * (h * h + w * w).sqrt();
    // Both are small, whole and not negative: the conversion is exact.
    match protocol {
        Protocol::Official => reach.ceil() as usize,
        Protocol::Upstream => (reach.round_ties_even() as usize).max(1),
    }
}

/// What the F measure keeps between frames: outlines, scratch lines, the structuring element.
#[derive(Clone, Debug, Default)]
pub(super) struct BoundaryMeasure {
    gt_outline: BitImage,
    pred_outline: BitImage,
    reach: Reach,
    element: Option<(usize, usize, Protocol, Element)>,
}

impl BoundaryMeasure {
    /// F of two packed masks of one size.
    pub fn f_measure(&mut self, gt: &BitImage, pred: &BitImage, protocol: Protocol) -> f64 {
        match protocol {
            Protocol::Official => {
                martin_outline(gt, &mut self.gt_outline);
                martin_outline(pred, &mut self.pred_outline);
            }
            Protocol::Upstream => {
                if gt.is_empty() != pred.is_empty() {
                    return 0.0;
                }
                gradient_outline(gt, &mut self.gt_outline);
                gradient_outline(pred, &mut self.pred_outline);
            }
        }
        let (gt_total, pred_total) = (self.gt_outline.count(), self.pred_outline.count());
        match (gt_total, pred_total) {
            (0, 0) => return 1.0,
            (0, _) | (_, 0) => return 0.0,
            _ => {}
        }
        let element = element_for(&mut self.element, gt.height(), gt.width(), protocol);
        let pred_near = self
            .reach
            .count(&self.pred_outline, &self.gt_outline, element);
        let gt_near = self
            .reach
            .count(&self.gt_outline, &self.pred_outline, element);
        let precision = pred_near as f64 / pred_total as f64;
        let recall = gt_near as f64 / gt_total as f64;
        if precision + recall == 0.0 {
            0.0
        } else {
            2.0 * precision * recall / (precision + recall)
        }
    }
}

/// The structuring element of an image size, computed once per size.
fn element_for(
    kept: &mut Option<(usize, usize, Protocol, Element)>,
    height: usize,
    width: usize,
    protocol: Protocol,
) -> &Element {
    if !matches!(kept, Some((h, w, p, _)) if (*h, *w, *p) == (height, width, protocol)) {
        *kept = None;
    }
    let radius = || tolerance_radius(height, width, protocol);
    let (_, _, _, element) = kept.get_or_insert_with(|| {
        let element = match protocol {
            Protocol::Official => Element::disk(radius()),
            Protocol::Upstream => Element::square(radius()),
        };
        (height, width, protocol, element)
    });
    element
}

/// The outline of `seg2bmap`: a pixel that differs from its east, south or south-east neighbour.
/// The last row compares only east, the last column only south, and the corner is never set.
pub(super) fn martin_outline(seg: &BitImage, out: &mut BitImage) {
    let (height, width, stride) = (seg.height(), seg.width(), seg.stride());
    let rows = seg.rows().start.saturating_sub(1)..seg.rows().end;
    let words = seg.columns().start.saturating_sub(1)..seg.columns().end;
    let edge_bit = match width {
        0 => 0,
        _ => 1u64 << ((width - 1) % WORD),
    };
    out.fill_rows(height, width, rows, |y, line| {
        let here = seg.row(y);
        let below = (y + 1 < height).then(|| seg.row(y + 1));
        for i in words.clone() {
            let east = shifted_east(here, i);
            let mut word = here[i] ^ east;
            let mut last_column = 0;
            if let Some(below) = below {
                let south = here[i] ^ below[i];
                word |= south | (here[i] ^ shifted_east(below, i));
                last_column = south & edge_bit;
            }
            if i + 1 == stride {
                word = (word & !edge_bit) | last_column;
            }
            line[i] = word;
        }
    });
}

/// The outline of the 3x3 morphological gradient: pixels whose neighbourhood, the image's outside
/// left out, holds both object and background.
pub(super) fn gradient_outline(seg: &BitImage, out: &mut BitImage) {
    let (height, width, stride) = (seg.height(), seg.width(), seg.stride());
    let rows = seg.rows().start.saturating_sub(1)..seg.rows().end.saturating_add(1);
    let words =
        seg.columns().start.saturating_sub(1)..seg.columns().end.saturating_add(1).min(stride);
    let rows = if seg.is_empty() { 0..0 } else { rows };
    let inside = |i: usize| match width % WORD {
        rest if rest != 0 && i + 1 == stride => (1u64 << rest) - 1,
        _ => u64::MAX,
    };
    // A word of a row and its two neighbours; pixels outside the image read as `outside`.
    let neighbours = |row: &[u64], i: usize, outside: u64| {
        let word = |i: usize| row.get(i).map_or(outside, |w| w | (outside & !inside(i)));
        let here = word(i);
        let before = if i == 0 { outside } else { word(i - 1) };
        (
            here,
            (here << 1) | (before >> 63),
            (here >> 1) | (word(i + 1) << 63),
        )
    };
    out.fill_rows(height, width, rows, |y, line| {
        for i in words.clone() {
            let (mut any, mut all) = (0, u64::MAX);
            for row in [y.checked_sub(1), Some(y), Some(y + 1)]
                .into_iter()
                .flatten()
            {
                if row >= height {
                    continue;
                }
                let (a, b, c) = neighbours(seg.row(row), i, 0);
                any |= a | b | c;
                let (a, b, c) = neighbours(seg.row(row), i, u64::MAX);
                all &= a & b & c;
            }
            line[i] = any & !all & inside(i);
        }
    });
}

/// Word `i` of a row with every pixel replaced by its east neighbour.
fn shifted_east(row: &[u64], i: usize) -> u64 {
    (row[i] >> 1) | (row.get(i + 1).copied().unwrap_or(0) << 63)
}

#[cfg(test)]
#[path = "boundary_tests.rs"]
mod tests;
