//! What is computed from rows: statistics and comparisons.

pub mod compare;
pub mod stats;
