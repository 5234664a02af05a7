//! The rten runtime: components on the CPU, nothing to install.
//!
//! It is the embedded default and the fp32 reference for the others. Every tensor at a component's
//! boundary is in the arena; weights and the runtime's scratch memory are not, they are on the
//! process heap, which reports must state ([`RuntimeFacts::outside_arena`]).

mod heap;

use super::{
    Entry, OpenDevice, Runtime, RuntimeFacts, RuntimeKind, RuntimeOptions, load_error, run_error,
    wrong_device,
};
use crate::bundle::{Bundle, Component, Precision};
use crate::device::DeviceKind;
use crate::error::{Error, Result};
use crate::memory::{Arena, PlanRow, TensorMut, TensorRef};
use crate::tensor::{DType, TensorSpec};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueView};
use rten_tensor::{AsView, Layout};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

/// rten.
pub const KIND: RuntimeKind = RuntimeKind(&Entry {
    name: "rten",
    title: "rten",
    devices: &[(DeviceKind::Host, "cpu")],
    available: |_| Ok(()),
    open: |bundle, device, options| match device {
        OpenDevice::Host(_) => Ok(Box::new(Rten::open(bundle, options)?)),
        OpenDevice::Cuda(_) => Err(wrong_device(KIND, DeviceKind::Cuda)),
    },
    recorded_rows: |_, _| Ok(Vec::new()),
});

/// A component as the runtime holds it.
struct Loaded {
    component: Component,
    model: Model,
    /// Graph inputs in the contract's order.
    inputs: Vec<NodeId>,
    /// Graph outputs in the contract's order.
    outputs: Vec<NodeId>,
}

/// Components on the CPU.
struct Rten {
    bundle: Bundle,
    components: OnceCell<Vec<Loaded>>,
    pool: Arc<ThreadPool>,
    threads: usize,
}

impl Rten {
    /// # Errors
    /// When the bundle computes in bfloat16.
    fn open(bundle: &Bundle, options: &RuntimeOptions) -> Result<Self> {
        let precision = bundle.manifest().precision;
        if precision == Precision::Bf16 {
            return Err(Error::environment(format!(
                "rten cannot run a {precision} bundle, since it has no bfloat16; export the model \
                 with --precision fp32"
            )));
        }
        if options.tune_heap {
            heap::keep_heap();
        }
        let threads = options.threads.max(1);
        Ok(Self {
            bundle: bundle.clone(),
            components: OnceCell::new(),
            pool: Arc::new(ThreadPool::with_num_threads(threads)),
            threads,
        })
    }

    fn loaded(&self, component: Component) -> Result<&Loaded> {
        let all = self.components.get().map_or(&[][..], Vec::as_slice);
        all.iter()
            .find(|loaded| loaded.component == component)
            .ok_or_else(|| run_error(KIND, component, &"it was not loaded"))
    }
}

fn load(bundle: &Bundle, component: Component) -> Result<Loaded> {
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
    .map_err(|error| load_error(KIND, component, &error))?;
    let (inputs, outputs) = component.tensors(bundle.manifest());
    let ids = |names: &[TensorSpec]| {
        names
            .iter()
            .map(|spec| model.node_id(&spec.name))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| load_error(KIND, component, &error))
    };
    let (inputs, outputs) = (ids(&inputs)?, ids(&outputs)?);
    Ok(Loaded {
        component,
        model,
        inputs,
        outputs,
    })
}

/// An arena tensor as the runtime's view of it, no copy.
fn view(component: Component, tensor: TensorRef<'_>) -> Result<ValueView<'_>> {
    let shape = tensor.shape();
    match tensor.dtype() {
        DType::F32 => ValueView::from_shape(shape.as_slice(), tensor.as_slice::<f32>()?)
            .map_err(|error| run_error(KIND, component, &error)),
        DType::I32 => ValueView::from_shape(shape.as_slice(), tensor.as_slice::<i32>()?)
            .map_err(|error| run_error(KIND, component, &error)),
        other => Err(run_error(
            KIND,
            component,
            &format!("inputs of type {other} are not supported"),
        )),
    }
}

fn store(component: Component, value: &Value, to: &mut TensorMut<'_>) -> Result<()> {
    let Value::FloatTensor(tensor) = value else {
        let message = "an output is not a float tensor";
        return Err(run_error(KIND, component, &message));
    };
    let to = to.as_mut_slice::<f32>()?;
    if tensor.len() != to.len() {
        let (given, expected) = (tensor.len(), to.len());
        return Err(run_error(
            KIND,
            component,
            &format!("an output has {given} elements, expected {expected}"),
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

impl Runtime for Rten {
    fn facts(&self) -> RuntimeFacts {
        RuntimeFacts {
            version: "rten 0.27".to_owned(),
            threads: Some(self.threads),
            simulated: false,
            outside_arena: "weights and the CPU runtime's scratch memory are on the process heap; \
                            the arena holds every tensor of the tracker"
                .to_owned(),
        }
    }

    fn rows(&self) -> Vec<PlanRow> {
        Vec::new()
    }

    fn load(&self, _arena: &mut Arena) -> Result<()> {
        let loaded = Component::ALL
            .into_iter()
            .map(|component| load(&self.bundle, component))
            .collect::<Result<Vec<_>>>()?;
        self.components
            .set(loaded)
            .map_err(|_| Error::run("rten has loaded its components already"))
    }

    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<()> {
        let loaded = self.loaded(component)?;
        if inputs.len() != loaded.inputs.len() || outputs.len() != loaded.outputs.len() {
            return Err(run_error(
                KIND,
                component,
                &format!(
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
            .collect::<Result<Vec<_>>>()?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let results = loaded
            .model
            .run(values, &loaded.outputs, Some(options))
            .map_err(|error| run_error(KIND, component, &error))?;
        for (value, output) in results.iter().zip(outputs) {
            store(component, value, output)?;
        }
        Ok(())
    }
}
