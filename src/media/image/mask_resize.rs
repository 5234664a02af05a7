//! A mask prompt to the model's square, as the reference processor does it.
//!
//! transformers' `Sam2VideoProcessor` resizes a mask with
//! `interpolate(mask.float(), size=(S, S), mode="bilinear", align_corners=False, antialias=True)`
//! and keeps values of at least 0.5. Such a resize often lands on 0.5 exactly (every halving
//! does), where the last bit decides a pixel; so weights and sums here are formed in the order and
//! precision of PyTorch's CPU kernel (`aten/src/ATen/native/cpu/UpSampleKernel.cpp`): 32-bit
//! weights, width first, and in the second pass products in groups of four, the rest fused.

use crate::mask::Mask;

/// One output position: the first input it draws on, and the weights.
struct Taps {
    start: usize,
    weights: Vec<f32>,
}

/// The triangle filter, widened by the scale when shrinking, normalised per position.
fn triangle_taps(input: usize, output: usize) -> Vec<Taps> {
    let scale = input as f32 / output as f32;
    let (support, inverse) = if scale >= 1.0 {
        (scale, 1.0 / scale)
    } else {
        (1.0, 1.0)
    };
    let most = support.ceil() as usize * 2 + 1;
    (0..output)
        .map(|i| {
            let center = (f64::from(scale) * (i as f64 + 0.5)) as f32;
            // `as usize` clamps negative values to 0, as the kernel's max() does.
            let start = (f64::from(center - support) + 0.5) as usize;
            let end = ((f64::from(center + support) + 0.5) as usize).min(input);
            let count = end.saturating_sub(start).min(most);
            let mut total = 0f32;
            let mut weights: Vec<f32> = (0..count)
                .map(|j| {
                    let offset = f64::from((j + start) as f32 - center) + 0.5;
                    let x = ((offset * f64::from(inverse)) as f32).abs();
                    let weight = if x < 1.0 { 1.0 - x } else { 0.0 };
                    total += weight;
                    weight
                })
                .collect();
            if total != 0.0 {
                for weight in &mut weights {
                    *weight /= total;
                }
            }
            Taps { start, weights }
        })
        .collect()
}

/// The mask at `size` x `size` as the model takes it: 1.0 for the object, 0.0 elsewhere, row-major.
/// A mask that already has that size is passed through. A mask without pixels gives zeros.
pub fn resize_mask_to_square(mask: &Mask, size: usize) -> Vec<f32> {
    let (height, width) = (mask.height(), mask.width());
    if height == 0 || width == 0 || size == 0 {
        return vec![0.0; size * size];
    }
    if height == size && width == size {
        return mask.as_slice().iter().map(|&p| f32::from(p)).collect();
    }
    let columns = triangle_taps(width, size);
    let rows = triangle_taps(height, size);

    let mut narrowed = vec![0f32; height * size];
    for (y, to) in narrowed.chunks_exact_mut(size).enumerate() {
        let from = mask.row(y);
        for (value, taps) in to.iter_mut().zip(&columns) {
            // The inputs are 0 or 1, so that skipping zeros changes no sum.
            *value = from[taps.start..]
                .iter()
                .zip(&taps.weights)
                .filter(|(p, _)| **p)
                .map(|(_, w)| w)
                .sum();
        }
    }

    let mut out = vec![0f32; size * size];
    let mut sums = vec![0f32; size];
    for (to, taps) in out.chunks_exact_mut(size).zip(&rows) {
        let row = |j: usize| &narrowed[(taps.start + j) * size..][..size];
        let count = taps.weights.len();
        sums.fill(0.0);
        if let Some(&weight) = taps.weights.first() {
            for (sum, value) in sums.iter_mut().zip(row(0)) {
                *sum = value * weight;
            }
        }
        let grouped = 1 + count.saturating_sub(1) / 4 * 4;
        for (j, &weight) in taps.weights.iter().enumerate().skip(1) {
            if j < grouped {
                for (sum, value) in sums.iter_mut().zip(row(j)) {
                    *sum += value * weight;
                }
            } else {
                for (sum, &value) in sums.iter_mut().zip(row(j)) {
                    *sum = value.mul_add(weight, *sum);
                }
            }
        }
        for (value, &sum) in to.iter_mut().zip(&sums) {
            *value = f32::from(sum >= 0.5);
        }
    }
    out
}
