//! Scores of masks on disk, by the rules of the run that wrote them.

use super::run::judged;
use crate::dataset::ObjectTrack;
use crate::mask::Mask;
use crate::media::image::read_mask_png;
use crate::metrics::Scorer;
use crate::metrics::protocol::BothProtocols;
use crate::record::ObjectScores;
use std::path::Path;

/// Scores the masks in `folder` (`<frame>.png`) of an object that was prompted on frame `prompt`, up
/// to before frame `end`; and why a score is missing. Before the prompt the prediction is "no
/// object", as it is while tracking.
///
/// # Errors
/// A reason in words: a mask that is not there, cannot be read or has another size.
pub fn score_files(
    track: &ObjectTrack,
    prompt: usize,
    end: usize,
    folder: &Path,
) -> Result<(Option<ObjectScores>, Option<String>), String> {
    let counted = track.annotations.iter();
    let counted = counted
        .take_while(|annotation| annotation.frame < end)
        .count();
    let mut scores = BothProtocols::new(counted);
    let mut scorer = Scorer::new();
    for (position, annotation) in track.annotations.iter().take(counted).enumerate() {
        let frame = annotation.frame;
        let truth = track.load(position).map_err(|e| e.to_string())?;
        let prediction = if frame < prompt {
            Mask::empty(truth.height(), truth.width())
        } else {
            read_mask_png(&folder.join(annotation.file_name()))
                .map_err(|e| format!("frame {frame} cannot be scored: {e}"))?
        };
        scores
            .push(&mut scorer, position, &truth, Some(&prediction))
            .map_err(|e| format!("frame {frame} cannot be scored: {e}"))?;
    }
    Ok(judged(track, &scores, prompt, counted))
}

#[cfg(test)]
#[path = "rescore_tests.rs"]
mod tests;
