//! SA-V's training set: videos beside JSON files of masks in COCO's run-length code.
//!
//! `<video>.mp4` lies beside `<video>_manual.json` and `<video>_auto.json`; `masklet[k][n]` is the mask
//! of object `masklet_id[n]` on frame `4 k` (annotated at 6 of 24 frames per second). Source:
//! `sav_dataset/README.md` of facebookresearch/sam2; the code is that of `rleFrString` and `rleDecode`
//! in `common/maskApi.c` of cocodataset/cocoapi.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::listing::{Listing, read_error};
use super::{Annotation, DatasetError, ObjectTrack, Rule, Video};
use crate::mask::Mask;
use crate::media::limits;
use crate::media::video::{Ffmpeg, VideoFile};

/// Frames from one annotated frame to the next.
const STRIDE: usize = 4;

/// One mask in COCO's compressed run-length code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rle {
    /// Rows and columns.
    size: [usize; 2],
    /// Lengths of runs of 0 and 1 in turns, down the columns, five bits a character.
    counts: String,
}

impl Rle {
    /// The mask; `None` where the code is damaged, or the size is beyond what is read.
    pub fn mask(&self) -> Option<Mask> {
        let [height, width] = self.size;
        limits::check_size(height as u64, width as u64).ok()?;
        let mut mask = Mask::empty(height, width);
        let (mut at, mut value) = (0usize, false);
        for run in self.runs()? {
            let end = at.checked_add(run).filter(|&end| end <= height * width)?;
            if value {
                for pixel in at..end {
                    mask.set(pixel % height, pixel / height, true);
                }
            }
            (at, value) = (end, !value);
        }
        (at == height * width).then_some(mask)
    }

    fn runs(&self) -> Option<Vec<usize>> {
        let mut runs: Vec<i64> = Vec::new();
        let mut bytes = self.counts.bytes();
        while let Some(first) = bytes.next() {
            let (mut value, mut shift, mut byte) = (0i64, 0, first);
            loop {
                let bits = i64::from(byte.checked_sub(48).filter(|bits| *bits < 64)?);
                value |= (bits & 0x1f).checked_shl(shift)?;
                shift += 5;
                if bits & 0x20 == 0 {
                    if bits & 0x10 != 0 && shift < 64 {
                        value |= -1i64 << shift;
                    }
                    break;
                }
                if shift > 55 {
                    return None;
                }
                byte = bytes.next()?;
            }
            // From the fourth run on, the difference to the run two before is stored.
            if runs.len() > 2 {
                value = value.checked_add(runs[runs.len() - 2])?;
            }
            runs.push(value);
        }
        runs.into_iter()
            .map(|run| usize::try_from(run).ok())
            .collect()
    }
}

/// What is read of an annotation file.
#[derive(Debug, Deserialize)]
struct File {
    masklet: Vec<Vec<Rle>>,
    masklet_id: Vec<u64>,
}

/// The annotation file of a video: by people where there is one.
fn annotations(video: &Path) -> Option<PathBuf> {
    let stem = video.file_stem()?.to_str()?;
    let named = |end: &str| video.with_file_name(format!("{stem}_{end}.json"));
    ["manual", "auto"]
        .map(named)
        .into_iter()
        .find(|path| path.is_file())
}

/// The videos of a folder that have an annotation file beside them, by name.
pub(super) fn videos(dir: &Path) -> Vec<(String, PathBuf)> {
    let files = Listing::of(dir)
        .unwrap_or_default()
        .with_extension(&["mp4"]);
    let paths = files.iter().map(|file| dir.join(file));
    let annotated = paths.filter(|path| annotations(path).is_some());
    annotated
        .map(|path| (super::pairing::stem(&path), path))
        .collect()
}

