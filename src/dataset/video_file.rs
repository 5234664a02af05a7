//! Video files and folders of frames as a split: each is a video, every prompt an object, and there
//! is not a ground truth.

use super::listing::Listing;
use super::pairing::{Frames, stem};
use super::{DatasetError, Layout, ObjectTrack, Split, Video};
use crate::dataset::prompts::{GivenError, GivenPrompt};
use crate::media::image::probe_size;
use crate::media::video::VideoFile;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a person gives as a video.
#[derive(Clone, Debug, PartialEq)]
pub enum Clip {
    /// A video file.
    File(VideoFile),
    /// The frames of a folder.
    Frames(FrameFolder),
}

/// A folder of frames, or those of its pictures that a pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameFolder {
    /// The folder or the pattern, as it was given.
    pub path: PathBuf,
    /// What the video is called: the folder's name.
    pub id: String,
    /// The pictures in their order.
    pub frames: Vec<PathBuf>,
    /// Columns of the first.
    pub width: usize,
    /// Rows of the first.
    pub height: usize,
}

impl FrameFolder {
    /// Whether a path is a folder, or a pattern such as `frames/%05d.jpg` or `frames/*.jpg`.
    pub fn is_meant_by(path: &Path) -> bool {
        path.is_dir() || (!path.exists() && pattern(path).is_some())
    }

    /// Lists the frames.
    ///
    /// # Errors
    /// There are none, their names do not tell an order, the first has no readable size.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let (folder, pattern) = if path.is_dir() {
            (path.to_owned(), None)
        } else {
            let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
            (folder, pattern(path))
        };
        let folder = if folder.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            folder
        };
        let id = folder.canonicalize().ok();
        let id = id.as_deref().and_then(Path::file_name).unwrap_or_default();
        let id = id.to_string_lossy().into_owned();
        let frames = match pattern {
            None => Frames::of(&folder, &id)?.paths,
            Some((head, tail, digits)) => {
                let listing = Listing::of(&folder)?;
                let fits = |name: &&String| {
                    let middle = name.strip_prefix(&head).and_then(|n| n.strip_suffix(&tail));
                    middle.is_some_and(|m| {
                        !digits || (!m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()))
                    })
                };
                let names = listing.files.iter().filter(fits);
                names.map(|name| folder.join(name)).collect()
            }
        };
        let Some(first) = frames.first() else {
            return Err(DatasetError::NoFrames {
                video: id,
                path: path.to_owned(),
                found: "no file of that pattern".to_owned(),
            });
        };
        let (width, height) = probe_size(first)?;
        Ok(Self {
            path: path.to_owned(),
            id,
            frames,
            width,
            height,
        })
    }
}

/// The text before and behind the number of a pattern, and whether only digits stand for it.
fn pattern(path: &Path) -> Option<(String, String, bool)> {
    let name = path.file_name()?.to_str()?;
    if let Some((head, tail)) = name.split_once('*') {
        return Some((head.to_owned(), tail.to_owned(), false));
    }
    let (head, rest) = name.split_once('%')?;
    let (width, tail) = rest.split_once('d')?;
    let plain = width.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| (head.to_owned(), tail.to_owned(), true))
}

/// Makes a split of `clips`: in every one of them the objects 1, 2, … with the prompts in their
/// order. Clips of the same name are told apart by a number behind it.
///
/// # Errors
/// A prompt that lies outside of a clip's frames.
pub fn video_files(clips: Vec<Clip>, prompts: &[GivenPrompt]) -> Result<Split, GivenError> {
    let mut names = BTreeSet::new();
    let mut root = None;
    let mut videos = Vec::with_capacity(clips.len());
    for clip in clips {
        let (name, path) = match &clip {
            Clip::File(file) => (file.id(), file.path.clone()),
            Clip::Frames(folder) => (folder.id.clone(), folder.path.clone()),
        };
        root.get_or_insert_with(|| path.parent().map_or_else(PathBuf::new, PathBuf::from));
        let mut id = name.clone();
        while !names.insert(id.clone()) {
            id = format!("{name}-{}", names.len() + 1);
        }
        let (file, frames, width, height) = match clip {
            Clip::File(file) => {
                let (width, height) = (file.width, file.height);
                (Some(file), Vec::new(), width, height)
            }
            Clip::Frames(folder) => (None, folder.frames, folder.width, folder.height),
        };
        let count = file.as_ref().map_or(frames.len(), |file| file.frames);
        let mut objects = Vec::with_capacity(prompts.len());
        for (at, given) in prompts.iter().enumerate() {
            given.check(width, height, count)?;
            objects.push(ObjectTrack {
                id: (at + 1).to_string(),
                video: id.clone(),
                annotations: Vec::new(),
                given: Some(given.clone()),
                unusable: None,
                width,
                height,
            });
        }
        videos.push(Video {
            id,
            mask_names: frames.iter().map(|frame| stem(frame)).collect(),
            frames,
            width,
            height,
            objects,
            file,
            rule: None,
            label_maps: false,
            first_masks_only: false,
            void: false,
            ignored: Vec::new(),
        });
    }
    Ok(Split {
        root: root.unwrap_or_default(),
        layout: Layout::VideoFiles,
        list: None,
        available: videos.len(),
        videos,
        notes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_patterns_are_videos() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("clip");
        std::fs::create_dir(&folder).unwrap();
        let mut jpeg = Vec::new();
        jpeg_encoder::Encoder::new(&mut jpeg, 80)
            .encode(&[0; 8 * 4 * 3], 8, 4, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        for name in ["00001.jpg", "00002.jpg", "00010.jpg", "side_1.png"] {
            std::fs::write(folder.join(name), &jpeg).unwrap();
        }
        for (name, count) in [
            ("%05d.jpg", 3),
            ("%d.jpg", 3),
            ("*.jpg", 3),
            ("*", 4),
            ("side_%d.png", 1),
        ] {
            let path = folder.join(name);
            assert!(FrameFolder::is_meant_by(&path));
            let found = FrameFolder::open(&path).unwrap();
            assert_eq!(
                (found.frames.len(), found.width, found.height),
                (count, 8, 4),
                "{name}"
            );
            assert_eq!(found.id, "clip");
        }
        std::fs::remove_file(folder.join("side_1.png")).unwrap();
        assert_eq!(FrameFolder::open(&folder).unwrap().frames.len(), 3);
        assert!(FrameFolder::open(&folder.join("%d.png")).is_err());
        assert!(!FrameFolder::is_meant_by(&folder.join("00001.jpg")));
        assert!(!FrameFolder::is_meant_by(&folder.join("clip.mp4")));
    }
}
