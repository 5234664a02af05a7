//! Rates and durations.

use super::Area::Speed;
use super::Better::{Higher, Lower, Neither};
use super::Digits::{Decimals, Text, Whole};
use super::Shown::{Always, Known, Report};
use super::{Figure, Unit, Value};
use crate::figures::compare::Row;
use crate::figures::stats::{LatencySummary, tail_samples_needed};
use crate::record::{ModelSummary, ObjectSummary, Stage};

const UNMEASURED: &str = "no frame was measured";

const fn rate(name: &'static str, label: &'static str, definition: &'static str) -> Figure {
    Figure::new(
        Speed,
        name,
        label,
        Unit::FramesPerSecond,
        Higher,
        definition,
    )
    .missing(UNMEASURED)
}

const fn duration(name: &'static str, label: &'static str, definition: &'static str) -> Figure {
    Figure::new(Speed, name, label, Unit::Milliseconds, Lower, definition).missing(UNMEASURED)
}

pub(super) static FIGURES: [Figure; 22] = [
    rate("fps_end_to_end", "FPS end to end", "frames over wall clock, waiting for the decoder included")
        .object("fps_end_to_end", Decimals(3), |o| o.fps_end_to_end.into())
        .model(Always, |m| m.speed.fps_end_to_end.into())
        .compared(),
    Figure::new(Speed, "objects_per_frame", "objects per frame", Unit::Share, Neither,
        "mean number of objects that advanced on a frame; a frame counts once in FPS however many there were")
        .missing(UNMEASURED)
        .model(Always, |m| per_frame(m).into()),
    Figure::new(Speed, "lockstep_objects", "objects together", Unit::Count, Neither,
        "objects that advanced together in the clip")
        .object("lockstep_objects", Whole, |o| o.row.lockstep_objects.into()),
    rate("object_fps", "objects x FPS", "FPS end to end times objects per frame")
        .model(Always, |m| times(m, m.speed.fps_end_to_end))
        .derived(|r| Some(clock(r)? * r.lockstep_objects.unwrap_or(1) as f64)),
    rate("fps", "FPS, networks and masks", "frames over encode, prompt, track, postprocess and copy: the region that the Python benchmark times")
        .object("fps", Decimals(2), |o| o.fps.into())
        .model(Report, |m| m.speed.fps_upstream.into())
        .compared(),
    duration("latency_ms", "1000 / fps", "1000 / `fps`, as the Python benchmark has it")
        .object("latency_ms", Decimals(1), |o| o.fps.map(|fps| 1000.0 / fps).into()),
    rate("fps_model", "FPS, networks alone", "frames over encode, prompt and track")
        .object("fps_model", Decimals(3), |o| o.fps_model.into())
        .model(Always, |m| m.speed.fps_model.into())
        .compared(),
    rate("object_fps_model", "objects x FPS, networks alone", "FPS of the networks times objects per frame")
        .model(Report, |m| times(m, m.speed.fps_model)),
    rate("fps_with_setup", "FPS with set-up", "frames over set-up and wall clock of an object")
        .derived(fps_with_setup),
    duration("p50", "frame p50, end to end", "median wall clock of a frame")
        .object("end_to_end_p50_ms", Decimals(3), |o| wall(o, |l| Some(l.p50_ms)))
        .of_stage()
        .model(Always, |m| pooled(m, |l| Some(l.p50_ms)))
        .compared(),
    duration("p90", "frame p90", "9 of 10 frames are at most this long")
        .model(Report, |m| pooled(m, |l| Some(l.p90_ms))),
    duration("p95", "frame p95", "19 of 20 frames")
        .object("end_to_end_p95_ms", Decimals(3), |o| wall(o, |l| Some(l.p95_ms)))
        .of_stage()
        .model(Always, |m| pooled(m, |l| Some(l.p95_ms))),
    duration("p99", "frame p99", "99 of 100 frames")
        .object("end_to_end_p99_ms", Decimals(3), |o| wall(o, |l| Some(l.p99_ms)))
        .of_stage()
        .model(Always, |m| pooled(m, |l| Some(l.p99_ms)))
        .compared(),
    duration("max", "longest frame", "the longest one")
        .model(Report, |m| pooled(m, |l| Some(l.max_ms))),
    duration("p95_bound", "p95 upper bound", "upper confidence bound of p95, 99 % confidence")
        .missing("fewer than 130 frames")
        .model(Always, |m| bound(m, 95.0, |l| l.p95_bound_ms)),
    duration("p99_bound", "p99 upper bound", "upper confidence bound of p99, 99 % confidence")
        .missing("fewer than 662 frames")
        .object("end_to_end_p99_bound_ms", Decimals(3), |o| wall(o, |l| l.p99_bound_ms))
        .of_stage()
        .model(Always, |m| bound(m, 99.0, |l| l.p99_bound_ms)),
    Figure::new(Speed, "stability", "stability", Unit::Text, Neither,
        "verdict on the wall clock of the steady frames, over all videos")
        .missing(UNMEASURED)
        .object("stability", Text, |o| Value::words(o.stability.map_or("", |s| s.text())))
        .model(Always, |m| Value::words(m.stability.text())),
    Figure::new(Speed, "outliers", "outliers", Unit::Count, Lower,
        "frames whose modified z-score is above 3.5; counted, never removed")
        .missing(UNMEASURED)
        .object("outliers", Whole, |o| wall(o, |l| Some(l.outliers as f64)))
        .model(Report, |m| pooled(m, |l| Some(l.outliers as f64))),
    Figure::new(Speed, "cv", "coefficient of variation", Unit::Share, Lower, "standard deviation of the wall clock over its mean")
        .missing(UNMEASURED)
        .object("cv", Decimals(4), |o| wall(o, |l| l.cv)),
    duration("setup", "set-up per object", "time from an object's start to its first frame; not in any FPS")
        .object("setup_ms", Decimals(2), |o| o.row.timing.as_ref().map(|t| t.setup_ms).into())
        .compared(),
    Figure::new(Speed, "warmup_frames", "warm-up frames", Unit::Count, Neither, "first frames of an object that no statistic counts")
        .missing(UNMEASURED)
        .object("warmup_frames", Whole, |o| o.row.timing.as_ref().map(|t| t.warmup_frames).into())
        .model(Known, |m| Some(m.speed.warmup_frames).filter(|n| *n > 0).into()),
    Figure::new(Speed, "bank_fill_frames", "bank-fill frames", Unit::Count, Neither, "first frames while the memory bank fills; they count")
        .missing(UNMEASURED)
        .object("bank_fill_frames", Whole, |o| o.row.timing.as_ref().map(|t| t.bank_fill_frames).into()),
];

