//! Memory of this process and of the system, from `/proc`.
//!
//! On unified memory (Jetson) the CPU and the GPU share what `/proc/meminfo` counts, so these
//! figures and the arena's are different views of the same bytes. They are never added.

use serde::{Deserialize, Serialize};

use super::root::Probe;
use super::sensors::{Place, Sensor, Told, Value, column};
use super::series::Column;
use super::{Reading, SystemRoot};

/// Memory of this process, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMemory {
    /// Resident set (`VmRSS`): pages in RAM, shared ones counted in full.
    pub rss_bytes: Reading<u64>,
    /// Largest resident set since the process began or the mark was last reset (`VmHWM`).
    pub peak_rss_bytes: Reading<u64>,
    /// Proportional set (`Pss` of `smaps_rollup`): shared pages divided among their users.
    pub pss_bytes: Reading<u64>,
}

/// Memory of the system, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemMemory {
    /// What new work can take without swapping (`MemAvailable`), reclaimable page cache included.
    pub available_bytes: Reading<u64>,
    /// All memory the kernel manages (`MemTotal`).
    pub total_bytes: Reading<u64>,
}

/// One look at both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySnapshot {
    /// This process.
    pub process: ProcessMemory,
    /// The system.
    pub system: SystemMemory,
}

impl ProcessMemory {
    /// Reads all three figures. PSS makes the kernel walk the page tables (a millisecond or so
    /// for a large process): keep it out of timed regions.
    pub fn read(root: &SystemRoot) -> Self {
        let status = root.read(STATUS);
        Self {
            rss_bytes: field(&status, STATUS, "VmRSS"),
            peak_rss_bytes: field(&status, STATUS, "VmHWM"),
            pss_bytes: field(&root.read(ROLLUP), ROLLUP, "Pss"),
        }
    }

    /// Resident set alone, the cheap reading.
    pub fn rss(root: &SystemRoot) -> Reading<u64> {
        field(&root.read(STATUS), STATUS, "VmRSS")
    }

    /// Largest resident set alone.
    pub fn peak_rss(root: &SystemRoot) -> Reading<u64> {
        field(&root.read(STATUS), STATUS, "VmHWM")
    }

    /// Sets the kernel's high-water mark back to the present resident set, so that the next
    /// [`Self::peak_rss`] is the peak since now.
    ///
    /// # Errors
    /// A reason in words where the kernel refuses (no `/proc/self/clear_refs`, no permission).
    pub fn reset_peak_rss(root: &SystemRoot) -> Result<(), String> {
        // Opened without O_CREAT: in a stand-in tree a missing file stays missing.
        std::fs::OpenOptions::new()
            .write(true)
            .open(root.path(CLEAR_REFS))
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"5"))
            .map_err(|error| format!("{CLEAR_REFS} cannot be written: {error}"))
    }
}

impl SystemMemory {
    /// Reads `/proc/meminfo`.
    pub fn read(root: &SystemRoot) -> Self {
        let meminfo = root.read(MEMINFO);
        Self {
            available_bytes: field(&meminfo, MEMINFO, "MemAvailable"),
            total_bytes: field(&meminfo, MEMINFO, "MemTotal"),
        }
    }
}

impl MemorySnapshot {
    /// Reads the process and the system.
    pub fn read(root: &SystemRoot) -> Self {
        Self {
            process: ProcessMemory::read(root),
            system: SystemMemory::read(root),
        }
    }
}

/// Available memory and the resident set.
#[derive(Debug)]
struct Memory {
    meminfo: Result<Probe, String>,
    status: Result<Probe, String>,
}

pub(super) fn sensor(place: &Place<'_>) -> Option<Box<dyn Sensor>> {
    Some(Box::new(Memory {
        meminfo: Probe::open(place.root, MEMINFO),
        status: Probe::open(place.root, STATUS),
    }))
}

impl Sensor for Memory {
    fn columns(&self) -> Vec<Column> {
        vec![
            Column::new(column::AVAILABLE, format!("{MEMINFO} MemAvailable")),
            Column::new(column::RSS, format!("{STATUS} VmRSS")),
        ]
    }

    fn read(&mut self, _: &mut Told) -> Vec<Value> {
        vec![
            bytes(&mut self.meminfo, MEMINFO, "MemAvailable"),
            bytes(&mut self.status, STATUS, "VmRSS"),
        ]
    }
}

/// The proportional set: the kernel walks the page tables for it.
#[derive(Debug)]
struct ProportionalSet(Result<Probe, String>);

/// Seconds between two looks at the proportional set.
pub(super) const PSS_EVERY_S: f64 = 10.0;

pub(super) fn proportional_set(place: &Place<'_>) -> Option<Box<dyn Sensor>> {
    Some(Box::new(ProportionalSet(Probe::open(place.root, ROLLUP))))
}

impl Sensor for ProportionalSet {
    fn columns(&self) -> Vec<Column> {
        let source = format!("{ROLLUP} Pss, every {PSS_EVERY_S} s");
        vec![Column::new("pss_bytes", source)]
    }

    fn read(&mut self, _: &mut Told) -> Vec<Value> {
        vec![bytes(&mut self.0, ROLLUP, "Pss")]
    }

    fn period_s(&self) -> f64 {
        PSS_EVERY_S
    }
}

fn bytes(probe: &mut Result<Probe, String>, path: &str, name: &str) -> Value {
    match probe {
        Ok(probe) => kibibytes(probe.text()?, path, name).map(|bytes| bytes as f64),
        Err(reason) => Err(reason.clone()),
    }
}

const STATUS: &str = "/proc/self/status";
const ROLLUP: &str = "/proc/self/smaps_rollup";
const MEMINFO: &str = "/proc/meminfo";
const CLEAR_REFS: &str = "/proc/self/clear_refs";

/// A `Name:   123 kB` line in bytes.
fn field(text: &Result<String, String>, path: &str, name: &str) -> Reading<u64> {
    match text {
        Ok(text) => kibibytes(text, path, name).into(),
        Err(reason) => Reading::missing(reason),
    }
}

/// The same of a text that was read.
fn kibibytes(text: &str, path: &str, name: &str) -> Result<u64, String> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .ok_or_else(|| format!("{path} has no line {name}"))?;
    let mut words = rest.split_whitespace();
    let count = words.next().and_then(|word| word.parse::<u64>().ok());
    match (count, words.next()) {
        (Some(count), Some("kB")) => Ok(count.saturating_mul(1024)),
        _ => Err(format!("{path}: {name} is not a number of kB: {rest:?}")),
    }
}
