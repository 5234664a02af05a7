//! The engines of a bundle: found, measured once, loaded into the arena, run, captured.

use super::KIND;
use super::allocator::{KeptMemory, MeasuringMemory};
use crate::bundle::{Bundle, Component};
use crate::cuda::{Device, GraphExec, Stream};
use crate::engine::{self, EngineStore, Measured, StoredEngine, Wanted};
use crate::error::{Error, Result};
use crate::memory::{KeptBlock, PlanRow};
use crate::runtime::{GraphMode, run_error};
use crate::tensor::{DType, TensorSpec, element_count};
use crate::tensorrt::{self, Context, DeviceAllocator, Engine, Library, Runtime};
use std::sync::Arc;

/// Loads an engine and its context, both with memory from `allocator`.
fn load(
    library: &Library,
    stored: &StoredEngine,
    allocator: Arc<dyn DeviceAllocator>,
) -> Result<(Arc<Engine>, Context)> {
    let plan = stored.plan()?;
    let runtime = Runtime::new(library, allocator)?;
    let engine = runtime.deserialize(&plan)?;
    let context = Context::new(&engine)?;
    Ok((engine, context))
}

/// The engine of every component for this device, with what it takes there. An engine that has
/// never been loaded here is loaded once to measure it, and its sidecar remembers.
pub(super) fn find(
    bundle: &Bundle,
    store: &EngineStore,
    library: &Library,
    device: &Arc<Device>,
    fits: &engine::Device,
    options: Option<&str>,
) -> Result<Vec<(Component, StoredEngine, Measured)>> {
    Component::ALL
        .into_iter()
        .map(|component| {
            let mut stored = store.find(Wanted { bundle, component }, fits, options)?;
            let measured = match stored.sidecar.measured {
                Some(measured) => measured,
                None => {
                    let measured = measure(library, &stored, device)?;
                    if let Err(error) = stored.record(measured) {
                        // A read-only engines folder: measured again the next time.
                        tracing::warn!("{error}");
                    }
                    measured
                }
            };
            Ok((component, stored, measured))
        })
        .collect()
}

fn measure(library: &Library, stored: &StoredEngine, device: &Arc<Device>) -> Result<Measured> {
    let memory = MeasuringMemory::new(device);
    let plan = stored.plan()?;
    let allocator: Arc<dyn DeviceAllocator> = Arc::<MeasuringMemory>::clone(&memory);
    let engine = Runtime::new(library, allocator)?.deserialize(&plan)?;
    let weights = memory.peak();
    let context = Context::new(&engine)?;
    let whole = memory.peak();
    let scratch_bytes = engine.scratch_bytes();
    drop(context);
    Ok(Measured {
        weights_bytes: weights as u64,
        persistent_bytes: (whole - weights) as u64,
        scratch_bytes,
    })
}

/// What engines keep: one block each, and one scratch block for all.
pub(super) fn process_rows(engines: &[(Component, Measured)]) -> Vec<PlanRow> {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut rows: Vec<PlanRow> = engines
        .iter()
        .map(|(component, m)| {
            PlanRow::new(
                format!("engine of {}: weights, context", component.name()),
                DType::U8,
                &[size(m.weights_bytes.saturating_add(m.persistent_bytes))],
            )
        })
        .collect();
    let scratch = engines.iter().map(|(_, m)| m.scratch_bytes).max();
    rows.push(PlanRow::new(
        "scratch of all engines, the largest's",
        DType::U8,
        &[size(scratch.unwrap_or(0))],
    ));
    rows
}

/// A captured component: valid for exactly these addresses.
struct Captured {
    addresses: Vec<u64>,
    graph: GraphExec,
}

/// A tensor that the component is bound to: what the contract says of it.
struct Bound {
    name: String,
    dtype: DType,
    bytes: usize,
}

/// A component ready to run.
pub(super) struct Loaded {
    component: Component,
    /// Before the memory that it uses goes: see the order in which a session drops things.
    context: Context,
    /// Inputs, then outputs, in the contract's order.
    tensors: Vec<Bound>,
    captured: Vec<Captured>,
}

/// Graphs kept per component: one for each batch of objects and prompt kind is normal; more means
/// that addresses change from frame to frame.
const MOST_GRAPHS: usize = 256;

