//! Annotation PNGs: masks of one object (SA-V) and label maps of several (DAVIS).
//!
//! Raw values count, as they do for the official evaluator (`numpy.array(Image.open(path))`): a
//! palette PNG gives its indices, not its colours.

use std::io::{self, Cursor, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};

use super::ImageError;
use super::header::{self, Format};
use crate::mask::Mask;
use crate::media::limits;

/// Object numbers per pixel, `height * width`, rows one after the other; 0 is background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Labels.
    pub data: Vec<u8>,
}

impl LabelMap {
    /// The mask of one label; `None` stands for every label but 0.
    pub fn mask(&self, label: Option<u8>) -> Mask {
        let mut mask = Mask::empty(self.height, self.width);
        for (pixel, &value) in mask.as_mut_slice().iter_mut().zip(&self.data) {
            *pixel = label.map_or(value > 0, |label| value == label);
        }
        mask
    }

    /// The labels that occur, ascending, without 0.
    pub fn labels(&self) -> Vec<u8> {
        let mut seen = [false; 256];
        for &value in &self.data {
            seen[usize::from(value)] = true;
        }
        (1..=255).filter(|&v| seen[usize::from(v)]).collect()
    }
}

/// One raw value per pixel, before anyone says what it means.
struct RawPixels {
    width: usize,
    height: usize,
    values: Vec<u16>,
}

/// Reads a mask of one object: every value above 0 is the object.
///
/// Greyscale of any depth and palettes are taken by their raw values; a colour PNG must be grey in
/// every pixel. An alpha channel must be opaque throughout.
///
/// # Errors
/// The file cannot be read, is no PNG, is cut or damaged, or holds more than two values (the
/// official evaluator refuses such masks as well).
pub fn read_mask_png(path: &Path) -> Result<Mask, ImageError> {
    let raw = read_raw(path)?;
    check_two_values(path, &raw.values)?;
    let mut mask = Mask::empty(raw.height, raw.width);
    for (pixel, &value) in mask.as_mut_slice().iter_mut().zip(&raw.values) {
        *pixel = value > 0;
    }
    Ok(mask)
}

/// Reads a map of labels: palette indices or greyscale values, 0 to 255.
///
/// # Errors
/// As [`read_mask_png`], except that any number of values up to 255 is fine.
pub fn read_label_png(path: &Path) -> Result<LabelMap, ImageError> {
    let raw = read_raw(path)?;
    let data = raw
        .values
        .iter()
        .map(|&v| u8::try_from(v))
        .collect::<Result<Vec<u8>, _>>()
        .map_err(|_| ImageError::NotLabels {
            path: path.to_owned(),
            detail: format!(
                "it holds value {}, above 255",
                raw.values.iter().max().copied().unwrap_or(0)
            ),
        })?;
    Ok(LabelMap {
        height: raw.height,
        width: raw.width,
        data,
    })
}

fn check_two_values(path: &Path, values: &[u16]) -> Result<(), ImageError> {
    let Some(&first) = values.first() else {
        return Ok(());
    };
    let other = values.iter().copied().find(|&v| v != first);
    let third = values.iter().find(|&&v| v != first && Some(v) != other);
    if third.is_none() {
        return Ok(());
    }
    let mut distinct = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut shown: Vec<String> = distinct.iter().take(8).map(u16::to_string).collect();
    if distinct.len() > shown.len() {
        shown.push("...".into());
    }
    Err(ImageError::NotBinary {
        path: path.to_owned(),
        count: distinct.len(),
        values: shown.join(", "),
    })
}

