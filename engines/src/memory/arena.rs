//! The arena: a bump pointer on a slab, moved by scopes.
//!
//! Only the innermost region hands out memory; when it ends, the pointer goes back to where the
//! region began and the generation counter moves on, so that a raw handle kept from before is
//! caught. The arena is single-threaded; handles may travel to other threads.

use super::slab::{MemorySpace, Slab};
use super::tensor::{Place, Tensor};
use super::{PlanRow, RegionKind, aligned};
use crate::tensor::{DType, Shape};
use std::cell::RefCell;
use std::marker::PhantomData;

/// Why the arena could not hand out memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArenaError {
    /// The slab has no room left.
    #[error(
        "out of arena memory: region '{region}' asked for {requested} bytes for '{what}', {free} of \
         {slab} bytes are free; the plan is too small for this request"
    )]
    Exhausted {
        /// The region that asked.
        region: RegionKind,
        /// What for.
        what: String,
        /// Bytes asked for, alignment included.
        requested: usize,
        /// Bytes left.
        free: usize,
        /// Bytes of the slab.
        slab: usize,
    },
    /// A region was used while a region inside it was open.
    #[error("region '{outer}' cannot be used while region '{inner}' inside it is open")]
    NotInnermost {
        /// The region used.
        outer: RegionKind,
        /// The open one.
        inner: RegionKind,
    },
    /// A raw handle from before a reset.
    #[error(
        "stale handle: its region '{region}' ended (generation {held}, the arena is at {current})"
    )]
    Stale {
        /// The region it came from.
        region: RegionKind,
        /// The handle's generation.
        held: u64,
        /// The generation now at that depth.
        current: u64,
    },
    /// A shape of too many dimensions.
    #[error("'{what}' has {rank} dimensions, the most is 5")]
    Rank {
        /// What the tensor was for.
        what: String,
        /// Its dimensions.
        rank: usize,
    },
}

/// The most bytes that were in use, per region and in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct HighWater {
    /// Most bytes in regions of kind process.
    pub process: usize,
    /// Most bytes in a region of kind video.
    pub video: usize,
    /// Most bytes in a region of kind object batch.
    pub object_batch: usize,
    /// Most bytes in a region of kind frame.
    pub frame: usize,
    /// Most bytes in use at any one moment.
    pub total: usize,
}

impl HighWater {
    fn of(&mut self, kind: RegionKind) -> &mut usize {
        match kind {
            RegionKind::Process => &mut self.process,
            RegionKind::Video => &mut self.video,
            RegionKind::ObjectBatch => &mut self.object_batch,
            RegionKind::Frame => &mut self.frame,
        }
    }
}

#[derive(Clone, Copy)]
struct Open {
    kind: RegionKind,
    base: usize,
    /// Bytes below the region that count as its own.
    below: usize,
    generation: u64,
}

struct State {
    offset: usize,
    /// End of what was kept for the arena's whole life; regions begin here.
    floor: usize,
    generation: u64,
    open: Vec<Open>,
    marks: HighWater,
    allocations: u64,
}

/// A slab with a bump pointer.
pub struct Arena {
    slab: Slab,
    state: RefCell<State>,
}

/// A handle without a lifetime, for places that cannot carry one (captured graphs, foreign code).
/// It is checked when it is used: [`Arena::address_of`].
#[derive(Clone, Copy, Debug)]
pub struct RawTensor {
    address: usize,
    region: RegionKind,
    depth: usize,
    generation: u64,
}

/// Memory kept for an arena's whole life, by [`Arena::keep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptBlock {
    /// Address of the first byte, in the slab's space.
    pub address: usize,
    /// Size in bytes, a multiple of the alignment.
    pub bytes: usize,
}

/// A scope of the arena. Memory from it lives until the scope ends.
pub struct Region<'a> {
    arena: &'a Arena,
    depth: usize,
    open: Open,
}

impl Arena {
    /// An arena on a slab, empty.
    pub fn new(slab: Slab) -> Self {
        Self {
            slab,
            state: RefCell::new(State {
                offset: 0,
                floor: 0,
                generation: 0,
                open: Vec::with_capacity(RegionKind::ALL.len()),
                marks: HighWater::default(),
                allocations: 0,
            }),
        }
    }

