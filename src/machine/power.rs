//! Power rails of a Jetson: INA3221 monitors as the kernel shows them.
//!
//! Two layouts are known. hwmon (JetPack 5 and later): `inN_label`, `inN_input` in mV and
//! `currN_input` in mA. IIO (before): `rail_name_N` and `in_powerN_input` in mW. Channels that are
//! not connected (`NC`) and the monitor's own sum of shunt voltages are left out.

use super::root::{Probe, SystemRoot};
use super::sensors::{Place, Sensor, Told, Value, column, plain};
use super::series::Column;
use super::throttle::ThrottleKind;

/// Rails that hold all of the module's power.
const WHOLE: [&str; 3] = ["VDD_IN", "POM_5V_IN", "VIN"];

/// One rail.
#[derive(Debug)]
struct Rail {
    /// Its label, such as `VDD_GPU_SOC`.
    name: String,
    /// What is read.
    source: String,
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
    fn watts(&mut self) -> Result<f64, String> {
        match &mut self.reader {
            Ok(Reader::VoltsAndAmperes(millivolts, milliamperes)) => {
                Ok(millivolts.number()? * milliamperes.number()? / 1e6)
            }
            Ok(Reader::Watts(milliwatts)) => Ok(milliwatts.number()? / 1e3),
            Err(reason) => Err(reason.clone()),
        }
    }
}

/// The module's power and that of every rail.
#[derive(Debug)]
struct Power {
    rails: Vec<Rail>,
    /// The rail that measures the module's input; `None`: all rails together are the whole.
    whole: Option<usize>,
    /// Why there is no rail.
    missing: String,
}

/// The CPU board's rails do not measure a discrete GPU, which has a sensor of its own.
pub(super) fn sensor(place: &Place<'_>) -> Option<Box<dyn Sensor>> {
    if place.has(column::POWER) {
        return None;
    }
    let (rails, missing) = match rails(place.root) {
        Ok(rails) => (rails, String::new()),
        Err(reason) => (Vec::new(), reason),
    };
    let mut names = WHOLE.into_iter();
    let whole = names.find_map(|name| rails.iter().position(|rail| rail.name == name));
    Some(Box::new(Power {
        rails,
        whole,
        missing,
    }))
}

impl Sensor for Power {
    fn columns(&self) -> Vec<Column> {
        let source = match self.whole.and_then(|index| self.rails.get(index)) {
            Some(rail) => rail.name.as_str(),
            None if self.rails.is_empty() => "",
            None => "the sum of all rails, without the carrier board",
        };
        let rail = |rail: &Rail| {
            Column::new(
                format!("power_{}_w", plain(&rail.name)),
                rail.source.clone(),
            )
        };
        let whole = std::iter::once(Column::new(column::POWER, source));
        whole.chain(self.rails.iter().map(rail)).collect()
    }

    fn read(&mut self, _: &mut Told) -> Vec<Value> {
        let mut values: Vec<Value> = self.rails.iter_mut().map(Rail::watts).collect();
        let whole = match self.whole.and_then(|index| values.get(index)) {
            Some(rail) => rail.clone(),
            None if values.is_empty() => Err(self.missing.clone()),
            None => {
                let sum: Value = values.iter().cloned().sum();
                sum.map_err(|reason| format!("a rail of the sum is missing: {reason}"))
            }
        };
        values.insert(0, whole);
        values
    }
}

/// Alarms of the power monitors, each with its rail's name.
#[derive(Debug)]
struct Alarms(Vec<(String, Probe)>);

pub(super) fn alarms(place: &Place<'_>) -> Option<Box<dyn Sensor>> {
    Some(Box::new(Alarms(alarm_files(place.root))))
}

impl Sensor for Alarms {
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn read(&mut self, told: &mut Told) -> Vec<Value> {
        for (name, probe) in &mut self.0 {
            if probe.number().is_ok_and(|alarm| alarm > 0.0) {
                told.push((ThrottleKind::OverCurrent, name.clone()));
            }
        }
        Vec::new()
    }

    /// They lie behind the I2C bus.
    fn period_s(&self) -> f64 {
        1.0
    }
}

/// All rails, those of all monitors, by address.
///
/// # Errors
/// Why there is none.
fn rails(root: &SystemRoot) -> Result<Vec<Rail>, String> {
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

/// Alarms of the monitors: `currN_crit_alarm` and `currN_max_alarm`, with the rail's name.
fn alarm_files(root: &SystemRoot) -> Vec<(String, Probe)> {
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
