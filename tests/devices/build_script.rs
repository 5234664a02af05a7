//! `build.rs` as cargo runs it: the built script itself, with and without exports and TensorRT (its
//! stand-in). A cargo build inside a test would compile everything once more.
use crate::support::{ROOT, Ran, Run as _, embedded_bundle, has_cuda, joined, stand_ins};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The script that cargo compiled last for this package.
fn script() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let builds = test.ancestors().nth(2).unwrap().join("build");
    let found = fs::read_dir(&builds).unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let hash = name.strip_prefix("masklet-")?;
        let file = entry.path().join("build-script-build");
        // Not `masklet-engines-…`.
        (!hash.contains('-') && file.is_file()).then_some(file)
    });
    found
        .max_by_key(|file| file.metadata().unwrap().modified().unwrap())
        .unwrap()
}

/// What cargo would show a user.
fn warnings(ran: &Ran) -> Vec<&str> {
    let lines = ran.stdout.lines();
    lines
        .filter_map(|l| l.strip_prefix("cargo::warning="))
        .collect()
}

fn run(variables: &[(&str, &Path)]) -> Ran {
    let mut command = Command::new(script());
    command.current_dir(ROOT);
    for name in [
        "MASKLET_EXPORTS",
        "MASKLET_ENGINES",
        "MASKLET_REQUIRE_ENGINES",
        "MASKLET_COMPUTE_CAPABILITY",
        "MASKLET_TENSORRT_LIB",
        "LD_LIBRARY_PATH",
    ] {
        command.env_remove(name);
    }
    // As cargo sets them.
    command.envs([("HOST", "here"), ("TARGET", "here")]);
    command.envs(variables.iter().copied()).ran()
}

/// A folder of exports with the embedded bundle in it.
fn exports() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("edgetam_small");
    std::os::unix::fs::symlink(embedded_bundle(), link).unwrap();
    folder
}

#[test]
fn without_exports_it_is_quiet() {
    let run = run(&[]);
    assert!(run.code == 0, "{run:?}");
    assert_eq!(warnings(&run), [""; 0]);
    // A missing file would have cargo run it, and build the crate, every time; a commit must not.
    let named = run.stdout.lines();
    let named: Vec<_> = named
        .filter_map(|line| line.strip_prefix("cargo::rerun-if-changed="))
        .collect();
    assert_eq!(named, ["build.rs"]);
    for path in named {
        assert!(Path::new(ROOT).join(path).exists(), "{path}");
    }
}

#[test]
fn without_tensorrt_it_says_so_in_a_line_and_fails_only_when_told_to() {
    if has_cuda() {
        return;
    }
    let exports = exports();
    let given = run(&[("MASKLET_EXPORTS", exports.path())]);
    assert!(given.code == 0, "{given:?}");
    let shown = warnings(&given);
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].starts_with("no engines built: "), "{shown:?}");
    let required = ("MASKLET_REQUIRE_ENGINES", Path::new("1"));
    let refused = run(&[("MASKLET_EXPORTS", exports.path()), required]);
    assert!(refused.code != 0, "{refused:?}");
    assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
    let refused = run(&[required]);
    assert!(refused.code != 0, "{refused:?}");
    assert!(
        refused.stderr.contains("MASKLET_EXPORTS"),
        "{}",
        refused.stderr
    );
}

#[test]
fn with_tensorrt_it_builds_engines_once() {
    let Some(libraries) = stand_ins().map(joined) else {
        return;
    };
    let (exports, engines) = (exports(), tempfile::tempdir().unwrap());
    let variables = [
        ("MASKLET_EXPORTS", exports.path()),
        ("MASKLET_ENGINES", engines.path()),
        ("MASKLET_REQUIRE_ENGINES", Path::new("1")),
        ("LD_LIBRARY_PATH", Path::new(&libraries)),
    ];
    for line in [
        "5 engines built, 0 up to date",
        "0 engines built, 5 up to date",
    ] {
        let done = run(&variables);
        assert!(done.code == 0, "{done:?}");
        let shown = warnings(&done);
        assert!(shown[0].starts_with(line), "{shown:?}");
    }
    // A second bundle that is damaged takes nothing from the first.
    let broken = exports.path().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("bundle.toml"), "format = ").unwrap();
    let done = run(&[variables[0], variables[1], variables[3]]);
    assert!(done.code == 0, "{done:?}");
    let shown = warnings(&done);
    let line = "0 engines built, 5 up to date, 1 bundles failed";
    assert!(shown[0].starts_with(line), "{shown:?}");
    assert!(shown[1].contains("broken"), "{shown:?}");
    assert_ne!(run(&variables).code, 0, "engines are required");
    // Engines are built where they run.
    let foreign = ("TARGET", Path::new("aarch64-unknown-linux-gnu"));
    let done = run(&[variables[0], variables[1], variables[3], foreign]);
    let shown = warnings(&done);
    assert!(done.code == 0 && shown[0].contains("aarch64"), "{shown:?}");
    assert!(shown[0].starts_with("no engines built"), "{shown:?}");
}
