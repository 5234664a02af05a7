//! Filling small holes in masks, on low-resolution logits before they are upsampled.
//!
//! Off by default, as in the official SA-V protocol; the reference predictors of SAM 2 and EdgeTAM
//! turn it on with an area of 8 (`fill_holes_in_mask_scores` in sam2 `utils/misc.py`: background
//! components of the low-resolution mask, 8-connected, of at most that many pixels, become 0.1).
//! Memories are encoded before, so filling never feeds back into tracking.

/// Logit that a filled pixel gets: just inside the object.
const FILLED: f32 = 0.1;

/// Fills holes of square logits; keeps its scratch memory between calls.
#[derive(Debug)]
pub struct HoleFiller {
    side: usize,
    max_area: usize,
    filled: Vec<f32>,
    seen: Vec<bool>,
    component: Vec<usize>,
}

impl HoleFiller {
    /// For logits of `side` x `side`; background components of up to `max_area` pixels are filled.
    pub fn new(side: usize, max_area: usize) -> Self {
        Self {
            side,
            max_area,
            filled: Vec::with_capacity(side * side),
            seen: vec![false; side * side],
            component: Vec::new(),
        }
    }

    /// The logits with small holes filled; as they are when the area is 0.
    pub fn fill<'a>(&'a mut self, logits: &'a [f32]) -> &'a [f32] {
        if self.max_area == 0 || logits.len() != self.side * self.side {
            return logits;
        }
        self.filled.clear();
        self.filled.extend_from_slice(logits);
        self.seen.fill(false);
        for start in 0..logits.len() {
            if logits[start] > 0.0 || self.seen[start] {
                continue;
            }
            self.collect(logits, start);
            if self.component.len() <= self.max_area {
                for &pixel in &self.component {
                    self.filled[pixel] = FILLED;
                }
            }
        }
        &self.filled
    }

    /// Collects the 8-connected background component of `start`.
    fn collect(&mut self, logits: &[f32], start: usize) {
        let side = self.side;
        self.component.clear();
        self.component.push(start);
        self.seen[start] = true;
        let mut next = 0;
        while let Some(&pixel) = self.component.get(next) {
            next += 1;
            let (y, x) = (pixel / side, pixel % side);
            for ny in y.saturating_sub(1)..=(y + 1).min(side - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(side - 1) {
                    let neighbour = ny * side + nx;
                    if logits[neighbour] <= 0.0 && !self.seen[neighbour] {
                        self.seen[neighbour] = true;
                        self.component.push(neighbour);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `#` is object, anything else background.
    fn logits(rows: &[&str]) -> Vec<f32> {
        rows.iter()
            .flat_map(|row| row.chars().map(|c| if c == '#' { 2.0 } else { -3.0 }))
            .collect()
    }

    fn filled(rows: &[&str], max_area: usize) -> Vec<usize> {
        let values = logits(rows);
        let mut filler = HoleFiller::new(rows.len(), max_area);
        filler
            .fill(&values)
            .iter()
            .enumerate()
            .filter(|(_, v)| **v == FILLED)
            .map(|(i, _)| i)
            .collect()
    }

    #[test]
    fn only_components_up_to_the_area_are_filled() {
        let rows = ["######", "#.####", "######", "##..##", "##.###", "######"];
        assert_eq!(filled(&rows, 1), [7]);
        assert_eq!(filled(&rows, 2), [7]);
        assert_eq!(filled(&rows, 3), [7, 20, 21, 26]);
        assert!(filled(&rows, 0).is_empty());
    }

    #[test]
    fn components_are_joined_across_corners_and_touching_the_border_is_no_excuse() {
        // Two pixels that touch at a corner are one component of two.
        assert!(filled(&["####", "#.##", "##.#", "####"], 1).is_empty());
        assert_eq!(filled(&["####", "#.##", "##.#", "####"], 2), [5, 10]);
        // The reference does not look at the border: a small component there is filled as well.
        assert_eq!(filled(&[".###", "####", "####", "####"], 1), [0]);
    }
}
