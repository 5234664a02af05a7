//! A sub-allocator inside one block: what serves an inference runtime's own allocator hook.
//!
//! A runtime (TensorRT's `IGpuAllocator`) asks for weights and persistent memory piece by piece
//! while engines load, and gives some of it back before it is done. The heap places those pieces
//! in a block that the arena kept ([`super::Arena::keep`]), so that nothing of it comes from the
//! driver. First fit, lowest address first, neighbours joined when freed: the same requests in the
//! same order always end at the same offsets. So a dry run of the requests ([`Heap::unbounded`])
//! tells how large the block has to be.
//!
//! Not here: memory of frames, objects and videos, which is never freed piecemeal and belongs to
//! regions.

use super::ALIGNMENT;
use std::collections::BTreeMap;

/// Why the heap could not serve a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// No gap is large enough.
    #[error(
        "the engines asked for {requested} bytes, of their {capacity} bytes in the process region \
         {free} are free, the largest gap being {largest}; the engines are not the ones that were \
         measured: rebuild them with `masklet build --force`"
    )]
    Exhausted {
        /// Bytes asked for.
        requested: usize,
        /// Bytes of the block.
        capacity: usize,
        /// Bytes free in all.
        free: usize,
        /// Bytes of the largest gap.
        largest: usize,
    },
    /// An alignment that is not a power of two.
    #[error("an alignment of {alignment} bytes is not a power of two")]
    Alignment {
        /// The alignment asked for.
        alignment: usize,
    },
    /// An offset that nothing was placed at, or that was given back already.
    #[error(
        "offset {offset} of the engines' memory is not in use (freed twice, or never given out)"
    )]
    NotInUse {
        /// The offset given.
        offset: usize,
    },
}

/// Places pieces in a block of `capacity` bytes. It deals in offsets and touches no memory.
#[derive(Debug, Clone)]
pub struct Heap {
    capacity: usize,
    /// Pieces in use: offset to size.
    used: BTreeMap<usize, usize>,
    peak: usize,
}

impl Heap {
    /// A heap over a block of `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            used: BTreeMap::new(),
            peak: 0,
        }
    }

    /// A heap without an end, for measuring what a sequence of requests needs.
    pub fn unbounded() -> Self {
        Self::new(usize::MAX)
    }

    /// The furthest end of any piece so far, rounded up to [`ALIGNMENT`]: the size of a block in
    /// which the same requests succeed.
    pub fn peak(&self) -> usize {
        super::aligned(self.peak)
    }

    /// Bytes in use now.
    pub fn in_use(&self) -> usize {
        self.used.values().sum()
    }

    /// Pieces in use now.
    pub fn pieces(&self) -> usize {
        self.used.len()
    }

    /// Places `bytes` (at least one) at a multiple of `alignment` (at least [`ALIGNMENT`]) and
    /// returns the offset.
    ///
    /// # Errors
    /// When no gap is large enough, or the alignment is not a power of two.
    pub fn allocate(&mut self, bytes: usize, alignment: usize) -> Result<usize, HeapError> {
        if !alignment.max(1).is_power_of_two() {
            return Err(HeapError::Alignment { alignment });
        }
        let alignment = alignment.max(ALIGNMENT);
        let bytes = bytes.max(1);
        let mut start = 0usize;
        for (&offset, &size) in &self.used {
            if start.checked_add(bytes).is_some_and(|end| end <= offset) {
                break;
            }
            start = match (offset + size).checked_next_multiple_of(alignment) {
                Some(next) => next,
                None => return Err(self.exhausted(bytes)),
            };
        }
        match start.checked_add(bytes) {
            Some(end) if end <= self.capacity => {
                self.used.insert(start, bytes);
                self.peak = self.peak.max(end);
                Ok(start)
            }
            _ => Err(self.exhausted(bytes)),
        }
    }

    /// Gives a piece back; returns its size.
    ///
    /// # Errors
    /// [`HeapError::NotInUse`].
    pub fn free(&mut self, offset: usize) -> Result<usize, HeapError> {
        self.used
            .remove(&offset)
            .ok_or(HeapError::NotInUse { offset })
    }

    fn exhausted(&self, requested: usize) -> HeapError {
        let mut largest = 0;
        let mut end = 0;
        for (&offset, &size) in &self.used {
            largest = largest.max(offset.saturating_sub(end));
            end = offset + size;
        }
        HeapError::Exhausted {
            requested,
            capacity: self.capacity,
            free: self.capacity - self.in_use(),
            largest: largest.max(self.capacity.saturating_sub(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Call {
        Take(usize, u32),
        Free(usize),
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        prop::collection::vec(
            prop_oneof![
                (0usize..5000, 0u32..12).prop_map(|(bytes, shift)| Call::Take(bytes, shift)),
                any::<usize>().prop_map(Call::Free),
            ],
            0..80,
        )
    }

    /// Plays the calls; checks every placement against all that live.
    fn play(heap: &mut Heap, calls: &[Call]) -> Result<Vec<usize>, HeapError> {
        let mut live: Vec<(usize, usize)> = Vec::new();
        let mut placed = Vec::new();
        for call in calls {
            match call {
                Call::Take(bytes, shift) => {
                    let offset = heap.allocate(*bytes, 1 << shift)?;
                    let end = offset + (*bytes).max(1);
                    assert_eq!(offset % ALIGNMENT.max(1 << shift), 0);
                    for &(other, size) in &live {
                        assert!(end <= other || other + size <= offset, "pieces overlap");
                    }
                    live.push((offset, (*bytes).max(1)));
                    placed.push(offset);
                }
                Call::Free(which) if !live.is_empty() => {
                    let (offset, size) = live.swap_remove(which % live.len());
                    assert_eq!(heap.free(offset), Ok(size));
                    assert_eq!(heap.free(offset), Err(HeapError::NotInUse { offset }));
                }
                Call::Free(_) => {}
            }
            assert_eq!(
                heap.in_use(),
                live.iter().map(|(_, size)| size).sum::<usize>()
            );
        }
        Ok(placed)
    }

    proptest! {
        #[test]
        fn a_dry_run_tells_the_size_that_the_same_requests_need(calls in calls()) {
            let mut dry = Heap::unbounded();
            let expected = play(&mut dry, &calls).unwrap();
            let mut real = Heap::new(dry.peak());
            prop_assert_eq!(play(&mut real, &calls).unwrap(), expected);
            prop_assert_eq!(real.peak(), dry.peak());
            if dry.peak > 0 {
                let mut small = Heap::new(dry.peak - 1);
                prop_assert!(play(&mut small, &calls).is_err());
            }
        }
    }

    #[test]
    fn a_full_heap_says_what_it_has() {
        let mut heap = Heap::new(1024);
        let first = heap.allocate(300, 1).unwrap();
        heap.allocate(400, 1).unwrap();
        heap.free(first).unwrap();
        let error = heap.allocate(600, 256).unwrap_err();
        assert_eq!(
            error,
            HeapError::Exhausted {
                requested: 600,
                capacity: 1024,
                free: 624,
                largest: 512
            }
        );
        assert!(error.to_string().contains("masklet build --force"));
        assert_eq!(
            heap.allocate(1, 3),
            Err(HeapError::Alignment { alignment: 3 })
        );
        assert!(heap.allocate(usize::MAX, 256).is_err());
    }
}
