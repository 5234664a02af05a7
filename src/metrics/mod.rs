//! J and F: how well predicted masks follow the ground truth.
//!
//! | module | what it owns |
//! |---|---|
//! | [`region`] | J of two masks |
//! | [`boundary`] | F of two masks, in the official and the upstream definition |
//! | [`protocol`] | which frames and objects count, and how they are averaged, frame by frame |
//! | [`folder`] | scoring a folder of predictions against a folder of ground truth |
//!
//! Two protocols exist side by side. *Official* is the SA-V evaluator
//! (`sav_dataset/utils/sav_benchmark.py` of facebookresearch/sam2): its numbers are comparable with
//! published ones. *Upstream* is the Python benchmark this project replaces
//! (antpln/VideoSegmentationComparison): its numbers are comparable with that benchmark's CSVs and
//! with nothing else.
//!
//! A [`Scorer`] holds the scratch memory of one thread; after the first frame of a size it
//! allocates nothing. Printing and file formats of reports are in [`folder`]; reading videos and
//! running models is elsewhere.

mod bits;
pub mod boundary;
mod dilation;
pub mod error;
pub mod folder;
pub mod protocol;
pub mod region;
mod resize;

use crate::mask::Mask;
use bits::BitImage;
use boundary::BoundaryMeasure;
use error::SizeMismatch;
use protocol::{FrameOutcome, Protocol};

/// J and F of one object in one frame, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameScore {
    /// Region similarity (intersection over union).
    pub j: f64,
    /// Boundary similarity.
    pub f: f64,
}

impl FrameScore {
    /// The score of two masks that agree, two empty ones among them.
    pub const PERFECT: Self = Self { j: 1.0, f: 1.0 };
    /// The score of a prediction that is not there.
    pub const ZERO: Self = Self { j: 0.0, f: 0.0 };
}

/// Scores pairs of masks; keeps its scratch memory between them. One per thread.
#[derive(Clone, Debug, Default)]
pub struct Scorer {
    gt: BitImage,
    pred: BitImage,
    boundary: BoundaryMeasure,
}

impl Scorer {
    /// A scorer without scratch memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// J and F of one frame. [`Protocol::Official`] wants masks of one size;
    /// [`Protocol::Upstream`] brings the prediction to the ground truth's size (nearest pixel).
    ///
    /// # Errors
    /// [`SizeMismatch`] when the sizes differ under the official protocol.
    pub fn frame_score(
        &mut self,
        gt: &Mask,
        pred: &Mask,
        protocol: Protocol,
    ) -> Result<FrameScore, SizeMismatch> {
        match (protocol, self.load(gt, pred)) {
            (_, Ok(())) => {}
            (Protocol::Official, Err(mismatch)) => return Err(mismatch),
            (Protocol::Upstream, Err(_)) => {
                let (height, width) = (gt.height(), gt.width());
                let pred = resize::nearest(
                    pred.as_slice(),
                    (pred.height(), pred.width()),
                    (height, width),
                );
                self.pred.pack(height, width, &pred, |p| p);
            }
        }
        Ok(self.score(protocol))
    }

    /// Packs both masks for the measures below.
    fn load(&mut self, gt: &Mask, pred: &Mask) -> Result<(), SizeMismatch> {
        let (height, width) = (gt.height(), gt.width());
        self.gt.pack(height, width, gt.as_slice(), |p| p);
        if (height, width) != (pred.height(), pred.width()) {
            return Err(SizeMismatch {
                gt_height: height,
                gt_width: width,
                pred_height: pred.height(),
                pred_width: pred.width(),
            });
        }
        self.pred.pack(height, width, pred.as_slice(), |p| p);
        Ok(())
    }

    /// J and F of the packed masks.
    fn score(&mut self, protocol: Protocol) -> FrameScore {
        FrameScore {
            j: self.jaccard(),
            f: self.f_measure(protocol),
        }
    }

    /// Presence and score of the packed masks.
    fn outcome(&mut self, protocol: Protocol) -> FrameOutcome {
        FrameOutcome {
            in_gt: !self.gt.is_empty(),
            in_pred: !self.pred.is_empty(),
            score: self.score(protocol),
        }
    }

    /// J of the packed masks.
    fn jaccard(&self) -> f64 {
        let common = self.gt.count_common(&self.pred);
        region::jaccard_of_counts(common, self.gt.count() + self.pred.count())
    }

    /// F of the packed masks.
    fn f_measure(&mut self, protocol: Protocol) -> f64 {
        self.boundary.f_measure(&self.gt, &self.pred, protocol)
    }
}
