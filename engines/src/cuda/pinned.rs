//! Host memory that the device copies from and to without a detour.

use super::counter::{self, Kind};
use super::device::Device;
use super::driver::check;
use super::error::{CudaError, DriverFault};
use crate::memory::{MemorySpace, Slab, SlabError};
use cudarc::driver::sys::{self, CUresult};
use std::ffi::c_void;
use std::sync::Arc;

/// What a pinned block is for, which decides how the CPU's caches treat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinnedKind {
    /// The CPU reads what the device wrote: cached.
    ReadBack,
    /// The CPU writes, in order, and only the device reads: write-combined on a discrete GPU, where
    /// the CPU would read it very slowly. On an integrated one it is cached like any other.
    Upload,
}

/// A block of pinned host memory, zero at first, given back when dropped.
///
/// It hands out addresses, not slices: the device may be reading or writing it, which only the
/// owner of the streams knows.
#[derive(Debug)]
pub struct PinnedBlock {
    device: Arc<Device>,
    pointer: *mut u8,
    bytes: usize,
    device_address: Option<u64>,
}

// SAFETY: the block is owned memory; the driver lets any thread use and free it.
unsafe impl Send for PinnedBlock {}
// SAFETY: shared access only reveals addresses and sizes; the accessors of content are unsafe.
unsafe impl Sync for PinnedBlock {}

impl PinnedBlock {
    /// Takes one block of `bytes`; page-aligned. `purpose` says in errors what it is for.
    ///
    /// # Errors
    /// [`CudaError::Pinned`] when the driver refuses.
    pub fn allocate(
        device: &Arc<Device>,
        bytes: usize,
        kind: PinnedKind,
        purpose: &'static str,
    ) -> Result<Self, CudaError> {
        if bytes == 0 {
            return Err(CudaError::Empty { purpose });
        }
        device.bind()?;
        let info = device.info();
        let mut flags = sys::CU_MEMHOSTALLOC_PORTABLE;
        if info.can_map_host {
            flags |= sys::CU_MEMHOSTALLOC_DEVICEMAP;
        }
        if kind == PinnedKind::Upload && !info.integrated {
            flags |= sys::CU_MEMHOSTALLOC_WRITECOMBINED;
        }
        let mut pointer: *mut c_void = std::ptr::null_mut();
        // SAFETY: writes one pointer; a context is current.
        let code = unsafe { sys::cuMemHostAlloc(&raw mut pointer, bytes, flags) };
        if code != CUresult::CUDA_SUCCESS {
            return Err(CudaError::Pinned {
                purpose,
                bytes: bytes as u64,
                fault: DriverFault(code),
            });
        }
        counter::count(Kind::Pinned);
        let mut block = Self {
            device: Arc::clone(device),
            pointer: pointer.cast(),
            bytes,
            device_address: None,
        };
        // SAFETY: the driver gave `bytes` bytes, which nobody else knows of yet.
        unsafe { block.pointer.write_bytes(0, bytes) };
        if info.can_map_host {
            let mut address = 0;
            // SAFETY: writes one address; the block was made with the mapping flag.
            check("cuMemHostGetDevicePointer_v2", unsafe {
                sys::cuMemHostGetDevicePointer_v2(&raw mut address, pointer, 0)
            })?;
            block.device_address = Some(address);
        }
        Ok(block)
    }

    /// The first byte, for the CPU.
    pub fn pointer(&self) -> *mut u8 {
        self.pointer
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first byte, for the device, where it can read the block in place. Sensible on an
    /// integrated device, whose memory this is anyway; on a discrete one every access crosses the
    /// bus.
    pub fn device_address(&self) -> Option<u64> {
        self.device_address
    }

    /// The content, to be read.
    ///
    /// # Safety
    /// No work that writes the block is pending on a stream, and nobody writes it while the slice
    /// lives.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: `bytes` initialised bytes of a live allocation; the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.pointer, self.bytes) }
    }

    /// The content, to be written.
    ///
    /// # Safety
    /// No work that reads or writes the block is pending on a stream while the slice lives.
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above; `&mut self` keeps other slices away.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.bytes) }
    }

    /// The block as the memory of a host arena.
    ///
    /// # Errors
    /// [`SlabError::Misaligned`] when the driver gave an address that is not page-aligned.
    pub fn into_slab(self) -> Result<Slab, SlabError> {
        let (base, bytes) = (self.pointer as usize, self.bytes);
        // SAFETY: the block is one live, initialised allocation until the slab drops it, and
        // nobody else knows its address.
        unsafe { Slab::from_raw_parts(base, bytes, MemorySpace::Host, Box::new(self)) }
    }
}

impl Drop for PinnedBlock {
    fn drop(&mut self) {
        // Copies in flight may use the block.
        self.device.record_err(self.device.synchronize());
        // SAFETY: the pointer came from cuMemHostAlloc and is freed once.
        let code = unsafe { sys::cuMemFreeHost(self.pointer.cast()) };
        self.device.record_err(check("cuMemFreeHost", code));
    }
}
