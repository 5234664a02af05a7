//! `tools/gpu-check` from its first line to its page, on the simulated device: the same script that
//! a user runs on a GPU. Nothing it says here is about a GPU, and its page must say so.
use crate::support::{PROGRAM, ROOT, Ran, Run, has_cuda, json, stand_ins};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn check(out: &Path, libraries: Option<&Path>) -> Ran {
    let mut command = Command::new(Path::new(ROOT).join("tools/gpu-check"));
    command
        .args(["--masklet", PROGRAM, "--out"])
        .arg(out)
        .args(["--frames", "3", "--flat-frames", "5", "--size", "96x64"])
        // PyTorch's part has a test of its own (parity_command.rs).
        .args(["--python", "/bin/false"])
        .env_remove("MASKLET_EXPORTS")
        .env_remove("MASKLET_TENSORRT_LIB");
    if let Some(libraries) = libraries {
        command.arg("--libraries").arg(libraries);
    }
    command.ran()
}

fn lines(out: &Path) -> Vec<(String, String, String)> {
    let found = json(&out.join("gpu-check.json"));
    let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = found["lines"].as_array().unwrap().iter();
    lines
        .map(|l| (field(l, "part"), field(l, "verdict"), field(l, "name")))
        .collect()
}

/// The judgement of part d on sizes in KiB: one step up is an allocator's, growth with every video is a leak.
#[test]
fn growth_with_every_video_is_a_leak_and_one_step_is_none() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/gpu-check");
    let program = "import importlib.machinery, importlib.util, sys\n\
        loader = importlib.machinery.SourceFileLoader('check', sys.argv[1])\n\
        sys.dont_write_bytecode = True\n\
        check = importlib.util.module_from_spec(importlib.util.spec_from_loader('check', loader))\n\
        loader.exec_module(check)\n\
        levels = [float(kib) * 1024 for kib in sys.argv[2].split(',')]\n\
        print(check.leak(levels) / check.FLAT_OBJECTS >= check.LEAK)";
    let leaks = |levels: &str| {
        let mut python = Command::new("python3");
        python.args(["-c", program, script, levels]);
        python.ran().ok().stdout.trim() == "True"
    };
    assert!(leaks("90000,92000,93500,95200,97000"));
    assert!(
        leaks("90000,92000,91900,95200,97000"),
        "one dip does not hide it"
    );
    assert!(!leaks("90000,104000,104200,104100,104300"));
    assert!(!leaks("90000,90000,90000,104000,104000"));
}

#[test]
fn without_a_device_it_fails_in_words() {
    if has_cuda() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let done = check(folder.path(), None);
    assert_eq!(done.code, 1, "{done:?}");
    let lines = lines(folder.path());
    let failed: Vec<_> = lines.iter().filter(|l| l.1 == "fail").collect();
    assert_eq!(failed.len(), 1, "{lines:?}");
    assert_eq!(failed[0].0, "b");
    assert!(
        lines.iter().any(|l| l.0 == "d" && l.1 == "not run"),
        "{lines:?}"
    );
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn every_part_gives_a_verdict_on_the_simulated_device() {
        let Some([cuda, nvinfer, _]) = stand_ins() else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let (libraries, out) = (folder.path().join("libraries"), folder.path().join("out"));
        fs::create_dir(&libraries).unwrap();
        for from in [&cuda, &nvinfer] {
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let target = entry.path().canonicalize().unwrap();
                std::os::unix::fs::symlink(target, libraries.join(entry.file_name())).unwrap();
            }
        }
        let done = check(&out, Some(&libraries));
        let said = done.ok().stdout;
        let lines = lines(&out);
        let of = |part: &str, verdict: &str| {
            let these = lines.iter().filter(|l| l.0 == part && l.1 == verdict);
            these.count()
        };
        assert_eq!(lines.iter().filter(|l| l.1 == "fail").count(), 0, "{said}");
        for (part, passed) in [("b", 3), ("c", 1), ("d", 4), ("f", 2)] {
            assert!(of(part, "pass") >= passed, "part {part}: {said}");
        }
        assert_eq!(of("e", "not run"), 3, "1, 4 and 8 objects: {said}");
        let page = fs::read_to_string(out.join("gpu-check.md")).unwrap();
        assert!(page.contains("stand-in for tests"), "{page}");
    }
}
