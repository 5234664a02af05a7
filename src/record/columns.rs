//! `summary.csv`: the Python benchmark's columns first and in its order, ours after.
//!
//! A figure that was not measured is an empty cell; so is every figure of a failed object.

use super::summary::MODEL;
use super::{
    AllocatorMarks, ArenaMarks, DeviceMarks, Hottest, MemoryMarks, ObjectScores, ObjectSummary,
    RealtimeSummary, Score, Stage, Status, Summary,
};
use crate::figures::stats::{self, LatencySummary};
use crate::machine::{Reading, SensorStats, TelemetryMarks};

/// A column: its name and its cell of a row.
type Column = (&'static str, fn(&ObjectSummary) -> String);

/// The Python benchmark's columns in its order, with its rounding: fps 2 decimals, latency 1,
/// MiB 1, scores 4, set-up 2. The GPU's columns are the arena's where it is device memory, or those
/// of PyTorch's allocator, and else empty.
const UPSTREAM: [Column; 21] = [
    ("video", |o| o.key.video.clone()),
    ("object", |o| o.key.object.clone()),
    ("model", |o| o.key.model.clone()),
    ("imgsz", |o| o.row.image_size.to_string()),
    ("precision", |o| o.row.precision.clone()),
    ("frames", |o| ok(o, o.row.frames)),
    ("processed_end_frame", |o| ok(o, o.row.end_frame())),
    ("fps", |o| rounded(o.fps, 2)),
    ("latency_ms", |o| rounded(o.fps.map(|fps| 1000.0 / fps), 1)),
    ("gpu_peak_alloc_MiB", |o| {
        mebibytes(
            device(o)
                .map(|a| a.peak_bytes)
                .or_else(|| torch(o, |a| &a.allocated_peak_bytes)),
        )
    }),
    ("gpu_peak_reserved_MiB", |o| {
        mebibytes(
            device(o)
                .map(|a| a.slab_bytes)
                .or_else(|| torch(o, |a| &a.reserved_peak_bytes)),
        )
    }),
    ("cpu_peak_rss_MiB", |o| reading(o, |m| &m.rss_peak_bytes)),
    ("J", |o| rounded(score(o, |s| s.upstream).map(|s| s.j), 4)),
    ("F", |o| rounded(score(o, |s| s.upstream).map(|s| s.f), 4)),
    ("JandF", |o| {
        rounded(score(o, |s| s.upstream).map(|s| s.jf()), 4)
    }),
    ("overlay", |o| o.row.overlay.clone().unwrap_or_default()),
    ("input_H", |o| o.row.input_size[0].to_string()),
    ("input_W", |o| o.row.input_size[1].to_string()),
    ("infer_H", |o| o.row.infer_size[0].to_string()),
    ("infer_W", |o| o.row.infer_size[1].to_string()),
    ("setup_ms", |o| {
        rounded(o.row.timing.as_ref().map(|t| t.setup_ms), 2)
    }),
];

/// Our columns, before those of the stages.
const OWN: [Column; 33] = [
    ("status", |o| match o.status {
        Status::Ok => "ok".to_owned(),
        Status::Failed { .. } => "failed".to_owned(),
    }),
    ("reason", |o| match &o.status {
        Status::Ok => String::new(),
        Status::Failed { reason } => reason.clone(),
    }),
    ("backend", |o| o.row.backend.clone()),
    ("random_init_seed", |o| count(o.row.random_init_seed)),
    ("lockstep_objects", |o| o.row.lockstep_objects.to_string()),
    ("video_frames", |o| o.row.video_frames.to_string()),
    ("prompt_frame", |o| o.row.prompt_frame.to_string()),
    ("official_J", |o| rounded(percent(o, |s| s.j), 4)),
    ("official_F", |o| rounded(percent(o, |s| s.f), 4)),
    ("official_JF", |o| rounded(percent(o, |s| s.jf()), 4)),
    ("official_frames", |o| {
        count(score(o, |s| s.official).map(|s| s.frames))
    }),
    ("upstream_frames", |o| {
        count(score(o, |s| s.upstream).map(|s| s.frames))
    }),
    ("fps_model", |o| rounded(o.fps_model, 3)),
    ("fps_end_to_end", |o| rounded(o.fps_end_to_end, 3)),
    ("warmup_frames", |o| {
        count(o.row.timing.as_ref().map(|t| t.warmup_frames))
    }),
    ("bank_fill_frames", |o| {
        count(o.row.timing.as_ref().map(|t| t.bank_fill_frames))
    }),
    ("stability", |o| {
        o.stability.map_or("", |s| s.text()).to_owned()
    }),
    ("outliers", |o| count(wall(o).map(|l| l.outliers))),
    ("cv", |o| rounded(wall(o).and_then(|l| l.cv), 4)),
    ("arena_slab_MiB", |o| {
        mebibytes(arena(o).map(|a| a.slab_bytes))
    }),
    ("arena_peak_MiB", |o| {
        mebibytes(arena(o).map(|a| a.peak_bytes))
    }),
    ("arena_left_bytes", |o| {
        count(arena(o).map(|a| i128::from(a.after_bytes) - i128::from(a.before_bytes)))
    }),
    ("outside_allocations", |o| {
        count(arena(o).and_then(|a| a.outside_allocations))
    }),
    ("rss_before_MiB", |o| reading(o, |m| &m.rss_before_bytes)),
    ("rss_after_MiB", |o| reading(o, |m| &m.rss_after_bytes)),
    ("pss_after_MiB", |o| reading(o, |m| &m.pss_after_bytes)),
    ("available_before_MiB", |o| {
        reading(o, |m| &m.available_before_bytes)
    }),
    ("available_after_MiB", |o| {
        reading(o, |m| &m.available_after_bytes)
    }),
    ("session", |o| o.row.session.to_string()),
    ("torch_inactive_split_MiB", |o| {
        mebibytes(torch(o, |a| &a.inactive_split_peak_bytes))
    }),
    ("torch_alloc_retries", |o| {
        count(torch(o, |a| &a.alloc_retries))
    }),
    ("torch_ooms", |o| count(torch(o, |a| &a.ooms))),
    ("driver_used_peak_MiB", |o| {
        mebibytes(torch(o, |a| &a.driver_used_peak_bytes))
    }),
];

/// Columns of telemetry and of the device's free memory, behind those of the stages. All but the
/// first two are the clip's: objects that advanced together have the same.
const TELEMETRY: [Column; 16] = [
    ("energy_share_J", |o| {
        rounded(marks(o).and_then(|t| t.energy_share_j.get()), 3)
    }),
    ("energy_per_frame_J", |o| {
        let energy = marks(o).and_then(|t| t.frames_energy_j.get());
        rounded(energy.map(|joules| joules / o.row.frames.max(1) as f64), 4)
    }),
    ("power_mean_W", |o| {
        rounded(sensor(o, "power_total_w").map(|s| s.mean), 2)
    }),
    ("power_max_W", |o| {
        rounded(sensor(o, "power_total_w").map(|s| s.max), 2)
    }),
    ("gpu_load_mean_percent", |o| {
        rounded(sensor(o, "gpu_load_percent").map(|s| s.mean), 1)
    }),
    ("gpu_clock_mean_MHz", |o| {
        rounded(sensor(o, "gpu_clock_mhz").map(|s| s.mean), 1)
    }),
    ("gpu_clock_min_MHz", |o| {
        rounded(sensor(o, "gpu_clock_mhz").map(|s| s.min), 1)
    }),
    ("emc_clock_mean_MHz", |o| {
        rounded(sensor(o, "emc_clock_mhz").map(|s| s.mean), 1)
    }),
    ("temperature_max_C", |o| {
        rounded(hottest(o).map(|hottest| hottest.celsius), 1)
    }),
    ("temperature_max_sensor", |o| {
        hottest(o).map_or(String::new(), |hottest| hottest.sensor)
    }),
    ("throttle_events", |o| {
        count(marks(o).map(|t| t.clip.throttle.len()))
    }),
    ("nvmap_process_max_MiB", |o| {
        mebibytes(sensor(o, "nvmap_process_bytes").map(|s| s.max as u64))
    }),
    ("available_min_MiB", |o| {
        mebibytes(sensor(o, "available_bytes").map(|s| s.min as u64))
    }),
    ("telemetry_samples", |o| {
        count(marks(o).map(|t| t.clip.samples))
    }),
    ("device_free_before_MiB", |o| {
        mebibytes(device_free(o).map(|device| device.free_before_bytes))
    }),
    ("device_free_after_MiB", |o| {
        mebibytes(device_free(o).map(|device| device.free_after_bytes))
    }),
];

/// Columns of frames that came at a rate, and what is missing or odd: the last ones.
const LIVE: [Column; 10] = [
    ("realtime_fps", |o| {
        rounded(o.row.realtime.as_ref().map(|marks| marks.fps), 4)
    }),
    ("due_frames", |o| count(live(o).map(|l| l.due_frames))),
    ("late_frames", |o| count(live(o).map(|l| l.late_frames))),
    ("late_share", |o| rounded(live(o).map(|l| l.late_share), 4)),
    ("dropped_frames", |o| {
        count(live(o).map(|l| l.dropped_frames))
    }),
    ("dropped_share", |o| {
        rounded(live(o).map(|l| l.dropped_share), 4)
    }),
    ("latency_from_due_p50_ms", |o| {
        rounded(from_due(o).map(|l| l.p50_ms), 3)
    }),
    ("latency_from_due_p99_ms", |o| {
        rounded(from_due(o).map(|l| l.p99_ms), 3)
    }),
    ("scores_missing", |o| {
        o.scores_missing.clone().unwrap_or_default()
    }),
    ("warning", |o| o.warning.clone().unwrap_or_default()),
];

/// Names of the Python benchmark's columns, in its order.
pub fn upstream_columns() -> Vec<&'static str> {
    UPSTREAM.iter().map(|(name, _)| *name).collect()
}

