//! Tags such as `edgetam_points`: a model's name and a prompt kind in one word.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::PromptKind;
use crate::error::{Classified, ErrorClass};

/// A tag that cannot be taken apart.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TagError {
    /// The word is not a prompt kind.
    #[error("'{found}' is not a prompt kind: use points, bbox, mask or points_interior")]
    UnknownKind {
        /// The word.
        found: String,
    },
    /// The tag does not end in a prompt kind.
    #[error(
        "model tag '{found}' does not end in a prompt kind: write <model>_points, <model>_bbox, \
         <model>_mask or <model>_points_interior, such as edgetam_points"
    )]
    NoKind {
        /// The tag.
        found: String,
    },
    /// Nothing is left for the model's name.
    #[error("model tag '{found}' names no model: write <model>{found}, such as edgetam{found}")]
    NoModel {
        /// The tag.
        found: String,
    },
}

impl Classified for TagError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

/// A model and how it is prompted, written `<model>_<prompt>`.
///
/// Model names may hold underscores. The longest prompt kind wins: `a_points_interior` is model
/// `a` with an interior click, never a model `a_points` with a kind `interior`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelTag {
    /// The model's name, such as `sam2_tiny`.
    pub model: String,
    /// How it is prompted.
    pub prompt: PromptKind,
}

impl fmt::Display for ModelTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.model, self.prompt)
    }
}

impl FromStr for ModelTag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let mut kinds = PromptKind::ALL;
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.name().len()));
        for prompt in kinds {
            let Some(head) = text.strip_suffix(prompt.name()) else {
                continue;
            };
            match head.strip_suffix('_') {
                Some("") => {
                    return Err(TagError::NoModel {
                        found: text.to_owned(),
                    });
                }
                Some(model) => {
                    return Ok(Self {
                        model: model.to_owned(),
                        prompt,
                    });
                }
                None if head.is_empty() => {
                    return Err(TagError::NoModel {
                        found: format!("_{text}"),
                    });
                }
                None => {}
            }
        }
        Err(TagError::NoKind {
            found: text.to_owned(),
        })
    }
}
