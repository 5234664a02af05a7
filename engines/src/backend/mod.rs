//! A device with a runtime: chosen, opened and put together in this one place.

use crate::bundle::{Bundle, Component};
use crate::device::cuda::{CudaDevice, CudaOptions};
use crate::device::host::HostDevice;
use crate::device::{Device, DeviceKind, FrameLimits};
use crate::error::{Error, Result};
use crate::memory::{Arena, PlanRow, TensorMut, TensorRef};
use crate::runtime::{OpenDevice, Runtime, RuntimeKind, RuntimeOptions};
use serde::Serialize;
use std::rc::Rc;

/// What a backend is, for `run.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendInfo {
    /// The pair as rows and tables name it, such as `tensorrt` or `cpu`.
    pub kind: &'static str,
    /// The runtime and its version.
    pub runtime: String,
    /// The device's name.
    pub device: String,
    /// Threads of a runtime that computes on the CPU.
    pub threads: Option<usize>,
    /// Whether the device or the runtime is simulated for tests: nothing it does is a measurement.
    pub simulated: bool,
    /// What the arena does not hold, in a sentence, so that nobody takes its bytes for all.
    pub outside_arena: String,
}

impl BackendInfo {
    /// The kind as rows and tables name it, with a note where it is simulated.
    pub fn label(&self) -> String {
        if self.simulated {
            format!("{} (simulated)", self.kind)
        } else {
            self.kind.to_owned()
        }
    }
}

/// What a backend needs of memory besides the tracker's own tensors: plain data, so that a plan can
/// be made where the device is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryRequirements {
    /// Kept in the process region: the runtime's ([`Runtime::rows`]).
    pub process: Vec<PlanRow>,
    /// The device's, for the ends of the pipeline.
    pub ends: crate::device::EndRows,
}

/// How a backend runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendOptions {
    /// The runtime's part.
    pub runtime: RuntimeOptions,
    /// A CUDA device's part. Its ordinal is the device that is opened.
    pub cuda: CudaOptions,
}

/// A device and a runtime that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The kind of device.
    pub device: DeviceKind,
    /// The runtime.
    pub runtime: RuntimeKind,
}

impl Pair {
    /// As rows and tables name it.
    pub fn label(self) -> &'static str {
        self.runtime.label(self.device)
    }

    /// Whether this machine has what the pair needs.
    ///
    /// # Errors
    /// A sentence that names what is missing.
    pub fn available(self) -> Result<()> {
        self.runtime.available(self.device)
    }

    /// Opens the pair for a bundle. Nothing is loaded yet, and no slab taken.
    ///
    /// # Errors
    /// When this machine or the bundle lacks what the pair needs.
    pub fn open(self, bundle: &Bundle, options: &BackendOptions) -> Result<Backend> {
        let side = bundle.manifest().image_size;
        let device = match self.device {
            DeviceKind::Host => OpenDevice::Host(Rc::new(HostDevice)),
            DeviceKind::Cuda => OpenDevice::Cuda(Rc::new(CudaDevice::open(options.cuda, side)?)),
        };
        Ok(Backend {
            runtime: self.runtime.open(bundle, &device, &options.runtime)?,
            device: device.shared(),
            pair: self,
            side,
        })
    }

    /// What a run will need, as far as that is known without the device: from what the engines
    /// folder has on record.
    ///
    /// # Errors
    /// When an engine is missing, or none has been measured.
    pub fn recorded_requirements(
        self,
        bundle: &Bundle,
        options: &BackendOptions,
        frames: FrameLimits,
        objects: usize,
    ) -> Result<MemoryRequirements> {
        let side = bundle.manifest().image_size;
        Ok(MemoryRequirements {
            process: self.runtime.recorded_rows(bundle, &options.runtime)?,
            ends: match self.device {
                DeviceKind::Host => HostDevice.end_rows(frames, objects, side),
                DeviceKind::Cuda => crate::device::cuda::end_rows(frames, objects, side),
            },
        })
    }
}

/// Which pairs are wanted: one, some or any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The kind of device; `None` for any.
    pub device: Option<DeviceKind>,
    /// The runtime; `None` for any.
    pub runtime: Option<RuntimeKind>,
}

/// The backends of several bundles, all of the same pair.
pub struct Opened {
    /// The pair.
    pub pair: Pair,
    /// One backend per bundle, in their order.
    pub backends: Vec<Backend>,
    /// Pairs that were tried before, each with the reason why it was not taken.
    pub passed_over: Vec<(Pair, Error)>,
}

