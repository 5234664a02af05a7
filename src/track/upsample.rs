//! From low-resolution mask logits to a mask of the video's size.
//!
//! Bilinear with `align_corners = false` as `torch.nn.functional.interpolate` computes it, then
//! `> 0` as the official SA-V protocol does (sam2 `tools/vos_inference.py`). Hole filling is off
//! there and stands in [`super::holes`].

use crate::mask::Mask;

/// Position and weight of the two source samples of one output sample.
#[derive(Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

/// Upsamples square logits to a fixed size; keeps its tables and rows between calls.
pub struct Upsampler {
    side: usize,
    height: usize,
    width: usize,
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Every source row stretched to the full width: `side * width`.
    stretched: Vec<f32>,
}

/// Taps of a bilinear resize from `from` to `to` samples, half-pixel centres, clamped at 0.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| {
            let position = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
            let low = (position as usize).min(from.saturating_sub(1));
            Tap {
                low,
                high: (low + 1).min(from.saturating_sub(1)),
                weight: position - low as f32,
            }
        })
        .collect()
}

impl Upsampler {
    /// For logits of `side` x `side` and masks of `height` x `width` pixels.
    pub fn new(side: usize, height: usize, width: usize) -> Self {
        Self {
            side,
            height,
            width,
            columns: taps(side, width),
            rows: taps(side, height),
            stretched: vec![0.0; side * width],
        }
    }

    /// The mask of `logits` (row-major, `side * side` long; anything else gives an empty mask),
    /// written over `mask`, which is replaced when it has another size.
    pub fn mask_into(&mut self, logits: &[f32], mask: &mut Mask) {
        if (mask.height(), mask.width()) != (self.height, self.width) {
            *mask = Mask::empty(self.height, self.width);
        }
        if logits.len() != self.side * self.side || self.side == 0 || self.width == 0 {
            mask.as_mut_slice().fill(false);
            return;
        }
        for (source, target) in logits
            .chunks_exact(self.side)
            .zip(self.stretched.chunks_exact_mut(self.width))
        {
            for (value, tap) in target.iter_mut().zip(&self.columns) {
                *value = source[tap.low] * (1.0 - tap.weight) + source[tap.high] * tap.weight;
            }
        }
        let width = self.width;
        for (pixels, tap) in mask.as_mut_slice().chunks_exact_mut(width).zip(&self.rows) {
            let low = &self.stretched[tap.low * width..][..width];
            let high = &self.stretched[tap.high * width..][..width];
            let (keep, take) = (1.0 - tap.weight, tap.weight);
            for ((pixel, &low), &high) in pixels.iter_mut().zip(low).zip(high) {
                *pixel = low * keep + high * take > 0.0;
            }
        }
    }

    /// As [`Self::mask_into`], into a new mask.
    pub fn mask(&mut self, logits: &[f32]) -> Mask {
        let mut mask = Mask::empty(self.height, self.width);
        self.mask_into(logits, &mut mask);
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_size_only_thresholds() {
        let logits = [-1.0, 0.0, 0.5, 2.0];
        let mask = Upsampler::new(2, 2, 2).mask(&logits);
        assert_eq!(mask.as_slice(), [false, false, true, true]);
    }

    #[test]
    fn zero_crossings_fall_where_torch_puts_them() {
        // torch.nn.functional.interpolate([[-1, 3], [-1, 3]], size=(2, 8), mode="bilinear") gives
        // -1, -1, -0.5, 0.5, 1.5, 2.5, 3, 3 in each row.
        let mask = Upsampler::new(2, 2, 8).mask(&[-1.0, 3.0, -1.0, 3.0]);
        assert_eq!(
            mask.row(0),
            [false, false, false, true, true, true, true, true]
        );
        assert_eq!(mask.row(1), mask.row(0));
    }

    #[test]
    fn portrait_and_landscape_keep_rows_and_columns_apart() {
        let mut logits = vec![-1.0; 16];
        logits[..8].fill(1.0); // upper half
        let mask = Upsampler::new(4, 40, 12).mask(&logits);
        assert!(mask.get(0, 11) && mask.get(10, 0) && !mask.get(30, 0) && !mask.get(39, 11));
        assert_eq!(mask.area(), 12 * 20);
    }

    #[test]
    fn logits_of_another_size_give_an_empty_mask() {
        assert!(Upsampler::new(4, 8, 8).mask(&[1.0; 15]).is_empty());
    }
}
