//! One finished (video, object, model): what the journal holds a line of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Classified, ErrorClass};
use crate::machine::{Reading, TelemetryMarks};

/// Names one row. No two rows of a journal share a key; rows are sorted by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Video id, a folder name of the split.
    pub video: String,
    /// Object id, a folder name of the video's annotations.
    pub object: String,
    /// Model tag, `<model>_<prompt>`, such as `edgetam_points`.
    pub model: String,
}

/// How an object ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// Tracked to the end.
    Ok,
    /// Not tracked to the end; the row then has no figures.
    Failed {
        /// One sentence: what went wrong.
        reason: String,
    },
}

/// One finished (video, object, model).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// Video, object, model tag.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// How it ended.
    #[serde(flatten)]
    pub status: Status,
    /// Times that the run had been resumed when the row was written; the journal fills it in.
    #[serde(default)]
    pub session: u32,
    /// Objects that advanced together with this one, itself included; 1 where objects ran alone.
    pub lockstep_objects: usize,
    /// Image side S the model worked on.
    pub image_size: usize,
    /// What the model computed in: `fp32`, `fp16` or `bf16`.
    pub precision: String,
    /// Backend, such as `cpu`.
    pub backend: String,
    /// Seed of a random initialisation; `None` for weights that were trained.
    pub random_init_seed: Option<u64>,
    /// Frames of the clip, all of them.
    pub video_frames: usize,
    /// Frame index of the prompt.
    pub prompt_frame: usize,
    /// Frames processed for this object, the prompt frame included and dropped ones left out.
    pub frames: usize,
    /// Video height and width in pixels.
    pub input_size: [usize; 2],
    /// Height and width that the model saw, in pixels.
    pub infer_size: [usize; 2],
    /// Path of the overlay relative to the run folder.
    pub overlay: Option<String>,
    /// Predicted masks that were written, `masks/<model>/<video>/<object>/*.png`; `None` in rows of
    /// versions that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<usize>,
    /// Whether the object failed for a reason of the machine, which may pass: a resumed run tries
    /// it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub machine_failed: bool,
    /// Scores; `None` when there is no ground truth to score against or the object failed.
    pub scores: Option<ObjectScores>,
    /// Raw durations; `None` when the object failed.
    pub timing: Option<Timing>,
    /// Memory before, after and at most; `None` when the object failed.
    pub memory: Option<MemoryMarks>,
    /// Power, clocks, temperatures; `None` when the object failed or telemetry was off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetryMarks>,
    /// How the object kept up with a clock; `None` where frames were not fed at a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realtime: Option<RealtimeMarks>,
    /// Why an object that is ok has no scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores_missing: Option<String>,
    /// What is to be known of an object that is ok, in one sentence, such as a video file that
    /// ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Reason of [`ObjectRow::scores_missing`] where there are no masks to score against.
pub const NO_GROUND_TRUTH: &str = "no ground truth";

/// How an object kept up with frames that came at a rate, as from a live camera with room for one.
///
/// A result is *late* (a deadline miss) when it is not there when the next frame is due. A frame is
/// *dropped* when a newer one was due before its turn came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RealtimeMarks {
    /// Frames per second.
    pub fps: f64,
    /// Frames that were due, from the prompt frame on.
    pub due_frames: usize,
    /// Frames among them that were dropped.
    pub dropped_frames: usize,
    /// Frames among them whose result was late.
    pub late_frames: usize,
    /// The frames that were processed, counted from the prompt frame; their durations stand in
    /// the same order.
    pub processed: Vec<usize>,
    /// Milliseconds from when a frame was due to its result, of the processed frames.
    pub latency_ms: Vec<f64>,
}

