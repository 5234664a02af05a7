//! `masklet build` and `masklet engines`, as a user runs them.
use crate::support::{program, rtx};
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::Path;

fn masklet(engines: &Path) -> Command {
    let mut command = Command::from_std(program());
    command.env("MASKLET_ENGINES", engines);
    command
}

#[test]
fn a_machine_without_a_gpu_is_told_what_it_can_do() {
    if masklet_engines::tensorrt::driver::check().is_ok() {
        println!("skipped: there is a CUDA driver");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    masklet(dir.path())
        .arg("build")
        .assert()
        .code(3)
        .stderr(contains("CUDA driver").and(contains("--compute-capability 8.9")));
}

#[test]
fn a_machine_without_tensorrt_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    masklet(dir.path())
        .args(["build", "--compute-capability", "8.9"])
        .env("MASKLET_TENSORRT_LIB", dir.path())
        .assert()
        .code(3)
        .stderr(contains("no TensorRT here").and(contains("libtensorrt_rtx.so.1")));
}

#[test]
fn what_cannot_be_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    masklet(dir.path())
        .args(["build", "--compute-capability", "89"])
        .assert()
        .code(2)
        .stderr(contains("is not a compute capability"));
    masklet(dir.path())
        .args(["build", "--models", "nobody"])
        .assert()
        .code(2)
        .stderr(contains("nobody").and(contains("edgetam_small 256 fp32")));
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn engines_are_built_once_listed_verified_and_pruned() {
        let Some(rtx) = rtx() else { return };
        let dir = tempfile::tempdir().unwrap();
        let build = || {
            let mut command = masklet(dir.path());
            command
                .args(["build", "--models", "edgetam_small_points"])
                .args(["--compute-capability", "8.9", "--optimization-level", "0"])
                .env("MASKLET_TENSORRT_LIB", &rtx);
            command
        };
        build()
            .assert()
            .success()
            .stdout(contains("TensorRT-RTX").and(contains("track_step       built")));
        build()
            .assert()
            .success()
            .stdout(contains("track_step       up to date"));

        masklet(dir.path())
            .args(["engines", "list"])
            .assert()
            .success()
            .stdout(contains("track_step").and(contains("compute capability 8.9")));
        masklet(dir.path())
            .args(["engines", "inspect", "track_step"])
            .assert()
            .success()
            .stdout(contains("\"onnx_sha256\"").and(contains("\"workspace_bytes\": 268435456")));
        masklet(dir.path())
            .args(["engines", "verify"])
            .assert()
            .success()
            .stdout(contains("5 engines, all whole"));

        // A cut-off plan is named, and the next build replaces it.
        let plan = std::fs::read_dir(dir.path().join("edgetam_small-256-fp32"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "plan"))
            .unwrap();
        let bytes = std::fs::read(&plan).unwrap();
        std::fs::write(&plan, &bytes[..bytes.len() / 2]).unwrap();
        masklet(dir.path())
            .args(["engines", "verify"])
            .assert()
            .code(4)
            .stdout(contains("cut off"))
            .stderr(contains("1 of 5"));
        build().assert().success().stdout(contains("built"));
        masklet(dir.path())
            .args(["engines", "verify"])
            .assert()
            .success();

        // No bundle in this folder of exports but the embedded one: all stay.
        let exports = tempfile::tempdir().unwrap();
        masklet(dir.path())
            .args(["engines", "prune", "--exports"])
            .arg(exports.path())
            .assert()
            .success()
            .stdout(contains("removed 0 files"));
    }
}
