//! Outliers by the modified z-score (Iglewicz and Hoaglin, *How to Detect and Handle Outliers*,
//! 1993): distances from the median, in units of the median absolute deviation (MAD).

/// A sample is an outlier when its modified z-score is above this in size, as the book advises.
pub const OUTLIER_THRESHOLD: f64 = 3.5;

/// Scale that makes the MAD estimate the standard deviation of normal data: 1 / 0.6745.
const MAD_TO_SD: f64 = 1.482_602_218_505_602;

/// The same for the mean absolute deviation: sqrt(pi / 2).
const MEAN_AD_TO_SD: f64 = 1.253_314_137_315_500_3;

/// Modified z-score of every value, in the order given. Where more than half of the values are
/// equal the MAD is 0 and the mean absolute deviation from the median stands in; where all are
/// equal every score is 0.
pub fn modified_z_scores(values: &[f64]) -> Vec<f64> {
    let Some(centre) = median(values.to_vec()) else {
        return Vec::new();
    };
    let deviations: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
    let mean_ad = deviations.iter().sum::<f64>() / deviations.len() as f64;
    let mad = median(deviations).unwrap_or(0.0);
    let scale = if mad > 0.0 {
        mad * MAD_TO_SD
    } else {
        mean_ad * MEAN_AD_TO_SD
    };
    if scale > 0.0 {
        values.iter().map(|v| (v - centre) / scale).collect()
    } else {
        vec![0.0; values.len()]
    }
}

/// Number of values whose modified z-score is above [`OUTLIER_THRESHOLD`] in size.
pub fn outlier_count(values: &[f64]) -> usize {
    modified_z_scores(values)
        .iter()
        .filter(|z| z.abs() > OUTLIER_THRESHOLD)
        .count()
}

/// Middle value, the mean of the two middle ones for an even count; `None` for no values.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get((values.len() / 2).checked_sub(1)?)?;
    Some(lower + (upper - lower) / 2.0)
}
