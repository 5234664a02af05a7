//! The one block of memory behind an arena.
//!
//! Host slabs are made here; a device backend allocates its own block and wraps it with
//! [`Slab::from_raw_parts`]. A slab hands nothing out by itself: [`super::Arena`] does.

use super::ALIGNMENT;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::any::Any;

/// Who can read the memory of a slab through ordinary pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemorySpace {
    /// The CPU: plain or pinned host memory.
    Host,
    /// Only the device; the CPU copies in and out through its backend.
    Device,
}

/// A contiguous block of memory, taken once and given back when dropped.
pub struct Slab {
    base: usize,
    bytes: usize,
    space: MemorySpace,
    /// Frees the block when dropped.
    _owner: Box<dyn Any>,
}

/// Why a slab could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SlabError {
    /// The system refused the allocation.
    #[error(
        "the system refused one block of {bytes} bytes for the arena; lower the demand \
         (`masklet plan` shows it) or free memory"
    )]
    Refused {
        /// Size asked for.
        bytes: usize,
    },
    /// The base address of a foreign block is not aligned.
    #[error("a slab at address {base:#x} is not aligned to {ALIGNMENT} bytes")]
    Misaligned {
        /// The address given.
        base: usize,
    },
}

struct HostBlock {
    pointer: *mut u8,
    layout: Layout,
}

impl Drop for HostBlock {
    fn drop(&mut self) {
        // SAFETY: `pointer` came from `alloc_zeroed` with this very layout and is freed once.
        unsafe { dealloc(self.pointer, self.layout) }
    }
}

impl Slab {
    /// A zeroed host block of `bytes` (at least one alignment unit).
    ///
    /// # Errors
    /// [`SlabError::Refused`] when the system has no such block.
    pub fn host(bytes: usize) -> Result<Self, SlabError> {
        let bytes = bytes.max(ALIGNMENT);
        let layout =
            Layout::from_size_align(bytes, ALIGNMENT).map_err(|_| SlabError::Refused { bytes })?;
        // SAFETY: the layout has a size above zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        if pointer.is_null() {
            return Err(SlabError::Refused { bytes });
        }
        Ok(Self {
            base: pointer as usize,
            bytes,
            space: MemorySpace::Host,
            _owner: Box::new(HostBlock { pointer, layout }),
        })
    }

    /// Wraps a block that a backend allocated; `owner` frees it when dropped.
    ///
    /// # Safety
    /// - `base..base + bytes` is one live allocation in `space`, initialised if it is host memory,
    ///   and stays so until `owner` is dropped.
    /// - Nothing else reads or writes it meanwhile.
    ///
    /// # Errors
    /// [`SlabError::Misaligned`] when `base` is not a multiple of [`ALIGNMENT`].
    pub unsafe fn from_raw_parts(
        base: usize,
        bytes: usize,
        space: MemorySpace,
        owner: Box<dyn Any>,
    ) -> Result<Self, SlabError> {
        if !base.is_multiple_of(ALIGNMENT) {
            return Err(SlabError::Misaligned { base });
        }
        Ok(Self {
            base,
            bytes,
            space,
            _owner: owner,
        })
    }

    /// Address of the first byte.
    pub fn base(&self) -> usize {
        self.base
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who can read the memory.
    pub fn space(&self) -> MemorySpace {
        self.space
    }
}
