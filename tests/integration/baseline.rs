//! What a user of `masklet run --baseline` sees: the same masks from PyTorch, and every way in which a
//! baseline can go wrong without taking the run along.

use crate::support::{
    Ran, Run, json, masklet, over, program, python, script, small, synthetic, tree,
};
use masklet::media::image::read_mask_png;
use masklet::record::{Status, read_journal, summarise};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn run(split: &Path, out: &Path, more: &[&str]) -> Ran {
    let mut command = over(split, out);
    command.args(["--quiet", "--threads", "1", "--save-masks", "all"]);
    command.args(more).ran()
}

/// Least IoU over the masks that a baseline left. A run has them too, and empty ones of the frames that neither
/// tracked.
fn least_iou(ours: &Path, theirs: &Path) -> (f64, usize) {
    let (a, b) = (tree(ours), tree(theirs));
    assert!(b.keys().all(|name| a.contains_key(name)));
    for name in a.keys().filter(|name| !b.contains_key(*name)) {
        let mask = read_mask_png(&ours.join(name)).unwrap();
        assert!(!mask.as_slice().contains(&true), "{}", name.display());
    }
    let mut least = 1.0_f64;
    for name in b.keys() {
        let [a, b] = [ours, theirs].map(|root| read_mask_png(&root.join(name)).unwrap());
        let pairs = || a.as_slice().iter().zip(b.as_slice());
        let either = pairs().filter(|(a, b)| **a || **b).count();
        let both = pairs().filter(|(a, b)| **a && **b).count();
        if either > 0 {
            least = least.min(both as f64 / either as f64);
        }
    }
    (least, b.len())
}

/// A stand-in for Python. It says yes to `--check`; otherwise `body` runs in the baseline's folder.
fn fake_python(folder: &Path, body: &str) -> String {
    let path = folder.join("python.sh");
    let body = format!(
        "for last; do :; done\n[ \"$last\" = --check ] && exit 0\ncd \"$(dirname \"$last\")\"\n{body}"
    );
    script(&path, &body);
    path.display().to_string()
}

