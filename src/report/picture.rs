//! A small JPEG of a frame, cropped to an object, with the outlines of masks.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions};

use crate::mask::{BoundingBox, Mask};
use crate::media::image::RgbImage;
use crate::render::Picture;

/// Largest width and height, where there are few pictures beside each other and where many.
const LARGE: (f64, f64) = (400.0, 300.0);
const SMALL: (f64, f64) = (280.0, 210.0);
/// JPEG quality, 1 to 100.
const QUALITY: u8 = 65;

/// A mask whose outline is drawn.
pub(super) struct Outline<'m> {
    mask: &'m Mask,
    colour: [u8; 3],
}

/// Colour of the ground truth's outline, and of a prediction's.
pub(super) const TRUTH: [u8; 3] = [0, 224, 255];
pub(super) const PREDICTED: [u8; 3] = [255, 120, 0];

impl<'m> Outline<'m> {
    /// The ground truth.
    pub fn truth(mask: &'m Mask) -> Self {
        Self {
            mask,
            colour: TRUTH,
        }
    }

    /// A model's mask.
    pub fn predicted(mask: &'m Mask) -> Self {
        Self {
            mask,
            colour: PREDICTED,
        }
    }
}

/// A part of a frame: left, top, width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Box2 {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Box2 {
    /// The part of a frame (of this width and height) around some boxes, in the frame's own shape:
    /// all of them with as much again around, and at least a third of the frame.
    pub fn around(boxes: impl Iterator<Item = BoundingBox>, frame: (usize, usize)) -> Self {
        let (columns, rows) = (frame.0 as f64, frame.1 as f64);
        let union = boxes.fold(None, |known: Option<[f64; 4]>, next| {
            let next = [
                next.x_min as f64,
                next.y_min as f64,
                next.x_max as f64 + 1.0,
                next.y_max as f64 + 1.0,
            ];
            Some(known.map_or(next, |k| {
                [
                    k[0].min(next[0]),
                    k[1].min(next[1]),
                    k[2].max(next[2]),
                    k[3].max(next[3]),
                ]
            }))
        });
        let [x0, y0, x1, y1] = union.unwrap_or([0.0, 0.0, columns, rows]);
        let share = ((x1 - x0) / columns).max((y1 - y0) / rows) * 1.8;
        let share = share.clamp(1.0 / 3.0, 1.0);
        let (width, height) = (columns * share, rows * share);
        let begin = |middle: f64, length: f64, whole: f64| {
            (middle - length / 2.0).clamp(0.0, (whole - length).max(0.0))
        };
        Self {
            left: begin(f64::midpoint(x0, x1), width, columns),
            top: begin(f64::midpoint(y0, y1), height, rows),
            width,
            height,
        }
    }
}

/// Draws it; the error is a sentence.
pub(super) fn draw(
    rgb: &RgbImage,
    seen: Box2,
    outlines: &[Outline<'_>],
    large: bool,
) -> Result<Picture, String> {
    let (most_width, most_height) = if large { LARGE } else { SMALL };
    let scale = (most_width / seen.width).min(most_height / seen.height);
    let side = |length: f64| ((length * scale).round() as usize).clamp(1, 1024);
    let (width, height) = (side(seen.width), side(seen.height));
    let mut pixels = resized(rgb, seen, width, height)?;
    for outline in outlines {
        let inside = |x: usize, y: usize| {
            let at = |begin: f64, length: f64, place: usize, of: usize| {
                (begin + length * (place as f64 + 0.5) / of as f64) as usize
            };
            outline.mask.get(
                at(seen.top, seen.height, y, height),
                at(seen.left, seen.width, x, width),
            )
        };
        for y in 0..height {
            for x in 0..width {
                let near = (x.saturating_sub(1)..(x + 2).min(width))
                    .flat_map(|x| (y.saturating_sub(1)..(y + 2).min(height)).map(move |y| (x, y)));
                let mut near = near.map(|(x, y)| inside(x, y));
                let first = near.next();
                // On the edge of the mask: not all of the pixels around are alike.
                if near.any(|other| Some(other) != first)
                    && let Some(pixel) =
                        pixels.get_mut((y * width + x) * 3..(y * width + x) * 3 + 3)
                {
                    pixel.copy_from_slice(&outline.colour);
                }
            }
        }
    }
    encode(&pixels, width, height)
}

fn resized(rgb: &RgbImage, seen: Box2, width: usize, height: usize) -> Result<Vec<u8>, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("the frame cannot be made smaller: {error}");
    let side = |length: usize| u32::try_from(length).map_err(|error| failed(&error));
    let source = ImageRef::new(
        side(rgb.width)?,
        side(rgb.height)?,
        &rgb.data,
        PixelType::U8x3,
    )
    .map_err(|error| failed(&error))?;
    let mut target = Image::new(side(width)?, side(height)?, PixelType::U8x3);
    let options = ResizeOptions::new().crop(seen.left, seen.top, seen.width, seen.height);
    fast_image_resize::Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|error| failed(&error))?;
    Ok(target.into_vec())
}

