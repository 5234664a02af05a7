//! Frames that came at a rate.

use super::Area::Realtime;
use super::Better::{Higher, Lower, Neither};
use super::Digits::{Decimals, Whole};
use super::Shown::Known;
use super::{Figure, Unit, Value};
use crate::figures::stats::rate;
use crate::record::{ModelSummary, ObjectSummary, RealtimeSummary};

const OFF: &str = "not run with --realtime";

const fn figure(
    name: &'static str,
    label: &'static str,
    unit: Unit,
    better: super::Better,
    definition: &'static str,
) -> Figure {
    Figure::new(Realtime, name, label, unit, better, definition).missing(OFF)
}

pub(super) static FIGURES: [Figure; 9] = [
    figure(
        "realtime_fps",
        "frames came at",
        Unit::FramesPerSecond,
        Neither,
        "rate at which frames came",
    )
    .object("realtime_fps", Decimals(4), |o| {
        o.row.realtime.as_ref().map(|marks| marks.fps).into()
    })
    .model(Known, |m| match &m.realtime {
        None => Value::default(),
        Some(live) => {
            let rates: Vec<String> = live.fps.iter().map(|fps| rate(*fps)).collect();
            Value::words(format!("{} fps", rates.join(", ")))
        }
    }),
    figure(
        "due_frames",
        "frames due",
        Unit::Count,
        Neither,
        "frames from the prompt frame to the object's end",
    )
    .object("due_frames", Whole, |o| of(o, |l| l.due_frames as f64)),
    figure(
        "late_frames",
        "deadline misses",
        Unit::Count,
        Lower,
        "processed frames whose result came after the next frame was due",
    )
    .object("late_frames", Whole, |o| of(o, |l| l.late_frames as f64))
    .model(Known, |m| share(m, |l| l.late_frames)),
    figure(
        "late_share",
        "share of deadline misses",
        Unit::Share,
        Lower,
        "`late_frames` over `due_frames`",
    )
    .object("late_share", Decimals(4), |o| of(o, |l| l.late_share)),
    figure(
        "dropped_frames",
        "dropped frames",
        Unit::Count,
        Lower,
        "frames that a newer one superseded",
    )
    .object("dropped_frames", Whole, |o| {
        of(o, |l| l.dropped_frames as f64)
    })
    .model(Known, |m| share(m, |l| l.dropped_frames)),
    figure(
        "dropped_share",
        "share of dropped frames",
        Unit::Share,
        Lower,
        "`dropped_frames` over `due_frames`",
    )
    .object("dropped_share", Decimals(4), |o| of(o, |l| l.dropped_share)),
    figure(
        "latency_from_due_p50",
        "result after due, p50",
        Unit::Milliseconds,
        Lower,
        "median time from when a frame was due to its result",
    )
    .object("latency_from_due_p50_ms", Decimals(3), |o| {
        latency(o.realtime.as_ref(), |l| l.p50_ms)
    })
    .model(Known, |m| latency(m.realtime.as_ref(), |l| l.p50_ms)),
    figure(
        "latency_from_due_p99",
        "result after due, p99",
        Unit::Milliseconds,
        Lower,
        "99th percentile of it",
    )
    .object("latency_from_due_p99_ms", Decimals(3), |o| {
        latency(o.realtime.as_ref(), |l| l.p99_ms)
    })
    .model(Known, |m| latency(m.realtime.as_ref(), |l| l.p99_ms)),
    figure(
        "sustained_fps",
        "highest sustained rate",
        Unit::FramesPerSecond,
        Higher,
        "highest rate tried at which at most 1 % of the frames were missed",
    )
    .missing("not run with --find-rate")
    .model(Known, |m| match &m.found_rate {
        None => Value::default(),
        Some(found) => match found.sustained_fps {
            None => Value::words("none found"),
            Some(fps) => Value::from(fps).written(|fps| format!("{} fps", rate(fps))),
        },
    }),
];

fn of(object: &ObjectSummary, value: fn(&RealtimeSummary) -> f64) -> Value {
    object.realtime.as_ref().map(value).into()
}

fn latency(
    live: Option<&RealtimeSummary>,
    value: fn(&crate::figures::stats::LatencySummary) -> f64,
) -> Value {
    live.and_then(|live| live.latency_ms.as_ref())
        .map(value)
        .into()
}

fn share(model: &ModelSummary, frames: fn(&RealtimeSummary) -> usize) -> Value {
    let live = model.realtime.as_ref();
    let due = live.map_or(0, |live| live.due_frames);
    Value::from(live.map(frames)).written(|frames| {
        let percent = 100.0 * frames / due.max(1) as f64;
        format!("{frames} of {due} ({percent:.1} %)")
    })
}
