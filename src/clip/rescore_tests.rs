//! Masks as a run writes them, scored from their files, give the run's own scores: over random
//! data sets of both layouts, every naming, late, ending and returning objects, void and overlap,
//! with made-up predictions in place of a model's.

use super::score_files;
use crate::clip::MaskFiles;
use crate::clip::label_maps;
use crate::clip::run::judged;
use crate::dataset::{Split, SplitOptions, Video};
use crate::mask::Mask;
use crate::media::image::{LabelMap, write_label_png, write_mask_png};
use crate::metrics::Scorer;
use crate::metrics::folder::{FolderOptions, FolderScores, score_folders};
use crate::metrics::protocol::{BothProtocols, Protocol};
use crate::record::ObjectScores;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// A box of pixels, rows and columns from..to; empty where it has none.
type Box = (usize, usize, usize, usize);

/// A data set of one video.
#[derive(Clone, Debug)]
struct Case {
    maps: bool,
    /// First number, step and name of frames.
    naming: (usize, usize, &'static str),
    size: (usize, usize),
    frames: usize,
    /// Every so many frames are annotated.
    stride: usize,
    void: bool,
    /// Per object: the truth and the prediction of every frame; `None` where it is not there.
    objects: Vec<Vec<(Option<Box>, Option<Box>)>>,
}

fn a_box() -> impl Strategy<Value = Option<Box>> {
    let side = (0usize..20, 1usize..12);
    prop::option::weighted(
        0.7,
        (side.clone(), side).prop_map(|((y, h), (x, w))| (y, y + h, x, x + w)),
    )
}

fn case() -> impl Strategy<Value = Case> {
    let naming = prop::sample::select(vec![
        (0, 1, "{}"),
        (1, 1, "{}"),
        (0, 5, "{}"),
        (1, 5, "000{}"),
        (10, 3, "frame{}"),
        (140, 31, "P01_107_frame_{}"),
    ]);
    (
        any::<bool>(),
        naming,
        (24usize..40, 24usize..50),
        2usize..14,
        1usize..4,
        any::<bool>(),
        1usize..4,
    )
        .prop_flat_map(|(maps, naming, size, frames, stride, void, objects)| {
            let object = prop::collection::vec((a_box(), a_box()), frames);
            let objects = prop::collection::vec(object, objects);
            objects.prop_map(move |objects| Case {
                maps,
                naming,
                size,
                frames,
                stride,
                void,
                objects,
            })
        })
}

fn mask((height, width): (usize, usize), area: Option<Box>) -> Mask {
    Mask::from_fn(height, width, |y, x| {
        area.is_some_and(|(y0, y1, x0, x1)| (y0..y1).contains(&y) && (x0..x1).contains(&x))
    })
}

impl Case {
    fn name(&self, frame: usize) -> String {
        let (first, step, name) = self.naming;
        name.replace("{}", &format!("{:05}", first + step * frame))
    }

    fn annotated(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.frames).step_by(self.stride)
    }

    fn write(&self, root: &Path) {
        let (frames, masks) = if self.maps {
            ("JPEGImages", "Annotations")
        } else {
            ("JPEGImages_24fps", "Annotations_6fps")
        };
        let frames = root.join(frames).join("v");
        fs::create_dir_all(&frames).unwrap();
        let mut jpeg = Vec::new();
        let (height, width) = self.size;
        let side = |n: usize| u16::try_from(n).unwrap();
        jpeg_encoder::Encoder::new(&mut jpeg, 50)
            .encode(
                &vec![0; height * width * 3],
                side(width),
                side(height),
                jpeg_encoder::ColorType::Rgb,
            )
            .unwrap();
        for frame in 0..self.frames {
            fs::write(frames.join(format!("{}.jpg", self.name(frame))), &jpeg).unwrap();
        }
        let masks = root.join(masks).join("v");
        for frame in self.annotated() {
            let file = format!("{}.png", self.name(frame));
            if !self.maps {
                for (at, object) in self.objects.iter().enumerate() {
                    let folder = masks.join(format!("{at:03}"));
                    fs::create_dir_all(&folder).unwrap();
                    write_mask_png(&folder.join(&file), &mask(self.size, object[frame].0)).unwrap();
                }
                continue;
            }
            fs::create_dir_all(&masks).unwrap();
            let mut map = LabelMap {
                height,
                width,
                data: vec![0; height * width],
            };
            for (at, object) in self.objects.iter().enumerate() {
                let label = 1 + 3 * at as u32;
                for (pixel, set) in map
                    .data
                    .iter_mut()
                    .zip(mask(self.size, object[frame].0).as_slice())
                {
                    if *set {
                        *pixel = label;
                    }
                }
            }
            if self.void {
                map.data[..width].fill(255);
            }
            write_label_png(&masks.join(&file), &map).unwrap();
        }
    }
}

