//! Element types and shapes: the words that bundles, plans and backends share.
//!
//! No data lives here; handles to memory are in [`crate::memory`].

use serde::{Deserialize, Serialize};
use std::fmt;

/// Element type of a tensor at a component's boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    Bf16,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned byte: pixels.
    U8,
}

impl DType {
    /// Size of one element in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I32 => "i32",
            Self::U8 => "u8",
        })
    }
}

/// Product of extents, saturating: a shape that overflows is larger than any memory.
pub fn element_count(extents: &[usize]) -> usize {
    extents
        .iter()
        .fold(1usize, |count, &extent| count.saturating_mul(extent))
}

/// Most dimensions a tensor of the component contract has.
pub const MAX_RANK: usize = 5;

/// The extents of a tensor, outermost first; at most [`MAX_RANK`] of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    extents: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The shape with the given extents, `None` for more than [`MAX_RANK`] of them.
    pub fn new(extents: &[usize]) -> Option<Self> {
        if extents.len() > MAX_RANK {
            return None;
        }
        let mut all = [1; MAX_RANK];
        all[..extents.len()].copy_from_slice(extents);
        Some(Self {
            extents: all,
            rank: extents.len(),
        })
    }

    /// The extents, outermost first.
    pub fn as_slice(&self) -> &[usize] {
        &self.extents[..self.rank]
    }

    /// Number of elements; 1 for a scalar, `usize::MAX` for one that no memory could hold.
    pub fn elements(&self) -> usize {
        element_count(self.as_slice())
    }

    /// The shape without its outermost extent (a scalar stays a scalar).
    pub fn inner(&self) -> Self {
        let mut extents = [1; MAX_RANK];
        let rank = self.rank.saturating_sub(1);
        extents[..rank].copy_from_slice(&self.extents[self.rank - rank..self.rank]);
        Self { extents, rank }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, extent) in self.as_slice().iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{extent}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Name, element type and extents of one input or output of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The tensor's name in the graph.
    pub name: String,
    /// Element type at the boundary.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Bytes of a dense tensor of this description.
    pub fn bytes(&self) -> usize {
        element_count(&self.shape).saturating_mul(self.dtype.size())
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.dtype)?;
        f.write_str(" (")?;
        for (i, extent) in self.shape.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{extent}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_drops_the_outermost_extent() {
        let shape = Shape::new(&[7, 512, 64]).unwrap();
        assert_eq!(shape.inner().as_slice(), [512, 64]);
        assert_eq!(shape.inner().elements(), 512 * 64);
        assert_eq!(Shape::new(&[]).unwrap().inner().elements(), 1);
        assert!(Shape::new(&[1; 6]).is_none());
    }
}
