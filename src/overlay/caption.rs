//! Captions and legends: words with swatches, set in lines on a dark plate.

use super::canvas::Canvas;
use super::mark::{self, MarkSize};
use super::palette::{Colour, DARK, TEXT};
use super::text::Lettering;

/// How dark the plate under a caption is.
const PLATE_ALPHA: f32 = 0.6;

/// The little picture before a word of a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swatch {
    /// A filled square: a predicted object.
    Region(Colour),
    /// An open square: a contour.
    Line(Colour),
    /// A ring with a dot: a click.
    Click(Colour),
}

/// One piece of a caption; pieces are never broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Before the text.
    pub swatch: Option<Swatch>,
    /// The text.
    pub text: String,
    /// Its colour.
    pub colour: Colour,
}

impl Piece {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            swatch: None,
            text: text.into(),
            colour: TEXT,
        }
    }

    /// A swatch and what it stands for.
    pub fn legend(swatch: Swatch, text: impl Into<String>) -> Self {
        Self {
            swatch: Some(swatch),
            ..Self::text(text)
        }
    }

    fn width(&self, lettering: Lettering) -> usize {
        let swatch = match self.swatch {
            Some(_) => lettering.height() + lettering.advance() * 3 / 4,
            None => 0,
        };
        swatch + lettering.width(&self.text)
    }
}

/// Pieces with their places.
#[derive(Clone, Debug)]
pub struct Caption {
    lettering: Lettering,
    /// Upper left corner of each piece, relative to the plate's.
    places: Vec<[usize; 2]>,
    width: usize,
    height: usize,
}

impl Caption {
    /// Sets pieces in as many lines as a width of this many pixels needs.
    pub fn set(pieces: &[Piece], lettering: Lettering, width: usize) -> Self {
        let (pad, gap) = (Self::pad(lettering), lettering.advance() * 3 / 2);
        let line = lettering.height() + pad;
        let (mut x, mut y, mut widest) = (pad, pad, 0);
        let mut places = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let wide = piece.width(lettering);
            if x > pad && x + wide + pad > width {
                (x, y) = (pad, y + line);
            }
            places.push([x, y]);
            widest = widest.max(x + wide + pad);
            x += wide + gap;
        }
        Self {
            lettering,
            places,
            width: widest.min(width),
            height: if pieces.is_empty() { 0 } else { y + line },
        }
    }

    fn pad(lettering: Lettering) -> usize {
        (lettering.height() / 4).max(1)
    }

    /// Rows of the plate.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Draws the pieces that it was set for (texts of the same length may have changed) with the
    /// plate's upper left corner at `at`.
    pub fn draw(&self, canvas: &mut Canvas, at: [usize; 2], pieces: &[Piece]) {
        canvas.fill_rect(at, [self.width, self.height], DARK, PLATE_ALPHA);
        for (piece, place) in pieces.iter().zip(&self.places) {
            let [mut x, y] = [at[0] + place[0], at[1] + place[1]];
            if let Some(swatch) = piece.swatch {
                self.swatch(canvas, [x, y], swatch);
                x += self.lettering.height() + self.lettering.advance() * 3 / 4;
            }
            self.lettering
                .draw(canvas, [x, y], &piece.text, piece.colour);
        }
    }

    fn swatch(&self, canvas: &mut Canvas, [x, y]: [usize; 2], swatch: Swatch) {
        let side = self.lettering.height();
        let margin = side / 8;
        let (at, inner) = ([x + margin, y + margin], side - 2 * margin);
        let line = (side / 8).max(1);
        match swatch {
            Swatch::Region(colour) => {
                canvas.fill_rect(at, [inner; 2], colour, 0.55);
                open_square(canvas, at, inner, line, colour);
            }
            Swatch::Line(colour) => open_square(canvas, at, inner, line, colour),
            Swatch::Click(colour) => {
                let middle = (side as f32 - 1.0) / 2.0;
                let size = MarkSize {
                    radius: (middle - 1.0).max(1.5),
                    half_line: (side as f32 / 24.0).max(0.5),
                    edge: 0.0,
                };
                let at = (x as f32 + middle, y as f32 + middle);
                mark::click(canvas, at, size, colour, 1.0);
            }
        }
    }
}

fn open_square(canvas: &mut Canvas, [x, y]: [usize; 2], side: usize, line: usize, colour: Colour) {
    let far = side.saturating_sub(line);
    canvas.fill_rect([x, y], [side, line], colour, 1.0);
    canvas.fill_rect([x, y + far], [side, line], colour, 1.0);
    canvas.fill_rect([x, y], [line, side], colour, 1.0);
    canvas.fill_rect([x + far, y], [line, side], colour, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_wrap_and_keep_inside() {
        let lettering = Lettering::of_height(13);
        let pieces = [
            Piece::text("a video's name"),
            Piece::legend(Swatch::Region([9; 3]), "predicted"),
            Piece::text("frame 12"),
        ];
        let one = Caption::set(&pieces, lettering, 600);
        let three = Caption::set(&pieces, lettering, 110);
        assert_eq!((one.height(), three.height()), (19, 51));
        assert!(three.width <= 110);
        assert_eq!(Caption::set(&[], lettering, 99).height(), 0);
        let mut canvas = Canvas::new(110, 60, [200; 3]);
        three.draw(&mut canvas, [0, 0], &pieces);
        assert_eq!(canvas.pixel(50, 55), Some([200; 3]));
        assert_ne!(canvas.pixel(1, 1), Some([200; 3]));
    }
}
