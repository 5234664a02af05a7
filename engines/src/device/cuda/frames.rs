//! Both ends of the pipeline on the device: frames up as bytes, masks down as bits.
//!
//! A frame's bytes go up on a stream of their own; the compute stream waits for them before it
//! resizes, and they wait for the resize of the frame before. Where they are read in place
//! ([`super::staging`]) nothing goes up. Everything else is on the compute stream, in order.

use super::CudaDevice;
use crate::cuda::kernels;
use crate::device::{DeviceFrames, FrameLimits, FrameSize, FrameWay, MaskBits, Normalization};
use crate::error::{Error, Result};
use crate::memory::{PlanRow, Tensor, TensorMut, TensorRef};
use crate::tensor::DType;

/// Places in [`crate::device::EndRows::video`].
const PIXELS: usize = 0;
const TABLES: usize = 1;
const NARROWED: usize = 2;
const BITS: usize = 3;
const FLAG: usize = 4;

/// Bytes of the flag beside a mask.
const FLAG_BYTES: usize = 4;

/// The rows for frames within the limits, to a square of `side`.
pub(super) fn rows(
    frames: FrameLimits,
    objects: usize,
    side: usize,
) -> Result<(Vec<PlanRow>, Vec<PlanRow>)> {
    // Tables and the narrowed frame grow with either side of a frame, so the largest sides bound
    // them.
    let (height, width) = (frames.height.max(1), frames.width.max(1));
    let tables = kernels::ResizeTables::new(height, width, side)?;
    let bytes = |name: &str, bytes: usize| PlanRow::new(name, DType::U8, &[bytes]);
    Ok((
        vec![
            bytes("frame: pixels on the device", frames.rgb_bytes),
            bytes("frame: resize tables", tables.bytes()),
            bytes("frame: narrowed", tables.scratch_bytes()),
            bytes("mask: bits", frames.mask_bytes),
            bytes("mask: flag", FLAG_BYTES),
        ],
        vec![bytes("mask: bits and flag", frames.mask_bytes + FLAG_BYTES).times(objects.max(1))],
    ))
}

/// A video, a frame or a mask is larger than the plan allowed for.
fn too_large(what: &str, needed: usize, planned: usize) -> Error {
    Error::run(format!(
        "{what} needs {needed} bytes, the plan has {planned}: the frame is larger than planned"
    ))
}

