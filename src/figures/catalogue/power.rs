//! Energy, power, clocks, temperatures. All but the first two columns are the clip's: objects that
//! advanced together have the same.

use super::Area::Power;
use super::Better::{Higher, Lower, Neither};
use super::Digits::{Decimals, Text, Whole};
use super::Shown::{Explained, Known};
use super::{Figure, Unit, Value};
use crate::machine::{SensorStats, TelemetryMarks};
use crate::record::{Hottest, ModelSummary, ObjectSummary, TelemetrySummary};

const NO_POWER: &str = "no power sensor, or telemetry was off";
const NO_SENSOR: &str = "no such sensor, or telemetry was off";

const fn figure(
    name: &'static str,
    label: &'static str,
    unit: Unit,
    better: super::Better,
    definition: &'static str,
    missing: &'static str,
) -> Figure {
    Figure::new(Power, name, label, unit, better, definition).missing(missing)
}

pub(super) static FIGURES: [Figure; 12] = [
    figure(
        "energy_share",
        "energy share",
        Unit::Joules,
        Lower,
        "each frame's energy divided equally among the objects that advanced on it",
        NO_POWER,
    )
    .object("energy_share_J", Decimals(3), |o| {
        marks(o).and_then(|t| t.energy_share_j.get()).into()
    }),
    figure(
        "energy_per_frame",
        "energy per frame",
        Unit::Joules,
        Lower,
        "energy of a frame, however many objects were on it",
        NO_POWER,
    )
    .object("energy_per_frame_J", Decimals(4), |o| {
        let energy = marks(o).and_then(|t| t.frames_energy_j.get());
        energy
            .map(|joules| joules / o.row.frames.max(1) as f64)
            .into()
    })
    .model(Explained, |m| of(m, |t| t.energy_per_frame_j)),
    figure(
        "power_mean",
        "mean power",
        Unit::Watts,
        Lower,
        "energy over measured time",
        NO_POWER,
    )
    .object("power_mean_W", Decimals(2), |o| mean(o, "power_total_w"))
    .model(Explained, |m| of(m, |t| t.power_mean_w)),
    figure(
        "power_max",
        "peak power",
        Unit::Watts,
        Lower,
        "largest sample of the clip",
        NO_POWER,
    )
    .object("power_max_W", Decimals(2), |o| {
        sensor(o, "power_total_w").map(|s| s.max).into()
    }),
    figure(
        "gpu_load",
        "GPU load",
        Unit::Percent,
        Neither,
        "mean of the clip's samples",
        NO_SENSOR,
    )
    .object("gpu_load_mean_percent", Decimals(1), |o| {
        mean(o, "gpu_load_percent")
    }),
    figure(
        "gpu_clock",
        "GPU clock, mean (min)",
        Unit::Megahertz,
        Higher,
        "of the clip's samples",
        NO_SENSOR,
    )
    .object("gpu_clock_mean_MHz", Decimals(1), |o| {
        mean(o, "gpu_clock_mhz")
    })
    .model(Known, |m| {
        let clock = m.telemetry.as_ref().and_then(|t| t.gpu_clock_mhz);
        Value::from(clock.map(|clock| clock.mean)).written(|mean| {
            format!(
                "{mean:.0} ({:.0}) MHz",
                clock.map_or(0.0, |clock| clock.min)
            )
        })
    }),
    figure(
        "gpu_clock_min",
        "GPU clock, lowest",
        Unit::Megahertz,
        Higher,
        "smallest sample of the clip",
        NO_SENSOR,
    )
    .object("gpu_clock_min_MHz", Decimals(1), |o| {
        sensor(o, "gpu_clock_mhz").map(|s| s.min).into()
    }),
    figure(
        "emc_clock",
        "memory clock",
        Unit::Megahertz,
        Higher,
        "of the memory controller (EMC); readable by root only",
        NO_SENSOR,
    )
    .object("emc_clock_mean_MHz", Decimals(1), |o| {
        mean(o, "emc_clock_mhz")
    }),
    figure(
        "temperature",
        "hottest",
        Unit::Celsius,
        Lower,
        "highest temperature of all thermal zones",
        NO_SENSOR,
    )
    .object("temperature_max_C", Decimals(1), |o| {
        hottest(o).map(|h| h.celsius).into()
    })
    .model(Known, |m| {
        let hottest = m.telemetry.as_ref().and_then(|t| t.hottest.as_ref());
        Value::from(hottest.map(|h| h.celsius)).written(|celsius| {
            format!(
                "{celsius:.1} °C ({})",
                hottest.map_or("", |h| h.sensor.as_str())
            )
        })
    }),
    figure(
        "temperature_sensor",
        "hottest zone",
        Unit::Text,
        Neither,
        "its thermal zone",
        NO_SENSOR,
    )
    .object("temperature_max_sensor", Text, |o| {
        Value::words(hottest(o).map_or(String::new(), |h| h.sensor))
    }),
    figure(
        "throttle_events",
        "throttling",
        Unit::Count,
        Lower,
        "times that the machine slowed itself down",
        NO_SENSOR,
    )
    .object("throttle_events", Whole, |o| {
        marks(o).map(|t| t.clip.throttle.len()).into()
    })
    .model(Known, |m| {
        // Without a clock or an event nothing was there that could have shown it.
        let telemetry = m.telemetry.as_ref();
        let known = telemetry.filter(|t| t.gpu_clock_mhz.is_some() || t.throttle_events > 0);
        Value::from(known.map(|t| t.throttle_events)).written(|events| match events {
            0.0 => "none seen".to_owned(),
            1.0 => "1 event".to_owned(),
            n => format!("{n} events"),
        })
    }),
    figure(
        "telemetry_samples",
        "samples",
        Unit::Count,
        Neither,
        "samples of the sensors during the clip",
        "telemetry was off",
    )
    .object("telemetry_samples", Whole, |o| {
        marks(o).map(|t| t.clip.samples).into()
    }),
];

fn marks(object: &ObjectSummary) -> Option<&TelemetryMarks> {
    object.row.telemetry.as_ref()
}

pub(super) fn sensor(object: &ObjectSummary, name: &str) -> Option<SensorStats> {
    marks(object)?.clip.sensors.get(name).copied()
}

fn mean(object: &ObjectSummary, name: &str) -> Value {
    sensor(object, name).map(|stats| stats.mean).into()
}

fn hottest(object: &ObjectSummary) -> Option<Hottest> {
    Hottest::of(&marks(object)?.clip)
}

fn of(model: &ModelSummary, value: fn(&TelemetrySummary) -> Option<f64>) -> Value {
    model.telemetry.as_ref().and_then(value).into()
}
