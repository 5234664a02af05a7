//! What a user of `masklet compare` does: runs beside each other, old CSV files of every kind, a
//! gate in CI, and files that are damaged in the ways files are.

use crate::support::{Ran, Run, program, run, synthetic};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The header of `sav_benchmark_summary.csv` on the branch that has a metric F.
const SAV: &str = "video,object,model,imgsz,precision,frames,processed_end_frame,fps,latency_ms,\
gpu_peak_alloc_MiB,gpu_peak_reserved_MiB,cpu_peak_rss_MiB,J,F,JandF,overlay,input_H,input_W,\
infer_H,infer_W,setup_ms";

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Rows under [`SAV`]: (object, model, fps, J, F).
fn sav(rows: &[(&str, &str, &str, &str, &str)]) -> String {
    let line = |(object, model, fps, j, f): &(&str, &str, &str, &str, &str)| {
        format!(
            "sav_000001,{object},{model},1024,fp32,300,300,{fps},50.0,306.0,356.0,5008.0,{j},{f},0.5,,\
             1080,1920,1024,1024,13000.5\n"
        )
    };
    format!("{SAV}\n{}", rows.iter().map(line).collect::<String>())
}

fn compare(runs: &[&Path], more: &[&str]) -> Ran {
    let mut command = program();
    command.arg("compare").args(runs).args(more).ran()
}

fn json(runs: &[&Path], more: &[&str]) -> Value {
    let mut all = vec!["--json", "-"];
    all.extend(more);
    let ran = compare(runs, &all);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn texts(comparison: &Value) -> String {
    comparison["against"][0]["differences"].to_string()
}

#[test]
fn two_runs_of_one_split_are_alike_and_make_a_gate() {
    let split = synthetic(&["--videos", "2", "--frames", "13", "--size", "96x64"]);
    let at = |name: &str| split.path().join(name);
    for name in ["a", "b"] {
        run(split.path(), &at(name), &["--quiet"]).ok();
    }
    let (a, b, markdown) = (at("a"), at("b"), at("table.md"));
    let found = json(&[&a, &b], &[]);
    let against = &found["against"][0];
    assert_eq!(against["withheld"], Value::Bool(false), "{found:#}");
    let figures = against["models"][0]["figures"].as_array().unwrap();
    let figure = |name: &str| {
        figures
            .iter()
            .find(|figure| figure["name"] == name)
            .unwrap()
    };
    // The same masks: no difference in any score, and that exactly.
    for name in ["jf", "j", "f", "jf_upstream"] {
        assert_eq!(figure(name)["change"], 0.0, "{found:#}");
        assert_eq!(figure(name)["interval"]["high"], 0.0);
    }
    // The geometric mean of the ratios of what both summaries say.
    let fps = |run: &Path| -> Vec<f64> {
        let text = fs::read_to_string(run.join("summary.json")).unwrap();
        let summary: Value = serde_json::from_str(&text).unwrap();
        let rows = summary["objects"].as_array().unwrap().iter();
        rows.map(|row| row["fps_end_to_end"].as_f64().unwrap())
            .collect()
    };
    let logs: Vec<f64> = fps(&a)
        .iter()
        .zip(fps(&b))
        .map(|(a, b)| (b / a).ln())
        .collect();
    let expected = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    let change = figure("fps_end_to_end")["change"].as_f64().unwrap();
    assert!(
        (change / expected - 1.0).abs() < 1e-12,
        "{change} {expected}"
    );

    // The gate, open and shut, and the reports.
    let gate = |threshold: &str| {
        let markdown = markdown.display().to_string();
        compare(
            &[&a, &b],
            &["--threshold", threshold, "--markdown", &markdown],
        )
    };
    let open = gate("fps=0.001,jf=-0.5");
    assert_eq!(open.code, 0, "{open:?}");
    assert!(
        open.stdout
            .contains("holds: jf of edgetam_small_points is +0.00 points"),
        "{open:?}"
    );
    let shut = gate("fps=1000");
    assert_eq!(shut.code, 1, "{shut:?}");
    assert!(shut.stdout.contains("FAILS: fps"), "{shut:?}");
    let text = fs::read_to_string(&markdown).unwrap();
    assert!(
        text.contains("| FPS end to end | ") && text.contains("|---|---:|"),
        "{text}"
    );

    // The same run as its CSV alone: the figures agree, and the device is no longer recorded.
    let summary = a.join("summary.csv");
    let found = json(&[&a, &summary], &["--anyway"]);
    assert!(texts(&found).contains("not recorded in B"), "{found:#}");
    let figures = found["against"][0]["models"][0]["figures"]
        .as_array()
        .unwrap()
        .clone();
    for figure in figures {
        let close = match figure["method"].as_str().unwrap() {
            "difference" => figure["change"].as_f64().unwrap().abs() < 0.02,
            // Two decimals, and a set-up of less than a tenth of a millisecond.
            _ if figure["name"] == "setup" => {
                (figure["a"].as_f64().unwrap() - figure["b"].as_f64().unwrap()).abs() <= 0.0051
            }
            // fps has two decimals and memory one in a CSV.
            _ => (figure["change"].as_f64().unwrap() - 1.0).abs() < 0.02,
        };
        assert!(close, "{figure}");
    }

    // Another frame cap is not alike; no figures, exit code 4, unless asked for.
    let capped = at("capped");
    run(split.path(), &capped, &["--max-clip-frames", "4"]).ok();
    let refused = compare(&[&a, &capped], &[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("frames of the object: 13 in A, 4 in B"),
        "{refused:?}"
    );
    assert!(!refused.stdout.contains("FPS end to end"), "{refused:?}");
    assert!(refused.stderr.contains("--anyway"), "{refused:?}");
    let anyway = compare(&[&a, &capped], &["--anyway"]);
    assert_eq!(anyway.code, 0, "{anyway:?}");
    let differences = anyway.stdout.find("frames of the object").unwrap();
    assert!(
        differences < anyway.stdout.find("FPS end to end").unwrap(),
        "{anyway:?}"
    );
}

/// A figure of the first model of a comparison, by its name.
fn figure<'a>(found: &'a Value, name: &str) -> &'a Value {
    let figures = found["against"][0]["models"][0]["figures"].as_array();
    figures
        .unwrap()
        .iter()
        .find(|figure| figure["name"] == name)
        .unwrap()
}

