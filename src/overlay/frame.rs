//! One object on one frame: fill, contours, prompt, caption.

use super::canvas::Canvas;
use super::caption::{Caption, Piece, Swatch};
use super::mark::{self, FAINT, MarkSize};
use super::outline::{self, Contour, Outliner, Side, Stroke};
use super::palette::{self, Colour, DIM, PROMPT, TEXT, TRUTH};
use super::text::Lettering;
use crate::dataset::prompts::Prompt;
use crate::mask::Mask;

/// How strong the fill of a predicted mask is.
pub const FILL_ALPHA: f32 = 0.4;
/// A legend is left out where all of the caption would take more of the picture than one part in so
/// many.
const CAPTION_SHARE: usize = 7;

/// What a video of one object shows on every frame.
#[derive(Debug)]
pub struct ObjectPainter {
    colour: Colour,
    prompt: Prompt,
    prompt_frame: usize,
    marks: MarkSize,
    outliner: Outliner,
    /// The contour of a mask prompt.
    prompt_contour: Option<Contour>,
    pieces: Vec<Piece>,
    /// Places in `pieces` of the frame number and, where there is a legend, of ground truth.
    frame_piece: usize,
    truth_piece: Option<usize>,
    digits: usize,
    caption: Caption,
    caption_top: usize,
}

/// What an [`ObjectPainter`] is made for.
#[derive(Clone, Debug)]
pub struct ObjectOnVideo<'a> {
    /// The video's name.
    pub video: &'a str,
    /// The object's name.
    pub object: &'a str,
    /// The model's tag.
    pub tag: &'a str,
    /// The object's position in the video, which gives its colour.
    pub position: usize,
    /// Columns and rows of the video.
    pub size: (usize, usize),
    /// Frames of the video.
    pub frames: usize,
    /// Whether there is ground truth on some of them.
    pub annotated: bool,
    /// The object's prompt.
    pub prompt: Prompt,
    /// The prompt's frame.
    pub prompt_frame: usize,
}

impl ObjectPainter {
    /// Works out colours, sizes and where the caption goes, once for all frames.
    pub fn new(object: ObjectOnVideo<'_>) -> Self {
        let (width, height) = object.size;
        let side = width.min(height);
        let mut outliner = Outliner::new(Stroke::for_side(side));
        let colour = palette::object(object.position);
        let digits = object.frames.saturating_sub(1).to_string().len();
        let mut pieces = vec![
            Piece::text(object.video),
            Piece::text(format!("object {}", object.object)),
            Piece::text(frame_text(0, digits)),
        ];
        let frame_piece = pieces.len() - 1;
        let mut full = pieces.clone();
        full.extend([
            Piece::text(object.tag),
            Piece::legend(Swatch::Region(colour), "predicted"),
            prompt_legend(&object.prompt),
        ]);
        if object.annotated {
            full.push(Piece::legend(Swatch::Line(TRUTH), "ground truth"));
        }
        let lettering = Lettering::of_height((side / 36).max(6));
        let mut truth_piece = None;
        let mut caption = Caption::set(&full, lettering, width);
        if caption.height() * CAPTION_SHARE <= height {
            truth_piece = object.annotated.then_some(full.len() - 1);
            pieces = full;
        } else {
            caption = Caption::set(&pieces, lettering, width);
        }
        let prompt_contour = match &object.prompt {
            Prompt::Mask(mask) => Some(outliner.contour(mask, Side::Outside)),
            _ => None,
        };
        let caption_top = caption_top(&object.prompt, caption.height(), height);
        Self {
            colour,
            prompt: object.prompt,
            prompt_frame: object.prompt_frame,
            marks: MarkSize::for_side(side),
            outliner,
            prompt_contour,
            pieces,
            frame_piece,
            truth_piece,
            digits,
            caption,
            caption_top,
        }
    }

    /// First row of the caption and its number of rows; the caption begins at the left edge.
    pub fn caption_rows(&self) -> (usize, usize) {
        (self.caption_top, self.caption.height())
    }

    /// Draws onto the frame of this index: the predicted mask, and ground truth where it is known.
    pub fn paint(&mut self, canvas: &mut Canvas, frame: usize, mask: &Mask, truth: Option<&Mask>) {
        canvas.fill_mask(mask, self.colour, FILL_ALPHA);
        let alpha = match frame == self.prompt_frame {
            true => 1.0,
            false => FAINT,
        };
        let mut contours = Vec::with_capacity(3);
        if let Some(truth) = truth {
            contours.push((self.outliner.contour(truth, Side::Outside), TRUTH, 1.0));
        }
        let predicted = self.outliner.contour(mask, Side::Inside);
        contours.push((predicted, self.colour, 1.0));
        if let Some(contour) = &self.prompt_contour {
            contours.push((contour.clone(), PROMPT, alpha));
        }
        outline::draw(canvas, &contours);
        mark::draw(canvas, &self.prompt, self.marks, alpha);
        if let Some(piece) = self.pieces.get_mut(self.frame_piece) {
            piece.text = frame_text(frame, self.digits);
        }
        if let Some(piece) = self.truth_piece.and_then(|at| self.pieces.get_mut(at)) {
            piece.colour = if truth.is_some() { TEXT } else { DIM };
            let line = if truth.is_some() { TRUTH } else { DIM };
            piece.swatch = Some(Swatch::Line(line));
        }
        self.caption
            .draw(canvas, [0, self.caption_top], &self.pieces);
    }
}

