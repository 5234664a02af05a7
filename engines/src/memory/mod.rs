//! Planned memory: one slab, regions as scopes, handles that cannot outlive their region.
//!
//! A run takes one [`Slab`], sized by its [`Plan`], and puts an [`Arena`] on it. Memory is handed
//! out by [`Region`]s, which nest (process, video, object batch, frame) and give everything back by
//! moving one pointer when they end. Nothing is ever freed piecemeal, so nothing can fragment, and
//! after a region ends the offset is exactly what it was before.
//!
//! Not here: what lies in the memory (the tracker decides) and where slabs come from (a
//! backend allocates its own).

mod arena;
mod heap;
mod plan;
mod slab;
mod tensor;
#[cfg(test)]
mod tests;

pub use arena::{Arena, ArenaError, HighWater, KeptBlock, RawTensor, Region};
pub use heap::{Heap, HeapError};
pub use plan::{Plan, PlanError, PlanRow, RegionPlan};
pub use slab::{MemorySpace, Slab, SlabError};
pub use tensor::{AccessError, Element, Tensor, TensorMut, TensorRef};

/// Alignment of every allocation in bytes: what CUDA and TensorRT ask for.
pub const ALIGNMENT: usize = 256;

/// `bytes` rounded up to [`ALIGNMENT`]; `usize::MAX` where that overflows.
pub fn aligned(bytes: usize) -> usize {
    bytes
        .checked_next_multiple_of(ALIGNMENT)
        .unwrap_or(usize::MAX)
}

/// The four scopes of memory, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionKind {
    /// Lives as long as the run: weights, constants, persistent context memory.
    Process,
    /// Lives as long as a video: the ring of decoded frames, the image features.
    Video,
    /// Lives as long as a batch of objects: the memory banks.
    ObjectBatch,
    /// Lives as long as a frame: component outputs and the engines' scratch block.
    Frame,
}

impl RegionKind {
    /// All kinds, outermost first.
    pub const ALL: [Self; 4] = [Self::Process, Self::Video, Self::ObjectBatch, Self::Frame];

    /// The kind's name as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Video => "video",
            Self::ObjectBatch => "object batch",
            Self::Frame => "frame",
        }
    }
}

impl std::fmt::Display for RegionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
