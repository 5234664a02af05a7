//! Contours of masks: a light line with dark edges, on one side of the border.
//!
//! A prediction's line lies inside its mask and ground truth's outside, so that both show where they
//! agree.

use super::canvas::Canvas;
use super::palette::{Colour, DARK};
use crate::mask::Mask;

/// How strong the dark edges are.
const EDGE_ALPHA: f32 = 0.65;

/// Width of lines, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// The light line.
    pub line: usize,
    /// The dark edge on each side of it.
    pub edge: usize,
}

impl Stroke {
    /// What suits a picture whose shorter side has this many pixels.
    pub fn for_side(side: usize) -> Self {
        Self {
            line: ((side + 120) / 240).max(1),
            edge: ((side + 360) / 720).max(1),
        }
    }
}

/// On which side of a mask's border a line lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On the mask's own pixels.
    Inside,
    /// On the pixels around it.
    Outside,
}

/// A contour: row-major positions of its pixels, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contour {
    /// The light line.
    pub line: Vec<usize>,
    /// Its dark edges.
    pub edge: Vec<usize>,
}

const EDGE: u8 = 1;
const LINE: u8 = 2;

/// Finds contours; keeps its scratch memory between masks of one size.
#[derive(Debug)]
pub struct Outliner {
    stroke: Stroke,
    /// (dx, dy, whether within the line), nearest first.
    around: Vec<(isize, isize, u8)>,
    level: Vec<u8>,
}

impl Outliner {
    /// For lines of this width.
    pub fn new(stroke: Stroke) -> Self {
        let reach = (stroke.line + stroke.edge) as isize;
        let squared = |n: usize| (n * n) as isize;
        let mut around = Vec::new();
        for (dx, dy) in (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy))) {
            let distance = dx * dx + dy * dy;
            if distance <= squared(stroke.line) {
                around.push((dx, dy, LINE));
            } else if distance <= squared(stroke.line + stroke.edge) {
                around.push((dx, dy, EDGE));
            }
        }
        Self {
            stroke,
            around,
            level: Vec::new(),
        }
    }

    /// The contour of a mask. Where the mask is cut by the picture's border there is none.
    pub fn contour(&mut self, mask: &Mask, side: Side) -> Contour {
        let (width, height) = (mask.width(), mask.height());
        self.level.clear();
        self.level.resize(width * height, 0);
        for y in 0..height {
            let (row, below) = (mask.row(y), mask.row(y + 1));
            for x in 0..width {
                let here = row[x];
                if row.get(x + 1).is_some_and(|&right| right != here) {
                    self.border(mask, side, (x, y), (x + 1, y));
                }
                if below.get(x).is_some_and(|&under| under != here) {
                    self.border(mask, side, (x, y), (x, y + 1));
                }
            }
        }
        let mut contour = Contour::default();
        for (position, level) in self.level.iter().enumerate() {
            match *level {
                LINE => contour.line.push(position),
                EDGE => contour.edge.push(position),
                _ => {}
            }
        }
        contour
    }

    /// Marks what lies around two neighbours of which one is the mask's.
    fn border(&mut self, mask: &Mask, side: Side, a: (usize, usize), b: (usize, usize)) {
        let ours = |(x, y): (usize, usize)| mask.get(y, x) == (side == Side::Inside);
        let (own, other) = if ours(a) { (a, b) } else { (b, a) };
        let (width, height) = (mask.width(), mask.height());
        let edge = (self.stroke.edge * self.stroke.edge) as isize;
        for &(dx, dy, level) in &self.around {
            let place = |(x, y): (usize, usize)| {
                let x = x.checked_add_signed(dx).filter(|&x| x < width)?;
                let y = y.checked_add_signed(dy).filter(|&y| y < height)?;
                Some((x, y))
            };
            if let Some(at) = place(other).filter(|&at| ours(at)) {
                let there = &mut self.level[at.1 * width + at.0];
                *there = level.max(*there);
            }
            if dx * dx + dy * dy <= edge
                && let Some(at) = place(own).filter(|&at| !ours(at))
            {
                let there = &mut self.level[at.1 * width + at.0];
                *there = EDGE.max(*there);
            }
        }
    }
}

