//! What the summary makes of rows: worked examples and laws.

use proptest::prelude::*;

use super::*;
use crate::machine::Reading;
use crate::record::{Score, StageSamples, samples};

#[test]
fn a_worked_example() {
    // 20 frames, 2 of them warm-up. Per counted frame: encode 30, track 10, postprocess 10.
    let summary = summarise(&[samples::row("v", "1", "m_points")]);
    let model = &summary.models[0];
    let speed = model.speed;
    assert_eq!(
        (speed.frames, speed.warmup_frames, speed.object_frames),
        (18, 2, 18)
    );
    assert_eq!(speed.fps_model, Some(25.0));
    assert_eq!(speed.fps_upstream, Some(20.0));
    assert_eq!(speed.fps_end_to_end, Some(16.0));
    assert_eq!(model.latency_ms.counted["model"].p50_ms, 40.0);
    assert_eq!(model.latency_ms.counted["encode"].n, 18);
    // Frames 2..16 fill the bank, 16..20 are steady. The prompt frame is a warm-up frame.
    assert_eq!(model.latency_ms.bank_fill["track"].n, 14);
    assert_eq!(model.latency_ms.steady["track"].n, 4);
    assert!(!model.latency_ms.counted.contains_key("prompt"));
    assert!(!model.latency_ms.counted.contains_key("copy"));
    let official = model.official_percent.unwrap();
    assert_eq!((official.j, official.f, official.jf), (75.0, 50.0, 62.5));
    assert_eq!((official.objects, official.frames), (1, 4));
    assert_eq!(summary.objects[0].fps, Some(20.0));
    assert_eq!(model.stability.too_short, 1);
    assert_eq!(model.stability.text(), "too short to judge");
}

#[test]
fn work_done_once_for_several_objects_counts_once() {
    let mut first = samples::row("v", "1", "m_points");
    let mut second = samples::row("v", "2", "m_points");
    for row in [&mut first, &mut second] {
        row.lockstep_objects = 2;
        row.timing.as_mut().unwrap().warmup_frames = 0;
    }
    let both = summarise(&[first.clone(), second.clone()]);
    let model = &both.models[0];
    assert_eq!((model.speed.frames, model.speed.object_frames), (20, 40));
    // Later frames: 30 once and 10 twice; the prompt frame 30 once and 5 twice.
    assert_eq!(model.latency_ms.counted["model"].p50_ms, 50.0);
    assert_eq!(model.latency_ms.counted["model"].min_ms, 40.0);
    assert_eq!(model.latency_ms.counted["encode"].n, 20);
    assert_eq!(model.latency_ms.counted["track"].n, 38);
    assert_eq!(model.latency_ms.counted["track"].mean_ms, 10.0);
    // Alone, the same rows count twice.
    first.lockstep_objects = 1;
    second.lockstep_objects = 1;
    let alone = summarise(&[first, second]);
    assert_eq!(alone.models[0].speed.frames, 40);
    assert_eq!(alone.models[0].latency_ms.counted["model"].p50_ms, 40.0);
}

#[test]
fn an_object_that_joins_late_shares_only_its_frames() {
    let mut early = samples::row("v", "1", "m_points");
    let mut late = samples::row("v", "2", "m_points");
    late.prompt_frame = 14;
    late.frames = 10;
    for row in [&mut early, &mut late] {
        row.lockstep_objects = 2;
        let timing = row.timing.as_mut().unwrap();
        timing.warmup_frames = 0;
        for samples in timing.stages.values_mut() {
            samples.ms.truncate(row.frames - samples.first);
        }
    }
    let summary = summarise(&[early, late]);
    let speed = summary.models[0].speed;
    assert_eq!((speed.frames, speed.object_frames), (20, 30));
    assert_eq!(summary.models[0].latency_ms.counted["encode"].n, 20);
    // The late object is slower than the group's mean: it never ran without the other.
    let fps: Vec<f64> = summary.objects.iter().map(|o| o.fps.unwrap()).collect();
    assert!(fps[0] > fps[1], "{fps:?}");
}

#[test]
fn a_failed_object_counts_and_has_no_figure() {
    let rows = [
        samples::row("v", "1", "m_points"),
        samples::row("v", "2", "m_points").failed("out of memory in region frame"),
    ];
    let summary = summarise(&rows);
    assert_eq!((summary.counts.ok, summary.counts.failed), (1, 1));
    assert_eq!(summary.models[0].official_percent.unwrap().objects, 1);
    let failed = &summary.objects[1];
    assert_eq!(
        (failed.fps, failed.fps_model, failed.stability),
        (None, None, None)
    );
    assert!(failed.latency_ms.is_empty());
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["objects"][1]["status"], "failed");
    assert_eq!(
        json["objects"][1]["reason"],
        "out of memory in region frame"
    );
    assert!(json["objects"][1]["fps"].is_null());
}