/// The scores that a run of these predictions has, and its masks on disk.
fn run(case: &Case, video: &Video, masks: &Path) -> Vec<(String, Option<ObjectScores>)> {
    let files = MaskFiles::annotated(masks);
    let mut scorer = Scorer::new();
    let mut scored = Vec::new();
    for track in &video.objects {
        let Ok(prompt) = track.prompt_frame() else {
            continue;
        };
        let at: usize = track.id.parse().unwrap();
        let at = if case.maps { (at - 1) / 3 } else { at };
        let mut both = BothProtocols::new(track.annotations.len());
        for (position, annotation) in track.annotations.iter().enumerate() {
            let guess = case.objects[at][annotation.frame].1;
            let guess = guess.filter(|_| annotation.frame >= prompt.frame);
            let predicted = mask(case.size, guess);
            let truth = track.load(position).unwrap();
            both.push(&mut scorer, position, &truth, Some(&predicted))
                .unwrap();
            let path = files.path("tag", video, track, annotation.frame).unwrap();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_mask_png(&path, &predicted).unwrap();
        }
        let count = track.annotations.len();
        let (scores, _) = judged(track, &both, prompt.frame, count);
        let (again, _) = score_files(
            track,
            prompt.frame,
            video.frame_count(),
            &masks.join("tag/v").join(&track.id),
        )
        .unwrap();
        assert_eq!(scores, again);
        scored.push((track.id.clone(), scores));
    }
    if video.label_maps {
        label_maps::write(&files, video, "tag").unwrap();
    }
    scored
}

fn check(root: &Path, scored: &[(String, Option<ObjectScores>)], protocol: Protocol) {
    let options = FolderOptions {
        protocol,
        ..FolderOptions::default()
    };
    let expected: Vec<_> = scored
        .iter()
        .filter_map(|(object, scores)| {
            let scores = scores.as_ref()?;
            let score = match protocol {
                Protocol::Official => scores.official?,
                Protocol::Upstream => scores.upstream?,
            };
            Some((object.clone(), score))
        })
        .collect();
    let found = score_folders(root, &root.join("masks/tag"), &options, &|_, _| {});
    let objects = match found {
        Ok(FolderScores { objects, .. }) => objects,
        Err(error) => {
            assert!(expected.is_empty(), "{error}");
            return;
        }
    };
    for (object, score) in &expected {
        let found = objects.iter().find(|o| o.object == *object);
        let found = &found
            .unwrap_or_else(|| panic!("{object} has no score"))
            .score;
        assert_eq!(found.frames, score.frames, "{object}");
        assert!((found.j - score.j * 100.0).abs() < 1e-9, "{object}");
        assert!((found.f - score.f * 100.0).abs() < 1e-9, "{object}");
    }
    let known = |o: &str| expected.iter().any(|(object, _)| object == o);
    for object in &objects {
        assert!(
            known(&object.object),
            "{} is not scored in the run",
            object.object
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_run_s_masks_give_its_scores(case in case()) {
        let dir = tempfile::tempdir().unwrap();
        case.write(dir.path());
        let Ok(split) = Split::open(dir.path(), &SplitOptions::default()) else {
            // No object in any map.
            prop_assert!(case.maps);
            return Ok(());
        };
        let video = &split.videos[0];
        let never = video.objects.iter().any(|track| track.prompt_frame().is_err());
        prop_assume!(!never);
        // Where 255 is the only label, it is an object, of which a case has no prediction.
        prop_assume!(video.objects.iter().all(|track| track.id != "255"));
        let scored = run(&case, video, &dir.path().join("masks"));
        for protocol in [Protocol::Official, Protocol::Upstream] {
            check(dir.path(), &scored, protocol);
        }
    }
}
