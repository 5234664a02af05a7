//! Frames to the model's square, and to its planar, normalised tensor.
//!
//! The rule is that of transformers' `Sam2VideoVideoProcessor`: stretch to S x S on 8-bit values,
//! bilinear with antialiasing (torchvision's `resize(..., antialias=True)`, whose 8-bit kernel and
//! this crate's share their ancestor, Pillow's), then rescale and normalise in one step. Rows first,
//! columns second, each rounded to 8 bits: the order decides the rounding, and with this one the
//! result is torchvision's to the bit.

use fast_image_resize as fir;
use fir::images::{Image, ImageRef};
use fir::{FilterType, PixelType, ResizeAlg, ResizeOptions};

use super::ImageError;

/// Stretches RGB frames to a square of `size` x `size`; keeps its scratch memory between frames.
pub struct Resizer {
    size: usize,
    inner: fir::Resizer,
    options: ResizeOptions,
    /// The frame after the first pass: `size` wide, as high as the source.
    narrowed: Vec<u8>,
}

impl std::fmt::Debug for Resizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resizer").field("size", &self.size).finish()
    }
}

impl Resizer {
    /// A resizer to `size` x `size`.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            inner: fir::Resizer::new(),
            options: ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
                .use_alpha(false),
            narrowed: Vec::new(),
        }
    }

    /// The side of the square.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes of `out` that [`Resizer::resize`] needs: `size * size * 3`.
    pub fn output_len(&self) -> usize {
        self.size * self.size * 3
    }

    /// Resizes `rgb` (`height * width * 3` bytes) into `out` (`size * size * 3` bytes).
    ///
    /// # Errors
    /// A buffer has the wrong length, or the image has no pixels.
    pub fn resize(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        let expected = height.saturating_mul(width).saturating_mul(3);
        check_length("the frame to be resized", expected, rgb.len())?;
        check_length("the resized frame", self.output_len(), out.len())?;
        let size = self.size;
        let failed = |message: String| ImageError::Resize {
            width,
            height,
            size,
            message,
        };
        if width == 0 || height == 0 || size == 0 {
            return Err(failed("there are no pixels".into()));
        }
        let side = |n: usize| u32::try_from(n).map_err(|e| failed(e.to_string()));
        let source = ImageRef::new(side(width)?, side(height)?, rgb, PixelType::U8x3)
            .map_err(|e| failed(e.to_string()))?;
        self.narrowed.resize(size * height * 3, 0);
        let mut narrowed = Image::from_slice_u8(
            side(size)?,
            side(height)?,
            &mut self.narrowed,
            PixelType::U8x3,
        )
        .map_err(|e| failed(e.to_string()))?;
        self.inner
            .resize(&source, &mut narrowed, &self.options)
            .map_err(|e| failed(e.to_string()))?;
        let mut target = Image::from_slice_u8(side(size)?, side(size)?, out, PixelType::U8x3)
            .map_err(|e| failed(e.to_string()))?;
        self.inner
            .resize(&narrowed, &mut target, &self.options)
            .map_err(|e| failed(e.to_string()))
    }
}

/// Turns `size` x `size` RGB pixels into the model's input: three planes of `size * size` values,
/// `(x / 255 - mean) / std` per channel.
///
/// The arithmetic is transformers' fused form in 32-bit floats, `(x - 255 mean) / (255 std)`,
/// looked up per value, so that the tensor is the reference's bit for bit.
///
/// # Errors
/// A buffer has another length than `size * size * 3`.
pub fn to_chw_normalized(
    rgb: &[u8],
    size: usize,
    mean: [f32; 3],
    std: [f32; 3],
    out: &mut [f32],
) -> Result<(), ImageError> {
    let plane = size.saturating_mul(size);
    check_length("the frame to be normalised", plane * 3, rgb.len())?;
    check_length("the normalised frame", plane * 3, out.len())?;
    let mut tables = [[0f32; 256]; 3];
    for (table, (mean, std)) in tables.iter_mut().zip(mean.into_iter().zip(std)) {
        for (value, entry) in (0u8..=255).zip(table.iter_mut()) {
            *entry = (f32::from(value) - mean * 255.0) / (std * 255.0);
        }
    }
    let (red, rest) = out.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    let [r, g, b] = &tables;
    let planes = red.iter_mut().zip(green).zip(blue);
    for (((to_r, to_g), to_b), pixel) in planes.zip(rgb.chunks_exact(3)) {
        *to_r = r[usize::from(pixel[0])];
        *to_g = g[usize::from(pixel[1])];
        *to_b = b[usize::from(pixel[2])];
    }
    Ok(())
}

fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), ImageError> {
    if expected == found {
        return Ok(());
    }
    Err(ImageError::Buffer {
        what,
        expected,
        found,
    })
}