#[test]
fn nothing_at_all_has_a_summary() {
    let summary = summarise(&[]);
    assert_eq!(summary.counts, Counts::default());
    assert!(summary.models.is_empty() && summary.objects.is_empty());
}

fn with_rss(video: usize, session: u32, rss: u64) -> ObjectRow {
    let mut row = samples::row(&format!("v{video:02}"), "1", "m");
    row.session = session;
    row.memory.as_mut().unwrap().rss_after_bytes = Reading::of(rss);
    row
}

#[test]
fn memory_that_grows_from_video_to_video_is_told_from_memory_that_does_not() {
    let mebibyte = 1 << 20;
    let slope = |rows: &[ObjectRow]| summarise(rows).models[0].memory.rss_slope_per_video;
    let verdict = |rows: &[ObjectRow]| summarise(rows).models[0].memory.rss_flatness;
    let grows: Vec<_> = (0..8)
        .map(|v| with_rss(v, 0, (500 + 7 * v as u64) * mebibyte))
        .collect();
    assert_eq!(slope(&grows).unwrap().per_step, 7.0 * mebibyte as f64);
    assert_eq!(verdict(&grows), Some(Flatness::Growing));
    let flat: Vec<_> = (0..8)
        .map(|v| with_rss(v, 0, 500 * mebibyte + (v as u64 * 7919) % 4096))
        .collect();
    assert_eq!(verdict(&flat), Some(Flatness::Flat));
    // A resumed run is a new process at another level.
    let resumed: Vec<_> = (0..8)
        .map(|v| {
            with_rss(
                v,
                u32::from(v > 3),
                (500 - 100 * u64::from(v > 3)) * mebibyte,
            )
        })
        .collect();
    assert_eq!(slope(&resumed).unwrap().per_step, 0.0);
    assert_eq!(verdict(&grows[..2]), Some(Flatness::TooFew));
    assert_eq!(verdict(&grows[..1]), None);
}

#[test]
fn the_arena_that_did_not_return_is_counted() {
    let mut row = samples::row("v", "1", "m");
    let arena = row.memory.as_mut().unwrap().arena.as_mut().unwrap();
    arena.after_bytes += 256;
    let summary = summarise(&[row, samples::row("v", "2", "m")]);
    let memory = &summary.models[0].memory;
    assert_eq!(memory.arena_rows_not_returned, Some(1));
    assert_eq!(memory.arena_peak_bytes, Some(48 << 20));
    assert_eq!(memory.peak_rss_bytes, Some(120 << 20));
    assert_eq!(
        (memory.peak_pss_bytes, memory.outside_allocations),
        (None, Some(0))
    );
}

#[test]
fn a_verdict_names_how_many_videos_it_rests_on() {
    let text = |stable, did_not_stabilise, too_short| {
        let counts = StabilityCounts {
            stable,
            did_not_stabilise,
            too_short,
        };
        counts.text()
    };
    assert_eq!(text(3, 0, 0), "stable");
    assert_eq!(text(1, 0, 3), "stable (1 of 4, 3 too short)");
    assert_eq!(text(1, 1, 2), "did not stabilise (1 of 2, 2 too short)");
    assert_eq!(text(0, 0, 4), "too short to judge");
}

#[test]
fn long_series_get_a_verdict() {
    let mut row = samples::row("v", "1", "m");
    let steady = |ms: f64| StageSamples::new(true, 0, std::iter::repeat_n(ms, 200));
    row.frames = 200;
    let timing = row.timing.as_mut().unwrap();
    timing.stages.insert(Stage::EndToEnd, steady(60.0));
    let stable = summarise(std::slice::from_ref(&row));
    assert_eq!(stable.models[0].stability.text(), "stable");
    let drift = (0..200).map(|i| 40.0 + f64::from(i));
    let timing = row.timing.as_mut().unwrap();
    timing
        .stages
        .insert(Stage::EndToEnd, StageSamples::new(true, 0, drift));
    let summary = summarise(&[row]);
    assert_eq!(
        summary.models[0].stability.text(),
        "did not stabilise (1 of 1)"
    );
}

/// The part of a summary that does not depend on clocks, memory or sessions.
fn scores_only(summary: &Summary) -> String {
    let models: Vec<_> = summary
        .models
        .iter()
        .map(|m| (&m.model, m.counts, m.official_percent, m.upstream))
        .collect();
    let objects: Vec<_> = summary
        .objects
        .iter()
        .map(|o| (&o.key, &o.status))
        .collect();
    format!("{models:?} {objects:?}")
}

