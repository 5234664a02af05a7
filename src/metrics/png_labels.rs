//! Reading the PNG files that hold masks, as numbers per pixel.
//!
//! What a file means depends on the layout it lies in: in DAVIS layout a pixel's value (palette
//! index or grey level) is an object number; in SA-V layout a file is the mask of one object, any
//! value above 0 is the object, and more than two different values are an error, as in the official
//! evaluator. Palette indices are never turned into colours. Grey levels of 2 and 4 bits are
//! scaled to 8 bits, as Pillow does it for that evaluator. Writing is elsewhere.

use super::error::MaskPngError;
use png::{BitDepth, ColorType, Decoder, Transformations};
use std::io::Cursor;
use std::path::Path;

/// The most pixels that are read: a guard against headers that ask for all the memory.
const MOST_PIXELS: u64 = 1 << 26;

/// Pixels of a mask file, row-major.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelImage {
    pub height: usize,
    pub width: usize,
    /// `height * width` values: object numbers, or 0 and not 0.
    pub pixels: Vec<u8>,
}

/// Reads mask files, keeping its buffers between them.
#[derive(Clone, Debug, Default)]
pub(super) struct MaskReader {
    raw: Vec<u8>,
}

/// How the raw bytes of an image are to be understood.
struct Format {
    height: usize,
    width: usize,
    /// Bytes in a row.
    line: usize,
    colour: ColorType,
    depth: BitDepth,
}

impl MaskReader {
    /// Reads object numbers (DAVIS layout).
    pub fn read_labels(&mut self, path: &Path, out: &mut LabelImage) -> Result<(), MaskPngError> {
        let format = self.decode(path)?;
        out.height = format.height;
        out.width = format.width;
        out.pixels.clear();
        if stored_channels(format.colour) != 1 {
            return Err(MaskPngError::ColourLabels {
                path: path.to_owned(),
            });
        }
        if format.depth == BitDepth::Eight {
            std::mem::swap(&mut out.pixels, &mut self.raw);
            return Ok(());
        }
        if format.depth == BitDepth::One {
            self.unpack_bits(&format, &mut out.pixels);
            return Ok(());
        }
        out.pixels.reserve(format.height * format.width);
        let mut too_large = None;
        self.each_sample(&format, |value| {
            out.pixels.push(u8::try_from(value).unwrap_or_else(|_| {
                too_large.get_or_insert(value);
                0
            }));
        });
        match too_large {
            Some(value) => Err(MaskPngError::LabelTooLarge {
                path: path.to_owned(),
                value,
            }),
            None => Ok(()),
        }
    }

    /// Reads the mask of one object (SA-V layout): pixels are 0 or not 0. Of a colour image, any
    /// colour channel above 0 is the object.
    pub fn read_binary(&mut self, path: &Path, out: &mut LabelImage) -> Result<(), MaskPngError> {
        let format = self.decode(path)?;
        out.height = format.height;
        out.width = format.width;
        let channels = channels(format.colour);
        if stored_channels(format.colour) == 1 && format.depth == BitDepth::Eight {
            if !has_two_values_at_most(&self.raw) {
                return Err(self.many_values(path, &format));
            }
            std::mem::swap(&mut out.pixels, &mut self.raw);
            return Ok(());
        }
        out.pixels.clear();
        if format.depth == BitDepth::One {
            self.unpack_bits(&format, &mut out.pixels);
            return Ok(());
        }
        out.pixels.reserve(format.height * format.width);
        let (mut low, mut high, mut others) = (u16::MAX, u16::MIN, false);
        self.each_sample(&format, |value| {
            low = low.min(value);
            high = high.max(value);
        });
        let (mut of_pixel, mut set) = (0, false);
        self.each_sample(&format, |value| {
            others |= value != low && value != high;
            set |= value > 0;
            of_pixel += 1;
            if of_pixel == channels {
                out.pixels.push(u8::from(set));
                (of_pixel, set) = (0, false);
            }
        });
        match others {
            true => Err(self.many_values(path, &format)),
            false => Ok(()),
        }
    }

