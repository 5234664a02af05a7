//! Where an object begins and ends, and its prompt: the same for masklet and for its baseline.

use crate::dataset::ObjectTrack;
use crate::dataset::prompts::{Prompt, PromptKind};

/// Where an object is prompted, with what, and where it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectStart {
    /// Frame index of the prompt.
    pub frame: usize,
    /// Position of its mask in the object's annotations; `None` for a prompt that was given.
    pub annotation: Option<usize>,
    /// First frame index after the last to be processed.
    pub end: usize,
    /// The prompt, in pixels of the video.
    pub prompt: Prompt,
}

impl ObjectStart {
    /// Takes the prompt that was given for the object, or looks for its first annotated frame with
    /// a mask that is not empty, in a video of `total` frames of which at most `most` are processed from there on.
    ///
    /// # Errors
    /// A reason in words: the object is never seen, a mask cannot be read or gives no prompt.
    pub fn find(
        track: &ObjectTrack,
        kind: PromptKind,
        total: usize,
        most: Option<usize>,
    ) -> Result<Self, String> {
        let (frame, annotation, prompt) = match &track.given {
            Some(given) => (given.frame, None, given.prompt.clone()),
            None => {
                let found = track.prompt_frame().map_err(|e| e.to_string())?;
                let frame = found.frame;
                let prompt = Prompt::from_mask(kind, &found.mask)
                    .ok_or_else(|| format!("the mask of frame {frame} gives no {kind} prompt"))?;
                (frame, Some(found.annotation), prompt)
            }
        };
        let end = most.map_or(total, |most| frame.saturating_add(most.max(1)).min(total));
        if frame >= end {
            return Err(format!(
                "the prompt is on frame {frame}, the video has {total} frames"
            ));
        }
        Ok(Self {
            frame,
            annotation,
            end,
            prompt,
        })
    }
}
