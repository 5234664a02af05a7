//! Folders as users have them: whole, in part, mixed up, damaged; and the command around them.

use super::scenes::{write_labels, write_mask};
use super::{assert_close, scored};
use masklet::error::{Classified, ErrorClass};
use masklet::mask::Mask;
use masklet::metrics::error::ScoreError;
use masklet::metrics::folder::{FolderOptions, FolderScores, report};
use masklet::metrics::protocol::Protocol;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Two videos in SA-V layout with two objects and four frames each, predictions a pixel off.
struct Folders {
    root: TempDir,
}

impl Folders {
    fn new() -> Self {
        let folders = Self {
            root: TempDir::new().unwrap(),
        };
        for video in ["a", "b"] {
            for (object, size) in [("000", 20), ("001", 30)] {
                for t in 0..4 {
                    let name = format!("{video}/{object}/{:05}.png", 4 * t);
                    for (side, by) in [("gt", 0), ("pred", 1)] {
                        let path = folders.path(side).join(&name);
                        write_mask(&path, &square(5 + t + by, size));
                    }
                }
            }
        }
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn remove(&self, name: &str) {
        let path = self.path(name);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }

    fn score(&self) -> Result<FolderScores, ScoreError> {
        self.score_with(&FolderOptions::default())
    }

    fn score_partial(&self) -> Result<FolderScores, ScoreError> {
        self.score_with(&FolderOptions {
            partial: true,
            ..FolderOptions::default()
        })
    }

    fn score_with(&self, options: &FolderOptions) -> Result<FolderScores, ScoreError> {
        scored(&self.path("gt"), &self.path("pred"), options)
    }

    /// The error's text with the temporary folder taken out, after a check that it is about data.
    fn data_error(&self) -> String {
        let error = self.score().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Data);
        assert_eq!(error.class().exit_code(), 4);
        let root = format!("{}/", self.root.path().display());
        error.to_string().replace(&root, "")
    }
}

fn square(at: usize, size: usize) -> Mask {
    Mask::from_fn(60, 80, |y, x| {
        (at..at + size).contains(&y) && (at..at + size).contains(&x)
    })
}

#[test]
fn whole_folders_have_full_coverage_and_no_warnings() {
    let folders = Folders::new();
    let scores = folders.score().unwrap();
    assert!(scores.coverage.is_complete());
    assert_eq!((scores.coverage.videos, scores.coverage.frames), (2, 8));
    assert_eq!(scores.objects.len(), 4);
    assert!(scores.objects.iter().all(|o| o.score.frames == 2));
    assert_eq!(scores.warnings(), Vec::<String>::new());
}

#[test]
fn missing_predictions_are_named() {
    let folders = Folders::new();
    for name in [
        "pred/b",
        "pred/a/001",
        "pred/a/000/00004.png",
        "pred/a/000/00008.png",
    ] {
        folders.remove(name);
    }
    assert_eq!(
        folders.data_error(),
        "the prediction folder pred lacks 1 video (b), 1 object (a/001), 2 frames \
         (a/000/00004.png, a/000/00008.png); write what is missing, or pass --partial to score \
         what is there"
    );
}

#[test]
fn long_lists_of_missing_predictions_are_counted() {
    let folders = Folders::new();
    for i in 0..9 {
        write_mask(
            &folders.path(&format!("gt/x{i}/000/00000.png")),
            &square(1, 5),
        );
    }
    let text = folders.data_error();
    assert!(
        text.contains("lacks 9 videos (x0, x1, x2, x3, x4 and 4 more); "),
        "{text}"
    );
}

/// The official evaluator does not open them either.
#[test]
fn first_and_last_frames_need_no_prediction() {
    let folders = Folders::new();
    let before = folders.score().unwrap();
    folders.remove("pred/a/000/00000.png");
    folders.remove("pred/a/000/00012.png");
    assert_eq!(folders.score().unwrap(), before);
    let all = FolderOptions {
        with_first_and_last: true,
        ..FolderOptions::default()
    };
    let error = folders.score_with(&all).unwrap_err().to_string();
    assert!(
        error.contains("2 frames (a/000/00000.png, a/000/00012.png)"),
        "{error}"
    );
}