#[test]
fn ratios_and_intervals_of_files_are_scipys() {
    let text = include_str!("../golden/compare/statistics.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for case in golden["speed"].as_array().unwrap() {
        let side = |name: &str| {
            let fps = case[name].as_array().unwrap().iter().enumerate();
            let rows = fps.map(|(video, fps)| format!("v{video},0,edgetam_points,{fps}\n"));
            let rows: String = rows.collect();
            file(
                folder.path(),
                &format!("{name}.csv"),
                &format!("video,object,model,fps\n{rows}"),
            )
        };
        let (a, b) = (side("a"), side("b"));
        let found = json(&[&a, &b], &["--resamples", "100000"]);
        let fps = figure(&found, "fps");
        assert_eq!(fps["name"], "fps");
        for (ours, theirs) in [("a", "gmean_a"), ("b", "gmean_b"), ("change", "ratio")] {
            let error = fps[ours].as_f64().unwrap() / case[theirs].as_f64().unwrap() - 1.0;
            assert!(error.abs() < 1e-12, "{ours}: {fps}");
        }
        // The tolerance of src/figures/stats/tests.rs: 0.05 standard errors is five times what 100 000
        // resamples of ours and 400 000 of scipy's leave open.
        let golden = &case["log_interval"];
        for end in ["low", "high"] {
            let ours = fps["interval"][end].as_f64().unwrap().ln();
            let error = (ours - golden[end].as_f64().unwrap()).abs();
            assert!(
                error < 0.05 * golden["standard_error"].as_f64().unwrap(),
                "{end}: {fps}"
            );
        }
        let again = json(&[&a, &b], &["--resamples", "100000"]);
        assert_eq!(found, again, "the same seed gives the same intervals");
        let other = json(&[&a, &b], &["--resamples", "100000", "--seed", "1"]);
        assert_ne!(found, other);
    }
}

