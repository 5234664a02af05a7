//! Telemetry as a user of `masklet run` meets it: in the journal, the summaries, the table and the
//! raw series. The board is a tree that stands in for a Jetson, so every figure is known.

use crate::jetson::{Board, JetPack, Tree, watts};
use crate::support::{Ran, Run, csv, json, over, rows, small, synthetic};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A run on the machine whose files lie in `root` (`None`: on this one).
fn run(split: &Path, out: &Path, root: Option<&Tree>, more: &[&str]) -> Ran {
    let mut command = over(split, out);
    if let Some(root) = root {
        command.arg("--system-root").arg(root.path());
    }
    command.args(more).ran()
}

#[test]
fn a_run_on_a_board_ends_with_its_energy_in_every_file() {
    let split = small(2, 9, 2);
    let tree = Tree::new(Board::AgxOrin, JetPack::Six);
    let out = split.path().join("run");
    let ran = run(split.path(), &out, Some(&tree), &["--telemetry-hz", "10"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("STAND-IN"), "{}", ran.stderr);
    for text in [
        "mean power",
        "15.00 W",
        "energy per frame",
        "51.8 °C (tj_thermal)",
    ] {
        assert!(ran.stdout.contains(text), "no '{text}' in {}", ran.stdout);
    }
    assert!(ran.stdout.contains("1300 (1300) MHz") && ran.stdout.contains("none seen"));

    // Power is a constant 15 W, so energy is 15 W times the time that the clocks measured.
    let rows = rows(&out);
    let mut videos: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for row in &rows {
        let marks = &row["telemetry"];
        let walls = row["timing"]["stages"]["end_to_end"]["ms"]
            .as_array()
            .unwrap();
        let seconds: f64 = walls.iter().map(|ms| ms.as_f64().unwrap()).sum::<f64>() / 1e3;
        let energy = marks["frames_energy_j"]["value"].as_f64().unwrap();
        // Durations are rounded to microseconds in the journal.
        assert!(
            (energy - watts(Board::AgxOrin) * seconds).abs() < 1e-3,
            "{marks:#}"
        );
        assert!((marks["frames_s"].as_f64().unwrap() - seconds).abs() < 1e-4);
        assert_eq!(marks["clip"]["sensors"]["power_total_w"]["mean"], 15.0);
        assert_eq!(marks["clip"]["sensors"]["gpu_load_percent"]["max"], 95.0);
        assert!(
            marks["clip"]["sensors"]
                .get("temperature_cv0_thermal_c")
                .is_none()
        );
        assert!(marks["clip"]["samples"].as_u64().unwrap() >= 2);
        assert_eq!(marks["clip"]["throttle"], Value::Array(Vec::new()));
        let video = videos
            .entry(row["video"].as_str().unwrap().to_owned())
            .or_default();
        video.0 += marks["energy_share_j"]["value"].as_f64().unwrap();
        video.1 = marks["clip"]["energy_j"]["value"].as_f64().unwrap();
        assert_eq!(
            row["memory"]["available_before_bytes"]["value"],
            6_442_450_944_u64
        );
        assert_eq!(
            row["memory"]["device"],
            Value::Null,
            "the CPU has no device memory"
        );
    }
    assert_eq!(videos.len(), 2);
    for (video, (shares, whole)) in &videos {
        assert!((shares - whole).abs() < 1e-9, "{video}: {shares} {whole}");
    }

    let summary = json(&out.join("summary.json"));
    let telemetry = &summary["models"][0]["telemetry"];
    let all: f64 = videos.values().map(|(_, whole)| whole).sum();
    assert!((telemetry["energy_j"].as_f64().unwrap() - all).abs() < 1e-9);
    assert!((telemetry["power_mean_w"].as_f64().unwrap() - 15.0).abs() < 1e-9);
    assert!((telemetry["energy_per_frame_j"].as_f64().unwrap() - all / 18.0).abs() < 1e-9);
    assert_eq!(telemetry["videos"].as_array().unwrap().len(), 2);
    for row in csv(&out.join("summary.csv")) {
        assert_eq!(row["power_mean_W"], "15.0");
        assert_eq!(row["gpu_clock_min_MHz"], "1300.0");
        assert_eq!(row["emc_clock_mean_MHz"], "3199.0");
        assert_eq!(row["temperature_max_C"], "51.8");
        assert_eq!(row["temperature_max_sensor"], "tj_thermal");
        assert_eq!(row["throttle_events"], "0");
        assert_eq!(row["available_min_MiB"], "6144.0");
        assert_eq!(row["device_free_before_MiB"], "");
        assert!(row["energy_share_J"].parse::<f64>().unwrap() > 0.0);
    }

    let described = json(&out.join("run.json"));
    assert_eq!(
        described["environment"]["power_mode"]["value"],
        "MAXN (mode 0)"
    );
    assert_eq!(described["environment"]["stand_in"], true);
    let missing = &described["telemetry"]["missing"];
    assert!(
        missing["temperature_cv0_thermal_c"]
            .as_str()
            .unwrap()
            .contains("switched off")
    );
    let columns = described["telemetry"]["columns"].as_array().unwrap();
    let series = csv(&out.join("telemetry.csv"));
    assert!(series.len() >= 4, "{}", series.len());
    for column in columns {
        let name = column["name"].as_str().unwrap();
        assert!(series[0].contains_key(name), "{name}");
    }
    let mut last = -1.0;
    for sample in &series {
        assert_eq!(sample["power_total_w"], "15");
        assert_eq!(sample["temperature_cv0_thermal_c"], "");
        let at: f64 = sample["t_s"].parse().unwrap();
        assert!(at >= last && sample["unix_s"].parse::<f64>().unwrap() > 1.7e9);
        last = at;
    }
    // The journal's spans lie in the series.
    for row in &rows {
        let clip = &row["telemetry"]["clip"];
        assert!(clip["to_s"].as_f64().unwrap() <= last + 1e-3);
    }
}

#[test]
fn a_resumed_run_keeps_one_series_per_session_and_force_removes_them() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let tree = Tree::new(Board::OrinNano, JetPack::Six);
    let out = split.path().join("run");
    assert_eq!(run(split.path(), &out, Some(&tree), &[]).code, 0);
    // Another rate is not another run.
    let resumed = run(
        split.path(),
        &out,
        Some(&tree),
        &["--resume", "--telemetry-hz", "2"],
    );
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(out.join("telemetry.csv").is_file() && out.join("telemetry-1.csv").is_file());
    let off = run(
        split.path(),
        &out,
        Some(&tree),
        &["--force", "--telemetry-hz", "0"],
    );
    assert_eq!(off.code, 0, "{off:?}");
    assert!(!out.join("telemetry.csv").exists() && !out.join("telemetry-1.csv").exists());
    assert!(rows(&out).iter().all(|row| row.get("telemetry").is_none()));
    assert!(json(&out.join("run.json"))["telemetry"].is_null());
    assert!(!off.stdout.contains("mean power"), "{}", off.stdout);
}

