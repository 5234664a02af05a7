//! Folder listings in a fixed order, lists of videos, and names as frame numbers.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::DatasetError;

fn read_error(path: &Path, source: io::Error) -> DatasetError {
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
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (number.trim_start_matches('0'), rest)
}

/// Names of the sub-folders, hidden ones left out, in natural order.
pub(super) fn folders(dir: &Path) -> Result<Vec<String>, DatasetError> {
    names(dir, |path, _| path.is_dir())
}

/// Files with one of the (lower-case) extensions, hidden ones left out, in natural order.
pub(super) fn files(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DatasetError> {
    let names = names(dir, |_, name| {
        Path::new(name)
            .extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| extensions.contains(&e.to_ascii_lowercase().as_str()))
    })?;
    Ok(names.iter().map(|name| dir.join(name)).collect())
}

fn names(dir: &Path, keep: impl Fn(&Path, &str) -> bool) -> Result<Vec<String>, DatasetError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| read_error(dir, e))? {
        let entry = entry.map_err(|e| read_error(dir, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && keep(&entry.path(), &name) {
            found.push(name);
        }
    }
    found.sort_by(|a, b| natural(a, b));
    Ok(found)
}

/// The lines of a list of videos; blank ones are skipped.
pub(super) fn read_list(path: &Path) -> Result<Vec<String>, DatasetError> {
    let text = fs::read_to_string(path).map_err(|e| read_error(path, e))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The frames of a video, and which of them a number or a name in an annotation means.
pub(super) struct FrameIndex {
    pub frames: Vec<PathBuf>,
    by_name: HashMap<String, usize>,
    /// Whether a number is a position rather than a name.
    positional: bool,
}

const FRAME_EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

impl FrameIndex {
    /// Lists the frames in `dir`.
    ///
    /// In SA-V an annotation's number is a position in the sorted list. That holds for files
    /// without numbers as names, and for numbers that run from 0 or from 1. Where the numbers have
    /// gaps or start elsewhere (a clip cut or thinned out), positions would point to wrong frames:
    /// then the number is the name. In DAVIS it always is.
    pub fn of(dir: &Path, video: &str, by_position: bool) -> Result<Self, DatasetError> {
        let frames = files(dir, &FRAME_EXTENSIONS)?;
        if frames.is_empty() {
            return Err(DatasetError::NoFrames {
                video: video.to_owned(),
                path: dir.to_owned(),
            });
        }
        let mut by_name: HashMap<String, usize> = HashMap::with_capacity(frames.len());
        for (index, path) in frames.iter().enumerate() {
            let name = canonical(&stem(path));
            if let Some(first) = by_name.insert(name.clone(), index) {
                return Err(DatasetError::FrameTwice {
                    video: video.to_owned(),
                    number: name,
                    first: frames[first].clone(),
                    second: path.clone(),
                });
            }
        }
        let number = |path: &PathBuf| stem(path).parse::<usize>().ok();
        let numbers: Option<Vec<usize>> = frames.iter().map(number).collect();
        let running = numbers.is_none_or(|numbers| {
            let first = numbers.first().copied().unwrap_or(0);
            first <= 1 && numbers.iter().enumerate().all(|(i, &n)| n == first + i)
        });
        Ok(Self {
            frames,
            by_name,
            positional: by_position && running,
        })
    }

    /// The frame that an annotation file belongs to.
    pub fn frame_of(&self, annotation: &Path, video: &str) -> Result<usize, DatasetError> {
        let stem = stem(annotation);
        let found = if self.positional {
            let number: usize = stem.parse().map_err(|_| DatasetError::NotANumber {
                path: annotation.to_owned(),
            })?;
            (number < self.frames.len()).then_some(number)
        } else {
            self.by_name.get(&canonical(&stem)).copied()
        };
        found.ok_or_else(|| DatasetError::NoFrameFor {
            path: annotation.to_owned(),
            video: video.to_owned(),
            detail: self.describe(),
        })
    }

    fn describe(&self) -> String {
        let count = self.frames.len();
        let name = |path: Option<&PathBuf>| path.map(|p| stem(p)).unwrap_or_default();
        if self.positional {
            format!("frames 0 to {}", count.saturating_sub(1))
        } else {
            format!(
                "{count} frames, named {} to {}, and none of that name",
                name(self.frames.first()),
                name(self.frames.last())
            )
        }
    }
}

pub(super) fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A name without the zeros in front of a plain number, so that 00004 and 4 are one.
fn canonical(stem: &str) -> String {
    if !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit()) {
        let number = stem.trim_start_matches('0');
        return if number.is_empty() { "0" } else { number }.to_owned();
    }
    stem.to_owned()
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
    fn zeros_in_front_do_not_count() {
        assert_eq!(canonical("00004"), "4");
        assert_eq!(canonical("000"), "0");
        assert_eq!(canonical("f004"), "f004");
    }
}
