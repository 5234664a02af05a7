//! The GPU: hardware, driver, TensorRT, headers, who else uses it, and the backend that follows.

use super::board::is_jetson;
use super::{Check, Section};
use crate::figures::stats::bytes;
use crate::machine::{Environment, GpuChoice, SystemRoot, gpu_processes};
use masklet_engines::backend::Selection;
use masklet_engines::cuda;
use masklet_engines::device::DeviceKind;
use masklet_engines::engine::Device;
use masklet_engines::tensorrt::{self, Library};

const HERE: Section = Section::Gpu;

/// What is said where there is no GPU and none is needed.
const NOT_THERE: &str = "not there; the CPU backend will be used";

/// What the GPU's checks found, for those that follow.
pub(super) struct Found {
    /// Whether there is a GPU, working or not.
    pub hardware: bool,
    /// Device and TensorRT that engines would run on; the reason where there is none.
    pub device: Result<Device, String>,
}

/// Looks at the GPU of this ordinal.
pub(super) fn checks(root: &SystemRoot, ordinal: usize) -> (Vec<Check>, Found) {
    // A container may show a device and no bus.
    let by_driver = root.is_real() && cuda::availability().is_ok();
    let hardware = hardware(root)
        .or_else(|| by_driver.then(|| "a CUDA device, seen by the driver alone".to_owned()));
    let driver = driver(root, ordinal, hardware.as_deref());
    let works = driver.outcome != super::Outcome::Failure;
    let (tensorrt, library) = tensorrt(root, hardware.is_some());
    let mut checks = vec![
        match &hardware {
            Some(what) => Check::ok(HERE, "hardware", what.clone()),
            None => Check::not_checked(HERE, "hardware", NOT_THERE),
        },
        driver,
        tensorrt,
        headers(root, hardware.is_some()),
        nvjpeg(root, hardware.is_some()),
        others(root, ordinal, hardware.is_some()),
    ];
    let device = device(root, ordinal, works, library);
    checks.push(backends(root, hardware.is_some()));
    let found = Found {
        hardware: hardware.is_some(),
        device,
    };
    (checks, found)
}

/// An NVIDIA GPU, as the system's own lists show it, whatever the driver's state.
fn hardware(root: &SystemRoot) -> Option<String> {
    let environment = Environment::read(root);
    if is_jetson(&environment) {
        return Some("the Jetson's own".to_owned());
    }
    let nvidia = |device: &String| {
        let is = |file: &str, prefix: &str| {
            let text = root.read(&format!("{device}/{file}"));
            text.is_ok_and(|text| text.starts_with(prefix))
        };
        // Display controllers (class 03) of NVIDIA.
        is("vendor", "0x10de") && is("class", "0x03")
    };
    let count = root
        .list("/sys/bus/pci/devices")
        .iter()
        .filter(|device| nvidia(device))
        .count();
    // Containers may hide the bus and still have the devices.
    let node = root.exists("/dev/nvidia0");
    match count {
        0 if node => Some("an NVIDIA GPU (/dev/nvidia0)".to_owned()),
        0 => None,
        1 => Some("one NVIDIA GPU on the PCI bus".to_owned()),
        n => Some(format!("{n} NVIDIA GPUs on the PCI bus")),
    }
}

fn stand_in(name: &'static str) -> Check {
    Check::not_checked(
        HERE,
        name,
        "a stand-in tree is read; this machine is not asked",
    )
}

fn driver(root: &SystemRoot, ordinal: usize, hardware: Option<&str>) -> Check {
    const NAME: &str = "CUDA driver";
    if !root.is_real() {
        return stand_in(NAME);
    }
    let jetson = root.exists("/etc/nv_tegra_release");
    let fix = match jetson {
        true => "sudo apt-get install --reinstall nvidia-l4t-cuda && sudo reboot",
        false => "nvidia-smi   # says whether the driver runs; install the driver for this kernel",
    };
    let info = cuda::describe_device(ordinal);
    match info {
        Ok(info) => {
            let (major, minor) = info.compute_capability;
            let version = info.driver_version;
            let simulated = match info.simulated {
                true => "; SIMULATED, not a GPU",
                false => "",
            };
            let found = format!(
                "{}, compute capability {major}.{minor}, {}, driver for CUDA {}.{}{simulated}",
                info.name,
                bytes(info.total_bytes),
                version / 1000,
                version % 1000 / 10
            );
            match version < 12_000 {
                true => Check::warning(
                    HERE,
                    NAME,
                    format!("{found}: TensorRT 10 wants CUDA 12"),
                    fix,
                ),
                false => Check::ok(HERE, NAME, found),
            }
        }
        Err(_) if hardware.is_none() => Check::not_checked(HERE, NAME, NOT_THERE),
        Err(error) => Check::failure(HERE, NAME, error.to_string(), fix),
    }
}

