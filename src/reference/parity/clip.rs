//! A clip through one side: the same path as `masklet run`, masks kept for every frame.

use super::{ParityError, Recording};
use crate::clip::{Session, Settings, frame_limits, mask_file_name, run_clip};
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Split};
use crate::machine::SystemRoot;
use crate::mask::Mask;
use crate::media::image;
use crate::record::Status;
use crate::spec::{Pinned, SaveMasks};
use crate::track::layout::Demand;
use masklet_engines::backend::Backend;
use masklet_engines::bundle::Bundle;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// One side of a comparison.
pub struct ClipSide {
    /// The model.
    pub bundle: Bundle,
    /// What runs it.
    pub backend: Backend,
    /// Its name in messages.
    pub name: String,
}

/// What one side made of the clip.
#[derive(Clone, Debug)]
pub struct ClipRun {
    /// The side's name.
    pub side: String,
    /// Folder of masks, `<prompt>/<video>/<object>/<frame>.png`.
    pub masks: PathBuf,
    /// What is in it.
    pub objects: Vec<ClipMasks>,
}

/// The masks of one object under one kind of prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipMasks {
    /// The prompt.
    pub prompt: String,
    /// The video.
    pub video: String,
    /// The object.
    pub object: String,
    /// File of every frame from the prompt on.
    pub frames: BTreeMap<usize, PathBuf>,
}

impl ClipMasks {
    /// `points object 2 of video_000`.
    pub fn label(&self) -> String {
        format!("{} object {} of {}", self.prompt, self.object, self.video)
    }

    /// The mask of a frame.
    ///
    /// # Errors
    /// When the file is not there or not a mask.
    pub fn read(&self, frame: usize) -> Result<Mask, ParityError> {
        let path = self.frames.get(&frame).cloned().unwrap_or_default();
        Ok(image::read_mask_png(&path)?)
    }
}

/// Tracks every object of `split` under every kind of prompt, `frames` frames from its prompt on.
/// Where `recording` is given, `side.backend` must be a recorder into it; up to `calls` calls of
/// every component are kept.
///
/// # Errors
/// When the side cannot run, or an object fails.
pub fn track(
    side: ClipSide,
    split: &Split,
    kinds: &[PromptKind],
    frames: usize,
    masks: &Path,
    recording: Option<(&Recording, usize)>,
) -> Result<ClipRun, ParityError> {
    let most = split.videos.iter().map(|video| video.objects.len()).max();
    let demand = Demand {
        objects: most.unwrap_or(1).max(1),
        ring_frames: 2,
        frames: frame_limits(&split.videos),
    };
    let settings = Settings {
        run: Pinned {
            max_clip_frames: frames,
            decode_threads: 1,
            warmup: 0,
            save_masks: Some(SaveMasks::All),
            ..Pinned::default()
        },
        scores: true,
        masks_dir: masks.to_owned(),
        other_masks_dir: None,
        root: SystemRoot::real(),
        telemetry: None,
    };
    let never = Arc::new(AtomicBool::new(false));
    let mut session = Session::open(side.bundle, side.backend, demand, settings, never)?;
    if let Some((recording, calls)) = recording {
        recording.begin(calls);
    }
    let mut objects = Vec::new();
    for &kind in kinds {
        for video in &split.videos {
            let tracks: Vec<&ObjectTrack> = video.objects.iter().collect();
            let tag = kind.name();
            let rows = run_clip(&mut session, video, &tracks, kind, tag, &mut || {})?;
            for (row, track) in rows.into_iter().zip(&tracks) {
                if let Status::Failed { reason } = &row.status {
                    return Err(ParityError::Object {
                        side: side.name,
                        object: format!("{tag} {}", row.key),
                        reason: reason.clone(),
                    });
                }
                let folder = masks.join(tag).join(&video.id).join(&row.key.object);
                let range = row.prompt_frame..row.prompt_frame + row.frames;
                objects.push(ClipMasks {
                    prompt: tag.to_owned(),
                    video: video.id.clone(),
                    object: row.key.object.clone(),
                    frames: range
                        .map(|frame| (frame, folder.join(mask_file_name(video, track, frame))))
                        .collect(),
                });
            }
        }
    }
    Ok(ClipRun {
        side: side.name,
        masks: masks.to_owned(),
        objects,
    })
}