#[test]
fn a_partial_run_scores_what_is_there_and_says_how_much() {
    let folders = Folders::new();
    let whole = folders.score().unwrap();
    for name in ["pred/b", "pred/a/001", "pred/a/000/00004.png"] {
        folders.remove(name);
    }
    let scores = folders.score_partial().unwrap();
    assert_eq!(scores.objects.len(), 1);
    assert_eq!(scores.objects[0].score.frames, 1);
    assert_eq!(scores.objects[0].object, "000");
    assert!(scores.global.j < 100.0 && scores.global.j < whole.objects[1].score.j);
    assert_eq!(
        report::coverage(&scores),
        "Partial: scored 1 of 2 videos and 1 of 8 mask files. Missing 1 video: b. Missing 1 \
         object: a/001. Missing 1 frame: a/000/00004.png."
    );
}

/// Upstream gives a frame without prediction 0.
#[test]
fn a_partial_upstream_run_counts_missing_frames_as_zero() {
    let folders = Folders::new();
    let mut options = FolderOptions {
        protocol: Protocol::Upstream,
        ..FolderOptions::default()
    };
    let whole = folders.score_with(&options).unwrap();
    folders.remove("pred/a/000/00012.png");
    options.partial = true;
    let partial = folders.score_with(&options).unwrap();
    let (before, after) = (&whole.objects[0].score, &partial.objects[0].score);
    assert_eq!((before.frames, after.frames), (4, 4));
    // All four frames score the same, so a quarter is lost.
    assert_close("J", after.j, before.j * 0.75);
    assert_eq!(whole.objects[1..], partial.objects[1..]);
}

#[test]
fn upstream_resizes_predictions_and_the_official_protocol_refuses_them() {
    let folders = Folders::new();
    let doubled = Mask::from_fn(120, 160, |y, x| square(7, 20).get(y / 2, x / 2));
    write_mask(&folders.path("pred/a/000/00004.png"), &doubled);
    assert_eq!(
        folders.data_error(),
        "pred/a/000/00004.png is 160x120 (width x height) but its ground truth \
         gt/a/000/00004.png is 80x60; write predictions at the size of the video"
    );
    let options = FolderOptions {
        protocol: Protocol::Upstream,
        ..FolderOptions::default()
    };
    let resized = folders.score_with(&options).unwrap();
    write_mask(&folders.path("pred/a/000/00004.png"), &square(7, 20));
    assert_eq!(resized, folders.score_with(&options).unwrap());
}

#[test]
fn three_values_in_a_mask_of_one_object_are_an_error() {
    let folders = Folders::new();
    let labels: Vec<u8> = (0..4800).map(|i| (i % 3) as u8 * 5).collect();
    write_labels(&folders.path("pred/b/000/00008.png"), 60, 80, &labels);
    assert_eq!(
        folders.data_error(),
        "mask pred/b/000/00008.png holds 3 different values (0, 5, 10) where a mask of one object \
         holds at most two (0 is background); split its objects into one folder each"
    );
}

#[test]
fn of_several_damaged_files_the_first_is_named() {
    let folders = Folders::new();
    for name in [
        "pred/b/001/00008.png",
        "gt/a/001/00004.png",
        "pred/b/000/00004.png",
    ] {
        let whole = fs::read(folders.path(name)).unwrap();
        fs::write(folders.path(name), &whole[..whole.len() / 2]).unwrap();
    }
    for _ in 0..10 {
        let text = folders.data_error();
        assert!(
            text.starts_with("gt/a/001/00004.png is truncated: "),
            "{text}"
        );
    }
}

#[test]
fn objects_never_in_the_scored_ground_truth_are_left_out_by_name() {
    let folders = Folders::new();
    let whole = folders.score().unwrap();
    for t in [4, 8] {
        write_mask(
            &folders.path(&format!("gt/b/001/{t:05}.png")),
            &Mask::empty(60, 80),
        );
    }
    let scores = folders.score().unwrap();
    assert_eq!(scores.dropped, ["b/001"]);
    assert_eq!(scores.objects, whole.objects[..3]);
    assert!(scores.warnings()[0].contains("b/001"));
}

#[test]
fn a_copy_of_the_ground_truth_is_noticed() {
    let folders = Folders::new();
    let gt = folders.path("gt");
    let scores = scored(&gt, &gt, &FolderOptions::default()).unwrap();
    assert_eq!(scores.global.jf, 100.0);
    assert!(scores.warnings()[0].contains("copy of the ground truth"));
}