impl Loaded {
    /// Loads a component into the block that was kept for it.
    pub(super) fn new(
        bundle: &Bundle,
        component: Component,
        library: &Library,
        stored: &StoredEngine,
        block: KeptBlock,
        scratch: KeptBlock,
    ) -> Result<Self> {
        let memory = KeptMemory::new(block.address, block.bytes);
        let (engine, mut context) = load(library, stored, memory)?;
        let (inputs, outputs) = component.tensors(bundle.manifest());
        check(component, &engine, &inputs, true)?;
        check(component, &engine, &outputs, false)?;
        // SAFETY: the block is device memory that the arena keeps for the engines' scratch alone;
        // all engines of a run work on one stream, one after the other.
        unsafe { context.set_scratch(scratch.address as u64, scratch.bytes as u64)? };
        Ok(Self {
            component,
            context,
            tensors: inputs
                .into_iter()
                .chain(outputs)
                .map(|spec| Bound {
                    bytes: element_count(&spec.shape) * spec.dtype.size(),
                    dtype: spec.dtype,
                    name: spec.name,
                })
                .collect(),
            captured: Vec::new(),
        })
    }

    pub(super) fn component(&self) -> Component {
        self.component
    }

    /// The tensors given, in the contract's order, are of its number, types and sizes.
    ///
    /// # Errors
    /// Naming the tensor that is not.
    pub(super) fn check_given(
        &self,
        given: impl ExactSizeIterator<Item = (DType, usize)>,
    ) -> Result<()> {
        let wrong = |message: String| run_error(KIND, self.component, &message);
        if given.len() != self.tensors.len() {
            let (given, needed) = (given.len(), self.tensors.len());
            return Err(wrong(format!(
                "{given} tensors were given, {needed} are needed"
            )));
        }
        for (tensor, (dtype, bytes)) in self.tensors.iter().zip(given) {
            if (tensor.dtype, tensor.bytes) != (dtype, bytes) {
                return Err(wrong(format!(
                    "'{}' takes {} bytes of {}, {bytes} of {dtype} were given",
                    tensor.name, tensor.bytes, tensor.dtype
                )));
            }
        }
        Ok(())
    }

    /// Queues the component on tensors at `addresses`, in the contract's order.
    ///
    /// # Safety
    /// The addresses are live device tensors that [`Self::check_given`] has accepted, and nothing but
    /// work on `stream` touches them until this work has run.
    pub(super) unsafe fn run(
        &mut self,
        stream: &Stream,
        addresses: &[u64],
        graphs: GraphMode,
    ) -> Result<()> {
        let known = self.captured.iter().find(|c| c.addresses == addresses);
        if let Some(captured) = known.filter(|_| graphs != GraphMode::Off) {
            // SAFETY: the graph was captured for these very addresses, which the caller vouches for.
            unsafe { captured.graph.launch(stream)? };
            return Ok(());
        }
        for (tensor, &address) in self.tensors.iter().zip(addresses) {
            // SAFETY: the caller's promise.
            unsafe { self.context.set_address(&tensor.name, address)? };
        }
        // TensorRT wants to have run once before it is captured; this run counts as well.
        // SAFETY: as above.
        unsafe { self.context.enqueue(stream.raw())? };
        if graphs == GraphMode::Off || self.captured.len() >= MOST_GRAPHS {
            return Ok(());
        }
        let context = &mut self.context;
        // SAFETY: as above; capturing runs nothing.
        let graph = GraphExec::capture(stream, |stream| unsafe { context.enqueue(stream.raw()) });
        match graph {
            Ok(graph) => self.captured.push(Captured {
                addresses: addresses.to_vec(),
                graph,
            }),
            Err(error) if graphs == GraphMode::On => {
                return Err(run_error(KIND, self.component, &error));
            }
            Err(error) => {
                tracing::debug!("{} runs without a graph: {error}", self.component.name());
            }
        }
        Ok(())
    }
}

/// The engine has the tensors of the contract.
fn check(component: Component, engine: &Engine, specs: &[TensorSpec], inputs: bool) -> Result<()> {
    for spec in specs {
        let same = |there: &[i64]| {
            there.len() == spec.shape.len()
                && there
                    .iter()
                    .zip(&spec.shape)
                    .all(|(&a, &b)| usize::try_from(a) == Ok(b))
        };
        let found = engine.tensors().iter().any(|tensor| {
            tensor.name == spec.name
                && tensor.is_input == inputs
                && tensor.on_device
                && tensorrt::dtype(tensor.data_type) == Some(spec.dtype)
                && same(&tensor.shape)
        });
        if !found {
            return Err(Error::data(format!(
                "the engine of '{}' has no tensor '{}' of {} {:?}; it was built from another \
                 export: rebuild it with `masklet build --force`",
                component.name(),
                spec.name,
                spec.dtype,
                spec.shape
            )));
        }
    }
    Ok(())
}
