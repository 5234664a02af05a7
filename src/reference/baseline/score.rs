//! Scores of the baseline's masks, by the evaluator that scores masklet's own.

use std::path::Path;

use super::Planned;
use crate::clip::score_files;
use crate::record::ObjectScores;

/// Scores the masks of one object below `masks`, `<tag>/<video>/<object>/<frame>.png`, up to before
/// frame `end`; and why a score is missing.
///
/// # Errors
/// A reason in words: a mask that is not there, cannot be read or has another size.
pub fn score_row(
    planned: &Planned<'_>,
    masks: &Path,
) -> Result<(Option<ObjectScores>, Option<String>), String> {
    let key = &planned.row.key;
    let folder = masks.join(&key.model).join(&key.video).join(&key.object);
    score_files(
        planned.track,
        planned.row.prompt_frame,
        planned.end,
        &folder,
    )
}
