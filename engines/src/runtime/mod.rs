//! What executes components on a device's memory: one trait, a folder per runtime.
//!
//! A runtime states what it needs of memory, loads the components of a bundle into memory that it is
//! given, and runs them on tensors of the arena. It has no notion of frames, objects or banks. A
//! new runtime is a folder here and a line in [`RuntimeKind::ALL`].
//!
//! Not here: memory, copies and time stamps ([`crate::device`]); which pair is taken
//! ([`crate::backend`]).

#[cfg(feature = "cpu")]
pub mod rten;
pub mod tensorrt;

use crate::bundle::{Bundle, Component};
use crate::device::cuda::CudaDevice;
use crate::device::host::HostDevice;
use crate::device::{Device, DeviceKind};
use crate::error::{Error, Result};
use crate::memory::{Arena, PlanRow, TensorMut, TensorRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::PathBuf;
use std::rc::Rc;

/// Runs components on arena memory.
///
/// Work may be queued on the device's stream: a call returns when it has been requested, in order.
pub trait Runtime {
    /// What it is, for records.
    fn facts(&self) -> RuntimeFacts;

    /// What it keeps of the arena for the whole run, in the order in which [`Runtime::load`] takes
    /// it: weights, persistent context memory, one scratch block for all components.
    fn rows(&self) -> Vec<PlanRow>;

    /// Takes [`Runtime::rows`] from the arena and loads the components. Called once, before anything
    /// runs; the arena must outlive every later call.
    ///
    /// # Errors
    /// When the arena is too small or a component does not load.
    fn load(&self, arena: &mut Arena) -> Result<()>;

    /// Whether tensors should have the same addresses in every video, so that captured graphs can be
    /// replayed.
    fn wants_fixed_addresses(&self) -> bool {
        false
    }

    /// Runs a component. Inputs and outputs come in the order of [`Component::tensors`].
    ///
    /// # Errors
    /// When the runtime fails or a tensor does not fit.
    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<()>;
}

/// What a runtime is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// Its name and version.
    pub version: String,
    /// Threads of a runtime that computes on the CPU.
    pub threads: Option<usize>,
    /// Whether it is a simulation for tests: nothing it does is a measurement.
    pub simulated: bool,
    /// What the arena does not hold, in a sentence, so that nobody takes its bytes for all.
    pub outside_arena: String,
}

/// Whether components run from captured CUDA graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum GraphMode {
    /// Where capturing works, and without where it does not.
    #[default]
    Auto,
    /// Always; a component that cannot be captured is an error.
    On,
    /// Never.
    Off,
}

/// How a runtime runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// Worker threads on the CPU; at least 1.
    pub threads: usize,
    /// Where TensorRT engines are; `None` for the usual places.
    pub engines: Option<PathBuf>,
    /// Which of several TensorRT engines that fit: the options that they were built with, as `masklet
    /// engines list` prints them; `None` for the default ones.
    pub engine_options: Option<String>,
    /// Captured graphs.
    pub graphs: GraphMode,
    /// Whether the C library's heap may be tuned for the runtime: a choice about the whole process,
    /// so for programs, not for libraries.
    pub tune_heap: bool,
}

/// A device that was opened, for the runtimes that need more of it than [`Device`].
#[derive(Clone)]
pub enum OpenDevice {
    /// The CPU.
    Host(Rc<HostDevice>),
    /// A CUDA device.
    Cuda(Rc<CudaDevice>),
}

impl OpenDevice {
    /// The device, whichever it is.
    pub fn shared(&self) -> Rc<dyn Device> {
        match self {
            Self::Host(device) => Rc::<HostDevice>::clone(device),
            Self::Cuda(device) => Rc::<CudaDevice>::clone(device),
        }
    }
}

