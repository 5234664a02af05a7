//! Nothing lost, nothing silent, nothing of others touched.

use crate::support::{Ran, masklet, synthetic};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SPLIT: [&str; 8] = [
    "--videos",
    "2",
    "--frames",
    "5",
    "--size",
    "64x48",
    "--objects",
    "2",
];
const QUICK: [&str; 5] = ["--warmup", "0", "--backend", "cpu", "--quiet"];

fn arguments(split: &Path, out: &Path, more: &[&str]) -> Vec<String> {
    let (split, out) = (split.display().to_string(), out.display().to_string());
    let fixed = ["run", "--split-dir", &split, "--out-dir", &out];
    let all = fixed.iter().chain(&QUICK).chain(more);
    all.map(|text| (*text).to_owned()).collect()
}

fn run(split: &Path, out: &Path, more: &[&str]) -> Ran {
    let args = arguments(split, out, more);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    masklet(&args)
}

/// Takes the last `count` lines off a run's journal.
fn drop_rows(run: &Path, count: usize) {
    let path = run.join("journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&path, lines[..lines.len() - count].concat()).unwrap();
}

fn mask_files(run: &Path) -> Vec<PathBuf> {
    let tree = crate::support::tree(&run.join("masks"));
    tree.into_keys()
        .map(|name| run.join("masks").join(name))
        .collect()
}

/// Every mask is on disk before the journal names its row, by the order of the system calls: what
/// a power cut between any two of them leaves is a journal whose rows have their masks.
#[test]
fn masks_are_synced_before_the_row_that_promises_them() {
    let split = synthetic(&SPLIT);
    for masks in ["annotated", "all"] {
        let (out, trace) = (split.path().join(masks), split.path().join("trace"));
        let traced = Command::new("strace")
            .args(["-f", "-y", "-s", "64", "-o"])
            .arg(&trace)
            .args(["-e", "trace=openat,open,write,fsync,fdatasync,syncfs"])
            .arg(env!("CARGO_BIN_EXE_masklet"))
            .args(arguments(split.path(), &out, &["--save-masks", masks]))
            .output();
        let ran = match traced {
            Ok(ran) if ran.status.success() => ran,
            other => {
                println!("skipped: no strace that may trace here ({other:?})");
                return;
            }
        };
        assert!(ran.status.success(), "{ran:?}");
        let text = fs::read_to_string(&trace).unwrap();
        let (mut unsynced, mut rows, mut masks) = (BTreeSet::new(), 0, 0);
        for line in text.lines() {
            let call = line
                .split_once(' ')
                .map_or(line, |(_, call)| call.trim_start());
            let name = call.split('(').next().unwrap_or_default();
            let quoted = call.split('"').nth(1).unwrap_or_default();
            let on = call.split(['<', '>']).nth(1).unwrap_or_default();
            match name {
                "openat" | "open" if quoted.contains("/masks/") && call.contains("O_CREAT") => {
                    masks += 1;
                    unsynced.insert(quoted.to_owned());
                }
                "fsync" | "fdatasync" => drop(unsynced.remove(on)),
                "syncfs" => unsynced.clear(),
                "write" if on.ends_with("journal.jsonl") && call.contains("object") => {
                    rows += 1;
                    assert!(unsynced.is_empty(), "row before {unsynced:?}: {call}");
                }
                _ => {}
            }
        }
        assert_eq!(rows, 2, "one append for each video");
        assert_eq!(masks, mask_files(&out).len());
    }
}

#[test]
fn resume_redoes_rows_whose_masks_are_gone() {
    let split = synthetic(&SPLIT);
    let out = split.path().join("out");
    assert_eq!(run(split.path(), &out, &[]).code, 0);
    let files = mask_files(&out);
    let before: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    // As after a power cut: there, and empty.
    fs::write(&files[0], "").unwrap();
    fs::remove_file(files.last().unwrap()).unwrap();
    let ran = run(split.path(), &out, &["--resume"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("runs again"), "{ran:?}");
    let after: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(before == after);
    let ran = run(split.path(), &out, &["--resume"]);
    assert!(!ran.stderr.contains("runs again"), "{ran:?}");
}

#[test]
fn a_gate_passes_on_complete_runs_only() {
    let split = synthetic(&SPLIT);
    let (whole, part) = (split.path().join("whole"), split.path().join("part"));
    for out in [&whole, &part] {
        assert_eq!(run(split.path(), out, &[]).code, 0);
    }
    let gate = |first: &Path, second: &Path, more: &[&str]| {
        let (first, second) = (first.display().to_string(), second.display().to_string());
        let mut args = vec![
            "compare",
            &first,
            &second,
            "--anyway",
            "--threshold",
            "fps=0.001",
        ];
        args.extend(more);
        masklet(&args)
    };
    assert_eq!(gate(&whole, &part, &[]).code, 0);
    let mask = mask_files(&part).swap_remove(0);
    let kept = fs::read(&mask).unwrap();
    fs::remove_file(&mask).unwrap();
    let ran = gate(&whole, &part, &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("masks"), "{ran:?}");
    assert_eq!(gate(&whole, &part, &["--accept-missing", "masks"]).code, 0);
    fs::write(&mask, kept).unwrap();
    drop_rows(&part, 1);
    for (first, second) in [(&whole, &part), (&part, &whole)] {
        let ran = gate(first, second, &[]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stderr.contains("run.json counts 4"), "{ran:?}");
        assert_eq!(gate(first, second, &["--accept-missing", "rows"]).code, 0);
    }
    let manifest = fs::read_to_string(part.join("run.json")).unwrap();
    let running = manifest.replace("\"finished\",", "\"interrupted\",");
    fs::write(part.join("run.json"), running).unwrap();
    let ran = gate(&part, &whole, &["--accept-missing", "rows"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("not finished"), "{ran:?}");
    assert_eq!(
        gate(&part, &whole, &["--accept-missing", "rows,state"]).code,
        0
    );
}

#[test]
fn merge_refuses_shards_that_lost_rows_or_masks_and_touches_nothing_else() {
    let split = synthetic(&SPLIT);
    let at = |name: &str| split.path().join(name);
    let shards = [at("one"), at("two")];
    for (place, out) in shards.iter().enumerate() {
        let shard = format!("{}/2", place + 1);
        assert_eq!(run(split.path(), out, &["--shard", &shard]).code, 0);
    }
    let merge = |out: &Path, more: &[&str]| {
        let parts: Vec<String> = shards.iter().map(|p| p.display().to_string()).collect();
        let out = out.display().to_string();
        let mut args = vec!["merge", &parts[0], &parts[1], "--out", &out];
        args.extend(more);
        masklet(&args)
    };
    // A folder that has the name which once was that of the unfinished result.
    fs::create_dir(at("joined.part")).unwrap();
    fs::write(at("joined.part/precious"), "mine").unwrap();
    assert_eq!(merge(&at("joined"), &[]).code, 0);
    assert_eq!(
        fs::read_to_string(at("joined.part/precious")).unwrap(),
        "mine"
    );
    std::os::unix::fs::symlink("/etc/passwd", shards[0].join("masks/link")).unwrap();
    let ran = merge(&at("linked"), &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
    fs::remove_file(shards[0].join("masks/link")).unwrap();
    drop_rows(&shards[0], 1);
    let ran = merge(&at("lost"), &["--partial"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("run.json counts 2"), "{ran:?}");
    assert!(!at("lost").exists());
    assert_eq!(merge(&at("lost"), &["--accept-missing", "rows"]).code, 0);
    fs::remove_dir_all(shards[1].join("masks")).unwrap();
    let ran = merge(&at("bare"), &["--accept-missing", "rows"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("masks are there"), "{ran:?}");
}

#[test]
fn a_data_set_that_vanishes_stops_the_run() {
    let split = synthetic(&["--videos", "3", "--frames", "40", "--size", "64x48"]);
    let out = split.path().join("out");
    let (frames, away) = (
        split.path().join("JPEGImages_24fps"),
        split.path().join("away"),
    );
    // The frames go while the program loads its model, after it has listed them; tracking 120
    // frames takes seconds.
    let mut child = Command::new(env!("CARGO_BIN_EXE_masklet"))
        .args(arguments(split.path(), &out, &[]))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !out.join("run.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended first");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    fs::rename(&frames, &away).unwrap();
    let ran = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    fs::rename(&away, &frames).unwrap();
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(
        said.contains("--resume") && said.contains("JPEGImages_24fps"),
        "{said}"
    );
    let ran = run(split.path(), &out, &["--resume"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// A PNG of 65 bytes that claims 65535 x 65535 pixels of 16-bit RGBA: 34 GB.
fn bomb() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 65_535, 65_535);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    let mut writer = encoder.write_header().unwrap();
    let nothing = [0x78, 0x9c, 3, 0, 0, 0, 0, 1];
    writer.write_chunk(png::chunk::IDAT, &nothing).unwrap();
    drop(writer);
    file
}

fn rows_of(run: &Path) -> usize {
    let text = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("{\"object\""))
        .count()
}

#[test]
fn a_bomb_and_a_pipe_among_the_files_fail_their_objects_only() {
    let split = synthetic(&SPLIT);
    let at = |name: &str| split.path().join(name);
    fs::write(at("Annotations_6fps/synth_000000/000/00000.png"), bomb()).unwrap();
    let frame = at("JPEGImages_24fps/synth_000001/00002.jpg");
    fs::remove_file(&frame).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&frame)
            .status()
            .unwrap()
            .success()
    );
    let out = at("out");
    let ran = run(split.path(), &out, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("65535x65535"), "{ran:?}");
    assert!(ran.stderr.contains("not a regular file"), "{ran:?}");
    assert_eq!(rows_of(&out), 4);
    assert_eq!(run(split.path(), &out, &["--resume"]).code, 1);
    let ran = masklet(&["plan", "--size", "4294967295x4294967295"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

/// The write end of a pipe that nobody reads.
fn closed() -> std::process::Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> std::process::Stdio {
    fs::File::create("/dev/full").unwrap().into()
}

#[test]
fn closed_and_full_outputs_change_nothing_but_the_output() {
    let split = synthetic(&SPLIT);
    let mask = split
        .path()
        .join("Annotations_6fps/synth_000000/000/00000.png");
    fs::write(mask, bomb()).unwrap();
    for name in ["closed", "full"] {
        let stdio = || if name == "full" { full() } else { closed() };
        let out = split.path().join(name);
        // One object fails; warnings, progress and the table have nowhere to go.
        let ended = Command::new(env!("CARGO_BIN_EXE_masklet"))
            .args(arguments(split.path(), &out, &[]))
            .stdout(stdio())
            .stderr(stdio())
            .status()
            .unwrap();
        assert_eq!(ended.code(), Some(1), "{name}");
        assert_eq!(rows_of(&out), 4, "{name}");
        assert!(out.join("summary.csv").exists() && out.join("report.html").exists());
        let out = split.path().join(format!("{name}-told"));
        let told = arguments(split.path(), &out, &[]);
        let ended = Command::new(env!("CARGO_BIN_EXE_masklet"))
            .args(told.iter().filter(|argument| *argument != "--quiet"))
            .stdout(stdio())
            .stderr(stdio())
            .status()
            .unwrap();
        assert_eq!(ended.code(), Some(1), "{name}");
    }
}

#[test]
fn sigterm_and_sighup_end_a_run_that_can_be_resumed() {
    let split = synthetic(&["--videos", "3", "--frames", "40", "--size", "64x48"]);
    for (signal, code) in [("-TERM", 143), ("-HUP", 129)] {
        let out = split.path().join(format!("out{signal}"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_masklet"))
            .args(arguments(split.path(), &out, &[]))
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        while fs::read_to_string(out.join("journal.jsonl")).map_or(0, |text| text.lines().count())
            < 2
        {
            assert!(child.try_wait().unwrap().is_none(), "it ended first");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let ran = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{said}");
        assert!(said.contains("--resume"), "{said}");
    }
}
