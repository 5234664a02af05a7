//! What a user of `masklet doctor` sees: on this very machine, and on boards that stand in for it.

use crate::jetson::{Board, JetPack, Tree};
use crate::support::{has_cuda, masklet, synthetic};
use serde_json::Value;
use std::fs;

fn json(args: &[&str]) -> (i32, Value) {
    let mut all = vec!["doctor", "--json"];
    all.extend(args);
    let ran = masklet(&all);
    assert!(ran.stderr.is_empty(), "{ran:?}");
    (ran.code, serde_json::from_str(&ran.stdout).unwrap())
}

fn line<'v>(report: &'v Value, name: &str) -> &'v Value {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no line '{name}' in {report:#}"))
}

#[test]
fn this_machine_is_looked_at_and_a_good_dataset_is_fine() {
    let split = synthetic(&["--videos", "2", "--frames", "5", "--size", "64x48"]);
    let path = split.path().display().to_string();
    let engines = split.path().join("engines").display().to_string();
    let args = [
        "--split-dir",
        &path,
        "--engines",
        &engines,
        "--out-dir",
        &path,
    ];
    let (code, report) = json(&args);
    assert_eq!(report["stand_in"], false);
    assert_eq!(line(&report, "dataset")["outcome"], "ok", "{report:#}");
    let found = line(&report, "dataset")["found"].as_str().unwrap();
    assert!(
        found.contains("2 videos") && found.contains("64x48"),
        "{found}"
    );
    assert_eq!(line(&report, "bundles")["outcome"], "ok", "{report:#}");
    assert_eq!(line(&report, "machine")["outcome"], "ok", "{report:#}");
    if has_cuda() {
        return;
    }
    // No GPU is not a fault.
    assert_eq!(
        (code, &report["failures"]),
        (0, &Value::from(0)),
        "{report:#}"
    );
    for name in ["hardware", "CUDA driver", "other GPU programs", "engines"] {
        assert_eq!(line(&report, name)["outcome"], "not_checked", "{report:#}");
        assert!(line(&report, name)["fix"].is_null(), "{report:#}");
    }
    let found = line(&report, "CUDA driver")["found"].as_str().unwrap();
    assert_eq!(found, "not there; the CPU backend will be used");
    assert_eq!(line(&report, "backends")["found"], "cpu");
    let mut text = vec!["doctor"];
    text.extend(args);
    let ran = masklet(&text);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("0 failures"), "{}", ran.stdout);
}

#[test]
fn a_dataset_that_does_not_fit_together_is_a_failure_with_code_3() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let frames = split.path().join("JPEGImages_24fps");
    let video = fs::read_dir(&frames)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_file(video.join("00004.jpg")).unwrap();
    let path = split.path().display().to_string();
    let (code, report) = json(&["--split-dir", &path, "--out-dir", &path]);
    assert_eq!(code, 3, "{report:#}");
    let check = line(&report, "dataset");
    assert_eq!(check["outcome"], "failure");
    assert!(
        check["found"].as_str().unwrap().contains("has no frame"),
        "{check}"
    );
    let (code, report) = json(&["--split-dir", "/nowhere/at/all", "--out-dir", &path]);
    assert_eq!(code, 3, "{report:#}");
}

#[test]
fn engines_that_are_damaged_are_a_failure_with_the_command_that_builds_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let engines = folder.path().join("engines");
    fs::create_dir_all(engines.join("edgetam-512-bf16")).unwrap();
    fs::write(
        engines.join("edgetam-512-bf16/image_encoder-00.json"),
        "half",
    )
    .unwrap();
    let path = engines.display().to_string();
    let out = folder.path().display().to_string();
    let (code, report) = json(&["--engines", &path, "--exports", &out, "--out-dir", &out]);
    let check = line(&report, "engines");
    assert_eq!(
        (code, check["outcome"].as_str()),
        (3, Some("failure")),
        "{report:#}"
    );
    assert!(
        check["fix"].as_str().unwrap().contains("masklet build"),
        "{check}"
    );
}

#[test]
fn a_board_that_stands_in_is_told_from_this_machine() {
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let root = tree.path().display().to_string();
    let out = tree.path().join("runs").display().to_string();
    let engines = tree.path().join("engines").display().to_string();
    let args = [
        "--system-root",
        &root,
        "--out-dir",
        &out,
        "--engines",
        &engines,
    ];
    let (code, report) = json(&args);
    assert_eq!(
        (code, &report["stand_in"]),
        (0, &Value::from(true)),
        "{report:#}"
    );
    assert_eq!(line(&report, "power mode")["fix"], "sudo nvpmodel -m 2");
    let mut text = vec!["doctor"];
    text.extend(args);
    let text = masklet(&text).stdout;
    assert!(
        text.contains("STAND-IN") && text.contains("-> sudo jetson_clocks"),
        "{text}"
    );
}
