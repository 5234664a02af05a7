//! The one trait through which the tracker runs components, whatever runs them.
//!
//! A backend owns loaded components and knows how to get at memory; it knows nothing of frames,
//! objects or banks. Each backend stands in a folder of its own and says whether this machine can
//! run it ([`availability`]). A backend allocates no device memory outside the arena once it has
//! warmed up.

use crate::bundle::{Bundle, BundleError, Component};
#[cfg(feature = "cpu")]
use crate::cpu::{CpuBackend, CpuOptions};
pub use crate::cuda::DeviceMemory;
pub use crate::cuda::kernels::Normalization;
use crate::cuda::{BlockChoice, BlockStrategy, JpegDecoder};
use crate::memory::{
    AccessError, Arena, ArenaError, PlanRow, Slab, SlabError, Tensor, TensorMut, TensorRef,
};
use crate::tensorrt_backend::TensorRtBackend;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The backends this library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// TensorRT on a CUDA device.
    TensorRt,
    /// The CPU runtime: the embedded default and the fp32 reference.
    Cpu,
}

impl BackendKind {
    /// All kinds, the one that `auto` tries first coming first.
    pub const ALL: [Self; 2] = [Self::TensorRt, Self::Cpu];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cpu => "cpu",
        }
    }
}

impl std::fmt::Display for BackendKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a backend can run here, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Available,
    /// It cannot; the reason is a sentence that says what is missing.
    Unavailable(String),
}

/// Whether `kind` can run on this machine.
pub fn availability(kind: BackendKind) -> Availability {
    match kind {
        BackendKind::TensorRt => match crate::tensorrt_backend::availability() {
            Ok(()) => Availability::Available,
            Err(error) => Availability::Unavailable(error.to_string()),
        },
        BackendKind::Cpu if cfg!(feature = "cpu") => Availability::Available,
        BackendKind::Cpu => Availability::Unavailable(
            "this program was built without the CPU runtime (feature `cpu`)".to_owned(),
        ),
    }
}

/// What a backend says about itself, for `run.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendInfo {
    /// Which backend.
    pub kind: BackendKind,
    /// The runtime and its version.
    pub runtime: String,
    /// The device's name.
    pub device: String,
    /// Threads of a CPU runtime.
    pub threads: Option<usize>,
    /// Whether the device or TensorRT is a stand-in for tests: nothing it does is a measurement.
    pub simulated: bool,
    /// What the arena does not hold, in a sentence, so that nobody takes its bytes for all.
    pub outside_arena: String,
}

impl BackendInfo {
    /// The kind as rows and tables name it; a stand-in says that it is one.
    pub fn label(&self) -> String {
        match self.simulated {
            true => format!("{} (simulated)", self.kind),
            false => self.kind.to_string(),
        }
    }
}

/// A point on the backend's time line, for [`Backend::elapsed`].
///
/// Work is queued on a device, so the host's clock says when it was asked for, not when it was
/// done; a stamp is reached when everything queued before it has run.
#[derive(Clone, Copy, Debug)]
pub enum Stamp {
    /// The host's clock: the backend does its work before it returns.
    Host(Instant),
    /// The number of an event of the device; see the backend for how long it is kept.
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

/// What a backend needs of memory besides the tracker's own tensors: plain data, so that a plan can
/// be made where the device is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Kept in the process region (weights, persistent context memory, one scratch block for all
    /// components), in the order in which [`Backend::settle`] takes it.
    pub process: Vec<PlanRow>,
    /// In the video region: a frame's bytes, resize tables, mask bits. [`DeviceFrames`] works on
    /// them, in this order.
    pub video: Vec<PlanRow>,
    /// Kept in staging memory for the whole run: what small uploads and read-backs pass through.
    pub staging_kept: Vec<PlanRow>,
    /// In staging memory, after the ring of decoded frames: masks on their way down.
    pub staging: Vec<PlanRow>,
    /// Whether the ring of decoded frames stands in staging memory, since the slab is the device's.
    pub staged: bool,
}

