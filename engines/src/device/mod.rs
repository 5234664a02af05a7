//! Where tensors are: memory, copies, time stamps, and the two ends of the pipeline.
//!
//! In scope: the one [`Device`] trait with a folder per device; what the ends of the pipeline need
//! ([`DeviceFrames`]). Out of scope: what computes on the memory ([`crate::runtime`]), and what lies
//! in it (the tracker decides).

pub mod cuda;
pub mod host;

use crate::cuda::JpegDecoder;
pub use crate::cuda::kernels::Normalization;
pub use crate::cuda::{BlockStrategy, DeviceMemory};
use crate::error::{Error, Result};
use crate::memory::{AccessError, Arena, Element, PlanRow, Slab, Tensor, TensorMut, TensorRef};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The CPU and its memory.
    #[serde(rename = "cpu")]
    Host,
    /// A CUDA device.
    Cuda,
}

impl DeviceKind {
    /// The name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A point on a device's time line, for [`Device::elapsed`].
///
/// Work is queued on a device, so the host's clock shows when it was requested, not when it was
/// done; a stamp is reached when everything queued before it has run.
#[derive(Clone, Copy, Debug)]
pub enum Stamp {
    /// The host's clock: the device does its work before it returns.
    Host(Instant),
    /// The number of an event of the device; see the device for how long it is kept.
    Device(u64),
}

/// Size of a video's frames in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FrameSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl FrameSize {
    /// Bytes of a frame of interleaved RGB.
    pub fn rgb_bytes(self) -> usize {
        self.height * self.width * 3
    }

    /// 32-bit words of a row of a bit mask.
    pub fn mask_row_words(self) -> usize {
        self.width.div_ceil(32)
    }

    /// Bytes of a bit mask: rows padded to 32 bits.
    pub fn mask_bytes(self) -> usize {
        self.height * self.mask_row_words() * 4
    }
}

/// The largest of everything that depends on the size of frames, over the videos of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrameLimits {
    /// Bytes of a decoded frame.
    pub rgb_bytes: usize,
    /// Bytes of a bit mask.
    pub mask_bytes: usize,
    /// Most rows.
    pub height: usize,
    /// Most columns.
    pub width: usize,
}

impl FrameLimits {
    /// The limits over frame sizes; all zero where there is none.
    pub fn of(sizes: impl IntoIterator<Item = FrameSize>) -> Self {
        sizes.into_iter().fold(Self::default(), |most, size| Self {
            rgb_bytes: most.rgb_bytes.max(size.rgb_bytes()),
            mask_bytes: most.mask_bytes.max(size.mask_bytes()),
            height: most.height.max(size.height),
            width: most.width.max(size.width),
        })
    }
}

/// What a device needs of memory for the ends of the pipeline: plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndRows {
    /// In the video region: a frame's bytes, resize tables, mask bits. [`DeviceFrames`] works on
    /// them, in this order.
    pub video: Vec<PlanRow>,
    /// Kept in staging memory for the whole run: what small uploads and read-backs pass through.
    pub staging_kept: Vec<PlanRow>,
    /// In staging memory, after the ring of decoded frames: masks on their way down.
    pub staging: Vec<PlanRow>,
    /// Whether the ring of decoded frames is in staging memory, since the slab is the device's.
    pub staged: bool,
}

/// What a device is, for records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Which kind.
    pub kind: DeviceKind,
    /// Its name.
    pub name: String,
    /// Whether it is a simulation for tests: nothing it does is a measurement.
    pub simulated: bool,
}

/// How the bytes of a frame reach the kernel that resizes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum FrameStaging {
    /// On an integrated device, whose memory is the host's, the faster of the two, measured for every
    /// size of frame; elsewhere copied.
    #[default]
    Auto,
    /// Copied to the device first.
    Copy,
    /// Read where the host wrote them.
    InPlace,
}

/// How frames of a size reach the device, and what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FrameWay {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Read in place, not copied.
    pub in_place: bool,
    /// Milliseconds to copy a frame and resize its columns; `None` where nothing was measured.
    pub copy_ms: Option<f64>,
    /// Milliseconds to resize a frame's columns in place.
    pub in_place_ms: Option<f64>,
}

