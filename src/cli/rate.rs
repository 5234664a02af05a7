//! `--find-rate`: the highest frame rate that a model keeps up with, by trials on the run's clips.

use super::options::UsageError;
use crate::benchmark::rate_search::RateSearch;
use crate::clip::{ObjectMode, Rate, SaveMasks, Session, run_clip};
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Video};
use crate::progress::Progress;
use crate::record::{ModelRate, Options, RateTrial, RunFolder, summarise};
use clap::Args;
use serde_json::json;

/// Whether the highest rate is searched for.
#[derive(Debug, Args)]
pub struct FindRateArgs {
    /// Afterwards search for the highest frame rate at which at most 1 % of the frames are missed
    /// (late or dropped): every trial feeds all clips at one rate, again until there were FRAMES
    /// frames (without it once).
    #[arg(
        long,
        value_name = "FRAMES",
        num_args = 0..=1,
        default_missing_value = "1",
        help_heading = "Real time"
    )]
    find_rate: Option<usize>,
}

impl FindRateArgs {
    /// Refuses what does not go with it.
    ///
    /// # Errors
    /// When frames are fed at a rate already, or the clips are a share of the run's.
    pub fn check(&self, realtime: bool, sharded: bool) -> Result<(), UsageError> {
        match (self.find_rate.is_some(), realtime, sharded) {
            (true, true, _) => Err(UsageError(
                "--find-rate tries rates of its own and --realtime sets one; leave one of them out"
                    .to_owned(),
            )),
            (true, _, true) => Err(UsageError(
                "--find-rate says what this machine keeps up with; leave out --shard, or search in a \
                 run of its own"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Whether it was asked for.
    pub fn any(&self) -> bool {
        self.find_rate.is_some()
    }

    /// What `run.json` holds of it; a resumed run must have the same.
    pub fn record(&self, options: &mut Options) {
        if let Some(frames) = self.find_rate {
            options.insert("find-rate".to_owned(), json!(frames));
        }
    }

    /// Searches for one model tag and writes what it found into the journal.
    ///
    /// # Errors
    /// What ends a run.
    pub fn search(
        &self,
        session: &mut Session,
        folder: &mut RunFolder,
        progress: &Progress,
        videos: &[Video],
        tag: &str,
        prompt: PromptKind,
    ) -> anyhow::Result<()> {
        let Some(frames) = self.find_rate else {
            return Ok(());
        };
        // Where to begin: a little below what the run itself came to.
        let summary = folder.write_summary()?;
        let own = summary.models.iter().find(|model| model.model == tag);
        let guess = own.and_then(|model| model.speed.fps_end_to_end);
        let Some(guess) = guess else {
            tracing::warn!("{tag}: no object was tracked, so no rate can be searched for");
            return Ok(());
        };
        let kept = session.settings.clone();
        session.settings.save_masks = SaveMasks::None;
        session.settings.scores = false;
        session.settings.telemetry = None;
        let mut search = RateSearch::from(guess * 0.9);
        let mut outcome = Ok(());
        while let Some(fps) = search.next() {
            let round = search.found().trials.len() + 1;
            match trial(session, videos, tag, prompt, fps, frames) {
                Ok(Some(trial)) => {
                    progress.println(&format!(
                        "{tag}, trial {round}: {} fps, {} of {} frames missed ({} late, {} dropped)",
                        crate::figures::stats::rate(fps),
                        trial.missed(),
                        trial.frames,
                        trial.late,
                        trial.dropped
                    ));
                    search.record(trial);
                }
                Ok(None) => {
                    tracing::warn!("{tag}: objects fail at {fps:.2} fps; the search ends here");
                    break;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        session.settings = kept;
        outcome?;
        folder.append_rate(&ModelRate {
            model: tag.to_owned(),
            found: search.found(),
        })?;
        Ok(())
    }
}

/// All clips at one rate, again until there were `frames` frames; `None` when no object is tracked.
fn trial(
    session: &mut Session,
    videos: &[Video],
    tag: &str,
    prompt: PromptKind,
    fps: f64,
    frames: usize,
) -> anyhow::Result<Option<RateTrial>> {
    session.settings.realtime = Some(Rate::Fps(fps));
    let mut all = RateTrial {
        fps,
        frames: 0,
        late: 0,
        dropped: 0,
    };
    while all.frames < frames.max(1) {
        let mut rows = Vec::new();
        for video in videos {
            let objects: Vec<&ObjectTrack> = video.objects.iter().collect();
            let together = match session.settings.objects {
                ObjectMode::Lockstep => objects.len().max(1),
                ObjectMode::Isolated => 1,
            };
            for clip in objects.chunks(together) {
                rows.extend(run_clip(session, video, clip, prompt, tag, &mut || {})?);
            }
        }
        let summary = summarise(&rows);
        let Some(pass) = summary.models.into_iter().find_map(|model| model.realtime) else {
            return Ok(None);
        };
        all.frames += pass.due_frames;
        all.late += pass.late_frames;
        all.dropped += pass.dropped_frames;
    }
    Ok(Some(all))
}