fn encode(pixels: &[u8], width: usize, height: usize) -> Result<Picture, String> {
    let failed = |error: &dyn std::fmt::Display| format!("the picture cannot be written: {error}");
    let side = |length: usize| u16::try_from(length).map_err(|error| failed(&error));
    let mut jpeg = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, QUALITY);
    // Thin lines keep their colour only where colour is as fine as brightness.
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
    encoder
        .encode(
            pixels,
            side(width)?,
            side(height)?,
            jpeg_encoder::ColorType::Rgb,
        )
        .map_err(|error| failed(&error))?;
    Ok(Picture {
        width,
        height,
        jpeg,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: usize, height: usize) -> RgbImage {
        RgbImage {
            width,
            height,
            data: vec![90; width * height * 3],
        }
    }

    #[test]
    fn a_small_object_is_shown_larger_and_inside_the_frame() {
        let corner = BoundingBox {
            x_min: 380,
            y_min: 0,
            x_max: 399,
            y_max: 9,
        };
        let seen = Box2::around([corner].into_iter(), (400, 200));
        assert!(
            (seen.width - 400.0 / 3.0).abs() < 1e-9 && (seen.height - 200.0 / 3.0).abs() < 1e-9
        );
        assert!((seen.left + seen.width - 400.0).abs() < 1e-9 && seen.top == 0.0);
        let all = Box2::around(std::iter::empty(), (400, 200));
        assert_eq!(
            (all.left, all.top, all.width, all.height),
            (0.0, 0.0, 400.0, 200.0)
        );
    }

    #[test]
    fn outlines_run_around_the_mask_and_the_picture_is_small() {
        let rgb = frame(640, 480);
        let mask = Mask::from_fn(480, 640, |y, x| {
            (200..280).contains(&y) && (300..340).contains(&x)
        });
        let seen = Box2::around(mask.bounding_box().into_iter(), (640, 480));
        let picture = draw(&rgb, seen, &[Outline::predicted(&mask)], true).unwrap();
        assert_eq!((picture.width, picture.height), (400, 300));
        assert!(picture.jpeg.len() < 24_000, "{}", picture.jpeg.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.jpg");
        std::fs::write(&path, &picture.jpeg).unwrap();
        let shown = crate::media::image::decode_rgb(&path).unwrap();
        let orange = |x: usize, y: usize| {
            let at = (y * 400 + x) * 3;
            shown.data[at] > 180 && shown.data[at + 2] < 90
        };
        // The mask's middle is the picture's; a third of the frame is shown.
        let row: Vec<usize> = (0..400).filter(|x| orange(*x, 150)).collect();
        assert!(!row.is_empty() && !orange(200, 150), "{row:?}");
        let edge = (300.0 - seen.left) / seen.width * 400.0;
        assert!(
            row.iter().any(|x| (*x as f64 - edge).abs() < 3.0),
            "{row:?} {edge}"
        );
    }
}
