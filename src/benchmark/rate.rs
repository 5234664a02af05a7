//! The highest rate that is kept up with: which rate to try next, and when to stop.
//!
//! A trial feeds all clips of the run at one rate. The search goes up or down by a factor until one rate is kept up
//! with and another is not, then halves the gap between them (geometrically) until it is small. It
//! takes every trial at its word: on a busy machine two trials of one rate may differ.

use super::execute::Run;
use crate::clip::{Session, run_clip};
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Split};
use crate::error::Result;
use crate::record::{FoundRate, MOST_MISSED, ModelRate, RateTrial, summarise};
use crate::spec::{ObjectMode, Rate, SaveMasks};

/// The search ends when the lowest rate that failed is at most this much above the highest that was
/// kept up with.
pub const TOLERANCE: f64 = 0.02;

/// Factor from rate to rate while both sides are not known yet.
const STRIDE: f64 = 1.5;
/// Rates outside of these are not tried, in frames per second.
const LEAST_FPS: f64 = 0.02;
const MOST_FPS: f64 = 1e5;
/// Most trials.
const MOST_TRIALS: usize = 24;

/// A search in progress.
#[derive(Clone, Debug)]
pub struct RateSearch {
    next: Option<f64>,
    trials: Vec<RateTrial>,
}

impl RateSearch {
    /// Begins at `guess` frames per second.
    pub fn from(guess: f64) -> Self {
        let guess = if guess.is_finite() {
            guess.clamp(LEAST_FPS, MOST_FPS)
        } else {
            24.0
        };
        Self {
            next: Some(guess),
            trials: Vec::new(),
        }
    }

    /// The rate to try next; `None` when the search is over.
    pub fn next(&self) -> Option<f64> {
        self.next
    }

    /// Takes the outcome of the trial at [`Self::next`].
    pub fn record(&mut self, trial: RateTrial) {
        self.trials.push(trial);
        let found = self.found();
        let next = match (found.sustained_fps, found.failed_fps) {
            (Some(low), Some(high)) => {
                (high > low * (1.0 + TOLERANCE)).then(|| (low * high).sqrt())
            }
            (Some(low), None) => Some(low * STRIDE).filter(|fps| *fps <= MOST_FPS),
            (None, Some(high)) => Some(high / STRIDE).filter(|fps| *fps >= LEAST_FPS),
            (None, None) => None,
        };
        self.next = next.filter(|_| self.trials.len() < MOST_TRIALS);
    }

    /// What is known now.
    pub fn found(&self) -> FoundRate {
        let fps = |kept: bool| {
            let of_kind = self.trials.iter().filter(move |t| t.kept_up() == kept);
            of_kind.map(|trial| trial.fps)
        };
        // Below the lowest failure: a rate above one that failed was luck.
        let failed = fps(false).reduce(f64::min);
        let sustained = fps(true).filter(|fps| failed.is_none_or(|failed| *fps < failed));
        FoundRate {
            sustained_fps: sustained.reduce(f64::max),
            failed_fps: failed,
            tolerance: TOLERANCE,
            most_missed: MOST_MISSED,
            trials: self.trials.clone(),
        }
    }
}

/// Searches for one model tag and writes what was found into the journal. `session` has run the
/// clips before; a trial keeps no masks, scores nothing and is watched by no sensor.
pub(super) fn search(
    run: &mut Run<'_>,
    session: &mut Session,
    split: &Split,
    tag: &str,
    prompt: PromptKind,
) -> Result<()> {
    // Where to begin: a little below what the run itself came to.
    let summary = run.folder.write_summary()?;
    let own = summary.models.iter().find(|model| model.model == tag);
    let Some(guess) = own.and_then(|model| model.speed.fps_end_to_end) else {
        run.events.warning(&format!(
            "{tag}: no object was tracked, so no rate can be searched for"
        ));
        return Ok(());
    };
    let kept = session.settings.clone();
    session.settings.run.save_masks = Some(SaveMasks::None);
    session.settings.scores = false;
    session.settings.telemetry = None;
    let found = trials(run, session, split, tag, prompt, guess * 0.9);
    session.settings = kept;
    run.folder.append_rate(&ModelRate {
        model: tag.to_owned(),
        found: found?,
    })?;
    Ok(())
}

