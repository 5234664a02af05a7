//! The objects of a clip: what they are prompted with, their masks of the present frame, their scores.

use super::masks::MaskFiles;
use super::session::Session;
use super::start::ObjectStart;
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Video};
use crate::error::{Error, Result, io_class};
use crate::mask::Mask;
use crate::media::image;
use crate::metrics::Scorer;
use crate::metrics::protocol::BothProtocols;
use crate::track::{HoleFiller, ModelPrompt, ObjectMask, ObjectTask, Upsampler};
use std::path::Path;
use std::time::{Duration, Instant};

/// One object on its way through a clip.
pub(super) struct Runner<'d> {
    pub track: &'d ObjectTrack,
    pub prompt_frame: usize,
    pub end: usize,
    /// Time to make the prompt.
    pub setup: Duration,
    pub scores: BothProtocols,
    /// Position in the annotations of the next frame to be scored.
    next_annotation: usize,
    /// Annotated frames before `end`.
    pub scored_annotations: usize,
    mask: Mask,
    /// Masks that were written as results.
    pub masks_written: usize,
    pub failure: Option<String>,
    /// Whether the failure's reason is the machine.
    pub machine_failed: bool,
}

/// Finds the object's prompt and turns it into the model's.
pub(super) fn prepare<'d>(
    session: &Session,
    video: &Video,
    track: &'d ObjectTrack,
    kind: PromptKind,
) -> Result<(Runner<'d>, ObjectTask), String> {
    let started = Instant::now();
    let total = video.frame_count();
    let start = ObjectStart::find(track, kind, total, session.settings.run.most_frames())?;
    let (prompt_frame, end) = (start.frame, start.end);
    let side = session.bundle.manifest().image_size;
    let model_prompt = ModelPrompt::new(&start.prompt, side, video.height, video.width);
    let scored = track
        .annotations
        .iter()
        .filter(|annotation| session.settings.scores && annotation.frame < end)
        .count();
    let runner = Runner {
        track,
        prompt_frame,
        end,
        setup: started.elapsed(),
        scores: BothProtocols::new(scored),
        next_annotation: 0,
        scored_annotations: scored,
        mask: Mask::empty(video.height, video.width),
        masks_written: 0,
        failure: None,
        machine_failed: false,
    };
    let task = ObjectTask {
        frame: prompt_frame,
        end,
        prompt: model_prompt,
    };
    Ok((runner, task))
}

/// All objects of a clip, with what is made of their masks.
pub(super) struct Objects<'c, 'd> {
    runners: &'c mut [&'c mut Runner<'d>],
    video: &'c Video,
    tag: &'c str,
    upsampler: Upsampler,
    holes: HoleFiller,
    scorer: Scorer,
    files: MaskFiles,
}

impl<'c, 'd> Objects<'c, 'd> {
    pub fn new(
        session: &Session,
        video: &'c Video,
        tag: &'c str,
        runners: &'c mut [&'c mut Runner<'d>],
    ) -> Self {
        let side = session.bundle.manifest().mask_side();
        Self {
            runners,
            video,
            tag,
            upsampler: Upsampler::new(side, video.height, video.width),
            holes: HoleFiller::new(side, session.settings.run.fill_holes),
            scorer: Scorer::new(),
            files: MaskFiles::of(&session.settings),
        }
    }

    /// Writes empty masks before every object's prompt and behind its end, where the run writes
    /// masks: evaluators want a file for every annotated frame.
    pub fn write_outside(&mut self) -> Result<()> {
        let empty = Mask::empty(self.video.height, self.video.width);
        for runner in self.runners.iter_mut() {
            if runner.track.given.is_some() {
                continue;
            }
            for index in (0..runner.prompt_frame).chain(runner.end..self.video.frame_count()) {
                if let Some(path) = self.files.result(self.tag, self.video, runner.track, index) {
                    write_mask(&path, &empty)?;
                    runner.masks_written += 1;
                }
            }
        }
        Ok(())
    }

    /// Takes an object's mask of frame `index`. One that is not finite fails the object.
    pub fn take(&mut self, object: usize, mask: ObjectMask<'_>, index: usize) {
        let runner = &mut *self.runners[object];
        let finite = match mask {
            ObjectMask::Logits { values, .. } => {
                let finite = values.iter().all(|v| v.is_finite());
                if finite {
                    self.upsampler
                        .mask_into(self.holes.fill(values), &mut runner.mask);
                }
                finite
            }
            ObjectMask::Bits(bits) => {
                runner.mask.set_from_bits(bits.words);
                bits.finite
            }
        };
        if !finite {
            runner
                .failure
                .get_or_insert_with(|| format!("mask logits of frame {index} are not finite"));
        }
    }

    /// Scores and writes what frame `index` gave.
    pub fn finish(&mut self, index: usize) -> Result<()> {
        for runner in self.runners.iter_mut() {
            if runner.failure.is_some() {
                continue;
            }
            score_up_to(runner, &mut self.scorer, index);
            if !(runner.prompt_frame..runner.end).contains(&index) {
                continue;
            }
            let track = runner.track;
            let Some(path) = self.files.path(self.tag, self.video, track, index) else {
                continue;
            };
            let result = self.files.is_result(track, index);
            match write_mask(&path, &runner.mask) {
                Err(error) if !result => {
                    // What is kept for pictures only must not end a run.
                    tracing::warn!("overlays of {} will be missing: {error}", self.video.id);
                    self.files.give_up_others();
                }
                outcome => {
                    outcome?;
                    runner.masks_written += usize::from(result);
                }
            }
        }
        Ok(())
    }

    /// The video ended before frame `over`: objects end there, and fail where they have not begun.
    pub fn end_at(&mut self, over: usize, warning: Option<&str>) {
        for runner in self.runners.iter_mut() {
            let prompt = runner.prompt_frame;
            runner.end = runner.end.min(over);
            if prompt >= over {
                let why = warning.unwrap_or_default();
                runner.failure.get_or_insert_with(|| {
                    format!("the video ends before the prompt on frame {prompt}: {why}")
                });
            }
        }
    }
}

/// Scores every annotation up to this frame. Before the prompt the prediction is "no object".
fn score_up_to(runner: &mut Runner<'_>, scorer: &mut Scorer, index: usize) {
    while runner.next_annotation < runner.scored_annotations {
        let position = runner.next_annotation;
        let frame = runner.track.annotations[position].frame;
        if frame > index {
            break;
        }
        runner.next_annotation += 1;
        let scored = runner
            .track
            .load(position)
            .map_err(|e| e.to_string())
            .and_then(|truth| {
                let nothing;
                let prediction = if frame < runner.prompt_frame {
                    nothing = Mask::empty(truth.height(), truth.width());
                    &nothing
                } else {
                    &runner.mask
                };
                runner
                    .scores
                    .push(scorer, position, &truth, Some(prediction))
                    .map_err(|e| e.to_string())
            });
        if let Err(reason) = scored {
            runner.failure = Some(format!("frame {frame} cannot be scored: {reason}"));
            break;
        }
    }
}

fn write_mask(path: &Path, mask: &Mask) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| {
            Error::new(
                io_class(&source),
                format!(
                    "cannot create {}: {source}; choose another --out-dir or make it writable",
                    folder.display()
                ),
            )
        })?;
    }
    Ok(image::write_mask_png(path, mask)?)
}
