//! One clip: some objects of one video through the tracker, timed, scored, written.
//!
//! In lockstep a clip holds all objects of a video; isolated, one. Scoring and writing masks happen
//! with the clocks stopped and the decoders at rest.

use super::clock::{ClipClock, FrameTimes};
use super::live::Live;
use super::masks::MaskFiles;
use super::pacer::Pacer;
use super::ring::FrameRing;
use super::session::{Session, SessionMemory};
use super::source::{FrameSource, NoFrame};
use super::stage::with_tracker;
use super::start::ObjectStart;
use super::watch::Watch;
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Video};
use crate::error::{Error, Result, io_class};
use crate::machine::{MemorySnapshot, ProcessMemory};
use crate::mask::Mask;
use crate::media::image::{self, Resizer};
use crate::metrics::Scorer;
use crate::metrics::protocol::{BothProtocols, ObjectScore};
use crate::record::{
    ArenaMarks, MemoryMarks, NO_GROUND_TRUTH, ObjectKey, ObjectRow, ObjectScores, RealtimeMarks,
    RegionMark, Score, Stage, Status,
};
use crate::track::{
    HoleFiller, ModelPrompt, ObjectMask, ObjectTask, TrackError, Upsampler, VideoTracker,
};
use masklet_engines::backend::FrameLimits;
use masklet_engines::bundle::WeightSource;
use masklet_engines::memory::{Arena, MemorySpace, Region, RegionKind, Tensor};
use std::path::Path;
use std::time::{Duration, Instant};

/// One object on its way through a clip.
struct Runner<'d> {
    track: &'d ObjectTrack,
    prompt_frame: usize,
    end: usize,
    setup: Duration,
    scores: BothProtocols,
    /// Position in the annotations of the next frame to be scored.
    next_annotation: usize,
    /// Annotated frames before `end`.
    scored_annotations: usize,
    mask: Mask,
    failure: Option<String>,
}

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
    let device_before = session.backend.device_memory();
    session.sampler.mark();
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
        track_clip(session, &mut memory, video, &mut only, tasks, tag, progress)
    };
    if outcome.is_err() {
        // Work that a failed clip left queued must not meet the next clip's frames. What it says is
        // the failure again.
        let _ = session.backend.synchronize();
    }
    let mut arena_now = arena_marks(&memory.arena, arena_before);
    session.give_back(memory);
    arena_now.outside_allocations = session.allocations_since_warm_up();
    let tracked = match outcome {
        Ok(tracked) => Some(tracked),
        Err(ClipError::Run(error)) => return Err(error),
        // A stream that ends is dealt with where it does.
        Err(ClipError::Over) => Some(Tracked::default()),
        Err(ClipError::Objects(reason)) => {
            for (_, runner) in &mut runners {
                runner.failure.get_or_insert(reason.clone());
            }
            None
        }
    };
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
    let shared = runners.len() > 1;
    for (position, runner) in runners {
        let marks = telemetry.next();
        let row = &mut rows[position];
        row.prompt_frame = runner.prompt_frame;
        if let Some(reason) = runner.failure {
            *row = row.clone().failed(reason);
            continue;
        }
        let (prompt, end) = (runner.prompt_frame, runner.end);
        row.frames = clock.map_or(0, |clock| clock.processed(prompt, end));
        match runner.track.given {
            Some(_) => row.scores_missing = Some(NO_GROUND_TRUTH.to_owned()),
            None => {
                row.scores = Some(ObjectScores {
                    official: runner.scores.official().score().map(fraction),
                    upstream: runner.scores.upstream().score().map(fraction),
                });
            }
        }
        if let Some(tracked) = &tracked {
            row.realtime = tracked.realtime(prompt, end);
            row.warning.clone_from(&tracked.warning);
        }
        row.timing =
            clock.map(|c| c.of_object(runner.prompt_frame, runner.end, shared, runner.setup));
        let rss = clock.map(|c| c.rss_of_object(runner.prompt_frame, runner.end));
        row.memory = Some(MemoryMarks {
            rss_by_frame_bytes: rss.unwrap_or_default(),
            ..memory.clone()
        });
        row.telemetry = marks;
    }
    Ok(rows)
}

