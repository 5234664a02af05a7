//! Synthetic splits: seeded videos of moving shapes with exact masks, in SA-V layout.
//!
//! Textured shapes move, rotate, breathe and cross each other over a textured background under a
//! drifting camera and changing light; some appear late, some vanish, some go and come back. Masks
//! are the visible part of each shape, to the pixel. The same recipe gives the same bytes, whatever
//! the number of threads.
//!
//! Made for trying things out and for tests; it is not a benchmark of how good a model is.

mod error;
mod scene;
#[cfg(test)]
mod tests;
mod texture;

pub use error::SynthError;
pub use scene::Role;

use crate::media::image::{ImageError, write_mask_png};
use rayon::prelude::*;
use scene::Scene;
use serde::Serialize;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Frames from one annotation to the next: 24 fps video, 6 fps annotations.
pub const ANNOTATION_STRIDE: usize = 4;
const FOLDERS: [&str; 2] = ["JPEGImages_24fps", "Annotations_6fps"];
/// File that describes the split, and how its `made_by` starts.
const MARK: &str = "synth.json";
const MADE_BY: &str = "masklet synth ";
/// Quality of the JPEG frames, 1 to 100.
const JPEG_QUALITY: u8 = 92;
/// Objects of successive videos where the recipe does not say how many.
const OBJECTS_CYCLE: [usize; 4] = [3, 2, 4, 1];

/// What a split is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// Number of videos.
    pub videos: usize,
    /// Frames of each video.
    pub frames: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Objects of each video; `None` for 3, 2, 4, 1 in turn.
    pub objects: Option<usize>,
    /// Seed of everything.
    pub seed: u64,
    /// Name of the list of videos.
    pub split_name: String,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            videos: 4,
            frames: 48,
            width: 320,
            height: 240,
            objects: None,
            seed: 7,
            split_name: "synth".to_owned(),
        }
    }
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectReport {
    /// Folder name.
    pub id: String,
    /// What it does.
    pub role: Role,
    /// Annotated frames on which it shows.
    pub visible_annotations: usize,
    /// First annotated frame on which it shows.
    pub first_visible: Option<usize>,
    /// Last annotated frame on which it shows.
    pub last_visible: Option<usize>,
    /// Mean area in pixels over the annotated frames on which it shows.
    pub mean_area: f64,
    /// Whether its first annotation is empty.
    pub first_annotation_empty: bool,
}

/// What became of one video.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VideoReport {
    /// Folder name.
    pub id: String,
    /// Its objects.
    pub objects: Vec<ObjectReport>,
}

/// Makes the split in `out`, which must be empty or absent unless `force` is given.
///
/// # Errors
/// When the recipe is impossible, `out` holds something, or it cannot be written.
pub fn make(out: &Path, recipe: &Recipe, force: bool) -> Result<Vec<VideoReport>, SynthError> {
    check(recipe)?;
    let filled = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if filled && !force {
        return Err(SynthError::NotEmpty {
            path: out.to_owned(),
        });
    }
    if filled {
        remove(out)?;
    }
    for folder in FOLDERS {
        create(&out.join(folder))?;
    }
    // The mark comes first: what a killed process leaves can be told from somebody's data set.
    write(&out.join(MARK), &mark(recipe, &[]))?;
    let videos = (0..recipe.videos)
        .into_par_iter()
        .map(|index| make_video(out, recipe, index))
        .collect::<Result<Vec<_>, _>>()?;
    let list: String = videos.iter().map(|v| format!("{}\n", v.id)).collect();
    write(
        &out.join(format!("{}.txt", recipe.split_name)),
        list.as_bytes(),
    )?;
    write(&out.join(MARK), &mark(recipe, &videos))?;
    Ok(videos)
}

/// The description of a split, by which it is recognised as one that was made here.
fn mark(recipe: &Recipe, videos: &[VideoReport]) -> Vec<u8> {
    let summary = serde_json::json!({
        "made_by": format!("{MADE_BY}{}", env!("CARGO_PKG_VERSION")),
        "recipe": recipe,
        "annotation_stride": ANNOTATION_STRIDE,
        "videos": videos,
    });
    format!("{summary:#}\n").into_bytes()
}

/// Removes the split in `out`: the videos that its mark counts, and nothing else.
///
/// # Errors
/// [`SynthError::Foreign`] where there is no mark, or something beside those videos. Nothing is
/// removed then.
fn remove(out: &Path) -> Result<(), SynthError> {
    let text = fs::read(out.join(MARK)).unwrap_or_default();
    let mark: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let ours = mark["made_by"]
        .as_str()
        .is_some_and(|by| by.starts_with(MADE_BY));
    let count = mark["recipe"]["videos"].as_u64().filter(|_| ours);
    let names: HashSet<OsString> = (0..count.unwrap_or(0))
        .map(|index| video_id(index as usize).into())
        .collect();
    let mut listed = Vec::new();
    for folder in FOLDERS.map(|folder| out.join(folder)) {
        let foreign = |path: PathBuf| Err(SynthError::Foreign { path });
        if count.is_none() && fs::symlink_metadata(&folder).is_ok() {
            return foreign(folder);
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !folder || !names.contains(&entry.file_name()) {
                return foreign(entry.path());
            }
            listed.push(entry.path());
        }
    }
    for path in listed {
        fs::remove_dir_all(&path).map_err(|e| SynthError::write(&path, e))?;
    }
    Ok(())
}

