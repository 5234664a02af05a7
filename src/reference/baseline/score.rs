//! Scores of the baseline's masks, by the evaluator that scores masklet's own.

use std::path::Path;

use super::Planned;
use crate::mask::Mask;
use crate::media::image::read_mask_png;
use crate::metrics::Scorer;
use crate::metrics::protocol::{BothProtocols, ObjectScore};
use crate::record::{ObjectScores, Score};

/// Scores the masks of one object below `masks`, `<tag>/<video>/<object>/<frame>.png`, up to before
/// frame `end`. Before the prompt the prediction is "no object", as it is while tracking.
///
/// # Errors
/// A reason in words: a mask that is not there, cannot be read or has another size.
pub fn score_row(planned: &Planned<'_>, masks: &Path) -> Result<ObjectScores, String> {
    let (key, track) = (&planned.row.key, planned.track);
    let folder = masks.join(&key.model).join(&key.video).join(&key.object);
    let counted = track
        .annotations
        .iter()
        .take_while(|annotation| annotation.frame < planned.end)
        .count();
    let mut scores = BothProtocols::new(counted);
    let mut scorer = Scorer::new();
    for (position, annotation) in track.annotations.iter().take(counted).enumerate() {
        let frame = annotation.frame;
        let truth = track.load(position).map_err(|e| e.to_string())?;
        let prediction = match frame < planned.row.prompt_frame {
            true => Mask::empty(truth.height(), truth.width()),
            false => read_mask_png(&folder.join(annotation.file_name()))
                .map_err(|e| format!("frame {frame} cannot be scored: {e}"))?,
        };
        scores
            .push(&mut scorer, position, &truth, Some(&prediction))
            .map_err(|e| format!("frame {frame} cannot be scored: {e}"))?;
    }
    Ok(ObjectScores {
        official: scores.official().score().map(fraction),
        upstream: scores.upstream().score().map(fraction),
    })
}

fn fraction(score: ObjectScore) -> Score {
    Score {
        j: score.j / 100.0,
        f: score.f / 100.0,
        frames: score.frames,
    }
}
