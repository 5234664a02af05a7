//! A discrete NVIDIA GPU, through NVML (`libnvidia-ml.so.1`), which is looked for at run time.

use super::gpu::IntegratedGpu;
use super::nvmap::{self, GpuProcess};
use super::root::SystemRoot;
use super::throttle::ThrottleKind;
use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;

/// Which GPU to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuChoice {
    /// CUDA's number of it.
    pub ordinal: usize,
    /// Its address, such as `00000000:65:00.0`; CUDA and NVML may count in different orders.
    pub pci: Option<String>,
}

/// A GPU as NVML shows it.
#[derive(Debug)]
pub(super) struct NvmlGpu {
    nvml: Nvml,
    index: u32,
    pub name: String,
}

/// The processes that hold memory of a GPU: NvMap's on a Jetson, NVML's of a discrete GPU.
///
/// # Errors
/// Why they are not known.
pub fn gpu_processes(root: &SystemRoot, choice: &GpuChoice) -> Result<Vec<GpuProcess>, String> {
    let on_board = nvmap::processes(root);
    if on_board.is_ok() || !root.is_real() || IntegratedGpu::find(root).is_ok() {
        return on_board;
    }
    let gpu = NvmlGpu::open(choice)?;
    let device = gpu
        .nvml
        .device_by_index(gpu.index)
        .map_err(|error| reason("nvmlDeviceGetHandleByIndex", &error))?;
    let compute = device
        .running_compute_processes()
        .map_err(|error| reason("nvmlDeviceGetComputeRunningProcesses", &error))?;
    // A display server holds memory too; without graphics there is nothing to ask.
    let graphics = device.running_graphics_processes().unwrap_or_default();
    Ok(compute
        .into_iter()
        .chain(graphics)
        .map(|process| GpuProcess {
            name: root.read(&format!("/proc/{}/comm", process.pid)).ok(),
            pid: process.pid,
            bytes: match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            },
        })
        .collect())
}

/// What it says at one moment; what it does not say is a reason.
pub(super) struct NvmlValues {
    pub load_percent: Result<f64, String>,
    pub clock_mhz: Result<f64, String>,
    pub memory_mhz: Result<f64, String>,
    pub celsius: Result<f64, String>,
    pub watts: Result<f64, String>,
    pub used_bytes: Result<f64, String>,
    pub told: Vec<(ThrottleKind, String)>,
}

impl NvmlGpu {
    /// Loads the library and finds the GPU.
    ///
    /// # Errors
    /// Why there is none.
    pub fn open(choice: &GpuChoice) -> Result<Self, String> {
        let nvml = Nvml::init().map_err(|error| reason("nvmlInit", &error))?;
        let by_pci = choice
            .pci
            .as_ref()
            .and_then(|pci| nvml.device_by_pci_bus_id(pci.as_str()).ok()?.index().ok());
        let index = by_pci.unwrap_or(u32::try_from(choice.ordinal).unwrap_or(u32::MAX));
        let name = nvml
            .device_by_index(index)
            .and_then(|device| device.name())
            .map_err(|error| reason("nvmlDeviceGetHandleByIndex", &error))?;
        Ok(Self { nvml, index, name })
    }

    /// The highest clock it may have, in MHz.
    pub fn allowed_mhz(&self) -> Option<f64> {
        let device = self.nvml.device_by_index(self.index).ok()?;
        device.max_clock_info(Clock::SM).ok().map(f64::from)
    }

    /// Asks it for everything.
    pub fn values(&self) -> NvmlValues {
        let device = match self.nvml.device_by_index(self.index) {
            Ok(device) => device,
            Err(error) => {
                let gone = || Err(reason("nvmlDeviceGetHandleByIndex", &error));
                return NvmlValues {
                    load_percent: gone(),
                    clock_mhz: gone(),
                    memory_mhz: gone(),
                    celsius: gone(),
                    watts: gone(),
                    used_bytes: gone(),
                    told: Vec::new(),
                };
            }
        };
        let number = |call: &str, result: Result<u32, NvmlError>| {
            result.map(f64::from).map_err(|error| reason(call, &error))
        };
        let slowed = device
            .current_throttle_reasons()
            .unwrap_or(ThrottleReasons::empty());
        let heat = ThrottleReasons::SW_THERMAL_SLOWDOWN
            | ThrottleReasons::HW_THERMAL_SLOWDOWN
            | ThrottleReasons::HW_SLOWDOWN;
        let mut told = Vec::new();
        if slowed.intersects(heat) {
            told.push((ThrottleKind::Heat, "the GPU reports a slowdown".to_owned()));
        }
        if slowed.intersects(ThrottleReasons::SW_POWER_CAP) {
            let what = "the GPU reports its power limit";
            told.push((ThrottleKind::PowerCap, what.to_owned()));
        }
        NvmlValues {
            load_percent: number(
                "nvmlDeviceGetUtilizationRates",
                device.utilization_rates().map(|rates| rates.gpu),
            ),
            clock_mhz: number("nvmlDeviceGetClockInfo", device.clock_info(Clock::SM)),
            memory_mhz: number("nvmlDeviceGetClockInfo", device.clock_info(Clock::Memory)),
            celsius: number(
                "nvmlDeviceGetTemperature",
                device.temperature(TemperatureSensor::Gpu),
            ),
            watts: number("nvmlDeviceGetPowerUsage", device.power_usage()).map(|mw| mw / 1e3),
            used_bytes: device
                .memory_info()
                .map(|memory| memory.used as f64)
                .map_err(|error| reason("nvmlDeviceGetMemoryInfo", &error)),
            told,
        }
    }
}

fn reason(call: &str, error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => {
            "no NVIDIA management library (libnvidia-ml.so.1) here".to_owned()
        }
        error => format!("{call}: {error}"),
    }
}
