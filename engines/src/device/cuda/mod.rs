//! A CUDA device: the arena in one block of its memory, frames and masks done by its kernels.
//!
//! Work is queued on one compute stream; frames go up on a second one. What comes back to the host
//! is waited for. Runtimes queue their work on [`CudaDevice::compute`].
//!
//! Not here: what the device's driver can do ([`crate::cuda`]).

mod events;
mod frames;
mod staging;
mod transfer;

use super::{
    Device, DeviceFacts, DeviceFrames, DeviceKind, DeviceMemory, EndRows, FrameLimits, FrameSize,
    FrameStaging, FrameWay, Stamp, of, same,
};
use crate::cuda::kernels::{ResizeTables, Vision};
use crate::cuda::{
    self, BlockChoice, BlockStrategy, DeviceBlock, Event, JpegDecoder, JpegError, JpegLibrary,
    PinnedBlock, PinnedKind, Stream, counter,
};
use crate::error::{Error, Result};
use crate::memory::{AccessError, Arena, PlanRow, Slab, TensorMut, TensorRef};
use crate::tensor::DType;
use events::EventRing;
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;
use transfer::{Transfer, target};

/// Most bytes of small uploads that may be queued before the stream is waited for; also the size
/// of the read-back area.
const TRANSFER_BYTES: usize = 4 << 20;

/// How a CUDA device is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CudaOptions {
    /// Ordinal of the device.
    pub ordinal: usize,
    /// How frames reach it.
    pub staging: FrameStaging,
    /// How the arena's block is allocated.
    pub block: BlockChoice,
}

