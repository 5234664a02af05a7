//! Where an engine's own device memory comes from: a block of the arena, or, once, the driver.
//!
//! Before an engine has run on a device nobody knows how much it will ask for. So it is loaded
//! once with memory from the driver while a [`Heap`] without an end notes where every piece would
//! have lain; its peak is the size of the block that all later loads get from the arena. The
//! requests of the same plan on the same device are the same, so that block is exactly enough.

use crate::cuda::{Device, DeviceBlock, counter};
use crate::memory::Heap;
use crate::tensorrt::DeviceAllocator;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Serves one engine from a block that the arena kept for it.
pub(super) struct KeptMemory {
    base: u64,
    heap: Mutex<Heap>,
}

impl KeptMemory {
    /// Over `bytes` bytes at `base`.
    pub(super) fn new(base: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            base: base as u64,
            heap: Mutex::new(Heap::new(bytes)),
        })
    }
}

impl DeviceAllocator for KeptMemory {
    fn allocate(&self, bytes: u64, alignment: u64) -> u64 {
        // Every request counts, though the driver sees none of them: after warm-up there must be
        // none.
        counter::tensorrt();
        match lock(&self.heap).allocate(size(bytes), size(alignment)) {
            Ok(offset) => self.base + offset as u64,
            Err(error) => {
                tracing::error!("{error}");
                0
            }
        }
    }

    fn deallocate(&self, address: u64) -> bool {
        address
            .checked_sub(self.base)
            .is_some_and(|offset| lock(&self.heap).free(size(offset)).is_ok())
    }
}

struct Measuring {
    shadow: Heap,
    /// Address to the block and its place in the shadow.
    pieces: HashMap<u64, (DeviceBlock, usize)>,
}

/// Serves one engine from the driver and measures what it asks for.
pub(super) struct MeasuringMemory {
    device: Arc<Device>,
    state: Mutex<Measuring>,
}

impl MeasuringMemory {
    pub(super) fn new(device: &Arc<Device>) -> Arc<Self> {
        Arc::new(Self {
            device: Arc::clone(device),
            state: Mutex::new(Measuring {
                shadow: Heap::unbounded(),
                pieces: HashMap::new(),
            }),
        })
    }

    /// The size of the block that would have done so far.
    pub(super) fn peak(&self) -> usize {
        lock(&self.state).shadow.peak()
    }
}

impl DeviceAllocator for MeasuringMemory {
    fn allocate(&self, bytes: u64, alignment: u64) -> u64 {
        counter::tensorrt();
        let mut state = lock(&self.state);
        let Ok(offset) = state.shadow.allocate(size(bytes), size(alignment)) else {
            return 0;
        };
        // The driver aligns to 256 bytes; more is not asked for by any TensorRT so far. A block
        // that does not fit is refused rather than trusted.
        match DeviceBlock::allocate(&self.device, bytes.max(1), "an engine's weights") {
            Ok(block) if alignment == 0 || block.address().is_multiple_of(alignment) => {
                let address = block.address();
                state.pieces.insert(address, (block, offset));
                address
            }
            refused => {
                if let Err(error) = refused {
                    tracing::error!("{error}");
                }
                // The piece was just placed.
                let _ = state.shadow.free(offset);
                0
            }
        }
    }

    fn deallocate(&self, address: u64) -> bool {
        let mut state = lock(&self.state);
        match state.pieces.remove(&address) {
            Some((_, offset)) => state.shadow.free(offset).is_ok(),
            None => false,
        }
    }
}
