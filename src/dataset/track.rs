//! One object through a video: its annotations and their masks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::DatasetError;
use super::rle::Rle;
use crate::dataset::prompts::GivenPrompt;
use crate::mask::Mask;
use crate::media::image::{ImageError, read_label_png, read_mask_png};

/// The mask file of one object on one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Index of the frame it belongs to.
    pub frame: usize,
    /// The PNG.
    pub path: PathBuf,
    /// The object's value in a label map; `None` where the file is this object's alone.
    pub label: Option<u32>,
    /// The mask itself, where the file is a JSON that holds those of a video.
    pub rle: Option<Arc<Rle>>,
}

impl Annotation {
    /// The name under which a prediction for this frame is expected by evaluators: the file's own,
    /// with the extension in small letters.
    pub fn file_name(&self) -> String {
        match self.rle {
            Some(_) => format!("{:05}.png", self.frame),
            None => format!("{}.png", super::pairing::stem(&self.path)),
        }
    }

    /// Reads the mask at whatever size it has.
    fn read(&self) -> Result<Mask, ImageError> {
        if let Some(rle) = &self.rle {
            let words = format!("its mask of frame {} is not a run-length code", self.frame);
            return rle
                .mask()
                .ok_or_else(|| ImageError::damaged(&self.path, words));
        }
        match self.label {
            None => read_mask_png(&self.path),
            Some(label) => Ok(read_label_png(&self.path)?.mask(Some(label))),
        }
    }
}

/// One object of a video: its annotations, or the prompt that was given for it.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectTrack {
    /// The object's folder name (SA-V) or label (DAVIS).
    pub id: String,
    /// The video it belongs to.
    pub video: String,
    /// Its annotations, ascending by frame.
    pub annotations: Vec<Annotation>,
    /// The prompt that was given for it, where there are no annotations to make one from.
    pub given: Option<GivenPrompt>,
    /// Why it cannot be tracked, where something is wrong with its files or its video's.
    pub unusable: Option<Unusable>,
    /// Columns that every mask must have.
    pub width: usize,
    /// Rows that every mask must have.
    pub height: usize,
}

/// Why an object cannot be tracked, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

/// Where an object's track starts, and what it looks like there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFrame {
    /// Position in [`ObjectTrack::annotations`].
    pub annotation: usize,
    /// Index of the frame.
    pub frame: usize,
    /// The mask, with at least one object pixel.
    pub mask: Mask,
}

impl ObjectTrack {
    /// Reads the mask of the annotation at this position. A position past the end gives an empty
    /// mask of the video's size, as an object that is not annotated.
    ///
    /// # Errors
    /// The file cannot be read or has another size than the video's frames.
    pub fn load(&self, position: usize) -> Result<Mask, DatasetError> {
        let Some(annotation) = self.annotations.get(position) else {
            return Ok(Mask::empty(self.height, self.width));
        };
        let mask = annotation.read()?;
        self.check_size(&annotation.path, &mask)?;
        Ok(mask)
    }

    fn check_size(&self, path: &Path, mask: &Mask) -> Result<(), DatasetError> {
        if (mask.width(), mask.height()) == (self.width, self.height) {
            return Ok(());
        }
        Err(DatasetError::Image(ImageError::WrongSize {
            path: path.to_owned(),
            expected_width: self.width,
            expected_height: self.height,
            found_width: mask.width(),
            found_height: mask.height(),
        }))
    }

    /// Finds the first annotated frame whose mask shows the object.
    ///
    /// # Errors
    /// [`DatasetError::NeverVisible`] when none does: the object has failed, the run goes on. A
    /// mask on the way cannot be read.
    pub fn prompt_frame(&self) -> Result<PromptFrame, DatasetError> {
        if let Some(Unusable(reason)) = &self.unusable {
            return Err(DatasetError::Unusable(reason.clone()));
        }
        for (position, annotation) in self.annotations.iter().enumerate() {
            let mask = self.load(position)?;
            if !mask.is_empty() {
                return Ok(PromptFrame {
                    annotation: position,
                    frame: annotation.frame,
                    mask,
                });
            }
        }
        Err(DatasetError::NeverVisible {
            video: self.video.clone(),
            object: self.id.clone(),
            annotated: self.annotations.len(),
        })
    }

    /// Position of the annotation of a frame, if it has one.
    pub fn position_of(&self, frame: usize) -> Option<usize> {
        self.annotations
            .binary_search_by_key(&frame, |a| a.frame)
            .ok()
    }
}

/// Sorts annotations by frame and refuses two of one frame.
pub(super) fn in_order(mut annotations: Vec<Annotation>) -> Result<Vec<Annotation>, DatasetError> {
    annotations.sort_by_key(|a| a.frame);
    for pair in annotations.windows(2) {
        if let [first, second] = pair
            && first.frame == second.frame
        {
            return Err(DatasetError::AnnotationTwice {
                first: first.path.clone(),
                second: second.path.clone(),
            });
        }
    }
    Ok(annotations)
}
