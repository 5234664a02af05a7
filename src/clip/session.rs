//! What lives as long as a run of one model: backend, slab, layout, settings.

use super::stage::with_tracker;
use crate::dataset::Video;
use crate::error::{Context, Error, Result};
use crate::machine::{MemorySampler, SystemRoot, Telemetry};
use crate::record::DeviceMarks;
use crate::spec::{JpegBy, Pinned, Rate};
use crate::track::layout::Demand;
use crate::track::{ModelPrompt, ObjectTask, TrackError, TrackerLayout};
use masklet_engines::backend::Backend;
use masklet_engines::bundle::Bundle;
use masklet_engines::cuda::JpegDecoder;
use masklet_engines::device::{DeviceMemory, FrameLimits, FrameSize};
use masklet_engines::memory::{Arena, Plan, RegionKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a clip needs of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run's options.
    pub run: Pinned,
    /// Scores masks where there is ground truth.
    pub scores: bool,
    /// Folder below which masks go: `<masks>/<tag>/<video>/<object>/<frame>.png`.
    pub masks_dir: PathBuf,
    /// Folder for the masks that the run does not keep, below it as below `masks_dir`; `None` where
    /// nobody reads them again.
    pub other_masks_dir: Option<PathBuf>,
    /// Where memory figures are read.
    pub root: SystemRoot,
    /// Watches power, clocks and temperatures; `None` where telemetry is off.
    pub telemetry: Option<Arc<Telemetry>>,
}

impl Settings {
    /// The rate at which the frames of `video` are fed; `None` for as fast as they are taken.
    ///
    /// # Errors
    /// A reason in words: its own rate is wanted and not known.
    pub fn fps_of(&self, video: &Video) -> Result<Option<f64>, String> {
        match self.run.realtime {
            None => Ok(None),
            Some(Rate::Fps(fps)) => Ok(Some(fps)),
            Some(Rate::Own) => match video.fps() {
                Some(fps) => Ok(Some(fps)),
                None => Err(format!(
                    "video {} does not say its frame rate; give one, such as --realtime 30",
                    video.id
                )),
            },
        }
    }
}

/// A loaded model with its memory, ready for videos.
pub struct Session {
    /// The bundle.
    pub bundle: Bundle,
    /// What runs it.
    pub backend: Backend,
    /// nvJPEG, where it decodes. Before the memory it writes to.
    pub(super) jpeg: Option<JpegDecoder>,
    /// Where its tensors lie.
    pub layout: TrackerLayout,
    /// The plan the slab was sized by.
    pub plan: Plan,
    /// The run's choices.
    pub settings: Settings,
    /// Watches the process's memory.
    pub sampler: MemorySampler,
    /// Set when the run should stop after the current frame.
    pub stop: Arc<AtomicBool>,
    memory: Option<SessionMemory>,
    /// Driver allocations when warm-up had ended.
    settled_allocations: Option<u64>,
    /// Free memory of the device before the slab was taken.
    device_at_open: Option<DeviceMemory>,
}

/// The memory of a session, lent to one clip at a time.
pub(super) struct SessionMemory {
    /// On the slab.
    pub arena: Arena,
    /// On the host memory beside a device's slab.
    pub staging: Option<Arena>,
}

impl Session {
    /// Takes the slab and warms up.
    ///
    /// # Errors
    /// When the slab cannot be had or a component fails.
    pub fn open(
        bundle: Bundle,
        backend: Backend,
        demand: Demand,
        settings: Settings,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let device_at_open = backend.device().memory();
        let layout = TrackerLayout::new(bundle.manifest(), demand);
        let plan = layout.plan(backend.requirements(demand.frames, demand.objects));
        let mut arena = Arena::new(backend.device().slab(plan.bytes())?);
        let staging = backend.device().staging_slab(plan.staging_bytes())?;
        let mut staging = staging.map(Arena::new);
        backend.load(&mut arena, staging.as_mut())?;
        let jpeg = match settings.run.jpeg_decoder {
            JpegBy::Cpu => None,
            JpegBy::Nvjpeg => backend.device().jpeg_decoder(settings.run.decode_threads)?,
        };
        let sampler = MemorySampler::start(settings.root.clone(), settings.telemetry.clone())
            .context(|| "the memory sampler's thread cannot be started")?;
        Ok(Self {
            bundle,
            backend,
            jpeg,
            layout,
            plan,
            settings,
            sampler,
            stop,
            memory: Some(SessionMemory { arena, staging }),
            settled_allocations: None,
            device_at_open,
        })
    }

    /// The version of nvJPEG, where it decodes.
    pub fn jpeg_version(&self) -> Option<String> {
        self.jpeg
            .as_ref()
            .map(|decoder| decoder.library().version())
    }

