//! Options of telemetry, and starting it.

use crate::machine::{GpuChoice, SystemRoot, Telemetry, TelemetryOptions};
use clap::Args;
use masklet_engines::backend::BackendKind;
use std::path::PathBuf;
use std::sync::Arc;

/// What to watch while a run goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Samples of power, clocks, temperatures and memory per second, 1 to 10; 0 for none.
    #[arg(long, default_value_t = 5, value_name = "HZ", value_parser = clap::value_parser!(u32).range(0..=10))]
    pub telemetry_hz: u32,
    /// A tree that stands in for / (for tests).
    #[arg(long, env = crate::machine::ROOT_ENV, hide = true, value_name = "DIR")]
    pub system_root: Option<PathBuf>,
}

impl TelemetryArgs {
    /// Where the machine is asked about itself.
    pub fn root(&self) -> SystemRoot {
        match &self.system_root {
            Some(root) if !root.as_os_str().is_empty() => SystemRoot::at(root),
            _ => SystemRoot::real(),
        }
    }

    /// What must be said when the machine is not the one that is asked.
    pub fn notice(&self) -> Option<String> {
        let root = self
            .system_root
            .as_ref()
            .filter(|_| !self.root().is_real())?;
        Some(format!(
            "STAND-IN: sensors, memory figures and the environment are read below {}; they are not \
             this machine's",
            root.display()
        ))
    }

    /// Starts sampling; a discrete GPU is watched when the run is on it.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(
        &self,
        backend: BackendKind,
        device: usize,
    ) -> std::io::Result<Option<Arc<Telemetry>>> {
        if self.telemetry_hz == 0 {
            return Ok(None);
        }
        let gpu = (backend == BackendKind::TensorRt).then(|| GpuChoice {
            ordinal: device,
            pci: masklet_engines::cuda::pci_address(device),
        });
        let telemetry = Telemetry::start(&TelemetryOptions {
            hz: self.telemetry_hz,
            root: self.root(),
            gpu,
        })?;
        Ok(Some(Arc::new(telemetry)))
    }
}
