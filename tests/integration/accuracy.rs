//! Accuracy gates of the embedded model, on a synthetic split whose seeds training never saw.
//!
//! Floors stand below what was measured when the model was embedded (its model card has the
//! figures), by more than float noise on any machine: a gate fails when accuracy falls.

use crate::support::{masklet, synthetic};
use serde_json::Value;
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
    let json = masks.join("scores.json");
    let gt = split.join("Annotations_6fps").display().to_string();
    let (pred, json_text) = (masks.display().to_string(), json.display().to_string());
    // Objects that appear late have no masks before that, as in a run.
    let ran = masklet(&[
        "score",
        "--gt",
        &gt,
        "--pred",
        &pred,
        "--json",
        &json_text,
        "--partial",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let found: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
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
    let folder = out.path().join("run").display().to_string();
    let tag = format!("edgetam_small_{prompt}");
    let path = split.display().to_string();
    let mut args = vec!["run", "--split-dir", &path, "--out-dir", &folder];
    args.extend(["--models", &tag, "--backend", "cpu", "--quiet"]);
    args.extend(more);
    let ran = masklet(&args);
    assert_eq!(ran.code, 0, "{ran:?}");
    let masks = out.path().join("run/masks").join(&tag);
    score(split, &masks)
}

/// Every object's first mask, copied to its later frames.
fn copied(split: &Path) -> Scores {
    let out = tempfile::tempdir().unwrap();
    for video in fs::read_dir(split.join("Annotations_6fps")).unwrap() {
        let video = video.unwrap();
        for object in fs::read_dir(video.path()).unwrap() {
            let object = object.unwrap();
            let mut files: Vec<PathBuf> = fs::read_dir(object.path())
                .unwrap()
                .map(|f| f.unwrap().path())
                .collect();
            files.sort();
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
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
    let python = std::env::var_os("MASKLET_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"),
        PathBuf::from,
    );
    if !python.is_file() {
        println!("skipped: no {} (tools/setup --python)", python.display());
        return;
    }
    let (Some(fp16), Some(bf16)) = (trained("fp16"), trained("bf16")) else {
        return;
    };
    let split = synthetic(&["--videos", "3", "--frames", "32", "--seed", "7302"]);
    // One host of the graphs for all three, so that only the precision differs.
    let masks = |bundle: &Path| {
        let out = tempfile::tempdir().unwrap();
        let done = Command::new(&python)
            .env(
                "PYTHONPATH",
                concat!(env!("CARGO_MANIFEST_DIR"), "/tools/train"),
            )
            .args(["-m", "masklet_train.onnx_masks"])
            .args([bundle, split.path(), out.path()])
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        score(split.path(), out.path())
    };
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/bundles/edgetam_small");
    let fp32 = masks(&embedded);
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