    /// Whether the run was asked to stop.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Driver allocations since warm-up ended: zero, or the proof that something took memory
    /// besides the slab. `None` where there is no driver.
    pub fn allocations_since_warm_up(&self) -> Option<u64> {
        let now = self.backend.device().driver_allocations()?;
        Some(now.saturating_sub(self.settled_allocations?))
    }

    /// The device's free memory around an object: `before` and now.
    pub(super) fn device_marks(&self, before: Option<DeviceMemory>) -> Option<DeviceMarks> {
        let (before, now) = (before?, self.backend.device().memory()?);
        Some(DeviceMarks {
            total_bytes: now.total_bytes,
            free_before_run_bytes: self.device_at_open?.free_bytes,
            free_before_bytes: before.free_bytes,
            free_after_bytes: now.free_bytes,
        })
    }

    /// Lends the memory out; [`Self::give_back`] returns it. `None` while it is lent.
    pub(super) fn take_memory(&mut self) -> Option<SessionMemory> {
        self.memory.take()
    }

    pub(super) fn give_back(&mut self, memory: SessionMemory) {
        self.memory = Some(memory);
    }

    /// Runs every component that `prompts` need `warmup` times on a grey frame of `size`, with as
    /// many objects as the plan holds; returns the time.
    ///
    /// # Errors
    /// When a component fails.
    pub fn warm_up(&mut self, prompts: &[ModelPrompt], size: FrameSize) -> Result<Duration> {
        let started = Instant::now();
        let rounds = self.settings.run.warmup;
        let Some(mut memory) = self.take_memory() else {
            return Ok(Duration::ZERO);
        };
        let result = warm_up(self, &mut memory, prompts, size, rounds);
        self.give_back(memory);
        self.settled_allocations = self.backend.device().driver_allocations();
        result.map(|()| started.elapsed())
    }
}

fn warm_up(
    session: &Session,
    memory: &mut SessionMemory,
    prompts: &[ModelPrompt],
    size: FrameSize,
    rounds: usize,
) -> Result<()> {
    if rounds == 0 {
        return Ok(());
    }
    // Where addresses matter every batch is warmed up, elsewhere one object is enough.
    let objects = match session.backend.wants_fixed_addresses() {
        true => session.layout.demand().objects.max(1),
        false => 1,
    };
    let mut cold = session.jpeg.as_ref();
    for prompt in prompts {
        let task = ObjectTask {
            frame: 0,
            end: rounds + 1,
            prompt: prompt.clone(),
        };
        let tasks = vec![task; objects];
        with_tracker(
            session,
            memory,
            size,
            tasks,
            rounds + 1,
            |mut slots, tracker, objects| -> Result<()> {
                let bytes = size.rgb_bytes();
                if let Some(slot) = slots.first_mut() {
                    let view = slot.view_mut();
                    let slot = view.into_slice::<u8>().map_err(TrackError::from)?;
                    if let Some(decoder) = cold.take() {
                        warm_up_jpeg(decoder, session.layout.demand().frames, slot)?;
                    }
                    slot.fill(128);
                }
                for index in 0..=rounds {
                    if session.stopping() {
                        return Err(Error::interrupted());
                    }
                    let frame = objects.enter(RegionKind::Frame)?;
                    match slots.first().filter(|_| tracker.takes_rgb()) {
                        Some(slot) => {
                            let rgb = slot.view().as_slice::<u8>().map_err(TrackError::from)?;
                            tracker.encode_rgb(&frame, rgb.get(..bytes).unwrap_or(rgb))?;
                        }
                        None => tracker.encode(&frame, |image| image.fill(0.0))?,
                    }
                    tracker.step(&frame, index, &mut |_, _| {})?;
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Decodes noise of the largest frame's size, which as a file is larger than any frame: what nvJPEG takes
/// of memory it has then.
fn warm_up_jpeg(decoder: &JpegDecoder, limits: FrameLimits, slot: &mut [u8]) -> Result<()> {
    let width = limits.width;
    let height = (limits.rgb_bytes / 3).checked_div(width).unwrap_or(0);
    let (Ok(columns), Ok(rows)) = (u16::try_from(width), u16::try_from(height)) else {
        return Ok(());
    };
    let bytes = 3 * width * height;
    let Some(target) = slot.get_mut(..bytes) else {
        return Ok(());
    };
    let mut seed = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(bytes)
    .collect();
    let mut file = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut file, 100);
    let encoded = encoder.encode(&noise, columns, rows, jpeg_encoder::ColorType::Rgb);
    if encoded.is_err() {
        return Ok(());
    }
    let warmed = decoder.warm_up(&file, (height, width), target);
    warmed.map_err(|error| Error::from(masklet_engines::Error::from(error)))
}