#[test]
fn a_split_folder_stands_for_the_annotations_inside_it() {
    let folders = Folders::new();
    let expected = folders.score().unwrap();
    for inner in ["Annotations_6fps", "Annotations", "Annotations/480p"] {
        let split = TempDir::new_in(folders.root.path()).unwrap();
        let annotations = split.path().join(inner);
        fs::create_dir_all(annotations.parent().unwrap()).unwrap();
        fs::rename(folders.path("gt"), &annotations).unwrap();
        fs::create_dir(split.path().join("JPEGImages_24fps")).unwrap();
        let scores = scored(
            split.path(),
            &folders.path("pred"),
            &FolderOptions::default(),
        );
        assert_eq!(scores.unwrap().objects, expected.objects);
        fs::rename(&annotations, folders.path("gt")).unwrap();
    }
}

#[test]
fn files_that_are_no_masks_are_passed_over_and_extra_predictions_named() {
    let folders = Folders::new();
    let expected = folders.score().unwrap();
    for name in [
        "gt/README.txt",
        "gt/a/.DS_Store",
        "gt/a/000/Thumbs.db",
        "pred/results.csv",
    ] {
        fs::write(folders.path(name), "x").unwrap();
    }
    write_mask(&folders.path("pred/a/000/00005.png"), &square(0, 60));
    write_mask(&folders.path("pred/c/000/00000.png"), &square(0, 60));
    let scores = folders.score().unwrap();
    assert_eq!(scores.objects, expected.objects);
    assert_eq!(scores.extra_videos, ["c"]);
    assert!(scores.warnings()[0].contains("without ground truth, ignored: c"));
}

#[test]
fn folders_that_cannot_be_scored_are_explained() {
    let folders = Folders::new();
    let text_of = |gt: &str, pred: &str| {
        let error = scored(
            &folders.path(gt),
            &folders.path(pred),
            &FolderOptions::default(),
        );
        let error = error.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Data, "{error}");
        let root = format!("{}/", folders.root.path().display());
        error.to_string().replace(&root, "")
    };
    assert_eq!(
        text_of("nowhere", "pred"),
        "the ground truth folder nowhere is not there or is not a folder"
    );
    assert_eq!(
        text_of("gt", "gt/a/000/00000.png"),
        "the prediction folder gt/a/000/00000.png is not there or is not a folder"
    );
    fs::create_dir_all(folders.path("empty/video/object")).unwrap();
    assert!(text_of("empty/video/object", "pred").starts_with("empty/video/object holds no video"));
    let text = text_of("empty/video", "pred");
    assert!(
        text.starts_with("empty/video and pred have no video in common"),
        "{text}"
    );
    fs::create_dir_all(folders.path("bare/a")).unwrap();
    let text = text_of("bare", "pred");
    assert!(
        text.starts_with("bare/a holds no masks") && text.ends_with("but nothing"),
        "{text}"
    );
    fs::create_dir_all(folders.path("hollow/a/000")).unwrap();
    assert!(text_of("hollow", "pred").starts_with("hollow/a holds no masks"));
    write_mask(&folders.path("mixed/a/00000.png"), &square(1, 2));
    write_mask(&folders.path("mixed/a/000/00000.png"), &square(1, 2));
    assert!(text_of("mixed", "pred").starts_with("mixed/a holds both PNG files and folders"));
    for t in 0..3 {
        write_labels(
            &folders.path(&format!("davis/a/{t:05}.png")),
            2,
            2,
            &[0, 1, 1, 0],
        );
    }
    let text = text_of("gt", "davis");
    assert!(
        text.starts_with("video a: the ground truth has a folder of masks per object"),
        "{text}"
    );
}

