//! Telemetry over all rows of a model: energy, power, clocks, heat, per model and per video.
//!
//! Rows of objects that advanced together hold the same clip; it is counted once.

use serde::Serialize;

use super::ObjectRow;
use crate::machine::{ClipTelemetry, SensorStats};

/// Telemetry of one model tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TelemetrySummary {
    /// Energy of all measured frames in joules; `None` when that of a clip is not known.
    pub energy_j: Option<f64>,
    /// The same per frame, however many objects were on it.
    pub energy_per_frame_j: Option<f64>,
    /// Energy over measured time, in watts.
    pub power_mean_w: Option<f64>,
    /// GPU load in percent: smallest, mean over clips by their samples, largest.
    pub gpu_load_percent: Option<SensorStats>,
    /// GPU clock in MHz, likewise.
    pub gpu_clock_mhz: Option<SensorStats>,
    /// Clock of the memory in MHz, likewise.
    pub emc_clock_mhz: Option<SensorStats>,
    /// The highest temperature.
    pub hottest: Option<Hottest>,
    /// Times that the machine slowed down.
    pub throttle_events: usize,
    /// Samples in all clips.
    pub samples: usize,
    /// Samples that buffers had no room for.
    pub lost_samples: u64,
    /// What sampling took, in percent of one core.
    pub sampler_cpu_percent: Option<f64>,
    /// One entry per video (and per pass over it), in the order they were run.
    pub videos: Vec<VideoTelemetry>,
}

/// Telemetry of one pass over a video.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VideoTelemetry {
    /// Video.
    pub video: String,
    /// Times that the run had been resumed then.
    pub session: u32,
    /// From, in seconds on the session's `telemetry.csv`.
    pub from_s: f64,
    /// To.
    pub to_s: f64,
    /// Energy of its measured frames in joules.
    pub energy_j: Option<f64>,
    /// Mean power in watts over its samples.
    pub power_mean_w: Option<f64>,
    /// The highest temperature.
    pub hottest: Option<Hottest>,
    /// Times that the machine slowed down.
    pub throttle_events: usize,
}

/// The highest temperature of a clip and where it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hottest {
    /// The thermal zone's type.
    pub sensor: String,
    /// Degrees Celsius.
    pub celsius: f64,
}

impl Hottest {
    /// The highest of a clip's temperatures.
    pub fn of(clip: &ClipTelemetry) -> Option<Self> {
        let temperature = |name: &str| {
            let name = name.strip_prefix("temperature_")?.strip_suffix("_c")?;
            Some(name.to_owned())
        };
        clip.sensors
            .iter()
            .filter_map(|(name, stats)| {
                Some(Self {
                    sensor: temperature(name)?,
                    celsius: stats.max,
                })
            })
            .max_by(|a, b| a.celsius.total_cmp(&b.celsius))
    }
}

/// Summary of rows in the order they were finished.
pub(super) fn telemetry_summary(rows: &[&ObjectRow]) -> Option<TelemetrySummary> {
    let mut clips: Vec<(&ObjectRow, &ClipTelemetry)> = Vec::new();
    for &row in rows {
        let Some(marks) = &row.telemetry else {
            continue;
        };
        let same = |(other, clip): &(&ObjectRow, &ClipTelemetry)| {
            other.session == row.session && clip.from_s == marks.clip.from_s
        };
        if !clips.last().is_some_and(same) {
            clips.push((row, &marks.clip));
        }
    }
    if clips.is_empty() {
        return None;
    }
    let all = || clips.iter().map(|(_, clip)| *clip);
    let energy: Option<f64> = all().map(|clip| clip.energy_j.get()).sum();
    let (frames, measured_s): (usize, f64) = all().fold((0, 0.0), |(n, s), clip| {
        (n + clip.frames, s + clip.measured_s)
    });
    let cpu_ms: Option<f64> = all().map(|clip| clip.sampler_cpu_ms).sum();
    let span_s: f64 = all().map(|clip| clip.to_s - clip.from_s).sum();
    let over = |value: Option<f64>, by: f64| value.filter(|_| by > 0.0).map(|v| v / by);
    let highest = all().filter_map(Hottest::of);
    Some(TelemetrySummary {
        energy_j: energy,
        energy_per_frame_j: over(energy, frames as f64),
        power_mean_w: over(energy, measured_s),
        gpu_load_percent: pooled(all(), "gpu_load_percent"),
        gpu_clock_mhz: pooled(all(), "gpu_clock_mhz"),
        emc_clock_mhz: pooled(all(), "emc_clock_mhz"),
        hottest: highest.max_by(|a, b| a.celsius.total_cmp(&b.celsius)),
        throttle_events: all().map(|clip| clip.throttle.len()).sum(),
        samples: all().map(|clip| clip.samples).sum(),
        lost_samples: all().map(|clip| clip.lost_samples).sum(),
        sampler_cpu_percent: over(cpu_ms, span_s * 1e3).map(|share| share * 100.0),
        videos: clips
            .iter()
            .map(|(row, clip)| VideoTelemetry {
                video: row.key.video.clone(),
                session: row.session,
                from_s: clip.from_s,
                to_s: clip.to_s,
                energy_j: clip.energy_j.get(),
                power_mean_w: clip.sensors.get("power_total_w").map(|power| power.mean),
                hottest: Hottest::of(clip),
                throttle_events: clip.throttle.len(),
            })
            .collect(),
    })
}

/// One sensor over all clips, each weighing as many samples as it has.
fn pooled<'a>(clips: impl Iterator<Item = &'a ClipTelemetry>, name: &str) -> Option<SensorStats> {
    let mut total = 0.0_f64;
    let mut pooled: Option<SensorStats> = None;
    for clip in clips {
        let Some(stats) = clip.sensors.get(name) else {
            continue;
        };
        let weight = clip.samples as f64;
        total += weight;
        pooled = Some(match pooled {
            None => *stats,
            Some(known) => SensorStats {
                min: known.min.min(stats.min),
                mean: known.mean + (stats.mean - known.mean) * weight / total.max(1.0),
                max: known.max.max(stats.max),
            },
        });
    }
    pooled
}