fn fail(rows: &mut [ObjectRow], reason: String) {
    if let Some(row) = rows.last_mut() {
        *row = row.clone().failed(reason);
    }
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

/// Finds the object's prompt and turns it into the model's.
fn prepare<'d>(
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
        failure: None,
    };
    let task = ObjectTask {
        frame: prompt_frame,
        end,
        prompt: model_prompt,
    };
    Ok((runner, task))
}

/// Why a clip stopped.
enum ClipError {
    /// Every object of the clip fails for this reason; the run goes on.
    Objects(String),
    /// The run ends.
    Run(Error),
    /// The video ends here, sooner than it should.
    Over,
}

impl From<NoFrame> for ClipError {
    fn from(reason: NoFrame) -> Self {
        match reason {
            NoFrame::Over => Self::Over,
            NoFrame::Damaged(reason) => Self::Objects(reason),
        }
    }
}

/// What came of a clip beside masks and scores.
#[derive(Default)]
struct Tracked {
    clock: ClipClock,
    /// Where frames came at a rate: frames per second, and every processed frame with the time from
    /// when it was due to its result.
    live: Option<(f64, Vec<(usize, Duration)>)>,
    /// What is wrong with the video file.
    warning: Option<String>,
}

impl Tracked {
    /// How an object kept up that was prompted at `prompt` and processed up to before `end`.
    fn realtime(&self, prompt: usize, end: usize) -> Option<RealtimeMarks> {
        let (fps, processed) = self.live.as_ref()?;
        let own = processed.iter().filter(|(f, _)| (prompt..end).contains(f));
        let ms = own.map(|(frame, latency)| (frame - prompt, latency.as_secs_f64() * 1e3));
        Some(RealtimeMarks::new(*fps, end.saturating_sub(prompt), ms))
    }
}

impl From<TrackError> for ClipError {
    fn from(error: TrackError) -> Self {
        Self::Objects(error.to_string())
    }
}

impl From<Error> for ClipError {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}

fn arena_failed(error: masklet_engines::memory::ArenaError) -> ClipError {
    ClipError::Run(error.into())
}