/// Draws contours: all dark edges first, so that no edge lies on another's line.
pub fn draw(canvas: &mut Canvas, contours: &[(Contour, Colour, f32)]) {
    for (contour, _, alpha) in contours {
        for &position in &contour.edge {
            canvas.blend(position, DARK, EDGE_ALPHA * alpha);
        }
    }
    for (contour, colour, alpha) in contours {
        for &position in &contour.line {
            canvas.blend(position, *colour, *alpha);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc() -> Mask {
        Mask::from_fn(40, 50, |y, x| {
            (y as f32 - 20.0).hypot(x as f32 - 25.0) <= 12.0
        })
    }

    #[test]
    fn lines_stay_on_their_side_and_close_to_the_border() {
        let mask = disc();
        for line in 1..4 {
            let mut outliner = Outliner::new(Stroke { line, edge: 1 });
            let inside = outliner.contour(&mask, Side::Inside);
            let outside = outliner.contour(&mask, Side::Outside);
            assert!(!inside.line.is_empty() && !outside.line.is_empty());
            assert!(inside.line.iter().all(|&p| mask.as_slice()[p]));
            assert!(outside.line.iter().all(|&p| !mask.as_slice()[p]));
            for position in inside.line.iter().chain(&outside.line) {
                let (y, x) = (position / 50, position % 50);
                let radius = (y as f32 - 20.0).hypot(x as f32 - 25.0);
                let far = (radius - 12.0).abs();
                assert!(far <= line as f32 + 1.0, "{far} with a line of {line}");
            }
            assert!(inside.edge.iter().all(|p| !inside.line.contains(p)));
        }
    }

    #[test]
    fn a_line_of_one_pixel_is_the_border_itself() {
        let mask = Mask::from_fn(9, 9, |y, x| (2..7).contains(&y) && (2..7).contains(&x));
        let mut outliner = Outliner::new(Stroke { line: 1, edge: 1 });
        let contour = outliner.contour(&mask, Side::Inside);
        assert_eq!(contour.line.len(), 16, "the outermost ring of 5x5");
        let outside = outliner.contour(&mask, Side::Outside);
        assert_eq!(outside.line.len(), 20, "four sides of 5, without corners");
    }

    #[test]
    fn the_border_of_the_picture_is_no_contour() {
        let mut outliner = Outliner::new(Stroke { line: 3, edge: 2 });
        let whole = Mask::from_fn(20, 30, |_, _| true);
        assert_eq!(outliner.contour(&whole, Side::Inside), Contour::default());
        let empty = Mask::empty(20, 30);
        assert_eq!(outliner.contour(&empty, Side::Outside), Contour::default());
        let left = Mask::from_fn(20, 30, |_, x| x < 10);
        let contour = outliner.contour(&left, Side::Inside);
        assert!(contour.line.iter().all(|p| p % 30 >= 7));
    }

    #[test]
    fn a_line_shows_on_black_and_on_white() {
        let mut outliner = Outliner::new(Stroke::for_side(240));
        let contour = outliner.contour(&disc(), Side::Inside);
        let pick = (contour.line[0], contour.edge[0]);
        for background in [[0; 3], [255; 3]] {
            let mut canvas = Canvas::new(50, 40, background);
            draw(&mut canvas, &[(contour.clone(), [255, 176, 0], 1.0)]);
            let at = |p: usize| canvas.pixel(p % 50, p / 50).unwrap();
            let difference = i32::from(at(pick.0)[0]) - i32::from(at(pick.1)[0]);
            assert!(difference > 120, "{:?} beside {:?}", at(pick.0), at(pick.1));
        }
    }
}
