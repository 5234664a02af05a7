//! From folders to videos, objects and annotations.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::layout::{MaskFolder, Masks, Roots};
use super::listing::{self, Listing};
use super::pairing::{Frames, Pairing};
use super::rle;
use super::select::{Selection, truncate};
use super::track::in_order;
use super::{Annotation, DatasetError, Layout, ObjectTrack, Split, SplitOptions, Unusable, Video};
use crate::media::image::{LabelMap, LabelReader, probe_size};

/// The label that is void beside others: pixels that nobody is to be judged by.
pub(crate) const VOID: u32 = 255;

/// The list of an SA-V folder that is read where no name is given.
const DEFAULT_LIST: &str = "sav_val";

/// Opens the dataset in `dir` and selects from it.
pub(super) fn open(dir: &Path, options: &SplitOptions) -> Result<Split, DatasetError> {
    let roots = match Roots::find(dir) {
        Ok(roots) => roots,
        Err(error) => return open_train(dir, options)?.ok_or(error),
    };
    let list = list(dir, roots.layout, options.split_name.as_deref())?;
    let (frames, masks) = (Listing::of(&roots.frames)?, Listing::of(&roots.masks)?);
    let mut notes = Vec::new();
    // Without a list, folders without a counterpart are none of the dataset's videos.
    let (both, alone): (Vec<String>, Vec<String>) = frames
        .folders
        .iter()
        .cloned()
        .partition(|name| listing::find(&masks.folders, name).is_some());
    let foreign = [&frames.foreign[..], &masks.foreign[..]].concat();
    if !foreign.is_empty() {
        notes.push(format!("left out, not of the dataset: {}", shown(&foreign)));
    }
    if list.is_none() && !alone.is_empty() {
        if both.is_empty() {
            return Err(DatasetError::NoCounterpart {
                frames: roots.frames,
                masks: roots.masks,
                first: alone.first().cloned().unwrap_or_default(),
            });
        }
        notes.push(format!(
            "left out, without a folder of masks: {}",
            shown(&alone)
        ));
    }
    let selection = Selection::make(&roots.frames, both, list, options)?;
    let mut videos: Vec<Video> = selection
        .ids
        .iter()
        .map(|id| {
            let folder = |parent: &Path, listing: &Listing| {
                let name = listing::find(&listing.folders, id);
                name.map(|name| parent.join(name))
                    .ok_or_else(|| DatasetError::VideoMissing {
                        place: selection.place.display().to_string(),
                        id: id.clone(),
                        path: parent.join(id),
                    })
            };
            let opened = folder(&roots.frames, &frames).and_then(|frames| {
                let masks = folder(&roots.masks, &masks)?;
                video(id, &frames, &masks, options.limit_objects)
            });
            opened.unwrap_or_else(|error| unusable(id, &error))
        })
        .collect();
    check_any(&mut videos)?;
    Ok(Split {
        root: dir.to_owned(),
        layout: roots.layout,
        list: selection.list,
        available: selection.available,
        videos,
        notes,
    })
}

/// Opens SA-V's training set; `None` where the folder is none.
fn open_train(dir: &Path, options: &SplitOptions) -> Result<Option<Split>, DatasetError> {
    let found = rle::videos(dir);
    if found.is_empty() {
        return Ok(None);
    }
    let list = list(dir, Layout::SaV, options.split_name.as_deref())?;
    let names = found.iter().map(|(name, _)| name.clone()).collect();
    let selection = Selection::make(dir, names, list, options)?;
    let mut videos: Vec<Video> = selection
        .ids
        .iter()
        .map(|id| {
            let path = found.iter().find(|(name, _)| name == id);
            let path =
                path.map(|(_, path)| path.clone())
                    .ok_or_else(|| DatasetError::VideoMissing {
                        place: selection.place.display().to_string(),
                        id: id.clone(),
                        path: dir.join(format!("{id}.mp4")),
                    });
            let opened = path.and_then(|path| rle::video(id, &path, options.limit_objects));
            opened.unwrap_or_else(|error| unusable(id, &error))
        })
        .collect();
    check_any(&mut videos)?;
    Ok(Some(Split {
        root: dir.to_owned(),
        layout: Layout::SaV,
        list: selection.list,
        available: selection.available,
        videos,
        notes: vec!["masks from JSON files beside the videos".to_owned()],
    }))
}

