//! The contact sheet of a video: evenly spaced frames in a grid, all objects in their colours.

use super::canvas::Canvas;
use super::caption::{Caption, Piece};
use super::mark::{self, MarkSize};
use super::outline::{self, Contour, Outliner, Side, Stroke};
use super::palette::{self, Colour, DARK, PROMPT, TRUTH};
use super::scale;
use super::text::Lettering;
use crate::dataset::prompts::Prompt;
use crate::mask::Mask;
use crate::media::image::ImageError;

/// Most frames of a sheet.
pub const CELLS: usize = 12;
/// Longer side of a frame on the sheet, in pixels.
const LONG_SIDE: usize = 400;
/// Between frames, in pixels.
const GAP: usize = 6;
/// A sheet is at least so wide: its legend must have room.
const LEAST_WIDTH: usize = 480;
const BACKGROUND: Colour = [24, 24, 24];
const FILL_ALPHA: f32 = 0.4;

/// Where everything is on a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Columns and rows of frames.
    pub cells: (usize, usize),
    /// Columns and rows of a frame, in pixels.
    pub frame: (usize, usize),
}

impl Grid {
    /// The grid for `count` frames of `size` (columns, rows).
    pub fn of((width, height): (usize, usize), count: usize) -> Self {
        let long = width.max(height).max(1);
        let side = |n: usize| ((n * LONG_SIDE + long / 2) / long).max(1);
        let most = if height * 5 >= width * 6 { 6 } else { 4 };
        let columns = count.clamp(1, most);
        Self {
            cells: (columns, count.div_ceil(columns)),
            frame: (side(width), side(height)),
        }
    }

    /// Columns and rows of all frames together, in pixels.
    pub fn size(&self) -> (usize, usize) {
        (
            self.cells.0 * (self.frame.0 + GAP) + GAP,
            self.cells.1 * (self.frame.1 + GAP) + GAP,
        )
    }

    /// Upper left corner of the frame at a position, in pixels from the grid's.
    fn place(&self, position: usize) -> [usize; 2] {
        let (column, row) = (position % self.cells.0, position / self.cells.0);
        [
            GAP + column * (self.frame.0 + GAP),
            GAP + row * (self.frame.1 + GAP),
        ]
    }
}

/// Which frames a sheet shows, ascending, at most [`CELLS`]: evenly spaced from the first prompt to
/// the last frame, annotated ones where there are enough, and every prompt's own frame.
///
/// `spans` are the objects' prompt frames and the frames that end them; `annotated` ascends.
pub fn pick_frames(spans: &[(usize, usize)], annotated: &[usize]) -> Vec<usize> {
    let first = spans.iter().map(|span| span.0).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.1).max().unwrap_or(0);
    let known: Vec<usize> = annotated
        .iter()
        .copied()
        .filter(|frame| (first..end).contains(frame))
        .collect();
    let all: Vec<usize> = match known.len() >= CELLS {
        true => known,
        false => (first..end).collect(),
    };
    let count = all.len().min(CELLS);
    let spread = |i: usize| i * (all.len() - 1) / (count - 1).max(1);
    let mut picked: Vec<usize> = (0..count).map(|i| all[spread(i)]).collect();
    let mut prompts: Vec<usize> = spans.iter().map(|span| span.0).collect();
    prompts.sort_unstable();
    prompts.dedup();
    for &prompt in &prompts {
        if picked.contains(&prompt) {
            continue;
        }
        let nearest = (0..picked.len())
            .filter(|&at| !prompts.contains(&picked[at]))
            .min_by_key(|&at| picked[at].abs_diff(prompt));
        if let Some(at) = nearest {
            picked[at] = prompt;
            picked.sort_unstable();
        }
    }
    picked
}

/// One object on one frame of a sheet, at the video's size.
#[derive(Clone, Debug)]
pub struct SheetObject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its position in the video, which gives its colour.
    pub position: usize,
    /// What was predicted.
    pub mask: Mask,
    /// Ground truth, where it is known.
    pub truth: Option<Mask>,
    /// Its prompt, on the prompt's frame.
    pub prompt: Option<&'a Prompt>,
}

/// A sheet being drawn.
#[derive(Debug)]
pub struct Sheet {
    grid: Grid,
    canvas: Canvas,
    top: usize,
    outliner: Outliner,
    lettering: Lettering,
}

impl Sheet {
    /// An empty sheet under its legend.
    pub fn new(grid: Grid, legend: &[Piece]) -> Self {
        let (width, height) = grid.size();
        let width = width.max(LEAST_WIDTH);
        let caption = Caption::set(legend, Lettering::of_height(15), width);
        let top = caption.height();
        let mut canvas = Canvas::new(width, top + height, BACKGROUND);
        caption.draw(&mut canvas, [0, 0], legend);
        Self {
            grid,
            canvas,
            top,
            outliner: Outliner::new(Stroke { line: 1, edge: 1 }),
            lettering: Lettering::of_height(13),
        }
    }