/// Two objects as label maps, and as a folder each: the scores are the same, under either name.
#[test]
fn predictions_per_object_are_scored_beside_label_maps() {
    let folders = Folders::new();
    let boxes = |t: usize, by: usize| {
        let first = square(5 + t + by, 12);
        let second = square(30 + t + by, 20);
        (first, second)
    };
    for t in 0..5 {
        let name = format!("v/{:05}.png", t * 5);
        for (side, by) in [("maps", 0), ("guess", 1)] {
            let (first, second) = boxes(t, by);
            let value = |i: usize| match (first.as_slice()[i], second.as_slice()[i]) {
                (_, true) => 7,
                (true, _) => 1,
                _ => 0,
            };
            let labels: Vec<u8> = (0..4800).map(value).collect();
            write_labels(&folders.path(&format!("{side}/{name}")), 60, 80, &labels);
        }
        let (first, second) = boxes(t, 1);
        write_mask(&folders.path(&format!("each/v/1/{:05}.png", t * 5)), &first);
        write_mask(
            &folders.path(&format!("each/v/007/{:05}.PNG", t * 5)),
            &second,
        );
    }
    let score = |pred: &str| {
        let options = FolderOptions::default();
        scored(&folders.path("maps"), &folders.path(pred), &options)
    };
    let as_maps = score("guess").unwrap();
    let each = score("each").unwrap();
    assert_eq!(as_maps.objects.len(), 2);
    assert_eq!(as_maps.objects, each.objects);
    assert_eq!(each.coverage, as_maps.coverage);
    // Both in one folder, as a run writes them.
    for entry in ["1", "007"] {
        let from = folders.path("each/v").join(entry);
        fs::rename(from, folders.path("guess/v").join(entry)).unwrap();
    }
    assert_eq!(score("guess").unwrap().objects, each.objects);
    folders.remove("guess/v/007/00010.PNG");
    let text = score("guess").unwrap_err().to_string();
    assert!(text.contains("lacks 1 frame (v/007/00010.png)"), "{text}");
    folders.remove("guess/v/1");
    let text = score("guess").unwrap_err().to_string();
    assert!(text.contains("lacks 1 object (v/1), 1 frame"), "{text}");
}

#[test]
fn void_is_not_an_object_and_labels_that_differ_are_an_error() {
    let folders = Folders::new();
    let write = |side: &str, values: [u8; 2]| {
        for t in 0..4 {
            let mask = square(10 + t, 20);
            let edge = square(8 + t, 24);
            let value = |i: usize| match (mask.as_slice()[i], edge.as_slice()[i]) {
                (true, _) => values[0],
                (_, true) => values[1],
                _ => 0,
            };
            let labels: Vec<u8> = (0..4800).map(value).collect();
            write_labels(
                &folders.path(&format!("{side}/v/{t:05}.png")),
                60,
                80,
                &labels,
            );
        }
    };
    let score = |gt: &str, pred: &str| {
        scored(
            &folders.path(gt),
            &folders.path(pred),
            &FolderOptions::default(),
        )
    };
    write("void", [1, 255]);
    write("one", [1, 0]);
    write("white", [255, 0]);
    write("two", [2, 0]);
    let scores = score("void", "one").unwrap();
    assert_eq!(scores.objects.len(), 1);
    assert_eq!(
        (scores.objects[0].object.as_str(), scores.global.jf),
        ("1", 100.0)
    );
    assert!(
        scores
            .warnings()
            .iter()
            .any(|w| w.contains("255") && w.contains("void"))
    );
    // Alone it is an object, and where it is predicted.
    assert_eq!(score("void", "void").unwrap().objects.len(), 2);
    assert_eq!(score("white", "white").unwrap().objects[0].object, "255");
    for (gt, pred, words) in [
        ("white", "one", "labels {255}, the predictions have {1}"),
        ("one", "white", "labels {1}, the predictions have {255}"),
        ("one", "two", "labels {1}, the predictions have {2}"),
    ] {
        let error = score(gt, pred).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Data);
        assert!(error.to_string().contains(words), "{error}");
    }
    // A tracker that found nothing at all is a bad one, not another data set.
    write("nothing", [0, 0]);
    assert_eq!(score("one", "nothing").unwrap().global.j, 0.0);
}

#[test]
fn first_masks_alone_are_nothing_to_score_by() {
    let folders = Folders::new();
    let map = |label: u8, at: usize| -> Vec<u8> {
        let mask = square(at, 9);
        (0..4800)
            .map(|i| u8::from(mask.as_slice()[i]) * label)
            .collect()
    };
    for (name, label) in [("00000", 1), ("00020", 2), ("00040", 3)] {
        write_labels(
            &folders.path(&format!("first/v/{name}.png")),
            60,
            80,
            &map(label, 7),
        );
        write_labels(
            &folders.path(&format!("all/v/{name}.png")),
            60,
            80,
            &map(1, 7),
        );
    }
    let error = scored(
        &folders.path("first"),
        &folders.path("all"),
        &FolderOptions::default(),
    );
    let error = error.unwrap_err();
    assert!(matches!(error, ScoreError::Hidden { .. }), "{error}");
    assert!(error.to_string().contains("submit the masks"), "{error}");
}

