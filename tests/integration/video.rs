//! What a user does with video files: a clip, a click and a box; frames at a rate; the highest rate.

use crate::support::{
    Ran, Run, csv, has_ffmpeg, json, masklet, only, program, rows, synthetic, tree,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FRAMES: usize = 8;
const WIDTH: usize = 96;
const HEIGHT: usize = 64;

/// A split with one video of one object.
fn split() -> tempfile::TempDir {
    let (frames, size) = (FRAMES.to_string(), format!("{WIDTH}x{HEIGHT}"));
    synthetic(&[
        "--videos",
        "1",
        "--objects",
        "1",
        "--frames",
        &frames,
        "--size",
        &size,
    ])
}

fn ffmpeg(args: &[&str]) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .args(args)
        .ran()
        .ok();
}

/// Width, height and frames of an overlay, `W,H,N`.
fn overlay(out: &Path, name: &str) -> String {
    let path = out.join("overlays").join(name);
    let mut command = Command::new("ffprobe");
    command
        .args(["-v", "error", "-count_frames", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=width,height,nb_read_frames"])
        .arg(&path)
        .ran()
        .ok()
        .stdout
        .trim()
        .to_owned()
}

/// Makes a clip of the split's frames, next to nothing lost.
fn clip(split: &Path, name: &str, more: &[&str]) -> PathBuf {
    let frames = only(&split.join("JPEGImages_24fps")).join("%05d.jpg");
    let (frames, out) = (frames.display().to_string(), split.join(name));
    let mut args = vec!["-framerate", "24", "-i", &frames];
    args.extend(["-c:v", "mpeg4", "-q:v", "1"]);
    args.extend(more);
    let shown = out.display().to_string();
    args.push(&shown);
    ffmpeg(&args);
    out
}

/// The tight box of the object on the first frame, as prompts are written, and a point in it.
fn prompts(split: &Path) -> (String, String) {
    let mask = only(&only(&split.join("Annotations_6fps"))).join("00000.png");
    let mask = masklet::media::image::read_mask_png(&mask).unwrap();
    let b = mask
        .bounding_box()
        .expect("the object is there from the first frame on");
    let (x, y) = masklet::dataset::prompts::interior_point(&mask).unwrap();
    (
        format!("{x},{y}"),
        format!("{},{},{},{}", b.x_min, b.y_min, b.x_max, b.y_max),
    )
}

fn run(video: &Path, out: &Path, more: &[&str]) -> Ran {
    let mut command = program();
    command.args(["run", "--warmup", "0", "--telemetry-hz", "0", "--video"]);
    command.arg(video).arg("--out-dir").arg(out);
    command.args(more).ran()
}

/// Cells of the first row of summary.csv by column.
fn cell(out: &Path, column: &str) -> String {
    let row = &csv(&out.join("summary.csv"))[0];
    let cell = row.get(column);
    cell.unwrap_or_else(|| panic!("no column {column}")).clone()
}

fn masks(folder: &Path) -> Vec<masklet::mask::Mask> {
    let read = |name: &PathBuf| masklet::media::image::read_mask_png(&folder.join(name)).unwrap();
    tree(folder).keys().map(read).collect()
}

#[test]
fn a_clip_is_tracked_as_the_folder_it_was_made_of() {
    if !has_ffmpeg() {
        return;
    }
    let split = split();
    let video = clip(split.path(), "my clip.mp4", &[]);
    let (point, tight) = prompts(split.path());
    let out = split.path().join("run");
    let ran = run(
        &video,
        &out,
        &["--prompt-point", &point, "--prompt-box", &tight],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("no ground truth"), "{}", ran.stdout);
    let found = rows(&out);
    assert_eq!(found.len(), 2, "{found:?}");
    for row in &found {
        assert_eq!(row["status"], "ok");
        assert_eq!(row["frames"], FRAMES);
        assert_eq!(row["input_size"], serde_json::json!([HEIGHT, WIDTH]));
        assert_eq!(
            (&row["scores"], &row["scores_missing"]),
            (&Value::Null, &Value::from("no ground truth"))
        );
    }
    for column in ["J", "F", "JandF", "official_JF"] {
        assert_eq!(cell(&out, column), "", "{column}");
    }
    assert_eq!(cell(&out, "scores_missing"), "no ground truth");
    let summary = json(&out.join("summary.json"));
    assert_eq!(summary["models"][0]["official_percent"], Value::Null);
    assert_eq!(summary["models"][0]["scores_missing"][0], "no ground truth");
    let run = json(&out.join("run.json"));
    assert_eq!(run["video_files"][0]["frames"], FRAMES);
    assert!(run["options"]["prompts"][1]["prompt"]["box"].is_array());

    // The same prompts, made of the mask, on the folder that the clip was made of.
    let folder = split.path().join("folder");
    let (data, shown) = (
        split.path().display().to_string(),
        folder.display().to_string(),
    );
    let ran = masklet(&[
        "run",
        "--split-dir",
        &data,
        "--out-dir",
        &shown,
        "--save-masks",
        "all",
        "--warmup",
        "0",
        "--models",
        "edgetam_small_points_interior,edgetam_small_bbox",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for (object, tag) in [
        ("1", "edgetam_small_points_interior"),
        ("2", "edgetam_small_bbox"),
    ] {
        let ours = masks(&out.join("masks/edgetam_small_given/my_clip").join(object));
        let theirs = masks(&only(&only(&folder.join("masks").join(tag))));
        assert_eq!((ours.len(), theirs.len()), (FRAMES, FRAMES));
        let seen = theirs.iter().filter(|mask| !mask.is_empty()).count();
        assert!(seen > 0, "{tag} sees nothing, so this compares nothing");
        let mean: f64 = ours
            .iter()
            .zip(&theirs)
            .map(|(a, b)| iou(a, b))
            .sum::<f64>()
            / FRAMES as f64;
        assert!(mean > 0.8, "{tag}: mean IoU {mean}");
    }
}

fn iou(a: &masklet::mask::Mask, b: &masklet::mask::Mask) -> f64 {
    assert_eq!((a.height(), a.width()), (b.height(), b.width()));
    let (mut both, mut either) = (0, 0);
    for y in 0..a.height() {
        for x in 0..a.width() {
            both += usize::from(a.get(y, x) && b.get(y, x));
            either += usize::from(a.get(y, x) || b.get(y, x));
        }
    }
    if either == 0 {
        1.0
    } else {
        f64::from(both as u32) / f64::from(either as u32)
    }
}

#[test]
fn turned_odd_cut_and_late_clips() {
    if !has_ffmpeg() {
        return;
    }
    let split = split();
    let straight = clip(split.path(), "straight.mp4", &["-movflags", "faststart"]);

    // Rotation: stored 96x64, displayed 64x96.
    let turned = split.path().join("turned.mp4");
    let (from, to) = (straight.display().to_string(), turned.display().to_string());
    ffmpeg(&[
        "-i",
        &from,
        "-c",
        "copy",
        "-metadata:s:v:0",
        "rotate=90",
        &to,
    ]);
    let out = split.path().join("turned");
    let ran = run(
        &turned,
        &out,
        &[
            "--prompt-point",
            "40,90",
            "--prompt-frame",
            "6",
            "--save-overlays",
        ],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let drawn = overlay(&out, "turned__obj1__edgetam_small_given.mp4");
    assert_eq!(
        drawn,
        format!("{HEIGHT},{WIDTH},2"),
        "upright, from the prompt on"
    );
    let row = &rows(&out)[0];
    assert_eq!(
        row["input_size"],
        serde_json::json!([WIDTH, HEIGHT]),
        "height, width"
    );
    // A late prompt: nothing before it.
    assert_eq!(
        (&row["prompt_frame"], &row["frames"]),
        (&Value::from(6), &Value::from(2))
    );
    let written: Vec<PathBuf> = tree(&out.join("masks")).into_keys().collect();
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(written[0].ends_with("turned/1/00006.png"), "{written:?}");

    // Odd sides.
    let odd = clip(split.path(), "odd.mp4", &["-vf", "crop=95:63:0:0"]);
    let out = split.path().join("odd");
    let ran = run(&odd, &out, &["--prompt-point", "94,62"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mask = &masks(&out.join("masks"))[0];
    assert_eq!((mask.width(), mask.height()), (95, 63));

    // Cut in the middle: what is before is tracked, and the end is said.
    let whole = fs::read(&straight).unwrap();
    let cut = split.path().join("cut.mp4");
    fs::write(&cut, &whole[..whole.len() * 6 / 10]).unwrap();
    let out = split.path().join("cut");
    let ran = run(&cut, &out, &["--prompt-point", "40,30", "--save-overlays"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let frames = rows(&out)[0]["frames"].as_u64().unwrap();
    let drawn = overlay(&out, "cut__obj1__edgetam_small_given.mp4");
    assert_eq!(drawn, format!("{WIDTH},{HEIGHT},{frames}"));
    assert!((1..FRAMES as u64).contains(&frames), "{frames}");
    let words = format!("ends after {frames} of {FRAMES} frames");
    assert!(
        ran.stdout.contains(&words) || ran.stdout.replace('\n', " ").contains(&words),
        "{ran:?}"
    );
    assert!(cell(&out, "warning").contains(&words));

    // A prompt behind the end of what is there.
    let out = split.path().join("behind");
    let ran = run(
        &cut,
        &out,
        &["--prompt-point", "40,30", "--prompt-frame", "7"],
    );
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("no frame 7 to prompt on"), "{ran:?}");
}

#[test]
fn what_cannot_be_is_said_in_words() {
    if !has_ffmpeg() {
        return;
    }
    let split = split();
    let video = clip(split.path(), "clip.mp4", &[]);
    let out = split.path().join("run");
    let damaged = split.path().join("damaged.mp4");
    fs::write(&damaged, b"this is not a video at all").unwrap();
    let empty = split.path().join("empty.mp4");
    fs::write(&empty, b"").unwrap();
    let sound = split.path().join("sound.wav");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "anullsrc",
        "-t",
        "0.1",
        &sound.display().to_string(),
    ]);
    let data = split.path().display().to_string();
    let click = ["--prompt-point", "5,5"];
    for (file, more, code, words) in [
        (
            &video,
            vec!["--prompt-point", "96,3"],
            2,
            "x is 96, the video is 96x64 pixels",
        ),
        (
            &video,
            vec!["--prompt-point", "-4,3"],
            2,
            "x is -4, the video is 96x64",
        ),
        (
            &video,
            vec!["--prompt-box", "1,1,20,65"],
            2,
            "y is 65, the video is 96x64",
        ),
        (&video, vec!["--prompt-box", "9,1,2,5"], 2, "no inside"),
        (&video, vec!["--prompt-point", "here"], 2, "write X,Y"),
        (&video, vec![], 2, "needs to know what to track"),
        (
            &video,
            [&click[..], &["--prompt-frame", "8"]].concat(),
            2,
            "no frame 8",
        ),
        (
            &video,
            [&click[..], &["--split-dir", &data]].concat(),
            2,
            "two kinds of data",
        ),
        (
            &video,
            [&click[..], &["--limit-videos", "1"]].concat(),
            2,
            "select from a split",
        ),
        (
            &video,
            [&click[..], &["--save-masks", "annotated"]].concat(),
            2,
            "no annotated frames",
        ),
        (
            &video,
            [&click[..], &["--realtime", "0"]].concat(),
            2,
            "not a rate",
        ),
        (
            &video,
            [&click[..], &["--realtime", "--find-rate"]].concat(),
            2,
            "--find-rate tries rates",
        ),
        (&damaged, click.to_vec(), 4, "damaged.mp4"),
        (&empty, click.to_vec(), 4, "is empty"),
        (&sound, click.to_vec(), 4, "no video stream"),
        (
            &split.path().join("gone.mp4"),
            click.to_vec(),
            4,
            "cannot be read",
        ),
    ] {
        let ran = run(file, &out, &more);
        assert_eq!(ran.code, code, "{more:?}: {ran:?}");
        let said = ran.stderr.replace('\n', " ");
        assert!(said.contains(words), "{more:?}: no '{words}' in {said}");
        assert!(!out.exists(), "{more:?} left a run folder");
    }
    let ran = masklet(&["run", "--split-dir", &data, "--prompt-point", "1,1"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("are for a video")),
        (2, true),
        "{ran:?}"
    );
    let ran = masklet(&["run"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("nothing to run on")),
        (2, true),
        "{ran:?}"
    );
}

#[test]
fn without_ffmpeg_it_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.mp4");
    fs::write(&file, b"whatever").unwrap();
    let ran = program()
        .args(["run", "--prompt-point", "1,1", "--video"])
        .arg(&file)
        .env("MASKLET_FFMPEG_DIR", folder.path())
        .ran();
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("apt-get install ffmpeg"), "{ran:?}");
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn the_highest_rate_is_searched_for_and_stands_in_every_file() {
        let split = split();
        let data = split.path().display().to_string();
        let out = split.path().join("run");
        let shown = out.display().to_string();
        let args = [
            "run",
            "--split-dir",
            &data,
            "--out-dir",
            &shown,
            "--telemetry-hz",
            "0",
            "--find-rate",
            "--max-clip-frames",
            "4",
        ];
        let ran = masklet(&args);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            ran.stdout.contains("highest sustained rate"),
            "{}",
            ran.stdout
        );
        let found = json(&out.join("summary.json"))["models"][0]["found_rate"].clone();
        let trials = found["trials"].as_array().unwrap();
        assert!(trials.len() >= 2, "{found}");
        // Whatever this machine is busy with: what is called kept up with missed nothing, and what
        // failed lies above.
        let low = found["sustained_fps"].as_f64().unwrap();
        let high = found["failed_fps"].as_f64().unwrap();
        assert!(low < high, "{found}");
        let best = trials.iter().find(|trial| trial["fps"] == low).unwrap();
        assert_eq!(
            (&best["late"], &best["dropped"], &best["frames"]),
            (&Value::from(0), &Value::from(0), &Value::from(4))
        );
        let said = ran.stdout.replace('\n', " ");
        assert!(
            said.contains("658 more frames per trial are needed"),
            "{said}"
        );
        assert_eq!(rows(&out).len(), 1, "trials are not rows");
        // Resumed, it is not searched again.
        let again = masklet(&[&args[..], &["--resume"]].concat());
        assert_eq!(again.code, 0, "{again:?}");
        assert!(!again.stderr.contains("trial"), "{again:?}");
        assert_eq!(
            json(&out.join("summary.json"))["models"][0]["found_rate"],
            found
        );
    }

    #[test]
    fn frames_at_a_rate_are_missed_when_it_is_absurd_and_not_when_it_is_slow() {
        let split = split();
        let data = split.path().display().to_string();
        let run = |name: &str, more: &[&str]| {
            let out = split.path().join(name);
            let shown = out.display().to_string();
            let mut args = vec!["run", "--split-dir", &data, "--out-dir", &shown];
            args.extend(["--telemetry-hz", "0", "--save-masks", "all"]);
            args.extend(more);
            let ran = masklet(&args);
            assert_eq!(ran.code, 0, "{ran:?}");
            (out, ran)
        };

        // All eight frames are due within 80 us: the first (the prompt's) and the last are processed.
        let (out, ran) = run("absurd", &["--realtime", "100000"]);
        let marks = rows(&out)[0]["realtime"].clone();
        assert_eq!(marks["processed"], serde_json::json!([0, FRAMES - 1]));
        assert_eq!(
            (&marks["late_frames"], &marks["dropped_frames"]),
            (&Value::from(2), &Value::from(FRAMES - 2))
        );
        assert_eq!(
            (cell(&out, "frames"), cell(&out, "processed_end_frame")),
            ("2".to_owned(), FRAMES.to_string())
        );
        assert_eq!(
            (cell(&out, "due_frames"), cell(&out, "dropped_share")),
            (FRAMES.to_string(), "0.75".to_owned())
        );
        assert!(
            ran.stdout.contains("deadline misses") && ran.stdout.contains("6 of 8 (75.0 %)"),
            "{}",
            ran.stdout
        );
        // The mask before stands for a dropped frame, on disk and in the scores.
        let all = masks(&out.join("masks"));
        assert_eq!(all.len(), FRAMES);
        assert_eq!(all[1], all[0]);
        assert_eq!(all[FRAMES - 2], all[0]);
        let score = &rows(&out)[0]["scores"]["upstream"];
        assert_eq!(score["frames"], 2, "{score}");

        // Four seconds for a frame of 96x64 pixels.
        let (out, ran) = run("slow", &["--realtime", "0.25", "--max-clip-frames", "2"]);
        let marks = rows(&out)[0]["realtime"].clone();
        assert_eq!(
            (&marks["late_frames"], &marks["dropped_frames"]),
            (&Value::from(0), &Value::from(0))
        );
        assert_eq!(marks["due_frames"], 2);
        assert!(ran.stdout.contains("0 of 2 (0.0 %)"), "{}", ran.stdout);
        let summary = json(&out.join("summary.json"));
        let live = &summary["models"][0]["realtime"];
        assert_eq!(
            (&live["fps"][0], &live["late_share"]),
            (&Value::from(0.25), &Value::from(0.0))
        );
        assert!(live["latency_ms"]["p99_ms"].as_f64().unwrap() > 0.0);
    }
}
