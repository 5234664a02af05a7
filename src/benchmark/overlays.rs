//! Overlays of a run: draws what a video's objects were given, and tells what could not be drawn.

use super::Events;
use crate::dataset::Video;
use crate::dataset::prompts::PromptKind;
use crate::overlay::{ObjectNote, OverlayError, Overlays};
use crate::record::ObjectRow;
use std::collections::BTreeMap;

/// Overlays of one video as its objects come in; does nothing where none are asked for.
pub(super) struct VideoOverlays<'a> {
    overlays: Option<&'a Overlays>,
    video: &'a Video,
    tag: &'a str,
    kind: PromptKind,
    /// By object.
    notes: BTreeMap<String, ObjectNote>,
}

impl<'a> VideoOverlays<'a> {
    pub(super) fn new(
        overlays: Option<&'a Overlays>,
        video: &'a Video,
        tag: &'a str,
        kind: PromptKind,
    ) -> Self {
        Self {
            overlays,
            video,
            tag,
            kind,
            notes: BTreeMap::new(),
        }
    }

    /// Remembers what the sheet says of these objects, also of those that an earlier process
    /// finished.
    pub(super) fn note(&mut self, rows: &[ObjectRow]) {
        for row in rows {
            let note = ObjectNote {
                drawn: row.is_ok(),
                text: note_text(row),
            };
            self.notes.insert(row.key.object.clone(), note);
        }
    }

    /// Draws the objects of these rows and enters the files into them.
    pub(super) fn draw(&self, rows: &mut [ObjectRow], events: &mut dyn Events) {
        let Some(overlays) = self.overlays else {
            return;
        };
        events.drawing();
        for row in rows.iter_mut().filter(|row| row.is_ok()) {
            let mut objects = self.video.objects.iter();
            let Some(track) = objects.find(|track| track.id == row.key.object) else {
                continue;
            };
            match overlays.object(self.video, track, self.tag, self.kind) {
                Ok(name) => row.overlay = Some(format!("overlays/{name}")),
                Err(error) => left_out(events, &format!("overlay of {}", row.key), &error),
            }
        }
    }

    /// Draws the contact sheet and lets the masks go that were kept for overlays.
    pub(super) fn finish(&self, events: &mut dyn Events) {
        let Some(overlays) = self.overlays else {
            return;
        };
        // An object that an earlier process finished has no note: its masks are drawn if they are
        // there.
        let earlier = ObjectNote {
            drawn: true,
            text: String::new(),
        };
        let objects = self.video.objects.iter();
        let notes: Vec<ObjectNote> = objects
            .map(|track| self.notes.get(&track.id).unwrap_or(&earlier).clone())
            .collect();
        if let Err(error) = overlays.sheet(self.video, self.tag, self.kind, &notes) {
            let what = format!("contact sheet of {} ({})", self.video.id, self.tag);
            left_out(events, &what, &error);
        }
        overlays.forget_masks();
    }
}

fn left_out(events: &mut dyn Events, what: &str, error: &OverlayError) {
    events.warning(&format!("the {what} was left out: {error}"));
}

/// J&F in percent; nothing for weights whose scores mean nothing.
fn note_text(row: &ObjectRow) -> String {
    if !row.is_ok() {
        return "failed".to_owned();
    }
    let score = row.scores.as_ref().and_then(|scores| scores.official);
    match score {
        Some(score) if row.random_init_seed.is_none() => {
            format!("J&F {:.1}", score.jf() * 100.0)
        }
        _ => String::new(),
    }
}
