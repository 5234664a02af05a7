//! Making, continuing, finishing and refusing run folders.

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::error::ErrorClass;
use crate::record::{RunFile, samples};

fn open(dir: &Path, mode: OpenMode) -> Result<Opened> {
    RunFolder::create(dir, "run", &samples::manifest(), mode)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_leaves_what_it_promises() {
    let dir = TempDir::new().unwrap();
    let mut opened = open(dir.path(), OpenMode::New).unwrap();
    let run = opened.folder.path().to_owned();
    assert_eq!(json(&run.join(RUN))["state"], "running");
    opened
        .folder
        .append(&[samples::row("v", "1", "edgetam_points")])
        .unwrap();
    let summary = opened.folder.finish(RunState::Finished).unwrap();
    assert_eq!(summary.counts.ok, 1);
    let file = json(&run.join(RUN));
    assert_eq!(file["state"], "finished");
    assert_eq!(file["rows"], 1);
    assert_eq!(file["options"]["imgsz"], 256);
    assert_eq!(file["free_options"]["telemetry-hz"], 5);
    let (read, written) = (RunFile::read(&run).unwrap().unwrap(), samples::manifest());
    assert_eq!(read.manifest.spec, written.spec);
    assert_eq!(read.manifest.bundles, written.bundles);
    assert_eq!(file["bundles"][0]["weights"]["source"], "random-init");
    assert_eq!(file["timed_region"][0]["name"], "decode");
    assert!(file["environment"]["kernel"]["value"].is_string());
    assert_eq!(json(&run.join(SUMMARY_JSON))["counts"]["ok"], 1);
    assert!(run.join(MASKS).is_dir() && run.join(OVERLAYS).is_dir());
    let names: Vec<_> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names.iter().all(|name| !name.ends_with(".tmp")),
        "{names:?}"
    );
}

#[test]
fn a_finished_run_is_not_overwritten_by_accident() {
    let dir = TempDir::new().unwrap();
    let mut opened = open(dir.path(), OpenMode::New).unwrap();
    opened
        .folder
        .append(&[samples::row("v", "1", "m")])
        .unwrap();
    drop(opened);
    let error = open(dir.path(), OpenMode::New).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage);
    let text = error.to_string();
    assert!(text.contains("1 finished") && text.contains("--resume") && text.contains("--force"));
    let opened = open(dir.path(), OpenMode::Resume).unwrap();
    assert_eq!((opened.finished.len(), opened.folder.rows()), (1, 1));
    assert!(opened.folder.is_done(&opened.finished[0].key));
    let file = json(&opened.folder.path().join(RUN));
    assert_eq!(file["resumed"].as_array().unwrap().len(), 1);
}

#[test]
fn force_removes_the_run_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let mut opened = open(dir.path(), OpenMode::New).unwrap();
    opened
        .folder
        .append(&[samples::row("v", "1", "m")])
        .unwrap();
    opened.folder.finish(RunState::Finished).unwrap();
    let run = opened.folder.path().to_owned();
    // While the run is being written it cannot be removed.
    let error = open(dir.path(), OpenMode::Force).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    drop(opened);
    fs::write(run.join(MASKS).join("old.png"), "x").unwrap();
    fs::write(run.join("notes.txt"), "mine").unwrap();
    let opened = open(dir.path(), OpenMode::Force).unwrap();
    assert_eq!(opened.folder.rows(), 0);
    assert!(!run.join(MASKS).join("old.png").exists());
    assert!(!run.join(SUMMARY_CSV).exists());
    assert_eq!(fs::read_to_string(run.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn resume_begins_where_there_is_nothing() {
    let dir = TempDir::new().unwrap();
    let opened = open(dir.path(), OpenMode::Resume).unwrap();
    assert_eq!(opened.folder.rows(), 0);
    assert!(opened.warnings.is_empty());
}

#[test]
fn a_cut_journal_is_told_of() {
    let dir = TempDir::new().unwrap();
    let mut opened = open(dir.path(), OpenMode::New).unwrap();
    for object in ["1", "2"] {
        opened
            .folder
            .append(&[samples::row("v", object, "m")])
            .unwrap();
    }
    let journal = opened.folder.path().join(JOURNAL);
    drop(opened);
    let text = fs::read(&journal).unwrap();
    fs::write(&journal, &text[..text.len() - 100]).unwrap();
    let opened = open(dir.path(), OpenMode::Resume).unwrap();
    assert_eq!(opened.finished.len(), 1);
    assert!(
        opened.warnings[0].contains("line 3 was cut off"),
        "{:?}",
        opened.warnings
    );
}

#[test]
fn a_changed_bundle_or_version_is_another_run() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path(), OpenMode::New).unwrap());
    let mut manifest = samples::manifest();
    manifest.bundles[0].sha256 = "cd".repeat(32);
    manifest.spec.free.telemetry_hz = 1;
    let error = RunFolder::create(dir.path(), "run", &manifest, OpenMode::Resume).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("bundle edgetam was"), "{text}");
    assert!(!text.contains("telemetry"), "{text}");
}