fn read_raw(path: &Path) -> Result<RawPixels, ImageError> {
    let bytes = limits::read_file(path).map_err(|e| ImageError::read(path, e))?;
    if header::sniff(path, &bytes)? == Format::Jpeg {
        return Err(ImageError::NotLabels {
            path: path.to_owned(),
            detail: "it is a JPEG, whose compression changes values".into(),
        });
    }
    let failed = |e: png::DecodingError| match e {
        png::DecodingError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            ImageError::truncated(
                path,
                format!("after {} bytes it ends inside its image data", bytes.len()),
            )
        }
        e => ImageError::damaged(path, e),
    };
    let mut decoder = png::Decoder::new(Cursor::new(&bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = reader.info().size();
    limits::check_size(width.into(), height.into()).map_err(|e| ImageError::damaged(path, e))?;
    let (width, height) = (width as usize, height as usize);
    let (colour, depth) = reader.output_color_type();
    let length = reader
        .output_buffer_size()
        .ok_or_else(|| ImageError::damaged(path, "its image is larger than memory"))?;
    let line = reader
        .output_line_size(reader.info().width)
        .ok_or_else(|| ImageError::damaged(path, "its rows are larger than memory"))?;
    let mut packed = limits::zeros(length).map_err(|e| ImageError::read(path, e))?;
    reader.next_frame(&mut packed).map_err(failed)?;

    let samples = colour.samples();
    let mut values = Vec::with_capacity(width * height);
    let mut row = Vec::with_capacity(width * samples);
    for packed_row in packed.chunks_exact(line.max(1)).take(height) {
        row.clear();
        unpack(packed_row, depth, width * samples, &mut row);
        if samples == 1 {
            values.extend_from_slice(&row);
        } else {
            flatten(path, &row, colour, depth, &mut values)?;
        }
    }
    Ok(RawPixels {
        width,
        height,
        values,
    })
}

/// Unpacks `count` samples of 1 to 16 bits, most significant bits first (PNG specification, 7.2).
fn unpack(packed: &[u8], depth: BitDepth, count: usize, out: &mut Vec<u16>) {
    match depth {
        BitDepth::Eight => out.extend(packed.iter().take(count).map(|&v| u16::from(v))),
        BitDepth::Sixteen => out.extend(
            packed
                .chunks_exact(2)
                .take(count)
                .map(|b| u16::from_be_bytes([b[0], b[1]])),
        ),
        BitDepth::One | BitDepth::Two | BitDepth::Four => {
            let bits = depth as u8;
            let per_byte = 8 / usize::from(bits);
            let ones = (1u8 << bits) - 1;
            out.extend((0..count).map_while(|i| {
                let byte = packed.get(i / per_byte)?;
                let shift = 8 - bits * (1 + (i % per_byte) as u8);
                Some(u16::from((byte >> shift) & ones))
            }));
        }
    }
}

/// Takes colour and alpha off a row, which must not carry meaning of their own.
fn flatten(
    path: &Path,
    row: &[u16],
    colour: ColorType,
    depth: BitDepth,
    out: &mut Vec<u16>,
) -> Result<(), ImageError> {
    let refused = |detail: String| ImageError::NotLabels {
        path: path.to_owned(),
        detail,
    };
    let opaque = if depth == BitDepth::Sixteen {
        u16::MAX
    } else {
        u16::from(u8::MAX)
    };
    for pixel in row.chunks_exact(colour.samples()) {
        let (value, alpha) = match *pixel {
            [v, alpha] => (v, alpha),
            [r, g, b] | [r, g, b, _] if r != g || g != b => {
                return Err(refused(format!("it has a pixel of colour ({r}, {g}, {b})")));
            }
            [v, _, _] => (v, opaque),
            [v, _, _, alpha] => (v, alpha),
            _ => (0, opaque),
        };
        if alpha != opaque {
            return Err(refused(format!("it has a pixel of opacity {alpha}")));
        }
        out.push(value);
    }
    Ok(())
}

/// Writes a mask as a 1-bit greyscale PNG (0 background, 1 object).
///
/// PIL opens it with mode `1` and OpenCV as 0 and 255; the official evaluator's
/// `numpy.array(Image.open(path)) > 0` gives the mask.
///
/// # Errors
/// The file cannot be created or written.
pub fn write_mask_png(path: &Path, mask: &Mask) -> Result<(), ImageError> {
    let encoded = encode(mask).map_err(|e| ImageError::write(path, e))?;
    crate::files::create(path)
        .and_then(|mut file| file.write_all(&encoded))
        .map_err(|e| ImageError::write(path, e))
}

fn encode(mask: &Mask) -> io::Result<Vec<u8>> {
    let side =
        |n: usize| u32::try_from(n).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e));
    let (width, height) = (side(mask.width())?, side(mask.height())?);
    let line = mask.width().div_ceil(8);
    let mut packed = vec![0u8; line * mask.height()];
    for (y, to) in packed.chunks_exact_mut(line.max(1)).enumerate() {
        for (byte, pixels) in to.iter_mut().zip(mask.row(y).chunks(8)) {
            for (bit, &pixel) in pixels.iter().enumerate() {
                *byte |= u8::from(pixel) << (7 - bit);
            }
        }
    }
    let mut encoded = Vec::new();
    let mut encoder = png::Encoder::new(&mut encoded, width, height);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    encoder.set_compression(png::Compression::Fast);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&packed))
        .map_err(io::Error::from)?;
    Ok(encoded)
}
