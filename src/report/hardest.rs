//! The objects that the models did worst on: which they are, and pictures of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::picture::{Box2, Outline, draw};
use crate::clip::mask_file_name;
use crate::dataset::{ObjectTrack, Split, SplitOptions, Video};
use crate::mask::Mask;
use crate::media::image::{decode_rgb, read_mask_png};
use crate::record::{Score, Summary};
use crate::render::Picture;

/// Annotated frames that are looked at for the one with the worst mask.
const LOOKED_AT: usize = 12;
/// Models whose masks are shown.
const MODELS_SHOWN: usize = 4;

/// An object and how the models did on it.
#[derive(Clone, Debug, PartialEq)]
pub struct HardObject {
    /// Video.
    pub video: String,
    /// Object.
    pub object: String,
    /// Official scores of each model that was scored on it, by model tag.
    pub scores: Vec<(String, Score)>,
    /// Frames on which it was tracked: from its prompt to before the end.
    pub frames: (usize, usize),
    /// Pictures, or why there are none, in a sentence.
    pub pictures: Result<Pictures, String>,
}

/// Pictures of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// The frame of the prompt with the object's ground truth.
    pub prompt: Picture,
    /// The frame of the other pictures.
    pub frame: usize,
    /// What each model made of it.
    pub models: Vec<Attempt>,
}

/// A model's mask on a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Model tag.
    pub model: String,
    /// The frame with the model's mask and the ground truth.
    pub picture: Picture,
    /// Intersection over union of the two, 0 to 1.
    pub overlap: f64,
    /// Whether the object is visible on the frame.
    pub truth_shows: bool,
    /// Whether the model found anything.
    pub mask_shows: bool,
}

impl HardObject {
    /// Mean J&F over the models, 0 to 1.
    pub fn mean_jf(&self) -> f64 {
        let sum: f64 = self.scores.iter().map(|(_, score)| score.jf()).sum();
        sum / self.scores.len().max(1) as f64
    }
}

/// The objects with the lowest mean J&F over the models, worst first, without pictures.
pub(super) fn hardest(summary: &Summary, most: usize) -> Vec<HardObject> {
    let mut found: BTreeMap<(&str, &str), HardObject> = BTreeMap::new();
    for object in &summary.objects {
        let Some(score) = object.row.scores.and_then(|scores| scores.official) else {
            continue;
        };
        let entry = found
            .entry((&object.key.video, &object.key.object))
            .or_insert_with(|| HardObject {
                video: object.key.video.clone(),
                object: object.key.object.clone(),
                scores: Vec::new(),
                frames: (object.row.prompt_frame, object.row.end_frame()),
                pictures: Err("no picture was looked for".to_owned()),
            });
        entry.scores.push((object.key.model.clone(), score));
    }
    let mut objects: Vec<HardObject> = found.into_values().collect();
    objects.sort_by(|a, b| a.mean_jf().total_cmp(&b.mean_jf()));
    objects.truncate(most);
    objects
}

/// Looks for frames and masks and adds pictures.
pub(super) fn add_pictures(objects: &mut [HardObject], run: &Path, manifest: &Value) {
    let options = &manifest["options"];
    let masks = run.join("masks");
    let reason = if options["save-masks"] == "none" {
        Some("predicted masks were not saved (--save-masks none)")
    } else if !options["split-dir"].is_string() {
        Some("run.json does not say where the dataset is")
    } else {
        None
    };
    if let Some(reason) = reason {
        for object in objects {
            object.pictures = Err(reason.to_owned());
        }
        return;
    }
    let split = Path::new(options["split-dir"].as_str().unwrap_or_default());
    let name = options["split-name"].as_str();
    let mut videos: BTreeMap<String, Result<Video, String>> = BTreeMap::new();
    for object in objects {
        let video = videos
            .entry(object.video.clone())
            .or_insert_with_key(|video| open(split, name, video));
        object.pictures = match video {
            Ok(video) => pictures(object, video, &masks),
            Err(reason) => Err(reason.clone()),
        };
    }
}

fn open(split: &Path, name: Option<&str>, video: &str) -> Result<Video, String> {
    if !split.is_dir() {
        return Err(format!("the dataset is no longer at {}", split.display()));
    }
    let options = SplitOptions {
        split_name: name.map(str::to_owned),
        videos: vec![video.to_owned()],
        ..SplitOptions::default()
    };
    let split = Split::open(split, &options).map_err(|error| error.to_string())?;
    let found = split.videos.into_iter().next();
    found.ok_or_else(|| format!("the dataset has no video {video}"))
}

/// Masks of a frame: the ground truth, and one per model.
struct Looked {
    position: usize,
    truth: Mask,
    predicted: Vec<(String, Mask, f64)>,
}

