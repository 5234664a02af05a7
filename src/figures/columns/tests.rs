//! The CSV as upstream's readers expect it, and our columns behind.

use std::collections::BTreeMap;

use super::*;
use crate::record::{ObjectRow, samples, summarise};
use crate::render;

/// Cells of every row by column name.
fn table(rows: &[ObjectRow]) -> Vec<BTreeMap<String, String>> {
    let text = render::csv(&summary_csv(&summarise(rows))).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_slice());
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn upstream_columns_come_first_and_in_order() {
    let text = render::csv(&summary_csv(&summarise(&[]))).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with(
        "video,object,model,imgsz,precision,frames,processed_end_frame,fps,latency_ms,\
         gpu_peak_alloc_MiB,gpu_peak_reserved_MiB,cpu_peak_rss_MiB,J,F,JandF,overlay,\
         input_H,input_W,infer_H,infer_W,setup_ms,status,reason,"
    ));
    let names: Vec<String> = columns().map(|(name, _)| name).collect();
    let different: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "no name twice");
}

#[test]
fn cells_of_a_worked_example() {
    let row = &table(&[samples::row("v", "1", "m_points")])[0];
    for (name, value) in [
        ("video", "v"),
        ("imgsz", "256"),
        ("frames", "20"),
        ("processed_end_frame", "24"),
        ("fps", "20.0"),
        ("latency_ms", "50.0"),
        ("gpu_peak_alloc_MiB", ""),
        ("gpu_peak_reserved_MiB", ""),
        ("cpu_peak_rss_MiB", "120.0"),
        ("J", "0.8"),
        ("F", "0.6"),
        ("JandF", "0.7"),
        ("overlay", ""),
        ("input_H", "480"),
        ("input_W", "640"),
        ("setup_ms", "12.35"),
        ("status", "ok"),
        ("official_JF", "62.5"),
        ("official_frames", "4"),
        ("fps_model", "25.0"),
        ("arena_peak_MiB", "48.0"),
        ("arena_left_bytes", "0"),
        ("pss_after_MiB", ""),
        ("encode_p99_ms", "30.0"),
        ("copy_p50_ms", ""),
        ("end_to_end_p95_ms", "62.5"),
        ("model_p50_ms", "40.0"),
    ] {
        // 12.345 lies below the decimal in binary: Python's round gives 12.35 as well, because
        // the nearest double is 12.3450000000000006394.
        assert_eq!(row[name], value, "{name}");
    }
}

#[test]
fn device_memory_fills_the_columns_of_the_gpu() {
    let mut row = samples::row("v", "1", "m");
    let memory = row.memory.as_mut().unwrap();
    memory.arena.as_mut().unwrap().on_device = true;
    let row = &table(&[row])[0];
    assert_eq!(row["gpu_peak_alloc_MiB"], "48.0");
    assert_eq!(row["gpu_peak_reserved_MiB"], "64.0");
}

#[test]
fn a_failed_row_has_a_reason_and_empty_cells() {
    let reason = "cannot decode 00004.jpg: it ends early, \"really\"";
    let row = &table(&[samples::row("v", "1", "m").failed(reason)])[0];
    assert_eq!(
        (row["status"].as_str(), row["reason"].as_str()),
        ("failed", reason)
    );
    for (name, value) in row {
        let identity = [
            "video",
            "object",
            "model",
            "imgsz",
            "precision",
            "status",
            "reason",
            "backend",
            "lockstep_objects",
            "video_frames",
            "prompt_frame",
            "input_H",
            "input_W",
            "infer_H",
            "infer_W",
            "session",
        ];
        if !identity.contains(&name.as_str()) {
            assert_eq!(value, "", "{name}");
        }
    }
}

#[test]
fn numbers_look_as_python_writes_them() {
    // str(round(v, d)) in Python 3
    for (value, decimals, text) in [
        (20.0, 2, "20.0"),
        (2.675, 2, "2.67"),
        (0.125, 2, "0.12"),
        (0.375, 2, "0.38"),
        (7.996, 2, "8.0"),
        (0.21404, 4, "0.214"),
        (124.96, 1, "125.0"),
        (0.0, 4, "0.0"),
    ] {
        assert_eq!(rounded(Some(value), decimals), text, "{value}");
    }
    assert_eq!(rounded(None, 2), "");
    assert_eq!(rounded(Some(f64::NAN), 2), "");
}
