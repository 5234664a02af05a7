//! Handles to arena memory: unique owners, shared views, exclusive views.
//!
//! A handle is an address with an element type and a shape. The lifetime `'r` is that of the
//! [`super::Region`] it came from, so a handle cannot outlive its memory, and Rust's borrow rules
//! stand for "nobody writes what somebody reads".

use super::slab::MemorySpace;
use crate::tensor::{DType, Shape};
use std::marker::PhantomData;

/// A Rust type that has a [`DType`].
pub trait Element: Copy + Send + Sync + 'static {
    /// The matching element type.
    const DTYPE: DType;
}

macro_rules! element {
    ($($ty:ty => $dtype:ident),*) => {
        $(impl Element for $ty { const DTYPE: DType = DType::$dtype; })*
    };
}
element!(f32 => F32, half::f16 => F16, half::bf16 => Bf16, i32 => I32, u8 => U8);

/// Why a handle's memory could not be read as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The memory is on the device; copy it with the backend.
    #[error("tensor memory is on the device and cannot be read in place; copy it first")]
    NotHost,
    /// The tensor holds another element type.
    #[error("tensor holds {held}, not {wanted}")]
    WrongType {
        /// What it holds.
        held: DType,
        /// What was asked for.
        wanted: DType,
    },
    /// No such index along the outermost extent.
    #[error("index {index} is outside the outermost extent of shape {shape}")]
    OutOfRange {
        /// The index given.
        index: usize,
        /// The tensor's shape.
        shape: Shape,
    },
}

/// The fields that every handle has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub address: usize,
    pub dtype: DType,
    pub shape: Shape,
    pub space: MemorySpace,
}

impl Place {
    fn bytes(&self) -> usize {
        self.shape.elements() * self.dtype.size()
    }

    fn at(&self, index: usize) -> Result<Self, AccessError> {
        let outer = self.shape.as_slice().first().copied().unwrap_or(1);
        if index >= outer {
            return Err(AccessError::OutOfRange {
                index,
                shape: self.shape,
            });
        }
        let inner = self.shape.inner();
        Ok(Self {
            address: self.address + index * inner.elements() * self.dtype.size(),
            shape: inner,
            ..*self
        })
    }

    fn readable_as(&self, wanted: DType) -> Result<(), AccessError> {
        if self.space != MemorySpace::Host {
            return Err(AccessError::NotHost);
        }
        if self.dtype != wanted {
            return Err(AccessError::WrongType {
                held: self.dtype,
                wanted,
            });
        }
        Ok(())
    }
}

/// A dense tensor in arena memory, the only owner of its bytes for the region's lifetime `'r`.
#[derive(Debug)]
pub struct Tensor<'r> {
    pub(super) place: Place,
    pub(super) _region: PhantomData<&'r ()>,
}

/// A shared view of a tensor or of a part of one.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    place: Place,
    _owner: PhantomData<&'a ()>,
}

/// An exclusive view of a tensor or of a part of one.
#[derive(Debug)]
pub struct TensorMut<'a> {
    place: Place,
    _owner: PhantomData<&'a mut ()>,
}

impl<'r> Tensor<'r> {
    /// A shared view of the whole tensor.
    pub fn view(&self) -> TensorRef<'_> {
        TensorRef {
            place: self.place,
            _owner: PhantomData,
        }
    }

    /// An exclusive view of the whole tensor.
    pub fn view_mut(&mut self) -> TensorMut<'_> {
        TensorMut {
            place: self.place,
            _owner: PhantomData,
        }
    }

    /// Splits the tensor along its outermost extent into independent owners.
    pub fn split(self) -> Vec<Tensor<'r>> {
        let outer = self.place.shape.as_slice().first().copied().unwrap_or(1);
        (0..outer)
            .filter_map(|i| self.place.at(i).ok())
            .map(|place| Tensor {
                place,
                _region: PhantomData,
            })
            .collect()
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> Shape {
        self.place.shape
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.place.bytes()
    }
}

impl<'a> TensorRef<'a> {
    /// Address of the first byte, in the slab's space.
    pub fn address(&self) -> usize {
        self.place.address
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.place.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> Shape {
        self.place.shape
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.place.bytes()
    }

    /// The part at `index` of the outermost extent.
    ///
    /// # Errors
    /// [`AccessError::OutOfRange`].
    pub fn at(&self, index: usize) -> Result<TensorRef<'a>, AccessError> {
        Ok(TensorRef {
            place: self.place.at(index)?,
            _owner: PhantomData,
        })
    }

    /// The elements, in place.
    ///
    /// # Errors
    /// When the memory is on the device or holds another type.
    pub fn as_slice<T: Element>(&self) -> Result<&'a [T], AccessError> {
        self.place.readable_as(T::DTYPE)?;
        // SAFETY: the place lies in a live, initialised host slab (checked above), is aligned (every
        // allocation starts at a multiple of 256 bytes and parts start at element boundaries), and
        // the borrow `'a` of its owner keeps writers away.
        Ok(unsafe {
            std::slice::from_raw_parts(self.place.address as *const T, self.place.shape.elements())
        })
    }
}

impl<'a> TensorMut<'a> {
    /// Address of the first byte, in the slab's space.
    pub fn address(&self) -> usize {
        self.place.address
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.place.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> Shape {
        self.place.shape
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.place.bytes()
    }

    /// A shared view of the same part, while the exclusive one rests.
    pub fn view(&self) -> TensorRef<'_> {
        TensorRef {
            place: self.place,
            _owner: PhantomData,
        }
    }

    /// The part at `index` of the outermost extent, taking the view's exclusivity along.
    ///
    /// # Errors
    /// [`AccessError::OutOfRange`].
    pub fn at(self, index: usize) -> Result<TensorMut<'a>, AccessError> {
        Ok(TensorMut {
            place: self.place.at(index)?,
            _owner: PhantomData,
        })
    }

    /// The elements, in place, to be written.
    ///
    /// # Errors
    /// When the memory is on the device or holds another type.
    pub fn into_slice<T: Element>(self) -> Result<&'a mut [T], AccessError> {
        self.place.readable_as(T::DTYPE)?;
        // SAFETY: as for `TensorRef::as_slice`; `self` is the only view while `'a` lasts.
        Ok(unsafe {
            std::slice::from_raw_parts_mut(
                self.place.address as *mut T,
                self.place.shape.elements(),
            )
        })
    }

    /// The elements, in place, to be written while the view itself is kept.
    ///
    /// # Errors
    /// When the memory is on the device or holds another type.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T], AccessError> {
        TensorMut {
            place: self.place,
            _owner: PhantomData,
        }
        .into_slice()
    }
}
