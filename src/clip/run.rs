//! One clip: some objects of one video through the tracker, timed, scored, written.
//!
//! In lockstep a clip holds all objects of a video; isolated, one. Scoring and writing masks happen
//! with the clocks stopped and the decoders at rest.

use super::frames::{Clip, ClipError, Tracked, run_frames};
use super::label_maps;
use super::masks::MaskFiles;
use super::objects::{Runner, prepare};
use super::session::Session;
use super::stage::with_tracker;
use super::watch::Watch;
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Video};
use crate::error::{Error, Result};
use crate::machine::MemorySnapshot;
use crate::metrics::protocol::{BothProtocols, ObjectScore};
use crate::record::{
    ArenaMarks, MemoryMarks, NO_GROUND_TRUTH, ObjectKey, ObjectRow, ObjectScores, RegionMark,
    Score, Status,
};
use masklet_engines::bundle::WeightSource;
use masklet_engines::device::FrameLimits;
use masklet_engines::memory::{Arena, MemorySpace, RegionKind};
use std::path::{Path, PathBuf};

/// Takes `objects` of `video` through the tracker; one row for each, in their order.
///
/// An object that fails is a failed row. `progress` is called after every frame.
///
/// # Errors
/// Only what ends the run: masks that cannot be written, an arena smaller than its plan, a stop.
pub fn run_clip(
    session: &mut Session,
    video: &Video,
    objects: &[&ObjectTrack],
    kind: PromptKind,
    tag: &str,
    progress: &mut dyn FnMut(),
) -> Result<Vec<ObjectRow>> {
    let root = session.settings.root.clone();
    let before = MemorySnapshot::read(&root);
    let device_before = session.backend.device().memory();
    session.sampler.mark();
    let pauses = Pauses::begin();
    let mut rows: Vec<ObjectRow> = Vec::with_capacity(objects.len());
    let mut runners = Vec::new();
    let mut tasks = Vec::new();
    for &track in objects {
        rows.push(blank_row(session, video, track, tag, objects.len()));
        match prepare(session, video, track, kind) {
            Ok((runner, task)) => {
                runners.push((rows.len() - 1, runner));
                tasks.push(task);
            }
            Err(reason) => fail(&mut rows, reason),
        }
    }
    let Some(mut memory) = session.take_memory() else {
        return Err(Error::interrupted());
    };
    memory.arena.restart_high_water();
    let watch = Watch::begin(session.settings.telemetry.as_ref());
    let arena_before = memory.arena.used();
    let mut only: Vec<&mut Runner<'_>> = runners.iter_mut().map(|(_, r)| r).collect();
    let outcome = if only.is_empty() {
        Ok(Tracked::default())
    } else {
        let clip = Clip {
            session,
            video,
            tag,
            runners: &mut only,
            progress,
        };
        let frames = video.frame_count();
        with_tracker(
            session,
            &mut memory,
            video.size(),
            tasks,
            frames,
            |slots, tracker, objects| run_frames(clip, slots, tracker, objects),
        )
    };
    if outcome.is_err() {
        // Work that a failed clip left queued must not meet the next clip's frames. What it says is
        // the failure again.
        let _ = session.backend.device().synchronize();
    }
    let mut arena_now = arena_marks(&memory.arena, arena_before);
    session.give_back(memory);
    arena_now.outside_allocations = session.allocations_since_warm_up();
    let tracked = match outcome {
        Ok(tracked) => Some(tracked),
        Err(ClipError::Run(error)) => return Err(error),
        // A stream that ends is dealt with where it does.
        Err(ClipError::Over) => Some(Tracked::default()),
        // What failed while the process was asked to stop did so because of that.
        Err(ClipError::Objects { .. }) if session.stopping() => {
            return Err(Error::interrupted());
        }
        Err(ClipError::Objects { reason, machine }) => {
            for (_, runner) in &mut runners {
                runner.failure.get_or_insert(reason.clone());
                runner.machine_failed = machine;
            }
            None
        }
    };
    let failed = runners.iter().any(|(_, runner)| runner.failure.is_some());
    if (failed || rows.iter().any(|row| !row.is_ok()))
        && let Some(path) = gone(video)
    {
        return Err(Error::environment(format!(
            "the videos in {} cannot be read any more; mount or plug in their disk again",
            path.display()
        )));
    }
    let paused = pauses.end();
    let clock = tracked.as_ref().map(|tracked| &tracked.clock);
    let spans: Vec<(usize, usize)> = runners
        .iter()
        .map(|(_, runner)| (runner.prompt_frame, runner.end))
        .collect();
    let mut telemetry = watch.end(clock, &spans).into_iter();
    let after = MemorySnapshot::read(&root);
    let peak = session.sampler.peak();
    let memory = MemoryMarks {
        rss_by_frame_bytes: Vec::new(),
        allocator: None,
        arena: Some(arena_now),
        rss_before_bytes: before.process.rss_bytes,
        rss_after_bytes: after.process.rss_bytes,
        rss_peak_bytes: peak.peak_rss_bytes,
        pss_after_bytes: after.process.pss_bytes,
        available_before_bytes: before.system.available_bytes,
        available_after_bytes: after.system.available_bytes,
        device: session.device_marks(device_before),
    };
    if video.label_maps {
        label_maps::write(&MaskFiles::of(&session.settings), video, tag)?;
    }
    let shared = runners.len() > 1;
    for (position, runner) in runners {
        let row = &mut rows[position];
        fill_row(row, runner, tracked.as_ref(), &memory, shared);
        let watched = telemetry.next();
        row.telemetry = watched.filter(|_| row.is_ok());
        if let Some(paused) = paused.as_ref().filter(|_| row.is_ok()) {
            let before = row.warning.take().map(|text| text + "; ");
            row.warning = Some(before.unwrap_or_default() + paused);
        }
    }
    Ok(rows)
}