#[test]
fn names_that_are_no_folder_names_are_refused() {
    let dir = TempDir::new().unwrap();
    for tag in ["", ".", "..", "a/b", "../x", ".hidden", "a b", "a\0b"] {
        let error = RunFolder::create(dir.path(), tag, &samples::manifest(), OpenMode::New);
        let error = error.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Usage, "{tag:?}: {error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_in_the_way_and_a_folder_that_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = open(&file, OpenMode::New).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Environment);
    let text = error.to_string();
    assert!(
        text.contains("file") && text.contains("--out-dir"),
        "{text}"
    );
    // Nobody may make folders there, root neither.
    let error = open(Path::new("/proc/self/attr"), OpenMode::New).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Environment);
    assert!(error.to_string().contains("/proc/self/attr"), "{error}");
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("run.json");
    atomic::write(&path, b"old").unwrap();
    // A folder of that name makes the write fail.
    let folder = dir.path().join("taken/inside");
    fs::create_dir_all(&folder).unwrap();
    let error = atomic::write(&dir.path().join("taken"), b"new").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Environment);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert!(folder.exists());
}

#[test]
fn force_refuses_what_masklet_did_not_write() {
    let dir = TempDir::new().unwrap();
    let run = dir.path().join("run");
    let refused = |what: &str| {
        let error = open(dir.path(), OpenMode::Force).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Usage, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    // Somebody's run.json, with folders that are called like ours.
    fs::create_dir_all(run.join("masks")).unwrap();
    fs::write(run.join("run.json"), "{\"lr\": 0.1}").unwrap();
    fs::write(run.join("masks/annotation.png"), "mine").unwrap();
    fs::write(run.join("telemetry-of-the-car.csv"), "mine").unwrap();
    refused("run.json");
    assert!(run.join("masks/annotation.png").exists());
    // Somebody's journal.
    fs::remove_file(run.join("run.json")).unwrap();
    fs::write(run.join("journal.jsonl"), "{\"day\": 1}\n").unwrap();
    refused("journal.jsonl");
    // A run of ours with somebody's notes among its masks.
    fs::remove_dir_all(&run).unwrap();
    drop(open(dir.path(), OpenMode::New).unwrap());
    fs::write(run.join("masks/notes.txt"), "mine").unwrap();
    fs::write(run.join("telemetry-of-the-car.csv"), "mine").unwrap();
    refused("notes.txt");
    assert!(run.join("journal.jsonl").exists());
    fs::remove_file(run.join("masks/notes.txt")).unwrap();
    open(dir.path(), OpenMode::Force).unwrap();
    assert!(run.join("telemetry-of-the-car.csv").exists());
}

/// A row that wrote masks, and its masks.
fn row_with_masks(run: &Path, object: &str) -> ObjectRow {
    let mut row = samples::row("v", object, "m");
    let folder = run.join(MASKS).join("m/v").join(object);
    fs::create_dir_all(&folder).unwrap();
    for frame in 0..3 {
        let mask = crate::mask::Mask::from_fn(4, 4, |y, x| x > y);
        let path = folder.join(format!("{frame:05}.png"));
        crate::media::image::write_mask_png(&path, &mask).unwrap();
    }
    row.masks = Some(3);
    row
}

#[test]
fn resume_does_again_what_lost_its_files_or_failed_for_the_machine() {
    let dir = TempDir::new().unwrap();
    let mut opened = open(dir.path(), OpenMode::New).unwrap();
    let run = opened.folder.path().to_owned();
    let mut rows: Vec<ObjectRow> = ["whole", "gone", "empty", "drawn"]
        .map(|object| row_with_masks(&run, object))
        .into();
    rows[3].overlay = Some("overlays/drawn.mp4".to_owned());
    fs::write(run.join("overlays/drawn.mp4"), "moving pictures").unwrap();
    rows.push(samples::row("v", "failed", "m").failed("its mask is empty"));
    let mut machine = samples::row("v", "machine", "m").failed("out of memory");
    machine.machine_failed = true;
    rows.push(machine);
    opened.folder.append(&rows).unwrap();
    opened.folder.finish(RunState::Finished).unwrap();
    drop(opened);
    let left = |mode: OpenMode| {
        let opened = open(dir.path(), mode).unwrap();
        let objects = opened.finished.iter().map(|row| row.key.object.clone());
        (objects.collect::<Vec<_>>(), opened.warnings)
    };
    let (objects, warnings) = left(OpenMode::Resume);
    assert_eq!(objects, ["whole", "gone", "empty", "drawn", "failed"]);
    assert!(warnings[0].contains("out of memory"), "{warnings:?}");
    // What a power cut leaves of files that were never synced, and what somebody removes.
    fs::write(run.join("masks/m/v/empty/00001.png"), "").unwrap();
    fs::remove_file(run.join("masks/m/v/gone/00002.png")).unwrap();
    fs::remove_file(run.join("overlays/drawn.mp4")).unwrap();
    let (objects, warnings) = left(OpenMode::Resume);
    assert_eq!(objects, ["whole", "failed"]);
    assert!(warnings[0].contains("2 of its 3 masks"), "{warnings:?}");
    assert_eq!(left(OpenMode::RetryFailed).0, ["whole"]);
}
