//! Region similarity J, the intersection over union of two masks.
//!
//! Computed from integer counts without an epsilon, as the SA-V evaluator
//! (`sav_dataset/utils/sav_benchmark.py` of facebookresearch/sam2, BSD-3) and the DAVIS toolkit do.

use super::Scorer;
use super::error::SizeMismatch;
use crate::mask::Mask;

/// J of two masks of one size, 0 to 1. Two empty masks agree: 1. One empty mask: 0.
///
/// # Errors
/// [`SizeMismatch`] when the masks differ in height or width.
pub fn jaccard(gt: &Mask, pred: &Mask) -> Result<f64, SizeMismatch> {
    let mut scorer = Scorer::new();
    scorer.load(gt, pred)?;
    Ok(scorer.jaccard())
}

/// J from the pixels in both masks and the sum of both areas.
pub(super) fn jaccard_of_counts(common: u64, area_sum: u64) -> f64 {
    match area_sum - common.min(area_sum) {
        0 => 1.0,
        union => common as f64 / union as f64,
    }
}
