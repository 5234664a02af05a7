//! All sensors of a machine, found once, as the columns of one table; and one look at all of them.

use super::gpu::{self, IntegratedGpu};
use super::memory::{MEMINFO, ROLLUP, STATUS, kibibytes};
use super::nvmap::NvMap;
use super::nvml::{GpuChoice, NvmlGpu};
use super::power::{self, Rail, Whole};
use super::root::{Probe, SystemRoot};
use super::series::Column;
use super::thermal::{self, Zone};
use super::throttle::{Signs, ThrottleKind};

/// Numbers of the columns that every machine has; rails and temperatures follow.
pub mod column {
    /// `MemAvailable` in bytes.
    pub const AVAILABLE: usize = 0;
    /// Resident set in bytes.
    pub const RSS: usize = 1;
    /// Proportional set in bytes, every ten seconds.
    pub const PSS: usize = 2;
    /// All of NvMap in bytes, every second.
    pub const NVMAP_TOTAL: usize = 3;
    /// This process's part of it.
    pub const NVMAP_PROCESS: usize = 4;
    /// GPU load in percent.
    pub const GPU_LOAD: usize = 5;
    /// GPU clock in MHz.
    pub const GPU_CLOCK: usize = 6;
    /// Clock of the memory in MHz.
    pub const EMC_CLOCK: usize = 7;
    /// Used memory of a discrete GPU in bytes.
    pub const GPU_MEMORY: usize = 8;
    /// Power in watts.
    pub const POWER: usize = 9;
    /// Bits of [`crate::machine::ThrottleKind`]; text in files.
    pub const THROTTLE: usize = 10;

    /// Names of these columns, in order.
    pub(in crate::machine) const NAMES: [&str; 11] = [
        "available_bytes",
        "rss_bytes",
        "pss_bytes",
        "nvmap_total_bytes",
        "nvmap_process_bytes",
        "gpu_load_percent",
        "gpu_clock_mhz",
        "emc_clock_mhz",
        "gpu_memory_used_bytes",
        "power_total_w",
        "throttle",
    ];
}

/// Walking the page tables is dear: seconds between two looks at PSS.
pub(super) const PSS_EVERY_S: f64 = 10.0;
/// Seconds between two looks at what costs more than a file: NvMap's list, alarms on the I2C bus.
const SLOW_EVERY_S: f64 = 1.0;

/// A probe or the reason why there is none.
type Found<T> = Result<T, String>;

/// All sensors.
#[derive(Debug)]
pub(super) struct Sensors {
    columns: Vec<Column>,
    reasons: Vec<Option<String>>,
    row: Vec<f64>,
    notes: Vec<String>,
    meminfo: Found<Probe>,
    status: Found<Probe>,
    rollup: Found<Probe>,
    nvmap: Found<NvMap>,
    gpu: Gpu,
    emc: Found<Probe>,
    rails: Vec<Rail>,
    whole: Whole,
    zones: Vec<Zone>,
    throttles: Vec<(String, Probe)>,
    counters: Vec<(String, Probe, f64)>,
    alarms: Vec<(String, Probe)>,
    alarmed: Vec<String>,
    next_pss_s: f64,
    next_slow_s: f64,
}

#[derive(Debug)]
enum Gpu {
    Integrated {
        load: Found<Probe>,
        clock: Found<Probe>,
        allowed_mhz: Option<f64>,
    },
    Discrete(Box<NvmlGpu>),
    None(String),
}

