//! Confidence intervals of means by the bootstrap: resampling what was measured, with no
//! assumption about its distribution (Efron and Tibshirani, *An Introduction to the Bootstrap*,
//! 1993, chapter 13: the percentile interval).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::Serialize;

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// How often the data are resampled.
    pub resamples: usize,
    /// Seed of the resampling (ChaCha8): the same data and seed give the same interval.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 10_000,
            seed: 0,
        }
    }
}

/// A 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// 95 % percentile interval; `None` for a single cluster, which says nothing about spread.
    pub interval: Option<Interval>,
}

impl Bootstrap {
    /// The mean over all values, with its interval.
    ///
    /// Values come in clusters, which are resampled as a whole: objects of one video share its
    /// content and, where they advance together, its clock, and are not independent of each other.
    /// With one value in each cluster this is the ordinary bootstrap. Empty clusters count for
    /// nothing; `None` when there is no value at all or one is not finite.
    pub fn mean(&self, clusters: &[Vec<f64>]) -> Option<Estimate> {
        let sums: Vec<(f64, f64)> = clusters
            .iter()
            .filter(|values| !values.is_empty())
            .map(|values| (values.iter().sum::<f64>(), values.len() as f64))
            .collect();
        let (sum, count) = sums
            .iter()
            .fold((0.0, 0.0), |(s, n), (sum, count)| (s + sum, n + count));
        let value = sum / count;
        if !value.is_finite() {
            return None;
        }
        Some(Estimate {
            value,
            interval: (sums.len() > 1).then(|| self.interval(&sums)).flatten(),
        })
    }

    /// The geometric mean over all values, with its interval: [`Self::mean`] of the logarithms.
    /// `None` also when a value is not above 0.
    pub fn geometric_mean(&self, clusters: &[Vec<f64>]) -> Option<Estimate> {
        let logs: Vec<Vec<f64>> = clusters
            .iter()
            .map(|values| values.iter().map(|v| v.ln()).collect())
            .collect();
        let found = self.mean(&logs)?;
        Some(Estimate {
            value: found.value.exp(),
            interval: found.interval.map(|interval| Interval {
                low: interval.low.exp(),
                high: interval.high.exp(),
            }),
        })
    }

    fn interval(&self, sums: &[(f64, f64)]) -> Option<Interval> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut means: Vec<f64> = (0..self.resamples)
            .map(|_| {
                let (mut sum, mut count) = (0.0, 0.0);
                for _ in 0..sums.len() {
                    let draw = (u64::from(random.next_u32()) * sums.len() as u64) >> 32;
                    let (s, n) = sums.get(draw as usize).copied().unwrap_or((0.0, 0.0));
                    sum += s;
                    count += n;
                }
                sum / count
            })
            .collect();
        means.sort_by(f64::total_cmp);
        Some(Interval {
            low: quantile(&means, 0.025)?,
            high: quantile(&means, 0.975)?,
        })
    }
}

/// A quantile of ascending values with linear interpolation, as numpy's default has it.
fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let place = at * sorted.len().checked_sub(1)? as f64;
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}