#[test]
fn defects_of_old_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let tag = "edgetam_points";
    let old = file(
        folder.path(),
        "sav_benchmark_summary.csv",
        &sav(&[
            ("000", tag, "8.0", "0.2061", "0.2061"),
            ("001", tag, "8.4", "0.1", "0.2"),
            ("002", tag, "300000000000.0", "0.0", "0.0"),
            ("000", "sam2_tiny_points", "3.5", "0.36", "0.47"),
        ]),
    );
    let ours = format!(
        "{SAV},status,official_JF,backend,lockstep_objects\n\
         sav_000001,000,{tag},1024,fp32,300,300,30.0,33.3,,,800.0,0.7,0.7,0.7,,1080,1920,1024,1024,20.0,ok,70,cpu,1\n\
         sav_000001,001,{tag},1024,fp32,300,300,30.0,33.3,,,800.0,0.7,0.8,0.75,,1080,1920,1024,1024,20.0,ok,70,cpu,1\n\
         sav_000001,002,{tag},1024,fp32,300,300,30.0,33.3,,,800.0,0.7,0.8,0.75,,1080,1920,1024,1024,20.0,ok,70,cpu,1\n\
         sav_000001,000,sam2_tiny_points,1024,fp32,300,300,7.0,33.3,,,800.0,0.7,0.8,0.75,,1080,1920,1024,1024,20.0,ok,70,cpu,1\n"
    );
    let ours = file(folder.path(), "summary.csv", &ours);
    let refused = compare(&[&old, &ours], &[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    for words in [
        "transposes EdgeTAM's masks",
        "J equals F to the digit in 1 of 2 rows (line 2 first)",
        "while the model is loaded",
        "failed in A, left out: video sav_000001, object 002 (line 4): 300000000000 FPS is not a speed",
        "letterboxed",
        "TF32",
    ] {
        let flat = refused
            .stdout
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(flat.contains(words), "no '{words}' in {}", refused.stdout);
    }
    let found = json(&[&old, &ours], &["--anyway"]);
    let models = found["against"][0]["models"].as_array().unwrap();
    let fps = models[0]["figures"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["name"] == "fps")
        .unwrap();
    let expected = 30.0 / (8.0_f64 * 8.4).sqrt();
    assert!(
        (fps["change"].as_f64().unwrap() - expected).abs() < 1e-9,
        "{fps}"
    );
    assert_eq!(
        fps["unlike"],
        Value::Bool(false),
        "speed of EdgeTAM is alike: {fps}"
    );

    // Two files of the Python benchmark have the same defects on both sides.
    let other = file(
        folder.path(),
        "other.csv",
        &fs::read_to_string(&old).unwrap(),
    );
    let ran = compare(&[&old, &other], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("device: recorded in neither"),
        "{ran:?}"
    );
}

#[test]
fn every_variant_of_old_files_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let header = "video,object,model,imgsz,frames,fps,latency_ms,gpu_peak_alloc_MiB,\
                  gpu_peak_reserved_MiB,cpu_peak_rss_MiB,J,JandF_proxy,overlay";
    let row = "v,1,sam2_tiny_points,1024,921,12.24,81.7,4203.0,5000.0,2400.0,0.5,0.5,";
    let run = "v,1,sam2_tiny_points";
    let variants = [
        ("older-upstream-csv", format!("{header}\n{row}\n")),
        (
            "jetson-csv",
            format!("{header},cudnn_benchmark,setup_ms\n{row},True,1.2\n"),
        ),
        (
            "profile-csv",
            format!(
                "video,object,model,run,imgsz,frames,fps,latency_ms,gpu_peak_alloc_MiB,\
                 gpu_peak_reserved_MiB,cpu_peak_rss_MiB,nsight_report,setup_ms,platform,hostname,timestamp\n\
                 {run},1,768,300,3.0,333.3,1563.0,1999.0,4707.0,r1,1.0,jetson,orin,t\n\
                 {run},2,768,300,3.5,285.7,1570.0,1999.0,4707.0,r2,1.0,jetson,orin,t\n\
                 {run},3,768,300,9.0,111.1,1563.0,1999.0,4707.0,r3,1.0,jetson,orin,t\n"
            ),
        ),
        (
            "upstream-csv",
            format!(
                "{SAV},input_frame_stride,input_fps,scored_frames,annotation_stride_frames,experiment_name,\
                 experiment_description\n\
                 {run},768,fp16,300,300,3.53,283.8,1,1,1,0.5,0.6,0.55,,1080,1920,768,768,1.0,6,4.0,13,24,s6,x\n"
            ),
        ),
    ];
    for (kind, text) in &variants {
        let path = file(folder.path(), &format!("{kind}.csv"), text);
        let found = json(&[&path, &path], &[]);
        assert_eq!(found["sources"][0]["kind"], *kind, "{found:#}");
        let names: Vec<_> = found["against"][0]["models"][0]["figures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|figure| figure["name"].as_str().unwrap().to_owned())
            .collect();
        assert!(names.contains(&"fps".to_owned()), "{kind}: {names:?}");
        let scored = names.contains(&"jf_upstream".to_owned());
        assert_eq!(
            scored,
            *kind == "upstream-csv",
            "J is not a J&F: {kind}: {names:?}"
        );
        if *kind == "profile-csv" {
            let fps = figure(&found, "fps");
            assert_eq!(
                (
                    fps["name"].as_str(),
                    fps["a"].as_f64().map(|f| (f * 1e6).round())
                ),
                (Some("fps"), Some(3.5e6))
            );
            assert!(
                found["sources"][0]["notes"]
                    .to_string()
                    .contains("3 runs of each")
            );
        }
    }
    // What differs between variants is said: size, stride, device.
    let at = |kind: &str| folder.path().join(format!("{kind}.csv"));
    let found = json(&[&at("profile-csv"), &at("upstream-csv")], &["--anyway"]);
    for words in [
        "device: jetson orin in A, not recorded in B",
        "frame stride: 1 in A, 6 in B",
    ] {
        assert!(texts(&found).contains(words), "{found:#}");
    }
    let found = json(&[&at("jetson-csv"), &at("profile-csv")], &["--anyway"]);
    assert!(
        texts(&found).contains("image size: 1024 in A, 768 in B"),
        "{found:#}"
    );
}

#[test]
fn separators_line_ends_and_marks_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let plain = sav(&[
        ("000", "edgetam_points", "8.25", "0.2", "0.3"),
        ("1", "edgetam_points", "9.5", "0.4", "0.3"),
    ]);
    let reference = file(folder.path(), "plain.csv", &plain);
    for (name, text) in [
        ("windows", plain.replace('\n', "\r\n")),
        ("mark", format!("\u{feff}{plain}")),
        ("tabs", plain.replace(',', "\t")),
        (
            "semicolons and decimal commas",
            plain.replace(',', ";").replace('.', ","),
        ),
        ("spaces", plain.replace(',', " , ")),
        ("blank lines", plain.replace('\n', "\n\n")),
        ("no last line end", plain.trim_end().to_owned()),
        (
            "repeated line",
            format!("{plain}{}\n", plain.lines().last().unwrap()),
        ),
        ("spreadsheet", plain.replace(",000,", ",0,")),
    ] {
        let path = file(folder.path(), &format!("{name}.csv"), &text);
        let found = json(&[&reference, &path], &[]);
        let model = &found["against"][0]["models"][0];
        assert_eq!(model["coverage"]["pairs"], 2, "{name}: {found:#}");
        for figure in model["figures"].as_array().unwrap() {
            assert_eq!(figure["a"], figure["b"], "{name}: {figure}");
        }
    }
}