/// The tensor of a row, if it holds as much as is needed.
fn place(memory: &mut [Tensor<'_>], row: usize, what: &'static str, needed: usize) -> Result<u64> {
    let tensor = memory.get_mut(row);
    let planned = tensor.as_ref().map_or(0, |tensor| tensor.bytes());
    match tensor {
        Some(tensor) if needed <= planned => Ok(tensor.view_mut().address() as u64),
        _ => Err(too_large(what, needed, planned)),
    }
}

fn mask_shape(size: FrameSize) -> kernels::MaskBits {
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    kernels::MaskBits {
        height: side(size.height),
        width: side(size.width),
    }
}

impl DeviceFrames for CudaDevice {
    fn open(&self, size: FrameSize, frame: &[u8], video: &mut [Tensor<'_>]) -> Result<()> {
        let tables = kernels::ResizeTables::new(size.height, size.width, self.side)?;
        let bytes = tables.to_bytes();
        let pixels = place(video, PIXELS, "a frame", size.rgb_bytes())?;
        let scratch = place(video, NARROWED, "a narrowed frame", tables.scratch_bytes())?;
        place(video, BITS, "a mask", size.mask_bytes())?;
        let to = place(video, TABLES, "the resize tables", bytes.len())?;
        // SAFETY: the row is device memory of enough bytes that only this backend's streams touch.
        unsafe { self.transfer()?.upload(&self.compute, &bytes, to)? };
        let on_device = kernels::Frame {
            pixels,
            tables: to,
            scratch,
            tensor: 0,
        };
        let staged = frame.get(..size.rgb_bytes()).unwrap_or_default();
        // SAFETY: the rows are this video's and as large as the kernels need (checked above).
        unsafe { self.choose_way(size, &tables, staged, on_device)? };
        *self.tables.borrow_mut() = Some((size, tables));
        Ok(())
    }

    fn ways(&self) -> Vec<FrameWay> {
        self.ways.borrow().clone()
    }

    fn load(
        &self,
        size: FrameSize,
        rgb: &[u8],
        normalization: Normalization,
        video: &mut [Tensor<'_>],
        image: TensorMut<'_>,
    ) -> Result<()> {
        let tables = self.tables.borrow();
        let Some((_, tables)) = tables.as_ref().filter(|(of, _)| *of == size) else {
            return Err(too_large(
                "a frame of another size than the video's",
                size.rgb_bytes(),
                0,
            ));
        };
        let pixels = place(video, PIXELS, "a frame", rgb.len())?;
        if rgb.len() != size.rgb_bytes() || image.bytes() != tables.output_bytes() {
            return Err(too_large(
                "a frame of another length than its size",
                rgb.len(),
                size.rgb_bytes(),
            ));
        }
        let in_place = self.in_place(size, rgb);
        let frame = kernels::Frame {
            pixels: in_place.unwrap_or(pixels),
            tables: place(video, TABLES, "the resize tables", tables.bytes())?,
            scratch: place(video, NARROWED, "a narrowed frame", tables.scratch_bytes())?,
            tensor: image.address() as u64,
        };
        if in_place.is_none() {
            self.upload.wait(&self.resized)?;
            // SAFETY: source and target are as long as the frame; the source stays until the frame's
            // masks are down (the trait's contract), the target is not touched by others until the
            // resize that waits for this copy, and the copy waits for the resize before it.
            unsafe {
                self.upload
                    .copy_to_device(frame.pixels, rgb.as_ptr(), rgb.len())?;
            }
            self.uploaded.record(&self.upload)?;
            self.compute.wait(&self.uploaded)?;
        }
        // SAFETY: every address was checked against its size above and belongs to this video; bytes
        // that are read in place stay as well (the trait's contract).
        unsafe {
            self.vision
                .preprocess(&self.compute, tables, &normalization, frame)?;
        }
        Ok(self.resized.record(&self.compute)?)
    }

    fn mask(
        &self,
        size: FrameSize,
        logits: TensorRef<'_>,
        slot: usize,
        video: &mut [Tensor<'_>],
        staging: &mut [Tensor<'_>],
    ) -> Result<()> {
        let bytes = size.mask_bytes();
        let bits = place(video, BITS, "a mask", bytes)?;
        let flag = place(video, FLAG, "a mask's flag", FLAG_BYTES)?;
        let down = place(staging, slot, "a mask on its way down", bytes + FLAG_BYTES)? as *mut u8;
        let side = self.side / 4;
        if logits.dtype() != DType::F32 || logits.shape().elements() != side * side {
            return Err(Error::run(format!(
                "mask logits are {} values of {}, {side} x {side} of f32 are needed",
                logits.shape().elements(),
                logits.dtype()
            )));
        }
        // SAFETY: logits are side x side values, bits and flag are large enough (checked above),
        // all in order on the compute stream; `down` is pinned, of `bytes + 4` bytes, and nobody
        // reads it before the stream has been waited for.
        unsafe {
            self.vision.postprocess(
                &self.compute,
                1,
                u32::try_from(side).unwrap_or(u32::MAX),
                logits.address() as u64,
                mask_shape(size),
                bits,
                flag,
            )?;
            self.compute.copy_to_host(down, bits, bytes)?;
            self.compute
                .copy_to_host(down.add(bytes), flag, FLAG_BYTES)?;
        }
        Ok(())
    }

    fn bits<'a>(
        &self,
        size: FrameSize,
        slot: usize,
        staging: &'a [Tensor<'_>],
    ) -> Result<MaskBits<'a>> {
        let needed = size.mask_bytes() + FLAG_BYTES;
        let tensor = staging.get(slot).filter(|tensor| tensor.bytes() >= needed);
        let Some(tensor) = tensor else {
            return Err(too_large("a mask on its way down", needed, 0));
        };
        let bytes: &[u8] = tensor.view().as_slice()?;
        // SAFETY: any bits are a u32; the tensor starts at a multiple of 256 bytes.
        let (_, words, _) = unsafe { bytes[..needed].align_to::<u32>() };
        let (flag, words) = words.split_last().unwrap_or((&1, &[]));
        Ok(MaskBits {
            words,
            finite: *flag == 0,
        })
    }
}