/// The memory rows of the ends of the pipeline, which depend on no particular device.
pub(crate) fn end_rows(limits: FrameLimits, objects: usize, side: usize) -> EndRows {
    // Sizes that no kernel takes give no rows; the frame that has such a size is refused later.
    let (video, staging) = frames::rows(limits, objects, side).unwrap_or_default();
    EndRows {
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

/// A CUDA device as the pipeline uses it.
pub struct CudaDevice {
    // Fields drop in this order: what runs before what it runs on.
    transfer: OnceCell<Transfer>,
    tables: RefCell<Option<(FrameSize, ResizeTables)>>,
    /// Where the device finds staging memory, and how frames of each size come to it.
    mapped: OnceCell<staging::Mapped>,
    ways: RefCell<Vec<FrameWay>>,
    options: CudaOptions,
    block_strategy: Cell<Option<BlockStrategy>>,
    events: EventRing,
    resized: Event,
    uploaded: Event,
    vision: Vision,
    upload: Stream,
    compute: Stream,
    driver: Arc<cuda::Device>,
    /// S, the side of the model's input.
    side: usize,
}

impl CudaDevice {
    /// Opens a device for a model whose input has `side` x `side` pixels.
    ///
    /// # Errors
    /// When there is no such device, or its driver refuses.
    pub fn open(options: CudaOptions, side: usize) -> Result<Self> {
        let driver = cuda::Device::open(options.ordinal)?;
        Ok(Self {
            transfer: OnceCell::new(),
            tables: RefCell::default(),
            mapped: OnceCell::new(),
            ways: RefCell::default(),
            options,
            block_strategy: Cell::new(None),
            events: EventRing::new(&driver)?,
            resized: Event::new(&driver, false)?,
            uploaded: Event::new(&driver, false)?,
            vision: Vision::load(&driver)?,
            upload: Stream::new(&driver)?,
            compute: Stream::new(&driver)?,
            driver,
            side,
        })
    }

    /// The device as its driver has it.
    pub fn driver(&self) -> &Arc<cuda::Device> {
        &self.driver
    }

    /// The stream on which components run.
    pub fn compute(&self) -> &Stream {
        &self.compute
    }

    fn transfer(&self) -> Result<&Transfer> {
        self.transfer
            .get()
            .ok_or_else(|| Error::run("the device has no staging memory yet"))
    }
}

impl Device for CudaDevice {
    fn facts(&self) -> DeviceFacts {
        let info = self.driver.info();
        let (major, minor) = info.compute_capability;
        DeviceFacts {
            kind: DeviceKind::Cuda,
            name: format!("{} (compute capability {major}.{minor})", info.name),
            simulated: info.simulated,
        }
    }

    fn slab(&self, bytes: usize) -> Result<Slab> {
        let choice = self.options.block;
        let block = DeviceBlock::allocate_as(&self.driver, bytes as u64, "the arena", choice)?;
        self.block_strategy.set(Some(block.strategy()));
        Ok(block.into_slab()?)
    }

    fn slab_strategy(&self) -> Option<BlockStrategy> {
        self.block_strategy.get()
    }

    fn staging_slab(&self, bytes: usize) -> Result<Option<Slab>> {
        let kind = PinnedKind::ReadBack;
        let block = PinnedBlock::allocate(&self.driver, bytes, kind, "the staging memory")?;
        if let Some(mapped) = staging::Mapped::of(&block) {
            // A second staging slab is not looked at in place.
            let _ = self.mapped.set(mapped);
        }
        Ok(Some(block.into_slab()?))
    }

    fn jpeg_decoder(&self, threads: usize) -> Result<Option<JpegDecoder>> {
        let Some(mapped) = self.mapped.get() else {
            return Err(JpegError::NotMapped.into());
        };
        let library = JpegLibrary::load(None)?;
        let decoder = JpegDecoder::new(&self.driver, library, threads, mapped.parts())?;
        Ok(Some(decoder))
    }

    fn end_rows(&self, frames: FrameLimits, objects: usize, side: usize) -> EndRows {
        end_rows(frames, objects, side)
    }

    fn keep(&self, staging: Option<&mut Arena>) -> Result<()> {
        let Some(staging) = staging else {
            return Err(Error::run("there is no staging memory for a CUDA device"));
        };
        let upload = staging.keep(&area("small uploads"))?;
        let read_back = staging.keep(&area("read-back"))?;
        // SAFETY: staging memory is pinned (`staging_slab`), kept blocks are nobody else's and live
        // as long as the arena, which outlives the device's calls.
        let transfer = unsafe { Transfer::new(upload, read_back) };
        if self.transfer.set(transfer).is_err() {
            return Err(Error::run("the device has its staging memory already"));
        }
        Ok(self.driver.bind()?)
    }

    fn driver_allocations(&self) -> Option<u64> {
        Some(counter::snapshot().total())
    }

    fn memory(&self) -> Option<DeviceMemory> {
        self.driver.memory().ok()
    }

    fn frames(&self) -> Option<&dyn DeviceFrames> {
        Some(self)
    }

    fn stamp(&self) -> Result<Stamp> {
        self.events.stamp(&self.compute)
    }

    fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration> {
        self.events.elapsed(from, to)
    }

    fn synchronize(&self) -> Result<()> {
        self.compute.synchronize()?;
        if let Some(transfer) = self.transfer.get() {
            transfer.waited();
        }
        // What went wrong while something was dropped comes up here.
        Ok(self.driver.check_err()?)
    }

    fn upload_bytes(&self, bytes: &[u8], to: TensorMut<'_>) -> Result<()> {
        same((DType::U8, bytes.len()), (DType::U8, to.bytes()))?;
        // SAFETY: the tensor is exclusive device memory of exactly these bytes.
        unsafe { self.transfer()?.upload(&self.compute, bytes, target(&to)) }
    }

    fn download_bytes(&self, from: TensorRef<'_>, to: &mut [u8]) -> Result<()> {
        same((DType::U8, from.bytes()), (DType::U8, to.len()))?;
        self.transfer()?.download(&self.compute, from, to)
    }

    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<()> {
        same(of(&from), of(&to.view()))?;
        // SAFETY: both are live device memory of the same size; an exclusive and a shared view
        // never overlap; only this stream works on them.
        unsafe {
            let (to, from, bytes) = (target(&to), from.address() as u64, from.bytes());
            Ok(self.compute.copy_device(to, from, bytes)?)
        }
    }

    fn copy_through_bf16(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<()> {
        same(of(&from), of(&to.view()))?;
        if from.dtype() != DType::F32 {
            return Err(AccessError::WrongType {
                held: from.dtype(),
                wanted: DType::F32,
            }
            .into());
        }
        let count = from.shape().elements() as u64;
        // SAFETY: as for `copy`.
        unsafe {
            let (to, from) = (target(&to), from.address() as u64);
            Ok(self.vision.round_bf16(&self.compute, to, from, count)?)
        }
    }

    fn zero(&self, to: TensorMut<'_>) -> Result<()> {
        // SAFETY: live, exclusive device memory of these bytes.
        unsafe { Ok(self.compute.fill_zero(target(&to), to.bytes())?) }
    }
}

impl Drop for CudaDevice {
    fn drop(&mut self) {
        // Queued work may still use memory that is freed next; its errors no longer matter.
        let _ = self.compute.synchronize();
        let _ = self.upload.synchronize();
    }
}
