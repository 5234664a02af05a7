//! The integrated GPU of a Jetson, by its devfreq entry, and the memory clock.
//!
//! Some boards show two entries for one GPU (or one for another engine beside it): the one with a
//! load of its own is taken, and the others are named in a note.

use super::nvml::NvmlGpu;
use super::root::{Probe, SystemRoot};
use super::sensors::{Place, Sensor, Told, Value, column, number, shown};
use super::series::Column;

const DEVFREQ: &str = "/sys/class/devfreq";

/// Endings of devfreq entries that are GPUs, by chip (Orin, Xavier, TX2, Thor) and by the device
/// tree's newer name.
const GPU_NAMES: [&str; 6] = ["ga10b", "gv11b", "gp10b", "gb10b", "gpu", "gpu-gpc-0"];

/// Places of the load besides the entry's own device, `{}` being the entry's name.
const LOAD_PLACES: [&str; 5] = [
    "/sys/devices/platform/bus@0/{}/load",
    "/sys/devices/platform/{}/load",
    "/sys/devices/{}/load",
    "/sys/devices/platform/gpu.0/load",
    "/sys/devices/gpu.0/load",
];

/// Where the memory clock is shown; root alone may look.
pub(super) const EMC_RATES: [&str; 2] = [
    "/sys/kernel/debug/bpmp/debug/clk/emc/rate",
    "/sys/kernel/debug/clk/emc/clk_rate",
];

/// The integrated GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IntegratedGpu {
    /// Its devfreq folder.
    pub devfreq: String,
    /// Its load in per mille, or why it is not known.
    pub load: Result<String, String>,
    /// Other entries that look like a GPU.
    pub others: Vec<String>,
}

impl IntegratedGpu {
    /// Looks for it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(root: &SystemRoot) -> Result<Self, String> {
        let mut entries: Vec<(String, Option<String>)> = root
            .list(DEVFREQ)
            .into_iter()
            .filter(|entry| is_gpu(root, entry))
            .map(|entry| {
                let own = format!("{entry}/device/load");
                let own = root.exists(&own).then_some(own);
                (entry, own)
            })
            .collect();
        // Stable: the first with a load of its own, else the first.
        entries.sort_by_key(|(_, own)| own.is_none());
        let mut entries = entries.into_iter();
        let Some((devfreq, own)) = entries.next() else {
            return Err(format!("no GPU in {DEVFREQ}"));
        };
        let name = devfreq.rsplit('/').next().unwrap_or_default();
        let load = own
            .or_else(|| {
                let places = LOAD_PLACES.map(|place| place.replace("{}", name));
                places.into_iter().find(|place| root.exists(place))
            })
            .ok_or_else(|| format!("{devfreq} has no load, and no other place of it is known"));
        Ok(Self {
            load,
            others: entries.map(|(entry, _)| entry).collect(),
            devfreq,
        })
    }

    /// A clock of it in MHz: `cur_freq`, `min_freq`, `max_freq`.
    pub fn megahertz(&self, root: &SystemRoot, which: &str) -> Result<f64, String> {
        Ok(root.number(&format!("{}/{which}", self.devfreq))? / 1e6)
    }
}

/// What of a GPU is watched without NVML.
#[derive(Debug)]
struct Watched {
    /// In per mille.
    load: Result<Probe, String>,
    /// In Hz.
    clock: Result<Probe, String>,
    /// In Hz.
    memory_clock: Result<Probe, String>,
    allowed_mhz: Option<f64>,
    used: String,
    notes: Vec<String>,
}

pub(super) fn sensor(place: &Place<'_>) -> Option<Box<dyn Sensor>> {
    let none = |reason: String| Watched {
        load: Err(reason.clone()),
        clock: Err(reason.clone()),
        memory_clock: Err(reason.clone()),
        allowed_mhz: None,
        used: reason,
        notes: Vec::new(),
    };
    let root = place.root;
    let watched = match (IntegratedGpu::find(root), place.gpu) {
        (Ok(gpu), _) => Watched {
            clock: Probe::open(root, &format!("{}/cur_freq", gpu.devfreq)),
            memory_clock: emc(root),
            allowed_mhz: gpu.megahertz(root, "max_freq").ok(),
            used: "the GPU shares the system's memory: see available_bytes".to_owned(),
            notes: if gpu.others.is_empty() {
                Vec::new()
            } else {
                let others = gpu.others.join(", ");
                let devfreq = &gpu.devfreq;
                vec![format!(
                    "{devfreq} is taken for the GPU; {others} looks like one too"
                )]
            },
            load: gpu.load.and_then(|place| Probe::open(root, &place)),
        },
        (Err(_), Some(choice)) if root.is_real() => match NvmlGpu::open(choice) {
            Ok(gpu) => return Some(Box::new(gpu)),
            Err(reason) => none(reason),
        },
        (Err(reason), _) => none(format!("{reason}, and no CUDA device is in use")),
    };
    Some(Box::new(watched))
}

impl Sensor for Watched {
    fn columns(&self) -> Vec<Column> {
        vec![
            Column::new(column::GPU_LOAD, shown(&self.load)),
            Column::new(column::GPU_CLOCK, shown(&self.clock)),
            Column::new("emc_clock_mhz", shown(&self.memory_clock)),
            Column::new("gpu_memory_used_bytes", ""),
        ]
    }

    fn read(&mut self, _: &mut Told) -> Vec<Value> {
        vec![
            number(&mut self.load).map(|per_mille| per_mille / 10.0),
            number(&mut self.clock).map(|hz| hz / 1e6),
            number(&mut self.memory_clock).map(|hz| hz / 1e6),
            Err(self.used.clone()),
        ]
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn allowed_mhz(&self) -> Option<f64> {
        self.allowed_mhz
    }
}

/// A probe of the memory clock in Hz.
fn emc(root: &SystemRoot) -> Result<Probe, String> {
    let mut reason = String::new();
    for path in EMC_RATES {
        match Probe::open(root, path) {
            Ok(probe) => return Ok(probe),
            // A file that is there but closed says more than one that is not.
            Err(why) if reason.is_empty() || !why.contains("does not exist") => reason = why,
            Err(_) => {}
        }
    }
    Err(reason)
}

fn is_gpu(root: &SystemRoot, entry: &str) -> bool {
    let name = entry.rsplit('/').next().unwrap_or_default();
    let node = root
        .read(&format!("{entry}/device/of_node/name"))
        .unwrap_or_default();
    GPU_NAMES
        .iter()
        .any(|known| node == *known || name.rsplit('.').next() == Some(*known))
}