impl RealtimeMarks {
    /// Marks of an object for which `due_frames` frames were due at `fps`, of which those that
    /// are listed were processed: (frame counted from the prompt frame, milliseconds from when it
    /// was due to its result), ascending.
    pub fn new(
        fps: f64,
        due_frames: usize,
        processed: impl IntoIterator<Item = (usize, f64)>,
    ) -> Self {
        let (processed, latency_ms): (Vec<usize>, Vec<f64>) = processed.into_iter().unzip();
        let period_ms = 1000.0 / fps;
        let latency_ms: Vec<f64> = latency_ms.into_iter().map(to_microseconds).collect();
        Self {
            fps,
            due_frames,
            dropped_frames: due_frames.saturating_sub(processed.len()),
            late_frames: latency_ms.iter().filter(|ms| **ms > period_ms).count(),
            processed,
            latency_ms,
        }
    }
}

/// Scores of one object by both protocols, from one pass over its masks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectScores {
    /// The official SA-V protocol; `None` when no frame was scored.
    pub official: Option<Score>,
    /// The Python benchmark's formulas; `None` when no frame was scored.
    pub upstream: Option<Score>,
}

/// J and F of one object as fractions of 1, means over the scored frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Region similarity, 0 to 1.
    pub j: f64,
    /// Boundary accuracy, 0 to 1.
    pub f: f64,
    /// Frames scored.
    pub frames: usize,
}

impl Score {
    /// J&F, the mean of both, 0 to 1.
    pub fn jf(&self) -> f64 {
        f64::midpoint(self.j, self.f)
    }
}

/// A part of the work on a frame that has a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// File to pixels.
    Decode,
    /// Pixels to the model's input tensor.
    Preprocess,
    /// Image encoder.
    Encode,
    /// Prompt (or mask) decoder and first memory, on the prompt frame.
    Prompt,
    /// Memory attention, mask decoder and memory encoder, on every later frame.
    Track,
    /// Logits to the mask at the video's own size.
    Postprocess,
    /// Transfers between host and device.
    Copy,
    /// Wall clock from frame to frame, everything inside, waiting included.
    EndToEnd,
}

impl Stage {
    /// All stages in the order of the work.
    pub const ALL: [Self; 8] = [
        Self::Decode,
        Self::Preprocess,
        Self::Encode,
        Self::Prompt,
        Self::Track,
        Self::Postprocess,
        Self::Copy,
        Self::EndToEnd,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Preprocess => "preprocess",
            Self::Encode => "encode",
            Self::Prompt => "prompt",
            Self::Track => "track",
            Self::Postprocess => "postprocess",
            Self::Copy => "copy",
            Self::EndToEnd => "end_to_end",
        }
    }

    /// Whether it is the networks' own work (what frames per second "model only" counts).
    pub fn is_model(self) -> bool {
        matches!(self, Self::Encode | Self::Prompt | Self::Track)
    }

    /// Whether the Python benchmark's clock runs during it (what its column `fps` counts).
    pub fn is_upstream(self) -> bool {
        self.is_model() || matches!(self, Self::Postprocess | Self::Copy)
    }
}

/// Raw durations of one stage, one per frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSamples {
    /// Whether the work was done once for all objects that advanced together. Such samples stand
    /// in the rows of all of them and are counted once.
    pub shared: bool,
    /// The frame of the first duration, counted from the object's prompt frame: 0 for most
    /// stages, 1 for [`Stage::Track`].
    pub first: usize,
    /// Milliseconds, three decimals, consecutive frames.
    pub ms: Vec<f64>,
}

impl StageSamples {
    /// Takes durations in milliseconds of consecutive frames and rounds them to three decimals.
    pub fn new(shared: bool, first: usize, ms: impl IntoIterator<Item = f64>) -> Self {
        Self {
            shared,
            first,
            ms: ms.into_iter().map(to_microseconds).collect(),
        }
    }
}

/// Durations of one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Milliseconds to get the model and the object ready before its first frame.
    pub setup_ms: f64,
    /// The first frames from the prompt frame on that no statistic counts.
    pub warmup_frames: usize,
    /// The first frames from the prompt frame on in which the memory bank was still filling.
    /// They count, and are summarised apart as well.
    pub bank_fill_frames: usize,
    /// Raw durations of every stage that ran.
    pub stages: BTreeMap<Stage, StageSamples>,
}

