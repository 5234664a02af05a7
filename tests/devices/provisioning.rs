//! `masklet build` and `masklet engines check` as a fleet's provisioning uses them, on the simulated
//! device: other modules of one name, damaged and broken bundles, exit codes, JSON, signals.

use crate::support::{PROGRAM, ROOT, Ran, Run as _, joined, stand_ins};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A board with a folder of bundles and one of engines.
struct Board {
    folder: tempfile::TempDir,
    libraries: OsString,
}

const ORIN_AGX: [(&str, &str); 2] = [("MULTIPROCESSORS", "16"), ("MODULE_MEMORY", "65795194880")];
const ORIN_NANO: [(&str, &str); 2] = [("MULTIPROCESSORS", "8"), ("MODULE_MEMORY", "7887000000")];

impl Board {
    fn new() -> Option<Self> {
        let board = Self {
            libraries: joined(stand_ins()?),
            folder: tempfile::tempdir().unwrap(),
        };
        board.bundle("a");
        Some(board)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the embedded bundle under another name.
    fn bundle(&self, name: &str) -> PathBuf {
        let source = Path::new(ROOT).join("engines/bundles/edgetam_small");
        let folder = self.path("models").join(name);
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(source).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        let manifest = folder.join("bundle.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let renamed = text.replacen("\"edgetam_small\"", &format!("\"model_{name}\""), 1);
        assert_ne!(text, renamed);
        fs::write(manifest, renamed).unwrap();
        folder
    }

    fn command(&self, args: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(args)
            .env("NO_COLOR", "1")
            .env("LD_LIBRARY_PATH", &self.libraries)
            .env("MASKLET_EXPORTS", self.path("models"))
            .env("MASKLET_ENGINES", self.path("engines"))
            .env_remove("MASKLET_TENSORRT_LIB");
        for (name, value) in settings {
            command.env(format!("MASKLET_SIM_CUDA_{name}"), value);
        }
        command
    }

    fn run(&self, args: &[&str], settings: &[(&str, &str)]) -> Ran {
        self.command(args, settings).ran()
    }

    /// `engines check`: its exit code and JSON.
    fn check(&self, args: &[&str], settings: &[(&str, &str)]) -> (i32, Value) {
        let mut all = vec!["engines", "check", "--json"];
        all.extend(args);
        let ran = self.run(&all, settings);
        let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        (ran.code, json)
    }

    /// The files of engines with this extension.
    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.path("engines")).unwrap();
        let mut found: Vec<PathBuf> = folders
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .collect();
        found.sort();
        found
    }
}

fn last_line(ran: &Ran) -> &str {
    ran.stdout.lines().last().unwrap_or("")
}

fn states(json: &Value) -> Vec<&str> {
    json["bundles"][0]["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["state"].as_str().unwrap())
        .collect()
}

#[test]
fn every_orin_module_builds_its_own_engines() {
    let Some(board) = Board::new() else { return };
    let ran = board.run(&["build"], &ORIN_AGX);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(last_line(&ran), "changed=true built=5 unchanged=0 failed=0");
    let ran = board.run(&["build"], &ORIN_AGX);
    assert_eq!(
        last_line(&ran),
        "changed=false built=0 unchanged=5 failed=0"
    );
    // The same name and compute capability, another module: nothing of it fits.
    let (code, json) = board.check(&[], &ORIN_NANO);
    assert_eq!(code, 3, "{json:#}");
    assert_eq!(json["bundles"][0]["state"], "other-module", "{json:#}");
    let ran = board.run(&["engines", "list"], &ORIN_NANO);
    assert!(ran.stdout.contains("0 of 5 run here"), "{ran:?}");
    let ran = board.run(&["doctor"], &ORIN_NANO);
    assert!(
        ran.code == 3 && ran.stdout.contains("other-module"),
        "{ran:?}"
    );
    let ran = board.run(&["build"], &ORIN_NANO);
    assert_eq!(last_line(&ran), "changed=true built=5 unchanged=0 failed=0");
    assert_eq!(board.check(&[], &ORIN_NANO).0, 0);
    assert_eq!(board.check(&[], &ORIN_AGX).0, 0, "both are kept");
    let caches = fs::read_dir(board.path("engines")).unwrap();
    let caches = caches.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("timing-")
    });
    assert_eq!(caches.count(), 2, "each module has timings of its own");
    // A folder below its limit loses nothing; above it, what does not run here goes.
    let ran = board.run(&["build", "--max-size", "1GiB"], &ORIN_NANO);
    assert_eq!((ran.code, board.files("plan").len()), (0, 10), "{ran:?}");
    let ran = board.run(&["build", "--max-size", "1"], &ORIN_NANO);
    assert_eq!((ran.code, board.files("plan").len()), (0, 5), "{ran:?}");
    assert_eq!(board.check(&["--deep"], &ORIN_NANO).0, 0);
}

