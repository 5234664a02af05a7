//! The CPU backend: components run by the `rten` runtime, tensors in a host slab.
//!
//! It is the embedded default and the fp32 reference for the other backends. Every tensor at a
//! component's boundary lies in the arena; weights and the runtime's scratch memory do not, they
//! are the runtime's own heap, which reports must say ([`BackendInfo::outside_arena`]).

mod heap;

pub use heap::keep_heap;

use crate::backend::{
    Backend, BackendError, BackendInfo, BackendKind, DeviceFrames, FrameLimits, Needs, Stamp,
};
use crate::bundle::{Bundle, Component, Precision};
use crate::memory::{AccessError, Arena, Element, Slab, TensorMut, TensorRef};
use crate::tensor::DType;
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueView};
use rten_tensor::{AsView, Layout};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How the CPU backend runs.
#[derive(Clone, Copy, Debug)]
pub struct CpuOptions {
    /// Worker threads of the runtime; at least 1.
    pub threads: usize,
}

/// A component as the runtime holds it.
struct Loaded {
    model: Model,
    /// Graph inputs in the contract's order.
    inputs: Vec<NodeId>,
    /// Graph outputs in the contract's order.
    outputs: Vec<NodeId>,
}

/// Components on the CPU.
pub struct CpuBackend {
    components: Vec<(Component, Loaded)>,
    pool: Arc<ThreadPool>,
    threads: usize,
}

impl CpuBackend {
    /// Loads all components of a bundle.
    ///
    /// # Errors
    /// When the bundle computes in bfloat16, or the runtime refuses a graph.
    pub fn open(bundle: &Bundle, options: &CpuOptions) -> Result<Self, BackendError> {
        if bundle.manifest().precision == Precision::Bf16 {
            return Err(BackendError::Precision {
                kind: BackendKind::Cpu,
                precision: bundle.manifest().precision.to_string(),
                advice: "its runtime has no bfloat16; export the model with --precision fp32"
                    .to_owned(),
            });
        }
        let threads = options.threads.max(1);
        let components = Component::ALL
            .into_iter()
            .map(|component| Ok((component, load(bundle, component)?)))
            .collect::<Result<Vec<_>, BackendError>>()?;
        Ok(Self {
            components,
            pool: Arc::new(ThreadPool::with_num_threads(threads)),
            threads,
        })
    }

    fn loaded(&self, component: Component) -> Result<&Loaded, BackendError> {
        self.components
            .iter()
            .find(|(c, _)| *c == component)
            .map(|(_, loaded)| loaded)
            .ok_or_else(|| run_error(component, "the component was not loaded".to_owned()))
    }
}

fn load(bundle: &Bundle, component: Component) -> Result<Loaded, BackendError> {
    let fail = |message: String| BackendError::Load {
        kind: BackendKind::Cpu,
        component: component.name(),
        message,
    };
    let mut options = ModelOptions::with_all_ops();
    // Packing costs memory and pays off for what runs on every frame.
    options.prepack_weights(matches!(
        component,
        Component::ImageEncoder | Component::TrackStep
    ));
    let model = match bundle.graph(component)? {
        Cow::Borrowed(bytes) => options.load_static_slice(bytes),
        Cow::Owned(bytes) => options.load(bytes),
    }
    .map_err(|error| fail(error.to_string()))?;
    let entry = bundle.component(component);
    let (inputs, outputs) = component.tensors(bundle.manifest());
    let ids = |names: &[crate::tensor::TensorSpec]| {
        names
            .iter()
            .map(|spec| model.node_id(&spec.name))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| fail(format!("{}: {error}", entry.file)))
    };
    let (inputs, outputs) = (ids(&inputs)?, ids(&outputs)?);
    Ok(Loaded {
        model,
        inputs,
        outputs,
    })
}

fn run_error(component: Component, message: String) -> BackendError {
    BackendError::Run {
        kind: BackendKind::Cpu,
        component: component.name(),
        message,
    }
}

