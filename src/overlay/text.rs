//! Text in bitmap fonts, at whole multiples of their size.

use super::canvas::Canvas;
use super::palette::Colour;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::iso_8859_1::{
    FONT_4X6, FONT_5X8, FONT_6X10, FONT_7X13_BOLD, FONT_9X15_BOLD, FONT_9X18_BOLD, FONT_10X20,
};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::Baseline;
use embedded_graphics::text::renderer::TextRenderer;
use std::convert::Infallible;

const FONTS: [&MonoFont<'_>; 7] = [
    &FONT_4X6,
    &FONT_5X8,
    &FONT_6X10,
    &FONT_7X13_BOLD,
    &FONT_9X15_BOLD,
    &FONT_9X18_BOLD,
    &FONT_10X20,
];
/// Smaller fonts look coarse when they are enlarged.
const ENLARGED_FROM: u32 = 13;

/// A font at a size.
#[derive(Clone, Copy)]
pub struct Lettering {
    font: &'static MonoFont<'static>,
    scale: usize,
}

impl std::fmt::Debug for Lettering {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Lettering({}x{})", self.advance(), self.height())
    }
}

impl Lettering {
    /// The largest that is at most `height` pixels high; the smallest there is (6) below that.
    pub fn of_height(height: usize) -> Self {
        let mut best = Self {
            font: FONTS[0],
            scale: 1,
        };
        for scale in 1..=16 {
            for font in FONTS {
                let size = font.character_size.height;
                let candidate = Self { font, scale };
                let fits = candidate.height() <= height && (scale == 1 || size >= ENLARGED_FROM);
                if fits && candidate.height() > best.height() {
                    best = candidate;
                }
            }
        }
        best
    }

    /// Rows of a line, in pixels.
    pub fn height(&self) -> usize {
        self.font.character_size.height as usize * self.scale
    }

    /// Columns of a character, in pixels.
    pub fn advance(&self) -> usize {
        self.font.character_size.width as usize * self.scale
    }

    /// Columns of a text, in pixels.
    pub fn width(&self, text: &str) -> usize {
        self.advance() * text.chars().count()
    }

    /// Draws a line of text with its upper left corner at (x, y). Characters that the font does not
    /// have become question marks; what lies outside the picture is left out.
    pub fn draw(&self, canvas: &mut Canvas, at: [usize; 2], text: &str, colour: Colour) {
        let mut target = Enlarged {
            canvas,
            at,
            scale: self.scale,
            colour,
        };
        let style = MonoTextStyle::new(self.font, BinaryColor::On);
        let Ok(_) = style.draw_string(text, Point::zero(), Baseline::Top, &mut target);
    }
}

/// A canvas whose pixels are squares of several.
struct Enlarged<'c> {
    canvas: &'c mut Canvas,
    at: [usize; 2],
    scale: usize,
    colour: Colour,
}

impl OriginDimensions for Enlarged<'_> {
    fn size(&self) -> Size {
        let side = |n: usize| u32::try_from(n.div_ceil(self.scale)).unwrap_or(u32::MAX);
        Size::new(side(self.canvas.width()), side(self.canvas.height()))
    }
}

impl DrawTarget for Enlarged<'_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(point, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) else {
                continue;
            };
            if colour.is_on() {
                let [left, top] = self.at;
                let at = [left + x * self.scale, top + y * self.scale];
                self.canvas.fill_rect(at, [self.scale; 2], self.colour, 1.0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_what_is_asked_for() {
        let height = |asked| Lettering::of_height(asked).height();
        assert_eq!(
            [height(0), height(6), height(13), height(33)],
            [6, 6, 13, 30]
        );
        assert!(height(200) > 150);
        assert_eq!(Lettering::of_height(13).width("four"), 28);
    }

    #[test]
    fn text_lands_where_it_was_put_and_never_outside() {
        let lettering = Lettering::of_height(30);
        let mut canvas = Canvas::new(100, 60, [0; 3]);
        lettering.draw(
            &mut canvas,
            [20, 10],
            "H é ☃ and far beyond the border",
            [255; 3],
        );
        let lit: Vec<(usize, usize)> = (0..60)
            .flat_map(|y| (0..100).map(move |x| (x, y)))
            .filter(|&(x, y)| canvas.pixel(x, y) == Some([255; 3]))
            .collect();
        assert!(lit.len() > 200);
        assert!(lit.iter().all(|&(x, y)| x >= 20 && (10..40).contains(&y)));
    }
}
