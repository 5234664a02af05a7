//! Accuracy gates of the embedded model, on a synthetic split whose seeds training never saw.
//!
//! Floors stand below what was measured when the model was embedded (its model card has the
//! figures), by more than float noise on any machine: a gate fails when accuracy falls.

use crate::support::{ROOT, Run, embedded_bundle, entries, json, over, program, python, synthetic};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The split: 3, 2, 4 and 1 objects, with late, vanishing and covered ones.
const SPLIT: [&str; 6] = ["--videos", "4", "--frames", "40", "--seed", "7301"];
/// J&F in percent that the embedded model must reach with a box and with one click.
const BOX_FLOOR: f64 = 76.0;
const CLICK_FLOOR: f64 = 74.0;
/// J&F by which tracking must beat copying the first mask, and an empty memory bank.
const ABOVE_COPYING: f64 = 40.0;
const ABOVE_NO_MEMORY: f64 = 40.0;
/// Largest mean difference in J&F of a lower precision, over the same objects.
const PRECISION: f64 = 1.0;

/// J&F of every object, in percent.
type Scores = BTreeMap<String, f64>;

fn mean(scores: &Scores) -> f64 {
    scores.values().sum::<f64>() / scores.len() as f64
}

/// `masklet score` of a folder of masks.
fn score(split: &Path, masks: &Path) -> Scores {
    let scores = masks.join("scores.json");
    // Objects that appear late have no masks before that, as in a run.
    let mut command = program();
    command.args(["score", "--partial", "--gt"]);
    command.arg(split.join("Annotations_6fps"));
    command.arg("--pred").arg(masks).arg("--json").arg(&scores);
    command.ran().ok();
    let found = json(&scores);
    let objects = found["objects"].as_array().unwrap().iter();
    objects
        .map(|o| {
            let name = |field: &str| o[field].as_str().unwrap();
            let score = |field: &str| o[field].as_f64().unwrap();
            let jf = (score("J") + score("F")) / 2.0;
            (format!("{}/{}", name("video"), name("object")), jf)
        })
        .collect()
}

/// A run of the embedded model; its scores, from its own summary's rows.
fn run(split: &Path, prompt: &str, more: &[&str]) -> Scores {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("run");
    let tag = format!("edgetam_small_{prompt}");
    let mut command = over(split, &folder);
    command.args(["--models", &tag, "--quiet"]).args(more);
    command.ran().ok();
    let masks = folder.join("masks").join(&tag);
    score(split, &masks)
}

/// Every object's first mask, copied to its later frames.
fn copied(split: &Path) -> Scores {
    let out = tempfile::tempdir().unwrap();
    for video in fs::read_dir(split.join("Annotations_6fps")).unwrap() {
        let video = video.unwrap();
        for object in fs::read_dir(video.path()).unwrap() {
            let object = object.unwrap();
            let files = entries(&object.path());
            let target = out.path().join(video.file_name()).join(object.file_name());
            fs::create_dir_all(&target).unwrap();
            let shows = |f: &&PathBuf| !masklet::media::image::read_mask_png(f).unwrap().is_empty();
            let Some(first) = files.iter().position(|f| shows(&f)) else {
                continue;
            };
            for file in &files[first..] {
                fs::copy(&files[first], target.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    score(split, out.path())
}

#[test]
fn the_embedded_model_tracks_what_it_is_shown() {
    let split = synthetic(&SPLIT);
    let split = split.path();
    let (boxed, clicked) = (run(split, "bbox", &[]), run(split, "points", &[]));
    let (copied, forgetful) = (copied(split), run(split, "bbox", &["--no-memory"]));
    println!(
        "J&F: box {:.2}, click {:.2}; first mask copied {:.2}, memory off {:.2}",
        mean(&boxed),
        mean(&clicked),
        mean(&copied),
        mean(&forgetful)
    );
    assert_eq!(boxed.len(), 10);
    assert!(mean(&boxed) >= BOX_FLOOR, "box {:.2}", mean(&boxed));
    assert!(mean(&clicked) >= CLICK_FLOOR, "click {:.2}", mean(&clicked));
    let over = mean(&boxed) - mean(&copied);
    assert!(over >= ABOVE_COPYING, "{over:.2} above copying");
    let over = mean(&boxed) - mean(&forgetful);
    assert!(over >= ABOVE_NO_MEMORY, "{over:.2} above an empty memory");
    // The same masks within float noise, however objects are taken through the tracker.
    let isolated = run(split, "bbox", &["--objects", "isolated"]);
    for (object, score) in &boxed {
        let apart = (isolated[object] - score).abs();
        assert!(
            apart < 0.1,
            "{object}: {score:.3} in lockstep, {:.3} isolated",
            isolated[object]
        );
    }
}

/// A bundle of the trained weights in a lower precision, made by `make test-exports`.
fn trained(precision: &str) -> Option<PathBuf> {
    let path = Path::new(ROOT)
        .join(".cache/test-exports")
        .join(format!("trained-{precision}"));
    if path.join("bundle.toml").is_file() {
        return Some(path);
    }
    println!("skipped: no {} (make test-exports)", path.display());
    None
}

#[test]
fn lower_precisions_score_as_fp32_does() {
    let Some(python) = python() else { return };
    let (Some(fp16), Some(bf16)) = (trained("fp16"), trained("bf16")) else {
        return;
    };
    let split = synthetic(&["--videos", "3", "--frames", "32", "--seed", "7302"]);
    // One host of the graphs for all three, so that only the precision differs.
    let masks = |bundle: &Path| {
        let out = tempfile::tempdir().unwrap();
        Command::new(&python)
            .env("PYTHONPATH", Path::new(ROOT).join("tools/train"))
            .args(["-m", "masklet_train.onnx_masks"])
            .args([bundle, split.path(), out.path()])
            .ran()
            .ok();
        score(split.path(), out.path())
    };
    let fp32 = masks(&embedded_bundle());
    for (precision, bundle) in [("fp16", fp16), ("bf16", bf16)] {
        let low = masks(&bundle);
        let apart: f64 = fp32.iter().map(|(object, score)| low[object] - score).sum();
        let apart = apart / fp32.len() as f64;
        println!("{precision}: {apart:+.3} J&F over {} objects", fp32.len());
        assert!(
            apart > -PRECISION,
            "{precision}: {apart:+.3} J&F; fp32 {fp32:?}, {precision} {low:?}"
        );
    }
}
