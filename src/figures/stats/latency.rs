//! Raw durations and what is said of them.

use serde::{Deserialize, Serialize};

use super::outliers::outlier_count;
use super::tail::tail_bound;

/// Durations in milliseconds in the order they were taken. Values that are not finite or are
/// negative are not durations: they are left out and counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    ms: Vec<f64>,
    rejected: usize,
}

/// Summary of a set of durations, all in milliseconds.
///
/// Percentiles are by nearest rank: the value at position `ceil(p/100 * n)` of the sorted samples,
/// so every percentile is a duration that was really seen. With few samples the high percentiles
/// coincide with the maximum; the bounds ([`tail_bound`]) say what they can be relied on for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Number of samples.
    pub n: usize,
    /// Arithmetic mean.
    pub mean_ms: f64,
    /// Sample standard deviation (divisor n - 1); 0 for a single sample.
    pub sd_ms: f64,
    /// Coefficient of variation, `sd / mean`; `None` when the mean is 0.
    pub cv: Option<f64>,
    /// Smallest sample.
    pub min_ms: f64,
    /// Median by nearest rank.
    pub p50_ms: f64,
    /// 90th percentile by nearest rank.
    pub p90_ms: f64,
    /// 95th percentile by nearest rank.
    pub p95_ms: f64,
    /// 99th percentile by nearest rank.
    pub p99_ms: f64,
    /// Largest sample.
    pub max_ms: f64,
    /// With 99 % confidence the 90th percentile of the distribution is at most this; `None` with
    /// fewer than 64 samples, which bound nothing.
    #[serde(default)]
    pub p90_bound_ms: Option<f64>,
    /// The same for the 95th percentile, from 130 samples on.
    #[serde(default)]
    pub p95_bound_ms: Option<f64>,
    /// The same for the 99th percentile, from 662 samples on.
    #[serde(default)]
    pub p99_bound_ms: Option<f64>,
    /// Samples whose modified z-score is above [`super::OUTLIER_THRESHOLD`] in size. They are
    /// counted, never removed.
    pub outliers: usize,
}

impl Samples {
    /// Takes durations in milliseconds, in time order.
    pub fn from_ms(values: impl IntoIterator<Item = f64>) -> Self {
        let mut samples = Self::default();
        for value in values {
            samples.push(value);
        }
        samples
    }

    /// Adds one duration in milliseconds.
    pub fn push(&mut self, ms: f64) {
        if ms.is_finite() && ms >= 0.0 {
            self.ms.push(ms);
        } else {
            self.rejected += 1;
        }
    }

    /// Durations in time order.
    pub fn as_slice(&self) -> &[f64] {
        &self.ms
    }

    /// Number of durations kept.
    pub fn len(&self) -> usize {
        self.ms.len()
    }

    /// Whether there is no duration.
    pub fn is_empty(&self) -> bool {
        self.ms.is_empty()
    }

    /// Number of values that were no durations (negative or not finite).
    pub fn rejected(&self) -> usize {
        self.rejected
    }

    /// Sum in milliseconds.
    pub fn total_ms(&self) -> f64 {
        self.ms.iter().sum()
    }

    /// The summary, `None` when there is nothing to summarise.
    pub fn summary(&self) -> Option<LatencySummary> {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        let (&min_ms, &max_ms) = (sorted.first()?, sorted.last()?);
        let n = sorted.len();
        let mean_ms = sorted.iter().sum::<f64>() / n as f64;
        let squares: f64 = sorted.iter().map(|v| (v - mean_ms).powi(2)).sum();
        let sd_ms = if n > 1 {
            (squares / (n - 1) as f64).sqrt()
        } else {
            0.0
        };
        let rank = |percent| nearest_rank(&sorted, percent).unwrap_or(max_ms);
        Some(LatencySummary {
            n,
            mean_ms,
            sd_ms,
            cv: (mean_ms > 0.0).then(|| sd_ms / mean_ms),
            min_ms,
            p50_ms: rank(50.0),
            p90_ms: rank(90.0),
            p95_ms: rank(95.0),
            p99_ms: rank(99.0),
            max_ms,
            p90_bound_ms: tail_bound(&sorted, 90.0),
            p95_bound_ms: tail_bound(&sorted, 95.0),
            p99_bound_ms: tail_bound(&sorted, 99.0),
            outliers: outlier_count(&self.ms),
        })
    }
}

/// The nearest-rank percentile of ascending values: position `ceil(percent/100 * n)`, counted
/// from 1 and kept within 1..=n. `None` for no values.
pub fn nearest_rank(sorted: &[f64], percent: f64) -> Option<f64> {
    let n = sorted.len();
    // 95/100*20 is 19.000000000000004 in binary; the small step back keeps exact ranks exact.
    let rank = (percent / 100.0 * n as f64 - 1e-9).ceil();
    let index = if rank < 1.0 { 0 } else { rank as usize - 1 };
    sorted.get(index.min(n.checked_sub(1)?)).copied()
}
