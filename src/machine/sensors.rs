//! All sensors of a machine, found once, as the columns of one table; and one look at all of them.
//!
//! A new sensor is a file with a [`Sensor`] and an entry in [`ALL`]. Its columns then appear in
//! `telemetry.csv`, in `run.json` with their sources and reasons, and with minimum, mean and maximum
//! in every row of the journal.

use super::nvml::GpuChoice;
use super::root::{Probe, SystemRoot};
use super::series::Column;
use super::throttle::{Signs, ThrottleKind};
use super::{gpu, memory, nvmap, power, thermal};

/// Names of the columns that other code asks for.
pub mod column {
    /// `MemAvailable` in bytes.
    pub const AVAILABLE: &str = "available_bytes";
    /// Resident set in bytes.
    pub const RSS: &str = "rss_bytes";
    /// GPU load in percent.
    pub const GPU_LOAD: &str = "gpu_load_percent";
    /// GPU clock in MHz.
    pub const GPU_CLOCK: &str = "gpu_clock_mhz";
    /// Power in watts.
    pub const POWER: &str = "power_total_w";
    /// Bits of [`crate::machine::ThrottleKind`], always the last column; text in files.
    pub const THROTTLE: &str = "throttle";
}

/// Every kind of sensor, in the order of their columns.
const ALL: [Find; 7] = [
    memory::sensor,
    memory::proportional_set,
    nvmap::sensor,
    gpu::sensor,
    power::sensor,
    power::alarms,
    thermal::sensor,
];

/// A value or the reason why there is none.
pub(super) type Value = Result<f64, String>;
/// Signs of throttling that the machine itself gives, with words.
pub(super) type Told = Vec<(ThrottleKind, String)>;
/// Finds a sensor; `None` where another one measures the same.
pub(super) type Find = fn(&Place<'_>) -> Option<Box<dyn Sensor>>;

/// Something that is read again and again.
pub(super) trait Sensor: std::fmt::Debug + Send {
    /// Its columns, which stay as they are; a sensor may give signs of throttling alone.
    fn columns(&self) -> Vec<Column>;

    /// A value for each column.
    fn read(&mut self, told: &mut Told) -> Vec<Value>;

    /// Seconds between two looks, where one with every sample costs too much. Signs of throttling
    /// stay until the next look.
    fn period_s(&self) -> f64 {
        0.0
    }

    /// What a reader of the figures should know.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The highest GPU clock that is allowed, in MHz.
    fn allowed_mhz(&self) -> Option<f64> {
        None
    }
}

/// Where sensors are looked for.
pub(super) struct Place<'a> {
    pub root: &'a SystemRoot,
    /// The discrete GPU that is used.
    pub gpu: Option<&'a GpuChoice>,
    /// The columns of the sensors before.
    columns: &'a [Column],
}

impl Place<'_> {
    /// Whether a sensor before has this column.
    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }
}

/// All sensors.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    watched: Vec<Watched>,
    columns: Vec<Column>,
    reasons: Vec<Option<String>>,
    row: Vec<f64>,
}

#[derive(Debug)]
struct Watched {
    sensor: Box<dyn Sensor>,
    first_column: usize,
    next_s: f64,
    told: Told,
}

impl Sensors {
    /// Looks for every sensor below the root; a discrete GPU is asked where one is chosen.
    pub fn find(root: &SystemRoot, gpu: Option<&GpuChoice>) -> Self {
        Self::of(&ALL, root, gpu)
    }

    /// The memory of the process and the system alone.
    pub fn memory(root: &SystemRoot) -> Self {
        Self::of(&[memory::sensor], root, None)
    }

    pub fn of(kinds: &[Find], root: &SystemRoot, gpu: Option<&GpuChoice>) -> Self {
        let mut found = Self::default();
        for find in kinds {
            let columns = &found.columns;
            if let Some(sensor) = find(&Place { root, gpu, columns }) {
                let first_column = columns.len();
                found.columns.extend(sensor.columns());
                found.watched.push(Watched {
                    sensor,
                    first_column,
                    next_s: f64::NEG_INFINITY,
                    told: Told::new(),
                });
            }
        }
        let source = "over-current counters, current alarms, cooling devices, clocks under load";
        found.columns.push(Column::new(column::THROTTLE, source));
        found.reasons = vec![None; found.columns.len()];
        found.row = vec![f64::NAN; found.columns.len()];
        found
    }

    /// The table's columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Columns that have had no value so far for a reason, by name.
    pub fn missing_columns(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.columns.iter().zip(&self.reasons);
        named.filter_map(|(column, reason)| Some((column.name.as_str(), reason.as_deref()?)))
    }

    /// What a reader should know of the sensors.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.watched.iter().map(|watched| watched.sensor.notes());
        notes.flatten().collect()
    }

    /// The GPU clock that is allowed, in MHz.
    pub fn allowed_mhz(&self) -> Option<f64> {
        let mut sensors = self.watched.iter();
        sensors.find_map(|watched| watched.sensor.allowed_mhz())
    }

    /// Reads all of them, as far as their time (`at_s`) has come: the values in the order of the
    /// columns, NaN where there is none, and signs of throttling.
    pub fn read(&mut self, at_s: f64) -> (&[f64], Signs) {
        self.row.fill(f64::NAN);
        let mut told = Told::new();
        for watched in &mut self.watched {
            if at_s >= watched.next_s {
                watched.next_s = at_s + watched.sensor.period_s() - 1e-3;
                watched.told.clear();
                let values = watched.sensor.read(&mut watched.told).into_iter();
                let row = self.row.iter_mut().zip(&mut self.reasons);
                for ((slot, missing), value) in row.skip(watched.first_column).zip(values) {
                    match value {
                        Ok(value) => *slot = value,
                        // The first reason stands.
                        Err(reason) => drop(missing.get_or_insert(reason)),
                    }
                }
            }
            told.extend(watched.told.iter().cloned());
        }
        let signs = Signs {
            load_percent: self.last(column::GPU_LOAD),
            clock_mhz: self.last(column::GPU_CLOCK),
            told,
        };
        (&self.row, signs)
    }

    /// A column's value at the last look; NaN where there is none.
    pub fn last(&self, name: &str) -> f64 {
        let at = self.columns.iter().position(|column| column.name == name);
        at.and_then(|at| self.row.get(at))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// A file that was found or the reason why not, read as a number.
pub(super) fn number(probe: &mut Result<Probe, String>) -> Value {
    match probe {
        Ok(probe) => probe.number(),
        Err(reason) => Err(reason.clone()),
    }
}

/// Where a file lies, if there is one.
pub(super) fn shown(probe: &Result<Probe, String>) -> &str {
    probe.as_ref().map_or("", Probe::shown)
}

/// A name as a part of a column's name.
pub(super) fn plain(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.to_ascii_lowercase().chars().map(letter).collect()
}
