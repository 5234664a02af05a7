//! A run folder through crashes: killed at random moments, on a full disk, cut by hand. The
//! summary of a run that was resumed equals that of one that was not.

use crate::support::{Run, SmallDisk, again, assert_one_passed, csv, json, listed};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use masklet::error::ErrorClass;
use masklet::machine::{Environment, Reading, SystemRoot};
use masklet::record::{
    BundleRecord, MemoryMarks, ObjectKey, ObjectRow, ObjectScores, RunFolder, RunManifest,
    RunState, Score, Stage, StageSamples, Status, Timing, WeightsRecord, read_journal,
};
use masklet::spec::{OpenMode, Spec};
use serde_json::Value;
use tempfile::TempDir;

const VIDEOS: usize = 12;
const OBJECTS: usize = 3;
/// The test that does a run into [`TARGET`] when another one starts it.
const RUNNER: &str = concat!(module_path!(), "::a_run_that_nothing_disturbs");
const TARGET: &str = "MASKLET_TEST_RUN_FOLDER";

fn manifest() -> RunManifest {
    RunManifest {
        spec: Spec::default(),
        video_files: Vec::new(),
        split_sha256: None,
        noted: Default::default(),
        bundles: vec![BundleRecord {
            name: "edgetam".to_owned(),
            source: "embedded".to_owned(),
            sha256: "0".repeat(64),
            image_size: 256,
            precision: "fp32".to_owned(),
            weights: WeightsRecord::RandomInit { seed: 7 },
        }],
        backend: None,
        environment: Environment::read(&SystemRoot::real()),
        telemetry: None,
    }
}

/// The row of an object: its scores depend on nothing but its name, its times on the process.
fn row(video: usize, object: usize) -> ObjectRow {
    let score = |salt: usize| ((video * 31 + object * 17 + salt) % 97) as f64 / 97.0;
    let wall = (0..40).map(|at| 20.0 + f64::from(std::process::id() % 7) + f64::from(at) * 0.01);
    let missing = || Reading::missing("not measured in this test");
    let row = ObjectRow {
        key: ObjectKey {
            video: format!("sav_{video:06}"),
            object: format!("{object:03}"),
            model: "edgetam_points".to_owned(),
        },
        status: Status::Ok,
        session: 0,
        lockstep_objects: OBJECTS,
        image_size: 256,
        precision: "fp32".to_owned(),
        backend: "cpu".to_owned(),
        random_init_seed: Some(7),
        video_frames: 40,
        prompt_frame: 0,
        frames: 40,
        input_size: [480, 854],
        infer_size: [256, 256],
        overlay: None,
        scores: Some(ObjectScores {
            official: Some(Score {
                j: score(1),
                f: score(2),
                frames: 8,
            }),
            upstream: Some(Score {
                j: score(3),
                f: score(4),
                frames: 10,
            }),
        }),
        timing: Some(Timing {
            setup_ms: 1.0,
            warmup_frames: 0,
            bank_fill_frames: 16,
            stages: [(Stage::EndToEnd, StageSamples::new(true, 0, wall))].into(),
        }),
        memory: Some(MemoryMarks {
            arena: None,
            rss_before_bytes: missing(),
            rss_after_bytes: missing(),
            rss_peak_bytes: missing(),
            pss_after_bytes: missing(),
            available_before_bytes: missing(),
            available_after_bytes: missing(),
            rss_by_frame_bytes: Vec::new(),
            allocator: None,
            device: None,
        }),
        telemetry: None,
        realtime: None,
        scores_missing: None,
        masks: None,
        machine_failed: false,
        warning: None,
    };
    match (video, object) {
        (5, 1) => row.failed("cannot decode frame 00012"),
        _ => row,
    }
}

/// Does the whole run into `out`, or what is left of it.
fn run(out: &Path, pause: Duration) {
    let mut opened = RunFolder::create(out, "run", &manifest(), OpenMode::Resume).unwrap();
    for video in 0..VIDEOS {
        let rows: Vec<ObjectRow> = (0..OBJECTS)
            .map(|object| row(video, object))
            .filter(|row| !opened.folder.is_done(&row.key))
            .collect();
        std::thread::sleep(pause);
        opened.folder.append(&rows).unwrap();
        // A summary after every video, so that kills meet its renames as well.
        opened.folder.write_summary().unwrap();
    }
    opened.folder.finish(RunState::Finished).unwrap();
}

/// This test binary again, as the process that does the run.
fn process(out: &Path) -> Command {
    let mut command = again(&listed(RUNNER));
    command.env(TARGET, out);
    command
}

/// Everything in the summaries but times and memory.
fn substance(out: &Path) -> (Value, Vec<BTreeMap<String, String>>) {
    let run = out.join("run");
    let mut summary = json(&run.join("summary.json"));
    for entry in ["models", "objects"] {
        for item in summary[entry].as_array_mut().unwrap() {
            let item = item.as_object_mut().unwrap();
            item.retain(|key, _| {
                let timings = ["speed", "latency_ms", "stability", "memory"];
                !timings.contains(&key.as_str()) && !key.starts_with("fps")
            });
        }
    }
    let mut rows = csv(&run.join("summary.csv"));
    for row in &mut rows {
        row.retain(|name, _| {
            let timings = ["latency_ms", "cv", "outliers", "stability", "session"];
            !name.starts_with("fps") && !name.ends_with("_ms") && !timings.contains(&&**name)
        });
    }
    (summary, rows)
}