    /// Decodes a file into `self.raw`, samples as they are stored.
    fn decode(&mut self, path: &Path) -> Result<Format, MaskPngError> {
        let damaged = |reason: png::DecodingError| MaskPngError::Damaged {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let file = crate::media::limits::read_file(path).map_err(|source| MaskPngError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut decoder = Decoder::new(Cursor::new(file));
        decoder.set_transformations(Transformations::IDENTITY);
        let mut reader = decoder.read_info().map_err(damaged)?;
        let (width, height) = reader.info().size();
        let too_large = || MaskPngError::TooLarge {
            path: path.to_owned(),
            width,
            height,
            limit: MOST_PIXELS,
        };
        if u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(too_large());
        }
        let size = reader.output_buffer_size().ok_or_else(too_large)?;
        self.raw.clear();
        self.raw.resize(size, 0);
        let info = reader.next_frame(&mut self.raw).map_err(damaged)?;
        self.raw.truncate(info.buffer_size());
        Ok(Format {
            height: height as usize,
            width: width as usize,
            line: info.line_size,
            colour: info.color_type,
            depth: info.bit_depth,
        })
    }

    /// Hands every sample that is not alpha to `take`, row by row.
    fn each_sample(&self, format: &Format, mut take: impl FnMut(u16)) {
        if format.line == 0 {
            return;
        }
        let (stored, used) = (stored_channels(format.colour), channels(format.colour));
        let scale = match (format.colour, format.depth) {
            (ColorType::Grayscale, BitDepth::Two) => 85,
            (ColorType::Grayscale, BitDepth::Four) => 17,
            _ => 1,
        };
        for line in self.raw.chunks_exact(format.line).take(format.height) {
            match format.depth {
                BitDepth::Eight => line
                    .chunks_exact(stored)
                    .flat_map(|pixel| pixel.iter().take(used))
                    .for_each(|&v| take(u16::from(v))),
                BitDepth::Sixteen => line
                    .chunks_exact(2 * stored)
                    .flat_map(|pixel| pixel.chunks_exact(2).take(used))
                    .for_each(|v| take(u16::from_be_bytes([v[0], v[1]]))),
                BitDepth::One | BitDepth::Two | BitDepth::Four => {
                    let bits = format.depth as usize;
                    let mask = (1u16 << bits) - 1;
                    for x in 0..format.width {
                        let bit = x * bits;
                        let shift = 8 - bits - bit % 8;
                        take((u16::from(line[bit / 8]) >> shift & mask) * scale);
                    }
                }
            }
        }
    }

    /// Appends the pixels of an image of one bit per pixel as 0 and 1.
    fn unpack_bits(&self, format: &Format, pixels: &mut Vec<u8>) {
        /// The bits of every byte, the leftmost pixel (highest bit) first.
        const BITS: [[u8; 8]; 256] = {
            let mut table = [[0; 8]; 256];
            let mut i = 0;
            while i < 256 * 8 {
                table[i / 8][i % 8] = ((i / 8) >> (7 - i % 8) & 1) as u8;
                i += 1;
            }
            table
        };
        if format.line == 0 {
            return;
        }
        pixels.reserve(format.height * format.width + 8);
        for (y, line) in self.raw.chunks_exact(format.line).enumerate() {
            for &byte in line {
                pixels.extend_from_slice(&BITS[usize::from(byte)]);
            }
            pixels.truncate((y + 1) * format.width);
        }
    }

    fn many_values(&self, path: &Path, format: &Format) -> MaskPngError {
        let mut seen = vec![false; usize::from(u16::MAX) + 1];
        self.each_sample(format, |value| seen[usize::from(value)] = true);
        MaskPngError::ManyValues {
            path: path.to_owned(),
            values: (0..=u16::MAX).filter(|&v| seen[usize::from(v)]).collect(),
        }
    }
}

/// Samples of a pixel in the file.
fn stored_channels(colour: ColorType) -> usize {
    match colour {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    }
}

/// Samples of a pixel that say something about the object: all but alpha.
fn channels(colour: ColorType) -> usize {
    match colour {
        ColorType::Rgb | ColorType::Rgba => 3,
        _ => 1,
    }
}

/// Whether every value is the smallest or the largest one. Without a branch per pixel, so that it
/// runs on vectors.
fn has_two_values_at_most(pixels: &[u8]) -> bool {
    let low = pixels.iter().fold(u8::MAX, |low, &p| low.min(p));
    let high = pixels.iter().fold(u8::MIN, |high, &p| high.max(p));
    pixels.chunks(4096).all(|chunk| {
        let others = chunk.iter().fold(0, |acc, &p| {
            acc | (u8::from(p != low) & u8::from(p != high))
        });
        others == 0
    })
}

#[cfg(test)]
#[path = "png_labels_tests.rs"]
mod tests;