impl Selection {
    /// The pairs that are wanted, in the order in which they are tried: TensorRT, ONNX Runtime on a
    /// device, ONNX Runtime on the CPU, rten.
    ///
    /// # Errors
    /// When the runtime does not run on the device.
    pub fn pairs(self) -> Result<Vec<Pair>> {
        let wanted = |kind: &&RuntimeKind| self.runtime.is_none_or(|wanted| wanted == **kind);
        let pairs: Vec<Pair> = RuntimeKind::ALL
            .iter()
            .filter(wanted)
            .flat_map(|&runtime| {
                runtime
                    .devices()
                    .map(move |device| Pair { device, runtime })
            })
            .filter(|pair| self.device.is_none_or(|wanted| wanted == pair.device))
            .collect();
        match (pairs.is_empty(), self.runtime, self.device) {
            (true, Some(runtime), Some(device)) => {
                Err(crate::runtime::wrong_device(runtime, device))
            }
            (true, ..) => Err(Error::environment(
                "this program was built without a runtime for that device",
            )),
            (false, ..) => Ok(pairs),
        }
    }

    /// Opens the first pair that this machine can run all bundles on.
    ///
    /// # Errors
    /// When there is none: the last pair's reason, with those of the others before it where several
    /// were wanted.
    pub fn open(self, bundles: &[&Bundle], options: &BackendOptions) -> Result<Opened> {
        let mut passed_over: Vec<(Pair, Error)> = Vec::new();
        for pair in self.pairs()? {
            let opened = pair.available().map_err(|error| {
                let text = format!("{} cannot run here: {error}", describe(pair));
                Error::new(error.class(), text)
            });
            let opened = opened.and_then(|()| {
                let all = bundles.iter().map(|bundle| pair.open(bundle, options));
                all.collect::<Result<Vec<_>>>()
            });
            match opened {
                Ok(backends) => {
                    return Ok(Opened {
                        pair,
                        backends,
                        passed_over,
                    });
                }
                Err(error) => passed_over.push((pair, error)),
            }
        }
        let Some((_, error)) = passed_over.pop() else {
            return Err(Error::environment("there is no runtime"));
        };
        if passed_over.is_empty() {
            return Err(error);
        }
        let text = passed_over
            .iter()
            .fold(error.to_string(), |text, (_, error)| {
                format!("{text}; {error}")
            });
        Err(Error::new(error.class(), text))
    }
}

/// A pair in a sentence.
fn describe(pair: Pair) -> String {
    if pair.runtime.devices().count() > 1 {
        format!("{} on {}", pair.runtime.title(), pair.device)
    } else {
        pair.runtime.title().to_owned()
    }
}

/// A device with a runtime.
pub struct Backend {
    // Before the device: what runs goes before what it runs on.
    runtime: Box<dyn Runtime>,
    device: Rc<dyn Device>,
    pair: Pair,
    /// S, the side of the model's input.
    side: usize,
}

impl Backend {
    /// What it is, for records.
    pub fn info(&self) -> BackendInfo {
        let (device, runtime) = (self.device.facts(), self.runtime.facts());
        BackendInfo {
            kind: self.pair.label(),
            runtime: runtime.version,
            device: device.name,
            threads: runtime.threads,
            simulated: device.simulated || runtime.simulated,
            outside_arena: runtime.outside_arena,
        }
    }

    /// The device: memory, copies, time stamps.
    pub fn device(&self) -> &dyn Device {
        self.device.as_ref()
    }

    /// What the backend needs of memory for frames of these sizes and this many objects at once.
    pub fn requirements(&self, frames: FrameLimits, objects: usize) -> MemoryRequirements {
        MemoryRequirements {
            process: self.runtime.rows(),
            ends: self.device.end_rows(frames, objects, self.side),
        }
    }

    /// Takes what device and runtime keep from the arena, and from the staging memory where there is
    /// one, and loads the components. Called once, before anything runs; both must outlive every
    /// later call.
    ///
    /// # Errors
    /// When the arena is too small or a component does not load.
    pub fn load(&self, arena: &mut Arena, staging: Option<&mut Arena>) -> Result<()> {
        self.device.keep(staging)?;
        self.runtime.load(arena)
    }

    /// Whether tensors should have the same addresses in every video ([`Runtime`]).
    pub fn wants_fixed_addresses(&self) -> bool {
        self.runtime.wants_fixed_addresses()
    }

    /// Runs a component. Inputs and outputs come in the order of [`Component::tensors`].
    ///
    /// # Errors
    /// When the runtime fails or a tensor does not fit.
    pub fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<()> {
        self.runtime.run(component, inputs, outputs)
    }

    /// The same backend with its runtime wrapped in another, to observe what it does.
    #[must_use]
    pub fn wrapped(
        self,
        wrap: impl FnOnce(Box<dyn Runtime>, Rc<dyn Device>) -> Box<dyn Runtime>,
    ) -> Self {
        Self {
            runtime: wrap(self.runtime, Rc::clone(&self.device)),
            ..self
        }
    }
}
