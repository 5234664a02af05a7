//! Parity: does a backend compute what a reference computes?
//!
//! Two comparisons, as the exporter makes them for the graphs before it writes a bundle:
//!
//! - *components*: a clip is tracked by the backend in question while a [`Recorder`] keeps what went
//!   into and came out of its components. The reference then computes the same components on the
//!   same inputs ([`replay()`], or PyTorch by [`torch`]), so that errors cannot accumulate.
//! - *clip*: both sides track the clip on their own; the masks are compared, frame by frame.
//!
//! It judges numbers, not accuracy: how good the masks are is the scores' business (`crate::metrics`).

mod clip;
mod difference;
mod error;
mod recorder;
mod replay;
mod report;
#[cfg(test)]
mod tests;
pub mod torch;

pub use clip::{ClipMasks, ClipRun, ClipSide, track};
pub use difference::{ClipDifference, Difference, Differences, clip_differences};
pub use error::ParityError;
pub use recorder::{Call, Recorder, Recording, Values};
pub use replay::replay;
pub use report::{ParityReport, Side, Tolerance};