fn track_clip(
    session: &Session,
    memory: &mut SessionMemory,
    video: &Video,
    runners: &mut [&mut Runner<'_>],
    tasks: Vec<ObjectTask>,
    tag: &str,
    progress: &mut dyn FnMut(),
) -> Result<Tracked, ClipError> {
    with_tracker(
        session,
        memory,
        video.size(),
        tasks,
        video.frame_count(),
        |slots, tracker, objects| {
            run_frames(
                session, slots, tracker, objects, video, runners, tag, progress,
            )
        },
    )
}

#[allow(clippy::too_many_arguments)]
fn run_frames<'r>(
    session: &Session,
    slots: Vec<Tensor<'r>>,
    tracker: &mut VideoTracker<'r>,
    objects: &'r Region<'r>,
    video: &Video,
    runners: &mut [&mut Runner<'_>],
    tag: &str,
    progress: &mut dyn FnMut(),
) -> Result<Tracked, ClipError> {
    let first = runners.iter().map(|r| r.prompt_frame).min().unwrap_or(0);
    let end = runners.iter().map(|r| r.end).max().unwrap_or(0);
    let manifest = session.bundle.manifest();
    let frame_bytes = video.size().rgb_bytes();
    let source =
        FrameSource::open(video, first, session.jpeg.as_ref()).map_err(ClipError::Objects)?;
    let fps = session.settings.fps_of(video).map_err(ClipError::Objects)?;
    let prompts: Vec<usize> = runners.iter().map(|r| r.prompt_frame).collect();
    let mut resizer = Resizer::new(manifest.image_size);
    let mut resized = vec![0u8; resizer.output_len()];
    let mut upsampler = Upsampler::new(manifest.mask_side(), video.height, video.width);
    let mut holes = HoleFiller::new(manifest.mask_side(), session.settings.run.fill_holes);
    let mut clock = ClipClock::new(first, end);
    let mut writer = MaskWriter::new(session, video, tag);
    let mut scorer = Scorer::new();
    let root = session.settings.root.clone();
    let (live, over) = FrameRing::run(
        slots,
        first..end,
        source.threads(session.settings.run.decode_threads),
        |index, slot| source.read(index, slot),
        |ring| -> Result<(Option<Live>, Option<usize>), ClipError> {
            let mut live = fps.map(|fps| {
                ring.wait_for_next();
                Live::begin(Pacer::new(fps, first..end, prompts))
            });
            // The frame that is next, and how many the live stream drops before it.
            let mut at = first;
            loop {
                let mut dropped = 0;
                if let Some(live) = &mut live {
                    match live.next(|| session.stopping()) {
                        Some((_, range)) => dropped = range.len(),
                        None if session.stopping() => {
                            return Err(Error::interrupted().into());
                        }
                        None => break,
                    }
                }
                for _ in 0..dropped {
                    if let Some(Err(NoFrame::Over)) = ring.next(|frame| frame.pixels.map(|_| ())) {
                        return Ok((live, Some(at)));
                    }
                    off_the_clock(&mut live, ring, || {
                        finish_frame(runners, &mut scorer, &mut writer, at)
                    })?;
                    at += 1;
                    progress();
                }
                let started = Instant::now();
                let mut times = FrameTimes::of(at);
                let Some(step) = ring.next(|decoded| -> Result<_, ClipError> {
                    let pixels = decoded.pixels?;
                    times.add(Stage::Decode, decoded.decode);
                    let frame = objects.enter(RegionKind::Frame).map_err(arena_failed)?;
                    let rgb = &pixels[..frame_bytes];
                    if tracker.takes_rgb() {
                        tracker.encode_rgb(&frame, rgb)?;
                    } else {
                        let mut failed = None;
                        tracker.encode(&frame, |image| {
                            let done = resizer
                                .resize(rgb, video.width, video.height, &mut resized)
                                .and_then(|()| {
                                    let p = &manifest.preprocess;
                                    let side = manifest.image_size;
                                    image::to_chw_normalized(&resized, side, p.mean, p.std, image)
                                });
                            failed = done.err();
                        })?;
                        if let Some(error) = failed {
                            return Err(ClipError::Objects(error.to_string()));
                        }
                    }
                    let mut post = Duration::ZERO;
                    let spent = tracker.step(&frame, decoded.index, &mut |i, mask| {
                        let started = Instant::now();
                        let runner = &mut *runners[i];
                        let finite = match mask {
                            ObjectMask::Logits { values, .. } => {
                                let finite = values.iter().all(|v| v.is_finite());
                                if finite {
                                    upsampler.mask_into(holes.fill(values), &mut runner.mask);
                                }
                                finite
                            }
                            ObjectMask::Bits(bits) => {
                                runner.mask.set_from_bits(bits.words);
                                bits.finite
                            }
                        };
                        if !finite {
                            runner.failure.get_or_insert_with(|| {
                                format!("mask logits of frame {} are not finite", decoded.index)
                            });
                        }
                        post += started.elapsed();
                    })?;
                    times.add(Stage::Preprocess, spent.fill);
                    times.add(Stage::Encode, spent.encode);
                    if spent.prompt > Duration::ZERO {
                        times.add(Stage::Prompt, spent.prompt);
                    }
                    if spent.track > Duration::ZERO {
                        times.add(Stage::Track, spent.track);
                    }
                    times.add(Stage::Postprocess, post + spent.masks);
                    Ok(decoded.index)
                }) else {
                    break;
                };
                let index = match step {
                    Err(ClipError::Over) => return Ok((live, Some(at))),
                    step => step?,
                };
                times.add(Stage::EndToEnd, started.elapsed());
                times.began(started);
                clock.push(times);
                if let Some(live) = &mut live {
                    live.finished(index);
                }
                off_the_clock(&mut live, ring, || {
                    finish_frame(runners, &mut scorer, &mut writer, index)
                })?;
                at = index + 1;
                clock.push_rss(ProcessMemory::rss(&root).get());
                progress();
                if session.stopping() {
                    return Err(Error::interrupted().into());
                }
            }
            Ok((live, None))
        },
    )?;
    let warning = source.close(end);
    if let Some(over) = over {
        for runner in runners.iter_mut() {
            let prompt = runner.prompt_frame;
            runner.end = runner.end.min(over);
            if prompt >= over {
                runner.failure.get_or_insert_with(|| {
                    let why = warning.clone().unwrap_or_default();
                    format!("the video ends before the prompt on frame {prompt}: {why}")
                });
            }
        }
    }
    Ok(Tracked {
        clock,
        live: fps.zip(live.map(Live::into_processed)),
        warning,
    })
}

/// Does what no clock counts, with the decoders and the live clock at rest.
fn off_the_clock<T>(
    live: &mut Option<Live>,
    ring: &FrameRing<'_, NoFrame>,
    work: impl FnOnce() -> T,
) -> T {
    match live {
        Some(live) => live.stand_still(|| ring.paused(work)),
        None => ring.paused(work),
    }
}

/// Scores and writes what the frame gave, off the clock. For a frame that was dropped the mask
/// before stands.
fn finish_frame(
    runners: &mut [&mut Runner<'_>],
    scorer: &mut Scorer,
    writer: &mut MaskWriter<'_>,
    index: usize,
) -> Result<()> {
    for runner in runners.iter_mut() {
        if runner.failure.is_some() {
            continue;
        }
        score_up_to(runner, scorer, index);
        if (runner.prompt_frame..runner.end).contains(&index) {
            writer.write(runner.track, index, &runner.mask)?;
        }
    }
    Ok(())
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

/// Writes predicted masks in SA-V layout.
struct MaskWriter<'s> {
    files: MaskFiles,
    video: &'s Video,
    tag: &'s str,
}

impl<'s> MaskWriter<'s> {
    fn new(session: &Session, video: &'s Video, tag: &'s str) -> Self {
        Self {
            files: MaskFiles::of(&session.settings),
            video,
            tag,
        }
    }

    fn write(&mut self, track: &ObjectTrack, index: usize, mask: &Mask) -> Result<()> {
        let Some(path) = self.files.path(self.tag, self.video, track, index) else {
            return Ok(());
        };
        match write_mask(&path, mask) {
            Err(error) if !self.files.is_result(track, index) => {
                // What is kept for pictures only must not end a run.
                tracing::warn!("overlays of {} will be missing: {error}", self.video.id);
                self.files.give_up_others();
                Ok(())
            }
            outcome => outcome,
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

/// The file of a predicted mask: the annotation's name where the frame has one, else that of the
/// frame's image.
pub fn mask_file_name(video: &Video, track: &ObjectTrack, index: usize) -> String {
    let annotation = track
        .position_of(index)
        .and_then(|position| track.annotations.get(position));
    if let Some(annotation) = annotation {
        return annotation.file_name();
    }
    let stem = video.frames.get(index).and_then(|path| path.file_stem());
    stem.map_or_else(
        || format!("{index:05}.png"),
        |stem| format!("{}.png", stem.to_string_lossy()),
    )
}

/// The limits over the frames of `videos`.
pub fn frame_limits<'v>(videos: impl IntoIterator<Item = &'v Video>) -> FrameLimits {
    FrameLimits::of(videos.into_iter().map(Video::size))
}