/// Memory around one object. Different views of the same bytes: never add them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryMarks {
    /// The arena's books; `None` where a backend has no arena.
    pub arena: Option<ArenaMarks>,
    /// Resident set before the object, in bytes.
    pub rss_before_bytes: Reading<u64>,
    /// Resident set after the object, in bytes.
    pub rss_after_bytes: Reading<u64>,
    /// Largest resident set during the object, in bytes.
    pub rss_peak_bytes: Reading<u64>,
    /// Proportional set after the object, in bytes.
    pub pss_after_bytes: Reading<u64>,
    /// `MemAvailable` before the object, in bytes.
    pub available_before_bytes: Reading<u64>,
    /// `MemAvailable` after the object, in bytes.
    pub available_after_bytes: Reading<u64>,
    /// Resident set after each processed frame, from the prompt frame on, in bytes; empty where
    /// it was not sampled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rss_by_frame_bytes: Vec<u64>,
    /// PyTorch's allocator; `None` for what is not PyTorch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocator: Option<AllocatorMarks>,
    /// What the device's driver calls free; `None` where a backend has no device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceMarks>,
}

/// PyTorch's caching allocator over one object (`torch.cuda.memory_stats`) and the driver's view
/// of the device. Nothing of it is known on the CPU; the readings then say why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatorMarks {
    /// Most bytes in use by tensors (`allocated_bytes.all.peak`).
    pub allocated_peak_bytes: Reading<u64>,
    /// Most bytes taken from the driver (`reserved_bytes.all.peak`).
    pub reserved_peak_bytes: Reading<u64>,
    /// Most bytes in free pieces of blocks that are partly in use, which cannot be given back:
    /// fragmentation (`inactive_split_bytes.all.peak`).
    pub inactive_split_peak_bytes: Reading<u64>,
    /// Allocations that succeeded only after the cache had been emptied (`num_alloc_retries`).
    pub alloc_retries: Reading<u64>,
    /// Allocations that failed (`num_ooms`).
    pub ooms: Reading<u64>,
    /// Most bytes of the device in use by anyone, by the driver's word (`cudaMemGetInfo`).
    pub driver_used_peak_bytes: Reading<u64>,
}

/// Free memory of the device as its driver reports it (`cuMemGetInfo`). On an integrated device
/// this leaves out what the system would reclaim: judge by `MemAvailable` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMarks {
    /// All memory of the device in bytes.
    pub total_bytes: u64,
    /// Free when the backend had been opened and the slab not yet taken, in bytes.
    pub free_before_run_bytes: u64,
    /// Free before the object, in bytes.
    pub free_before_bytes: u64,
    /// Free after the object, in bytes.
    pub free_after_bytes: u64,
}

/// The arena's books for one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArenaMarks {
    /// Whether the slab is device memory (a GPU's).
    pub on_device: bool,
    /// Size of the slab in bytes.
    pub slab_bytes: u64,
    /// Highest use during the object, in bytes from the start of the slab.
    pub peak_bytes: u64,
    /// In use before the object began, in bytes.
    pub before_bytes: u64,
    /// In use after its scope was left, in bytes; equal to `before_bytes` when nothing stayed.
    pub after_bytes: u64,
    /// Highest use per region, outermost first.
    pub regions: Vec<RegionMark>,
    /// Allocations outside the arena after warm-up, where they can be counted.
    pub outside_allocations: Option<u64>,
}

/// Highest use of one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionMark {
    /// Name, such as `process` or `frame`.
    pub name: String,
    /// Highest use in bytes.
    pub peak_bytes: u64,
}

/// Why a row cannot be written down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A figure is not a finite number, or is out of its range.
    #[error("{key}: {what} is {value}, which is not a measurement; record the object as failed")]
    NoMeasurement {
        /// Video, object and model.
        key: String,
        /// Which figure.
        what: String,
        /// Its value.
        value: String,
    },
    /// A failed row carries figures, or one that is ok carries none.
    #[error("{key}: {what}")]
    Inconsistent {
        /// Video, object and model.
        key: String,
        /// What does not fit.
        what: String,
    },
}

