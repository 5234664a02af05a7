//! Small transfers between host and device, through pinned memory that the staging arena kept.
//!
//! Uploads are copied into a pinned area and queued; the area is used again only when the stream
//! has been waited for. Read-backs have an area of their own and wait.

use crate::cuda::Stream;
use crate::error::Result;
use crate::memory::{KeptBlock, TensorMut, TensorRef, aligned};
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
    pub(super) unsafe fn upload(&self, stream: &Stream, bytes: &[u8], to: u64) -> Result<()> {
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

    /// Copies a tensor's bytes out; waits for everything on `stream`. `to` is as long as the tensor.
    pub(super) fn download(
        &self,
        stream: &Stream,
        from: TensorRef<'_>,
        to: &mut [u8],
    ) -> Result<()> {
        let mut source = from.address() as u64;
        for piece in to.chunks_mut(self.read_back.bytes.max(1)) {
            let place = self.read_back.address as *mut u8;
            // SAFETY: the tensor is live device memory of at least `to.len()` bytes (checked by the
            // caller); the area is ours, large enough, and read after the wait only.
            unsafe {
                stream.copy_to_host(place, source, piece.len())?;
                stream.synchronize()?;
                piece.copy_from_slice(std::slice::from_raw_parts(place, piece.len()));
            }
            self.waited();
            source += piece.len() as u64;
        }
        Ok(())
    }
}

/// The address of a tensor to be written on the device.
pub(super) fn target(to: &TensorMut<'_>) -> u64 {
    to.address() as u64
}