/// An arena tensor as the runtime's view of it, no copy.
fn view(component: Component, tensor: TensorRef<'_>) -> Result<ValueView<'_>, BackendError> {
    let shape = tensor.shape();
    let bad = |error: &dyn std::fmt::Display| run_error(component, error.to_string());
    match tensor.dtype() {
        DType::F32 => {
            ValueView::from_shape(shape.as_slice(), tensor.as_slice::<f32>()?).map_err(|e| bad(&e))
        }
        DType::I32 => {
            ValueView::from_shape(shape.as_slice(), tensor.as_slice::<i32>()?).map_err(|e| bad(&e))
        }
        other => Err(run_error(
            component,
            format!("inputs of type {other} are not supported"),
        )),
    }
}

fn same_len(component_or_copy: &str, from: usize, to: usize) -> Result<(), BackendError> {
    if from == to {
        return Ok(());
    }
    Err(BackendError::Run {
        kind: BackendKind::Cpu,
        component: "copy",
        message: format!("{component_or_copy}: {from} elements do not fit into {to}"),
    })
}

fn write<T: Element>(values: &[T], to: TensorMut<'_>) -> Result<(), BackendError> {
    let to = to.into_slice::<T>()?;
    same_len("upload", values.len(), to.len())?;
    to.copy_from_slice(values);
    Ok(())
}

fn store(component: Component, value: &Value, to: &mut TensorMut<'_>) -> Result<(), BackendError> {
    let Value::FloatTensor(tensor) = value else {
        return Err(run_error(
            component,
            "an output is not a float tensor".to_owned(),
        ));
    };
    let to = to.as_mut_slice::<f32>()?;
    if tensor.len() != to.len() {
        return Err(run_error(
            component,
            format!(
                "an output has {} elements, expected {}",
                tensor.len(),
                to.len()
            ),
        ));
    }
    match tensor.data() {
        Some(values) => to.copy_from_slice(values),
        None => to
            .iter_mut()
            .zip(tensor.iter())
            .for_each(|(to, v)| *to = *v),
    }
    Ok(())
}

/// What this backend says about itself.
pub(crate) fn info(threads: usize) -> BackendInfo {
    BackendInfo {
        kind: BackendKind::Cpu,
        runtime: "rten 0.27".to_owned(),
        device: "CPU".to_owned(),
        threads: Some(threads),
        simulated: false,
        outside_arena: "weights and the CPU runtime's scratch memory are on the process heap; the \
                        arena holds every tensor of the tracker"
            .to_owned(),
    }
}

impl Backend for CpuBackend {
    fn info(&self) -> BackendInfo {
        info(self.threads)
    }

    fn slab(&self, bytes: usize) -> Result<Slab, BackendError> {
        Ok(Slab::host(bytes)?)
    }

    fn staging_slab(&self, _bytes: usize) -> Result<Option<Slab>, BackendError> {
        Ok(None)
    }

    fn needs(&self, _frames: FrameLimits, _objects: usize) -> Needs {
        Needs::default()
    }

    fn settle(&self, _arena: &mut Arena, _staging: Option<&mut Arena>) -> Result<(), BackendError> {
        Ok(())
    }

    fn wants_fixed_addresses(&self) -> bool {
        false
    }

    fn driver_allocations(&self) -> Option<u64> {
        None
    }

    fn device_memory(&self) -> Option<crate::backend::DeviceMemory> {
        None
    }

    fn frames(&self) -> Option<&dyn DeviceFrames> {
        None
    }

    fn stamp(&self) -> Result<Stamp, BackendError> {
        Ok(Stamp::Host(Instant::now()))
    }

    fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration, BackendError> {
        match (from, to) {
            (Stamp::Host(from), Stamp::Host(to)) => Ok(to.saturating_duration_since(from)),
            _ => Err(BackendError::ForeignStamp {
                kind: BackendKind::Cpu,
            }),
        }
    }

    fn synchronize(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<(), BackendError> {
        let loaded = self.loaded(component)?;
        if inputs.len() != loaded.inputs.len() || outputs.len() != loaded.outputs.len() {
            return Err(run_error(
                component,
                format!(
                    "{} inputs and {} outputs were given, {} and {} are needed",
                    inputs.len(),
                    outputs.len(),
                    loaded.inputs.len(),
                    loaded.outputs.len()
                ),
            ));
        }
        let values = loaded
            .inputs
            .iter()
            .zip(inputs)
            .map(|(&id, &tensor)| Ok((id, ValueOrView::View(view(component, tensor)?))))
            .collect::<Result<Vec<_>, BackendError>>()?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let results = loaded
            .model
            .run(values, &loaded.outputs, Some(options))
            .map_err(|error| run_error(component, error.to_string()))?;
        for (value, output) in results.iter().zip(outputs) {
            store(component, value, output)?;
        }
        Ok(())
    }

    fn upload_f32(&self, values: &[f32], to: TensorMut<'_>) -> Result<(), BackendError> {
        write(values, to)
    }

    fn upload_i32(&self, values: &[i32], to: TensorMut<'_>) -> Result<(), BackendError> {
        write(values, to)
    }

    fn download_f32(&self, from: TensorRef<'_>, to: &mut [f32]) -> Result<(), BackendError> {
        let from = from.as_slice::<f32>()?;
        same_len("download", from.len(), to.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn download_i32(&self, from: TensorRef<'_>, to: &mut [i32]) -> Result<(), BackendError> {
        let from = from.as_slice::<i32>()?;
        same_len("download", from.len(), to.len())?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<(), BackendError> {
        match from.dtype() {
            DType::F32 => write(from.as_slice::<f32>()?, to),
            DType::I32 => write(from.as_slice::<i32>()?, to),
            DType::U8 => write(from.as_slice::<u8>()?, to),
            held => Err(AccessError::WrongType {
                held,
                wanted: to.dtype(),
            }
            .into()),
        }
    }

    fn copy_through_bf16(
        &self,
        from: TensorRef<'_>,
        to: TensorMut<'_>,
    ) -> Result<(), BackendError> {
        let from = from.as_slice::<f32>()?;
        let to = to.into_slice::<f32>()?;
        same_len("copy", from.len(), to.len())?;
        for (to, from) in to.iter_mut().zip(from) {
            *to = half::bf16::from_f32(*from).to_f32();
        }
        Ok(())
    }

    fn zero(&self, to: TensorMut<'_>) -> Result<(), BackendError> {
        match to.dtype() {
            DType::F32 => to.into_slice::<f32>()?.fill(0.0),
            DType::I32 => to.into_slice::<i32>()?.fill(0),
            DType::U8 => to.into_slice::<u8>()?.fill(0),
            held => {
                return Err(AccessError::WrongType {
                    held,
                    wanted: DType::F32,
                }
                .into());
            }
        }
        Ok(())
    }
}