/// A mask as a device delivers it.
#[derive(Clone, Copy, Debug)]
pub struct MaskBits<'a> {
    /// Rows of [`FrameSize::mask_row_words`] words, lowest bit first.
    pub words: &'a [u32],
    /// Whether every logit was finite.
    pub finite: bool,
}

/// The ends of the pipeline that a device can do itself: frames go up as bytes, masks come down as
/// bits. Memory is given in the order of [`EndRows::video`] and [`EndRows::staging`].
pub trait DeviceFrames {
    /// Prepares for videos of one size: uploads the resize tables and, the first time for a size,
    /// chooses how frames reach the device. `frame` is staging memory of a frame, whatever is in it.
    ///
    /// # Errors
    /// When a row is too small, or the device fails.
    fn open(&self, size: FrameSize, frame: &[u8], video: &mut [Tensor<'_>]) -> Result<()>;

    /// How frames reach the device, for every size that was opened.
    fn ways(&self) -> Vec<FrameWay>;

    /// Queues a frame: RGB bytes in staging memory to the normalised `image` tensor. The bytes must
    /// stay as they are until the frame's masks have come down.
    ///
    /// # Errors
    /// When sizes do not fit or the device fails.
    fn load(
        &self,
        size: FrameSize,
        rgb: &[u8],
        normalization: Normalization,
        video: &mut [Tensor<'_>],
        image: TensorMut<'_>,
    ) -> Result<()>;

    /// Queues one object's logits (S/4 x S/4) to a mask of the video's size, as bits in slot
    /// `slot` of the staging memory; readable after [`Device::synchronize`].
    ///
    /// # Errors
    /// When sizes do not fit or the device fails.
    fn mask(
        &self,
        size: FrameSize,
        logits: TensorRef<'_>,
        slot: usize,
        video: &mut [Tensor<'_>],
        staging: &mut [Tensor<'_>],
    ) -> Result<()>;

    /// The mask of a slot, after [`Device::synchronize`].
    ///
    /// # Errors
    /// When there is no such slot.
    fn bits<'a>(
        &self,
        size: FrameSize,
        slot: usize,
        staging: &'a [Tensor<'_>],
    ) -> Result<MaskBits<'a>>;
}

/// Memory, copies, time stamps and the ends of the pipeline.
///
/// Work may be queued: a call returns when it has been requested, in order. What a download
/// returns is complete, and [`Device::synchronize`] waits for everything. Uploads and downloads of
/// typed values are functions of `dyn Device`.
pub trait Device {
    /// What it is.
    fn facts(&self) -> DeviceFacts;

    /// Takes the one slab of a run.
    ///
    /// # Errors
    /// When the memory is refused.
    fn slab(&self, bytes: usize) -> Result<Slab>;

    /// How the slab was allocated; `None` before it was, and for host memory.
    fn slab_strategy(&self) -> Option<BlockStrategy> {
        None
    }

    /// Takes the host memory through which frames and masks pass to the device; `None` where the
    /// slab itself is host memory and no such memory is needed.
    ///
    /// # Errors
    /// When the memory is refused.
    fn staging_slab(&self, bytes: usize) -> Result<Option<Slab>>;

    /// A decoder of JPEG files on the device, for `threads` files at once, whose pixels go to the
    /// staging slab; `None` where the device has none.
    ///
    /// # Errors
    /// When nvJPEG is missing or refuses the device, or the staging slab was not taken.
    fn jpeg_decoder(&self, threads: usize) -> Result<Option<JpegDecoder>> {
        let _ = threads;
        Ok(None)
    }

    /// What the ends of the pipeline need of memory for frames within `frames`, `objects` at once and
    /// a model input of `side` x `side` pixels.
    fn end_rows(&self, frames: FrameLimits, objects: usize, side: usize) -> EndRows;

    /// Takes what the device keeps of the staging memory ([`EndRows::staging_kept`]). Called once,
    /// before anything runs; the memory must outlive every later call.
    ///
    /// # Errors
    /// When there is none, or it is too small.
    fn keep(&self, staging: Option<&mut Arena>) -> Result<()>;

    /// Driver allocations of this process so far, whoever made them, without the slabs themselves;
    /// `None` where there is no driver.
    fn driver_allocations(&self) -> Option<u64> {
        None
    }

    /// Free and total memory of the device now, as its driver reports it; `None` where there is no
    /// driver, or it does not report. Takes no memory.
    fn memory(&self) -> Option<DeviceMemory> {
        None
    }

    /// What the device does at both ends of the pipeline; `None` where the host does it.
    fn frames(&self) -> Option<&dyn DeviceFrames> {
        None
    }

    /// A stamp after everything queued so far.
    ///
    /// # Errors
    /// When the device fails.
    fn stamp(&self) -> Result<Stamp>;

    /// Time between two stamps; waits until `to` is reached. Stamps of a few frames back are gone.
    ///
    /// # Errors
    /// When the device fails or a stamp is gone.
    fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration>;

    /// Waits until everything queued has run.
    ///
    /// # Errors
    /// When the device failed in any of it.
    fn synchronize(&self) -> Result<()>;

    /// Copies bytes into a tensor of that many bytes.
    ///
    /// # Errors
    /// When the device fails or the sizes differ.
    fn upload_bytes(&self, bytes: &[u8], to: TensorMut<'_>) -> Result<()>;

    /// Copies a tensor's bytes out; waits for what was queued before.
    ///
    /// # Errors
    /// When the device fails or the sizes differ.
    fn download_bytes(&self, from: TensorRef<'_>, to: &mut [u8]) -> Result<()>;

    /// Copies from tensor to tensor inside the arena.
    ///
    /// # Errors
    /// When type or size differ, or the device fails.
    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<()>;

    /// As [`Device::copy`] for f32, rounding every value to bfloat16 and back: how the reference
    /// keeps memories of some families.
    ///
    /// # Errors
    /// When type or size differ, or the device fails.
    fn copy_through_bf16(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<()>;

    /// Sets every byte to zero.
    ///
    /// # Errors
    /// When the memory cannot be written.
    fn zero(&self, to: TensorMut<'_>) -> Result<()>;
}

impl dyn Device + '_ {
    /// Copies host values into a tensor of the same type and number of elements.
    ///
    /// # Errors
    /// When type or size differ, or the device fails.
    pub fn upload<T: Element>(&self, values: &[T], to: TensorMut<'_>) -> Result<()> {
        same((T::DTYPE, values.len()), of(&to.view()))?;
        self.upload_bytes(bytes_of(values), to)
    }

    /// Copies a tensor's values out.
    ///
    /// # Errors
    /// As for an upload.
    pub fn download<T: Element>(&self, from: TensorRef<'_>, to: &mut [T]) -> Result<()> {
        same(of(&from), (T::DTYPE, to.len()))?;
        let bytes = std::mem::size_of_val(to);
        // SAFETY: elements are plain numbers without padding, of which any bytes are one.
        let to = unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), bytes) };
        self.download_bytes(from, to)
    }
}

/// The bytes of values.
fn bytes_of<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: elements are plain numbers without padding; every byte is initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), std::mem::size_of_val(values)) }
}

/// Type and number of elements of a tensor.
fn of(tensor: &TensorRef<'_>) -> (DType, usize) {
    (tensor.dtype(), tensor.shape().elements())
}

/// What is copied fits where it goes, to the element.
fn same(from: (DType, usize), to: (DType, usize)) -> Result<()> {
    if from.0 != to.0 {
        return Err(AccessError::WrongType {
            held: from.0,
            wanted: to.0,
        }
        .into());
    }
    if from.1 != to.1 {
        let ((_, from), (_, to)) = (from, to);
        return Err(Error::run(format!(
            "{from} elements do not fit into a tensor of {to}"
        )));
    }
    Ok(())
}

/// A stamp of another device, or one that is no longer kept.
fn foreign_stamp() -> Error {
    Error::run("a time stamp is not, or no longer, one of this device")
}