/// Names of all columns, in order.
pub fn columns() -> Vec<String> {
    let fixed = UPSTREAM
        .iter()
        .chain(&OWN)
        .map(|(name, _)| (*name).to_owned());
    let latencies = series_names()
        .flat_map(|series| PERCENTILES.map(|(percentile, _)| format!("{series}_{percentile}_ms")));
    let telemetry = TELEMETRY
        .iter()
        .chain(&LIVE)
        .map(|(name, _)| (*name).to_owned());
    fixed.chain(latencies).chain(telemetry).collect()
}

/// The table as CSV text.
///
/// # Errors
/// The encoder's own error; it does not occur for text in memory.
pub fn write_csv(summary: &Summary) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(columns())?;
    for object in &summary.objects {
        let fixed = UPSTREAM.iter().chain(&OWN).map(|(_, cell)| cell(object));
        let latencies = series_names().flat_map(|series| {
            let latency = object.latency_ms.get(series);
            PERCENTILES.map(|(_, value)| rounded(latency.and_then(value), 3))
        });
        let telemetry = TELEMETRY.iter().chain(&LIVE).map(|(_, cell)| cell(object));
        out.write_record(fixed.chain(latencies).chain(telemetry))?;
    }
    out.into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

type Percentile = (&'static str, fn(&LatencySummary) -> Option<f64>);

const PERCENTILES: [Percentile; 4] = [
    ("p50", |l| Some(l.p50_ms)),
    ("p95", |l| Some(l.p95_ms)),
    ("p99", |l| Some(l.p99_ms)),
    ("p99_bound", |l| l.p99_bound_ms),
];

fn series_names() -> impl Iterator<Item = &'static str> {
    Stage::ALL.into_iter().map(Stage::name).chain([MODEL])
}

