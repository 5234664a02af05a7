//! What masklet is held against: the PyTorch baseline and parity.

pub mod baseline;
pub mod parity;
