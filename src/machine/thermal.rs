//! Temperatures by zone, the kernel's cooling devices, and counters of over-current events.

use super::root::{Probe, SystemRoot};
use super::sensors::{Place, Sensor, Told, Value, plain};
use super::series::Column;
use super::throttle::ThrottleKind;

const THERMAL: &str = "/sys/class/thermal";

/// Below this a zone does not measure: a part that is switched off reads -256 °C.
const ABSURD_C: f64 = -100.0;

/// One thermal zone.
#[derive(Debug)]
struct Zone {
    /// The zone's type, such as `gpu-thermal`.
    name: String,
    probe: Probe,
}

impl Zone {
    /// Degrees Celsius now.
    fn celsius(&mut self) -> Value {
        let celsius = self.probe.number()? / 1e3;
        if celsius > ABSURD_C {
            return Ok(celsius);
        }
        let shown = self.probe.shown();
        Err(format!(
            "{shown} reads {celsius} °C: that part is switched off"
        ))
    }
}

/// Everything about heat, and the SoC's own watch over its currents.
#[derive(Debug)]
struct Heat {
    zones: Vec<Zone>,
    /// Why there is no zone.
    missing: Option<String>,
    cooling: Vec<(String, Probe)>,
    /// With the count at the last look.
    counters: Vec<(String, Probe, f64)>,
}

pub(super) fn sensor(place: &Place<'_>) -> Option<Box<dyn Sensor>> {
    let (zones, missing) = match zones(place.root) {
        Ok(zones) => (zones, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let counters = over_current_counters(place.root).into_iter();
    let counters = counters.map(|(name, mut probe)| {
        let now = probe.number().unwrap_or(f64::NAN);
        (name, probe, now)
    });
    Some(Box::new(Heat {
        zones,
        missing,
        cooling: throttles(place.root),
        counters: counters.collect(),
    }))
}

impl Sensor for Heat {
    fn columns(&self) -> Vec<Column> {
        let mut bases: Vec<String> = Vec::new();
        let column = |zone: &Zone| {
            let base = plain(&zone.name);
            bases.push(base.clone());
            // Two zones of one type are told apart by a number.
            let name = match bases.iter().filter(|other| **other == base).count() {
                1 => format!("temperature_{base}_c"),
                same => format!("temperature_{base}_{same}_c"),
            };
            Column::new(name, zone.probe.shown())
        };
        self.zones.iter().map(column).collect()
    }

    fn read(&mut self, told: &mut Told) -> Vec<Value> {
        for (name, probe, last) in &mut self.counters {
            if let Ok(now) = probe.number() {
                if now > *last {
                    let what = format!("{name}: {:.0} events", now - *last);
                    told.push((ThrottleKind::OverCurrent, what));
                }
                *last = now;
            }
        }
        for (name, probe) in &mut self.cooling {
            if probe.number().is_ok_and(|state| state > 0.0) {
                told.push((ThrottleKind::Heat, format!("cooling device {name} is on")));
            }
        }
        self.zones.iter_mut().map(Zone::celsius).collect()
    }

    fn notes(&self) -> Vec<String> {
        self.missing.iter().cloned().collect()
    }
}

/// All zones, in the kernel's order.
///
/// # Errors
/// Why there is none.
fn zones(root: &SystemRoot) -> Result<Vec<Zone>, String> {
    let zones: Vec<Zone> = root
        .list(THERMAL)
        .into_iter()
        .filter(|path| path.contains("/thermal_zone"))
        .filter_map(|path| {
            Some(Zone {
                name: root.read(&format!("{path}/type")).ok()?,
                probe: Probe::open(root, &format!("{path}/temp")).ok()?,
            })
        })
        .collect();
    if zones.is_empty() {
        return Err(format!("no thermal zone in {THERMAL}"));
    }
    Ok(zones)
}

/// Cooling devices that slow the chip down (fans are none), by type.
fn throttles(root: &SystemRoot) -> Vec<(String, Probe)> {
    root.list(THERMAL)
        .into_iter()
        .filter(|path| path.contains("/cooling_device"))
        .filter_map(|path| {
            let kind = root.read(&format!("{path}/type")).ok()?;
            let probe = Probe::open(root, &format!("{path}/cur_state")).ok()?;
            kind.contains("throttle").then_some((kind, probe))
        })
        .collect()
}

/// Counters of over-current events of the SoC's own watch (`soctherm_oc`), by name.
fn over_current_counters(root: &SystemRoot) -> Vec<(String, Probe)> {
    let mut found = Vec::new();
    for folder in root.list("/sys/class/hwmon") {
        for path in root.list(&folder) {
            let name = path.rsplit('/').next().unwrap_or_default();
            if let Some(which) = name.strip_suffix("_event_cnt")
                && let Ok(probe) = Probe::open(root, &path)
            {
                found.push((format!("over-current {which}"), probe));
            }
        }
    }
    found
}
