//! `masklet build` and `masklet engines`, as a user runs them.
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};

fn masklet(engines: &Path) -> Command {
    let mut command = Command::cargo_bin("masklet").unwrap();
    for name in [
        "MASKLET_EXPORTS",
        "MASKLET_TENSORRT_LIB",
        "MASKLET_COMPUTE_CAPABILITY",
    ] {
        command.env_remove(name);
    }
    command.env("MASKLET_ENGINES", engines);
    command
}

/// NVIDIA's TensorRT-RTX, fetched by `tools/setup --tensorrt-test-libs`.
fn rtx() -> Option<PathBuf> {
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: NVIDIA's libraries for the tests are for x86-64");
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("third_party/tensorrt/lib/rtx");
    if !folder.is_dir() || !root.join("third_party/tensorrt/rtx").is_dir() {
        println!("skipped: no TensorRT-RTX (tools/setup --tensorrt-test-libs)");
        return None;
    }
    Some(folder)
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
        .stdout(contains("TensorRT-RTX").and(contains("track_step      built")));
    let began = std::time::Instant::now();
    build()
        .assert()
        .success()
        .stdout(contains("track_step      up to date"));
    println!("the second build took {:?}", began.elapsed());

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
