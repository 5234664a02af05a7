//! Where predicted masks lie, for those who write them and those who read them again.

use super::run::mask_file_name;
use super::session::Settings;
use crate::dataset::{ObjectTrack, Video};
use crate::spec::SaveMasks;
use std::path::PathBuf;

/// Folders of predicted masks: `<folder>/<tag>/<video>/<object>/<frame>.png`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskFiles {
    policy: SaveMasks,
    folder: PathBuf,
    others: Option<PathBuf>,
}

impl MaskFiles {
    /// As a run's settings have it.
    pub fn of(settings: &Settings) -> Self {
        Self {
            policy: settings.run.save_masks.unwrap_or(SaveMasks::Annotated),
            folder: settings.masks_dir.clone(),
            others: settings.other_masks_dir.clone(),
        }
    }

    /// Masks of annotated frames below `folder`.
    #[cfg(test)]
    pub(super) fn annotated(folder: &std::path::Path) -> Self {
        Self {
            policy: SaveMasks::Annotated,
            folder: folder.to_owned(),
            others: None,
        }
    }

    /// Whether the mask of this frame is part of what the run writes.
    pub fn is_result(&self, track: &ObjectTrack, frame: usize) -> bool {
        match self.policy {
            SaveMasks::None => false,
            SaveMasks::Annotated => track.position_of(frame).is_some(),
            SaveMasks::All => true,
        }
    }

    /// The file of a frame's mask; `None` where the run keeps none.
    pub fn path(
        &self,
        tag: &str,
        video: &Video,
        track: &ObjectTrack,
        frame: usize,
    ) -> Option<PathBuf> {
        let folder = match self.is_result(track, frame) {
            true => &self.folder,
            false => self.others.as_ref()?,
        };
        let folder = folder.join(tag).join(&video.id).join(&track.id);
        Some(folder.join(mask_file_name(video, track, frame)))
    }

    /// The file of a frame's mask where it is part of what the run writes.
    pub fn result(
        &self,
        tag: &str,
        video: &Video,
        track: &ObjectTrack,
        frame: usize,
    ) -> Option<PathBuf> {
        let wanted = self.is_result(track, frame);
        wanted
            .then(|| self.path(tag, video, track, frame))
            .flatten()
    }

    /// Keeps no more masks besides those of the run.
    pub(super) fn give_up_others(&mut self) {
        self.others = None;
    }
}
