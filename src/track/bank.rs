//! Which memories and object pointers an object attends to: the memory bank's bookkeeping.
//!
//! A bank has a fixed number of slots, so tensor shapes never change: slot 0 holds the conditioning
//! frame for good, the others are rings over the most recent frames. Only frame numbers live here;
//! the tensors are the tracker's.
//!
//! Source of the rules: `transformers`, `modeling_edgetam_video.py`,
//! `_gather_memory_frame_outputs` and `_get_object_pointers` (forward tracking, one conditioning
//! frame per object).

/// The bookkeeping of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBank {
    conditioning: Option<usize>,
    /// Frame held by memory slot `i + 1`.
    memories: Vec<Option<usize>>,
    /// Frame held by pointer slot `i + 1`.
    pointers: Vec<Option<usize>>,
}

/// Slots into which a frame's memory and pointer go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteSlots {
    /// Row of the `mem` tensor.
    pub memory: usize,
    /// Row of the `ptr` tensor.
    pub pointer: usize,
}

/// One row of the control inputs of `track_step`, each slice as long as its slots.
pub struct Attention<'a> {
    /// Row of the temporal position table per memory slot.
    pub mem_tpos: &'a mut [i32],
    /// 1 for slots that take part, else 0.
    pub mem_valid: &'a mut [f32],
    /// Age in frames over `max_ptrs - 1` per pointer slot.
    pub ptr_tpos: &'a mut [f32],
    /// 1 for slots that take part, else 0.
    pub ptr_valid: &'a mut [f32],
}

impl MemoryBank {
    /// An empty bank of `memory_slots` (M) and `pointer_slots` (P), both counting the conditioning
    /// frame's slot.
    pub fn new(memory_slots: usize, pointer_slots: usize) -> Self {
        Self {
            conditioning: None,
            memories: vec![None; memory_slots.saturating_sub(1)],
            pointers: vec![None; pointer_slots.saturating_sub(1)],
        }
    }

    /// Whether the object has been prompted.
    pub fn is_conditioned(&self) -> bool {
        self.conditioning.is_some()
    }

    /// Records the prompted frame.
    pub fn condition(&mut self, frame: usize) -> WriteSlots {
        self.conditioning = Some(frame);
        WriteSlots {
            memory: 0,
            pointer: 0,
        }
    }

    /// Records a tracked frame, over the oldest one where the rings are full.
    pub fn advance(&mut self, frame: usize) -> WriteSlots {
        WriteSlots {
            memory: 1 + put(&mut self.memories, frame),
            pointer: 1 + put(&mut self.pointers, frame),
        }
    }

    /// Fills the control inputs for tracking `frame` in a video of `num_frames` frames. Everything
    /// is zero for an object that has not been prompted.
    ///
    /// Memories: the conditioning frame at temporal row M-1, the memory of r frames ago at row r-1
    /// for r = 1..M-1. Pointers: the conditioning frame's whatever its age, others up to
    /// `max_ptrs - 1` frames back with `max_ptrs = min(num_frames, P)`.
    pub fn attend(&self, frame: usize, num_frames: usize, out: Attention<'_>) {
        out.mem_tpos.fill(0);
        out.mem_valid.fill(0.0);
        out.ptr_tpos.fill(0.0);
        out.ptr_valid.fill(0.0);
        let Some(conditioning) = self.conditioning else {
            return;
        };
        let memory_slots = self.memories.len() + 1;
        let max_ptrs = num_frames.min(self.pointers.len() + 1);
        let span = max_ptrs.saturating_sub(1).max(1) as f32;
        if let (Some(tpos), Some(valid)) = (out.mem_tpos.first_mut(), out.mem_valid.first_mut()) {
            *tpos = memory_slots as i32 - 1;
            *valid = 1.0;
        }
        if let (Some(tpos), Some(valid)) = (out.ptr_tpos.first_mut(), out.ptr_valid.first_mut()) {
            *tpos = frame.saturating_sub(conditioning) as f32 / span;
            *valid = 1.0;
        }
        let ages = |held: &[Option<usize>], oldest: usize| -> Vec<(usize, usize)> {
            held.iter()
                .enumerate()
                .filter_map(|(i, held)| {
                    let age = frame.checked_sub((*held)?)?;
                    (1..=oldest).contains(&age).then_some((i + 1, age))
                })
                .collect()
        };
        for (slot, age) in ages(&self.memories, memory_slots - 1) {
            out.mem_tpos[slot] = age as i32 - 1;
            out.mem_valid[slot] = 1.0;
        }
        for (slot, age) in ages(&self.pointers, max_ptrs.saturating_sub(1)) {
            out.ptr_tpos[slot] = age as f32 / span;
            out.ptr_valid[slot] = 1.0;
        }
    }
}

