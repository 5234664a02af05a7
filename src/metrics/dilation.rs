//! Counting pixels that lie within reach of another set of pixels.
//!
//! A boundary pixel matches when a pixel of the other boundary lies within the structuring element
//! around it. The elements used here (a disk, a square) are symmetric stacks of horizontal spans,
//! so the other boundary is dilated row by row on packed words: a line is grown one pixel at a
//! time and, at every width the element asks for, merged into the rows at that distance. Only runs
//! of words that hold something are touched, and only rows in which matches are sought. The result
//! is the exact dilation, equal to the test `d^2 <= r^2` on a Euclidean distance transform.

use super::bits::{BitImage, WORD, intersect, ones};
use std::ops::Range;

/// A structuring element: for every vertical distance, how far it reaches to either side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Index: vertical distance, 0 to the radius. Never increasing.
    half_widths: Vec<usize>,
}

impl Element {
    /// All offsets with `dx^2 + dy^2 <= radius^2` (`skimage.morphology.disk`).
    pub fn disk(radius: usize) -> Self {
        let square = radius * radius;
        Self {
            half_widths: (0..=radius).map(|dy| (square - dy * dy).isqrt()).collect(),
        }
    }

    /// All offsets with `|dx| <= radius` and `|dy| <= radius`.
    pub fn square(radius: usize) -> Self {
        Self {
            half_widths: vec![radius; radius + 1],
        }
    }

    /// How far the element reaches in any direction, in pixels.
    pub fn radius(&self) -> usize {
        self.half_widths.first().copied().unwrap_or(0)
    }
}

/// Memory of the dilation, kept between frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    dilated: Vec<u64>,
    line: Vec<u64>,
}

impl Reach {
    /// Number of pixels of `points` that lie within `element` of a pixel of `field`. Both images
    /// are of one size.
    pub fn count(&mut self, points: &BitImage, field: &BitImage, element: &Element) -> u64 {
        let radius = element.radius();
        let margin = radius.div_ceil(WORD);
        let rows = intersect(&points.rows(), &widened(&field.rows(), radius, usize::MAX));
        let columns = intersect(
            &points.columns(),
            &widened(&field.columns(), margin, points.stride()),
        );
        if rows.is_empty() || columns.is_empty() {
            return 0;
        }
        let stride = points.stride();
        self.dilated.clear();
        self.dilated.resize(rows.len() * stride, 0);
        for y in intersect(&field.rows(), &widened(&rows, radius, usize::MAX)) {
            self.spread_row(field, y, &rows, element, margin);
        }
        rows.clone()
            .map(|y| {
                let start = (y - rows.start) * stride;
                let reached = self.dilated.get(start..start + stride).unwrap_or(&[]);
                match (
                    points.row(y).get(columns.clone()),
                    reached.get(columns.clone()),
                ) {
                    (Some(p), Some(r)) => p.iter().zip(r).map(|(p, r)| ones(&[p & r])).sum(),
                    _ => 0,
                }
            })
            .sum()
    }

    /// Merges the dilation of one row of `field` into the sought rows.
    fn spread_row(
        &mut self,
        field: &BitImage,
        y: usize,
        rows: &Range<usize>,
        element: &Element,
        margin: usize,
    ) {
        let stride = field.stride();
        let source = field.row(y);
        let mut from = field.columns().start;
        while let Some(run) = next_run(source, from, field.columns().end, margin) {
            from = run.end;
            let window = widened(&run, margin, stride);
            self.line.clear();
            self.line.extend_from_slice(&source[window.clone()]);
            // The window may reach into a neighbouring run; that only spreads true pixels, early.
            let mut grown = 0;
            for (distance, &half_width) in element.half_widths.iter().enumerate().rev() {
                while grown < half_width {
                    grow(&mut self.line);
                    grown += 1;
                }
                let above = y.checked_sub(distance);
                let below = (distance > 0).then_some(y + distance);
                for target in [above, below].into_iter().flatten() {
                    if !rows.contains(&target) {
                        continue;
                    }
                    let start = (target - rows.start) * stride;
                    let Some(out) = self
                        .dilated
                        .get_mut(start + window.start..start + window.end)
                    else {
                        continue;
                    };
                    for (out, line) in out.iter_mut().zip(&self.line) {
                        *out |= line;
                    }
                }
            }
        }
    }
}

/// The next run of words that hold a set pixel, at or after `from`; runs closer to each other than
/// twice the margin are one, because their windows would overlap.
fn next_run(words: &[u64], from: usize, end: usize, margin: usize) -> Option<Range<usize>> {
    let start = from + words.get(from..end)?.iter().position(|&w| w != 0)?;
    let mut last = start;
    for (i, &word) in words.iter().enumerate().take(end).skip(start + 1) {
        if word != 0 {
            last = i;
        } else if i - last > 2 * margin {
            break;
        }
    }
    Some(start..last + 1)
}

/// Grows every set pixel of a line by one to either side. What leaves the line is lost.
fn grow(line: &mut [u64]) {
    let mut before = 0;
    for i in 0..line.len() {
        let here = line[i];
        let after = line.get(i + 1).copied().unwrap_or(0);
        line[i] = here | (here << 1) | (here >> 1) | (before >> 63) | (after << 63);
        before = here;
    }
}

/// The range with `by` more on either side, within `0..limit`.
fn widened(range: &Range<usize>, by: usize, limit: usize) -> Range<usize> {
    if range.is_empty() {
        return 0..0;
    }
    range.start.saturating_sub(by)..range.end.saturating_add(by).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_have_the_published_number_of_pixels() {
        for (radius, pixels) in [
            (4, 49),
            (6, 113),
            (7, 149),
            (8, 197),
            (9, 253),
            (12, 441),
            (18, 1009),
        ] {
            let disk = Element::disk(radius);
            let row = |dy: usize| 2 * disk.half_widths[dy] + 1;
            let area = row(0) + 2 * (1..=radius).map(row).sum::<usize>();
            assert_eq!(area, pixels, "disk({radius})");
        }
    }

    #[test]
    fn runs_join_when_their_windows_would_overlap() {
        let words = [0, 1, 0, 0, 1, 0, 0, 0, 1, 0];
        assert_eq!(next_run(&words, 0, 10, 1), Some(1..5));
        assert_eq!(next_run(&words, 5, 10, 1), Some(8..9));
        assert_eq!(next_run(&words, 9, 10, 1), None);
        assert_eq!(next_run(&words, 0, 10, 0), Some(1..2));
    }
}
