//! The kernels of `vision.cu` as functions.

use super::module::{Kernel, Module, launch};
use super::resize::ResizeTables;
use crate::cuda::device::Device;
use crate::cuda::error::CudaError;
use crate::cuda::stream::Stream;
use std::ffi::{CStr, c_void};
use std::sync::Arc;

/// The compiled kernels, with the zero that the driver wants at the end.
const PTX: &str = concat!(include_str!("vision.ptx"), "\0");

/// Per-channel mean and standard deviation of the model's input, of values from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Mean of red, green and blue.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

/// Where a frame and its tensor lie on the device.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The frame: (height, width, 3) u8, RGB.
    pub pixels: u64,
    /// [`ResizeTables::to_bytes`], uploaded; 4-byte aligned.
    pub tables: u64,
    /// Scratch memory of [`ResizeTables::scratch_bytes`].
    pub scratch: u64,
    /// The tensor: (3, size, size) f32.
    pub tensor: u64,
}

/// A batch of masks as bits: sizes and where they lie.
///
/// One bit per pixel, row by row; a row is padded to whole 32-bit words; pixel x is bit x % 32
/// (least significant first) of word x / 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskBits {
    /// Rows.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
}

impl MaskBits {
    /// 32-bit words of a row.
    pub fn words_per_row(&self) -> usize {
        (self.width as usize).div_ceil(32)
    }

    /// Bytes of one mask.
    pub fn bytes(&self) -> usize {
        self.words_per_row() * self.height as usize * 4
    }
}

/// Threads of a block of the resize.
const BLOCK: [u32; 2] = [32, 8];

/// Blocks of the resize for `columns` x `rows` results.
fn grid(columns: u32, rows: u32) -> [u32; 3] {
    [columns.div_ceil(BLOCK[0]), rows.div_ceil(BLOCK[1]), 1]
}

/// The kernels, loaded on a device.
#[derive(Debug)]
pub struct Vision {
    columns: Kernel,
    rows: Kernel,
    bits: Kernel,
    bf16: Kernel,
    /// Keeps the kernels valid.
    _module: Module,
}

// SAFETY: kernels may be launched from any thread; launching binds the context first.
unsafe impl Send for Vision {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for Vision {}

impl Vision {
    /// Loads the kernels; the driver compiles them for its device the first time and keeps that in
    /// its cache.
    ///
    /// # Errors
    /// When the driver is older than CUDA 12.2, or refuses for another reason.
    pub fn load(device: &Arc<Device>) -> Result<Self, CudaError> {
        let ptx = CStr::from_bytes_until_nul(PTX.as_bytes()).unwrap_or(c"");
        let module = Module::load(device, ptx)?;
        Ok(Self {
            columns: module.kernel(c"masklet_resize_columns")?,
            rows: module.kernel(c"masklet_resize_rows_normalize")?,
            bits: module.kernel(c"masklet_logits_to_bits")?,
            bf16: module.kernel(c"masklet_round_bf16")?,
            _module: module,
        })
    }

    /// A frame to the model's input: 8-bit antialiased bilinear resize to the square, then
    /// (value / 255 - mean) / std per channel, channels first.
    ///
    /// # Safety
    /// - The addresses of `frame` are device memory (the frame may be mapped host memory) of the
    ///   sizes that `tables` gives, `frame.tables` holds its bytes, and none overlaps another.
    /// - They keep the contract of [`Stream`]; scratch is free again when the call's work is done.
    ///
    /// # Errors
    /// When the driver refuses the launch.
    pub unsafe fn preprocess(
        &self,
        stream: &Stream,
        tables: &ResizeTables,
        normalization: &Normalization,
        frame: Frame,
    ) -> Result<(), CudaError> {
        // SAFETY: the caller's promise.
        unsafe { self.narrow(stream, tables, frame)? };
        let size = tables.size();
        let [_, rows] = tables.addresses(frame.tables);
        let axis = tables.rows();
        let shift = normalization.mean.map(|mean| mean * 255.0);
        let scale = normalization.std.map(|std| std * 255.0);
        // SAFETY: as above.
        unsafe {
            launch(
                stream,
                self.rows,
                grid(size, size),
                BLOCK,
                [
                    argument(&frame.scratch),
                    argument(&frame.tensor),
                    argument(&rows[0]),
                    argument(&rows[1]),
                    argument(&rows[2]),
                    argument(&axis.window),
                    argument(&axis.precision),
                    argument(&size),
                    argument(&shift[0]),
                    argument(&shift[1]),
                    argument(&shift[2]),
                    argument(&scale[0]),
                    argument(&scale[1]),
                    argument(&scale[2]),
                ],
            )
        }
    }

