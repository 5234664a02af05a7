//! Pictures, masks and prompts at another size.

use super::canvas::Canvas;
use crate::dataset::prompts::Prompt;
use crate::mask::Mask;
use crate::media::image::ImageError;
use fast_image_resize as fir;
use fir::images::{Image, ImageRef};
use fir::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Scales a picture to `size` (columns, rows), smoothly.
///
/// # Errors
/// When the resizer refuses the sizes.
pub fn picture(from: &Canvas, size: (usize, usize)) -> Result<Canvas, ImageError> {
    let mut to = Canvas::new(size.0, size.1, [0; 3]);
    let failed = |message: String| ImageError::Resize {
        width: from.width(),
        height: from.height(),
        size: size.0,
        message,
    };
    let side = |n: usize| u32::try_from(n).map_err(|e| failed(e.to_string()));
    let (width, height) = (side(from.width())?, side(from.height())?);
    let source = ImageRef::new(width, height, from.rgb(), PixelType::U8x3)
        .map_err(|e| failed(e.to_string()))?;
    let (columns, rows) = (side(size.0)?, side(size.1)?);
    let mut target = Image::from_slice_u8(columns, rows, to.rgb_mut(), PixelType::U8x3)
        .map_err(|e| failed(e.to_string()))?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .use_alpha(false);
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| failed(e.to_string()))?;
    Ok(to)
}

/// Scales a mask: a pixel is set when at least half of what it covers is; an object too thin for
/// that keeps every pixel it touches, so that it does not vanish.
pub fn mask(from: &Mask, (width, height): (usize, usize)) -> Mask {
    let covered = |at: usize, size: usize, full: usize| {
        let first = at * full / size;
        first..((at + 1) * full).div_ceil(size).max(first + 1)
    };
    let scaled = |whole: bool| {
        Mask::from_fn(height, width, |y, x| {
            let columns = covered(x, width, from.width());
            let rows = covered(y, height, from.height());
            let area = columns.len() * rows.len();
            let set = |y: usize| columns.clone().filter(|&x| from.get(y, x)).count();
            let set: usize = rows.map(set).sum();
            if whole { set * 2 >= area } else { set > 0 }
        })
    };
    let halves = scaled(true);
    match halves.is_empty() && !from.is_empty() {
        true => scaled(false),
        false => halves,
    }
}

/// Scales a prompt from a picture of `from` (columns, rows) to one of `to`.
pub fn prompt(prompt: &Prompt, from: (usize, usize), to: (usize, usize)) -> Prompt {
    // Pixels are areas: their centres keep their place, not their corners.
    let scale = |v: f32, from: usize, to: usize| (v + 0.5) * to as f32 / from as f32 - 0.5;
    let (x, y) = (
        |v: f32| scale(v, from.0, to.0),
        |v: f32| scale(v, from.1, to.1),
    );
    match prompt {
        Prompt::Points { points, labels } => Prompt::Points {
            points: points.iter().map(|&(px, py)| (x(px), y(py))).collect(),
            labels: labels.clone(),
        },
        &Prompt::Box {
            x_min,
            y_min,
            x_max,
            y_max,
        } => Prompt::Box {
            x_min: x(x_min),
            y_min: y(y_min),
            x_max: x(x_max),
            y_max: y(y_max),
        },
        Prompt::Mask(given) => Prompt::Mask(mask(given, to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_its_place_and_thin_objects_do_not_vanish() {
        let half = Mask::from_fn(100, 60, |y, x| y >= 50 && x < 30);
        let small = mask(&half, (12, 20));
        assert_eq!(small, Mask::from_fn(20, 12, |y, x| y >= 10 && x < 6));
        let large = mask(&half, (120, 200));
        assert_eq!(large, Mask::from_fn(200, 120, |y, x| y >= 100 && x < 60));
        let dot = Mask::from_fn(100, 60, |y, x| (y, x) == (70, 10));
        let small = mask(&dot, (12, 20));
        assert_eq!((small.area(), small.get(14, 2)), (1, true));
        assert!(mask(&Mask::empty(9, 9), (3, 3)).is_empty());
    }

    #[test]
    fn prompts_move_with_the_pixels() {
        let Prompt::Points { points, .. } = prompt(&Prompt::click((0, 99)), (100, 100), (50, 200))
        else {
            panic!("a click stays a click");
        };
        assert_eq!(points, [(-0.25, 198.5)]);
    }

    #[test]
    fn a_picture_of_one_colour_keeps_it() {
        let small = picture(&Canvas::new(64, 48, [10, 200, 30]), (20, 15)).unwrap();
        assert_eq!((small.width(), small.height()), (20, 15));
        assert_eq!(small.pixel(19, 14), Some([10, 200, 30]));
    }
}