/// What came of an object.
fn fill_row(
    row: &mut ObjectRow,
    runner: Runner<'_>,
    tracked: Option<&Tracked>,
    memory: &MemoryMarks,
    shared: bool,
) {
    row.prompt_frame = runner.prompt_frame;
    if let Some(reason) = runner.failure {
        *row = row.clone().failed(reason);
        row.machine_failed = runner.machine_failed;
        return;
    }
    row.masks = Some(runner.masks_written);
    (row.scores, row.scores_missing) = judged(
        runner.track,
        &runner.scores,
        runner.prompt_frame,
        runner.scored_annotations,
    );
    let mut memory = memory.clone();
    if let Some(tracked) = tracked {
        let (prompt, end, clock) = (runner.prompt_frame, runner.end, &tracked.clock);
        row.frames = clock.processed(prompt, end);
        row.realtime = tracked.realtime(prompt, end);
        row.warning.clone_from(&tracked.warning);
        row.timing = Some(clock.of_object(prompt, end, shared, runner.setup));
        memory.rss_by_frame_bytes = clock.rss_of_object(prompt, end);
    }
    row.memory = Some(memory);
}

/// Notices that the process or the machine stood still while clocks went on.
struct Pauses {
    suspended: f64,
}

impl Pauses {
    fn begin() -> Self {
        // What happened before is nobody's.
        let _ = crate::signals::was_continued();
        Self {
            suspended: crate::signals::suspended_seconds(),
        }
    }

    /// What happened meanwhile, in a sentence.
    fn end(self) -> Option<String> {
        let suspended = crate::signals::suspended_seconds() - self.suspended;
        if suspended > 0.1 {
            return Some(format!(
                "the machine was suspended for {suspended:.1} s meanwhile: latencies are not valid"
            ));
        }
        crate::signals::was_continued().then(|| {
            "the process was stopped and continued (SIGSTOP, SIGCONT) meanwhile: latencies \
             include the pause"
                .to_owned()
        })
    }
}

/// The folder of the split's videos, where it cannot be read any more: a disk that was unplugged, a
/// mount that went away. A single video that is missing is a failed row.
fn gone(video: &Video) -> Option<PathBuf> {
    let file = video.file.as_ref().map(|file| file.path.as_path());
    let videos = match file {
        Some(file) => file.parent(),
        None => video.frames.first()?.parent()?.parent(),
    }?;
    let videos = if videos.as_os_str().is_empty() {
        Path::new(".")
    } else {
        videos
    };
    let readable = std::fs::read_dir(videos).is_ok_and(|mut all| all.next().is_some());
    (!readable).then(|| videos.to_owned())
}

