//! The frame loop of a clip: a frame is decoded, encoded, tracked and timed; then, with the clocks
//! stopped and the decoders at rest, its masks are scored and written.

use super::clock::{ClipClock, FrameTimes};
use super::live::Live;
use super::objects::{Objects, Runner};
use super::pacer::Pacer;
use super::ring::{DecodedFrame, FrameRing};
use super::session::Session;
use super::source::{FrameSource, NoFrame};
use crate::dataset::Video;
use crate::error::Error;
use crate::machine::ProcessMemory;
use crate::media::image::{self, Resizer};
use crate::record::{RealtimeMarks, Stage};
use crate::track::{TrackError, VideoTracker};
use masklet_engines::bundle::Manifest;
use masklet_engines::memory::{Region, RegionKind, Tensor};
use std::time::{Duration, Instant};

type Ring<'s> = FrameRing<'s, NoFrame>;

/// A clip on its way through the tracker.
pub(super) struct Clip<'c, 'd> {
    pub session: &'c Session,
    pub video: &'c Video,
    /// Model tag.
    pub tag: &'c str,
    /// Its objects.
    pub runners: &'c mut [&'c mut Runner<'d>],
    /// Called after every frame.
    pub progress: &'c mut dyn FnMut(),
}

/// Why a clip stopped.
pub(super) enum ClipError {
    /// Every object of the clip fails for this reason; the run continues.
    Objects {
        /// In words.
        reason: String,
        /// Whether it is the machine's.
        machine: bool,
    },
    /// The run ends.
    Run(Error),
    /// The video ends here, sooner than it should.
    Over,
}

impl From<NoFrame> for ClipError {
    fn from(reason: NoFrame) -> Self {
        match reason {
            NoFrame::Over => Self::Over,
            NoFrame::Damaged(reason) => Self::data(reason),
            NoFrame::Machine(reason) => Self::Objects {
                reason,
                machine: true,
            },
        }
    }
}

impl ClipError {
    /// Every object of the clip fails for a reason of its data.
    fn data(reason: String) -> Self {
        Self::Objects {
            reason,
            machine: false,
        }
    }
}

impl From<TrackError> for ClipError {
    fn from(error: TrackError) -> Self {
        Self::Objects {
            reason: error.to_string(),
            machine: true,
        }
    }
}

impl From<Error> for ClipError {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}

/// What came of a clip beside masks and scores.
#[derive(Default)]
pub(super) struct Tracked {
    pub clock: ClipClock,
    /// Where frames came at a rate: frames per second, and every processed frame with the time from
    /// when it was due to its result.
    live: Option<(f64, Vec<(usize, Duration)>)>,
    /// What is wrong with the video file.
    pub warning: Option<String>,
}

impl Tracked {
    /// How an object kept up that was prompted at `prompt` and processed up to before `end`.
    pub fn realtime(&self, prompt: usize, end: usize) -> Option<RealtimeMarks> {
        let (fps, processed) = self.live.as_ref()?;
        let own = processed.iter().filter(|(f, _)| (prompt..end).contains(f));
        let ms = own.map(|(frame, latency)| (frame - prompt, latency.as_secs_f64() * 1e3));
        Some(RealtimeMarks::new(*fps, end.saturating_sub(prompt), ms))
    }
}

/// Runs all frames of a clip: decoders fill `slots`, `tracker` works in frames of `objects`.
pub(super) fn run_frames<'r>(
    clip: Clip<'_, '_>,
    slots: Vec<Tensor<'r>>,
    tracker: &mut VideoTracker<'r>,
    objects: &'r Region<'r>,
) -> Result<Tracked, ClipError> {
    let Clip { session, video, .. } = clip;
    let first = clip.runners.iter().map(|r| r.prompt_frame).min();
    let end = clip.runners.iter().map(|r| r.end).max();
    let frames = first.unwrap_or(0)..end.unwrap_or(0);
    let source = FrameSource::open(video, frames.start, session.jpeg.as_ref());
    let source = source.map_err(ClipError::data)?;
    let fps = session.settings.fps_of(video).map_err(ClipError::data)?;
    let prompts: Vec<usize> = clip.runners.iter().map(|r| r.prompt_frame).collect();
    let mut frame_loop = FrameLoop {
        input: Input::new(session.bundle.manifest(), video),
        objects: Objects::new(session, video, clip.tag, clip.runners),
        clock: ClipClock::new(frames.start, frames.end),
        next: frames.start,
        live: None,
        session,
        tracker,
        region: objects,
        progress: clip.progress,
    };
    frame_loop.objects.write_outside()?;
    let over = FrameRing::run(
        slots,
        frames.clone(),
        source.threads(session.settings.run.decode_threads),
        |index, slot| source.read(index, slot),
        |ring| {
            frame_loop.live = fps.map(|fps| {
                ring.wait_for_next();
                Live::begin(Pacer::new(fps, frames.clone(), prompts))
            });
            frame_loop.run(ring)
        },
    )
    .map_err(|error| ClipError::Objects {
        reason: format!("no decoder thread can be started: {error}; raise the limit of processes"),
        machine: true,
    })??;
    let warning = source.close(frames.end);
    if let Some(over) = over {
        frame_loop.objects.end_at(over, warning.as_deref());
    }
    Ok(Tracked {
        clock: frame_loop.clock,
        live: fps.zip(frame_loop.live.map(Live::into_processed)),
        warning,
    })
}

