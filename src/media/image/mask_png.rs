//! Annotation PNGs: masks of one object and label maps of several. The one reader of them, for
//! prompts, ground truth and predictions alike.
//!
//! | file | number of a pixel |
//! |---|---|
//! | palette, 1 to 8 bits | its index, never its colour |
//! | grey, 1 to 16 bits | its raw sample: 1 is 1 at every depth |
//! | RGB | grey (r = g = b): that value; a colour of the DAVIS palette: its index; any other: r + 256 g + 65536 b, as Cutie numbers colours |
//! | alpha | must say what the colour says: opaque, or transparent where the colour is 0 |
//!
//! 0 is the background. A mask of one object holds two numbers at most, and what is above 0 is the
//! object, as in the official evaluator (`numpy.array(Image.open(path)) > 0`). Pillow scales grey of
//! 2 and 4 bits to 8 bits, so that the evaluator numbers such objects 85 and 17 times higher; their
//! pixels are the same.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};

use super::ImageError;
use super::header::{self, Format};
use crate::mask::Mask;
use crate::media::limits;

/// Object numbers per pixel, `height * width`, rows one after the other; 0 is background.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelMap {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Labels.
    pub data: Vec<u32>,
}

impl LabelMap {
    /// The mask of one label; `None` stands for every label but 0.
    pub fn mask(&self, label: Option<u32>) -> Mask {
        let mut mask = Mask::empty(self.height, self.width);
        for (pixel, &value) in mask.as_mut_slice().iter_mut().zip(&self.data) {
            *pixel = label.map_or(value > 0, |label| value == label);
        }
        mask
    }

    /// The labels that occur, ascending, without 0.
    pub fn labels(&self) -> BTreeSet<u32> {
        let mut labels = BTreeSet::new();
        let mut last = 0;
        for &value in &self.data {
            if value != last {
                labels.insert(value);
                last = value;
            }
        }
        labels.remove(&0);
        labels
    }
}

/// Reads label PNGs, keeping its buffer between them.
#[derive(Clone, Debug, Default)]
pub struct LabelReader {
    packed: Vec<u8>,
}

/// Reads a mask of one object: every number above 0 is the object.
///
/// # Errors
/// As [`LabelReader::binary`].
pub fn read_mask_png(path: &Path) -> Result<Mask, ImageError> {
    let mut map = LabelMap::default();
    LabelReader::default().binary(path, &mut map)?;
    Ok(map.mask(None))
}

/// Reads a map of labels.
///
/// # Errors
/// As [`LabelReader::labels`].
pub fn read_label_png(path: &Path) -> Result<LabelMap, ImageError> {
    let mut map = LabelMap::default();
    LabelReader::default().labels(path, &mut map)?;
    Ok(map)
}

impl LabelReader {
    /// Reads a mask of one object into `out`: what is above 0 is the object.
    ///
    /// # Errors
    /// As [`Self::labels`], and for more than two numbers (the official evaluator refuses such
    /// masks as well).
    pub fn binary(&mut self, path: &Path, out: &mut LabelMap) -> Result<(), ImageError> {
        self.labels(path, out)?;
        check_two_values(path, &out.data)
    }

