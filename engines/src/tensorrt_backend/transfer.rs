//! Small transfers between host and device, through pinned memory that the staging arena kept.
//!
//! Uploads are copied into a pinned area and queued; the area is used again only when the stream
//! has been waited for. Read-backs have an area of their own and wait.

use crate::backend::BackendError;
use crate::cuda::Stream;
use crate::memory::{Element, KeptBlock, TensorMut, TensorRef, aligned};
use std::cell::Cell;

/// Pinned areas for uploads and read-backs. Neither is used by anyone else.
pub(super) struct Transfer {
    upload: KeptBlock,
    read_back: KeptBlock,
    /// Bytes of `upload` that queued copies may still read.
    queued: Cell<usize>,
}

impl Transfer {
    /// # Safety
    /// Both blocks are pinned host memory that lives as long as this and belongs to it alone.
    pub(super) unsafe fn new(upload: KeptBlock, read_back: KeptBlock) -> Self {
        Self {
            upload,
            read_back,
            queued: Cell::new(0),
        }
    }

    /// Says that the stream has been waited for: nothing queued reads the upload area any more.
    pub(super) fn waited(&self) {
        self.queued.set(0);
    }

    /// Queues bytes to `to`. They may be changed as soon as this returns.
    ///
    /// # Safety
    /// `to..to + bytes.len()` is device memory that nothing but work on `stream` touches.
    pub(super) unsafe fn upload(
        &self,
        stream: &Stream,
        bytes: &[u8],
        to: u64,
    ) -> Result<(), BackendError> {
        let mut done = 0;
        while done < bytes.len() {
            if self.queued.get() >= self.upload.bytes {
                stream.synchronize()?;
                self.waited();
            }
            let offset = self.queued.get();
            let piece = &bytes[done..bytes.len().min(done + self.upload.bytes - offset)];
            let place = (self.upload.address + offset) as *mut u8;
            // SAFETY: the area is ours, `offset + piece.len()` is inside it, and no queued copy
            // reads behind `queued`. The target is the caller's promise.
            unsafe {
                std::ptr::copy_nonoverlapping(piece.as_ptr(), place, piece.len());
                stream.copy_to_device(to + done as u64, place, piece.len())?;
            }
            self.queued.set(offset + aligned(piece.len()));
            done += piece.len();
        }
        Ok(())
    }

    /// Copies a tensor's values out; waits for everything on `stream`.
    pub(super) fn download<T: Element + Copy>(
        &self,
        stream: &Stream,
        from: TensorRef<'_>,
        to: &mut [T],
    ) -> Result<(), BackendError> {
        let size = std::mem::size_of::<T>();
        let step = self.read_back.bytes / size;
        let mut done = 0;
        while done < to.len() {
            let count = step.min(to.len() - done);
            let source = (from.address() + done * size) as u64;
            let place = self.read_back.address as *mut u8;
            // SAFETY: the tensor is live device memory of at least `to.len()` elements (checked by
            // the caller); the area is ours, large enough, aligned, and read after the wait only.
            unsafe {
                stream.copy_to_host(place, source, count * size)?;
                stream.synchronize()?;
                let values = std::slice::from_raw_parts(place.cast::<T>(), count);
                to[done..done + count].copy_from_slice(values);
            }
            self.waited();
            done += count;
        }
        Ok(())
    }
}

/// The bytes of values, for an upload.
pub(super) fn bytes_of<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: elements are plain numbers without padding; every byte is initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), std::mem::size_of_val(values)) }
}

/// The address of a tensor to be written on the device.
pub(super) fn target(to: &TensorMut<'_>) -> u64 {
    to.address() as u64
}