struct FrameLoop<'t, 'c, 'd, 'r> {
    session: &'c Session,
    tracker: &'t mut VideoTracker<'r>,
    /// In which frames are opened.
    region: &'r Region<'r>,
    input: Input<'c>,
    objects: Objects<'c, 'd>,
    clock: ClipClock,
    /// Where frames come at a rate.
    live: Option<Live>,
    /// The frame that is next.
    next: usize,
    progress: &'c mut dyn FnMut(),
}

impl FrameLoop<'_, '_, '_, '_> {
    /// Runs to the end; `Some` is where the video ended sooner than it should.
    fn run(&mut self, ring: &Ring<'_>) -> Result<Option<usize>, ClipError> {
        while let Some(dropped) = self.wait()? {
            for _ in 0..dropped {
                if let Some(Err(NoFrame::Over)) = ring.next(|frame| frame.pixels.map(|_| ())) {
                    return Ok(Some(self.next));
                }
                self.finish(ring, self.next)?;
            }
            match self.process(ring) {
                Ok(true) => {}
                Ok(false) => break,
                Err(ClipError::Over) => return Ok(Some(self.next)),
                Err(error) => return Err(error),
            }
            if self.session.stopping() {
                return Err(Error::interrupted().into());
            }
        }
        Ok(None)
    }

    /// Waits for the next frame of a live stream: how many are dropped before it; `None` after the
    /// last one.
    fn wait(&mut self) -> Result<Option<usize>, ClipError> {
        let Some(live) = &mut self.live else {
            return Ok(Some(0));
        };
        match live.next(|| self.session.stopping()) {
            Some((_, dropped)) => Ok(Some(dropped.len())),
            None if self.session.stopping() => Err(Error::interrupted().into()),
            None => Ok(None),
        }
    }

    /// Takes one frame through the tracker, clocked; `false` after the last one.
    fn process(&mut self, ring: &Ring<'_>) -> Result<bool, ClipError> {
        let started = Instant::now();
        let mut times = FrameTimes::of(self.next);
        let Some(step) = ring.next(|decoded| self.step(decoded, &mut times)) else {
            return Ok(false);
        };
        let index = step?;
        times.add(Stage::EndToEnd, started.elapsed());
        times.began(started);
        self.clock.push(times);
        if let Some(live) = &mut self.live {
            live.finished(index);
        }
        self.finish(ring, index)?;
        let rss = ProcessMemory::rss(&self.session.settings.root);
        self.clock.push_rss(rss.get());
        Ok(true)
    }

    fn step(
        &mut self,
        decoded: DecodedFrame<'_, NoFrame>,
        times: &mut FrameTimes,
    ) -> Result<usize, ClipError> {
        let pixels = decoded.pixels?;
        times.add(Stage::Decode, decoded.decode);
        let frame = self.region.enter(RegionKind::Frame).map_err(Error::from)?;
        self.input.encode(self.tracker, &frame, pixels)?;
        let mut post = Duration::ZERO;
        let objects = &mut self.objects;
        let spent = self
            .tracker
            .step(&frame, decoded.index, &mut |object, mask| {
                let started = Instant::now();
                objects.take(object, mask, decoded.index);
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
    }

    /// Does what no clock counts, with the decoders and the live clock at rest: scores and writes
    /// what frame `index` gave. For a frame that was dropped the mask before stands.
    fn finish(&mut self, ring: &Ring<'_>, index: usize) -> Result<(), ClipError> {
        let objects = &mut self.objects;
        match &mut self.live {
            Some(live) => live.stand_still(|| ring.paused(|| objects.finish(index))),
            None => ring.paused(|| objects.finish(index)),
        }?;
        self.next = index + 1;
        (self.progress)();
        Ok(())
    }
}

/// Frames into the image encoder: bytes where the device resizes them, else the tensor.
struct Input<'c> {
    manifest: &'c Manifest,
    video: &'c Video,
    resizer: Resizer,
    resized: Vec<u8>,
}

impl<'c> Input<'c> {
    fn new(manifest: &'c Manifest, video: &'c Video) -> Self {
        let resizer = Resizer::new(manifest.image_size);
        Self {
            resized: vec![0; resizer.output_len()],
            manifest,
            video,
            resizer,
        }
    }

    fn encode(
        &mut self,
        tracker: &mut VideoTracker<'_>,
        frame: &Region<'_>,
        pixels: &[u8],
    ) -> Result<(), ClipError> {
        let rgb = &pixels[..self.video.size().rgb_bytes()];
        if tracker.takes_rgb() {
            return Ok(tracker.encode_rgb(frame, rgb)?);
        }
        let mut failed = None;
        tracker.encode(frame, |image| failed = self.fill(rgb, image).err())?;
        match failed {
            Some(error) => Err(ClipError::data(error.to_string())),
            None => Ok(()),
        }
    }

    fn fill(&mut self, rgb: &[u8], tensor: &mut [f32]) -> Result<(), image::ImageError> {
        let (video, side) = (self.video, self.manifest.image_size);
        self.resizer
            .resize(rgb, video.width, video.height, &mut self.resized)?;
        let preprocess = &self.manifest.preprocess;
        image::to_chw_normalized(&self.resized, side, preprocess.mean, preprocess.std, tensor)
    }
}
