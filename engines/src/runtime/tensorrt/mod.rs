//! TensorRT engines on a CUDA device, every byte of theirs in the arena.
//!
//! Opening it finds the engines that `masklet build` made ([`crate::engine`]) and, the first time
//! on a device, measures what they take. Then the plan is known: one block for each engine's
//! weights and context, one scratch block for all of them (they run one after the other on one
//! stream). Loading puts the engines into those blocks; from then on nothing is allocated.
//! Components run from captured CUDA graphs where that works.
//!
//! Not here: building engines.

mod allocator;
mod engines;

use super::{
    Entry, GraphMode, OpenDevice, Runtime, RuntimeFacts, RuntimeKind, RuntimeOptions, run_error,
    wrong_device,
};
use crate::bundle::{Bundle, Component};
use crate::cuda;
use crate::device::DeviceKind;
use crate::device::cuda::CudaDevice;
use crate::engine::{self, EngineStore, Measured, StoredEngine};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Arena, PlanRow, TensorMut, TensorRef};
use crate::tensor::DType;
use crate::tensorrt::{self, Library};
use engines::Loaded;
use std::cell::RefCell;
use std::rc::Rc;

/// TensorRT.
pub const KIND: RuntimeKind = RuntimeKind(&Entry {
    name: "tensorrt",
    title: "TensorRT",
    devices: &[(DeviceKind::Cuda, "tensorrt")],
    available: |_| {
        cuda::availability()?;
        tensorrt::load(None)?;
        Ok(())
    },
    open: |bundle, device, options| match device {
        OpenDevice::Cuda(device) => Ok(Box::new(TensorRt::open(bundle, device, options)?)),
        OpenDevice::Host(_) => Err(wrong_device(KIND, DeviceKind::Host)),
    },
    recorded_rows,
});

/// What the engines folder has on record about a bundle's engines, without a device.
fn recorded_rows(bundle: &Bundle, options: &RuntimeOptions) -> Result<Vec<PlanRow>> {
    let store = EngineStore::open(options.engines.as_deref());
    let known = store.list()?;
    let measured = Component::ALL
        .into_iter()
        .map(|component| {
            let onnx = &bundle.component(component).sha256;
            known
                .iter()
                .filter(|e| e.sidecar.component == component.name())
                .filter(|e| e.sidecar.fields.onnx_sha256 == *onnx)
                .find_map(|e| e.sidecar.measured)
                .map(|measured| (component, measured))
                .ok_or_else(|| {
                    let place = store.folder().display();
                    Error::environment(format!(
                        "no engine of '{}' in {place} has been loaded on its device yet, so its \
                         memory is not known; build engines with `masklet build` and run `masklet \
                         plan` on the device once",
                        component.name()
                    ))
                    .with_kind(ErrorKind::NotMeasured)
                })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(engines::process_rows(&measured))
}

/// Components as TensorRT engines.
struct TensorRt {
    // Fields drop in this order: what runs before what it runs on.
    loaded: RefCell<Vec<Loaded>>,
    found: Vec<(Component, StoredEngine, Measured)>,
    bundle: Bundle,
    library: Library,
    device: Rc<CudaDevice>,
    graphs: GraphMode,
}

impl TensorRt {
    /// Finds the engines of a bundle for a device.
    ///
    /// # Errors
    /// When there is no TensorRT for the device, or an engine is missing.
    fn open(bundle: &Bundle, device: &Rc<CudaDevice>, options: &RuntimeOptions) -> Result<Self> {
        let driver = device.driver();
        let info = driver.info();
        let library = tensorrt::load(None)?;
        library.runs_on(&info.name, info.compute_capability)?;
        let ordinal = i32::try_from(info.ordinal).unwrap_or(i32::MAX);
        let identity = tensorrt::driver::device(ordinal)?;
        driver.bind()?;
        let store = EngineStore::open(options.engines.as_deref());
        let fits = engine::Device::new(&library, identity);
        let found = engines::find(
            bundle,
            &store,
            &library,
            driver,
            &fits,
            options.engine_options.as_deref(),
        )?;
        Ok(Self {
            loaded: RefCell::default(),
            found,
            bundle: bundle.clone(),
            library,
            device: Rc::clone(device),
            graphs: options.graphs,
        })
    }
}

impl Runtime for TensorRt {
    fn facts(&self) -> RuntimeFacts {
        RuntimeFacts {
            version: format!(
                "{} {}",
                self.library.flavour().name(),
                self.library.full_version()
            ),
            threads: None,
            simulated: tensorrt::is_simulated(&self.library),
            outside_arena: "the CUDA context and TensorRT's own code are the driver's; weights, \
                            context memory, scratch and every tensor are in the arena"
                .to_owned(),
        }
    }

    fn rows(&self) -> Vec<PlanRow> {
        let measured: Vec<_> = self.found.iter().map(|(c, _, m)| (*c, *m)).collect();
        engines::process_rows(&measured)
    }

    fn load(&self, arena: &mut Arena) -> Result<()> {
        self.device.driver().bind()?;
        let rows = self.rows();
        let blocks = rows
            .iter()
            .map(|row| arena.keep(row))
            .collect::<Result<Vec<_>, _>>()?;
        let Some((&scratch, blocks)) = blocks.split_last() else {
            return Ok(());
        };
        let mut loaded = self.loaded.borrow_mut();
        for ((component, stored, _), &block) in self.found.iter().zip(blocks) {
            loaded.push(Loaded::new(
                &self.bundle,
                *component,
                &self.library,
                stored,
                block,
                scratch,
            )?);
        }
        Ok(())
    }

    fn wants_fixed_addresses(&self) -> bool {
        self.graphs != GraphMode::Off
    }

    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<()> {
        let mut loaded = self.loaded.borrow_mut();
        let Some(loaded) = loaded.iter_mut().find(|l| l.component() == component) else {
            return Err(run_error(KIND, component, &"it was not loaded"));
        };
        let given: Vec<(u64, DType, usize)> = inputs
            .iter()
            .map(|t| (t.address() as u64, t.dtype(), t.bytes()))
            .chain(
                outputs
                    .iter()
                    .map(|t| (t.address() as u64, t.dtype(), t.bytes())),
            )
            .collect();
        loaded.check_given(given.iter().map(|&(_, dtype, bytes)| (dtype, bytes)))?;
        let addresses: Vec<u64> = given.iter().map(|&(address, ..)| address).collect();
        // SAFETY: tensors are live device memory of the contract's sizes (checked above) whose
        // regions end only after the stream was waited for; only this stream works on them.
        unsafe { loaded.run(self.device.compute(), &addresses, self.graphs) }
    }
}

impl Drop for TensorRt {
    fn drop(&mut self) {
        // Queued work may still use contexts that go next; its errors no longer matter.
        let _ = self.device.compute().synchronize();
    }
}