fn trials(
    run: &mut Run<'_>,
    session: &mut Session,
    split: &Split,
    tag: &str,
    prompt: PromptKind,
    guess: f64,
) -> Result<FoundRate> {
    let mut search = RateSearch::from(guess);
    while let Some(fps) = search.next() {
        let Some(trial) = trial(session, split, tag, prompt, fps)? else {
            run.events.warning(&format!(
                "{tag}: objects fail at {fps:.2} fps; the search ends here"
            ));
            break;
        };
        let round = search.trials.len() + 1;
        run.events.trial_done(tag, round, &trial);
        search.record(trial);
    }
    Ok(search.found())
}

/// All clips at one rate, again until there were as many frames as were asked for; `None` when no
/// object is tracked.
fn trial(
    session: &mut Session,
    split: &Split,
    tag: &str,
    prompt: PromptKind,
    fps: f64,
) -> Result<Option<RateTrial>> {
    let wanted = session.settings.run.find_rate.unwrap_or(1).max(1);
    session.settings.run.realtime = Some(Rate::Fps(fps));
    let mut all = RateTrial {
        fps,
        frames: 0,
        late: 0,
        dropped: 0,
    };
    while all.frames < wanted {
        let mut rows = Vec::new();
        for video in &split.videos {
            let objects: Vec<&ObjectTrack> = video.objects.iter().collect();
            let together = match session.settings.run.objects {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::pacer::{Pacer, simulate};
    use crate::record::RealtimeMarks;
    use std::time::Duration;

    /// A made-up server at one rate.
    fn trial(fps: f64, frames: usize, service: impl FnMut(usize) -> Duration) -> RateTrial {
        let processed = simulate(Pacer::new(fps, 0..frames, [0]), service);
        let ms = processed
            .iter()
            .map(|(frame, latency)| (*frame, latency.as_secs_f64() * 1e3));
        let marks = RealtimeMarks::new(fps, frames, ms);
        RateTrial {
            fps,
            frames,
            late: marks.late_frames,
            dropped: marks.dropped_frames,
        }
    }

    fn search(guess: f64, frames: usize, service: impl Fn(usize) -> Duration) -> FoundRate {
        let mut search = RateSearch::from(guess);
        while let Some(fps) = search.next() {
            search.record(trial(fps, frames, &service));
        }
        search.found()
    }

    #[test]
    fn a_server_of_known_capacity_is_found_from_either_side() {
        for guess in [1.0, 24.0, 39.9, 500.0] {
            // 25 ms a frame: 40 frames per second and no more.
            let found = search(guess, 300, |_| Duration::from_millis(25));
            let (low, high) = (found.sustained_fps.unwrap(), found.failed_fps.unwrap());
            assert!(low <= 40.0 && high > 40.0, "from {guess}: {low} to {high}");
            assert!(
                high <= low * (1.0 + TOLERANCE),
                "from {guess}: {low} to {high}"
            );
            assert_eq!(found.trial().unwrap().fps, low);
            assert!(found.trials.len() <= 16, "{} trials", found.trials.len());
        }
    }

    #[test]
    fn one_slow_frame_in_a_hundred_is_forgiven_and_two_are_not() {
        let every = |n: usize| {
            move |frame: usize| match frame % n {
                7 => Duration::from_millis(30),
                _ => Duration::from_millis(10),
            }
        };
        // Of 10 ms and one in a hundred 30 ms: at 60 fps that one is late and takes one along.
        let rare = search(24.0, 1000, every(250)).sustained_fps.unwrap();
        let often = search(24.0, 1000, every(50)).sustained_fps.unwrap();
        assert!(rare > 50.0, "{rare}");
        assert!(often <= 1000.0 / 30.0, "{often}");
    }

    #[test]
    fn there_is_an_end_where_nothing_or_everything_is_kept_up_with() {
        let never = search(24.0, 100, |_| Duration::from_secs(1000));
        assert_eq!((never.sustained_fps, never.trial()), (None, None));
        assert!(never.failed_fps.is_some());
        let always = search(24.0, 100, |_| Duration::ZERO);
        assert_eq!(always.failed_fps, None);
        assert!(always.sustained_fps.unwrap() > 10_000.0);
    }
}