#[test]
fn check_names_what_is_missing_stale_or_damaged_and_opens_no_plan() {
    let Some(board) = Board::new() else { return };
    let (code, json) = board.check(&[], &[]);
    assert_eq!((code, &json["ready"]), (3, &Value::from(false)));
    assert_eq!(json["bundles"][0]["state"], "missing", "{json:#}");
    // `verify` has nothing to answer for.
    assert_eq!(board.run(&["engines", "verify"], &[]).code, 3);
    assert_eq!(board.run(&["build"], &[]).code, 0);
    let (code, json) = board.check(&[], &[]);
    assert_eq!((code, &json["ready"]), (0, &Value::from(true)), "{json:#}");

    // The kernel reports every opening of a plan.
    use rustix::fs::inotify;
    let plans = board.files("plan");
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    for plan in &plans {
        inotify::add_watch(&watch, plan, inotify::WatchFlags::OPEN).unwrap();
    }
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut opened = || inotify::Reader::new(&watch, &mut buffer).next().is_ok();
    assert_eq!(board.check(&[], &[]).0, 0);
    assert!(!opened(), "a check opened a plan");
    assert_eq!(board.check(&["--deep"], &[]).0, 0);
    assert!(opened(), "a deep check opened none");
    drop(watch);

    // Changed at equal length.
    let bytes = fs::read(&plans[0]).unwrap();
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    fs::write(&plans[0], &changed).unwrap();
    assert_eq!(board.check(&[], &[]).0, 0, "not seen without --deep");
    let (code, json) = board.check(&["--deep"], &[]);
    assert_eq!(code, 3);
    assert!(states(&json).contains(&"damaged"), "{json:#}");
    let ran = board.run(&["engines", "verify"], &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
    // `build` has the same definition, and needs no --force.
    let ran = board.run(&["build"], &[]);
    assert_eq!(last_line(&ran), "changed=true built=1 unchanged=4 failed=0");
    assert_eq!(board.run(&["engines", "verify"], &[]).code, 0);

    // One record gone: incomplete, and doctor reports it.
    fs::remove_file(&board.files("json")[0]).unwrap();
    let (code, json) = board.check(&[], &[]);
    assert_eq!(code, 3);
    assert_eq!(json["bundles"][0]["state"], "incomplete", "{json:#}");
    let ran = board.run(&["doctor"], &[]);
    assert!(ran.code == 3 && ran.stdout.contains("missing"), "{ran:?}");
    assert_eq!(
        board.run(&["engines", "verify"], &[]).code,
        0,
        "the rest is whole"
    );
    assert_eq!(board.run(&["build"], &[]).code, 0);
    assert_eq!(
        board.files("plan").len(),
        5,
        "the plan without a record is gone"
    );

    // Another export under the same name.
    let manifest = board.path("models/a/bundle.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let hash = text.lines().find_map(|line| line.strip_prefix("sha256 = "));
    let hash = hash.unwrap().trim_matches('"');
    fs::write(&manifest, text.replacen(hash, &"0".repeat(64), 1)).unwrap();
    let (code, json) = board.check(&[], &[]);
    assert_eq!(code, 3);
    assert!(states(&json).contains(&"stale"), "{json:#}");
}

#[test]
fn a_broken_bundle_fails_alone_and_the_json_reports_all() {
    let Some(board) = Board::new() else { return };
    let half = board.bundle("b").join("track_step.onnx");
    let bytes = fs::read(&half).unwrap();
    fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(board.bundle("c").join("bundle.toml"), "format = ").unwrap();
    board.bundle("d");
    let dry = board.run(&["build", "--dry-run"], &[]);
    assert_eq!(
        last_line(&dry),
        "changed=true built=10 unchanged=0 failed=2"
    );
    assert!(!board.path("engines").exists(), "a dry run writes nothing");
    let ran = board.run(&["build", "--json", "-"], &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let events: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| events.iter().filter(|e| e["event"] == name).count();
    assert_eq!(
        ["planned", "started", "built", "failed", "finished"].map(of),
        [2, 10, 10, 2, 1],
        "{events:#?}"
    );
    let last = events.last().unwrap();
    assert_eq!(last["changed"], true);
    assert_eq!((&last["built"], &last["failed"]), (&10.into(), &2.into()));
    assert!(events.iter().filter(|e| e["event"] == "built").all(|e| {
        e["seconds"].as_f64().is_some() && e["bytes"].as_u64().is_some_and(|bytes| bytes > 0)
    }));
    assert_eq!(board.files("plan").len(), 10);
    // A file takes the JSON; standard output keeps the table; what was built is known next time.
    let file = board.path("events.jsonl").display().to_string();
    let ran = board.run(
        &["build", "--force", "--models", "model_a", "--json", &file],
        &[],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(last_line(&ran), "changed=true built=5 unchanged=0 failed=0");
    assert!(ran.stderr.contains("the last time"), "an estimate: {ran:?}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    // Alone, a broken bundle has its own code.
    let ran = board.run(&["build", "--models", "model_b"], &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
}

/// Starts a build that waits, and returns it after its event.
fn waiting(mut command: Command, what: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "waiting" {
            assert_eq!(event["for"], what);
            return (child, lines);
        }
        line.clear();
    }
    panic!("it did not wait: {:?}", child.wait());
}

#[test]
fn exit_codes_tell_what_passes_from_what_needs_somebody() {
    let Some(board) = Board::new() else { return };
    // The driver is there, its device is not yet.
    for code in ["100", "999"] {
        let ran = board.run(&["build"], &[("INIT", code)]);
        assert_eq!(ran.code, 75, "{ran:?}");
        assert_eq!(board.check(&[], &[("INIT", code)]).0, 75);
    }
    // Only an installation helps.
    assert_eq!(board.run(&["build"], &[("INIT", "803")]).code, 3);

    fs::create_dir(board.path("engines")).unwrap();
    let lock = File::create(board.path("engines/.lock")).unwrap();
    lock.lock().unwrap();
    let ran = board.run(&["build", "--wait-for-lock", "0"], &[]);
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.stderr.contains("lock"), "{ran:?}");
    for (signal, code) in [
        (rustix::process::Signal::TERM, 143),
        (rustix::process::Signal::INT, 130),
    ] {
        let (mut child, _lines) = waiting(board.command(&["build", "--json"], &[]), "lock");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
    drop(lock);
    assert_eq!(board.run(&["build"], &[]).code, 0);
}

#[test]
fn a_late_driver_is_waited_for() {
    let Some(mut board) = Board::new() else {
        return;
    };
    // The driver's library appears while the build waits.
    let late = board.path("late");
    fs::create_dir(&late).unwrap();
    let driver = std::env::split_paths(&board.libraries)
        .map(|folder| folder.join("libcuda.so.1"))
        .find(|file| file.exists())
        .unwrap();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&board.libraries)
        .filter(|folder| !folder.join("libcuda.so.1").exists())
        .collect();
    folders.push(late.clone());
    board.libraries = std::env::join_paths(folders).unwrap();
    if board.run(&["build"], &[]).code != 3 {
        println!("skipped: there is a CUDA driver here");
        return;
    }
    let command = board.command(&["build", "--json", "--wait-for-device", "600"], &[]);
    let (mut child, mut lines) = waiting(command, "device");
    symlink(driver, late.join("libcuda.so.1")).unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("\"changed\":true"), "{rest}");
}

#[test]
fn permissions_do_not_depend_on_the_umask() {
    let Some(board) = Board::new() else { return };
    let build = board.command(&["build"], &[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "umask 077; exec \"$0\" build"])
        .arg(build.get_program());
    for (name, value) in build.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    assert!(shell.output().unwrap().status.success());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&board.path("engines")), 0o755);
    for file in board.files("plan").iter().chain(&board.files("json")) {
        assert_eq!(mode(file), 0o644, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o755);
    }
}
