//! The point of an object farthest from its edge.
//!
//! Exact squared Euclidean distances in integers, two passes (Meijster, Roerdink and Hesselink,
//! "A general algorithm for computing distance transforms in linear time", 2000).

use super::components::Components;
use crate::mask::Mask;

/// Column and row of the pixel of the largest component that is farthest from any pixel outside
/// the component, the image border counting as outside; of equals the first in scan order.
/// `None` for an empty mask.
pub fn interior_point(mask: &Mask) -> Option<(usize, usize)> {
    farthest(mask).map(|(x, y, _)| (x, y))
}

/// As [`interior_point`], with the squared distance in pixels.
pub(super) fn farthest(mask: &Mask) -> Option<(usize, usize, i64)> {
    let components = Components::of(mask);
    let (index, component) = components.largest()?;
    let (left, right) = component.x_range;
    let (top, bottom) = component.y_range;
    // One ring of outside around the component: whatever lies farther away is never nearer.
    let (width, height) = (right - left + 3, bottom - top + 3);
    let inside = |y: usize, x: usize| {
        (1..height - 1).contains(&y)
            && (1..width - 1).contains(&x)
            && components.contains(index, top + y - 1, left + x - 1)
    };

    // Distance to the nearest outside pixel of the same column.
    let mut vertical = vec![0i64; width * height];
    for y in 1..height {
        for x in 0..width {
            if inside(y, x) {
                vertical[y * width + x] = vertical[(y - 1) * width + x] + 1;
            }
        }
    }
    for y in (0..height - 1).rev() {
        for x in 0..width {
            let below = vertical[(y + 1) * width + x] + 1;
            let here = &mut vertical[y * width + x];
            *here = (*here).min(below);
        }
    }

    let mut best: Option<(usize, usize, i64)> = None;
    let mut envelope = Envelope::default();
    for (y, row) in vertical.chunks_exact(width).enumerate() {
        envelope.build(row);
        let mut from = 0;
        for x in 0..width {
            let distance = envelope.lowest(row, x as i64, &mut from);
            if distance > best.map_or(0, |(_, _, most)| most) {
                best = Some((x, y, distance));
            }
        }
    }
    best.map(|(x, y, distance)| (left + x - 1, top + y - 1, distance))
}

/// Lower envelope of the parabolas (x - u)^2 + row[u]^2 over a row.
#[derive(Default)]
struct Envelope {
    /// Apexes u, each lowest from its start on.
    apexes: Vec<usize>,
    starts: Vec<i64>,
}

impl Envelope {
    fn build(&mut self, row: &[i64]) {
        self.apexes.clear();
        self.starts.clear();
        let value = |x: i64, u: usize| (x - u as i64).pow(2) + row[u].pow(2);
        for u in 0..row.len() {
            let mut start = 0;
            while let (Some(&last), Some(&from)) = (self.apexes.last(), self.starts.last()) {
                if value(from, last) > value(from, u) {
                    self.apexes.pop();
                    self.starts.pop();
                    continue;
                }
                // First whole x at which u lies below the last apex.
                let (i, j) = (last as i64, u as i64);
                start =
                    (j * j - i * i + row[u].pow(2) - row[last].pow(2)).div_euclid(2 * (j - i)) + 1;
                break;
            }
            if self.apexes.is_empty() || start < row.len() as i64 {
                self.apexes.push(u);
                self.starts.push(start);
            }
        }
    }

    /// The envelope at x; `from` remembers where the last, smaller x stood.
    fn lowest(&self, row: &[i64], x: i64, from: &mut usize) -> i64 {
        while self.starts.get(*from + 1).is_some_and(|&start| start <= x) {
            *from += 1;
        }
        self.apexes
            .get(*from)
            .map_or(0, |&u| (x - u as i64).pow(2) + row[u].pow(2))
    }
}
