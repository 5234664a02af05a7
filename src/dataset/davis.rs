//! The DAVIS layout: one PNG of labels per frame. Binary masks (DAVIS 2016) are label maps with
//! the one label 255 (or 1).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::listing::{self, FrameIndex};
use super::select::{Selection, truncate};
use super::track::in_order;
use super::{Annotation, DatasetError, Layout, ObjectTrack, Split, SplitOptions, Video};
use crate::media::image::{probe_size, read_label_png};

pub(super) const FRAMES: &str = "JPEGImages";
const ANNOTATIONS: &str = "Annotations";
/// Folders between `JPEGImages` and the videos that DAVIS releases have.
const RESOLUTIONS: [&str; 3] = ["480p", "1080p", "Full-Resolution"];

pub(super) fn open(dir: &Path, options: &SplitOptions) -> Result<Split, DatasetError> {
    let (frames, annotations) = roots(dir)?;
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
        layout: Layout::Davis,
        list: selection.list,
        available: selection.available,
        videos,
    })
}

/// The folders that hold the videos' frames and annotations, at the same resolution.
fn roots(dir: &Path) -> Result<(PathBuf, PathBuf), DatasetError> {
    let (frames, annotations) = (dir.join(FRAMES), dir.join(ANNOTATIONS));
    let resolution = RESOLUTIONS
        .into_iter()
        .find(|name| frames.join(name).is_dir());
    let (frames, annotations) = match resolution {
        Some(name) => (frames.join(name), annotations.join(name)),
        None => (frames, annotations),
    };
    if !annotations.is_dir() {
        return Err(DatasetError::NoFolder {
            what: "annotation folder of the DAVIS layout",
            path: annotations,
        });
    }
    Ok((frames, annotations))
}

fn list(dir: &Path, options: &SplitOptions) -> Result<Option<PathBuf>, DatasetError> {
    let Some(name) = &options.split_name else {
        return Ok(None);
    };
    let file = format!("{}.txt", name.trim_end_matches(".txt"));
    let places = ["ImageSets/2017", "ImageSets/2016", "ImageSets", ""];
    let mut candidates = places.iter().map(|place| dir.join(place).join(&file));
    match candidates.find(|path| path.is_file()) {
        Some(path) => Ok(Some(path)),
        None => Err(DatasetError::NoList {
            path: dir.join("ImageSets/2017").join(file),
        }),
    }
}

fn video(
    id: &str,
    frames: &Path,
    annotations: &Path,
    limit_objects: usize,
) -> Result<Video, DatasetError> {
    let index = FrameIndex::of(frames, id, false)?;
    let (width, height) = match index.frames.first() {
        Some(first) => probe_size(first)?,
        None => (0, 0),
    };
    let maps = listing::files(annotations, &["png"])?;
    let labels: BTreeSet<u8> = maps
        .par_iter()
        .map(|path| Ok(read_label_png(path)?.labels().into_iter().collect()))
        .try_reduce(BTreeSet::new, |mut a: BTreeSet<u8>, b| {
            a.extend(b);
            Ok::<_, DatasetError>(a)
        })?;
    if labels.is_empty() {
        return Err(DatasetError::NoObjects {
            video: id.to_owned(),
            path: annotations.to_owned(),
        });
    }
    let mut labels: Vec<u8> = labels.into_iter().collect();
    truncate(&mut labels, limit_objects);
    let annotated = maps
        .into_iter()
        .map(|path| Ok((index.frame_of(&path, id)?, path)))
        .collect::<Result<Vec<_>, DatasetError>>()?;
    let objects = labels
        .into_iter()
        .map(|label| {
            let found = annotated.iter().map(|(frame, path)| Annotation {
                frame: *frame,
                path: path.clone(),
                label: Some(label),
            });
            Ok(ObjectTrack {
                id: label.to_string(),
                video: id.to_owned(),
                annotations: in_order(found.collect())?,
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