/// A number rounded as Python's `str(round(value, decimals))` gives it: no zeros at the end, at
/// least one decimal. Both round the exact binary value, ties to even.
fn rounded(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value.filter(|v| v.is_finite()) else {
        return String::new();
    };
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        None => text,
        Some((whole, part)) => match part.trim_end_matches('0') {
            "" => format!("{whole}.0"),
            part => format!("{whole}.{part}"),
        },
    }
}

fn count(value: Option<impl ToString>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}

fn ok(object: &ObjectSummary, value: usize) -> String {
    count(object.row.is_ok().then_some(value))
}

fn mebibytes(bytes: Option<u64>) -> String {
    rounded(bytes.map(stats::mebibytes), 1)
}

fn reading(object: &ObjectSummary, which: fn(&MemoryMarks) -> &Reading<u64>) -> String {
    let marks = object.row.memory.as_ref();
    mebibytes(marks.and_then(|marks| which(marks).get()))
}

fn arena(object: &ObjectSummary) -> Option<&ArenaMarks> {
    object.row.memory.as_ref()?.arena.as_ref()
}

fn device(object: &ObjectSummary) -> Option<&ArenaMarks> {
    arena(object).filter(|arena| arena.on_device)
}

fn torch(object: &ObjectSummary, which: fn(&AllocatorMarks) -> &Reading<u64>) -> Option<u64> {
    which(object.row.memory.as_ref()?.allocator.as_ref()?).get()
}

fn marks(object: &ObjectSummary) -> Option<&TelemetryMarks> {
    object.row.telemetry.as_ref()
}

fn live(object: &ObjectSummary) -> Option<&RealtimeSummary> {
    object.realtime.as_ref()
}

fn from_due(object: &ObjectSummary) -> Option<&LatencySummary> {
    live(object)?.latency_ms.as_ref()
}

fn sensor(object: &ObjectSummary, name: &str) -> Option<SensorStats> {
    marks(object)?.clip.sensors.get(name).copied()
}

fn hottest(object: &ObjectSummary) -> Option<Hottest> {
    Hottest::of(&marks(object)?.clip)
}

fn device_free(object: &ObjectSummary) -> Option<DeviceMarks> {
    object.row.memory.as_ref()?.device
}

fn score(object: &ObjectSummary, protocol: fn(&ObjectScores) -> Option<Score>) -> Option<Score> {
    protocol(object.row.scores.as_ref()?)
}

fn percent(object: &ObjectSummary, value: fn(&Score) -> f64) -> Option<f64> {
    Some(value(&score(object, |scores| scores.official)?) * 100.0)
}

fn wall(object: &ObjectSummary) -> Option<&LatencySummary> {
    object.latency_ms.get(Stage::EndToEnd.name())
}

#[cfg(test)]
mod tests;
