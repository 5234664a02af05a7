//! A discrete NVIDIA GPU, through NVML (`libnvidia-ml.so.1`), which is looked for at run time.

use super::gpu::IntegratedGpu;
use super::nvmap::{self, GpuProcess};
use super::root::SystemRoot;
use super::sensors::{Sensor, Told, Value, column};
use super::series::Column;
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
    name: String,
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
}

impl Sensor for NvmlGpu {
    fn columns(&self) -> Vec<Column> {
        let source = format!("NVML, {}", self.name);
        let names = [
            column::GPU_LOAD,
            column::GPU_CLOCK,
            "emc_clock_mhz",
            "gpu_memory_used_bytes",
            "temperature_nvml_gpu_c",
        ];
        let mut columns = names.map(|name| Column::new(name, source.clone())).to_vec();
        let power = format!("{source}: the GPU's board alone");
        columns.push(Column::new(column::POWER, power));
        columns
    }

    fn read(&mut self, told: &mut Told) -> Vec<Value> {
        let device = match self.nvml.device_by_index(self.index) {
            Ok(device) => device,
            Err(error) => {
                let gone = reason("nvmlDeviceGetHandleByIndex", &error);
                return vec![Err(gone); 6];
            }
        };
        let slowed = device
            .current_throttle_reasons()
            .unwrap_or(ThrottleReasons::empty());
        let heat = ThrottleReasons::SW_THERMAL_SLOWDOWN
            | ThrottleReasons::HW_THERMAL_SLOWDOWN
            | ThrottleReasons::HW_SLOWDOWN;
        if slowed.intersects(heat) {
            told.push((ThrottleKind::Heat, "the GPU reports a slowdown".to_owned()));
        }
        if slowed.intersects(ThrottleReasons::SW_POWER_CAP) {
            let what = "the GPU reports its power limit";
            told.push((ThrottleKind::PowerCap, what.to_owned()));
        }
        let value = |call: &str, result: Result<f64, NvmlError>| {
            result.map_err(|error| reason(call, &error))
        };
        let load = device.utilization_rates().map(|rates| f64::from(rates.gpu));
        let clock = |which| device.clock_info(which).map(f64::from);
        let used = device.memory_info().map(|memory| memory.used as f64);
        let celsius = device.temperature(TemperatureSensor::Gpu).map(f64::from);
        let watts = device.power_usage().map(|mw| f64::from(mw) / 1e3);
        vec![
            value("nvmlDeviceGetUtilizationRates", load),
            value("nvmlDeviceGetClockInfo", clock(Clock::SM)),
            value("nvmlDeviceGetClockInfo", clock(Clock::Memory)),
            value("nvmlDeviceGetMemoryInfo", used),
            value("nvmlDeviceGetTemperature", celsius),
            value("nvmlDeviceGetPowerUsage", watts),
        ]
    }

    fn allowed_mhz(&self) -> Option<f64> {
        let device = self.nvml.device_by_index(self.index).ok()?;
        device.max_clock_info(Clock::SM).ok().map(f64::from)
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
