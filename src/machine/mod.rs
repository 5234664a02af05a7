//! What the machine says of itself: memory of the process and the system, clocks, temperatures and
//! power over time, and the environment a run was made in.
//!
//! Everything is read from `/proc`, `/sys` and `/etc` below a [`SystemRoot`], so that tests can
//! set up a tree of their own; a discrete GPU is asked through NVML. A sensor that is missing is a
//! [`Reading`] without a value and with the reason, never a zero. Device memory is not read here:
//! the arena of `masklet-engines` keeps its own books.
//!
//! [`Telemetry`] samples in the background into a bounded [`Series`]; [`TelemetryMarks`] is what
//! the journal holds of it, [`TelemetryLog`] writes the raw series down.

mod environment;
mod gpu;
mod log;
mod marks;
mod memory;
mod nvmap;
mod nvml;
mod power;
mod power_mode;
mod reading;
mod recorder;
mod root;
mod sampler;
mod sensors;
mod series;
mod thermal;
mod throttle;

pub use environment::{Environment, cpu_model, git_describe, set_git_describe};
pub use log::TelemetryLog;
pub use marks::{
    ClipTelemetry, FrameInterval, SensorStats, TelemetryMarks, TelemetryRecord, clip_marks,
};
pub use memory::{MemorySnapshot, ProcessMemory, SystemMemory};
pub use nvmap::GpuProcess;
pub use nvml::{GpuChoice, gpu_processes};
pub use power_mode::{PowerMode, clocks_fixed, power_mode, power_modes};
pub use reading::Reading;
pub use recorder::{Mark, Recorder, Span, Telemetry, TelemetryOptions};
pub use root::{ROOT_ENV, SystemRoot};
pub use sampler::{MemorySampler, PeakMemory};
pub use series::{Column, Samples, Series};
pub use throttle::{ThrottleEvent, ThrottleKind};

#[cfg(test)]
mod board_tests;
#[cfg(test)]
mod tests;