/// Checks that some video can be used, and gives the others its size.
fn check_any(videos: &mut [Video]) -> Result<(), DatasetError> {
    let usable = videos.iter().find(|video| video.is_usable());
    let Some((width, height)) = usable.map(|video| (video.width, video.height)) else {
        // Nothing is left to run: the first reason is the dataset's.
        let first = videos.first();
        let reason = first.and_then(|video| video.objects.first()?.unusable.clone());
        return Err(DatasetError::NoVideoUsable {
            id: first.map_or_else(String::new, |video| video.id.clone()),
            count: videos.len(),
            reason: reason.map_or_else(String::new, |r| r.0),
        });
    };
    for video in videos.iter_mut().filter(|video| !video.is_usable()) {
        // Plans are made for the size of every video.
        (video.width, video.height) = (width, height);
    }
    Ok(())
}

/// The first names and how many there are.
fn shown(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let more = names.len().saturating_sub(first.len());
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The list of videos of that name.
fn list(dir: &Path, layout: Layout, name: Option<&str>) -> Result<Option<PathBuf>, DatasetError> {
    let file = |name: &str| format!("{}.txt", name.trim_end_matches(".txt"));
    let Some(name) = name else {
        let list = dir.join(file(DEFAULT_LIST));
        return Ok(Some(list).filter(|list| layout == Layout::SaV && list.is_file()));
    };
    let sets = dir.join("ImageSets");
    let mut places: Vec<PathBuf> = ["2017", "2022", "2019", "2016"]
        .map(|y| sets.join(y))
        .into();
    let others = Listing::of(&sets).map(|listing| listing.folders);
    places.extend(
        others
            .unwrap_or_default()
            .iter()
            .map(|name| sets.join(name)),
    );
    places.extend([sets.clone(), dir.to_owned()]);
    let found = places.iter().map(|place| place.join(file(name)));
    match found.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(Some(path)),
        None => {
            let mut known: Vec<String> = places
                .iter()
                .flat_map(|place| {
                    Listing::of(place)
                        .unwrap_or_default()
                        .with_extension(&["txt"])
                })
                .collect();
            known.sort();
            known.dedup();
            let place = if sets.is_dir() { sets } else { dir.to_owned() };
            Err(DatasetError::NoList {
                path: place.join(file(name)),
                known,
            })
        }
    }
}

/// A video that cannot be used: one object, which fails with the reason.
fn unusable(id: &str, error: &DatasetError) -> Video {
    Video {
        id: id.to_owned(),
        frames: Vec::new(),
        file: None,
        width: 0,
        height: 0,
        objects: vec![ObjectTrack {
            id: "all".to_owned(),
            video: id.to_owned(),
            annotations: Vec::new(),
            given: None,
            unusable: Some(Unusable(error.to_string())),
            width: 0,
            height: 0,
        }],
        rule: None,
        mask_names: Vec::new(),
        label_maps: false,
        first_masks_only: false,
        void: false,
        ignored: Vec::new(),
    }
}

fn video(
    id: &str,
    frame_folder: &Path,
    mask_folder: &Path,
    limit_objects: usize,
) -> Result<Video, DatasetError> {
    let mut frames = Frames::of(frame_folder, id)?;
    let (width, height) = match frames.paths.first() {
        Some(first) => probe_size(first)?,
        None => (0, 0),
    };
    let folder = MaskFolder::of(mask_folder)?;
    let mut ignored = std::mem::take(&mut frames.ignored);
    ignored.extend(folder.ignored.iter().cloned());
    let masks = folder.one_way(mask_folder)?;
    let files: Vec<PathBuf> = match &masks {
        Masks::PerObject(objects) => objects.iter().flat_map(|(_, m)| m).cloned().collect(),
        Masks::LabelMaps(maps) => maps.clone(),
    };
    let pairing = frames.pair(id, &files)?;
    let object = |name: String, found: Result<Vec<Annotation>, DatasetError>| {
        let (annotations, problem) = match found.and_then(in_order) {
            Ok(annotations) => (annotations, None),
            Err(error) => (Vec::new(), Some(Unusable(error.to_string()))),
        };
        ObjectTrack {
            id: name,
            video: id.to_owned(),
            annotations,
            given: None,
            unusable: problem,
            width,
            height,
        }
    };
    let mut video = Video {
        id: id.to_owned(),
        frames: Vec::new(),
        file: None,
        width,
        height,
        objects: Vec::new(),
        rule: Some(pairing.rule),
        mask_names: pairing.mask_names(),
        label_maps: matches!(masks, Masks::LabelMaps(_)),
        first_masks_only: false,
        void: false,
        ignored,
    };
    match masks {
        Masks::PerObject(mut objects) => {
            truncate(&mut objects, limit_objects);
            video.objects = objects
                .into_iter()
                .map(|(name, masks)| object(name, per_object(masks, &pairing)))
                .collect();
        }
        Masks::LabelMaps(maps) => {
            let maps = in_frames(maps, &pairing)?;
            let labels: Vec<BTreeSet<u32>> = maps
                .par_iter()
                .map(|(_, path)| labels_of(path))
                .collect::<Result<_, _>>()?;
            let found = Labels::of(&labels);
            if found.objects.is_empty() {
                return Err(DatasetError::NoObjects {
                    video: id.to_owned(),
                    path: mask_folder.to_owned(),
                });
            }
            video.void = found.void;
            video.first_masks_only = found.first_masks_only;
            let mut wanted: Vec<u32> = found.objects.into_iter().collect();
            truncate(&mut wanted, limit_objects);
            for label in wanted {
                // A map that introduces other objects does not tell that this one is gone.
                let of_label = maps
                    .iter()
                    .zip(&labels)
                    .filter(|(_, in_map)| !found.first_masks_only || in_map.contains(&label));
                let annotations = of_label.map(|((frame, path), _)| Annotation {
                    frame: *frame,
                    path: path.clone(),
                    label: Some(label),
                    rle: None,
                });
                let annotations = Ok(annotations.collect());
                video.objects.push(object(label.to_string(), annotations));
            }
        }
    }
    video.frames = frames.paths;
    Ok(video)
}

