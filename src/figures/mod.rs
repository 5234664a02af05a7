//! What is computed from rows: the catalogue of figures, tables, statistics and comparisons.

pub mod catalogue;
pub mod columns;
pub mod compare;
pub mod stats;
pub mod tables;
