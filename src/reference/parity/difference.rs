//! Differences as numbers.

use super::{Call, ClipRun, ParityError, Values};
use crate::mask::Mask;
use masklet_engines::bundle::{Component, Manifest};
use serde::Serialize;

/// How one output of one component differs from the reference's, over all calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The component.
    pub component: Component,
    /// The output.
    pub output: String,
    /// Calls compared.
    pub calls: usize,
    /// Largest absolute difference; infinite where a value is not finite.
    pub max_abs: f64,
    /// Mean absolute difference.
    pub mean_abs: f64,
    /// Standard deviation of the reference's values; for outputs of one number (`iou`, `obj_score`)
    /// the larger of that and their mean size, since a spread of a handful of numbers says little.
    pub spread: f64,
    /// `max_abs / spread`.
    pub of_spread: f64,
    /// Cosine of the angle between both, all calls taken as one vector.
    pub cosine: f64,
    /// Least IoU of the masks (logits above 0) of a call, for the output `mask`.
    pub mask_iou: Option<f64>,
}

/// How the masks of one object differ over a clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClipDifference {
    /// Prompt, object and video.
    pub object: String,
    /// Frames compared.
    pub frames: usize,
    /// Least IoU of a frame.
    pub least_iou: f64,
    /// Mean IoU over the frames.
    pub mean_iou: f64,
    /// First frame, counted from the prompt, at which a pixel differs.
    pub first_different: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    calls: usize,
    count: f64,
    max_abs: f64,
    sum_abs: f64,
    sum: f64,
    sum_squares: f64,
    sum_magnitude: f64,
    dot: f64,
    got_squares: f64,
    mask_iou: Option<f64>,
}

impl Sums {
    fn add(&mut self, got: &[f32], want: &[f32]) {
        self.calls += 1;
        for (&got, &want) in got.iter().zip(want) {
            let (got, want) = (f64::from(got), f64::from(want));
            let apart = (got - want).abs();
            let apart = if apart.is_finite() {
                apart
            } else {
                f64::INFINITY
            };
            self.count += 1.0;
            self.max_abs = self.max_abs.max(apart);
            self.sum_abs += apart;
            self.sum += want;
            self.sum_squares += want * want;
            self.sum_magnitude += want.abs();
            self.dot += got * want;
            self.got_squares += got * got;
        }
    }

    fn done(&self, component: Component, output: &str) -> Difference {
        let mean = self.sum / self.count;
        let mut spread = (self.sum_squares / self.count - mean * mean)
            .max(0.0)
            .sqrt();
        if matches!(output, "iou" | "obj_score") {
            spread = spread.max(self.sum_magnitude / self.count);
        }
        let lengths = (self.sum_squares * self.got_squares).sqrt();
        Difference {
            component,
            output: output.to_owned(),
            calls: self.calls,
            max_abs: self.max_abs,
            mean_abs: self.sum_abs / self.count,
            spread,
            of_spread: match self.max_abs {
                0.0 => 0.0,
                apart => apart / spread,
            },
            // Two vectors of zeros point the same way.
            cosine: match lengths {
                0.0 if self.max_abs == 0.0 => 1.0,
                0.0 => 0.0,
                lengths => (self.dot / lengths).clamp(-1.0, 1.0),
            },
            mask_iou: self.mask_iou,
        }
    }
}

/// Differences of components on identical inputs.
#[derive(Debug)]
pub struct Differences;

impl Differences {
    /// One row per component and output that ran. `reference` holds the reference's outputs for
    /// every call.
    ///
    /// # Errors
    /// When the reference's tensors have other sizes.
    pub fn of(
        manifest: &Manifest,
        calls: &[Call],
        reference: &[Vec<Values>],
    ) -> Result<Vec<Difference>, ParityError> {
        let mut rows = Vec::new();
        for component in Component::ALL {
            let (_, outputs) = component.tensors(manifest);
            for (position, spec) in outputs.iter().enumerate() {
                let mut sums = Sums::default();
                for (index, (call, wanted)) in calls.iter().zip(reference).enumerate() {
                    if call.component != component {
                        continue;
                    }
                    let (got, want) = (call.outputs.get(position), wanted.get(position));
                    let (Some(Values::F32(got)), Some(Values::F32(want))) = (got, want) else {
                        continue;
                    };
                    if got.len() != want.len() {
                        return Err(ParityError::Size {
                            tensor: format!("{}.{}", component.name(), spec.name),
                            call: index,
                            got: want.len(),
                            want: got.len(),
                        });
                    }
                    sums.add(got, want);
                    if spec.name == "mask" {
                        let iou = logits_iou(got, want);
                        let least = sums.mask_iou.map_or(iou, |least| least.min(iou));
                        sums.mask_iou = Some(least);
                    }
                }
                if sums.calls > 0 {
                    rows.push(sums.done(component, &spec.name));
                }
            }
        }
        match rows.is_empty() {
            true => Err(ParityError::Nothing),
            false => Ok(rows),
        }
    }
}

/// IoU of two masks of logits, cut at 0; two empty masks agree.
fn logits_iou(a: &[f32], b: &[f32]) -> f64 {
    ratio(a.iter().zip(b).map(|(&a, &b)| (a > 0.0, b > 0.0)))
}

fn mask_iou(a: &Mask, b: &Mask) -> f64 {
    let pixels = a.as_slice().iter().zip(b.as_slice());
    ratio(pixels.map(|(&a, &b)| (a, b)))
}

fn ratio(pixels: impl Iterator<Item = (bool, bool)>) -> f64 {
    let (mut both, mut either) = (0usize, 0usize);
    for (a, b) in pixels {
        both += usize::from(a && b);
        either += usize::from(a || b);
    }
    match either {
        0 => 1.0,
        either => both as f64 / either as f64,
    }
}

/// One row per object and prompt that both sides have.
///
/// # Errors
/// When a mask cannot be read, the sizes differ, or the sides have nothing in common.
pub fn clip_differences(
    candidate: &ClipRun,
    reference: &ClipRun,
) -> Result<Vec<ClipDifference>, ParityError> {
    let mut rows = Vec::new();
    for ours in &candidate.objects {
        let same = |theirs: &&super::ClipMasks| theirs.label() == ours.label();
        let Some(theirs) = reference.objects.iter().find(same) else {
            return Err(ParityError::Object {
                side: reference.side.clone(),
                object: ours.label(),
                reason: "it has no masks of it".to_owned(),
            });
        };
        let (mut least, mut sum, mut first) = (1.0f64, 0.0, None);
        for (position, &frame) in ours.frames.keys().enumerate() {
            let (a, b) = (ours.read(frame)?, theirs.read(frame)?);
            if (a.height(), a.width()) != (b.height(), b.width()) {
                return Err(ParityError::Object {
                    side: reference.side.clone(),
                    object: ours.label(),
                    reason: format!(
                        "its mask of frame {frame} is {}x{}, ours is {}x{}",
                        b.width(),
                        b.height(),
                        a.width(),
                        a.height()
                    ),
                });
            }
            let iou = mask_iou(&a, &b);
            least = least.min(iou);
            sum += iou;
            if iou < 1.0 && first.is_none() {
                first = Some(position);
            }
        }
        rows.push(ClipDifference {
            object: ours.label(),
            frames: ours.frames.len(),
            least_iou: least,
            mean_iou: sum / ours.frames.len().max(1) as f64,
            first_different: first,
        });
    }
    match rows.is_empty() {
        true => Err(ParityError::Nothing),
        false => Ok(rows),
    }
}
