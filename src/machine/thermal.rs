//! Temperatures by zone, and the kernel's cooling devices.

use super::root::{Probe, SystemRoot};

const THERMAL: &str = "/sys/class/thermal";

/// Below this a zone does not measure: a part that is switched off reads -256 °C.
const ABSURD_C: f64 = -100.0;

/// One thermal zone.
#[derive(Debug)]
pub(super) struct Zone {
    /// The zone's type, such as `gpu-thermal`.
    pub name: String,
    probe: Probe,
}

impl Zone {
    /// Where it is read.
    pub fn source(&self) -> &str {
        self.probe.shown()
    }

    /// Degrees Celsius now.
    pub fn celsius(&mut self) -> Result<f64, String> {
        let celsius = self.probe.number()? / 1e3;
        match celsius > ABSURD_C {
            true => Ok(celsius),
            false => Err(format!(
                "{} reads {celsius} °C: that part is switched off",
                self.probe.shown()
            )),
        }
    }
}

/// All zones, in the kernel's order.
///
/// # Errors
/// Why there is none.
pub(super) fn zones(root: &SystemRoot) -> Result<Vec<Zone>, String> {
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
    match zones.is_empty() {
        true => Err(format!("no thermal zone in {THERMAL}")),
        false => Ok(zones),
    }
}

/// Cooling devices that slow the chip down (fans are none), by type.
pub(super) fn throttles(root: &SystemRoot) -> Vec<(String, Probe)> {
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
pub(super) fn over_current_counters(root: &SystemRoot) -> Vec<(String, Probe)> {
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