#[test]
fn this_machine_without_a_power_sensor_has_empty_cells_and_reasons() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let out = split.path().join("run");
    let ran = run(split.path(), &out, None, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let described = json(&out.join("run.json"));
    let missing = &described["telemetry"]["missing"];
    let row = &csv(&out.join("summary.csv"))[0];
    assert!(row["available_min_MiB"].parse::<f64>().unwrap() > 1.0);
    if missing["power_total_w"].is_null() {
        println!("skipped: this machine has a power sensor");
        return;
    }
    assert!(
        missing["power_total_w"]
            .as_str()
            .unwrap()
            .contains("no power monitor")
    );
    for name in ["energy_share_J", "energy_per_frame_J", "power_mean_W"] {
        assert_eq!(row[name], "", "{name}");
    }
    let share = &rows(&out)[0]["telemetry"]["energy_share_j"];
    assert!(
        share["value"].is_null() && share["reason"].is_string(),
        "{share}"
    );
    assert!(!ran.stdout.contains("mean power"), "{}", ran.stdout);
}

#[test]
fn a_rate_that_is_out_of_range_is_refused() {
    let split = synthetic(&["--videos", "1", "--frames", "5", "--size", "64x48"]);
    let ran = run(
        split.path(),
        &split.path().join("run"),
        None,
        &["--telemetry-hz", "11"],
    );
    assert_eq!(ran.code, 2, "{ran:?}");
}