impl Sensors {
    /// Looks for every sensor below the root; a discrete GPU is asked where one is chosen.
    pub fn find(root: &SystemRoot, choice: Option<&GpuChoice>) -> Self {
        let mut notes = Vec::new();
        let gpu = find_gpu(root, choice, &mut notes);
        let discrete = matches!(gpu, Gpu::Discrete(_));
        let (rails, rails_reason) = match power::rails(root) {
            // The CPU board's rails say nothing of a discrete GPU.
            _ if discrete => (Vec::new(), None),
            Ok(rails) => (rails, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let (zones, zones_reason) = match thermal::zones(root) {
            Ok(zones) => (zones, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let whole = power::whole(&rails);
        let mut sensors = Self {
            columns: Vec::new(),
            reasons: Vec::new(),
            row: Vec::new(),
            meminfo: Probe::open(root, MEMINFO),
            status: Probe::open(root, STATUS),
            rollup: Probe::open(root, ROLLUP),
            nvmap: NvMap::open(root),
            emc: match discrete {
                true => Err(String::new()),
                false => gpu::emc(root),
            },
            gpu,
            throttles: thermal::throttles(root),
            counters: thermal::over_current_counters(root)
                .into_iter()
                .map(|(name, mut probe)| {
                    let now = probe.number().unwrap_or(f64::NAN);
                    (name, probe, now)
                })
                .collect(),
            alarms: power::alarms(root),
            alarmed: Vec::new(),
            rails,
            whole,
            zones,
            notes,
            next_pss_s: f64::NEG_INFINITY,
            next_slow_s: f64::NEG_INFINITY,
        };
        sensors.name_columns();
        if let Some(reason) = rails_reason {
            sensors.missing(column::POWER, reason);
        }
        if let Some(reason) = zones_reason {
            sensors.notes.push(reason);
        }
        sensors
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
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The GPU clock that is allowed, in MHz.
    pub fn allowed_mhz(&self) -> Option<f64> {
        match &self.gpu {
            Gpu::Integrated { allowed_mhz, .. } => *allowed_mhz,
            Gpu::Discrete(gpu) => gpu.allowed_mhz(),
            Gpu::None(_) => None,
        }
    }

    /// Reads all of them: the values in the order of the columns, and signs of throttling. PSS and
    /// what is slow are read only when their time has come (by `at_s`).
    pub fn read(&mut self, at_s: f64) -> (&[f64], Signs) {
        self.row.fill(f64::NAN);
        let slow = at_s >= self.next_slow_s;
        if slow {
            self.next_slow_s = at_s + SLOW_EVERY_S - 1e-3;
        }
        self.read_memory(at_s, slow);
        let mut told = Vec::new();
        self.read_power();
        self.read_temperatures();
        self.read_gpu(&mut told);
        self.read_alarms(slow, &mut told);
        let value = |index: usize| self.row.get(index).copied().unwrap_or(f64::NAN);
        let signs = Signs {
            load_percent: value(column::GPU_LOAD),
            clock_mhz: value(column::GPU_CLOCK),
            told,
        };
        (&self.row, signs)
    }

    fn read_memory(&mut self, at_s: f64, slow: bool) {
        let available = read_kibibytes(&mut self.meminfo, MEMINFO, "MemAvailable");
        self.set(column::AVAILABLE, available);
        let rss = read_kibibytes(&mut self.status, STATUS, "VmRSS");
        self.set(column::RSS, rss);
        if at_s >= self.next_pss_s {
            self.next_pss_s = at_s + PSS_EVERY_S - 1e-3;
            let pss = read_kibibytes(&mut self.rollup, ROLLUP, "Pss");
            self.set(column::PSS, pss);
        }
        if slow {
            let bytes = match &mut self.nvmap {
                Ok(nvmap) => nvmap.bytes(),
                Err(reason) => Err(reason.clone()),
            };
            self.set(column::NVMAP_TOTAL, bytes.clone().map(|b| b.total as f64));
            self.set(column::NVMAP_PROCESS, bytes.map(|b| b.own as f64));
        }
    }

    fn read_power(&mut self) {
        let first = column::NAMES.len();
        let mut sum: Result<f64, String> = Ok(0.0);
        let values: Vec<_> = self.rails.iter_mut().map(Rail::watts).collect();
        for (index, watts) in values.into_iter().enumerate() {
            match self.whole {
                Whole::Rail(whole) if whole == index => self.set(column::POWER, watts.clone()),
                Whole::Rail(_) => {}
                Whole::Sum => {
                    sum = match (sum, &watts) {
                        (Ok(sum), Ok(watts)) => Ok(sum + watts),
                        (Err(reason), _) => Err(reason),
                        (_, Err(reason)) => Err(format!("a rail of the sum is missing: {reason}")),
                    }
                }
            }
            self.set(first + index, watts);
        }
        if self.whole == Whole::Sum && !self.rails.is_empty() {
            self.set(column::POWER, sum);
        }
    }

    fn read_temperatures(&mut self) {
        let first = column::NAMES.len() + self.rails.len();
        let values: Vec<_> = self.zones.iter_mut().map(Zone::celsius).collect();
        for (index, celsius) in values.into_iter().enumerate() {
            self.set(first + index, celsius);
        }
    }

    fn read_gpu(&mut self, told: &mut Vec<(ThrottleKind, String)>) {
        let number = |probe: &mut Found<Probe>| match probe {
            Ok(probe) => probe.number(),
            Err(reason) => Err(reason.clone()),
        };
        let shared = || Err("the GPU shares the system's memory: see available_bytes".to_owned());
        match &mut self.gpu {
            Gpu::Integrated { load, clock, .. } => {
                let load = number(load).map(|per_mille| per_mille / 10.0);
                let clock = number(clock).map(|hz| hz / 1e6);
                let emc = number(&mut self.emc).map(|hz| hz / 1e6);
                self.set(column::GPU_LOAD, load);
                self.set(column::GPU_CLOCK, clock);
                self.set(column::EMC_CLOCK, emc);
                self.set(column::GPU_MEMORY, shared());
            }
            Gpu::Discrete(gpu) => {
                let values = gpu.values();
                told.extend(values.told);
                self.set(column::GPU_LOAD, values.load_percent);
                self.set(column::GPU_CLOCK, values.clock_mhz);
                self.set(column::EMC_CLOCK, values.memory_mhz);
                self.set(column::GPU_MEMORY, values.used_bytes);
                self.set(column::POWER, values.watts);
                self.set(self.row.len() - 1, values.celsius);
            }
            Gpu::None(reason) => {
                let reason = reason.clone();
                for index in [
                    column::GPU_LOAD,
                    column::GPU_CLOCK,
                    column::EMC_CLOCK,
                    column::GPU_MEMORY,
                ] {
                    self.set(index, Err(reason.clone()));
                }
            }
        }
    }

    fn read_alarms(&mut self, slow: bool, told: &mut Vec<(ThrottleKind, String)>) {
        for (name, probe, last) in &mut self.counters {
            if let Ok(now) = probe.number() {
                if now > *last {
                    let what = format!("{name}: {:.0} events", now - *last);
                    told.push((ThrottleKind::OverCurrent, what));
                }
                *last = now;
            }
        }
        if slow {
            let on = self
                .alarms
                .iter_mut()
                .filter_map(|(name, probe)| (probe.number().ok()? > 0.0).then(|| name.clone()));
            self.alarmed = on.collect();
        }
        // What was on at the last look is on until the next.
        let alarmed = self.alarmed.iter().cloned();
        told.extend(alarmed.map(|what| (ThrottleKind::OverCurrent, what)));
        for (name, probe) in &mut self.throttles {
            if probe.number().is_ok_and(|state| state > 0.0) {
                told.push((ThrottleKind::Heat, format!("cooling device {name} is on")));
            }
        }
    }

    fn set(&mut self, index: usize, value: Result<f64, String>) {
        match value {
            Ok(value) => {
                if let Some(slot) = self.row.get_mut(index) {
                    *slot = value;
                }
            }
            Err(reason) => self.missing(index, reason),
        }
    }

    /// The first reason stands.
    fn missing(&mut self, index: usize, reason: String) {
        if let Some(slot) = self.reasons.get_mut(index) {
            slot.get_or_insert(reason);
        }
    }

    fn name_columns(&mut self) {
        let rails = match self.whole {
            Whole::Rail(index) => self.rails.get(index).map_or("", |rail| &rail.name),
            Whole::Sum if self.rails.is_empty() => "",
            Whole::Sum => "the sum of all rails, without the carrier board",
        };
        let shown = |probe: &Found<Probe>| {
            let probe = probe.as_ref();
            probe.map_or(String::new(), |p| p.shown().to_owned())
        };
        let none = String::new;
        let (load, clock, emc, power) = match &self.gpu {
            Gpu::Integrated { load, clock, .. } => (
                shown(load),
                shown(clock),
                shown(&self.emc),
                rails.to_owned(),
            ),
            Gpu::Discrete(gpu) => {
                let nvml = format!("NVML, {}", gpu.name);
                let power = format!("{nvml}: the GPU's board alone");
                (nvml.clone(), nvml.clone(), nvml, power)
            }
            Gpu::None(_) => (none(), none(), none(), rails.to_owned()),
        };
        let sources = [
            format!("{MEMINFO} MemAvailable"),
            format!("{STATUS} VmRSS"),
            format!("{ROLLUP} Pss, every {PSS_EVERY_S} s"),
            format!("{} total, every second", NvMap::source()),
            format!("{} this process, every second", NvMap::source()),
            load,
            clock,
            emc.clone(),
            match self.gpu {
                Gpu::Discrete(_) => emc,
                _ => String::new(),
            },
            power,
            "over-current counters, current alarms, cooling devices, clocks under load".to_owned(),
        ];
        let fixed = column::NAMES.into_iter().zip(sources);
        let mut columns: Vec<Column> = fixed
            .map(|(name, source)| Column {
                name: name.to_owned(),
                source,
            })
            .collect();
        let plain = |name: &str| {
            let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            name.to_ascii_lowercase()
                .chars()
                .map(letter)
                .collect::<String>()
        };
        columns.extend(self.rails.iter().map(|rail| Column {
            name: format!("power_{}_w", plain(&rail.name)),
            source: rail.source.clone(),
        }));
        let mut temperatures: Vec<(String, String)> = Vec::new();
        for zone in &self.zones {
            let base = plain(&zone.name);
            let same = temperatures.iter().filter(|(b, _)| *b == base).count();
            temperatures.push((base.clone(), zone.source().to_owned()));
            columns.push(Column {
                name: match same {
                    0 => format!("temperature_{base}_c"),
                    n => format!("temperature_{base}_{}_c", n + 1),
                },
                source: zone.source().to_owned(),
            });
        }
        if let Gpu::Discrete(gpu) = &self.gpu {
            columns.push(Column {
                name: "temperature_nvml_gpu_c".to_owned(),
                source: format!("NVML, {}", gpu.name),
            });
        }
        self.reasons = vec![None; columns.len()];
        self.row = vec![f64::NAN; columns.len()];
        self.columns = columns;
    }
}

fn find_gpu(root: &SystemRoot, choice: Option<&GpuChoice>, notes: &mut Vec<String>) -> Gpu {
    let integrated = IntegratedGpu::find(root);
    match (integrated, choice) {
        (Ok(gpu), _) => {
            if !gpu.others.is_empty() {
                notes.push(format!(
                    "{} is taken for the GPU; {} looks like one too",
                    gpu.devfreq,
                    gpu.others.join(", ")
                ));
            }
            Gpu::Integrated {
                clock: Probe::open(root, &format!("{}/cur_freq", gpu.devfreq)),
                allowed_mhz: gpu.megahertz(root, "max_freq").ok(),
                load: gpu.load.and_then(|place| Probe::open(root, &place)),
            }
        }
        (Err(_), Some(choice)) if root.is_real() => match NvmlGpu::open(choice) {
            Ok(gpu) => Gpu::Discrete(Box::new(gpu)),
            Err(reason) => Gpu::None(reason),
        },
        (Err(reason), _) => Gpu::None(format!("{reason}, and no CUDA device is in use")),
    }
}

fn read_kibibytes(probe: &mut Found<Probe>, path: &str, name: &str) -> Result<f64, String> {
    match probe {
        Ok(probe) => kibibytes(probe.text()?, path, name).map(|bytes| bytes as f64),
        Err(reason) => Err(reason.clone()),
    }
}
