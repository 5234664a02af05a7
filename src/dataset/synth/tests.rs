//! Splits are what they say: deterministic, aligned, with late, vanishing and returning objects.

use super::*;
use crate::dataset::{Split, SplitOptions};
use crate::error::{Classified, ErrorClass};
use crate::media::image::decode_rgb;

fn small() -> Recipe {
    Recipe {
        videos: 4,
        frames: 24,
        width: 97,
        height: 130,
        ..Recipe::default()
    }
}

fn bytes_of(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![out.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push((
                    path.strip_prefix(out).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                ));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_same_recipe_gives_the_same_bytes_on_any_number_of_threads() {
    let recipe = Recipe {
        videos: 3,
        frames: 5,
        ..small()
    };
    let made = |threads: usize, seed: u64| {
        let out = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            seed,
            ..recipe.clone()
        };
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| make(out.path(), &recipe, false))
            .unwrap();
        bytes_of(out.path())
    };
    let first = made(1, 7);
    assert_eq!(first, made(3, 7));
    assert_ne!(first, made(1, 8));
}

#[test]
fn a_split_reads_back_with_its_late_vanishing_and_returning_objects() {
    let out = tempfile::tempdir().unwrap();
    let reports = make(out.path(), &small(), false).unwrap();
    let options = SplitOptions {
        split_name: Some("synth".into()),
        ..SplitOptions::default()
    };
    let split = Split::open(out.path(), &options).unwrap();
    assert_eq!(split.videos.len(), 4);
    let counts: Vec<usize> = split.videos.iter().map(|v| v.objects.len()).collect();
    assert_eq!(counts, OBJECTS_CYCLE);
    let mut late_with_empty_first = 0;
    let mut late_without_annotations = 0;
    let mut vanished = 0;
    for (video, report) in split.videos.iter().zip(&reports) {
        assert_eq!(
            (video.width, video.height, video.frames.len()),
            (97, 130, 24)
        );
        for (track, object) in video.objects.iter().zip(&report.objects) {
            assert_eq!(track.id, object.id);
            let prompt = track.prompt_frame().unwrap();
            assert_eq!(Some(prompt.frame), object.first_visible);
            let first = &track.annotations[0];
            late_with_empty_first += usize::from(object.first_annotation_empty);
            late_without_annotations += usize::from(first.frame > 0);
            vanished += usize::from(object.last_visible < Some(20));
            assert_eq!(
                object.first_annotation_empty,
                first.frame == 0 && prompt.frame > 0
            );
        }
    }
    assert!(late_with_empty_first > 0 && late_without_annotations > 0 && vanished > 0);
}

#[test]
fn masks_lie_on_their_shapes() {
    // Without its object a frame differs inside the mask, and hardly outside it.
    let recipe = Recipe {
        objects: Some(1),
        videos: 1,
        ..small()
    };
    let scene = Scene::new(&recipe, 0, 1);
    let bare = Scene::new(&recipe, 0, 1).without_objects();
    for t in [0, 9, 23] {
        let (with, without) = (scene.render(t), bare.render(t));
        let mask = with.mask(0);
        assert!(mask.area() > 30);
        let (mut inside, mut outside) = (0.0, 0.0);
        for (pixel, &is_object) in mask.as_slice().iter().enumerate() {
            let difference: f64 = (0..3)
                .map(|c| f64::from(with.rgb[3 * pixel + c].abs_diff(without.rgb[3 * pixel + c])))
                .sum();
            *(if is_object { &mut inside } else { &mut outside }) += difference;
        }
        inside /= mask.area() as f64;
        outside /= (97 * 130 - mask.area()) as f64;
        assert!(
            inside > 60.0 && outside < 3.0,
            "frame {t}: {inside} inside, {outside} outside"
        );
    }
}

#[test]
fn frames_are_jpegs_of_the_size_asked_for() {
    let out = tempfile::tempdir().unwrap();
    make(
        out.path(),
        &Recipe {
            videos: 1,
            frames: 2,
            ..small()
        },
        false,
    )
    .unwrap();
    let frame = decode_rgb(&out.path().join("JPEGImages_24fps/synth_000000/00001.jpg")).unwrap();
    assert_eq!((frame.width, frame.height), (97, 130));
}

#[test]
fn impossible_recipes_and_full_folders_are_refused() {
    let out = tempfile::tempdir().unwrap();
    let refusal = |recipe: Recipe| make(out.path(), &recipe, false).unwrap_err();
    let error = refusal(Recipe {
        width: 4,
        ..small()
    });
    assert!(error.to_string().contains("4x130"), "{error}");
    assert_eq!(error.class(), ErrorClass::Usage);
    assert!(
        refusal(Recipe {
            objects: Some(0),
            ..small()
        })
        .to_string()
        .contains("--objects 0")
    );
    assert!(
        refusal(Recipe {
            split_name: "../x".into(),
            ..small()
        })
        .to_string()
        .contains("../x")
    );
    fs::write(out.path().join("mine.txt"), "precious").unwrap();
    let error = refusal(Recipe {
        videos: 1,
        frames: 1,
        ..small()
    });
    assert!(error.to_string().contains("--force"), "{error}");
    let forced = Recipe {
        videos: 1,
        frames: 1,
        ..small()
    };
    make(out.path(), &forced, true).unwrap();
    assert!(
        out.path().join("mine.txt").exists(),
        "only the split itself is replaced"
    );
    // A video of somebody's own in the split, and a data set that was never ours.
    let own = out.path().join("JPEGImages_24fps/mine");
    fs::create_dir(&own).unwrap();
    let error = make(out.path(), &forced, true).unwrap_err();
    assert!(
        error.to_string().contains("JPEGImages_24fps/mine"),
        "{error}"
    );
    fs::remove_file(out.path().join("synth.json")).unwrap();
    let error = make(out.path(), &forced, true).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage, "{error}");
    assert!(own.exists() && out.path().join("JPEGImages_24fps/synth_000000").exists());
    let error = make(Path::new("/proc/masklet"), &small(), false).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Environment, "{error}");
}