/// What a runtime answers before it is opened.
struct Entry {
    /// Name on the command line and in records.
    name: &'static str,
    /// Name in sentences.
    title: &'static str,
    /// Devices that it runs on, the preferred one first, and what rows of results call the pair.
    devices: &'static [(DeviceKind, &'static str)],
    /// Whether this machine can run it on such a device; the error is what is missing.
    available: fn(DeviceKind) -> Result<()>,
    /// Opens it for a bundle; nothing is loaded yet.
    open: fn(&Bundle, &OpenDevice, &RuntimeOptions) -> Result<Box<dyn Runtime>>,
    /// What it keeps of the arena, as far as that is known without a device.
    recorded_rows: fn(&Bundle, &RuntimeOptions) -> Result<Vec<PlanRow>>,
}

/// One of the runtimes of this library.
#[derive(Clone, Copy)]
pub struct RuntimeKind(&'static Entry);

impl RuntimeKind {
    /// All runtimes, in the order in which `auto` tries them.
    pub const ALL: &[Self] = &[
        tensorrt::KIND,
        #[cfg(feature = "cpu")]
        rten::KIND,
    ];

    /// The runtime of a name; `cpu` is rten's too.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "cpu" { "rten" } else { name };
        Self::ALL.iter().find(|kind| kind.name() == name).copied()
    }

    /// The name on the command line and in records.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The name in sentences.
    pub fn title(self) -> &'static str {
        self.0.title
    }

    /// Devices that it runs on, the preferred one first.
    pub fn devices(self) -> impl Iterator<Item = DeviceKind> {
        self.0.devices.iter().map(|(device, _)| *device)
    }

    /// What rows of results call the runtime on a device.
    pub fn label(self, device: DeviceKind) -> &'static str {
        let known = self.0.devices.iter().find(|(kind, _)| *kind == device);
        known.map_or(self.0.name, |(_, label)| label)
    }

    /// Whether this machine can run it on such a device.
    ///
    /// # Errors
    /// A sentence that names what is missing.
    pub fn available(self, device: DeviceKind) -> Result<()> {
        (self.0.available)(device)
    }

    /// Opens it for a bundle; nothing is loaded yet.
    ///
    /// # Errors
    /// When the library is missing, or the bundle is not for it.
    pub(crate) fn open(
        self,
        bundle: &Bundle,
        device: &OpenDevice,
        options: &RuntimeOptions,
    ) -> Result<Box<dyn Runtime>> {
        (self.0.open)(bundle, device, options)
    }

    /// What it keeps of the arena, as far as that is known without a device.
    ///
    /// # Errors
    /// When that is not known.
    pub(crate) fn recorded_rows(
        self,
        bundle: &Bundle,
        options: &RuntimeOptions,
    ) -> Result<Vec<PlanRow>> {
        (self.0.recorded_rows)(bundle, options)
    }
}

impl PartialEq for RuntimeKind {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for RuntimeKind {}

impl std::fmt::Debug for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl std::fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Serialize for RuntimeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl<'de> Deserialize<'de> for RuntimeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format!("'{name}' is not a runtime"));
        Self::named(&name).ok_or_else(unknown)
    }
}

/// A runtime asked for on a device that it does not run on.
pub(crate) fn wrong_device(kind: RuntimeKind, device: DeviceKind) -> Error {
    let own: Vec<&str> = kind.devices().map(DeviceKind::name).collect();
    Error::usage(format!(
        "{} does not run on {device}, only on {}",
        kind.title(),
        own.join(" and ")
    ))
}

/// A component that did not load.
#[cfg(feature = "cpu")]
fn load_error(kind: RuntimeKind, component: Component, message: &dyn std::fmt::Display) -> Error {
    let (title, component) = (kind.title(), component.name());
    Error::run(format!("{title} cannot load '{component}': {message}"))
}

/// A component that failed while it ran.
fn run_error(kind: RuntimeKind, component: Component, message: &dyn std::fmt::Display) -> Error {
    let (title, component) = (kind.title(), component.name());
    Error::run(format!("{title} failed in '{component}': {message}"))
}