fn pictures(object: &HardObject, video: &Video, masks: &Path) -> Result<Pictures, String> {
    let track = video
        .objects
        .iter()
        .find(|track| track.id == object.object)
        .ok_or_else(|| "the dataset no longer has this object".to_owned())?;
    let (from, end) = object.frames;
    let annotated: Vec<usize> = (0..track.annotations.len())
        .filter(|at| {
            track
                .annotations
                .get(*at)
                .is_some_and(|a| (from..end).contains(&a.frame))
        })
        .collect();
    let prompt = track
        .position_of(from)
        .ok_or_else(|| format!("frame {from}, its prompt's, is not annotated"))?;
    let later: Vec<usize> = annotated
        .iter()
        .copied()
        .filter(|at| *at != prompt)
        .collect();
    let candidates = spread(
        if later.is_empty() { &annotated } else { &later },
        LOOKED_AT,
    );
    let mut worst: Option<(f64, Looked)> = None;
    for position in candidates {
        let looked = look(object, video, track, position, masks)?;
        let overlaps: f64 = looked.predicted.iter().map(|(_, _, iou)| iou).sum();
        let mean = overlaps / looked.predicted.len().max(1) as f64;
        if worst.as_ref().is_none_or(|(known, _)| mean < *known) {
            worst = Some((mean, looked));
        }
    }
    let (_, worst) = worst.ok_or_else(|| "no frame of it is annotated".to_owned())?;
    let frame = track.annotations.get(worst.position).map_or(0, |a| a.frame);
    let truth = track.load(prompt).map_err(|error| error.to_string())?;
    let wide = object.scores.len() <= 2;
    let picture = |index: usize, outlines: &[Outline<'_>], seen: Box2| -> Result<Picture, String> {
        let path = video
            .frames
            .get(index)
            .ok_or_else(|| format!("the dataset no longer has frame {index}"))?;
        let rgb = decode_rgb(path).map_err(|error| error.to_string())?;
        draw(&rgb, seen, outlines, wide)
    };
    let size = (video.width, video.height);
    let around = |masks: &mut dyn Iterator<Item = &Mask>| {
        let boxes = masks.filter_map(Mask::bounding_box);
        Box2::around(boxes, size)
    };
    let seen = around(
        &mut std::iter::once(&worst.truth).chain(worst.predicted.iter().map(|(_, mask, _)| mask)),
    );
    let models = worst
        .predicted
        .iter()
        .map(|(model, mask, iou)| {
            let outlines = [Outline::truth(&worst.truth), Outline::predicted(mask)];
            Ok(Attempt {
                model: model.clone(),
                picture: picture(frame, &outlines, seen)?,
                overlap: *iou,
                truth_shows: !worst.truth.is_empty(),
                mask_shows: !mask.is_empty(),
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Pictures {
        prompt: picture(
            from,
            &[Outline::truth(&truth)],
            around(&mut std::iter::once(&truth)),
        )?,
        frame,
        models,
    })
}

fn look(
    object: &HardObject,
    video: &Video,
    track: &ObjectTrack,
    position: usize,
    masks: &Path,
) -> Result<Looked, String> {
    let truth = track.load(position).map_err(|error| error.to_string())?;
    let frame = track.annotations.get(position).map_or(0, |a| a.frame);
    let name = mask_file_name(video, track, frame);
    let mut predicted = Vec::new();
    for (model, _) in object.scores.iter().take(MODELS_SHOWN) {
        let path = masks
            .join(model)
            .join(&video.id)
            .join(&track.id)
            .join(&name);
        if !path.is_file() {
            return Err(format!(
                "the mask of frame {frame} is not in the run folder's masks/"
            ));
        }
        let mask = read_mask_png(&path).map_err(|error| error.to_string())?;
        let iou = overlap(&truth, &mask);
        predicted.push((model.clone(), mask, iou));
    }
    Ok(Looked {
        position,
        truth,
        predicted,
    })
}

/// Intersection over union; 1 where both are empty.
fn overlap(a: &Mask, b: &Mask) -> f64 {
    let (mut both, mut either) = (0_usize, 0_usize);
    for (x, y) in a.as_slice().iter().zip(b.as_slice()) {
        both += usize::from(*x && *y);
        either += usize::from(*x || *y);
    }
    match either {
        0 => 1.0,
        either => both as f64 / either as f64,
    }
}

/// At most so many of the values, evenly spread, the last among them.
fn spread(values: &[usize], most: usize) -> Vec<usize> {
    let count = values.len().min(most);
    (1..=count)
        .filter_map(|number| values.get(number * values.len() / count - 1).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{samples, summarise};

    #[test]
    fn the_worst_come_first_by_their_mean_over_models() {
        let scored = |object: &str, model: &str, j: f64| {
            let mut row = samples::row("v", object, model);
            let scores = row.scores.as_mut().unwrap();
            scores.official = Some(Score { j, f: j, frames: 4 });
            row
        };
        let mut unscored = samples::row("v", "9", "a");
        unscored.scores = None;
        let rows = [
            scored("1", "a", 0.2),
            scored("1", "b", 0.9),
            scored("2", "a", 0.5),
            scored("2", "b", 0.4),
            scored("3", "a", 0.8),
            samples::row("v", "4", "a").failed("lost"),
            unscored,
        ];
        let found = hardest(&summarise(&rows), 2);
        let names: Vec<&str> = found.iter().map(|object| object.object.as_str()).collect();
        assert_eq!(names, ["2", "1"]);
        assert_eq!(found[0].scores.len(), 2);
        assert!((found[0].mean_jf() - 0.45).abs() < 1e-12);
        assert_eq!(found[0].frames, (4, 24));
    }

    #[test]
    fn frames_that_are_looked_at_are_spread_and_end_at_the_end() {
        let values: Vec<usize> = (0..100).collect();
        let some = spread(&values, 4);
        assert_eq!(some, [24, 49, 74, 99]);
        assert_eq!(spread(&values[..3], 12), [0, 1, 2]);
        assert!(spread(&[], 12).is_empty());
    }

    #[test]
    fn overlaps_are_intersections_over_unions() {
        let left = Mask::from_fn(4, 4, |_, x| x < 2);
        let top = Mask::from_fn(4, 4, |y, _| y < 2);
        assert_eq!(overlap(&left, &top), 4.0 / 12.0);
        assert_eq!(overlap(&Mask::empty(4, 4), &Mask::empty(4, 4)), 1.0);
    }
}
