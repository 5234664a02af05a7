//! Scoring folders of masks: equal to the official evaluator, and clear about what is wrong.

// The helpers of tests fail as tests do.
mod inputs;
mod scenes;

use masklet::metrics::Scorer;
use masklet::metrics::error::ScoreError;
use masklet::metrics::folder::{FolderOptions, FolderScores, report, score_folders};
use masklet::metrics::protocol::{BothProtocols, Protocol};
use scenes::{Expected, ExpectedObject, Golden, read_binary, write_folders, write_mask};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden(name: &str) -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/score");
    serde_json::from_str(&fs::read_to_string(path.join(name)).unwrap()).unwrap()
}

fn scored(gt: &Path, pred: &Path, options: &FolderOptions) -> Result<FolderScores, ScoreError> {
    score_folders(gt, pred, options, &|_, _| {})
}

fn assert_close(what: &str, ours: f64, expected: f64) {
    let difference = (ours - expected).abs();
    assert!(
        difference <= 1e-6 * expected.abs(),
        "{what}: {ours}, expected {expected}"
    );
}

fn assert_scores(ours: &FolderScores, expected: &Expected) {
    let names = |o: &masklet::metrics::folder::ScoredObject| format!("{}/{}", o.video, o.object);
    let ours_named: Vec<_> = ours.objects.iter().map(names).collect();
    let expected_objects = expected.objects.iter();
    let expected_named: Vec<_> = expected_objects
        .map(|o| format!("{}/{}", o.video, o.object))
        .collect();
    assert_eq!(ours_named, expected_named);
    for ((name, o), e) in ours_named.iter().zip(&ours.objects).zip(&expected.objects) {
        assert_close(&format!("J of {name}"), o.score.j, e.j);
        assert_close(&format!("F of {name}"), o.score.f, e.f);
        assert!(
            e.frames.is_none_or(|frames| frames == o.score.frames),
            "frames of {name}"
        );
    }
    assert_close("global J", ours.global.j, expected.j);
    assert_close("global F", ours.global.f, expected.f);
    assert_close("global J&F", ours.global.jf, expected.jf);
}

fn assert_golden(golden: &Golden, root: &Path) {
    let (gt, pred) = (root.join("gt"), root.join("pred"));
    let official = scored(&gt, &pred, &FolderOptions::default()).unwrap();
    assert_scores(&official, &golden.official);
    assert_eq!(report::official_csv(&official), golden.results_csv);
    let all_frames = FolderOptions {
        with_first_and_last: true,
        ..FolderOptions::default()
    };
    assert_scores(
        &scored(&gt, &pred, &all_frames).unwrap(),
        &golden.official_all_frames,
    );
    let upstream = FolderOptions {
        protocol: Protocol::Upstream,
        threads: Some(1),
        ..FolderOptions::default()
    };
    assert_scores(&scored(&gt, &pred, &upstream).unwrap(), &golden.upstream);
}

#[test]
fn synthetic_scenes_score_as_the_official_evaluator_scores_them() {
    let golden = golden("synthetic.json");
    let root = TempDir::new().unwrap();
    write_folders(&golden.scenes, None, root.path());
    assert_golden(&golden, root.path());
}

/// The accumulators beside a running tracker give what the pass over files gives.
#[test]
fn frame_by_frame_scores_equal_the_official_evaluator() {
    let golden = golden("synthetic.json");
    let mut scorer = Scorer::new();
    let mut compared = 0;
    for scene in golden.scenes.iter().filter(|s| s.layout == "sav") {
        for (object, [gt, pred]) in scene.masks(None) {
            let mut both = BothProtocols::new(scene.frames);
            for (t, (gt, pred)) in gt.iter().zip(&pred).enumerate() {
                both.push(&mut scorer, t, gt, Some(pred)).unwrap();
            }
            let pairs = [
                (both.official(), &golden.official),
                (both.upstream(), &golden.upstream),
            ];
            for (ours, expected) in pairs {
                let mut expected = expected.objects.iter();
                let is_it = |e: &&ExpectedObject| e.video == scene.video && e.object == object;
                let expected = expected.find(is_it).unwrap();
                let ours = ours.score().unwrap();
                assert_close("J", ours.j, expected.j);
                assert_close("F", ours.f, expected.f);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 16);
}

#[test]
fn real_masklets_score_as_the_official_evaluator_scores_them() {
    let shared = std::env::var_os("MASKLET_SHARED_DATA").map(PathBuf::from);
    let shared =
        shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let Ok(text) = fs::read_to_string(shared.join("sav_000001_manual.json")) else {
        println!("skipped: no sav_000001_manual.json in {}", shared.display());
        return;
    };
    let golden = golden("sav_000001.json");
    let root = TempDir::new().unwrap();
    let annotations = serde_json::from_str(&text).unwrap();
    write_folders(&golden.scenes, Some(&annotations), root.path());
    assert_golden(&golden, root.path());
}

/// OSVOS results (davisvideochallenge/davis2017-evaluation) against DAVIS-2016 masks, both taken
/// as binary; expected values from the official evaluator. `MASKLET_DAVIS_OSVOS` names a folder
/// with `gt/<video>/*.png` and `pred/<video>/*.png`.
#[test]
fn osvos_on_davis_2016_scores_as_the_official_evaluator_scores_it() {
    let Some(source) = std::env::var_os("MASKLET_DAVIS_OSVOS").map(PathBuf::from) else {
        println!("skipped: MASKLET_DAVIS_OSVOS names no folder");
        return;
    };
    let expected = [
        ("blackswan", 48, 94.302001, 97.409648),
        ("bmx-trees", 78, 54.053113, 76.634084),
        ("camel", 88, 85.945938, 89.053387),
        ("car-shadow", 38, 92.840160, 91.740718),
        ("drift-chicane", 50, 77.422019, 82.889309),
        ("libby", 47, 62.302697, 75.123193),
    ];
    let root = TempDir::new().unwrap();
    for (video, ..) in expected {
        for side in ["gt", "pred"] {
            let object = root.path().join(side).join(video).join("000");
            for entry in fs::read_dir(source.join(side).join(video)).unwrap() {
                let entry = entry.unwrap();
                write_mask(&object.join(entry.file_name()), &read_binary(&entry.path()));
            }
        }
    }
    let (gt, pred) = (root.path().join("gt"), root.path().join("pred"));
    let scores = scored(&gt, &pred, &FolderOptions::default()).unwrap();
    assert_eq!(scores.objects.len(), expected.len());
    for (ours, (video, frames, j, f)) in scores.objects.iter().zip(expected) {
        assert_eq!((ours.video.as_str(), ours.score.frames), (video, frames));
        // The expected values have six decimals.
        assert!(
            (ours.score.j - j).abs() < 6e-7,
            "J of {video}: {}",
            ours.score.j
        );
        assert!(
            (ours.score.f - f).abs() < 6e-7,
            "F of {video}: {}",
            ours.score.f
        );
    }
    assert!((scores.global.jf - 81.643022).abs() < 6e-7);
}