    /// The first half of [`Self::preprocess`], the only one that reads the frame: columns resized, into
    /// scratch.
    ///
    /// # Safety
    /// As there; `frame.tensor` is not touched.
    ///
    /// # Errors
    /// When the driver refuses the launch.
    pub unsafe fn narrow(
        &self,
        stream: &Stream,
        tables: &ResizeTables,
        frame: Frame,
    ) -> Result<(), CudaError> {
        let (height, width, size) = (tables.height(), tables.width(), tables.size());
        let [columns, _] = tables.addresses(frame.tables);
        let axis = tables.columns();
        // SAFETY: types and order are the kernel's; the rest is the caller's promise.
        unsafe {
            launch(
                stream,
                self.columns,
                grid(size, height),
                BLOCK,
                [
                    argument(&frame.pixels),
                    argument(&frame.scratch),
                    argument(&columns[0]),
                    argument(&columns[1]),
                    argument(&columns[2]),
                    argument(&axis.window),
                    argument(&axis.precision),
                    argument(&width),
                    argument(&height),
                    argument(&size),
                ],
            )
        }
    }

    /// Mask logits (objects, side, side) f32 to bits at the video's size: bilinear, then `> 0`.
    /// `not_finite` is one u32 per object: 1 afterwards when one of its logits is NaN or infinite,
    /// else 0.
    ///
    /// # Safety
    /// - `logits`, `bits` (`objects` times [`MaskBits::bytes`]) and `not_finite` are device memory,
    ///   4-byte aligned, and none overlaps another.
    /// - They keep the contract of [`Stream`].
    ///
    /// # Errors
    /// [`CudaError::Shape`] when a size is 0 or too large for the kernel; or the driver refuses.
    #[expect(clippy::too_many_arguments, reason = "three addresses and their sizes")]
    pub unsafe fn postprocess(
        &self,
        stream: &Stream,
        objects: u32,
        side: u32,
        logits: u64,
        mask: MaskBits,
        bits: u64,
        not_finite: u64,
    ) -> Result<(), CudaError> {
        for (name, value, most) in [
            ("the number of objects", objects, 65535),
            ("the logits' side", side, 1 << 16),
            ("the height", mask.height, 1 << 16),
            ("the width", mask.width, 1 << 16),
        ] {
            if !(1..=most).contains(&value) {
                return Err(CudaError::Shape {
                    kernel: "postprocess",
                    reason: format!("{name} is {value}; 1 to {most} is possible"),
                });
            }
        }
        // SAFETY: the caller's promise.
        unsafe { stream.fill_zero(not_finite, objects as usize * 4)? };
        let scale_x = side as f32 / mask.width as f32;
        let scale_y = side as f32 / mask.height as f32;
        let words = mask.width.div_ceil(32);
        let block = [32, 4];
        let grid = [words.div_ceil(32), mask.height.div_ceil(4), objects];
        // SAFETY: types and order are the kernel's; the rest is the caller's promise.
        unsafe {
            launch(
                stream,
                self.bits,
                grid,
                block,
                [
                    argument(&logits),
                    argument(&bits),
                    argument(&not_finite),
                    argument(&side),
                    argument(&mask.height),
                    argument(&mask.width),
                    argument(&scale_x),
                    argument(&scale_y),
                ],
            )
        }
    }

    /// Copies `count` f32 values, each rounded to bfloat16 (nearest, ties to even) and back.
    ///
    /// # Safety
    /// `source` and `target` are `count * 4` bytes of device memory, 4-byte aligned, the same or
    /// not overlapping, and keep the contract of [`Stream`].
    ///
    /// # Errors
    /// When the driver refuses the launch.
    pub unsafe fn round_bf16(
        &self,
        stream: &Stream,
        target: u64,
        source: u64,
        count: u64,
    ) -> Result<(), CudaError> {
        if count == 0 {
            return Ok(());
        }
        // The kernel strides, so more blocks than a device can hold at once would gain nothing.
        let blocks = u32::try_from(count.div_ceil(256)).map_or(4096, |blocks| blocks.min(4096));
        // SAFETY: types and order are the kernel's; the rest is the caller's promise.
        unsafe {
            launch(
                stream,
                self.bf16,
                [blocks, 1, 1],
                [256, 1],
                [argument(&source), argument(&target), argument(&count)],
            )
        }
    }
}

/// A kernel's argument: the driver reads it through this pointer during the launch.
fn argument<T>(value: &T) -> *mut c_void {
    std::ptr::from_ref(value).cast_mut().cast()
}
