//! A picture to draw on: RGB pixels, blended.

use super::palette::{Colour, DARK};
use crate::mask::Mask;

/// An RGB picture, rows one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// A picture of one colour.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        Self {
            width,
            height,
            rgb: colour.repeat(width * height),
        }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, `height * width * 3` bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, to be written.
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// The pixel at column x and row y; `None` outside.
    pub fn pixel(&self, x: usize, y: usize) -> Option<Colour> {
        let at = (x < self.width && y < self.height).then_some((y * self.width + x) * 3)?;
        Some([self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]])
    }

    /// Mixes a colour into the pixel at a row-major position, `alpha` from 0 (nothing) to 1 (all of
    /// it). Outside nothing happens.
    pub fn blend(&mut self, position: usize, colour: Colour, alpha: f32) {
        let Some(pixel) = self.rgb.get_mut(position * 3..position * 3 + 3) else {
            return;
        };
        for (value, to) in pixel.iter_mut().zip(colour) {
            let from = f32::from(*value);
            *value = (from + (f32::from(to) - from) * alpha).round() as u8;
        }
    }

    /// Mixes a colour into all pixels of a mask of the picture's size.
    pub fn fill_mask(&mut self, mask: &Mask, colour: Colour, alpha: f32) {
        for (position, _) in mask.as_slice().iter().enumerate().filter(|(_, set)| **set) {
            self.blend(position, colour, alpha);
        }
    }

    /// Mixes a colour into a rectangle, as much of it as lies in the picture.
    pub fn fill_rect(&mut self, at: [usize; 2], size: [usize; 2], colour: Colour, alpha: f32) {
        let [left, top] = at;
        let right = (left + size[0]).min(self.width);
        for y in top..(top + size[1]).min(self.height) {
            for x in left..right {
                self.blend(y * self.width + x, colour, alpha);
            }
        }
    }

    /// Copies another picture to where its upper left corner shall lie.
    pub fn paste(&mut self, other: &Self, [left, top]: [usize; 2]) {
        let columns = other.width.min(self.width.saturating_sub(left)) * 3;
        let rows = other.height.min(self.height.saturating_sub(top));
        for y in 0..rows {
            let from = &other.rgb[y * other.width * 3..][..columns];
            let to = ((top + y) * self.width + left) * 3;
            self.rgb[to..to + columns].copy_from_slice(from);
        }
    }

    /// Draws a shape with a dark edge, both smooth. `distance` is how far a point (x, y in pixels,
    /// the centre of the first pixel being 0) lies outside the shape, negative inside;
    /// `bounds` are the shape's left, top, right and lowest coordinate.
    pub fn shape(
        &mut self,
        bounds: [f32; 4],
        edge: f32,
        colour: Colour,
        alpha: f32,
        distance: impl Fn(f32, f32) -> f32,
    ) {
        let reach = edge + 1.0;
        let [left, top, right, bottom] = bounds;
        let first = |low: f32| (low - reach).floor().max(0.0) as usize;
        let end = |high: f32, size: usize| ((high + reach).ceil().max(-1.0) + 1.0).min(size as f32);
        for y in first(top)..end(bottom, self.height) as usize {
            for x in first(left)..end(right, self.width) as usize {
                let outside = distance(x as f32, y as f32);
                if outside >= reach {
                    continue;
                }
                let position = y * self.width + x;
                let dark = (edge + 0.5 - outside).clamp(0.0, 1.0);
                self.blend(position, DARK, dark * alpha);
                let light = (0.5 - outside).clamp(0.0, 1.0);
                self.blend(position, colour, light * alpha);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_mixes_and_stays_inside() {
        let mut canvas = Canvas::new(3, 2, [100, 100, 100]);
        let mask = Mask::from_fn(2, 3, |y, x| (y, x) == (1, 2));
        canvas.fill_mask(&mask, [200, 0, 100], 0.5);
        assert_eq!(canvas.pixel(2, 1), Some([150, 50, 100]));
        assert_eq!(canvas.pixel(1, 1), Some([100; 3]));
        assert_eq!(canvas.pixel(3, 1), None);
        canvas.blend(6, [0; 3], 1.0);
        canvas.fill_rect([2, 1], [9, 9], [0; 3], 1.0);
        assert_eq!(canvas.pixel(2, 1), Some([0; 3]));
        assert_eq!(canvas.pixel(2, 0), Some([100; 3]));
    }

    #[test]
    fn a_picture_is_pasted_as_far_as_it_fits() {
        let mut canvas = Canvas::new(4, 4, [0; 3]);
        canvas.paste(&Canvas::new(3, 3, [9; 3]), [2, 3]);
        let set = canvas.rgb().chunks(3).filter(|p| p[0] == 9).count();
        assert_eq!(set, 2);
        canvas.paste(&Canvas::new(3, 3, [9; 3]), [7, 7]);
        assert_eq!(canvas.pixel(3, 3), Some([9; 3]));
    }

    #[test]
    fn a_shape_at_the_border_is_cut_not_shifted() {
        let mut canvas = Canvas::new(20, 20, [128; 3]);
        canvas.shape([-3.0, -3.0, 3.0, 3.0], 2.0, [255; 3], 1.0, |x, y| {
            x.hypot(y) - 3.0
        });
        assert_eq!(canvas.pixel(0, 0), Some([255; 3]));
        assert_eq!(canvas.pixel(4, 0), Some([0; 3]));
        assert_eq!(canvas.pixel(7, 0), Some([128; 3]));
    }
}
