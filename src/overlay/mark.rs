//! The mark of a prompt: a ring with a dot at a click, the box itself.

use super::canvas::Canvas;
use super::palette::{Colour, PROMPT};
use crate::dataset::prompts::Prompt;

/// How strong a mark is on frames after its own.
pub const FAINT: f32 = 0.4;

/// Sizes of marks, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarkSize {
    /// Radius of a click's ring.
    pub radius: f32,
    /// Half the width of its line, and of a box's.
    pub half_line: f32,
    /// Width of the dark edge around both.
    pub edge: f32,
}

impl MarkSize {
    /// What suits a picture whose shorter side has this many pixels.
    pub fn for_side(side: usize) -> Self {
        let side = side as f32;
        Self {
            radius: (side / 45.0).max(4.0),
            half_line: (side / 600.0).max(0.75),
            edge: (side / 720.0).max(1.0),
        }
    }
}

/// Draws the ring and dot of clicks, or the box; a mask prompt is a contour and drawn as one.
pub fn draw(canvas: &mut Canvas, prompt: &Prompt, size: MarkSize, alpha: f32) {
    match prompt {
        Prompt::Points { points, .. } => {
            for &at in points {
                click(canvas, at, size, PROMPT, alpha);
            }
        }
        &Prompt::Box {
            x_min,
            y_min,
            x_max,
            y_max,
        } => frame(canvas, [x_min, y_min, x_max, y_max], size, alpha),
        Prompt::Mask(_) => {}
    }
}

/// A ring with a dot in it.
pub fn click(canvas: &mut Canvas, (x, y): (f32, f32), size: MarkSize, colour: Colour, alpha: f32) {
    let reach = size.radius + size.half_line;
    let bounds = [x - reach, y - reach, x + reach, y + reach];
    let dot = size.half_line * 1.6 + 0.3;
    canvas.shape(bounds, size.edge, colour, alpha, |px, py| {
        let far = (px - x).hypot(py - y);
        let ring = (far - size.radius).abs() - size.half_line;
        ring.min(far - dot)
    });
}

fn frame(canvas: &mut Canvas, bounds: [f32; 4], size: MarkSize, alpha: f32) {
    let [left, top, right, bottom] = bounds;
    let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
    let half = ((right - left) / 2.0, (bottom - top) / 2.0);
    let w = size.half_line;
    let outer = [left - w, top - w, right + w, bottom + w];
    canvas.shape(outer, size.edge, PROMPT, alpha, |x, y| {
        let (x, y) = ((x - middle.0).abs() - half.0, (y - middle.1).abs() - half.1);
        let signed = x.max(0.0).hypot(y.max(0.0)) + x.max(y).min(0.0);
        signed.abs() - w
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yellow(canvas: &Canvas, x: usize, y: usize) -> bool {
        let [r, g, b] = canvas.pixel(x, y).unwrap();
        r > 180 && g > 170 && b < 90
    }

    #[test]
    fn a_click_is_a_ring_and_a_dot_at_its_place() {
        let mut canvas = Canvas::new(120, 100, [60, 90, 120]);
        let size = MarkSize::for_side(720);
        draw(&mut canvas, &Prompt::click((40, 30)), size, 1.0);
        assert!(yellow(&canvas, 40, 30));
        let r = size.radius as usize;
        for (x, y) in [(40 - r, 30), (40 + r, 30), (40, 30 - r), (40, 30 + r)] {
            assert!(yellow(&canvas, x, y), "({x}, {y})");
        }
        assert_eq!(canvas.pixel(40 + r / 2, 30), Some([60, 90, 120]));
        assert_eq!(canvas.pixel(80, 80), Some([60, 90, 120]));
    }

    #[test]
    fn a_box_lies_on_its_edges() {
        let mut canvas = Canvas::new(60, 50, [0, 0, 80]);
        let prompt = Prompt::Box {
            x_min: 10.0,
            y_min: 12.0,
            x_max: 40.0,
            y_max: 30.0,
        };
        draw(&mut canvas, &prompt, MarkSize::for_side(100), 1.0);
        for (x, y) in [(10, 12), (40, 30), (25, 12), (25, 30), (10, 20), (40, 20)] {
            assert!(yellow(&canvas, x, y), "({x}, {y})");
        }
        assert_eq!(canvas.pixel(25, 20), Some([0, 0, 80]));
        draw(
            &mut canvas,
            &Prompt::click((200, 0)),
            MarkSize::for_side(100),
            1.0,
        );
    }
}
