//! Statistics over raw samples: summaries of durations, tail bounds, stability, outliers,
//! straight-line fits, bootstrap intervals, and the text that people read numbers in.
//!
//! Everything here is a pure function of the samples it is given. It measures nothing and knows
//! nothing of videos or objects; `docs/metrics.md` defines every figure in words.

mod bootstrap;
mod format;
mod latency;
mod outliers;
mod slope;
mod stability;
mod tail;

pub use bootstrap::{Bootstrap, Estimate, Interval};
pub use format::{bytes, mebibytes, milliseconds, rate, signed_bytes};
pub use latency::{LatencySummary, Samples, nearest_rank};
pub use outliers::{OUTLIER_THRESHOLD, modified_z_scores, outlier_count};
pub use slope::{Flatness, Slope, fit_line, fit_line_within, student_t_975};
pub use stability::{STABILITY_RATIO, Stability, stability};
pub use tail::{TAIL_CONFIDENCE, tail_bound, tail_samples_needed};

#[cfg(test)]
mod tests;
