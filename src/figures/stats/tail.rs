//! How high a percentile may really be, judged from few samples: the order statistic that bounds
//! it with 99 % confidence whatever the distribution, as MLPerf LoadGen's early stopping has it
//! (mlcommons/inference, `loadgen/early_stopping.cc` and `PerformanceSummary::EarlyStopping`).
//!
//! The samples are taken to be independent. Frames of a video are not quite: a hot or busy machine
//! slows many in a row, and the bound is then less sure than 99 %.

use statrs::function::beta::checked_beta_reg;

/// Confidence of [`tail_bound`].
pub const TAIL_CONFIDENCE: f64 = 0.99;

/// An upper bound of a percentile of the distribution that ascending samples came from, one of the
/// samples. Of n samples it is the t-th largest, where t is the largest number such that t or fewer
/// of n samples above the percentile have a probability below 1 %:
/// `Binomial(n, 1 - percent/100).cdf(t) < 0.01`. `None` where t would be 0 (fewer than 64 samples
/// for p90, 662 for p99).
///
/// LoadGen takes the t-th largest where the (t + 1)-th would do; so does this, for the same figure.
pub fn tail_bound(sorted: &[f64], percent: f64) -> Option<f64> {
    let allowed = samples_above(sorted.len(), percent)?;
    let index = sorted.len().checked_sub(allowed)?;
    sorted.get(index).copied()
}

/// The fewest samples that [`tail_bound`] has an answer for; `None` for a percentile outside of
/// 0 to 100 or so near to 100 that no practical number is enough.
pub fn tail_samples_needed(percent: f64) -> Option<usize> {
    const MOST: usize = 1 << 40;
    let enough = |n: &usize| samples_above(*n, percent).is_some();
    enough(&MOST).then(|| smallest(1, MOST, |n| enough(&n)))
}

/// The largest t of the definition, at least 1.
fn samples_above(n: usize, percent: f64) -> Option<usize> {
    let rare = |t: usize| at_most(t, n, percent).is_some_and(|odds| odds < 1.0 - TAIL_CONFIDENCE);
    // The probability grows with t and is 1 at t = n.
    let first_common = smallest(0, n, |t| !rare(t));
    first_common.checked_sub(1).filter(|t| *t >= 1)
}

/// Probability that at most t of n independent samples lie above the percentile: the binomial
/// distribution function by the regularised incomplete beta function, `I_p(n - t, t + 1)`.
fn at_most(t: usize, n: usize, percent: f64) -> Option<f64> {
    if !(percent > 0.0 && percent < 100.0) {
        return None;
    }
    if t >= n {
        return Some(1.0);
    }
    checked_beta_reg((n - t) as f64, t as f64 + 1.0, percent / 100.0).ok()
}

/// The smallest number from `low` to `high` that a monotone condition holds for; `high` where it
/// holds for none.
fn smallest(mut low: usize, mut high: usize, holds: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
