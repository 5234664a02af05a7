//! Contents that the stand-in writes into memory it was given, to see later whether they survived.

/// What scratch memory is filled with: NaN as floats, so that whoever keeps data there sees it.
pub const SCRATCH: u8 = 0xFF;

fn word(seed: u64, index: u64) -> u64 {
    let mixed = (seed ^ index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 29
}

/// Fills a block with the sequence that belongs to `seed`.
pub fn fill(block: &mut [u8], seed: u64) {
    for (index, chunk) in (0..).zip(block.chunks_mut(8)) {
        chunk.copy_from_slice(&word(seed, index).to_ne_bytes()[..chunk.len()]);
    }
}

/// Offset of the first eight bytes that differ from what [`fill`] wrote.
pub fn first_difference(block: &[u8], seed: u64) -> Option<usize> {
    (0..)
        .zip(block.chunks(8))
        .position(|(index, chunk)| chunk != &word(seed, index).to_ne_bytes()[..chunk.len()])
        .map(|index| index * 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_is_found_in_the_block_and_in_its_tail() {
        let mut block = [0; 1003];
        fill(&mut block, 7);
        assert_eq!(first_difference(&block, 7), None);
        assert_eq!(first_difference(&block, 8), Some(0));
        block[1002] ^= 1;
        assert_eq!(first_difference(&block, 7), Some(1000));
        block[17] ^= 0x80;
        assert_eq!(first_difference(&block, 7), Some(16));
    }
}