fn tensorrt(root: &SystemRoot, hardware: bool) -> (Check, Result<Library, String>) {
    const NAME: &str = "TensorRT";
    const JETSON_FIX: &str =
        "sudo apt-get install -y libnvinfer-bin libnvinfer-headers-dev libnvonnxparsers-dev";
    if !root.is_real() {
        return (stand_in(NAME), Err("a stand-in tree is read".to_owned()));
    }
    let fix = match root.exists("/etc/nv_tegra_release") {
        true => JETSON_FIX,
        false => {
            "export MASKLET_TENSORRT_LIB=/folder/with/libnvinfer.so.10   # or install TensorRT"
        }
    };
    match tensorrt::load(None) {
        Ok(library) => {
            let found = format!(
                "{} {} ({})",
                library.flavour(),
                library.full_version(),
                library.name()
            );
            let check = match library.can_build() {
                Ok(()) => Check::ok(HERE, NAME, found),
                Err(reason) => Check::warning(
                    HERE,
                    NAME,
                    format!("{found} runs engines, but builds none: {reason}"),
                    fix,
                ),
            };
            (check, Ok(library))
        }
        Err(error) => {
            let reason = error.to_string();
            let check = match hardware {
                true => Check::failure(HERE, NAME, reason.clone(), fix),
                false => Check::not_checked(HERE, NAME, NOT_THERE),
            };
            (check, Err(reason))
        }
    }
}

fn headers(root: &SystemRoot, hardware: bool) -> Check {
    const NAME: &str = "TensorRT headers";
    if !root.is_real() {
        return stand_in(NAME);
    }
    let known = tensorrt::known_versions();
    match (known.starts_with("none"), hardware) {
        (false, _) => Check::ok(HERE, NAME, format!("built with those of {known}")),
        (true, false) => Check::not_checked(
            HERE,
            NAME,
            "this program was built without; the CPU backend will be used",
        ),
        (true, true) => Check::failure(
            HERE,
            NAME,
            "this program was built without them and cannot drive any TensorRT",
            "tools/setup && cargo build --release",
        ),
    }
}

fn nvjpeg(root: &SystemRoot, hardware: bool) -> Check {
    const NAME: &str = "nvJPEG";
    if !root.is_real() {
        return stand_in(NAME);
    }
    match cuda::JpegLibrary::load(None) {
        Ok(library) => Check::ok(
            HERE,
            NAME,
            format!("{library:?}; --jpeg-decoder nvjpeg uses it"),
        ),
        Err(_) if !hardware => Check::not_checked(HERE, NAME, NOT_THERE),
        Err(_) => Check::not_checked(
            HERE,
            NAME,
            "not here; JPEG frames are decoded by the CPU (--jpeg-decoder)",
        ),
    }
}

fn others(root: &SystemRoot, ordinal: usize, hardware: bool) -> Check {
    const NAME: &str = "other GPU programs";
    if !hardware {
        return Check::not_checked(HERE, NAME, NOT_THERE);
    }
    let choice = GpuChoice {
        ordinal,
        pci: match root.is_real() {
            true => cuda::pci_address(ordinal),
            false => None,
        },
    };
    let processes = match gpu_processes(root, &choice) {
        Ok(processes) => processes,
        Err(reason) => {
            let fix = match reason.contains("root only") || reason.contains("debug") {
                true => format!("{reason}: run masklet doctor as root to see them"),
                false => reason,
            };
            return Check::not_checked(HERE, NAME, fix);
        }
    };
    let own = std::process::id();
    let mut others: Vec<_> = processes.into_iter().filter(|p| p.pid != own).collect();
    others.sort_by_key(|process| std::cmp::Reverse(process.bytes));
    let Some(first) = others.first() else {
        return Check::ok(HERE, NAME, "none");
    };
    let held: u64 = others.iter().filter_map(|process| process.bytes).sum();
    let names: Vec<String> = others
        .iter()
        .take(4)
        .map(|process| {
            let name = process.name.as_deref().unwrap_or("?");
            format!("{name} (pid {})", process.pid)
        })
        .collect();
    let more = match others.len() {
        n if n > 4 => format!(" and {} more", n - 4),
        _ => String::new(),
    };
    let found = format!(
        "{} hold {}: {}{more}",
        others.len(),
        bytes(held),
        names.join(", ")
    );
    // A desktop's few megabytes do not matter; a second user of the GPU is.
    match held > (64 << 20) {
        true => Check::warning(
            HERE,
            NAME,
            format!("{found}; they distort timings"),
            format!("kill {}   # if it may end", first.pid),
        ),
        false => Check::ok(HERE, NAME, found),
    }
}

fn backends(root: &SystemRoot, hardware: bool) -> Check {
    const NAME: &str = "backends";
    if !root.is_real() {
        return stand_in(NAME);
    }
    let pairs = Selection::default().pairs().unwrap_or_default();
    let runs: Vec<_> = pairs
        .iter()
        .filter(|pair| pair.available().is_ok())
        .collect();
    let labels: Vec<&str> = runs.iter().map(|pair| pair.label()).collect();
    let found = labels.join(", ");
    if labels.is_empty() {
        Check::failure(
            HERE,
            NAME,
            "none: this program was built without the CPU runtime, and TensorRT cannot run here",
            "cargo build --release",
        )
    } else if hardware && runs.iter().all(|pair| pair.device == DeviceKind::Host) {
        Check::warning(
            HERE,
            NAME,
            format!("{found} alone; see the lines above for what TensorRT lacks"),
            "masklet run --device cpu   # works, slowly",
        )
    } else {
        Check::ok(HERE, NAME, found)
    }
}

fn device(
    root: &SystemRoot,
    ordinal: usize,
    works: bool,
    library: Result<Library, String>,
) -> Result<Device, String> {
    if !root.is_real() || !works {
        return Err("there is no working driver".to_owned());
    }
    let library = library?;
    let ordinal = i32::try_from(ordinal).unwrap_or(i32::MAX);
    let identity = tensorrt::driver::device(ordinal).map_err(|error| error.to_string())?;
    Ok(Device::new(&library, identity))
}
