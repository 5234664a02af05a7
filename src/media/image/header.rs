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
/// Application segment 1, where EXIF is.
const APP1: u8 = 0xe1;

/// Tells the format from the first bytes of a file.
pub(crate) fn sniff(path: &Path, start: &[u8]) -> Result<Format, ImageError> {
    if start.starts_with(&[0xff, SOI]) {
        Ok(Format::Jpeg)
    } else if start.starts_with(&PNG_SIGNATURE) {
        Ok(Format::Png)
    } else if start.is_empty() {
        Err(ImageError::truncated(path, "the file is empty"))
    } else {
        Err(ImageError::UnknownFormat {
            path: path.to_owned(),
            found: found(start),
        })
    }
}

/// What a file is that is neither JPEG nor PNG, and what helps.
fn found(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start).to_ascii_lowercase();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    let image = match start {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "a WebP image",
        [b'B', b'M', ..] => "a BMP image",
        [b'G', b'I', b'F', b'8', ..] => "a GIF image",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "a TIFF image",
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => "an AVIF image",
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', ..] => "a HEIC image",
        _ if text.starts_with("version https://git-lfs") => {
            return "it is a Git LFS pointer, the file itself was not fetched: run `git lfs pull` in \
                    the dataset's repository"
                .to_owned();
        }
        _ if text.starts_with("<!doctype html") || text.starts_with("<html") => {
            return "it is a web page that was saved under this name: download the file again"
                .to_owned();
        }
        _ => {
            let bytes: Vec<String> = start.iter().take(4).map(|b| format!("{b:02x}")).collect();
            return format!(
                "it starts with {}: remove it or extract it again",
                bytes.join(" ")
            );
        }
    };
    format!("it is {image}: convert it to JPEG (frames) or PNG (masks)")
}

/// Width and height in pixels from the header of a JPEG or PNG file.
///
/// # Errors
/// The file cannot be read, is of another format, ends before its size is told, or asks to be
/// turned (see `check_upright`).
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
            let mut turned = None;
            let size = jpeg_size(reader, &mut turned).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => {
                    ImageError::truncated(path, "it ends inside its header")
                }
                io::ErrorKind::InvalidData => ImageError::damaged(path, e),
                _ => ImageError::read(path, e),
            })?;
            check_upright(path, turned)?;
            size
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

/// Reads segments until a start-of-frame. `None` when a scan or the end comes first. An EXIF
/// orientation on the way goes to `turned`.
fn jpeg_size(
    reader: &mut (impl Read + Seek),
    turned: &mut Option<u16>,
) -> io::Result<Option<(usize, usize)>> {
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
        if marker == APP1 {
            let mut segment = Vec::new();
            let wanted = u64::try_from(length - 2).unwrap_or(0);
            Read::by_ref(reader)
                .take(wanted)
                .read_to_end(&mut segment)?;
            *turned = turned.or(orientation(&segment));
            continue;
        }
        reader.seek(io::SeekFrom::Current(length - 2))?;
    }
}

/// The orientation in an APP1 segment (Exif 2.32, 4.6.4: tag 0x0112 of the 0th IFD), where it asks
/// for the picture to be turned or mirrored.
fn orientation(segment: &[u8]) -> Option<u16> {
    let tiff = segment.strip_prefix(b"Exif\0\0")?;
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at: usize| -> Option<u16> {
        let bytes: [u8; 2] = tiff.get(at..at + 2)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let long = |at: usize| -> Option<usize> {
        let bytes: [u8; 4] = tiff.get(at..at + 4)?.try_into().ok()?;
        let value = if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        usize::try_from(value).ok()
    };
    let ifd = long(4)?;
    let entries = (0..usize::from(short(ifd)?)).map(|n| ifd + 2 + 12 * n);
    let mut tags = entries.filter(|&at| short(at) == Some(0x0112));
    short(tags.next()? + 8).filter(|value| (2..=8).contains(value))
}

/// Refuses a picture that asks to be turned. Viewers, OpenCV and annotation tools turn it, Pillow
/// and SAM 2's loader do not: which way up its masks are drawn cannot be told from the files.
fn check_upright(path: &Path, orientation: Option<u16>) -> Result<(), ImageError> {
    let Some(value) = orientation else {
        return Ok(());
    };
    let shown = match value {
        3 | 4 => "turned by 180 degrees",
        5..=8 => "turned by 90 degrees",
        _ => "mirrored",
    };
    Err(ImageError::Turned {
        path: path.to_owned(),
        value,
        shown,
    })
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

/// Checks that a JPEG in memory runs from its start to its end-of-image marker, and that it does
/// not ask to be turned.
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
        if marker == APP1
            && let Some(segment) = bytes.get(at + 2..at + length)
        {
            check_upright(path, orientation(segment))?;
        }
        at += length;
        if at > bytes.len() {
            return Err(cut("inside a segment"));
        }
        if marker == SOS {
            scans += 1;
        }
    }
}