    /// Opens the outermost region. It borrows the arena exclusively: there is only one.
    pub fn root(&mut self, kind: RegionKind) -> Region<'_> {
        // A leaked region (mem::forget) may have left its scope open; start clean.
        let state = self.state.get_mut();
        state.open.clear();
        state.offset = state.floor;
        self.push(kind)
    }

    /// Takes memory that lives as long as the arena, below every region: what a backend keeps for
    /// the whole run (weights, persistent context memory, scratch). It counts as process memory.
    ///
    /// Nothing else hands out these bytes while the arena lives.
    ///
    /// # Errors
    /// [`ArenaError::Exhausted`] when the slab is full.
    pub fn keep(&mut self, row: &PlanRow) -> Result<KeptBlock, ArenaError> {
        let capacity = self.slab.bytes();
        let base = self.slab.base();
        let state = self.state.get_mut();
        state.open.clear();
        state.offset = state.floor;
        let bytes = row.bytes();
        let free = capacity - state.floor;
        if bytes > free {
            return Err(ArenaError::Exhausted {
                region: RegionKind::Process,
                what: row.name.clone(),
                requested: bytes,
                free,
                slab: capacity,
            });
        }
        let address = base + state.floor;
        state.floor += bytes;
        state.offset = state.floor;
        state.allocations += 1;
        state.marks.process = state.marks.process.max(state.floor);
        state.marks.total = state.marks.total.max(state.floor);
        Ok(KeptBlock { address, bytes })
    }

    fn push(&self, kind: RegionKind) -> Region<'_> {
        let mut state = self.state.borrow_mut();
        state.generation += 1;
        let open = Open {
            kind,
            base: state.offset,
            // What was kept belongs to the process, whose region is the outermost.
            below: match kind {
                RegionKind::Process => state.floor,
                _ => 0,
            },
            generation: state.generation,
        };
        state.open.push(open);
        Region {
            arena: self,
            depth: state.open.len() - 1,
            open,
        }
    }

    /// Bytes in use now.
    pub fn used(&self) -> usize {
        self.state.borrow().offset
    }

    /// Bytes of the slab.
    pub fn capacity(&self) -> usize {
        self.slab.bytes()
    }

    /// Who can read the arena's memory.
    pub fn space(&self) -> MemorySpace {
        self.slab.space()
    }

    /// How many times memory was handed out.
    pub fn allocations(&self) -> u64 {
        self.state.borrow().allocations
    }

    /// The marks since the arena was made or since [`Arena::restart_high_water`].
    pub fn high_water(&self) -> HighWater {
        self.state.borrow().marks
    }

    /// Starts the marks afresh from what is in use now, for marks per object or per video.
    pub fn restart_high_water(&self) {
        let mut state = self.state.borrow_mut();
        let mut marks = HighWater {
            total: state.offset,
            ..HighWater::default()
        };
        marks.process = state.floor;
        for (i, open) in state.open.iter().enumerate() {
            let end = state.open.get(i + 1).map_or(state.offset, |next| next.base);
            *marks.of(open.kind) = end - open.base + open.below;
        }
        state.marks = marks;
    }

    /// The address behind a raw handle.
    ///
    /// # Errors
    /// [`ArenaError::Stale`] when its region has ended.
    pub fn address_of(&self, raw: &RawTensor) -> Result<usize, ArenaError> {
        let state = self.state.borrow();
        let current = state.open.get(raw.depth).map_or(0, |open| open.generation);
        if current != raw.generation {
            return Err(ArenaError::Stale {
                region: raw.region,
                held: raw.generation,
                current: state.generation,
            });
        }
        Ok(raw.address)
    }
}

impl Region<'_> {
    /// Opens a region inside this one.
    ///
    /// # Errors
    /// [`ArenaError::NotInnermost`] when another region inside this one is still open.
    pub fn enter(&self, kind: RegionKind) -> Result<Region<'_>, ArenaError> {
        self.require_innermost()?;
        Ok(self.arena.push(kind))
    }

    /// Hands out one tensor of the row (its `count` is for the caller to repeat).
    ///
    /// Its contents are whatever was there before.
    ///
    /// # Errors
    /// When the slab is full, or a region inside this one is open.
    pub fn alloc(&self, row: &PlanRow) -> Result<Tensor<'_>, ArenaError> {
        self.require_innermost()?;
        let shape = Shape::new(&row.shape).ok_or_else(|| ArenaError::Rank {
            what: row.name.clone(),
            rank: row.shape.len(),
        })?;
        let address = self.take(&row.name, shape.elements(), row.dtype)?;
        Ok(Tensor {
            place: Place {
                address,
                dtype: row.dtype,
                shape,
                space: self.arena.slab.space(),
            },
            _region: PhantomData,
        })
    }

    fn take(&self, what: &str, elements: usize, dtype: DType) -> Result<usize, ArenaError> {
        let mut state = self.arena.state.borrow_mut();
        let capacity = self.arena.slab.bytes();
        let free = capacity - state.offset;
        let bytes = aligned(elements.saturating_mul(dtype.size()));
        if bytes > free {
            return Err(ArenaError::Exhausted {
                region: self.open.kind,
                what: what.to_owned(),
                requested: bytes,
                free,
                slab: capacity,
            });
        }
        let address = self.arena.slab.base() + state.offset;
        state.offset += bytes;
        state.allocations += 1;
        let own = state.offset - self.open.base + self.open.below;
        let total = state.offset;
        let mark = state.marks.of(self.open.kind);
        *mark = (*mark).max(own);
        state.marks.total = state.marks.total.max(total);
        Ok(address)
    }

    /// A raw handle to a tensor of this region.
    pub fn raw(&self, tensor: &Tensor<'_>) -> RawTensor {
        RawTensor {
            address: tensor.place.address,
            region: self.open.kind,
            depth: self.depth,
            generation: self.open.generation,
        }
    }

    /// The arena behind the region.
    pub fn arena(&self) -> &Arena {
        self.arena
    }

    fn require_innermost(&self) -> Result<(), ArenaError> {
        let state = self.arena.state.borrow();
        match state.open.get(self.depth + 1) {
            None => Ok(()),
            Some(inner) => Err(ArenaError::NotInnermost {
                outer: self.open.kind,
                inner: inner.kind,
            }),
        }
    }
}

impl Drop for Region<'_> {
    fn drop(&mut self) {
        let mut state = self.arena.state.borrow_mut();
        state.open.truncate(self.depth);
        state.offset = self.open.base;
    }
}