/// A run of four objects with the rows and masks that a baseline could have left for it: the run's
/// own, in `rows/1`, `rows/2`, …
fn finished_run() -> (tempfile::TempDir, PathBuf, usize) {
    let split = small(2, 9, 2);
    let out = split.path().join("run");
    let ran = run(split.path(), &out, &["--max-clip-frames", "3"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let rows = split.path().join("rows");
    fs::create_dir(&rows).unwrap();
    let text = fs::read_to_string(out.join("journal.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    for (at, line) in lines.iter().enumerate() {
        // The checksum is the journal's own; a baseline writes rows without.
        let row = line.rsplit_once(",\"sum\":").unwrap().0;
        fs::write(rows.join((at + 1).to_string()), format!("{row}}}\n")).unwrap();
    }
    (split, out, lines.len())
}

fn baseline(out: &Path, python: &str, more: &[&str]) -> Ran {
    let mut command = program();
    command.arg("baseline").arg(out);
    command.args(["--baseline-python", python, "--quiet"]);
    command.args(more).ran()
}

fn statuses(folder: &Path) -> Vec<Status> {
    let rows = read_journal(&folder.join("journal.jsonl")).unwrap().rows;
    rows.into_iter().map(|row| row.status).collect()
}

#[test]
fn a_killed_baseline_is_a_result_and_can_be_gone_on_with() {
    let (split, out, total) = finished_run();
    let rows = split.path().join("rows");
    let text = fs::read_to_string(rows.join("2")).unwrap();
    let second: Value = serde_json::from_str(&text).unwrap();
    let second = &second["object"];
    let state = serde_json::json!({ "state": {
        "at": "2026-01-01T00:00:00Z", "model": second["model"], "video": second["video"],
        "objects": [second["object"]], "index": 2, "total": total, "frame": 7,
        "rss_bytes": 1 << 30, "reserved_bytes": 812_u64 << 20, "driver_free_bytes": 5 << 20,
    }});
    fs::write(rows.join("state"), format!("{state}\n")).unwrap();
    let (rows, ours) = (
        rows.display().to_string(),
        out.join("masks").display().to_string(),
    );
    let dies = fake_python(
        split.path(),
        &format!(
            "cp -r {ours} .\necho 'NVML_SUCCESS == r INTERNAL ASSERT FAILED' >&2\n\
             cat {rows}/1 {rows}/state >>pytorch.jsonl\nkill -9 $$"
        ),
    );
    let before = fs::read(out.join("summary.json")).unwrap();
    let ran = baseline(&out, &dies, &["--exit-code", "0"]);
    assert_eq!(ran.code, 0, "the run before it had ended with 0: {ran:?}");
    let sentence = format!("baseline (upstream) died at object 2 of {total} (signal 9, SIGKILL");
    for part in [
        sentence.as_str(),
        "frame 7",
        "last reserved 812.0 MiB, 5.0 MiB free (as reported by the driver)",
        "NVML_SUCCESS == r INTERNAL ASSERT FAILED",
        "pytorch upstream",
    ] {
        assert!(ran.stdout.contains(part), "no '{part}' in {}", ran.stdout);
    }
    assert!(ran.stderr.contains("--resume"), "{ran:?}");
    assert_eq!(fs::read(out.join("summary.json")).unwrap(), before);
    let folder = out.join("baseline-upstream");
    let found = statuses(&folder);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], Status::Ok);
    let Status::Failed { reason } = &found[1] else {
        panic!("{found:?}");
    };
    assert!(reason.contains("died at object 2"), "{reason}");
    let file = json(&folder.join("run.json"));
    assert_eq!(file["state"], "interrupted");

    let again = baseline(&out, &dies, &[]);
    assert_eq!(again.code, 2, "what is there is not overwritten: {again:?}");
    let rest = fake_python(
        split.path(),
        &format!(
            "grep -q '\"tag\"' job.json || exit 9\ntail -n +1 -q {rows}/[3-9] >>pytorch.jsonl\n\
             echo '{{\"done\":{{}}}}' >>pytorch.jsonl"
        ),
    );
    let ran = baseline(&out, &rest, &["--resume"]);
    assert_eq!(ran.code, 1, "one object has failed: {ran:?}");
    assert_eq!(statuses(&folder).len(), total);
    let file = json(&folder.join("run.json"));
    assert_eq!(file["state"], "finished");
}

#[test]
fn garbage_and_half_a_row_are_said_and_left_out() {
    let (split, out, total) = finished_run();
    let rows = split.path().join("rows").display().to_string();
    let masks = out.join("masks").display().to_string();
    let garbage = fake_python(
        split.path(),
        &format!(
            "cp -r {masks} .\necho 'Segmentation fault? no: \u{1b}[31mred'\n\
             {{ echo 'not json'; cat {rows}/1; cat {rows}/1; head -c 60 {rows}/2; }} >>pytorch.jsonl"
        ),
    );
    let ran = baseline(&out, &garbage, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let left = format!("ended without an error, but left 1 of {total} objects");
    assert!(ran.stdout.contains(&left), "{ran:?}");
    assert!(
        !ran.stdout.contains('\u{1b}'),
        "no control characters of others: {ran:?}"
    );
    for part in [
        "line 1 is not a record's",
        "is there already",
        "line 4 was cut off after 60 bytes",
    ] {
        assert!(ran.stderr.contains(part), "no '{part}' in {}", ran.stderr);
    }
    assert_eq!(statuses(&out.join("baseline-upstream")), [Status::Ok]);

    let fails = fake_python(
        split.path(),
        "echo 'RuntimeError: no kernel image' >&2; exit 5",
    );
    let ran = baseline(&out, &fails, &["--force"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let said = "died before its first object (exit code 5); it last printed: RuntimeError: no kernel image";
    assert!(ran.stdout.contains(said), "{ran:?}");

    // A row whose masks are not there has no scores, and so has failed.
    let no_masks = fake_python(split.path(), &format!("cat {rows}/1 >>pytorch.jsonl"));
    baseline(&out, &no_masks, &["--force"]);
    let found = statuses(&out.join("baseline-upstream"));
    assert!(
        matches!(&found[..], [Status::Failed { reason }] if reason.contains("cannot be scored")),
        "{found:?}"
    );
}

#[test]
fn a_baseline_that_cannot_begin_is_refused_before_the_run() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let out = split.path().join("run");
    let missing = split.path().join("no-python").display().to_string();
    let ran = run(
        split.path(),
        &out,
        &["--baseline", "--baseline-python", &missing],
    );
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("--baseline-python") && ran.stderr.contains("no-python"),
        "{ran:?}"
    );
    let path = split.path().join("refuses.sh");
    script(&path, "echo 'masklet_baseline: no weights' >&2; exit 3");
    let refuses = path.display().to_string();
    let ran = run(
        split.path(),
        &out,
        &["--baseline", "best", "--baseline-python", &refuses],
    );
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("the baseline cannot run: no weights"),
        "{ran:?}"
    );
    assert!(!out.exists(), "nothing was run");
    let ran = baseline(split.path(), &refuses, &[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("finished `masklet run`"), "{ran:?}");
}

#[test]
fn a_shards_baseline_is_of_its_share_and_an_ablation_has_none() {
    let split = synthetic(&["--videos", "2", "--frames", "5", "--size", "64x48"]);
    let out = split.path().join("run");
    let ran = run(split.path(), &out, &["--shard", "1/2"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = baseline(&out, "python3", &["--prepare", "--mode", "best"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let folder = out.join("baseline-best");
    let job = json(&folder.join("job.json"));
    let tracked: usize = job["clips"]
        .as_array()
        .unwrap()
        .iter()
        .map(|clip| clip["objects"].as_array().unwrap().len())
        .sum();
    let rows = read_journal(&out.join("journal.jsonl")).unwrap().rows;
    assert_eq!(tracked, rows.len());
    assert_eq!(job["videos"].as_array().unwrap().len(), 1);
    assert!(ran.stdout.contains("-m masklet_baseline"), "{ran:?}");

    let ran = run(split.path(), &out, &["--no-memory", "--baseline"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let ablation = split.path().join("ablation");
    let ran = run(split.path(), &ablation, &["--no-memory"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = baseline(&ablation, "python3", &[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--no-memory"), "{ran:?}");
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn pytorch_gives_the_same_masks_in_both_manners_and_its_folder_is_a_run_folder() {
        let Some(python) = python() else { return };
        let python = python.display().to_string();
        // At the default size: one pixel of a mask must weigh less than the bar.
        let split = synthetic(&["--videos", "2", "--objects", "2", "--frames", "24"]);
        let out = split.path().join("run");
        let ran = run(
            split.path(),
            &out,
            &[
                "--models",
                "edgetam_small_points,edgetam_small_mask",
                // One more annotated frame than the prompt's, which alone gives no score.
                "--max-clip-frames",
                "6",
                "--baseline",
                "upstream,best",
                "--baseline-python",
                &python,
                "--baseline-device",
                "cpu",
            ],
        );
        assert_eq!(ran.code, 0, "{ran:?}");
        for word in ["pytorch upstream", "pytorch best", "objects x FPS", "x)"] {
            assert!(ran.stdout.contains(word), "no '{word}' in {}", ran.stdout);
        }
        let ours = read_journal(&out.join("journal.jsonl")).unwrap().rows;
        assert_eq!(ours.len(), 8);
        for mode in ["upstream", "best"] {
            let folder = out.join(format!("baseline-{mode}"));
            let (iou, masks) = least_iou(&out.join("masks"), &folder.join("masks"));
            println!("{mode}: least IoU {iou} over {masks} masks");
            assert!(iou >= 0.999, "{mode}: {iou}");
            assert_eq!(masks, 8 * 6);
            let theirs = read_journal(&folder.join("journal.jsonl")).unwrap();
            assert_eq!(theirs.warning, None);
            let summary = summarise(&theirs.rows);
            assert_eq!((summary.counts.ok, summary.counts.failed), (8, 0));
            let written = json(&folder.join("summary.json"));
            assert_eq!(written["counts"]["ok"], 8);
            let file = json(&folder.join("run.json"));
            assert_eq!(file["state"], "finished");
            assert_eq!(file["options"]["baseline"], mode);
            assert!(file["noted"]["pytorch"]["torch"].is_string(), "{file}");
            for row in &theirs.rows {
                let own = ours.iter().find(|own| own.key == row.key).unwrap();
                assert_eq!(
                    (row.prompt_frame, row.frames),
                    (own.prompt_frame, own.frames)
                );
                assert_eq!(row.random_init_seed, own.random_init_seed);
                let [a, b] = [own, row].map(|row| row.scores.unwrap().upstream.unwrap());
                assert_eq!(a.frames, b.frames);
                assert!((a.j - b.j).abs() < 2e-3, "{}: {a:?} {b:?}", row.key);
                let memory = row.memory.as_ref().unwrap();
                let reserved = &memory.allocator.as_ref().unwrap().reserved_peak_bytes;
                assert!(
                    reserved.reason.as_ref().unwrap().contains("CPU"),
                    "{reserved:?}"
                );
                assert!(memory.rss_by_frame_bytes.len() >= row.frames);
            }
        }
        let scored = masklet(&[
            "score",
            "--gt",
            &split.path().join("Annotations_6fps").display().to_string(),
            "--pred",
            &out.join("baseline-best/masks/edgetam_small_points")
                .display()
                .to_string(),
            "--partial",
        ]);
        assert_eq!(scored.code, 0, "{scored:?}");
    }
}
