//! Binary masks: the one type in which ground truth, predictions and prompts travel.
//!
//! A mask is dense (`height` x `width` booleans, row-major). It knows nothing of files
//! (`crate::image` reads and writes PNG) and nothing of scores (`crate::metrics`).

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