/// The ends of the pipeline that a device can do itself: frames go up as bytes, masks come down as
/// bits. Memory is given in the order of [`Needs::video`] and [`Needs::staging`].
pub trait DeviceFrames {
    /// Prepares for videos of one size: uploads the resize tables and, the first time for a size,
    /// chooses how frames reach the device. `frame` is staging memory of a frame, whatever is in it.
    ///
    /// # Errors
    /// When a row is too small, or the device fails.
    fn open(
        &self,
        size: FrameSize,
        frame: &[u8],
        video: &mut [Tensor<'_>],
    ) -> Result<(), BackendError>;

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
    ) -> Result<(), BackendError>;

    /// Queues one object's logits (S/4 x S/4) to a mask of the video's size, as bits in slot
    /// `slot` of the staging memory; readable after [`Backend::synchronize`].
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
    ) -> Result<(), BackendError>;

    /// The mask of a slot, after [`Backend::synchronize`].
    ///
    /// # Errors
    /// When the slot is not there.
    fn bits<'a>(
        &self,
        size: FrameSize,
        slot: usize,
        staging: &'a [Tensor<'_>],
    ) -> Result<MaskBits<'a>, BackendError>;
}

/// A mask as a device hands it over.
#[derive(Clone, Copy, Debug)]
pub struct MaskBits<'a> {
    /// Rows of [`FrameSize::mask_row_words`] words, lowest bit first.
    pub words: &'a [u32],
    /// Whether every logit was finite.
    pub finite: bool,
}

/// Why a backend failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The bundle's files have gone.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The slab could not be had.
    #[error(transparent)]
    Slab(#[from] SlabError),
    /// A handle was not usable as asked.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The arena has no room for what the backend keeps.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// A component did not load.
    #[error("the {kind} backend cannot load '{component}': {message}")]
    Load {
        /// The backend.
        kind: BackendKind,
        /// The component.
        component: &'static str,
        /// What the runtime said.
        message: String,
    },
    /// A component failed while it ran.
    #[error("the {kind} backend failed in '{component}': {message}")]
    Run {
        /// The backend.
        kind: BackendKind,
        /// The component.
        component: &'static str,
        /// What the runtime said.
        message: String,
    },
    /// The CUDA driver refused.
    #[error(transparent)]
    Cuda(#[from] crate::cuda::CudaError),
    /// nvJPEG.
    #[error(transparent)]
    Jpeg(#[from] crate::cuda::JpegError),
    /// TensorRT refused.
    #[error("{0}{advice}", advice = crate::tensorrt::advice(.0))]
    TensorRt(#[from] crate::tensorrt::Error),
    /// An engine is missing or damaged.
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    /// The backend that was asked for cannot run on this machine.
    #[error("the {kind} backend cannot run here: {reason}")]
    Unavailable {
        /// The backend.
        kind: BackendKind,
        /// What is missing.
        reason: String,
    },
    /// Nobody knows yet what an engine takes.
    #[error(
        "no engine of '{component}' in {place} has been loaded on its device yet, so nobody knows \
         what it takes there; build engines with `masklet build` and run `masklet plan` on the \
         device once"
    )]
    NotMeasured {
        /// The component.
        component: &'static str,
        /// The engines folder.
        place: String,
    },
    /// An engine has other inputs or outputs than its component.
    #[error(
        "the engine of '{component}' has no tensor '{tensor}' of {dtype} {shape:?}; it was built of \
         another export: rebuild it with `masklet build --force`"
    )]
    EngineTensor {
        /// The component.
        component: &'static str,
        /// The tensor that the contract asks for.
        tensor: String,
        /// Its element type.
        dtype: crate::tensor::DType,
        /// Its extents.
        shape: Vec<usize>,
    },
    /// The video is larger than the plan allowed for.
    #[error(
        "{what} needs {needed} bytes, the plan has {planned}: the frame is larger than planned"
    )]
    FrameTooLarge {
        /// What does not fit.
        what: &'static str,
        /// Bytes it needs.
        needed: usize,
        /// Bytes planned.
        planned: usize,
    },
    /// A stamp that this backend did not make, or no longer has.
    #[error("a time stamp is not (or no longer) one of the {kind} backend")]
    ForeignStamp {
        /// The backend.
        kind: BackendKind,
    },
    /// The backend was left out when this program was built.
    #[error("this program was built without the {kind} backend")]
    NotBuiltIn {
        /// The backend.
        kind: BackendKind,
    },
    /// A bundle that the backend cannot compute.
    #[error("the {kind} backend cannot run a {precision} bundle: {advice}")]
    Precision {
        /// The backend.
        kind: BackendKind,
        /// The bundle's precision.
        precision: String,
        /// What to do.
        advice: String,
    },
}