fn put(ring: &mut [Option<usize>], frame: usize) -> usize {
    let slot = frame.checked_rem(ring.len()).unwrap_or(0);
    if let Some(held) = ring.get_mut(slot) {
        *held = Some(frame);
    }
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (temporal row or scaled age) of every valid slot, sorted.
    fn attended(bank: &MemoryBank, frame: usize, num_frames: usize) -> (Vec<i32>, Vec<i32>) {
        let (mut mt, mut mv) = ([0; 7], [0.0; 7]);
        let (mut pt, mut pv) = ([0.0; 16], [0.0; 16]);
        bank.attend(
            frame,
            num_frames,
            Attention {
                mem_tpos: &mut mt,
                mem_valid: &mut mv,
                ptr_tpos: &mut pt,
                ptr_valid: &mut pv,
            },
        );
        let span = (num_frames.min(16) - 1) as f32;
        let mut memories: Vec<i32> = (0..7).filter(|&i| mv[i] == 1.0).map(|i| mt[i]).collect();
        let mut pointers: Vec<i32> = (0..16)
            .filter(|&i| pv[i] == 1.0)
            .map(|i| (pt[i] * span).round() as i32)
            .collect();
        memories.sort_unstable();
        pointers.sort_unstable();
        (memories, pointers)
    }

    #[test]
    fn rows_and_ages_follow_the_reference() {
        let mut bank = MemoryBank::new(7, 16);
        assert_eq!(attended(&bank, 3, 100), (vec![], vec![]));
        bank.condition(3);
        // First tracked frame: only the conditioning frame.
        assert_eq!(attended(&bank, 4, 100), (vec![6], vec![1]));
        bank.advance(4);
        assert_eq!(attended(&bank, 5, 100), (vec![0, 6], vec![1, 2]));
        for frame in 5..60 {
            bank.advance(frame);
        }
        // Full: rows 0..5 for ages 1..6 and row 6; pointers 1..15 and the conditioning one.
        let (memories, pointers) = attended(&bank, 60, 100);
        assert_eq!(memories, [0, 1, 2, 3, 4, 5, 6]);
        let expected: Vec<i32> = (1..=15).chain([57]).collect();
        assert_eq!(pointers, expected);
    }

    #[test]
    fn a_short_video_shortens_the_pointer_span() {
        let mut bank = MemoryBank::new(7, 16);
        bank.condition(0);
        for frame in 1..5 {
            bank.advance(frame);
        }
        // Five frames: max_ptrs is 5, so ages up to 4, scaled by 4.
        let (_, pointers) = attended(&bank, 4, 5);
        assert_eq!(pointers, [1, 2, 3, 4]);
        let (_, pointers) = attended(&bank, 5, 5);
        assert_eq!(
            pointers,
            [1, 2, 3, 4, 5],
            "the conditioning pointer has no age limit"
        );
    }

    #[test]
    fn a_ring_slot_is_reused_only_when_its_frame_is_too_old() {
        let mut bank = MemoryBank::new(7, 16);
        bank.condition(0);
        for frame in 1..40 {
            let (memories, pointers) = attended(&bank, frame, 100);
            assert_eq!(memories.len(), frame.min(7), "frame {frame}");
            assert_eq!(pointers.len(), frame.min(16), "frame {frame}");
            bank.advance(frame);
        }
    }
}
