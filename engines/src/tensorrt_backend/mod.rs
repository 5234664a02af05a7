//! The TensorRT backend: engines on a CUDA device, every byte of theirs in the arena.
//!
//! Opening it finds the engines that `masklet build` made ([`crate::engine`]) and, the first time
//! on a device, measures what they take. Then the plan is known: one block for each engine's
//! weights and context, one scratch block for all of them (they run one after the other on one
//! stream), the tracker's tensors. [`Backend::settle`] loads the engines into those blocks; from
//! then on nothing is allocated. Components run from captured CUDA graphs where that works.
//!
//! Work is queued on one compute stream; frames go up on a second one. What comes back to the host
//! is waited for.
//!
//! Not here: building engines, and what the device's driver can do ([`crate::cuda`]).

mod allocator;
mod engines;
mod events;
mod frames;
mod staging;
mod transfer;

use crate::backend::{
    Backend, BackendError, BackendInfo, BackendKind, BackendOptions, DeviceFrames, DeviceMemory,
    FrameLimits, FrameSize, FrameStaging, FrameWay, GraphMode, Needs, Stamp,
};
use crate::bundle::{Bundle, Component};
use crate::cuda::kernels::{ResizeTables, Vision};
use crate::cuda::{
    self, BlockChoice, BlockStrategy, Device, DeviceBlock, Event, PinnedBlock, PinnedKind, Stream,
    counter,
};
use crate::cuda::{JpegDecoder, JpegError, JpegLibrary};
use crate::engine::{self, EngineStore, Measured, StoredEngine};
use crate::memory::{AccessError, Arena, Element, PlanRow, Slab, TensorMut, TensorRef};
use crate::tensor::DType;
use crate::tensorrt::{self, Library};
use engines::Loaded;
use events::EventRing;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;
use transfer::{Transfer, bytes_of, target};

/// Most bytes of small uploads that may be queued before the stream is waited for; also the size
/// of the read-back area.
const TRANSFER_BYTES: usize = 4 << 20;

/// Whether this machine has a CUDA device and a TensorRT that this program can drive.
///
/// # Errors
/// A sentence that says what is missing.
pub fn availability() -> Result<(), BackendError> {
    cuda::availability()?;
    tensorrt::load(None)?;
    Ok(())
}