/// Runs components on arena memory.
///
/// Work may be queued: a call returns when it has been asked for, in order. What
/// [`Backend::download_f32`] returns is complete, and [`Backend::synchronize`] waits for all.
pub trait Backend {
    /// What the backend says about itself.
    fn info(&self) -> BackendInfo;

    /// Takes the one slab of a run.
    ///
    /// # Errors
    /// When the memory cannot be had.
    fn slab(&self, bytes: usize) -> Result<Slab, BackendError>;

    /// How the slab was had; `None` before it was, and for host memory.
    fn slab_strategy(&self) -> Option<BlockStrategy> {
        None
    }

    /// Takes the host memory through which frames and masks pass to the device; `None` where the
    /// slab itself is host memory and no such memory is needed.
    ///
    /// # Errors
    /// When the memory cannot be had.
    fn staging_slab(&self, bytes: usize) -> Result<Option<Slab>, BackendError>;

    /// A decoder of JPEG files on the device, for `threads` files at once, whose pixels go to the staging
    /// slab; `None` where the backend has no device or the slab was not taken.
    ///
    /// # Errors
    /// When nvJPEG is not there or refuses the device.
    fn jpeg_decoder(&self, threads: usize) -> Result<Option<JpegDecoder>, BackendError> {
        let _ = threads;
        Ok(None)
    }

    /// What the backend needs of memory for frames of these sizes and this many objects at once.
    fn needs(&self, frames: FrameLimits, objects: usize) -> Needs;

    /// Takes what the backend keeps from the arena, and from the staging memory where there is one,
    /// and loads the components into it. Called once, before anything runs; both must outlive every
    /// later call.
    ///
    /// # Errors
    /// When the arena is too small or a component does not load.
    fn settle(&self, arena: &mut Arena, staging: Option<&mut Arena>) -> Result<(), BackendError>;

    /// Whether tensors should stand at the same addresses in every video, so that captured graphs
    /// can be replayed.
    fn wants_fixed_addresses(&self) -> bool;

    /// Driver allocations of this process so far, whoever made them, without the slabs themselves;
    /// `None` where there is no driver.
    fn driver_allocations(&self) -> Option<u64>;

    /// Free and total memory of the device now, as its driver reports it; `None` where there is no
    /// device, or the driver does not say. Takes no memory.
    fn device_memory(&self) -> Option<DeviceMemory>;

    /// What the device does at both ends of the pipeline; `None` where the host does it.
    fn frames(&self) -> Option<&dyn DeviceFrames>;

    /// A stamp after everything queued so far.
    ///
    /// # Errors
    /// When the device fails.
    fn stamp(&self) -> Result<Stamp, BackendError>;

    /// Time between two stamps; waits until `to` is reached. Stamps of a few frames back are gone.
    ///
    /// # Errors
    /// When the device fails or a stamp is gone.
    fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration, BackendError>;

    /// Waits until everything queued has run.
    ///
    /// # Errors
    /// When the device failed in any of it.
    fn synchronize(&self) -> Result<(), BackendError>;

    /// Runs a component. Inputs and outputs come in the order of [`Component::tensors`].
    ///
    /// # Errors
    /// When the runtime fails or a tensor does not fit.
    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<(), BackendError>;