fn video_id(index: usize) -> String {
    format!("synth_{index:06}")
}

fn check(recipe: &Recipe) -> Result<(), SynthError> {
    let refuse = |what: &'static str, value: String, expected: &'static str| {
        Err(SynthError::Recipe {
            what,
            value,
            expected,
        })
    };
    if !(1..=10_000).contains(&recipe.videos) {
        return refuse("--videos", recipe.videos.to_string(), "1 to 10000");
    }
    if !(1..=100_000).contains(&recipe.frames) {
        return refuse("--frames", recipe.frames.to_string(), "1 to 100000");
    }
    if [recipe.width, recipe.height]
        .iter()
        .any(|s| !(16..=8192).contains(s))
    {
        let size = format!("{}x{}", recipe.width, recipe.height);
        return refuse("--size", size, "sides of 16 to 8192 pixels");
    }
    if recipe.objects.is_some_and(|n| !(1..=32).contains(&n)) {
        let n = recipe.objects.unwrap_or_default().to_string();
        return refuse("--objects", n, "1 to 32");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if recipe.split_name.is_empty() || !recipe.split_name.chars().all(plain) {
        return refuse(
            "--split-name",
            recipe.split_name.clone(),
            "letters, digits, _ and -",
        );
    }
    Ok(())
}

fn make_video(out: &Path, recipe: &Recipe, index: usize) -> Result<VideoReport, SynthError> {
    let id = video_id(index);
    let count = recipe
        .objects
        .unwrap_or(OBJECTS_CYCLE[index % OBJECTS_CYCLE.len()]);
    let scene = Scene::new(recipe, index, count);
    let frames = out.join("JPEGImages_24fps").join(&id);
    create(&frames)?;
    let mut objects: Vec<(PathBuf, ObjectReport, f64)> = Vec::with_capacity(count);
    for object in 0..count {
        let name = format!("{object:03}");
        let folder = out.join("Annotations_6fps").join(&id).join(&name);
        create(&folder)?;
        let report = ObjectReport {
            id: name,
            role: scene.role(object),
            visible_annotations: 0,
            first_visible: None,
            last_visible: None,
            mean_area: 0.0,
            first_annotation_empty: false,
        };
        objects.push((folder, report, 0.0));
    }
    for t in 0..recipe.frames {
        let rendered = scene.render(t);
        let path = frames.join(format!("{t:05}.jpg"));
        let mut bytes = Vec::new();
        jpeg_encoder::Encoder::new(&mut bytes, JPEG_QUALITY)
            .encode(
                &rendered.rgb,
                recipe.width as u16,
                recipe.height as u16,
                jpeg_encoder::ColorType::Rgb,
            )
            .map_err(|e| SynthError::Encode {
                path: path.clone(),
                message: e.to_string(),
            })?;
        write(&path, &bytes)?;
        if t % ANNOTATION_STRIDE != 0 {
            continue;
        }
        for (object, (folder, report, area_sum)) in objects.iter_mut().enumerate() {
            let mask = rendered.mask(object);
            let area = mask.area();
            if area > 0 {
                report.first_visible.get_or_insert(t);
                report.last_visible = Some(t);
                report.visible_annotations += 1;
                *area_sum += area as f64;
            } else if t == 0 {
                report.first_annotation_empty = true;
            }
            // Some late objects are annotated from the start, some from when they appear: real
            // splits have both.
            let from_start = (index + object).is_multiple_of(2) || report.first_visible.is_some();
            if from_start {
                write_mask_png(&folder.join(format!("{t:05}.png")), &mask)?;
            } else {
                report.first_annotation_empty = false;
            }
        }
    }
    let objects = objects
        .into_iter()
        .map(|(_, mut report, area_sum)| {
            report.mean_area = area_sum / report.visible_annotations.max(1) as f64;
            report
        })
        .collect();
    Ok(VideoReport { id, objects })
}

fn create(path: &Path) -> Result<(), SynthError> {
    fs::create_dir_all(path).map_err(|e| SynthError::write(path, e))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SynthError> {
    fs::write(path, bytes).map_err(|e| SynthError::write(path, e))
}

impl From<ImageError> for SynthError {
    fn from(error: ImageError) -> Self {
        Self::Mask(error)
    }
}
