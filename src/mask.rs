//! Binary masks: the one type in which ground truth, predictions and prompts travel.
//!
//! A mask is dense (`height` x `width` booleans, row-major). It knows nothing of files
//! (`crate::media::image` reads and writes PNG) and nothing of scores (`crate::metrics`).

use ndarray::Array2;

/// A binary mask of `height` x `width` pixels, row-major; `true` is the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pixels: Array2<bool>,
}

/// The tight box of a mask in pixels, all four edges inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundingBox {
    /// Leftmost column of the object.
    pub x_min: usize,
    /// Topmost row of the object.
    pub y_min: usize,
    /// Rightmost column of the object.
    pub x_max: usize,
    /// Lowest row of the object.
    pub y_max: usize,
}

impl Mask {
    /// An empty mask (no object) of the given size.
    pub fn empty(height: usize, width: usize) -> Self {
        Self {
            pixels: Array2::from_elem((height, width), false),
        }
    }

    /// Wraps an array of shape (height, width). The array is brought into row-major order.
    pub fn from_array(pixels: Array2<bool>) -> Self {
        let pixels = if pixels.is_standard_layout() {
            pixels
        } else {
            pixels.as_standard_layout().into_owned()
        };
        Self { pixels }
    }

    /// Builds a mask from a rule on (row, column).
    pub fn from_fn(
        height: usize,
        width: usize,
        mut rule: impl FnMut(usize, usize) -> bool,
    ) -> Self {
        Self {
            pixels: Array2::from_shape_fn((height, width), |(y, x)| rule(y, x)),
        }
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.pixels.nrows()
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.pixels.ncols()
    }

    /// The pixel at (row, column); `false` outside the mask.
    pub fn get(&self, y: usize, x: usize) -> bool {
        self.pixels.get((y, x)).copied().unwrap_or(false)
    }

    /// Sets the pixel at (row, column); outside the mask nothing happens.
    pub fn set(&mut self, y: usize, x: usize, value: bool) {
        if let Some(pixel) = self.pixels.get_mut((y, x)) {
            *pixel = value;
        }
    }

    /// All pixels, row-major, `height * width` long.
    pub fn as_slice(&self) -> &[bool] {
        // The constructors keep the array in standard layout, for which ndarray gives a slice.
        self.pixels.as_slice().unwrap_or(&[])
    }

    /// All pixels, row-major, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [bool] {
        self.pixels.as_slice_mut().unwrap_or(&mut [])
    }

    /// Takes the pixels from bits: rows of `width.div_ceil(32)` words, lowest bit first, as a device
    /// packs them. Pixels whose words are missing stay as they are.
    pub fn set_from_bits(&mut self, words: &[u32]) {
        let width = self.width();
        if width == 0 {
            return;
        }
        let rows = self.as_mut_slice().chunks_exact_mut(width);
        for (row, words) in rows.zip(words.chunks_exact(width.div_ceil(32))) {
            for (pixels, word) in row.chunks_mut(32).zip(words) {
                for (bit, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = word >> bit & 1 != 0;
                }
            }
        }
    }

    /// One row of pixels; empty when there is no such row.
    pub fn row(&self, y: usize) -> &[bool] {
        let width = self.width();
        self.as_slice()
            .get(y * width..(y + 1) * width)
            .unwrap_or(&[])
    }

    /// The array behind the mask, shape (height, width).
    pub fn as_array(&self) -> &Array2<bool> {
        &self.pixels
    }

    /// Number of object pixels.
    pub fn area(&self) -> usize {
        self.as_slice().iter().filter(|&&p| p).count()
    }

    /// Whether the mask holds no object pixel.
    pub fn is_empty(&self) -> bool {
        !self.as_slice().contains(&true)
    }

    /// Tight box around the object pixels, `None` for an empty mask.
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        let mut found: Option<BoundingBox> = None;
        for y in 0..self.height() {
            let row = self.row(y);
            let Some(first) = row.iter().position(|&p| p) else {
                continue;
            };
            let last = row.iter().rposition(|&p| p).unwrap_or(first);
            let bounds = found.get_or_insert(BoundingBox {
                x_min: first,
                y_min: y,
                x_max: last,
                y_max: y,
            });
            bounds.x_min = bounds.x_min.min(first);
            bounds.x_max = bounds.x_max.max(last);
            bounds.y_max = y;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_rows_of_words_lowest_first() {
        let mut mask = Mask::empty(2, 35);
        mask.set(1, 3, true);
        mask.set_from_bits(&[1 << 31, 0b100, 1, 0]);
        let set: Vec<_> = (0..2)
            .flat_map(|y| (0..35).map(move |x| (y, x)))
            .filter(|&(y, x)| mask.get(y, x))
            .collect();
        assert_eq!(set, [(0, 31), (0, 34), (1, 0)]);
    }

    #[test]
    fn bounding_box_is_inclusive_and_tight() {
        let mask = Mask::from_fn(10, 12, |y, x| {
            (3..=5).contains(&y) && (2..=9).contains(&x) && x >= y
        });
        assert_eq!(
            mask.bounding_box(),
            Some(BoundingBox {
                x_min: 3,
                y_min: 3,
                x_max: 9,
                y_max: 5
            })
        );
        assert_eq!(Mask::empty(4, 4).bounding_box(), None);
    }

    #[test]
    fn a_transposed_array_keeps_its_pixels() {
        let mut array = Array2::from_elem((2, 3), false);
        array[(0, 2)] = true;
        let mask = Mask::from_array(array.reversed_axes());
        assert_eq!((mask.height(), mask.width()), (3, 2));
        assert!(mask.get(2, 0));
        assert_eq!(mask.area(), 1);
    }
}