#[test]
fn a_folder_that_would_fit_is_named() {
    let folders = Folders::new();
    fs::create_dir_all(folders.path("deep/out")).unwrap();
    fs::rename(folders.path("pred"), folders.path("deep/out/model")).unwrap();
    let text = |pred: &str| {
        let options = FolderOptions::default();
        let error = scored(&folders.path("gt"), &folders.path(pred), &options).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Data);
        error.to_string()
    };
    let fits = format!("did you mean {}?", folders.path("deep/out/model").display());
    for pred in [
        "deep",
        "deep/out",
        "deep/out/model/a",
        "deep/out/model/a/000",
    ] {
        let text = text(pred);
        assert!(
            text.contains("no video in common") && text.ends_with(&fits),
            "{pred}: {text}"
        );
    }
}

#[test]
fn nothing_in_common_is_an_error_even_in_a_partial_run() {
    let folders = Folders::new();
    folders.remove("pred");
    fs::create_dir(folders.path("pred")).unwrap();
    let error = folders.score_partial().unwrap_err();
    assert!(matches!(error, ScoreError::NothingInCommon { .. }));
    assert_eq!(error.class(), ErrorClass::Data);
}

/// Runs the command; gives its exit code and what it wrote to standard error.
fn run(folders: &Folders, more: &[&str]) -> (i32, String) {
    run_with(&["--gt", "--pred"], folders, more)
}

fn run_with(names: &[&str; 2], folders: &Folders, more: &[&str]) -> (i32, String) {
    use crate::support::Run;
    let mut command = crate::support::program();
    command.args(["score", names[0]]).arg(folders.path("gt"));
    command.arg(names[1]).arg(folders.path("pred"));
    let ran = command.args(more).ran();
    (ran.code, ran.stderr)
}

#[test]
fn the_command_writes_its_reports() {
    let folders = Folders::new();
    let json = folders.path("scores.json");
    let code = run(
        &folders,
        &[
            "--quiet",
            "--threads",
            "2",
            "--json",
            json.to_str().unwrap(),
        ],
    );
    assert_eq!(code.0, 0, "{code:?}");
    let scores = folders.score().unwrap();
    let csv = fs::read_to_string(folders.path("pred/results.csv")).unwrap();
    assert_eq!(csv, report::official_csv(&scores));
    let written: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(written["JF"].as_f64(), Some(scores.global.jf));
    assert_eq!(written["objects"].as_array().unwrap().len(), 4);
    assert_eq!(written["objects"][3]["object"], "001");
    let left: Vec<_> = fs::read_dir(folders.root.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "gt, pred and scores.json, no .part file");
}

/// Under the official name they could be taken for official numbers.
#[test]
fn upstream_scores_go_to_no_csv_unless_asked_for() {
    let folders = Folders::new();
    assert_eq!(run(&folders, &["--protocol", "upstream"]).0, 0);
    assert!(!folders.path("pred/results.csv").exists());
    let csv = folders.path("upstream.csv");
    run(
        &folders,
        &["--protocol", "upstream", "--csv", csv.to_str().unwrap()],
    );
    assert!(csv.exists());
}

#[test]
fn the_official_spellings_of_flags_are_understood() {
    let folders = Folders::new();
    let flag = "--do_not_skip_first_and_last_frame";
    let names = ["--gt_root", "--pred_root"];
    let (code, errors) = run_with(&names, &folders, &["-n", "3", "-q", flag]);
    assert_eq!(code, 0, "{errors}");
    let all = folders
        .score_with(&FolderOptions {
            with_first_and_last: true,
            ..FolderOptions::default()
        })
        .unwrap();
    let csv = fs::read_to_string(folders.path("pred/results.csv")).unwrap();
    assert_eq!(csv, report::official_csv(&all));
    let (code, errors) = run(&folders, &["-n", "0"]);
    assert_eq!(code, 2, "{errors}");
}

#[test]
fn an_unwritable_report_is_named() {
    let folders = Folders::new();
    let json = folders.path("no/such/folder/scores.json");
    let (code, errors) = run(&folders, &["--json", json.to_str().unwrap()]);
    assert!(
        errors.contains(&format!("cannot write {}: ", json.display())),
        "{errors}"
    );
    assert!([3, 4].contains(&code), "{code}");
    // A full disk passes.
    if Path::new("/dev/full").exists() {
        let (code, errors) = run(&folders, &["--json", "/dev/full"]);
        assert_eq!(code, 75, "{errors}");
    }
}
