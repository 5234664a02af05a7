//! Making, continuing, finishing and refusing run folders.

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::error::{Classified, ErrorClass};
use crate::record::{RunFile, samples};

fn open(dir: &Path, mode: OpenMode) -> Result<Opened, FolderError> {
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
        assert!(matches!(error, FolderError::Tag { .. }), "{tag:?}: {error}");
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
    // A folder where the temporary file would go makes the write fail.
    fs::create_dir(dir.path().join("run.json.tmp")).unwrap();
    let error = atomic::write(&path, b"new").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Environment);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}