#[test]
fn a_run_that_nothing_disturbs() {
    // The process that the next test kills comes in here, with a folder and a pause.
    if let Some(out) = std::env::var_os(TARGET) {
        return run(&PathBuf::from(out), Duration::from_millis(3));
    }
    let dir = TempDir::new().unwrap();
    run(dir.path(), Duration::ZERO);
    let (summary, rows) = substance(dir.path());
    assert_eq!(rows.len(), VIDEOS * OBJECTS);
    assert_eq!(summary["counts"]["failed"], 1);
    assert_eq!(summary["models"][0]["random_init_seed"], 7);
}

/// Empties a file that fills a disk. Removing it would not do: a process that another test is just
/// starting holds a copy of every open descriptor until its `exec`, and the blocks with it.
fn make_room(ballast: &Path) {
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(ballast)
        .unwrap();
}

#[test]
fn a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(256) else {
        return;
    };
    let place = disk.path();
    let mut opened = RunFolder::create(place, "run", &manifest(), OpenMode::New).unwrap();
    opened.folder.append(&[row(0, 0)]).unwrap();
    let ballast = place.join("ballast");
    let mut size = 256 * 1024;
    while size > 0 {
        // As much as fits, byte for byte: a partial write is what is wanted.
        let more = vec![0; size];
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&ballast)
            .unwrap();
        if std::io::Write::write_all(&mut file, &more).is_err() {
            size /= 2;
        }
    }
    // Rows fit until the journal's last page is full, then none does.
    let mut written = 1;
    let error = loop {
        match opened.folder.append(&[row(1 + written, 0)]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1000, "the disk was never full");
    };
    assert_eq!(error.class(), ErrorClass::Passing);
    let text = error.to_string();
    for part in ["journal.jsonl", "0 B free", "--out-dir", "--resume"] {
        assert!(text.contains(part), "{text}");
    }
    let found = read_journal(&place.join("run/journal.jsonl")).unwrap();
    assert_eq!((found.rows.len(), found.warning), (written, None));
    let error = opened.folder.write_summary().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Passing);
    assert!(error.to_string().contains("summary.csv"), "{error}");
    let names: Vec<_> = fs::read_dir(place.join("run")).unwrap().collect();
    assert!(
        names.iter().all(|n| !n
            .as_ref()
            .unwrap()
            .path()
            .to_string_lossy()
            .ends_with(".tmp")),
        "{names:?}"
    );

    make_room(&ballast);
    opened.folder.append(&[row(1 + written, 0)]).unwrap();
    let summary = opened.folder.finish(RunState::Finished).unwrap();
    assert_eq!(summary.counts.rows, written + 1);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_said_in_one_sentence() {
    let Some(disk) = SmallDisk::mount(256) else {
        return;
    };
    let ballast = disk.path().join("ballast");
    assert!(fs::write(&ballast, vec![0; 300 * 1024]).is_err());
    let error = RunFolder::create(disk.path(), "run", &manifest(), OpenMode::New).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Passing);
    assert!(error.to_string().contains("free there"), "{error}");
    make_room(&ballast);
    RunFolder::create(disk.path(), "run", &manifest(), OpenMode::Resume).unwrap();
}

#[test]
fn a_read_only_file_system_is_the_environments_fault() {
    let Some(disk) = SmallDisk::mount(256) else {
        return;
    };
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.path())
        .status();
    assert!(remounted.unwrap().success());
    let error = RunFolder::create(disk.path(), "run", &manifest(), OpenMode::New).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Environment);
    let text = error.to_string();
    assert!(
        text.contains("Read-only") && text.contains("--out-dir"),
        "{text}"
    );
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn killed_twenty_times_and_resumed_ends_like_a_run_that_was_not() {
        let undisturbed = TempDir::new().unwrap();
        run(undisturbed.path(), Duration::ZERO);
        let expected = substance(undisturbed.path());

        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut kills = 0;
        let mut dir = TempDir::new().unwrap();
        while kills < 20 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Killed after so many more lines of the journal, and some microseconds.
            let journal = dir.path().join("run/journal.jsonl");
            let lines = || {
                fs::read(&journal).map_or(0, |text| text.iter().filter(|b| **b == b'\n').count())
            };
            let wanted = lines() + (random % 10) as usize;
            let mut child = process(dir.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while lines() < wanted && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(random % 5000));
            if child.try_wait().unwrap().is_some() {
                // It ended before the kill: its summary must be right, and a new run begins.
                assert!(substance(dir.path()) == expected, "after {kills} kills");
                dir = TempDir::new().unwrap();
                continue;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            // Whatever the moment was, every whole row is there once.
            if journal.exists() {
                let found = read_journal(&journal).unwrap();
                assert!(found.rows.len() <= VIDEOS * OBJECTS);
                assert_eq!(
                    found.rows.len() % OBJECTS,
                    0,
                    "objects of a video stay together"
                );
            }
        }
        assert_one_passed(&process(dir.path()).ran());
        assert!(substance(dir.path()) == expected);
    }
}