#[test]
fn damaged_files_are_refused_by_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = sav(&[
        ("0", "edgetam_points", "8.25", "0.2", "0.3"),
        ("1", "edgetam_points", "9.5", "0.4", "0.3"),
    ]);
    let reference = file(folder.path(), "good.csv", &good);
    let twice = format!(
        "{good}{}\n",
        good.lines().last().unwrap().replace("9.5", "9.6")
    );
    let cases: [(&str, Vec<u8>, &str); 9] = [
        (
            "columns",
            good.replace("video,object", "clip,thing").into(),
            "lacks the columns video, object",
        ),
        (
            "clock",
            good.replace(",fps,latency_ms", ",speed,time").into(),
            "lacks the columns fps",
        ),
        (
            "word",
            good.replace("9.5", "fast").into(),
            "line 3: fps is \"fast\"",
        ),
        (
            "cells",
            good.replace(",9.5,", ",9.5,7,").into(),
            "line 3: 22 cells where the header has 21",
        ),
        ("cut", good[..good.len() - 30].into(), "line 3: "),
        (
            "twice",
            twice.into(),
            "line 4: video sav_000001, object 1, model edgetam_points is in line 3 already",
        ),
        ("empty", Vec::new(), "it is empty"),
        ("header", format!("{SAV}\n").into(), "a header but no row"),
        (
            "utf-16",
            [0xff, 0xfe]
                .iter()
                .copied()
                .chain(good.bytes().flat_map(|b| [b, 0]))
                .collect(),
            "UTF-16",
        ),
    ];
    for (name, bytes, words) in cases {
        let path = folder.path().join(format!("{name}.csv"));
        fs::write(&path, bytes).unwrap();
        let ran = compare(&[&reference, &path], &[]);
        assert_eq!(ran.code, 4, "{name}: {ran:?}");
        assert!(ran.stderr.contains(words), "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("{name}.csv")),
            "{name}: {}",
            ran.stderr
        );
    }
    // A figure that is NaN is a failed row, by its line; the others are compared.
    let nan = file(folder.path(), "nan.csv", &good.replace("9.5", "NaN"));
    let ran = compare(&[&reference, &nan], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let flat = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("object 1 (line 3): its FPS is NaN"),
        "{ran:?}"
    );
    assert!(flat.contains("1 pair of 1 video"), "{ran:?}");
    let gate = compare(&[&reference, &nan], &["--threshold", "fps=0.5"]);
    assert_eq!(gate.code, 1, "what no longer works fails a gate: {gate:?}");

    // Nothing there, nothing in common, no such figure.
    let missing = compare(&[&reference, Path::new("nowhere")], &[]);
    assert_eq!(missing.code, 4, "{missing:?}");
    assert!(
        missing.stderr.contains("nowhere is not a run"),
        "{missing:?}"
    );
    let strange = file(
        folder.path(),
        "strange.csv",
        &good.replace("sav_000001", "other"),
    );
    let ran = compare(&[&reference, &strange], &[]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("0 videos are in both"), "{ran:?}");
    let ran = compare(&[&reference, &reference], &["--threshold", "p99=1.1"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("not measured"), "{ran:?}");
    let ran = compare(&[&reference, &reference], &["--threshold", "speed=1"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = compare(&[&reference], &[]);
    assert_eq!(ran.code, 2, "{ran:?}");
}
