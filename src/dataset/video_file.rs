//! Video files as a split: every file is a video, every prompt an object, and there is no ground
//! truth.

use super::{Layout, ObjectTrack, Split, Video};
use crate::dataset::prompts::{GivenError, GivenPrompt};
use crate::media::video::VideoFile;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Makes a split of `files`: in every one of them the objects 1, 2, … with the prompts in their
/// order. Files of the same name are told apart by a number behind it.
///
/// # Errors
/// A prompt that lies outside of a file's frames.
pub fn video_files(files: Vec<VideoFile>, prompts: &[GivenPrompt]) -> Result<Split, GivenError> {
    let mut names = BTreeSet::new();
    let root = files.first().and_then(|file| file.path.parent());
    let root = root.map_or_else(PathBuf::new, PathBuf::from);
    let mut videos = Vec::with_capacity(files.len());
    for file in files {
        let mut id = file.id();
        while !names.insert(id.clone()) {
            id = format!("{}-{}", file.id(), names.len() + 1);
        }
        let (width, height) = (file.width, file.height);
        let mut objects = Vec::with_capacity(prompts.len());
        for (at, given) in prompts.iter().enumerate() {
            given.check(width, height, file.frames)?;
            objects.push(ObjectTrack {
                id: (at + 1).to_string(),
                video: id.clone(),
                annotations: Vec::new(),
                given: Some(given.clone()),
                width,
                height,
            });
        }
        videos.push(Video {
            id,
            frames: Vec::new(),
            width,
            height,
            objects,
            file: Some(file),
        });
    }
    Ok(Split {
        root,
        layout: Layout::VideoFiles,
        list: None,
        available: videos.len(),
        videos,
    })
}
