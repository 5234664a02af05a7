//! What a user of `masklet run` does: a run, its folder, resuming, stopping it, and everything that
//! can be wrong with what it is given.

use crate::support::{
    Run, SmallDisk, embedded_bundle, entries, json, masklet, over, program, rows_by_key, run,
    small, synthetic, tree, wait_until,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// A journal's rows without what depends on time.
fn rows(out: &Path) -> BTreeMap<String, Value> {
    rows_by_key(out, |row| {
        serde_json::json!({
            "status": row["status"], "reason": row["reason"], "frames": row["frames"],
            "prompt_frame": row["prompt_frame"], "scores": row["scores"],
            "together": row["lockstep_objects"],
        })
    })
}

#[test]
fn a_run_leaves_masks_that_score_as_the_run_itself_says() {
    let split = synthetic(&["--videos", "2", "--frames", "9", "--size", "96x64"]);
    let out = split.path().join("run");
    let ran = run(
        split.path(),
        &out,
        &["--models", "edgetam_small_points,edgetam_small_bbox"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    for word in ["J&F", "FPS end to end", "p99", "peak arena", "peak RSS"] {
        assert!(ran.stdout.contains(word), "no '{word}' in {}", ran.stdout);
    }
    let finished = rows(&out);
    for model in ["edgetam_small_points", "edgetam_small_bbox"] {
        let scores = split.path().join("scores.json");
        let mut score = program();
        score.args(["score", "--partial", "--gt"]);
        score.arg(split.path().join("Annotations_6fps"));
        score.arg("--pred").arg(out.join("masks").join(model));
        score.arg("--json").arg(&scores).ran().ok();
        let scores = json(&scores);
        let objects = scores["objects"].as_array().unwrap();
        assert!(!objects.is_empty());
        for object in objects {
            let key = format!("\"{model}\" {} {}", object["video"], object["object"]);
            let official = &finished[&key]["scores"]["official"];
            for (ours, theirs) in [("j", "J"), ("f", "F")] {
                let difference =
                    official[ours].as_f64().unwrap() * 100.0 - object[theirs].as_f64().unwrap();
                assert!(
                    difference.abs() < 1e-9,
                    "{key} {theirs}: {official} against {object}"
                );
            }
        }
    }
    for file in ["run.json", "journal.jsonl", "summary.csv", "summary.json"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let again = run(split.path(), &out, &[]);
    assert_eq!(
        again.code, 2,
        "a finished run is not overwritten: {again:?}"
    );
    assert!(
        again.stderr.contains("--resume") && again.stderr.contains("--force"),
        "{again:?}"
    );
}

#[test]
fn objects_together_and_one_by_one_give_the_same_masks_and_scores() {
    let split = synthetic(&[
        "--videos",
        "2",
        "--frames",
        "13",
        "--size",
        "80x60",
        "--objects",
        "3",
    ]);
    let (together, alone) = (split.path().join("together"), split.path().join("alone"));
    assert_eq!(
        run(split.path(), &together, &["--save-masks", "all"]).code,
        0
    );
    let isolated = run(
        split.path(),
        &alone,
        &["--save-masks", "all", "--objects", "isolated"],
    );
    assert_eq!(isolated.code, 0, "{isolated:?}");
    assert_eq!(tree(&together.join("masks")), tree(&alone.join("masks")));
    let scores = |out: &Path| -> BTreeMap<String, Value> {
        rows(out)
            .into_iter()
            .map(|(key, row)| (key, row["scores"].clone()))
            .collect()
    };
    assert_eq!(scores(&together), scores(&alone));
}

#[test]
fn the_arena_ends_where_it_began_and_never_exceeds_its_plan() {
    let split = synthetic(&["--videos", "3", "--frames", "6", "--size", "64x48"]);
    let out = split.path().join("run");
    assert_eq!(run(split.path(), &out, &[]).code, 0);
    let plan = masklet(&[
        "plan",
        "--split-dir",
        &split.path().display().to_string(),
        "--json",
    ]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let text = fs::read_to_string(out.join("journal.jsonl")).unwrap();
    let mut checked = 0;
    let mut highest = 0;
    for line in text.lines().filter(|line| line.contains("\"arena\"")) {
        let row: Value = serde_json::from_str(line).unwrap();
        let row = &row["object"];
        let arena = &row["memory"]["arena"];
        assert_eq!(arena["before_bytes"], arena["after_bytes"], "{arena}");
        assert_eq!(arena["slab_bytes"], plan[0]["total_bytes"]);
        highest = highest.max(arena["peak_bytes"].as_u64().unwrap());
        checked += 1;
    }
    assert!(checked > 0);
    // The video with the most objects uses all of it.
    assert_eq!(Some(highest), plan[0]["total_bytes"].as_u64());
}

#[test]
fn a_journal_cut_inside_a_line_is_continued() {
    let split = small(3, 6, 1);
    let out = split.path().join("run");
    assert_eq!(run(split.path(), &out, &[]).code, 0);
    let before = rows(&out);
    let journal = out.join("journal.jsonl");
    let text = fs::read(&journal).unwrap();
    fs::write(&journal, &text[..text.len() - 100]).unwrap();
    let resumed = run(split.path(), &out, &["--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(
        resumed.stderr.contains("journal"),
        "the cut is mentioned: {resumed:?}"
    );
    assert_eq!(rows(&out), before);
    let other = run(split.path(), &out, &["--resume", "--max-clip-frames", "3"]);
    assert_eq!(other.code, 2, "{other:?}");
    assert!(other.stderr.contains("max-clip-frames"), "{other:?}");
}

#[test]
fn an_interrupt_finishes_the_frame_and_says_how_to_go_on() {
    let split = small(2, 120, 2);
    let out = split.path().join("run");
    let child = over(split.path(), &out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let masks = out.join("masks/edgetam_small_points");
    wait_until("a mask is written", || masks.exists());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("--resume"), "{stderr}");
    assert_eq!(json(&out.join("run.json"))["state"], "interrupted");
}

/// The one damaged object fails, the others do not, the run goes on and says so.
fn one_object_fails(split: &Path, words: &[&str]) {
    let out = split.join("run");
    let ran = run(split, &out, &["--objects", "isolated"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let rows = rows(&out);
    let failed: Vec<&Value> = rows
        .values()
        .filter(|row| row["status"] == "failed")
        .collect();
    assert!(!failed.is_empty() && failed.len() < rows.len(), "{rows:#?}");
    for row in failed {
        let reason = row["reason"].as_str().unwrap();
        for word in words {
            assert!(reason.contains(word), "'{word}' is not in: {reason}");
        }
        assert!(row["scores"].is_null());
    }
}

/// The first annotation file of the first object, and its frame's number.
fn an_annotation(split: &Path, position: usize) -> PathBuf {
    let mut all: Vec<PathBuf> = tree(&split.join("Annotations_6fps")).into_keys().collect();
    all.sort();
    split.join("Annotations_6fps").join(&all[position])
}

#[test]
fn a_truncated_jpeg_fails_its_objects_by_name_and_the_run_goes_on() {
    let split = small(2, 9, 1);
    let frames = split.path().join("JPEGImages_24fps");
    let frame = entries(&frames)[0].join("00005.jpg");
    let bytes = fs::read(&frame).unwrap();
    fs::write(&frame, &bytes[..bytes.len() / 2]).unwrap();
    one_object_fails(split.path(), &["00005.jpg"]);
}

#[test]
fn a_mask_of_another_size_or_of_three_values_fails_its_object() {
    let split = small(2, 9, 1);
    let path = an_annotation(split.path(), 1);
    crate::support::write_gray_png(&path, 32, 20, |x, _| if x < 9 { 255 } else { 0 });
    one_object_fails(split.path(), &["32", "20", "64", "48"]);
    fs::remove_dir_all(split.path().join("run")).unwrap();
    crate::support::write_gray_png(&path, 64, 48, |x, _| [0, 128, 255][x % 3]);
    one_object_fails(split.path(), &["128"]);
}

#[test]
fn data_that_is_not_there_is_a_data_error() {
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().join("nowhere");
    let ran = run(&nowhere, &empty.path().join("run"), &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("nowhere"), "{ran:?}");
    let ran = run(empty.path(), &empty.path().join("run"), &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("JPEGImages"), "{ran:?}");
    assert!(
        !empty.path().join("run").exists(),
        "nothing is made for a run that cannot begin"
    );
}

#[test]
fn what_cannot_be_asked_is_a_usage_error() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let out = split.path().join("run");
    for (args, words) in [
        (
            vec!["--models", "edgetam_small"],
            vec!["edgetam_small", "points"],
        ),
        (
            vec!["--models", "nothing_points"],
            vec!["nothing", "edgetam_small 256 fp32"],
        ),
        (vec!["--imgsz", "384"], vec!["384", "multiples of 256"]),
        (
            vec!["--save-overlays", "2"],
            vec!["--save-overlays", "0..=1"],
        ),
        (vec!["--memory-budget", "12 apples"], vec!["apples"]),
        (vec!["--resume", "--force"], vec!["--resume", "--force"]),
    ] {
        let ran = run(split.path(), &out, &args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "'{word}' is not in: {ran:?}");
        }
    }
    let ran = run(split.path(), &out, &["--memory-budget", "64KiB"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("--memory-budget") && ran.stderr.contains("video / "),
        "{ran:?}"
    );
    assert!(!out.exists());
}

#[test]
fn a_damaged_bundle_is_a_data_error() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let exports = split.path().join("exports");
    let bundle = exports.join("mine");
    let whole = || {
        let _ = fs::remove_dir_all(&exports);
        fs::create_dir_all(&bundle).unwrap();
        for (name, bytes) in tree(&embedded_bundle()) {
            fs::write(bundle.join(name), bytes).unwrap();
        }
    };
    let edit = |from: &str, to: &str| {
        let path = bundle.join("bundle.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).unwrap();
    };
    let refused = |words: &[&str]| {
        let exports = exports.display().to_string();
        let ran = run(
            split.path(),
            &split.path().join("run"),
            &["--exports", &exports],
        );
        assert_eq!(ran.code, 4, "{ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "'{word}' is not in: {ran:?}");
        }
        whole();
    };
    whole();
    fs::write(bundle.join("track_step.onnx"), b"not a graph").unwrap();
    refused(&["track_step.onnx", "SHA-256"]);
    fs::remove_file(bundle.join("memory_encoder.onnx")).unwrap();
    refused(&["memory_encoder.onnx", "missing"]);
    edit("format = 2", "format = 7");
    refused(&["format 7"]);
    edit("shape = [1, 3, 256, 256]", "shape = [1, 3, 128, 128]");
    refused(&["image f32 (1,3,128,128)"]);
    edit("image_size = 256", "image_size = 300");
    refused(&["300", "multiples of 256"]);
    let good = run(
        split.path(),
        &split.path().join("run"),
        &["--exports", &exports.display().to_string()],
    );
    assert_eq!(good.code, 0, "the whole bundle runs: {good:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_an_environment_error() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let ran = run(split.path(), Path::new("/proc/masklet/run"), &[]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("/proc/masklet"), "{ran:?}");
}

#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let split = synthetic(&[
        "--videos",
        "3",
        "--frames",
        "24",
        "--size",
        "320x240",
        "--objects",
        "2",
    ]);
    let Some(disk) = SmallDisk::mount(128) else {
        return;
    };
    let out = disk.path().join("run");
    let ran = run(split.path(), &out, &["--save-masks", "all"]);
    let code = ran.code;
    let text = ran.stderr.clone();
    let journal = fs::read_to_string(out.join("journal.jsonl")).unwrap_or_default();
    assert_eq!(code, 3, "{ran:?}");
    assert!(
        text.contains("--resume") && text.contains("No space left"),
        "{text}"
    );
    for line in journal.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn upstreams_own_flags_are_understood() {
    let split = synthetic(&["--videos", "2", "--frames", "9", "--size", "64x48"]);
    let out = split.path().join("run");
    let ran = masklet(&[
        "run",
        "--split_dir",
        &split.path().display().to_string(),
        "--out_dir",
        &out.display().to_string(),
        "--limit_videos",
        "1",
        "--limit_objects",
        "1",
        "--autocast_dtype",
        "float32",
        "--imgsz",
        "256",
        "--models",
        "edgetam_small_points",
        "--save_overlays",
        "0",
        "--seed",
        "3",
        "--shuffle_videos",
        "--max_clip_frames",
        "4",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let rows = rows(&out);
    assert_eq!(rows.len(), 1);
    assert!(rows.values().all(|row| row["frames"] == 4), "{rows:?}");
}

#[test]
fn help_completions_man_page_and_bundle_are_printed_even_into_a_closed_pipe() {
    for (args, word) in [
        (vec!["--help"], "Exit codes"),
        (vec!["run", "--help"], "--split-dir"),
        (vec!["completions", "bash"], "_masklet"),
        (vec!["man"], ".TH masklet"),
        (vec!["bundle", "inspect"], "track_step"),
        (
            vec!["plan", "--size", "1920x1080", "--objects-at-once", "3"],
            "memory bank",
        ),
    ] {
        let ran = masklet(&args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        assert!(ran.stdout.contains(word), "{args:?}: {ran:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = program()
            .args(&args)
            .stdout(writer)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{args:?} into a closed pipe: {status}");
    }
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn a_run_killed_twenty_times_ends_like_one_that_was_not() {
        let split = small(4, 10, 2);
        let whole = split.path().join("whole");
        assert_eq!(run(split.path(), &whole, &[]).code, 0);
        let killed = split.path().join("killed");
        let mut random = 0x2545_F491_4F6C_DD1Du64;
        let mut kills = 0;
        while kills < 20 {
            let mut child = over(split.path(), &killed)
                .args(["--resume", "--quiet"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            std::thread::sleep(Duration::from_millis(30 + random % 900));
            child.kill().unwrap();
            if child.wait().unwrap().signal() == Some(9) {
                kills += 1;
            } else {
                // It got through before the signal: start over, the rest of the kills are still due.
                fs::remove_dir_all(&killed).unwrap();
            }
        }
        let last = run(split.path(), &killed, &["--resume"]);
        assert_eq!(last.code, 0, "{last:?}");
        assert_eq!(rows(&whole), rows(&killed));
        assert_eq!(tree(&whole.join("masks")), tree(&killed.join("masks")));
        let scores = |out: &Path| -> Value {
            let summary = json(&out.join("summary.json"));
            let model = &summary["models"][0];
            serde_json::json!([
                summary["counts"],
                model["official_percent"],
                model["upstream"],
                model["counts"]
            ])
        };
        assert_eq!(scores(&whole), scores(&killed));
    }
}