fn per_object(masks: Vec<PathBuf>, pairing: &Pairing<'_>) -> Result<Vec<Annotation>, DatasetError> {
    let found = in_frames(masks, pairing)?.into_iter();
    let annotations = found.map(|(frame, path)| Annotation {
        frame,
        path,
        label: None,
        rle: None,
    });
    Ok(annotations.collect())
}

fn in_frames(
    masks: Vec<PathBuf>,
    pairing: &Pairing<'_>,
) -> Result<Vec<(usize, PathBuf)>, DatasetError> {
    let found = masks
        .into_iter()
        .map(|path| Ok((pairing.frame_of(&path)?, path)));
    let mut found: Vec<(usize, PathBuf)> = found.collect::<Result<_, DatasetError>>()?;
    found.sort();
    Ok(found)
}

fn labels_of(path: &Path) -> Result<BTreeSet<u32>, DatasetError> {
    let mut map = LabelMap::default();
    LabelReader::default().labels(path, &mut map)?;
    Ok(map.labels())
}

/// What the label maps of a video mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// The objects.
    pub objects: BTreeSet<u32>,
    /// Whether 255 is void: it occurs beside objects. Alone it is an object, as in DAVIS 2016.
    pub void: bool,
    /// Whether every object is in one map only, and later maps hold new objects only, as where the
    /// truth is hidden (YouTube-VOS valid, DAVIS test-dev, MOSE valid, LVOS test). Such a map does
    /// not tell that the other objects are gone.
    pub first_masks_only: bool,
}

impl Labels {
    /// From the labels of every map of a video, in the order of time.
    pub fn of(maps: &[BTreeSet<u32>]) -> Self {
        let mut objects: BTreeSet<u32> = maps.iter().flatten().copied().collect();
        let void = objects.len() > 1 && objects.remove(&VOID);
        let once = |label: &u32| maps.iter().filter(|map| map.contains(label)).count() == 1;
        let holds = |map: &BTreeSet<u32>| map.iter().any(|label| objects.contains(label));
        Self {
            first_masks_only: objects.iter().all(once) && maps.iter().all(holds),
            objects,
            void,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(maps: &[&[u32]]) -> (Vec<u32>, bool, bool) {
        let maps: Vec<BTreeSet<u32>> = maps.iter().map(|m| m.iter().copied().collect()).collect();
        let found = Labels::of(&maps);
        (
            found.objects.into_iter().collect(),
            found.void,
            found.first_masks_only,
        )
    }

    #[test]
    fn void_is_255_beside_others_and_first_masks_are_told_from_absence() {
        assert_eq!(of(&[&[1, 2], &[1, 2]]), (vec![1, 2], false, false));
        assert_eq!(of(&[&[255], &[255]]), (vec![255], false, false));
        assert_eq!(of(&[&[1], &[1, 255]]), (vec![1], true, false));
        // DAVIS test-dev; YouTube-VOS valid; with void.
        assert_eq!(of(&[&[1, 2]]), (vec![1, 2], false, true));
        assert_eq!(of(&[&[1], &[2, 3]]), (vec![1, 2, 3], false, true));
        assert_eq!(of(&[&[1, 255], &[2]]), (vec![1, 2], true, true));
        // An empty map is an annotation: the object is gone.
        assert_eq!(of(&[&[1], &[]]), (vec![1], false, false));
        assert_eq!(of(&[&[], &[1], &[1]]), (vec![1], false, false));
        assert_eq!(of(&[&[], &[]]), (vec![], false, false));
    }
}
