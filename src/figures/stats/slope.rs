//! Straight-line fits: is memory flat over videos, over frames?

use super::signed_bytes;
use serde::{Deserialize, Serialize};

/// A least-squares line `y = intercept + per_step * x`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// Change of y for one step of x.
    pub per_step: f64,
    /// Standard error of `per_step`; `None` when no degree of freedom is left to tell it.
    pub standard_error: Option<f64>,
    /// Degrees of freedom behind the standard error.
    pub degrees_of_freedom: usize,
    /// Number of points.
    pub n: usize,
    /// Spread of x, largest minus smallest: `per_step * span` is the total change.
    pub span: f64,
}

/// What a memory slope means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flatness {
    /// No growth that the noise would not explain, or less than the tolerance in all.
    Flat,
    /// Grows: zero lies below the 95 % confidence interval and the total is above the tolerance.
    Growing,
    /// Fewer than three points to judge by.
    TooFew,
}

impl Slope {
    /// The change per step in bytes with the half width of its 95 % interval, for people.
    pub fn text(&self) -> String {
        let change = signed_bytes(self.per_step);
        match self.half_width_95() {
            Some(half) => format!("{change} ± {}", signed_bytes(half).trim_start_matches('+')),
            None => change,
        }
    }

    /// Half width of the 95 % confidence interval of `per_step`.
    pub fn half_width_95(&self) -> Option<f64> {
        Some(self.standard_error? * student_t_975(self.degrees_of_freedom)?)
    }

    /// Judges growth. `tolerance` is a total change of y over the whole span that does not matter
    /// whatever its significance (an allocator's page, say).
    pub fn flatness(&self, tolerance: f64) -> Flatness {
        match self.half_width_95() {
            None => Flatness::TooFew,
            Some(half) if self.per_step > half && self.per_step * self.span > tolerance => {
                Flatness::Growing
            }
            Some(_) => Flatness::Flat,
        }
    }
}

/// Fits a line to points (x, y). `None` when there are fewer than two different x or a value is
/// not finite.
pub fn fit_line(points: &[(f64, f64)]) -> Option<Slope> {
    fit_line_within(&[points])
}

/// Fits one slope to several groups of points, each with an intercept of its own (a process that
/// was restarted begins at another level, yet grows alike). Groups of one point say nothing about
/// the slope and are ignored. `None` as for [`fit_line`].
pub fn fit_line_within(groups: &[&[(f64, f64)]]) -> Option<Slope> {
    let (mut sxx, mut sxy, mut syy) = (0.0_f64, 0.0_f64, 0.0_f64);
    let (mut n, mut used) = (0, 0);
    let (mut x_min, mut x_max) = (f64::INFINITY, f64::NEG_INFINITY);
    for group in groups.iter().filter(|g| g.len() >= 2) {
        let count = group.len() as f64;
        let x_mean = group.iter().map(|p| p.0).sum::<f64>() / count;
        let y_mean = group.iter().map(|p| p.1).sum::<f64>() / count;
        for (x, y) in group.iter() {
            let (dx, dy) = (x - x_mean, y - y_mean);
            sxx += dx * dx;
            sxy += dx * dy;
            syy += dy * dy;
            x_min = x_min.min(*x);
            x_max = x_max.max(*x);
        }
        n += group.len();
        used += 1;
    }
    if !(sxx > 0.0 && sxx.is_finite() && sxy.is_finite() && syy.is_finite()) {
        return None;
    }
    let per_step = sxy / sxx;
    let degrees_of_freedom = n.saturating_sub(used + 1);
    let residual = (syy - per_step * sxy).max(0.0);
    Some(Slope {
        per_step,
        standard_error: (degrees_of_freedom > 0)
            .then(|| (residual / degrees_of_freedom as f64 / sxx).sqrt()),
        degrees_of_freedom,
        n,
        span: x_max - x_min,
    })
}

/// 97.5 % quantile of Student's t distribution, from the usual table up to 30 degrees of freedom
/// and by the Cornish-Fisher expansion above (error below 0.001). `None` for 0.
pub fn student_t_975(degrees_of_freedom: usize) -> Option<f64> {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    let index = degrees_of_freedom.checked_sub(1)?;
    if let Some(value) = TABLE.get(index) {
        return Some(*value);
    }
    let (z, v) = (1.959_963_985_f64, degrees_of_freedom as f64);
    let first = (z.powi(3) + z) / (4.0 * v);
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v);
    Some(z + first + second)
}
