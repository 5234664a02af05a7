//! Prompts: what the tracker is told about an object on its first frame, made from a ground-truth
//! mask, or given where there is none ([`GivenPrompt`]).
//!
//! Coordinates are in video pixels until [`Prompt::to_model_pixels`]. Nothing here is random: the
//! same mask gives the same prompt. Corrections on later frames (clicks where a prediction is
//! wrong) are not made.

mod components;
mod given;
mod interior;
mod tag;

#[cfg(test)]
mod tests;

pub use components::{Component, Components};
pub use given::{
    GivenError, GivenPrompt, Shown, mask_labels, parse_box, parse_point, read_prompts,
};
pub use interior::interior_point;
pub use tag::{ModelTag, TagError};

use std::fmt;
use std::str::FromStr;

use crate::mask::Mask;

/// Label of a click on the object, as the models take it.
pub const POSITIVE: i32 = 1;

/// How an object is pointed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PromptKind {
    /// One click at the centroid, as the Python benchmark makes it; it may lie beside the object.
    Points,
    /// The tight box.
    Bbox,
    /// The mask itself, the protocol of published numbers.
    Mask,
    /// One click at the point of the largest component that is farthest from its edge.
    PointsInterior,
}

impl PromptKind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Points, Self::Bbox, Self::Mask, Self::PointsInterior];

    /// The kind's name in tags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Bbox => "bbox",
            Self::Mask => "mask",
            Self::PointsInterior => "points_interior",
        }
    }
}

impl fmt::Display for PromptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PromptKind {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| TagError::UnknownKind {
                found: text.to_owned(),
            })
    }
}

/// One object's prompt. Points and boxes are in pixels of the frame they were made on, x to the
/// right, y down, the centre of the first pixel being (0, 0) as in the reference code.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Clicks, one label each ([`POSITIVE`] is the object, 0 background).
    Points {
        /// (x, y) per click.
        points: Vec<(f32, f32)>,
        /// One label per click.
        labels: Vec<i32>,
    },
    /// A box by its corners, both inclusive.
    Box {
        /// Leftmost column.
        x_min: f32,
        /// Topmost row.
        y_min: f32,
        /// Rightmost column.
        x_max: f32,
        /// Lowest row.
        y_max: f32,
    },
    /// The mask, at the frame's size.
    Mask(Mask),
}

impl Prompt {
    /// Makes the prompt of a kind from an object's mask; `None` for an empty mask.
    pub fn from_mask(kind: PromptKind, mask: &Mask) -> Option<Self> {
        match kind {
            PromptKind::Points => centroid_click(mask).map(Self::click),
            PromptKind::PointsInterior => interior_point(mask).map(Self::click),
            PromptKind::Bbox => mask.bounding_box().map(|b| Self::Box {
                x_min: b.x_min as f32,
                y_min: b.y_min as f32,
                x_max: b.x_max as f32,
                y_max: b.y_max as f32,
            }),
            PromptKind::Mask => (!mask.is_empty()).then(|| Self::Mask(mask.clone())),
        }
    }

    /// A single positive click at column x and row y.
    pub fn click((x, y): (usize, usize)) -> Self {
        Self::Points {
            points: vec![(x as f32, y as f32)],
            labels: vec![POSITIVE],
        }
    }

    /// The prompt in pixels of the model's square of side `size`, for a video of `width` x
    /// `height`: x times S/W and y times S/H, as transformers' `Sam2VideoProcessor` scales them
    /// (the factor rounded to 32 bits, no half-pixel shift). A mask stays as it is:
    /// [`crate::media::image::resize_mask_to_square`] brings it to the square.
    pub fn to_model_pixels(&self, width: usize, height: usize, size: usize) -> Self {
        let x_factor = (size as f64 / width as f64) as f32;
        let y_factor = (size as f64 / height as f64) as f32;
        match self {
            Self::Points { points, labels } => Self::Points {
                points: points
                    .iter()
                    .map(|(x, y)| (x * x_factor, y * y_factor))
                    .collect(),
                labels: labels.clone(),
            },
            Self::Box {
                x_min,
                y_min,
                x_max,
                y_max,
            } => Self::Box {
                x_min: x_min * x_factor,
                y_min: y_min * y_factor,
                x_max: x_max * x_factor,
                y_max: y_max * y_factor,
            },
            Self::Mask(mask) => Self::Mask(mask.clone()),
        }
    }
}

/// The Python benchmark's click: components are 4-connected; of one, the centroid; of several, the
/// centroid of the first in scan order (not the largest). Means are truncated to whole pixels, and
/// the point is not moved onto the object.
fn centroid_click(mask: &Mask) -> Option<(usize, usize)> {
    Components::of(mask).first().map(Component::centroid)
}