    /// Draws a frame of the video, of this index, at a position of the grid, with its objects.
    ///
    /// # Errors
    /// When the frame cannot be scaled.
    pub fn add(
        &mut self,
        position: usize,
        frame: usize,
        picture: &Canvas,
        objects: &[SheetObject<'_>],
    ) -> Result<(), ImageError> {
        let size = self.grid.frame;
        let full = (picture.width(), picture.height());
        let mut cell = scale::picture(picture, size)?;
        let mut contours: Vec<(Contour, Colour, f32)> = Vec::new();
        let mut labels = Vec::new();
        let mut prompted = Vec::new();
        for object in objects {
            let colour = palette::object(object.position);
            let mask = scale::mask(&object.mask, size);
            cell.fill_mask(&mask, colour, FILL_ALPHA);
            if let Some(truth) = &object.truth {
                let truth = scale::mask(truth, size);
                let contour = self.outliner.contour(&truth, Side::Outside);
                contours.push((contour, TRUTH, 1.0));
            }
            let contour = self.outliner.contour(&mask, Side::Inside);
            contours.push((contour, colour, 1.0));
            if let Some(found) = mask.bounding_box() {
                labels.push((found, object.name, colour));
            }
            if let Some(prompt) = object.prompt {
                prompted.push((object.name, scale::prompt(prompt, full, size)));
            }
        }
        for (_, prompt) in &prompted {
            if let Prompt::Mask(mask) = prompt {
                let contour = self.outliner.contour(mask, Side::Outside);
                contours.push((contour, PROMPT, 1.0));
            }
        }
        outline::draw(&mut cell, &contours);
        for (found, name, colour) in labels {
            let middle = (found.x_min + found.x_max) / 2;
            self.label(&mut cell, middle, found.y_min, name, colour);
        }
        let marks = MarkSize {
            radius: 5.0,
            half_line: 0.9,
            edge: 1.0,
        };
        for (_, prompt) in &prompted {
            mark::draw(&mut cell, prompt, marks, 1.0);
        }
        let mut pieces = vec![Piece::text(format!("frame {frame}"))];
        if !prompted.is_empty() {
            let names: Vec<&str> = prompted.iter().map(|(name, _)| *name).collect();
            pieces.push(Piece {
                colour: PROMPT,
                ..Piece::text(format!("prompt of {}", names.join(", ")))
            });
        }
        let caption = Caption::set(&pieces, self.lettering, size.0);
        let bottom = size.1.saturating_sub(caption.height());
        caption.draw(&mut cell, [0, bottom], &pieces);
        let [left, top] = self.grid.place(position);
        self.canvas.paste(&cell, [left, self.top + top]);
        Ok(())
    }

    /// An object's name above it, or in it where there is no room above.
    fn label(&self, cell: &mut Canvas, middle: usize, top: usize, name: &str, colour: Colour) {
        let (wide, high) = (self.lettering.width(name) + 2, self.lettering.height() + 2);
        let left = middle.saturating_sub(wide / 2);
        let left = left.min(cell.width().saturating_sub(wide));
        let top = match top.checked_sub(high + 2) {
            Some(above) => above,
            None => top + 2,
        };
        cell.fill_rect([left, top], [wide, high], DARK, 0.7);
        self.lettering.draw(cell, [left + 1, top + 1], name, colour);
    }

    /// The finished picture.
    pub fn into_canvas(self) -> Canvas {
        self.canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_follow_the_shape_of_frames() {
        let grid = |size, count| {
            let grid = Grid::of(size, count);
            (grid.cells, grid.frame)
        };
        assert_eq!(grid((1920, 1080), 12), ((4, 3), (400, 225)));
        assert_eq!(grid((1080, 1920), 12), ((6, 2), (225, 400)));
        assert_eq!(grid((91, 161), 9), ((6, 2), (226, 400)));
        assert_eq!(grid((64, 64), 3), ((3, 1), (400, 400)));
        assert_eq!(grid((5000, 1), 1), ((1, 1), (400, 1)));
    }

    #[test]
    fn frames_are_spread_out_and_prompts_are_among_them() {
        let annotated: Vec<usize> = (0..300).step_by(4).collect();
        let picked = pick_frames(&[(0, 300), (100, 300), (101, 300)], &annotated);
        assert_eq!(picked.len(), CELLS);
        assert_eq!((picked[0], picked[CELLS - 1]), (0, 296));
        assert!(picked.contains(&100) && picked.contains(&101), "{picked:?}");
        assert!(
            picked.windows(2).all(|pair| pair[0] < pair[1]),
            "{picked:?}"
        );
        assert_eq!(pick_frames(&[(2, 7)], &[0, 4]), [2, 3, 4, 5, 6]);
        assert_eq!(pick_frames(&[(3, 4)], &[]), [3]);
        assert!(pick_frames(&[], &annotated).is_empty());
        let crowded: Vec<(usize, usize)> = (0..40).map(|i| (i * 2, 300)).collect();
        assert_eq!(pick_frames(&crowded, &annotated).len(), CELLS);
    }

    #[test]
    fn objects_have_colours_of_their_own_and_names() {
        let grid = Grid::of((100, 50), 2);
        let mut sheet = Sheet::new(grid, &[Piece::text("a video")]);
        let picture = Canvas::new(100, 50, [100; 3]);
        let object = |position, from: usize| SheetObject {
            name: "1",
            position,
            mask: Mask::from_fn(50, 100, |y, x| y > 20 && (from..from + 20).contains(&x)),
            truth: None,
            prompt: None,
        };
        let objects = [object(0, 10), object(1, 60)];
        sheet.add(1, 4, &picture, &objects).unwrap();
        let top = sheet.top;
        let canvas = sheet.into_canvas();
        assert_eq!((canvas.width(), canvas.height() - top), grid.size());
        let at = |x: usize, y: usize| canvas.pixel(GAP * 2 + 400 + x, top + GAP + y).unwrap();
        let (one, two, none) = (at(80, 120), at(280, 120), at(200, 120));
        assert_eq!(none, [100; 3]);
        assert!(
            one[2] > 130 && two[0] > 130 && one != two,
            "{one:?} {two:?}"
        );
        assert_eq!(
            canvas.pixel(GAP, top + GAP),
            Some(BACKGROUND),
            "nothing in the first place"
        );
    }
}
