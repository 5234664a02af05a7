//! Folder listings in a fixed order, and lists of videos.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use super::DatasetError;
use crate::media::limits;

/// What systems and tools leave in folders beside the data (compared without regard to case).
const FOREIGN: [&str; 12] = [
    "@eadir",
    "@recycle",
    "@tmp",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "__macosx",
    "desktop.ini",
    "icon\r",
    "lost+found",
    "system volume information",
    "thumbs.db",
];

pub(super) fn read_error(path: &Path, source: io::Error) -> DatasetError {
    DatasetError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Compares names with runs of digits by their numbers, so that 2 comes before 10; names of equal
/// numbers compare as text. Zero-padded names sort as plain text does.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a, b);
    loop {
        let (Some(p), Some(q)) = (x.chars().next(), y.chars().next()) else {
            return x.len().cmp(&y.len()).then_with(|| a.cmp(b));
        };
        let order = if p.is_ascii_digit() && q.is_ascii_digit() {
            let (n, rest_x) = digits(x);
            let (m, rest_y) = digits(y);
            (x, y) = (rest_x, rest_y);
            n.len().cmp(&m.len()).then_with(|| n.cmp(m))
        } else {
            x = &x[p.len_utf8()..];
            y = &y[q.len_utf8()..];
            p.cmp(&q)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The leading digits without leading zeros, and the rest.
pub(super) fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

/// Names in a folder, in natural order. Hidden ones are left out; those of systems and tools are
/// left out and counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Folders.
    pub folders: Vec<String>,
    /// Files of every kind.
    pub files: Vec<String>,
    /// What systems and tools left there, and names that are not Unicode text.
    pub foreign: Vec<String>,
}

impl Listing {
    /// Lists a folder.
    ///
    /// # Errors
    /// [`DatasetError::Read`].
    pub fn of(dir: &Path) -> Result<Self, DatasetError> {
        let mut listing = Self::default();
        for entry in fs::read_dir(dir).map_err(|e| read_error(dir, e))? {
            let entry = entry.map_err(|e| read_error(dir, e))?;
            let name = match entry.file_name().into_string() {
                Ok(name) => name,
                Err(name) => {
                    listing.foreign.push(name.to_string_lossy().into_owned());
                    continue;
                }
            };
            if name.starts_with('.') {
                continue;
            }
            let kind = entry.file_type().map_err(|e| read_error(dir, e))?;
            if FOREIGN.contains(&name.to_lowercase().as_str()) {
                listing.foreign.push(name);
            } else if kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()) {
                listing.folders.push(name);
            } else {
                listing.files.push(name);
            }
        }
        for names in [&mut listing.folders, &mut listing.files] {
            names.sort_by(|a, b| natural(a, b));
        }
        Ok(listing)
    }

    /// Files with one of the (lower-case) extensions.
    pub fn with_extension(&self, extensions: &[&str]) -> Vec<String> {
        let wanted = |name: &&String| {
            let extension = Path::new(name).extension().and_then(|e| e.to_str());
            extension.is_some_and(|e| extensions.contains(&e.to_ascii_lowercase().as_str()))
        };
        self.files.iter().filter(wanted).cloned().collect()
    }
}

/// A name in Unicode's composed form: macOS writes names of files decomposed, lists are composed.
pub(crate) fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// The name in `names` that is `wanted`, in whichever Unicode form.
pub(crate) fn find<'n>(names: &'n [String], wanted: &str) -> Option<&'n String> {
    let same = |name: &&String| name.as_str() == wanted || composed(name) == composed(wanted);
    names.iter().find(same)
}

/// The videos of a list, one a line, blank lines and comments (`#`) skipped. A line of DAVIS 2016
/// names a frame and its mask; the video is their folder, and is taken once.
pub(super) fn read_list(path: &Path) -> Result<Vec<String>, DatasetError> {
    let bytes = limits::read_file(path).map_err(|e| read_error(path, e))?;
    let text = text_of(&bytes).ok_or_else(|| DatasetError::NotText {
        path: path.to_owned(),
    })?;
    let mut videos: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match video_of_pair(line) {
            Some(video) if videos.last() == Some(&video) => {}
            Some(video) => videos.push(video),
            None => videos.push(line.trim_end_matches('/').to_owned()),
        }
    }
    Ok(videos)
}

/// The video of a line `/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png`.
fn video_of_pair(line: &str) -> Option<String> {
    let frame = Path::new(line.split_whitespace().next()?);
    let extension = frame.extension()?.to_str()?.to_ascii_lowercase();
    let folder = frame.parent()?.file_name()?.to_str()?;
    ["jpg", "jpeg", "png"]
        .contains(&extension.as_str())
        .then(|| folder.to_owned())
}

/// UTF-8, or UTF-16 by its mark or its zeros (Windows editors write it).
fn text_of(bytes: &[u8]) -> Option<String> {
    let wide = |bytes: &[u8], word: fn([u8; 2]) -> u16| {
        let words: Vec<u16> = bytes.chunks_exact(2).map(|b| word([b[0], b[1]])).collect();
        String::from_utf16(&words).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0, second, ..] if *second != 0 => wide(bytes, u16::from_be_bytes),
        [first, 0, ..] if *first != 0 => wide(bytes, u16::from_le_bytes),
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(text.trim_start_matches('\u{feff}').to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_their_numbers() {
        let mut names = ["10", "2", "002", "a10", "a9", "1", "a", "b1x2", "b1x10", ""];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            ["", "1", "002", "2", "10", "a", "a9", "a10", "b1x2", "b1x10"]
        );
    }

    #[test]
    fn lists_of_every_encoding_and_kind_name_the_same_videos() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("val.txt");
        let wide = |order: fn(u16) -> [u8; 2]| {
            let words = "\u{feff}bear\r\ndog\r\n".encode_utf16();
            words.flat_map(order).collect::<Vec<u8>>()
        };
        let bare: Vec<u8> = "bear\ndog"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [
            b"bear\ndog\n".to_vec(),
            b"\xef\xbb\xbfbear\r\n\r\n# comment\r\ndog/".to_vec(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
            bare,
            b"/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n\
              /JPEGImages/480p/bear/00001.jpg /Annotations/480p/bear/00001.png\n\
              /JPEGImages/480p/dog/00000.jpg /Annotations/480p/dog/00000.png"
                .to_vec(),
        ] {
            fs::write(&path, &bytes).unwrap();
            assert_eq!(read_list(&path).unwrap(), ["bear", "dog"], "{bytes:?}");
        }
        fs::write(&path, b"b\xe4r\n").unwrap();
        let error = read_list(&path).unwrap_err().to_string();
        assert!(error.contains("neither UTF-8 nor UTF-16"), "{error}");
    }

    #[test]
    fn composed_and_decomposed_names_are_one() {
        let names = ["u\u{308}bung".to_owned()];
        assert_eq!(find(&names, "\u{fc}bung"), Some(&names[0]));
        assert_eq!(find(&names, "ubung"), None);
    }
}