    /// Copies host values into arena memory; both must have the same number of elements.
    ///
    /// # Errors
    /// When type or size differ.
    fn upload_f32(&self, values: &[f32], to: TensorMut<'_>) -> Result<(), BackendError>;

    /// As [`Backend::upload_f32`], for integers.
    ///
    /// # Errors
    /// When type or size differ.
    fn upload_i32(&self, values: &[i32], to: TensorMut<'_>) -> Result<(), BackendError>;

    /// Copies arena memory out.
    ///
    /// # Errors
    /// When type or size differ.
    fn download_f32(&self, from: TensorRef<'_>, to: &mut [f32]) -> Result<(), BackendError>;

    /// As [`Backend::download_f32`], for integers.
    ///
    /// # Errors
    /// When type or size differ.
    fn download_i32(&self, from: TensorRef<'_>, to: &mut [i32]) -> Result<(), BackendError>;

    /// Copies from tensor to tensor inside the arena.
    ///
    /// # Errors
    /// When type or size differ.
    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<(), BackendError>;

    /// As [`Backend::copy`] for f32, rounding every value to bfloat16 and back: how the reference
    /// keeps memories of some families.
    ///
    /// # Errors
    /// When type or size differ.
    fn copy_through_bf16(&self, from: TensorRef<'_>, to: TensorMut<'_>)
    -> Result<(), BackendError>;

    /// Sets every byte to zero.
    ///
    /// # Errors
    /// When the memory cannot be written.
    fn zero(&self, to: TensorMut<'_>) -> Result<(), BackendError>;
}

/// Whether components run from captured CUDA graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum GraphMode {
    /// Where capturing works, quietly without where it does not.
    #[default]
    Auto,
    /// Always; a component that cannot be captured is an error.
    On,
    /// Never.
    Off,
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

/// How a backend runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendOptions {
    /// Worker threads of a CPU runtime; at least 1.
    pub threads: usize,
    /// Where engines are; `None` for the usual places.
    pub engines: Option<PathBuf>,
    /// Which of several engines that fit: the options that they were built with, as `masklet
    /// engines list` prints them; `None` for the default ones.
    pub engine_options: Option<String>,
    /// Ordinal of the CUDA device.
    pub device: usize,
    /// Captured graphs.
    pub graphs: GraphMode,
    /// How frames reach the device.
    pub staging: FrameStaging,
    /// How the arena's block is asked for.
    pub block: BlockChoice,
}

/// Opens a backend for a bundle.
///
/// # Errors
/// When a component does not load, or there is no engine of it for this device.
pub fn open(
    kind: BackendKind,
    bundle: &Bundle,
    options: &BackendOptions,
) -> Result<Box<dyn Backend>, BackendError> {
    match kind {
        BackendKind::TensorRt => Ok(Box::new(TensorRtBackend::open(bundle, options)?)),
        #[cfg(feature = "cpu")]
        BackendKind::Cpu => {
            let threads = options.threads;
            Ok(Box::new(CpuBackend::open(bundle, &CpuOptions { threads })?))
        }
        #[cfg(not(feature = "cpu"))]
        BackendKind::Cpu => Err(BackendError::NotBuiltIn { kind }),
    }
}

/// What a run with a backend will need, and what the backend says about itself, before the run
/// takes any memory for it. On a device this may load engines once, to measure them.
///
/// # Errors
/// As for [`open`].
pub fn prepare(
    kind: BackendKind,
    bundle: &Bundle,
    options: &BackendOptions,
    frames: FrameLimits,
    objects: usize,
) -> Result<(Needs, BackendInfo), BackendError> {
    match kind {
        BackendKind::TensorRt => {
            let backend = TensorRtBackend::open(bundle, options)?;
            Ok((backend.needs(frames, objects), backend.info()))
        }
        #[cfg(feature = "cpu")]
        BackendKind::Cpu => Ok((Needs::default(), crate::cpu::info(options.threads))),
        #[cfg(not(feature = "cpu"))]
        BackendKind::Cpu => Err(BackendError::NotBuiltIn { kind }),
    }
}

/// What a run on the TensorRT backend will need, as far as the engines folder knows it: for a
/// machine without the device. Engines must have been loaded on some device once.
///
/// # Errors
/// When an engine is missing, or none has been measured.
pub fn recorded_needs(
    bundle: &Bundle,
    options: &BackendOptions,
    frames: FrameLimits,
    objects: usize,
) -> Result<Needs, BackendError> {
    crate::tensorrt_backend::recorded_needs(bundle, options, frames, objects)
}