    /// Reads a map of labels into `out`.
    ///
    /// # Errors
    /// The file cannot be read, is not a PNG, is cut or damaged, or its alpha channel and its colours
    /// say different things.
    pub fn labels(&mut self, path: &Path, out: &mut LabelMap) -> Result<(), ImageError> {
        let bytes = limits::read_file(path).map_err(|e| ImageError::read(path, e))?;
        if header::sniff(path, &bytes)? == Format::Jpeg {
            return Err(ImageError::NotLabels {
                path: path.to_owned(),
                detail: "it is a JPEG, whose compression changes values".into(),
            });
        }
        let failed = |e: png::DecodingError| match e {
            png::DecodingError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                let detail = format!("after {} bytes it ends inside its image data", bytes.len());
                ImageError::truncated(path, detail)
            }
            e => ImageError::damaged(path, e),
        };
        let mut decoder = png::Decoder::new(Cursor::new(&bytes));
        decoder.set_transformations(Transformations::IDENTITY);
        // Before anything behind the size is believed.
        let (width, height) = decoder.read_header_info().map_err(failed)?.size();
        limits::check_size(width.into(), height.into())
            .map_err(|e| ImageError::damaged(path, e))?;
        let mut reader = decoder.read_info().map_err(failed)?;
        let length = reader
            .output_buffer_size()
            .ok_or_else(|| ImageError::damaged(path, "its image is larger than memory"))?;
        let no_memory = |e| ImageError::read(path, e);
        limits::fill_zeros(&mut self.packed, length).map_err(no_memory)?;
        let info = reader.next_frame(&mut self.packed).map_err(failed)?;
        (out.height, out.width) = (height as usize, width as usize);
        out.data.clear();
        let pixels = out.height * out.width;
        let reserved = out.data.try_reserve_exact(pixels);
        reserved.map_err(|e| no_memory(e.into()))?;
        let samples = info.color_type.samples();
        let mut row = Vec::with_capacity(out.width * samples);
        let rows = self.packed.chunks_exact(info.line_size.max(1));
        for packed in rows.take(out.height) {
            if samples == 1 && info.bit_depth == BitDepth::Eight {
                out.data
                    .extend(packed.iter().take(out.width).map(|&v| u32::from(v)));
                continue;
            }
            row.clear();
            unpack(packed, info.bit_depth, out.width * samples, &mut row);
            if samples == 1 {
                out.data.extend(row.iter().map(|&v| u32::from(v)));
            } else {
                flatten(path, &row, info.color_type, info.bit_depth, &mut out.data)?;
            }
        }
        Ok(())
    }
}

