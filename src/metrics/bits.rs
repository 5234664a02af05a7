//! Binary images packed 64 pixels to a word: what the scores are counted on.
//!
//! Pixel `x` of a row is bit `x % 64` of word `x / 64`; the bits past the width are zero. An image
//! remembers the rows and words that hold anything, so that work is confined to the object.
//! It is scratch space that is filled again for every frame, not a mask to keep: that is
//! [`crate::mask::Mask`].

use std::ops::Range;

/// Pixels in one word.
pub(super) const WORD: usize = 64;

/// A packed binary image of `height` x `width` pixels.
#[derive(Clone, Debug, Default)]
pub(super) struct BitImage {
    height: usize,
    width: usize,
    /// Words in a row.
    stride: usize,
    words: Vec<u64>,
    /// The tight range of rows that hold a set pixel.
    rows: Range<usize>,
    /// The tight range of words, over all rows, that hold a set pixel.
    columns: Range<usize>,
    count: u64,
}

impl BitImage {
    pub fn height(&self) -> usize {
        self.height
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Words in a row.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Rows that hold a set pixel (tight, empty for an empty image).
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Words of a row that hold a set pixel in some row (tight, empty for an empty image).
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// Number of set pixels.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The words of one row; empty where there is no such row.
    pub fn row(&self, y: usize) -> &[u64] {
        if y >= self.height {
            return &[];
        }
        self.words
            .get(y * self.stride..(y + 1) * self.stride)
            .unwrap_or(&[])
    }

    /// Takes the given size with every pixel cleared. The memory is kept.
    pub fn clear(&mut self, height: usize, width: usize) {
        self.height = height;
        self.width = width;
        self.stride = width.div_ceil(WORD);
        self.words.clear();
        self.words.resize(height * self.stride, 0);
        self.rows = 0..0;
        self.columns = 0..0;
        self.count = 0;
    }

    /// Takes the given size and fills the rows of `range` by a rule that writes the words of row
    /// `y`; all other rows are cleared. The rule must leave the bits past the width zero.
    pub fn fill_rows(
        &mut self,
        height: usize,
        width: usize,
        range: Range<usize>,
        mut rule: impl FnMut(usize, &mut [u64]),
    ) {
        self.clear(height, width);
        let stride = self.stride;
        if stride == 0 {
            return;
        }
        let mut rows: Option<Range<usize>> = None;
        let mut columns: Option<Range<usize>> = None;
        let first = range.start.min(height);
        let taken = range.end.min(height).saturating_sub(first);
        let lines = self.words.chunks_exact_mut(stride);
        for (y, line) in lines.enumerate().skip(first).take(taken) {
            rule(y, line);
            let Some(left) = line.iter().position(|&w| w != 0) else {
                continue;
            };
            let right = line.iter().rposition(|&w| w != 0).unwrap_or(left) + 1;
            self.count += ones(&line[left..right]);
            rows = Some(rows.map_or(y..y + 1, |r| r.start..y + 1));
            columns = Some(columns.map_or(left..right, |c| c.start.min(left)..c.end.max(right)));
        }
        self.rows = rows.unwrap_or(0..0);
        self.columns = columns.unwrap_or(0..0);
    }

    /// Packs `height` x `width` row-major samples, setting the pixels that `is_set` accepts.
    /// Samples that are lacking count as not set.
    pub fn pack<T: Copy>(
        &mut self,
        height: usize,
        width: usize,
        samples: &[T],
        is_set: impl Fn(T) -> bool + Copy,
    ) {
        self.fill_rows(height, width, 0..height, |y, line| {
            let row = samples.get(y * width..(y + 1) * width).unwrap_or(&[]);
            let (whole, rest) = row.as_chunks::<WORD>();
            for (word, chunk) in line.iter_mut().zip(whole) {
                *word = pack_word(chunk, is_set);
            }
            if let Some(word) = line.get_mut(whole.len()) {
                *word = rest
                    .iter()
                    .enumerate()
                    .fold(0, |acc, (i, &v)| acc | (u64::from(is_set(v)) << i));
            }
        });
    }

    /// Number of pixels set in both images, which are of one size.
    pub fn count_common(&self, other: &Self) -> u64 {
        let rows = intersect(&self.rows, &other.rows);
        let columns = intersect(&self.columns, &other.columns);
        rows.map(|y| {
            let (a, b) = (self.row(y), other.row(y));
            match (a.get(columns.clone()), b.get(columns.clone())) {
                (Some(a), Some(b)) => a.iter().zip(b).map(|(a, b)| ones(&[a & b])).sum(),
                _ => 0,
            }
        })
        .sum()
    }
}

/// Packs 64 samples. They become flags of one byte first, which runs on vectors; then eight flags
/// become the eight bits of a byte: the product moves flag `i` from bit `8 i` to bit `56 + i`, and
/// no two partial products meet.
fn pack_word<T: Copy>(chunk: &[T; WORD], is_set: impl Fn(T) -> bool) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut flags = [0u8; WORD];
    for (flag, &sample) in flags.iter_mut().zip(chunk) {
        *flag = u8::from(is_set(sample));
    }
    let (groups, _) = flags.as_chunks::<8>();
    groups.iter().enumerate().fold(0, |word, (i, group)| {
        let byte = u64::from_le_bytes(*group).wrapping_mul(GATHER) >> 56;
        word | (byte << (8 * i))
    })
}

/// Number of set bits.
pub(super) fn ones(words: &[u64]) -> u64 {
    words.iter().map(|w| u64::from(w.count_ones())).sum()
}

/// What two ranges have in common; an empty range where they do not meet.
pub(super) fn intersect(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_sets_exactly_the_pixels_asked_for(
            height in 0usize..6, width in 0usize..200, seed in any::<u64>()
        ) {
            let samples: Vec<u8> = (0..height * width)
                .map(|i| (seed.wrapping_mul(i as u64 * 2 + 1) >> 61) as u8)
                .collect();
            let mut image = BitImage::default();
            image.pack(3, 70, &[true; 210], |v| v);
            image.pack(height, width, &samples, |v| v == 3);
            let mut rows = 0..0;
            for y in 0..height {
                for x in 0..image.stride() * WORD {
                    let bit = image.row(y)[x / WORD] >> (x % WORD) & 1 == 1;
                    prop_assert_eq!(bit, x < width && samples[y * width + x] == 3);
                    if bit {
                        rows = if rows.is_empty() { y..y + 1 } else { rows.start..y + 1 };
                        prop_assert!(image.columns().contains(&(x / WORD)));
                    }
                }
            }
            prop_assert_eq!(image.rows(), rows);
            prop_assert_eq!(image.count(), samples.iter().filter(|&&v| v == 3).count() as u64);
        }
    }

    #[test]
    fn missing_samples_and_rows_are_empty() {
        let mut image = BitImage::default();
        image.pack(2, 5, &[true; 5], |v| v);
        assert_eq!(image.count(), 5);
        assert!(image.row(2).is_empty());
    }
}
