//! The SA-V layout.

use std::path::{Path, PathBuf};

use super::listing::{self, FrameIndex};
use super::select::{Selection, truncate};
use super::track::in_order;
use super::{Annotation, DatasetError, Layout, ObjectTrack, Split, SplitOptions, Video};
use crate::media::image::probe_size;

pub(super) const FRAMES: &str = "JPEGImages_24fps";
const ANNOTATIONS: &str = "Annotations_6fps";
/// The list that is read where no name is given.
const DEFAULT_SPLIT: &str = "sav_val";

pub(super) fn open(dir: &Path, options: &SplitOptions) -> Result<Split, DatasetError> {
    let frames = dir.join(FRAMES);
    let annotations = dir.join(ANNOTATIONS);
    if !annotations.is_dir() {
        return Err(DatasetError::NoFolder {
            what: "annotation folder of the SA-V layout",
            path: annotations,
        });
    }
    let selection = Selection::make(&frames, list(dir, options)?, options)?;
    let videos = selection
        .ids
        .iter()
        .map(|id| {
            let frames = selection.folder(&frames, id)?;
            let annotations = selection.folder(&annotations, id)?;
            video(id, &frames, &annotations, options.limit_objects)
        })
        .collect::<Result<_, _>>()?;
    Ok(Split {
        root: dir.to_owned(),
        layout: Layout::SaV,
        list: selection.list,
        available: selection.available,
        videos,
    })
}

fn list(dir: &Path, options: &SplitOptions) -> Result<Option<PathBuf>, DatasetError> {
    let file = |name: &str| dir.join(format!("{}.txt", name.trim_end_matches(".txt")));
    match &options.split_name {
        Some(name) => {
            let path = file(name);
            if path.is_file() {
                Ok(Some(path))
            } else {
                Err(DatasetError::NoList { path })
            }
        }
        None => Ok(Some(file(DEFAULT_SPLIT)).filter(|path| path.is_file())),
    }
}

fn video(
    id: &str,
    frames: &Path,
    annotations: &Path,
    limit_objects: usize,
) -> Result<Video, DatasetError> {
    let index = FrameIndex::of(frames, id, true)?;
    let (width, height) = match index.frames.first() {
        Some(first) => probe_size(first)?,
        None => (0, 0),
    };
    let mut names = listing::folders(annotations)?;
    if names.is_empty() {
        return Err(DatasetError::NoObjects {
            video: id.to_owned(),
            path: annotations.to_owned(),
        });
    }
    truncate(&mut names, limit_objects);
    let objects = names
        .into_iter()
        .map(|name| {
            let masks = listing::files(&annotations.join(&name), &["png"])?;
            let found = masks
                .into_iter()
                .map(|path| {
                    Ok(Annotation {
                        frame: index.frame_of(&path, id)?,
                        path,
                        label: None,
                    })
                })
                .collect::<Result<Vec<_>, DatasetError>>()?;
            Ok(ObjectTrack {
                id: name,
                video: id.to_owned(),
                annotations: in_order(found)?,
                given: None,
                width,
                height,
            })
        })
        .collect::<Result<_, DatasetError>>()?;
    Ok(Video {
        id: id.to_owned(),
        frames: index.frames,
        file: None,
        width,
        height,
        objects,
    })
}