fn frame_text(frame: usize, digits: usize) -> String {
    format!("frame {frame:<digits$}")
}

/// What the mark of a prompt is called.
pub fn prompt_legend(prompt: &Prompt) -> Piece {
    match prompt {
        Prompt::Points { .. } => Piece::legend(Swatch::Click(PROMPT), "click"),
        Prompt::Box { .. } => Piece::legend(Swatch::Line(PROMPT), "box prompt"),
        Prompt::Mask(_) => Piece::legend(Swatch::Line(PROMPT), "mask prompt"),
    }
}

/// At the top, unless it would lie on the prompt and would not at the bottom.
fn caption_top(prompt: &Prompt, rows: usize, height: usize) -> usize {
    let spans: Vec<(f32, f32)> = match prompt {
        Prompt::Points { points, .. } => points.iter().map(|&(_, y)| (y, y)).collect(),
        Prompt::Box { y_min, y_max, .. } => vec![(*y_min, *y_max)],
        Prompt::Mask(mask) => mask
            .bounding_box()
            .map(|found| (found.y_min as f32, found.y_max as f32))
            .into_iter()
            .collect(),
    };
    let bottom = height.saturating_sub(rows);
    // A mark reaches beyond its point.
    let margin = rows as f32 / 2.0;
    let below = |row: usize| row as f32 + margin;
    let top_taken = spans.iter().any(|&(first, _)| first < below(rows));
    let bottom_taken = spans.iter().any(|&(_, last)| last + margin > bottom as f32);
    if top_taken && !bottom_taken {
        bottom
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::prompts::PromptKind;

    fn painter(size: (usize, usize), kind: PromptKind, mask: &Mask) -> ObjectPainter {
        ObjectPainter::new(ObjectOnVideo {
            video: "sav_000001",
            object: "3",
            tag: "edgetam_points",
            position: 0,
            size,
            frames: 300,
            annotated: true,
            prompt: Prompt::from_mask(kind, mask).unwrap(),
            prompt_frame: 4,
        })
    }

    #[test]
    fn fill_contours_and_mark_are_where_they_belong() {
        let (width, height) = (90, 160);
        let mask = Mask::from_fn(height, width, |y, x| {
            (60..120).contains(&y) && (20..60).contains(&x)
        });
        let truth = Mask::from_fn(height, width, |y, x| {
            (70..130).contains(&y) && (20..60).contains(&x)
        });
        let background = [90, 60, 30];
        let mut painter = painter((width, height), PromptKind::Points, &mask);
        let mut canvas = Canvas::new(width, height, background);
        painter.paint(&mut canvas, 4, &mask, Some(&truth));
        let [r, g, b] = canvas.pixel(30, 100).unwrap();
        assert!(
            b > background[2] + 60 && g > background[1] && r < background[0],
            "{r} {g} {b}"
        );
        assert_eq!(
            canvas.pixel(30, 130),
            Some(TRUTH),
            "just below ground truth"
        );
        assert_eq!(
            canvas.pixel(30, 60),
            Some(palette::object(0)),
            "first row of the mask"
        );
        assert_eq!(canvas.pixel(39, 89), Some(PROMPT), "the click");
        assert_eq!(canvas.pixel(75, 100), Some(background));
        let mut later = Canvas::new(width, height, background);
        painter.paint(&mut later, 5, &mask, None);
        assert_ne!(later.pixel(30, 130), Some(TRUTH));
        assert_ne!(later.pixel(39, 89), Some(PROMPT), "faint by now");
        assert_ne!(later.pixel(39, 89), later.pixel(45, 100), "but there");
    }

    #[test]
    fn the_caption_keeps_off_the_prompt() {
        let (width, height) = (320, 180);
        let high = Mask::from_fn(height, width, |y, x| y < 12 && x < 40);
        let low = Mask::from_fn(height, width, |y, x| y > 160 && x < 40);
        let rows = |mask| painter((width, height), PromptKind::Points, mask).caption_rows();
        let (top, tall) = rows(&high);
        assert_eq!(top + tall, height);
        assert_eq!(rows(&low).0, 0);
        let whole = Mask::from_fn(height, width, |_, _| true);
        assert_eq!(
            painter((width, height), PromptKind::Bbox, &whole)
                .caption_rows()
                .0,
            0
        );
    }

    #[test]
    fn small_pictures_have_a_short_caption() {
        let mask = |w, h| Mask::from_fn(h, w, |y, x| y > h / 2 && x > w / 2);
        let pieces = |w, h| painter((w, h), PromptKind::Mask, &mask(w, h)).pieces.len();
        assert_eq!(pieces(90, 160), 3);
        assert_eq!(pieces(854, 480), 7);
        for (w, h) in [(1, 1), (2, 300), (300, 2)] {
            let mask = Mask::from_fn(h, w, |_, _| true);
            let mut painter = painter((w, h), PromptKind::Mask, &mask);
            let mut canvas = Canvas::new(w, h, [0; 3]);
            painter.paint(&mut canvas, 4, &mask, Some(&mask));
        }
    }
}