proptest! {
    #[test]
    fn the_order_in_which_rows_were_finished_changes_no_score(
        scores in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0_u32..3), 1..12),
        seed in any::<u64>(),
    ) {
        let mut rows: Vec<ObjectRow> = scores
            .iter()
            .enumerate()
            .map(|(at, (j, f, session))| {
                let mut row = samples::row(&format!("v{}", at / 3), &at.to_string(), "m");
                row.session = *session;
                let score = Some(Score { j: *j, f: *f, frames: 3 });
                row.scores.as_mut().unwrap().official = score;
                if j < &0.1 { row.failed("no") } else { row }
            })
            .collect();
        let straight = scores_only(&summarise(&rows));
        let turn = seed as usize % rows.len();
        rows.rotate_left(turn);
        rows.reverse();
        prop_assert_eq!(straight, scores_only(&summarise(&rows)));
    }

    #[test]
    fn no_row_makes_it_panic(
        prompt in any::<usize>(), frames in any::<usize>(), warmup in any::<usize>(),
        first in any::<usize>(), lockstep in 0_usize..3,
    ) {
        let mut row = samples::row("v", "1", "m");
        row.prompt_frame = prompt;
        row.frames = frames;
        row.lockstep_objects = lockstep;
        let timing = row.timing.as_mut().unwrap();
        timing.warmup_frames = warmup;
        timing.stages.get_mut(&Stage::Track).unwrap().first = first;
        let _ = summarise(&[row.clone(), row]);
    }
}

#[test]
fn the_slope_per_frame_is_of_clips_once_the_bank_is_full() {
    // 20 frames, of which 16 fill the bank: the jump in them does not count, nor do levels.
    let series = |level: u64, step: u64| -> Vec<u64> {
        let filling = (0..16).map(|frame| level / 2 + frame * 77);
        filling
            .chain((0..4).map(|frame| level + frame * step))
            .collect()
    };
    let mut rows = ["1", "2"].map(|object| samples::row("v", object, "m_points"));
    for (row, level) in rows.iter_mut().zip([1 << 30, 3 << 30]) {
        let memory = row.memory.as_mut().unwrap();
        memory.rss_by_frame_bytes = series(level, 4096);
    }
    let slope = |rows: &[ObjectRow]| {
        summarise(rows).models[0]
            .memory
            .rss_slope_per_frame
            .unwrap()
    };
    assert_eq!((slope(&rows).per_step, slope(&rows).n), (4096.0, 8));
    // Objects together were sampled together, once.
    for row in &mut rows {
        row.lockstep_objects = 2;
    }
    assert_eq!((slope(&rows).per_step, slope(&rows).n), (4096.0, 4));
    let none = summarise(&[samples::row("v", "1", "m_points")]);
    assert_eq!(none.models[0].memory.rss_slope_per_frame, None);
}

#[test]
fn pytorchs_allocator_fills_the_gpu_columns_and_its_own() {
    let mut row = samples::row("v", "1", "m_points");
    let memory = row.memory.as_mut().unwrap();
    memory.arena = None;
    let of = crate::machine::Reading::of;
    memory.allocator = Some(crate::record::AllocatorMarks {
        allocated_peak_bytes: of(300 << 20),
        reserved_peak_bytes: of(400 << 20),
        inactive_split_peak_bytes: of(50 << 20),
        alloc_retries: of(2),
        ooms: of(1),
        driver_used_peak_bytes: of(900 << 20),
    });
    let summary = summarise(&[row]);
    let seen = &summary.models[0].memory;
    assert_eq!(seen.allocator_reserved_bytes, Some(400 << 20));
    assert_eq!(seen.allocator_inactive_split_bytes, Some(50 << 20));
    let table = crate::figures::columns::summary_csv(&summary);
    let text = crate::render::csv(&table).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let names = reader.headers().unwrap().clone();
    let cells = reader.records().next().unwrap().unwrap();
    for (name, value) in [
        ("gpu_peak_alloc_MiB", "300.0"),
        ("gpu_peak_reserved_MiB", "400.0"),
        ("torch_inactive_split_MiB", "50.0"),
        ("torch_alloc_retries", "2"),
        ("torch_ooms", "1"),
        ("driver_used_peak_MiB", "900.0"),
    ] {
        let at = names.iter().position(|known| known == name).unwrap();
        assert_eq!(&cells[at], value, "{name}");
    }
}