fn wall(object: &ObjectSummary, value: fn(&LatencySummary) -> Option<f64>) -> Value {
    let latency = object.latency_ms.get(Stage::EndToEnd.name());
    latency.and_then(value).into()
}

fn pooled(model: &ModelSummary, value: fn(&LatencySummary) -> Option<f64>) -> Value {
    let latency = model.latency_ms.counted.get(Stage::EndToEnd.name());
    latency.and_then(value).into()
}

/// A bound, or how many frames one needs.
fn bound(model: &ModelSummary, percent: f64, value: fn(&LatencySummary) -> Option<f64>) -> Value {
    let needed = tail_samples_needed(percent).unwrap_or(0);
    pooled(model, value).or(format!("needs {needed} frames"))
}

fn per_frame(model: &ModelSummary) -> Option<f64> {
    let frames = model.speed.frames as f64;
    (frames > 0.0).then(|| model.speed.object_frames as f64 / frames)
}

fn times(model: &ModelSummary, fps: Option<f64>) -> Value {
    fps.zip(per_frame(model))
        .map(|(fps, objects)| fps * objects)
        .into()
}

/// Wall clock, or the only clock that a file has.
fn clock(row: &Row) -> Option<f64> {
    row.figures
        .get("fps_end_to_end")
        .or(row.figures.get("fps"))
        .copied()
}

fn fps_with_setup(row: &Row) -> Option<f64> {
    let frames = row.frames? as f64;
    Some(frames / (row.figures.get("setup")? / 1000.0 + frames / clock(row)?))
}
