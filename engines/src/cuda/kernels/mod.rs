//! The kernels around the model: a frame goes up as bytes, a mask comes down as bits.
//!
//! The sources are in `vision.cu`; the PTX beside them is compiled by `tools/kernels` and compiled
//! on by the driver for its device when it is loaded. Each kernel gives what the CPU gives, bit for
//! bit: [`Vision::preprocess`] the resize and normalisation of a frame, [`Vision::postprocess`] the
//! upsampled, thresholded mask, [`Vision::round_bf16`] the rounding of the `half` crate.

mod module;
mod resize;
mod vision;

pub use resize::{AxisTables, ResizeTables};
pub use vision::{Frame, MaskBits, Normalization, Vision};