/// What the engines folder knows of a bundle's needs, without a device.
pub(crate) fn recorded_needs(
    bundle: &Bundle,
    options: &BackendOptions,
    limits: FrameLimits,
    objects: usize,
) -> Result<Needs, BackendError> {
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
                .ok_or_else(|| BackendError::NotMeasured {
                    component: component.name(),
                    place: store.folder().display().to_string(),
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (video, staging) = frames::rows(limits, objects, bundle.manifest().image_size)?;
    Ok(needs(&measured, video, staging))
}

fn needs(measured: &[(Component, Measured)], video: Vec<PlanRow>, staging: Vec<PlanRow>) -> Needs {
    Needs {
        process: engines::process_rows(measured),
        video,
        staging_kept: vec![area("small uploads"), area("read-back")],
        staging,
        staged: true,
    }
}

/// The row of one transfer area.
fn area(name: &str) -> PlanRow {
    PlanRow::new(name, DType::U8, &[TRANSFER_BYTES])
}

/// Components as TensorRT engines.
pub struct TensorRtBackend {
    // Fields drop in this order: what runs before what it runs on.
    loaded: RefCell<Vec<Loaded>>,
    transfer: OnceCell<Transfer>,
    tables: RefCell<Option<(FrameSize, ResizeTables)>>,
    /// Where the device finds staging memory, and how frames of each size come to it.
    mapped: OnceCell<staging::Mapped>,
    ways: RefCell<Vec<FrameWay>>,
    staging: FrameStaging,
    block: BlockChoice,
    block_strategy: Cell<Option<BlockStrategy>>,
    events: EventRing,
    resized: Event,
    uploaded: Event,
    vision: Vision,
    upload: Stream,
    compute: Stream,
    found: Vec<(Component, StoredEngine, Measured)>,
    bundle: Bundle,
    library: Library,
    device: Arc<Device>,
    graphs: GraphMode,
    /// S, the side of the model's input.
    side: usize,
}

impl TensorRtBackend {
    /// Finds the engines of a bundle for this machine's device.
    ///
    /// # Errors
    /// When there is no device, no TensorRT, or an engine is missing.
    pub fn open(bundle: &Bundle, options: &BackendOptions) -> Result<Self, BackendError> {
        let device = Device::open(options.device)?;
        let library = tensorrt::load(None)?;
        library.runs_on(&device.info().name, device.info().compute_capability)?;
        let ordinal = i32::try_from(options.device).unwrap_or(i32::MAX);
        let identity = tensorrt::driver::device(ordinal)?;
        device.bind()?;
        let store = EngineStore::open(options.engines.as_deref());
        let fits = engine::Device::new(&library, identity);
        let found = engines::find(
            bundle,
            &store,
            &library,
            &device,
            &fits,
            options.engine_options.as_deref(),
        )?;
        Ok(Self {
            loaded: RefCell::default(),
            transfer: OnceCell::new(),
            tables: RefCell::default(),
            mapped: OnceCell::new(),
            ways: RefCell::default(),
            staging: options.staging,
            block: options.block,
            block_strategy: Cell::new(None),
            events: EventRing::new(&device)?,
            resized: Event::new(&device, false)?,
            uploaded: Event::new(&device, false)?,
            vision: Vision::load(&device)?,
            upload: Stream::new(&device)?,
            compute: Stream::new(&device)?,
            found,
            side: bundle.manifest().image_size,
            bundle: bundle.clone(),
            library,
            device,
            graphs: options.graphs,
        })
    }

    fn measured(&self) -> Vec<(Component, Measured)> {
        self.found.iter().map(|(c, _, m)| (*c, *m)).collect()
    }

    fn transfer(&self) -> Result<&Transfer, BackendError> {
        self.transfer
            .get()
            .ok_or_else(|| run_error("transfer", "the backend has not been settled"))
    }
}

fn run_error(component: &'static str, message: &str) -> BackendError {
    BackendError::Run {
        kind: BackendKind::TensorRt,
        component,
        message: message.to_owned(),
    }
}

fn same(elements: usize, dtype: DType, tensor: usize, held: DType) -> Result<(), BackendError> {
    if dtype != held {
        return Err(AccessError::WrongType {
            held,
            wanted: dtype,
        }
        .into());
    }
    if elements != tensor {
        return Err(run_error(
            "copy",
            &format!("{elements} elements do not fit into {tensor}"),
        ));
    }
    Ok(())
}

impl TensorRtBackend {
    fn send<T: Element>(&self, values: &[T], to: &TensorMut<'_>) -> Result<(), BackendError> {
        same(values.len(), T::DTYPE, to.shape().elements(), to.dtype())?;
        // SAFETY: the tensor is exclusive device memory of exactly these bytes.
        unsafe {
            self.transfer()?
                .upload(&self.compute, bytes_of(values), target(to))
        }
    }
}

impl Backend for TensorRtBackend {
    fn info(&self) -> BackendInfo {
        let info = self.device.info();
        let (major, minor) = info.compute_capability;
        BackendInfo {
            kind: BackendKind::TensorRt,
            runtime: format!(
                "{} {}",
                self.library.flavour().name(),
                self.library.full_version()
            ),
            device: format!("{} (compute capability {major}.{minor})", info.name),
            threads: None,
            simulated: info.simulated || tensorrt::is_simulated(&self.library),
            outside_arena: "the CUDA context and TensorRT's own code are the driver's; weights, \
                            context memory, scratch and every tensor are in the arena"
                .to_owned(),
        }
    }

    fn slab(&self, bytes: usize) -> Result<Slab, BackendError> {
        let block = DeviceBlock::allocate_as(&self.device, bytes as u64, "the arena", self.block)?;
        self.block_strategy.set(Some(block.strategy()));
        Ok(block.into_slab()?)
    }

    fn slab_strategy(&self) -> Option<BlockStrategy> {
        self.block_strategy.get()
    }

    fn staging_slab(&self, bytes: usize) -> Result<Option<Slab>, BackendError> {
        let kind = PinnedKind::ReadBack;
        let block = PinnedBlock::allocate(&self.device, bytes, kind, "the staging memory")?;
        if let Some(mapped) = staging::Mapped::of(&block) {
            // A second staging slab is not looked at in place.
            let _ = self.mapped.set(mapped);
        }
        Ok(Some(block.into_slab()?))
    }

    fn jpeg_decoder(&self, threads: usize) -> Result<Option<JpegDecoder>, BackendError> {
        let Some(mapped) = self.mapped.get() else {
            return Err(JpegError::NotMapped.into());
        };
        let library = JpegLibrary::load(None)?;
        let decoder = JpegDecoder::new(&self.device, library, threads, mapped.parts())?;
        Ok(Some(decoder))
    }

    fn needs(&self, frames: FrameLimits, objects: usize) -> Needs {
        // Sizes that no kernel takes give no rows; the frame that has such a size is refused later.
        let (video, staging) = frames::rows(frames, objects, self.side).unwrap_or_default();
        needs(&self.measured(), video, staging)
    }

    fn settle(&self, arena: &mut Arena, staging: Option<&mut Arena>) -> Result<(), BackendError> {
        let Some(staging) = staging else {
            return Err(run_error("settle", "there is no staging memory"));
        };
        let upload = staging.keep(&area("small uploads"))?;
        let read_back = staging.keep(&area("read-back"))?;
        // SAFETY: staging memory is pinned (`staging_slab`), kept blocks are nobody else's and live
        // as long as the arena, which outlives the backend's calls.
        let transfer = unsafe { Transfer::new(upload, read_back) };
        if self.transfer.set(transfer).is_err() {
            return Err(run_error("settle", "the backend has been settled already"));
        }
        self.device.bind()?;
        let blocks = engines::process_rows(&self.measured())
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

    fn driver_allocations(&self) -> Option<u64> {
        Some(counter::snapshot().total())
    }

    fn device_memory(&self) -> Option<DeviceMemory> {
        self.device.memory().ok()
    }

    fn frames(&self) -> Option<&dyn DeviceFrames> {
        Some(self)
    }

    fn stamp(&self) -> Result<Stamp, BackendError> {
        self.events.stamp(&self.compute)
    }

    fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration, BackendError> {
        self.events.elapsed(from, to)
    }

    fn synchronize(&self) -> Result<(), BackendError> {
        self.compute.synchronize()?;
        if let Some(transfer) = self.transfer.get() {
            transfer.waited();
        }
        // What went wrong while something was dropped comes up here.
        Ok(self.device.check_err()?)
    }

    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<(), BackendError> {
        let mut loaded = self.loaded.borrow_mut();
        let Some(loaded) = loaded.iter_mut().find(|l| l.component() == component) else {
            return Err(run_error(component.name(), "the component was not loaded"));
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
        unsafe { loaded.run(&self.compute, &addresses, self.graphs) }
    }

    fn upload_f32(&self, values: &[f32], to: TensorMut<'_>) -> Result<(), BackendError> {
        self.send(values, &to)
    }

    fn upload_i32(&self, values: &[i32], to: TensorMut<'_>) -> Result<(), BackendError> {
        self.send(values, &to)
    }

    fn download_f32(&self, from: TensorRef<'_>, to: &mut [f32]) -> Result<(), BackendError> {
        same(to.len(), DType::F32, from.shape().elements(), from.dtype())?;
        self.transfer()?.download(&self.compute, from, to)
    }

    fn download_i32(&self, from: TensorRef<'_>, to: &mut [i32]) -> Result<(), BackendError> {
        same(to.len(), DType::I32, from.shape().elements(), from.dtype())?;
        self.transfer()?.download(&self.compute, from, to)
    }

    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<(), BackendError> {
        same(
            from.shape().elements(),
            from.dtype(),
            to.shape().elements(),
            to.dtype(),
        )?;
        // SAFETY: both are live device memory of the same size; an exclusive and a shared view
        // never overlap; only this stream works on them.
        unsafe {
            let (to, from, bytes) = (target(&to), from.address() as u64, from.bytes());
            Ok(self.compute.copy_device(to, from, bytes)?)
        }
    }

    fn copy_through_bf16(
        &self,
        from: TensorRef<'_>,
        to: TensorMut<'_>,
    ) -> Result<(), BackendError> {
        let elements = from.shape().elements();
        same(elements, DType::F32, to.shape().elements(), to.dtype())?;
        same(elements, DType::F32, elements, from.dtype())?;
        // SAFETY: as for `copy`.
        unsafe {
            let (to, from) = (target(&to), from.address() as u64);
            let count = elements as u64;
            Ok(self.vision.round_bf16(&self.compute, to, from, count)?)
        }
    }

    fn zero(&self, to: TensorMut<'_>) -> Result<(), BackendError> {
        // SAFETY: live, exclusive device memory of these bytes.
        unsafe { Ok(self.compute.fill_zero(target(&to), to.bytes())?) }
    }
}

impl Drop for TensorRtBackend {
    fn drop(&mut self) {
        // Queued work may still use memory that is given back next; what it says is of no more use.
        let _ = self.compute.synchronize();
        let _ = self.upload.synchronize();
    }
}
