//! Did the measurement settle? The last windows of a series are compared, as Triton's
//! perf_analyzer does.

use serde::{Deserialize, Serialize};

/// Largest ratio between the medians of the last three windows that still counts as stable.
pub const STABILITY_RATIO: f64 = 1.10;

/// Samples in a window of a long series.
const WINDOW: usize = 50;

/// Samples in the smallest window that a verdict is given on.
const SMALLEST_WINDOW: usize = 8;

/// Windows that are compared.
const WINDOWS: usize = 3;

/// Verdict on one series of durations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Stability {
    /// The medians of the last three windows lie within [`STABILITY_RATIO`].
    Stable {
        /// Largest over smallest window median.
        ratio: f64,
        /// Samples per window.
        window: usize,
    },
    /// They do not.
    DidNotStabilise {
        /// Largest over smallest window median.
        ratio: f64,
        /// Samples per window.
        window: usize,
    },
    /// Too few samples for three windows.
    TooShort {
        /// Samples there were.
        samples: usize,
    },
}

impl Stability {
    /// The verdict in words.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Stable { .. } => "stable",
            Self::DidNotStabilise { .. } => "did not stabilise",
            Self::TooShort { .. } => "too short to judge",
        }
    }
}

/// Judges a series in time order. The last three windows are taken, of 50 samples each, or of a
/// third of the series where it is shorter than 150; below 24 samples no verdict is given.
pub fn stability(series: &[f64]) -> Stability {
    let window = (series.len() / WINDOWS).min(WINDOW);
    if window < SMALLEST_WINDOW {
        return Stability::TooShort {
            samples: series.len(),
        };
    }
    let tail = &series[series.len() - WINDOWS * window..];
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for part in tail.chunks_exact(window) {
        let middle = super::outliers::median(part.to_vec()).unwrap_or(0.0);
        low = low.min(middle);
        high = high.max(middle);
    }
    // All-zero medians are equal, hence stable; one zero among others is not.
    let ratio = match (low > 0.0, high > 0.0) {
        (true, _) => high / low,
        (false, false) => 1.0,
        (false, true) => f64::MAX,
    };
    if ratio <= STABILITY_RATIO {
        Stability::Stable { ratio, window }
    } else {
        Stability::DidNotStabilise { ratio, window }
    }
}
