//! Whether a frame's bytes are copied to the device, or read where the host wrote them.
//!
//! An integrated device shares the host's memory, so a copy may be wasted; but pinned memory may be
//! slower for its kernels to read, which depends on the device and on the frame. So it is measured,
//! once for every size of frame, before the first frame of the first video of that size.

use super::CudaDevice;
use crate::cuda::PinnedBlock;
use crate::cuda::kernels::{Frame, ResizeTables};
use crate::device::{FrameSize, FrameStaging, FrameWay};
use crate::error::{Error, Result};
use std::time::Duration;

/// Times that each way is tried; the fastest counts.
const TRIES: usize = 5;

/// Pinned staging memory as both sides see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapped {
    host: usize,
    bytes: usize,
    device: u64,
}

impl Mapped {
    /// Where the device finds a block; `None` where it cannot read host memory in place.
    pub(super) fn of(block: &PinnedBlock) -> Option<Self> {
        Some(Self {
            host: block.pointer() as usize,
            bytes: block.bytes(),
            device: block.device_address()?,
        })
    }

    /// Address for the host, size, address for the device.
    pub(super) fn parts(self) -> (usize, usize, u64) {
        (self.host, self.bytes, self.device)
    }

    /// Where the device finds bytes of the block.
    fn find(&self, bytes: &[u8]) -> Option<u64> {
        let offset = (bytes.as_ptr() as usize).checked_sub(self.host)?;
        let inside = offset.checked_add(bytes.len())? <= self.bytes;
        inside.then(|| self.device + offset as u64)
    }
}

impl CudaDevice {
    /// Where the device reads a frame in place; `None` where it is to be copied.
    pub(super) fn in_place(&self, size: FrameSize, rgb: &[u8]) -> Option<u64> {
        let ways = self.ways.borrow();
        let way = ways.iter().find(|way| is_of(way, size))?;
        way.in_place.then(|| self.mapped.get()?.find(rgb)).flatten()
    }

    /// Chooses for frames of a size, unless that has been done. `staged` is staging memory of such a
    /// frame.
    ///
    /// # Safety
    /// `frame` holds addresses on the device as [`crate::cuda::kernels::Vision::narrow`] needs them for
    /// `tables`, and `staged` is as long as its pixels or empty.
    pub(super) unsafe fn choose_way(
        &self,
        size: FrameSize,
        tables: &ResizeTables,
        staged: &[u8],
        frame: Frame,
    ) -> Result<()> {
        if self.ways.borrow().iter().any(|way| is_of(way, size)) {
            return Ok(());
        }
        let mut way = FrameWay {
            height: size.height,
            width: size.width,
            in_place: self.options.staging == FrameStaging::InPlace,
            copy_ms: None,
            in_place_ms: None,
        };
        let mapped = self.mapped.get().and_then(|mapped| mapped.find(staged));
        match (self.options.staging, mapped) {
            (FrameStaging::InPlace, None) => {
                return Err(Error::environment(
                    "this device cannot read host memory in place: use --frame-staging copy or auto",
                ));
            }
            (FrameStaging::Auto, Some(mapped))
                if self.driver.info().integrated && !staged.is_empty() =>
            {
                let pixels = Frame {
                    pixels: mapped,
                    ..frame
                };
                // SAFETY: the caller's promise; mapped memory is the frame's bytes.
                let (copied, read) = unsafe {
                    (
                        self.fastest(tables, Some(staged), frame)?,
                        self.fastest(tables, None, pixels)?,
                    )
                };
                way.in_place = read < copied;
                way.copy_ms = Some(copied.as_secs_f64() * 1e3);
                way.in_place_ms = Some(read.as_secs_f64() * 1e3);
                tracing::info!(
                    "frames of {}x{}: {:.3} ms copied, {:.3} ms in place, so {}",
                    size.width,
                    size.height,
                    copied.as_secs_f64() * 1e3,
                    read.as_secs_f64() * 1e3,
                    if way.in_place { "in place" } else { "copied" }
                );
            }
            _ => {}
        }
        self.ways.borrow_mut().push(way);
        Ok(())
    }

    /// The fastest of a few passes over a frame, with its copy where `from` is given.
    ///
    /// # Safety
    /// As for [`Self::choose_way`].
    unsafe fn fastest(
        &self,
        tables: &ResizeTables,
        from: Option<&[u8]>,
        frame: Frame,
    ) -> Result<Duration> {
        let mut fastest = Duration::MAX;
        for _ in 0..TRIES {
            self.compute.synchronize()?;
            let began = self.events.stamp(&self.compute)?;
            // SAFETY: the caller's promise; the stream is waited for before anything is touched again.
            unsafe {
                if let Some(bytes) = from {
                    self.compute
                        .copy_to_device(frame.pixels, bytes.as_ptr(), bytes.len())?;
                }
                self.vision.narrow(&self.compute, tables, frame)?;
            }
            let ended = self.events.stamp(&self.compute)?;
            fastest = fastest.min(self.events.elapsed(began, ended)?);
        }
        Ok(fastest)
    }
}

fn is_of(way: &FrameWay, size: FrameSize) -> bool {
    (way.height, way.width) == (size.height, size.width)
}
