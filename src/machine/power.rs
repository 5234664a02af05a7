//! Power rails of a Jetson: INA3221 monitors as the kernel shows them.
//!
//! Two layouts are known. hwmon (JetPack 5 and later): `inN_label`, `inN_input` in mV and
//! `currN_input` in mA. IIO (before): `rail_name_N` and `in_powerN_input` in mW. Channels that are
//! not connected (`NC`) and the monitor's own sum of shunt voltages are left out.

use super::root::{Probe, SystemRoot};

/// Rails that hold all of the module's power.
const WHOLE: [&str; 3] = ["VDD_IN", "POM_5V_IN", "VIN"];

/// One rail.
#[derive(Debug)]
pub(super) struct Rail {
    /// Its label, such as `VDD_GPU_SOC`.
    pub name: String,
    /// What is read.
    pub source: String,
    reader: Result<Reader, String>,
}

#[derive(Debug)]
enum Reader {
    /// Millivolts and milliamperes.
    VoltsAndAmperes(Probe, Probe),
    /// Milliwatts.
    Watts(Probe),
}

impl Rail {
    /// Its power now, in watts.
    pub fn watts(&mut self) -> Result<f64, String> {
        match &mut self.reader {
            Ok(Reader::VoltsAndAmperes(millivolts, milliamperes)) => {
                Ok(millivolts.number()? * milliamperes.number()? / 1e6)
            }
            Ok(Reader::Watts(milliwatts)) => Ok(milliwatts.number()? / 1e3),
            Err(reason) => Err(reason.clone()),
        }
    }
}

/// What the sum of rails is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// One rail measures the module's input.
    Rail(usize),
    /// All rails together; the carrier board is not in it.
    Sum,
}

/// All rails, those of all monitors, by address.
///
/// # Errors
/// Why there is none.
pub(super) fn rails(root: &SystemRoot) -> Result<Vec<Rail>, String> {
    const I2C: &str = "/sys/bus/i2c/devices";
    const HWMON: &str = "/sys/class/hwmon";
    let monitor = |folder: &str| {
        let name = root.read(&format!("{folder}/name")).unwrap_or_default();
        name.contains("ina3221") || name.contains("ina238")
    };
    let mut rails: Vec<Rail> = Vec::new();
    let mut monitors = 0;
    for device in root.list(I2C).into_iter().filter(|d| monitor(d)) {
        monitors += 1;
        for folder in root.list(&format!("{device}/hwmon")) {
            from_hwmon(root, &folder, &mut rails);
        }
        for folder in root.list(&device) {
            if folder.contains("iio:device") {
                from_iio(root, &folder, &mut rails);
            }
        }
    }
    if monitors == 0 {
        for folder in root.list(HWMON).into_iter().filter(|f| monitor(f)) {
            monitors += 1;
            from_hwmon(root, &folder, &mut rails);
        }
    }
    match (rails.is_empty(), monitors) {
        (false, _) => Ok(rails),
        (true, 0) => Err(format!("no power monitor (INA3221) in {I2C} or {HWMON}")),
        (true, _) => Err(format!("the power monitor in {I2C} names no rail")),
    }
}

/// Which rails make the whole.
pub(super) fn whole(rails: &[Rail]) -> Whole {
    WHOLE
        .into_iter()
        .find_map(|name| rails.iter().position(|rail| rail.name == name))
        .map_or(Whole::Sum, Whole::Rail)
}

/// Alarms of the monitors: `currN_crit_alarm` and `currN_max_alarm`, with the rail's name.
pub(super) fn alarms(root: &SystemRoot) -> Vec<(String, Probe)> {
    let mut found = Vec::new();
    for device in root.list("/sys/bus/i2c/devices") {
        for folder in root.list(&format!("{device}/hwmon")) {
            for path in root.list(&folder) {
                let Some(number) = channel(&path, "in", "_label") else {
                    continue;
                };
                let Some(name) = label(root, &path, number) else {
                    continue;
                };
                for (file, what) in [("crit_alarm", "critical"), ("max_alarm", "warning")] {
                    let path = format!("{folder}/curr{number}_{file}");
                    if let Ok(probe) = Probe::open(root, &path) {
                        found.push((format!("{name} {what} current alarm"), probe));
                    }
                }
            }
        }
    }
    found
}

fn from_hwmon(root: &SystemRoot, folder: &str, rails: &mut Vec<Rail>) {
    for path in root.list(folder) {
        let Some(number) = channel(&path, "in", "_label") else {
            continue;
        };
        let Some(name) = label(root, &path, number) else {
            continue;
        };
        let (volts, amperes) = (
            format!("{folder}/in{number}_input"),
            format!("{folder}/curr{number}_input"),
        );
        let reader = Probe::open(root, &volts)
            .and_then(|volts| Ok(Reader::VoltsAndAmperes(volts, Probe::open(root, &amperes)?)));
        add(rails, name, format!("{volts} x {amperes}"), reader);
    }
}

fn from_iio(root: &SystemRoot, folder: &str, rails: &mut Vec<Rail>) {
    for path in root.list(folder) {
        let Some(number) = channel(&path, "rail_name_", "") else {
            continue;
        };
        let Some(name) = label(root, &path, 0) else {
            continue;
        };
        let power = format!("{folder}/in_power{number}_input");
        let reader = Probe::open(root, &power).map(Reader::Watts);
        add(rails, name, power, reader);
    }
}

/// Two rails of one name (a board with two monitors of one kind) are told apart by a number.
fn add(rails: &mut Vec<Rail>, name: String, source: String, reader: Result<Reader, String>) {
    let same = rails
        .iter()
        .filter(|rail| rail.name == name || rail.name.starts_with(&format!("{name}_")))
        .count();
    let name = match same {
        0 => name,
        n => format!("{name}_{}", n + 1),
    };
    rails.push(Rail {
        name,
        source,
        reader,
    });
}

/// The number between prefix and suffix of a file's name.
fn channel(path: &str, prefix: &str, suffix: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    name.strip_prefix(prefix)?
        .strip_suffix(suffix)?
        .parse()
        .ok()
}

/// The rail's name; `None` for channels that measure nothing.
fn label(root: &SystemRoot, path: &str, number: u32) -> Option<String> {
    let text = root.read(path).ok()?;
    let name = text.trim();
    // Channels above 3 are the monitor's sums.
    let nothing = name.is_empty() || name == "NC" || name.contains("sum of shunt") || number > 3;
    (!nothing).then(|| name.replace(char::is_whitespace, "_"))
}
