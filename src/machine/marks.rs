//! What the journal and `run.json` hold of telemetry: plain data with energy worked out.

use super::memory::PSS_EVERY_S;
use super::recorder::Span;
use super::sensors::column;
use super::series::Column;
use super::{Reading, ThrottleEvent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Telemetry around one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetryMarks {
    /// The object's share of the energy of its frames, in joules: each frame's energy divided
    /// equally among the objects that advanced on it. The shares of a clip add up to its energy.
    pub energy_share_j: Reading<f64>,
    /// Energy of all frames that the object was on, other objects' shares included, in joules.
    pub frames_energy_j: Reading<f64>,
    /// Measured time of these frames (their `end_to_end`), in seconds.
    pub frames_s: f64,
    /// The clip that the object was in: the whole video in lockstep, the object's own pass where
    /// objects run alone. The same in all rows of a clip.
    pub clip: ClipTelemetry,
}

/// Telemetry of one clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipTelemetry {
    /// From, in seconds on the clock of `telemetry.csv`; scoring and the writing of masks, which
    /// energy leaves out, lie inside.
    pub from_s: f64,
    /// To.
    pub to_s: f64,
    /// Energy of all frames, in joules: the integral of power over their measured time.
    pub energy_j: Reading<f64>,
    /// Measured time of all frames, in seconds.
    pub measured_s: f64,
    /// Frames.
    pub frames: usize,
    /// Samples taken between `from_s` and `to_s`.
    pub samples: usize,
    /// Samples that the buffer had no room for.
    pub lost_samples: u64,
    /// CPU time that sampling took, in milliseconds.
    pub sampler_cpu_ms: Option<f64>,
    /// Every sensor that gave a value, by the column's name.
    pub sensors: BTreeMap<String, SensorStats>,
    /// What slowed the machine down.
    pub throttle: Vec<ThrottleEvent>,
}

/// One sensor over a clip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorStats {
    /// Smallest value.
    pub min: f64,
    /// Mean over the samples.
    pub mean: f64,
    /// Largest value.
    pub max: f64,
}

/// What `run.json` says of telemetry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetryRecord {
    /// Samples per second.
    pub hz: u32,
    /// Samples that the buffer holds.
    pub buffer_samples: usize,
    /// Seconds between two looks at the proportional set.
    pub pss_every_s: f64,
    /// Columns of the raw series, and where they come from.
    pub columns: Vec<Column>,
    /// Columns without a value, and why.
    pub missing: BTreeMap<String, String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// What energy is, in words.
    pub energy: String,
}

/// One frame's measured time on the clock of telemetry, and who was on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameInterval {
    /// Frame index in the video.
    pub frame: usize,
    /// Begin in seconds.
    pub from_s: f64,
    /// End in seconds.
    pub to_s: f64,
}

impl TelemetryRecord {
    pub(super) fn new<'a>(
        hz: u32,
        buffer_samples: usize,
        columns: &[Column],
        missing: impl Iterator<Item = (&'a str, &'a str)>,
        notes: Vec<String>,
    ) -> Self {
        let owned = |(name, reason): (&str, &str)| (name.to_owned(), reason.to_owned());
        Self {
            hz,
            buffer_samples,
            pss_every_s: PSS_EVERY_S,
            columns: columns.to_vec(),
            missing: missing.map(owned).collect(),
            notes,
            energy: "power_total_w integrated over each frame's measured time (end_to_end), a \
                     straight line between samples; an object's share is each frame's energy \
                     divided equally among the objects that advanced on it"
                .to_owned(),
        }
    }
}

/// Works out the marks of the objects of a clip. `frames` are its frames in order; `objects` the
/// frames (from, before) of each object.
pub fn clip_marks(
    span: &Span,
    frames: &[FrameInterval],
    objects: &[(usize, usize)],
) -> Vec<TelemetryMarks> {
    let intervals: Vec<(f64, f64)> = frames.iter().map(|f| (f.from_s, f.to_s)).collect();
    let power = span
        .column(column::POWER)
        .ok_or("no column has it".to_owned());
    let energy = power.and_then(|power| span.samples.integrals(power, &intervals));
    let energy = energy.map_err(|reason| match span.power_reason() {
        Some(why) => why,
        None => format!("no energy: {reason}"),
    });
    let seconds = |wanted: &dyn Fn(usize) -> bool| -> f64 {
        let own = frames.iter().filter(|f| wanted(f.frame));
        own.map(|f| f.to_s - f.from_s).sum()
    };
    let clip = ClipTelemetry {
        from_s: span.from_s,
        to_s: span.to_s,
        energy_j: energy
            .as_ref()
            .map(|all| all.iter().sum())
            .map_err(Clone::clone)
            .into(),
        measured_s: seconds(&|_| true),
        frames: frames.len(),
        samples: span.samples.len(),
        lost_samples: span.samples.lost,
        sampler_cpu_ms: span.sampler_cpu_s.map(|s| s * 1e3),
        sensors: span.stats(),
        throttle: span.throttle.clone(),
    };
    let on = |frame: usize| {
        objects
            .iter()
            .filter(|(a, b)| (*a..*b).contains(&frame))
            .count()
    };
    objects
        .iter()
        .map(|&(from, before)| {
            let own = |frame: usize| (from..before).contains(&frame);
            let sum = |share: &dyn Fn(usize) -> f64| -> Reading<f64> {
                energy
                    .as_ref()
                    .map(|all| {
                        let each = frames.iter().zip(all).filter(|(f, _)| own(f.frame));
                        each.map(|(f, joules)| joules * share(f.frame)).sum()
                    })
                    .map_err(Clone::clone)
                    .into()
            };
            TelemetryMarks {
                energy_share_j: sum(&|frame| 1.0 / on(frame).max(1) as f64),
                frames_energy_j: sum(&|_| 1.0),
                frames_s: seconds(&own),
                clip: clip.clone(),
            }
        })
        .collect()
}

impl Span {
    /// Smallest, mean and largest value of each column that has one.
    fn stats(&self) -> BTreeMap<String, SensorStats> {
        let mut found = BTreeMap::new();
        for (index, named) in self.columns.iter().enumerate() {
            if named.name == column::THROTTLE {
                continue;
            }
            let mut count = 0.0;
            let mut stats = SensorStats {
                min: f64::INFINITY,
                mean: 0.0,
                max: f64::NEG_INFINITY,
            };
            for value in self.samples.column(index) {
                count += 1.0;
                stats.min = stats.min.min(value);
                stats.max = stats.max.max(value);
                stats.mean += value;
            }
            if count > 0.0 {
                stats.mean /= count;
                found.insert(named.name.clone(), stats);
            }
        }
        found
    }

    /// Why there is no power, where the samples have none at all.
    fn power_reason(&self) -> Option<String> {
        let power = self.column(column::POWER);
        let any = power.is_some_and(|power| self.samples.column(power).next().is_some());
        (!any).then(|| "no power sensor gave a value; run.json says why".to_owned())
    }
}
