//! A prompt in the model's own pixels.

use crate::dataset::prompts::Prompt;
use crate::media::image;

/// Label of the upper left corner of a box, in the model's terms.
const LABEL_BOX_TOP_LEFT: i32 = 2;
/// Label of the lower right corner of a box.
const LABEL_BOX_BOTTOM_RIGHT: i32 = 3;

/// A prompt in the model's own pixels (S x S).
#[derive(Clone, Debug, PartialEq)]
pub enum ModelPrompt {
    /// Clicks, or the two corners of a box, without the padding point.
    Points {
        /// (x, y) in pixels of the model's input.
        points: Vec<[f32; 2]>,
        /// 1 positive, 0 negative, 2 and 3 the corners of a box.
        labels: Vec<i32>,
    },
    /// A mask of 0 and 1, S * S long.
    Mask(Vec<f32>),
}

impl ModelPrompt {
    /// A prompt given in pixels of a video of `height` x `width`, for a model of side `side`.
    pub fn new(prompt: &Prompt, side: usize, height: usize, width: usize) -> Self {
        match prompt.to_model_pixels(width, height, side) {
            Prompt::Mask(mask) => Self::Mask(image::resize_mask_to_square(&mask, side)),
            Prompt::Box {
                x_min,
                y_min,
                x_max,
                y_max,
            } => Self::Points {
                points: vec![[x_min, y_min], [x_max, y_max]],
                labels: vec![LABEL_BOX_TOP_LEFT, LABEL_BOX_BOTTOM_RIGHT],
            },
            Prompt::Points { points, labels } => Self::Points {
                points: points.into_iter().map(|(x, y)| [x, y]).collect(),
                labels,
            },
        }
    }
}