impl Classified for RowError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Run
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "video {}, object {}, model {}",
            self.video, self.object, self.model
        )
    }
}

impl ObjectRow {
    /// A row of an object that failed: identity and reason, no figures.
    pub fn failed(mut self, reason: impl Into<String>) -> Self {
        self.status = Status::Failed {
            reason: reason.into(),
        };
        self.scores = None;
        self.timing = None;
        self.memory = None;
        self.telemetry = None;
        self.realtime = None;
        self.scores_missing = None;
        self.overlay = None;
        self.masks = None;
        self
    }

    /// Whether the object was tracked to the end.
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// First frame index after the last processed one.
    pub fn end_frame(&self) -> usize {
        let span = self.realtime.as_ref().map(|marks| marks.due_frames);
        self.prompt_frame
            .saturating_add(span.unwrap_or(self.frames))
    }

    /// Checks what the journal relies on: finite figures in range, figures where the object is ok
    /// and none where it failed, no more samples than frames.
    ///
    /// # Errors
    /// [`RowError`] names the first figure that does not fit.
    pub fn check(&self) -> Result<(), RowError> {
        let key = || self.key.to_string();
        let inconsistent = |what: String| RowError::Inconsistent { key: key(), what };
        let figures = self.scores.is_some() || self.timing.is_some() || self.memory.is_some();
        if !self.is_ok() && figures {
            return Err(inconsistent(
                "a failed object has no figures, but this row has".to_owned(),
            ));
        }
        if self.is_ok() && (self.timing.is_none() || self.memory.is_none()) {
            return Err(inconsistent(
                "an object that is ok has durations and memory marks, but this row lacks them"
                    .to_owned(),
            ));
        }
        let number = |what: &str, value: f64, most: f64| {
            if value.is_finite() && (0.0..=most).contains(&value) {
                return Ok(());
            }
            Err(RowError::NoMeasurement {
                key: key(),
                what: what.to_owned(),
                value: value.to_string(),
            })
        };
        if let Some(scores) = &self.scores {
            for (name, score) in [("official", scores.official), ("upstream", scores.upstream)] {
                let Some(score) = score else { continue };
                // A mean of ones may come out a rounding error above 1.
                number(&format!("{name} J"), score.j, 1.0 + 1e-9)?;
                number(&format!("{name} F"), score.f, 1.0 + 1e-9)?;
            }
        }
        if let Some(marks) = &self.realtime {
            number("rate", marks.fps, f64::MAX)?;
            for ms in &marks.latency_ms {
                number("latency", *ms, f64::MAX)?;
            }
            let processed = marks.processed.len();
            let last = marks.processed.last().copied();
            if processed != self.frames
                || processed != marks.latency_ms.len()
                || processed + marks.dropped_frames != marks.due_frames
                || last.is_some_and(|last| last >= marks.due_frames)
            {
                return Err(inconsistent(format!(
                    "{} frames were processed and {} dropped, but {} were due",
                    processed, marks.dropped_frames, marks.due_frames
                )));
            }
        }
        if let Some(telemetry) = &self.telemetry {
            let shares = [&telemetry.energy_share_j, &telemetry.frames_energy_j];
            for joules in shares.into_iter().filter_map(|energy| energy.get()) {
                number("energy", joules, f64::MAX)?;
            }
        }
        let Some(timing) = &self.timing else {
            return Ok(());
        };
        number("setup_ms", timing.setup_ms, f64::MAX)?;
        for (stage, samples) in &timing.stages {
            let name = stage.name();
            for (at, ms) in samples.ms.iter().enumerate() {
                number(&format!("{name} duration {at}"), *ms, f64::MAX)?;
            }
            let needed = samples.first.saturating_add(samples.ms.len());
            if needed > self.frames {
                return Err(inconsistent(format!(
                    "{name} has durations up to frame {needed}, but {} frames were processed",
                    self.frames
                )));
            }
        }
        Ok(())
    }
}

fn to_microseconds(ms: f64) -> f64 {
    let rounded = (ms * 1000.0).round() / 1000.0;
    if rounded.is_finite() { rounded } else { ms }
}