/// Reads a video's header and its annotation file.
pub(super) fn video(id: &str, path: &Path, limit_objects: usize) -> Result<Video, DatasetError> {
    let unusable = |text: String| DatasetError::Unusable(text);
    let json = annotations(path).unwrap_or_default();
    let bytes = limits::read_file(&json).map_err(|e| read_error(&json, e))?;
    let file: File = serde_json::from_slice(&bytes).map_err(|e| {
        unusable(format!(
            "{} is not a SA-V annotation file: {e}",
            json.display()
        ))
    })?;
    let probed = Ffmpeg::find().and_then(|ffmpeg| VideoFile::probe(&ffmpeg, path));
    let video = probed.map_err(|e| unusable(e.to_string()))?;
    let count = match limit_objects {
        0 => file.masklet_id.len(),
        limit => limit.min(file.masklet_id.len()),
    };
    let mut masks: Vec<Vec<Annotation>> = vec![Vec::new(); count];
    for (at, objects) in file.masklet.into_iter().enumerate() {
        let frame = at * STRIDE;
        if frame >= video.frames {
            return Err(unusable(format!(
                "{} annotates frame {frame}, {} has {}; copy the video again",
                json.display(),
                path.display(),
                video.frames
            )));
        }
        for (annotations, rle) in masks.iter_mut().zip(objects) {
            annotations.push(Annotation {
                frame,
                path: json.clone(),
                label: None,
                rle: Some(Arc::new(rle)),
            });
        }
    }
    let (width, height) = (video.width, video.height);
    let objects = file.masklet_id.iter().zip(masks);
    Ok(Video {
        id: id.to_owned(),
        objects: objects
            .map(|(object, annotations)| ObjectTrack {
                id: format!("{object:03}"),
                video: id.to_owned(),
                annotations,
                given: None,
                unusable: None,
                width,
                height,
            })
            .collect(),
        frames: Vec::new(),
        width,
        height,
        rule: Some(Rule::Position),
        mask_names: (0..video.frames)
            .map(|frame| format!("{frame:05}"))
            .collect(),
        file: Some(video),
        label_maps: false,
        first_masks_only: false,
        void: false,
        ignored: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(size: [usize; 2], counts: &str) -> Option<Vec<(usize, usize)>> {
        let rle = Rle {
            size,
            counts: counts.to_owned(),
        };
        let mask = rle.mask()?;
        let all = (0..size[0]).flat_map(|y| (0..size[1]).map(move |x| (y, x)));
        Some(all.filter(|&(y, x)| mask.get(y, x)).collect())
    }

    /// The code of the same mask by pycocotools (`mask.encode`).
    #[test]
    fn codes_of_pycocotools_are_read() {
        let of = |height: usize, width: usize, rule: fn(i64, i64) -> bool| {
            let all = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
            Some(
                all.filter(|&(y, x)| rule(y as i64, x as i64))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            decoded(
                [9, 13],
                "011010010O0010O00010O0O00010O010O0001010O00010O0010O00O00010O030M010O00010010O000"
            ),
            of(9, 13, |y, x| (y * 7 + x * 3) % 11 < 4)
        );
        assert_eq!(
            decoded([40, 30], "n7=i04L4M2N2N2N2O000000000001N2N2N2N3L4Ll5"),
            of(40, 30, |y, x| (y - 20).pow(2) * 4 + (x - 15).pow(2) * 9
                < 900)
        );
        assert_eq!(decoded([2, 3], "6"), Some(vec![]));
        // Too short, too long, cut in a number, no code.
        for damaged in ["113", "7", "o", "\u{1}", "1o"] {
            assert_eq!(decoded([2, 3], damaged), None, "{damaged}");
        }
    }

    #[test]
    fn the_real_example_has_its_late_and_hidden_objects() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/sav_000001_manual.json");
        let Ok(bytes) = std::fs::read(&path) else {
            eprintln!("skipped: {} is not here", path.display());
            return;
        };
        let file: File = serde_json::from_slice(&bytes).unwrap();
        let empty = |object: usize| {
            let masks = file
                .masklet
                .iter()
                .map(|frame| frame[object].mask().unwrap());
            masks.filter(Mask::is_empty).count()
        };
        assert_eq!([0, 1, 2, 3, 4].map(empty), [1, 0, 11, 113, 0]);
        assert_eq!(file.masklet[0][0].mask().unwrap().height(), 848);
    }
}
