//! Nearest-pixel resizing of a mask, as the upstream protocol does it to a prediction of the wrong
//! size.
//!
//! The source pixel of `x` is `floor(x * (1 / (target / source)))` in f64, at most the last one:
//! the rule of OpenCV's `INTER_NEAREST`. It is for scoring only; model inputs are resized
//! elsewhere.

/// Samples of a `from` (height, width) image at the pixels of a `to` (height, width) image.
/// An empty source gives default samples.
pub(super) fn nearest<T: Copy + Default>(
    samples: &[T],
    from: (usize, usize),
    to: (usize, usize),
) -> Vec<T> {
    let columns: Vec<usize> = (0..to.1).map(|x| source(x, from.1, to.1)).collect();
    let mut out = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.0 {
        let start = source(y, from.0, to.0) * from.1;
        let row = samples.get(start..start + from.1).unwrap_or(&[]);
        out.extend(
            columns
                .iter()
                .map(|&x| row.get(x).copied().unwrap_or_default()),
        );
    }
    out
}

fn source(position: usize, from: usize, to: usize) -> usize {
    let step = 1.0 / (to as f64 / from as f64);
    // Not negative, and far below 2^53: the conversion is the floor.
    ((position as f64 * step) as usize).min(from.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns as `cv2.resize(..., interpolation=cv2.INTER_NEAREST)` picks them.
    #[test]
    fn picks_the_pixels_opencv_picks() {
        let picked = |from, to| nearest(&(0..from).collect::<Vec<_>>(), (1, from), (1, to));
        assert_eq!(picked(3, 7), [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(picked(7, 3), [0, 2, 4]);
        assert_eq!(picked(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(picked(49, 10), [0, 4, 9, 14, 19, 24, 29, 34, 39, 44]);
        assert_eq!(picked(0, 2), [0, 0]);
    }
}