fn fail(rows: &mut [ObjectRow], reason: String) {
    if let Some(row) = rows.last_mut() {
        *row = row.clone().failed(reason);
    }
}

/// The scores of an object of which `counted` annotations were compared, and why one is missing.
pub(super) fn judged(
    track: &ObjectTrack,
    scores: &BothProtocols,
    prompt: usize,
    counted: usize,
) -> (Option<ObjectScores>, Option<String>) {
    if track.given.is_some() {
        return (None, Some(NO_GROUND_TRUTH.to_owned()));
    }
    let compared = track.annotations.iter().take(counted);
    if compared.filter(|a| a.frame > prompt).count() == 0 {
        let reason = if track.annotations.len() > counted {
            "the clip ends before the second annotated frame"
        } else {
            "only the frame of its prompt is annotated"
        };
        return (None, Some(reason.to_owned()));
    }
    let both = ObjectScores {
        official: scores.official().score().map(fraction),
        upstream: scores.upstream().score().map(fraction),
    };
    let missing = both.official.is_none().then(|| {
        let reason = match counted {
            0..=2 => "of its annotated frames all but the first and last count, and there are none",
            _ => "it is in no annotated frame between the first and last",
        };
        format!("no official score: {reason}")
    });
    (Some(both), missing)
}

/// Scores come in percent, rows hold fractions.
fn fraction(score: ObjectScore) -> Score {
    Score {
        j: score.j / 100.0,
        f: score.f / 100.0,
        frames: score.frames,
    }
}

fn blank_row(
    session: &Session,
    video: &Video,
    track: &ObjectTrack,
    tag: &str,
    together: usize,
) -> ObjectRow {
    let manifest = session.bundle.manifest();
    let side = manifest.image_size;
    ObjectRow {
        key: ObjectKey {
            video: video.id.clone(),
            object: track.id.clone(),
            model: tag.to_owned(),
        },
        status: Status::Ok,
        session: 0,
        lockstep_objects: together,
        image_size: side,
        precision: manifest.precision.to_string(),
        backend: session.backend.info().label(),
        random_init_seed: match manifest.weights.source {
            WeightSource::RandomInit => manifest.weights.seed,
            _ => None,
        },
        video_frames: video.frame_count(),
        prompt_frame: 0,
        frames: 0,
        input_size: [video.height, video.width],
        infer_size: [side, side],
        overlay: None,
        scores: None,
        timing: None,
        memory: None,
        telemetry: None,
        realtime: None,
        scores_missing: None,
        masks: None,
        machine_failed: false,
        warning: None,
    }
}

fn arena_marks(arena: &Arena, before: usize) -> ArenaMarks {
    let marks = arena.high_water();
    let regions = [
        (RegionKind::Process, marks.process),
        (RegionKind::Video, marks.video),
        (RegionKind::ObjectBatch, marks.object_batch),
        (RegionKind::Frame, marks.frame),
    ];
    ArenaMarks {
        on_device: arena.space() == MemorySpace::Device,
        slab_bytes: arena.capacity() as u64,
        peak_bytes: marks.total as u64,
        before_bytes: before as u64,
        after_bytes: arena.used() as u64,
        regions: regions
            .into_iter()
            .map(|(kind, bytes)| RegionMark {
                name: kind.name().to_owned(),
                peak_bytes: bytes as u64,
            })
            .collect(),
        outside_allocations: None,
    }
}

/// The file of a predicted mask: the annotation's name where the frame has one, else the name that
/// its annotation would have.
pub fn mask_file_name(video: &Video, track: &ObjectTrack, index: usize) -> String {
    let annotation = track
        .position_of(index)
        .and_then(|position| track.annotations.get(position));
    if let Some(annotation) = annotation {
        return annotation.file_name();
    }
    video
        .mask_names
        .get(index)
        .map_or_else(|| format!("{index:05}.png"), |name| format!("{name}.png"))
}

/// The limits over the frames of `videos`.
pub fn frame_limits<'v>(videos: impl IntoIterator<Item = &'v Video>) -> FrameLimits {
    FrameLimits::of(videos.into_iter().map(Video::size))
}