fn check_two_values(path: &Path, values: &[u32]) -> Result<(), ImageError> {
    let low = values.iter().fold(u32::MAX, |low, &v| low.min(v));
    let high = values.iter().fold(u32::MIN, |high, &v| high.max(v));
    if values.iter().all(|&v| v == low || v == high) {
        return Ok(());
    }
    let distinct: BTreeSet<u32> = values.iter().copied().collect();
    let mut shown: Vec<String> = distinct.iter().take(8).map(u32::to_string).collect();
    if distinct.len() > shown.len() {
        shown.push("...".into());
    }
    Err(ImageError::NotBinary {
        path: path.to_owned(),
        count: distinct.len(),
        values: shown.join(", "),
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

/// Turns the colours and opacities of a row into numbers.
fn flatten(
    path: &Path,
    row: &[u16],
    colour: ColorType,
    depth: BitDepth,
    out: &mut Vec<u32>,
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
        let (rgb, alpha) = match *pixel {
            [v, alpha] => ([v; 3], alpha),
            [r, g, b] => ([r, g, b], opaque),
            [r, g, b, alpha] => ([r, g, b], alpha),
            _ => ([0; 3], opaque),
        };
        let number = number(rgb, depth)
            .ok_or_else(|| refused(format!("it has a pixel of the 16-bit colour {rgb:?}")))?;
        if alpha != opaque && (alpha != 0 || number != 0) {
            return Err(refused(format!(
                "a pixel of value {number} has opacity {alpha} of {opaque}, so that colours and \
                 alpha channel show different masks"
            )));
        }
        out.push(number);
    }
    Ok(())
}

/// The object number that a colour stands for; `None` for a colour that 8 bits cannot hold.
fn number([r, g, b]: [u16; 3], depth: BitDepth) -> Option<u32> {
    let narrow = |v: u16| match depth {
        BitDepth::Sixteen if v >> 8 == v & 0xff => Some(u32::from(v & 0xff)),
        BitDepth::Sixteen => None,
        _ => Some(u32::from(v)),
    };
    if r == g && g == b && depth == BitDepth::Sixteen {
        return Some(u32::from(r));
    }
    let (r, g, b) = (narrow(r)?, narrow(g)?, narrow(b)?);
    if r | g | b != 0 && r & 0x1f == 0 && g & 0x1f == 0 && b & 0x3f == 0 {
        // The palette of PASCAL VOC and DAVIS: bit 3n of an index is a high bit of red, bit 3n+1 of
        // green, bit 3n+2 of blue, the lowest n at the top.
        let bit = |v: u32, n: u32| v >> (7 - n) & 1;
        return Some((0..3).fold(0, |index, n| {
            index | bit(r, n) << (3 * n) | bit(g, n) << (3 * n + 1) | bit(b, n) << (3 * n + 2)
        }));
    }
    Some(if r == g && g == b {
        r
    } else {
        r + 256 * g + 65536 * b
    })
}

/// Writes a mask as a 1-bit greyscale PNG (0 background, 1 object).
///
/// PIL opens it with mode `1` and OpenCV as 0 and 255; the official evaluator's
/// `numpy.array(Image.open(path)) > 0` gives the mask.
///
/// # Errors
/// The file cannot be created or written.
pub fn write_mask_png(path: &Path, mask: &Mask) -> Result<(), ImageError> {
    let line = mask.width().div_ceil(8);
    let mut packed = vec![0u8; line * mask.height()];
    for (y, to) in packed.chunks_exact_mut(line.max(1)).enumerate() {
        for (byte, pixels) in to.iter_mut().zip(mask.row(y).chunks(8)) {
            for (bit, &pixel) in pixels.iter().enumerate() {
                *byte |= u8::from(pixel) << (7 - bit);
            }
        }
    }
    let size = (mask.width(), mask.height());
    write(path, size, &packed, |encoder| {
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
    })
}

/// Writes a label map: as an 8-bit palette PNG with the colours of DAVIS where labels go to 255, as
/// 16-bit greyscale where they are larger.
///
/// # Errors
/// The file cannot be created or written; a label above 65535.
pub fn write_label_png(path: &Path, map: &LabelMap) -> Result<(), ImageError> {
    let size = (map.width, map.height);
    let narrow: Result<Vec<u8>, _> = map.data.iter().map(|&v| u8::try_from(v)).collect();
    if let Ok(indices) = narrow {
        return write(path, size, &indices, |encoder| {
            encoder.set_color(ColorType::Indexed);
            encoder.set_depth(BitDepth::Eight);
            encoder.set_palette((0..=u8::MAX).flat_map(davis_colour).collect::<Vec<u8>>());
        });
    }
    let wide: Result<Vec<u16>, _> = map.data.iter().map(|&v| u16::try_from(v)).collect();
    let wide = wide.map_err(|_| ImageError::NotLabels {
        path: path.to_owned(),
        detail: "it would hold labels above 65535".to_owned(),
    })?;
    let bytes: Vec<u8> = wide.into_iter().flat_map(u16::to_be_bytes).collect();
    write(path, size, &bytes, |encoder| {
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Sixteen);
    })
}

/// The colour of a label in the palette of PASCAL VOC and DAVIS; see [`number`] for the bits.
fn davis_colour(label: u8) -> [u8; 3] {
    let channel = |c: u8| {
        (0..3u8).fold(0, |v, n| {
            let bit = label.checked_shr(u32::from(3 * n + c)).unwrap_or(0) & 1;
            v | bit << (7 - n)
        })
    };
    [channel(0), channel(1), channel(2)]
}

/// Encodes rows that are packed already, and writes them.
fn write(
    path: &Path,
    (width, height): (usize, usize),
    packed: &[u8],
    kind: impl FnOnce(&mut png::Encoder<'_, &mut Vec<u8>>),
) -> Result<(), ImageError> {
    let side =
        |n: usize| u32::try_from(n).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e));
    let encode = || -> io::Result<Vec<u8>> {
        let mut encoded = Vec::new();
        let mut encoder = png::Encoder::new(&mut encoded, side(width)?, side(height)?);
        kind(&mut encoder);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().map_err(io::Error::from)?;
        writer.write_image_data(packed).map_err(io::Error::from)?;
        writer.finish().map_err(io::Error::from)?;
        Ok(encoded)
    };
    let write = || -> io::Result<()> {
        let encoded = encode()?;
        crate::files::create(path)?.write_all(&encoded)
    };
    write().map_err(|e| ImageError::write(path, e))
}
