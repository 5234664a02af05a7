//! Reads sizes from headers, and tells a whole JPEG from a cut one, without decoding pixels.
//!
//! libjpeg fills what is missing with grey and only warns, so that a cut frame would pass as a
//! frame; the walk over the markers here (ITU-T T.81, annex B) finds it.

use std::fs::OpenOptions;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::ImageError;
use crate::media::limits;

/// The image formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
}

const PNG_SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// Start-of-image, end-of-image and start-of-scan markers.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// Tells the format from the first bytes of a file.
pub(crate) fn sniff(path: &Path, start: &[u8]) -> Result<Format, ImageError> {
    if start.starts_with(&[0xff, SOI]) {
        Ok(Format::Jpeg)
    } else if start.starts_with(&PNG_SIGNATURE) {
        Ok(Format::Png)
    } else if start.is_empty() {
        Err(ImageError::truncated(path, "the file is empty"))
    } else {
        let bytes: Vec<String> = start.iter().take(4).map(|b| format!("{b:02x}")).collect();
        Err(ImageError::UnknownFormat {
            path: path.to_owned(),
            found: format!("it starts with {}", bytes.join(" ")),
        })
    }
}

/// Width and height in pixels from the header of a JPEG or PNG file, as stored: an EXIF
/// orientation is ignored, as it is when decoding.
///
/// # Errors
/// The file cannot be read, is of another format, or ends before its size is told.
pub fn probe_size(path: &Path) -> Result<(usize, usize), ImageError> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe must not block; it gives no header.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(|e| ImageError::read(path, e))?;
    size_from(path, &mut BufReader::with_capacity(4096, file))
}

/// [`probe_size`] of a file in memory.
pub(crate) fn size_in(path: &Path, bytes: &[u8]) -> Result<(usize, usize), ImageError> {
    size_from(path, &mut io::Cursor::new(bytes))
}

fn size_from(path: &Path, reader: &mut (impl Read + Seek)) -> Result<(usize, usize), ImageError> {
    let mut start = Vec::with_capacity(24);
    Read::by_ref(reader)
        .take(24)
        .read_to_end(&mut start)
        .map_err(|e| ImageError::read(path, e))?;
    let size = match sniff(path, &start)? {
        Format::Png => png_size(&start),
        Format::Jpeg => {
            reader
                .seek(io::SeekFrom::Start(2))
                .map_err(|e| ImageError::read(path, e))?;
            jpeg_size(reader).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => {
                    ImageError::truncated(path, "it ends inside its header")
                }
                io::ErrorKind::InvalidData => ImageError::damaged(path, e),
                _ => ImageError::read(path, e),
            })?
        }
    };
    match size {
        Some((width, height)) if width > 0 && height > 0 => {
            limits::check_size(width as u64, height as u64)
                .map_err(|e| ImageError::damaged(path, e))?;
            Ok((width, height))
        }
        Some((width, height)) => Err(ImageError::damaged(
            path,
            format!("its header says {width}x{height} pixels"),
        )),
        None => Err(ImageError::truncated(path, "it ends inside its header")),
    }
}

fn png_size(start: &[u8]) -> Option<(usize, usize)> {
    if start.get(12..16)? != b"IHDR" {
        return None;
    }
    let word = |at: usize| -> Option<usize> {
        let bytes: [u8; 4] = start.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    };
    Some((word(16)?, word(20)?))
}

/// Reads segments until a start-of-frame. `None` when a scan or the end comes first.
fn jpeg_size(reader: &mut (impl Read + Seek)) -> io::Result<Option<(usize, usize)>> {
    loop {
        let marker = next_marker(reader)?;
        match marker {
            0x01 | 0xd0..=0xd7 => continue,
            SOS | EOI => return Ok(None),
            _ => {}
        }
        let mut length = [0u8; 2];
        reader.read_exact(&mut length)?;
        let length = i64::from(u16::from_be_bytes(length));
        if length < 2 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("segment ff{marker:02x} has length {length}"),
            ));
        }
        if is_start_of_frame(marker) {
            let mut frame = [0u8; 5];
            reader.read_exact(&mut frame)?;
            let height = usize::from(u16::from_be_bytes([frame[1], frame[2]]));
            let width = usize::from(u16::from_be_bytes([frame[3], frame[4]]));
            return Ok(Some((width, height)));
        }
        reader.seek(io::SeekFrom::Current(length - 2))?;
    }
}

/// SOF0 to SOF15 without DHT (c4), JPG (c8) and DAC (cc).
fn is_start_of_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

fn next_marker(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0u8; 1];
    loop {
        reader.read_exact(&mut byte)?;
        if byte[0] != 0xff {
            continue;
        }
        while byte[0] == 0xff {
            reader.read_exact(&mut byte)?;
        }
        if byte[0] != 0 {
            return Ok(byte[0]);
        }
    }
}

/// Checks that a JPEG in memory runs from its start to its end-of-image marker.
pub(crate) fn check_jpeg_is_whole(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let cut = |what: &str| {
        ImageError::truncated(path, format!("after {} bytes it ends {what}", bytes.len()))
    };
    let mut at = 2;
    let mut scans = 0;
    loop {
        // Find ff followed by a marker code; stuffed zeros and restarts are part of a scan.
        let Some(step) = bytes
            .get(at..)
            .and_then(|b| b.iter().position(|&v| v == 0xff))
        else {
            return Err(cut(if scans > 0 {
                "inside its image data"
            } else {
                "inside its header"
            }));
        };
        at += step;
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        let Some(&marker) = bytes.get(at) else {
            return Err(cut("inside a marker"));
        };
        at += 1;
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => continue,
            EOI if scans > 0 => return Ok(()),
            EOI => return Err(cut("before its image data")),
            _ => {}
        }
        let Some(length) = bytes.get(at..at + 2) else {
            return Err(cut("inside a segment"));
        };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
        at += length;
        if at > bytes.len() {
            return Err(cut("inside a segment"));
        }
        if marker == SOS {
            scans += 1;
        }
    }
}
