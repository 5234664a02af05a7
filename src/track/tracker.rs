//! The tracker: runs the components of a bundle over the frames of one video.
//!
//! All objects of a video advance together. The image encoder runs once per frame; the objects
//! share its features. Objects are cut into batches of the bundle's B; each batch has its own
//! memory bank in the object-batch region.

use super::bank::{Attention, MemoryBank, WriteSlots};
use super::layout::TrackerLayout;
use super::prompt::ModelPrompt;
use masklet_engines::backend::Backend;
use masklet_engines::bundle::{Component, LABEL_PADDING, LABEL_UNUSED, Manifest, StoredAs};
use masklet_engines::device::{Device, DeviceFrames, FrameSize, MaskBits, Normalization, Stamp};
use masklet_engines::memory::{AccessError, ArenaError, Region, Tensor, TensorMut};
use std::time::{Duration, Instant};

/// One object to track: where it is prompted and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectTask {
    /// Frame of the prompt.
    pub frame: usize,
    /// The object is tracked up to but not including this frame.
    pub end: usize,
    /// The prompt.
    pub prompt: ModelPrompt,
}

/// Time of the stages of one frame: of the host's clock, or of the device's events where work is
/// queued on one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// Resize and normalisation.
    pub fill: Duration,
    /// Image encoder.
    pub encode: Duration,
    /// Prompt decoder and memory encoder, or mask prompt.
    pub prompt: Duration,
    /// Memory attention, mask decoder, memory encoder.
    pub track: Duration,
    /// Upsampling and threshold, where the device does it.
    pub masks: Duration,
}

/// Which of [`StepTimes`] a pair of stamps belongs to.
#[derive(Clone, Copy, Debug)]
enum Clocked {
    Fill,
    Encode,
    Prompt,
    Track,
    Masks,
}

/// An object's mask in one frame, as far as the backend brought it.
#[derive(Clone, Copy, Debug)]
pub enum ObjectMask<'a> {
    /// Logits of S/4 x S/4, to be upsampled and thresholded.
    Logits {
        /// Row by row.
        values: &'a [f32],
        /// Object score; the object is there when it is above 0.
        score: f32,
    },
    /// The thresholded mask at the video's size.
    Bits(MaskBits<'a>),
}

/// The device's part in a video: frames go up as bytes, masks come down as bits.
pub struct DeviceVideo<'r> {
    /// What does it.
    pub frames: &'r dyn DeviceFrames,
    /// The video's size.
    pub size: FrameSize,
    /// One tensor for every row of `EndRows::video`.
    pub video: Vec<Tensor<'r>>,
    /// One tensor for every row of `EndRows::staging`.
    pub staging: Vec<Tensor<'r>>,
    /// Whether masks come down as bits; logits do otherwise (for filling holes).
    pub masks: bool,
}

/// Why tracking failed.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] masklet_engines::Error),
    /// The arena refused.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// A handle was used wrongly.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// More points than the bundle has slots.
    #[error(
        "a prompt of {points} points does not fit: the bundle takes {limit} (prompt_slots less the \
         padding point); use fewer points or export with more slots"
    )]
    TooManyPoints {
        /// Points given.
        points: usize,
        /// Points that fit.
        limit: usize,
    },
    /// Frames were given as bytes to a backend that takes the image tensor.
    #[error("the backend does not resize frames itself; give it the image tensor")]
    NoDeviceFrames,
    /// A mask prompt of the wrong size.
    #[error("a mask prompt has {given} pixels, the model takes {expected}")]
    PromptSize {
        /// Pixels given.
        given: usize,
        /// Pixels expected.
        expected: usize,
    },
}

/// The memory bank of one batch.
struct Batch<'r> {
    mem: Tensor<'r>,
    ptr: Tensor<'r>,
    /// `mem_tpos`, `mem_valid`, `ptr_tpos`, `ptr_valid`.
    controls: [Tensor<'r>; 4],
    /// One per object; fewer than B in the last batch.
    banks: Vec<MemoryBank>,
    /// Index of the batch's first object.
    first: usize,
}

/// Host-side staging of small inputs; allocated once per video.
struct Staging {
    mem_tpos: Vec<i32>,
    mem_valid: Vec<f32>,
    ptr_tpos: Vec<f32>,
    ptr_valid: Vec<f32>,
    points: Vec<f32>,
    labels: Vec<i32>,
    multimask: Vec<f32>,
    from_prompt: Vec<f32>,
    mask_input: Vec<f32>,
    image: Vec<f32>,
    logits: Vec<f32>,
    scores: Vec<f32>,
}

/// The five outputs that every decoding component writes.
struct Outputs<'f> {
    mask: Tensor<'f>,
    iou: Tensor<'f>,
    obj_ptr: Tensor<'f>,
    obj_score: Tensor<'f>,
    mem_out: Tensor<'f>,
}

impl Outputs<'_> {
    /// All five, in the contract's order.
    fn all(&mut self) -> [TensorMut<'_>; 5] {
        [
            self.mask.view_mut(),
            self.iou.view_mut(),
            self.obj_ptr.view_mut(),
            self.obj_score.view_mut(),
            self.mem_out.view_mut(),
        ]
    }
}

/// The inputs of the prompting components.
struct PromptInputs<'f> {
    points: Tensor<'f>,
    labels: Tensor<'f>,
    multimask: Tensor<'f>,
    from_prompt: Tensor<'f>,
    mask_input: Tensor<'f>,
}

/// Tracks the objects of one video.
pub struct VideoTracker<'r> {
    backend: &'r Backend,
    /// The backend's device.
    memory: &'r dyn Device,
    manifest: &'r Manifest,
    layout: &'r TrackerLayout,
    features: [Tensor<'r>; 4],
    batches: Vec<Batch<'r>>,
    tasks: Vec<ObjectTask>,
    num_frames: usize,
    staging: Staging,
    device: Option<DeviceVideo<'r>>,
    /// Stamps of this frame, resolved when it is through.
    clocked: Vec<(Clocked, Stamp, Stamp)>,
    /// Objects whose bits are on their way down, with their slots.
    coming: Vec<(usize, usize)>,
    filled: Duration,
    /// Whether memories and pointers are kept; off only to show what they are good for.
    remembers: bool,
    /// Place of the last frame in the order of those that were tracked.
    last_order: Option<usize>,
}

impl<'r> VideoTracker<'r> {
    /// A tracker for `tasks` in a video of `num_frames` frames. Features come from `video`, memory
    /// banks from `objects`.
    ///
    /// # Errors
    /// When a prompt does not fit the bundle or the arena is too small.
    pub fn new(
        backend: &'r Backend,
        manifest: &'r Manifest,
        layout: &'r TrackerLayout,
        features: [Tensor<'r>; 4],
        objects: &'r Region<'r>,
        tasks: Vec<ObjectTask>,
        num_frames: usize,
    ) -> Result<Self, TrackError> {
        let dims = manifest.dims;
        let memory = backend.device();
        for task in &tasks {
            check_prompt(manifest, &task.prompt)?;
        }
        let per_batch = manifest.objects_per_batch;
        // Captured graphs replay at the addresses they were captured with: there, every video lays
        // out as many batches as the largest, whether it uses them or not.
        let batches_kept = if backend.wants_fixed_addresses() {
            layout.batches(layout.demand().objects.max(tasks.len()))
        } else {
            tasks.len().div_ceil(per_batch)
        };
        let mut batches = Vec::new();
        for first in (0..tasks.len()).step_by(per_batch) {
            let count = per_batch.min(tasks.len() - first);
            let mut batch = Batch {
                mem: objects.alloc(&layout.mem)?,
                ptr: objects.alloc(&layout.ptr)?,
                controls: [
                    objects.alloc(&layout.controls[0])?,
                    objects.alloc(&layout.controls[1])?,
                    objects.alloc(&layout.controls[2])?,
                    objects.alloc(&layout.controls[3])?,
                ],
                banks: vec![MemoryBank::new(dims.memory_slots, dims.pointer_slots); count],
                first,
            };
            // Slots that are not valid must still be finite.
            memory.zero(batch.mem.view_mut())?;
            memory.zero(batch.ptr.view_mut())?;
            batches.push(batch);
        }
        for _ in batches.len()..batches_kept {
            for row in [&layout.mem, &layout.ptr]
                .into_iter()
                .chain(&layout.controls)
            {
                objects.alloc(row)?;
            }
        }
        let b = per_batch;
        let side = manifest.mask_side();
        let pixels = manifest.image_size * manifest.image_size;
        let staging = Staging {
            mem_tpos: vec![0; b * dims.memory_slots],
            mem_valid: vec![0.0; b * dims.memory_slots],
            ptr_tpos: vec![0.0; b * dims.pointer_slots],
            ptr_valid: vec![0.0; b * dims.pointer_slots],
            points: vec![0.0; b * dims.prompt_slots * 2],
            labels: vec![LABEL_UNUSED; b * dims.prompt_slots],
            multimask: vec![0.0; b],
            from_prompt: vec![1.0; b],
            mask_input: Vec::with_capacity(b * pixels),
            image: Vec::new(),
            logits: vec![0.0; b * side * side],
            scores: vec![0.0; b],
        };
        Ok(Self {
            backend,
            memory,
            manifest,
            layout,
            features,
            batches,
            tasks,
            num_frames,
            staging,
            device: None,
            clocked: Vec::with_capacity(4 * batches_kept + 4),
            coming: Vec::with_capacity(batches_kept * per_batch),
            filled: Duration::ZERO,
            remembers: true,
            last_order: None,
        })
    }

    /// Leaves the memory bank empty for good: an ablation. Frames after the prompt's then know
    /// nothing of the object; everything else is computed as ever.
    #[must_use]
    pub fn without_memory(mut self) -> Self {
        self.remembers = false;
        self
    }

    /// Has the device do its part in this video. `staged`: staging memory of a frame, whatever is in it.
    ///
    /// # Errors
    /// When the video does not fit what was planned, or the device fails.
    pub fn on_device(
        mut self,
        mut device: DeviceVideo<'r>,
        staged: &[u8],
    ) -> Result<Self, TrackError> {
        device.frames.open(device.size, staged, &mut device.video)?;
        self.device = Some(device);
        Ok(self)
    }

    /// Runs the image encoder on one frame. `fill` writes the `image` tensor's values
    /// (3 * S * S, channel by channel) and is timed by the host's clock.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn encode(
        &mut self,
        frame: &Region<'_>,
        fill: impl FnOnce(&mut [f32]),
    ) -> Result<(), TrackError> {
        let started = Instant::now();
        let mut image = frame.alloc(&self.layout.image)?;
        let in_place = match image.view_mut().into_slice::<f32>() {
            Ok(values) => {
                fill(values);
                true
            }
            Err(AccessError::NotHost) => {
                self.staging.image.resize(image.shape().elements(), 0.0);
                fill(&mut self.staging.image);
                false
            }
            Err(error) => return Err(error.into()),
        };
        self.filled += started.elapsed();
        if !in_place {
            self.memory.upload(&self.staging.image, image.view_mut())?;
        }
        self.run_encoder(&image)
    }

    /// Whether frames are given as bytes, by [`Self::encode_rgb`].
    pub fn takes_rgb(&self) -> bool {
        self.device.is_some()
    }

    /// As [`Self::encode`], for a frame of RGB bytes in staging memory that the device resizes and
    /// normalises. The bytes must stay until [`Self::step`] returns.
    ///
    /// # Errors
    /// When the backend fails, or has no such part ([`Self::takes_rgb`]).
    pub fn encode_rgb(&mut self, frame: &Region<'_>, rgb: &[u8]) -> Result<(), TrackError> {
        let mut image = frame.alloc(&self.layout.image)?;
        let Some(device) = &mut self.device else {
            return Err(TrackError::NoDeviceFrames);
        };
        let from = self.memory.stamp()?;
        device.frames.load(
            device.size,
            rgb,
            Normalization {
                mean: self.manifest.preprocess.mean,
                std: self.manifest.preprocess.std,
            },
            &mut device.video,
            image.view_mut(),
        )?;
        self.clock(Clocked::Fill, from)?;
        self.run_encoder(&image)
    }

    fn run_encoder(&mut self, image: &Tensor<'_>) -> Result<(), TrackError> {
        let from = self.memory.stamp()?;
        let [feat, feat_s0, feat_s1, attended] = &mut self.features;
        self.backend.run(
            Component::ImageEncoder,
            &[image.view()],
            &mut [
                feat_s0.view_mut(),
                feat_s1.view_mut(),
                feat.view_mut(),
                attended.view_mut(),
            ],
        )?;
        self.clock(Clocked::Encode, from)
    }

    /// Ends a span that began at `from`.
    fn clock(&mut self, what: Clocked, from: Stamp) -> Result<(), TrackError> {
        let to = self.memory.stamp()?;
        self.clocked.push((what, from, to));
        Ok(())
    }

    /// The times of the frame, once it is through.
    fn take_times(&mut self) -> Result<StepTimes, TrackError> {
        let mut times = StepTimes {
            fill: std::mem::take(&mut self.filled),
            ..StepTimes::default()
        };
        for (what, from, to) in self.clocked.drain(..) {
            let slot = match what {
                Clocked::Fill => &mut times.fill,
                Clocked::Encode => &mut times.encode,
                Clocked::Prompt => &mut times.prompt,
                Clocked::Track => &mut times.track,
                Clocked::Masks => &mut times.masks,
            };
            *slot += self.memory.elapsed(from, to)?;
        }
        Ok(times)
    }

    /// Advances every object by one frame, after [`Self::encode`] of the same frame. Objects that
    /// are prompted at `index` or were before give their mask to `sink`, with the object's index.
    ///
    /// Indices grow; where a live stream dropped frames between, memories age by the frames that
    /// were tracked, so that gaps do not empty the bank.
    /// Returns the times of the whole frame, encoding included.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn step(
        &mut self,
        frame: &Region<'_>,
        index: usize,
        sink: &mut dyn FnMut(usize, ObjectMask<'_>),
    ) -> Result<StepTimes, TrackError> {
        let order = self.last_order.map_or(index, |last| last + 1);
        self.last_order = Some(order);
        let mut outputs = Outputs {
            mask: frame.alloc(&self.layout.outputs[0])?,
            iou: frame.alloc(&self.layout.outputs[1])?,
            obj_ptr: frame.alloc(&self.layout.outputs[2])?,
            obj_score: frame.alloc(&self.layout.outputs[3])?,
            mem_out: frame.alloc(&self.layout.outputs[4])?,
        };
        let mut inputs = PromptInputs {
            points: frame.alloc(&self.layout.prompt[0])?,
            labels: frame.alloc(&self.layout.prompt[1])?,
            multimask: frame.alloc(&self.layout.prompt[2])?,
            from_prompt: frame.alloc(&self.layout.prompt[3])?,
            mask_input: frame.alloc(&self.layout.prompt[4])?,
        };
        for position in 0..self.batches.len() {
            let going = self.going(position, index);
            if going.iter().any(|&g| g) {
                let from = self.memory.stamp()?;
                self.track(position, order, &mut outputs)?;
                let slots: Vec<_> = self.batches[position]
                    .banks
                    .iter_mut()
                    .zip(&going)
                    .map(|(bank, &goes)| goes.then(|| bank.advance(order)))
                    .collect();
                self.commit(position, &slots, &outputs)?;
                self.clock(Clocked::Track, from)?;
                self.emit(position, &slots, &outputs, sink)?;
            }
            for masks in [false, true] {
                let starting = self.starting(position, index, masks);
                if starting.iter().any(|&s| s) {
                    let from = self.memory.stamp()?;
                    if masks {
                        self.prompt_masks(&mut inputs, position, &starting, &mut outputs)?;
                    } else {
                        self.prompt_points(&mut inputs, position, &starting, &mut outputs)?;
                    }
                    let slots: Vec<_> = self.batches[position]
                        .banks
                        .iter_mut()
                        .zip(&starting)
                        .map(|(bank, &starts)| starts.then(|| bank.condition(order)))
                        .collect();
                    self.commit(position, &slots, &outputs)?;
                    self.clock(Clocked::Prompt, from)?;
                    self.emit(position, &slots, &outputs, sink)?;
                }
            }
        }
        self.hand_over(sink)?;
        self.take_times()
    }

    /// Which objects of a batch are tracked at this frame: prompted before, and not at their end.
    fn going(&self, position: usize, index: usize) -> Vec<bool> {
        let batch = &self.batches[position];
        batch
            .banks
            .iter()
            .zip(&self.tasks[batch.first..])
            .map(|(bank, task)| bank.is_conditioned() && index < task.end)
            .collect()
    }

    /// Which objects of a batch are prompted at this frame, by masks or by points.
    fn starting(&self, position: usize, index: usize, masks: bool) -> Vec<bool> {
        let batch = &self.batches[position];
        self.tasks[batch.first..batch.first + batch.banks.len()]
            .iter()
            .map(|task| task.frame == index && matches!(task.prompt, ModelPrompt::Mask(_)) == masks)
            .collect()
    }

    fn track(
        &mut self,
        position: usize,
        order: usize,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TrackError> {
        let dims = self.manifest.dims;
        let (m, p) = (dims.memory_slots, dims.pointer_slots);
        let staging = &mut self.staging;
        let batch = &mut self.batches[position];
        for row in 0..self.manifest.objects_per_batch {
            let empty = MemoryBank::new(m, p);
            let bank = batch.banks.get(row).unwrap_or(&empty);
            bank.attend(
                order,
                self.num_frames,
                Attention {
                    mem_tpos: &mut staging.mem_tpos[row * m..(row + 1) * m],
                    mem_valid: &mut staging.mem_valid[row * m..(row + 1) * m],
                    ptr_tpos: &mut staging.ptr_tpos[row * p..(row + 1) * p],
                    ptr_valid: &mut staging.ptr_valid[row * p..(row + 1) * p],
                },
            );
        }
        let [mem_tpos, mem_valid, ptr_tpos, ptr_valid] = &mut batch.controls;
        self.memory.upload(&staging.mem_tpos, mem_tpos.view_mut())?;
        self.memory
            .upload(&staging.mem_valid, mem_valid.view_mut())?;
        self.memory.upload(&staging.ptr_tpos, ptr_tpos.view_mut())?;
        self.memory
            .upload(&staging.ptr_valid, ptr_valid.view_mut())?;
        let [feat, feat_s0, feat_s1, attended] = &self.features;
        self.backend.run(
            Component::TrackStep,
            &[
                feat.view(),
                feat_s0.view(),
                feat_s1.view(),
                attended.view(),
                batch.mem.view(),
                mem_tpos.view(),
                mem_valid.view(),
                batch.ptr.view(),
                ptr_tpos.view(),
                ptr_valid.view(),
            ],
            &mut outputs.all(),
        )?;
        Ok(())
    }

    fn prompt_points(
        &mut self,
        inputs: &mut PromptInputs<'_>,
        position: usize,
        starting: &[bool],
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TrackError> {
        let slots = self.manifest.dims.prompt_slots;
        let first = self.batches[position].first;
        let staging = &mut self.staging;
        staging.points.fill(0.0);
        staging.labels.fill(LABEL_UNUSED);
        staging.multimask.fill(0.0);
        for row in 0..self.manifest.objects_per_batch {
            let labels = &mut staging.labels[row * slots..(row + 1) * slots];
            let points = &mut staging.points[row * slots * 2..(row + 1) * slots * 2];
            let mut used = 0;
            if starting.get(row) == Some(&true)
                && let ModelPrompt::Points {
                    points: given,
                    labels: kinds,
                } = &self.tasks[first + row].prompt
            {
                used = given.len().min(kinds.len());
                for (slot, (point, kind)) in given.iter().zip(kinds).enumerate() {
                    points[2 * slot..2 * slot + 2].copy_from_slice(point);
                    labels[slot] = *kind;
                }
                // One point or none: the reference lets the decoder propose three masks.
                staging.multimask[row] = if used <= 1 { 1.0 } else { 0.0 };
            }
            labels[used] = LABEL_PADDING;
        }
        let PromptInputs {
            points,
            labels,
            multimask,
            from_prompt,
            ..
        } = inputs;
        self.memory.upload(&staging.points, points.view_mut())?;
        self.memory.upload(&staging.labels, labels.view_mut())?;
        self.memory
            .upload(&staging.multimask, multimask.view_mut())?;
        self.memory
            .upload(&staging.from_prompt, from_prompt.view_mut())?;
        let [feat, feat_s0, feat_s1, _] = &self.features;
        self.backend.run(
            Component::PromptDecoder,
            &[
                feat.view(),
                feat_s0.view(),
                feat_s1.view(),
                points.view(),
                labels.view(),
                multimask.view(),
            ],
            &mut [
                outputs.mask.view_mut(),
                outputs.iou.view_mut(),
                outputs.obj_ptr.view_mut(),
                outputs.obj_score.view_mut(),
            ],
        )?;
        self.backend.run(
            Component::MemoryEncoder,
            &[
                feat.view(),
                outputs.mask.view(),
                outputs.obj_score.view(),
                from_prompt.view(),
            ],
            &mut [outputs.mem_out.view_mut()],
        )?;
        Ok(())
    }

    fn prompt_masks(
        &mut self,
        inputs: &mut PromptInputs<'_>,
        position: usize,
        starting: &[bool],
        outputs: &mut Outputs<'_>,
    ) -> Result<(), TrackError> {
        let pixels = self.manifest.image_size * self.manifest.image_size;
        let first = self.batches[position].first;
        let staging = &mut self.staging.mask_input;
        staging.clear();
        for row in 0..self.manifest.objects_per_batch {
            match self.tasks.get(first + row).map(|task| &task.prompt) {
                Some(ModelPrompt::Mask(mask)) if starting.get(row) == Some(&true) => {
                    staging.extend_from_slice(mask);
                }
                _ => staging.resize((row + 1) * pixels, 0.0),
            }
        }
        let mask_input = &mut inputs.mask_input;
        self.memory.upload(staging, mask_input.view_mut())?;
        let [feat, ..] = &self.features;
        self.backend.run(
            Component::MaskPrompt,
            &[feat.view(), mask_input.view()],
            &mut outputs.all(),
        )?;
        Ok(())
    }

    /// Stores the new memories and pointers of the objects that have slots to write.
    fn commit(
        &mut self,
        position: usize,
        slots: &[Option<WriteSlots>],
        outputs: &Outputs<'_>,
    ) -> Result<(), TrackError> {
        if !self.remembers {
            return Ok(());
        }
        let batch = &mut self.batches[position];
        for (row, slots) in slots.iter().enumerate() {
            let Some(slots) = slots else { continue };
            let memory = outputs.mem_out.view().at(row)?;
            let kept = batch.mem.view_mut().at(row)?.at(slots.memory)?;
            match self.manifest.memory.stored_as {
                StoredAs::Fp32 => self.memory.copy(memory, kept)?,
                StoredAs::Bf16 => self.memory.copy_through_bf16(memory, kept)?,
            }
            self.memory.copy(
                outputs.obj_ptr.view().at(row)?,
                batch.ptr.view_mut().at(row)?.at(slots.pointer)?,
            )?;
        }
        Ok(())
    }

    /// Hands the masks of the objects that were just computed to the sink, or queues their way
    /// down ([`Self::hand_over`]).
    fn emit(
        &mut self,
        position: usize,
        slots: &[Option<WriteSlots>],
        outputs: &Outputs<'_>,
        sink: &mut dyn FnMut(usize, ObjectMask<'_>),
    ) -> Result<(), TrackError> {
        let first = self.batches[position].first;
        let given = |row: usize| matches!(slots.get(row), Some(Some(_)));
        if let Some(device) = self.device.as_mut().filter(|device| device.masks) {
            let from = self.memory.stamp()?;
            for row in (0..slots.len()).filter(|&row| given(row)) {
                let slot = self.coming.len();
                device.frames.mask(
                    device.size,
                    outputs.mask.view().at(row)?,
                    slot,
                    &mut device.video,
                    &mut device.staging,
                )?;
                self.coming.push((first + row, slot));
            }
            return self.clock(Clocked::Masks, from);
        }
        let staging = &mut self.staging;
        self.memory
            .download(outputs.mask.view(), &mut staging.logits)?;
        self.memory
            .download(outputs.obj_score.view(), &mut staging.scores)?;
        let side = self.manifest.mask_side();
        for (row, values) in staging.logits.chunks_exact(side * side).enumerate() {
            if given(row) {
                let score = staging.scores[row];
                sink(first + row, ObjectMask::Logits { values, score });
            }
        }
        Ok(())
    }

    /// Waits for the masks that were queued and hands them to the sink.
    fn hand_over(&mut self, sink: &mut dyn FnMut(usize, ObjectMask<'_>)) -> Result<(), TrackError> {
        self.memory.synchronize()?;
        let Some(device) = &self.device else {
            return Ok(());
        };
        for (object, slot) in self.coming.drain(..) {
            let bits = device.frames.bits(device.size, slot, &device.staging)?;
            sink(object, ObjectMask::Bits(bits));
        }
        Ok(())
    }
}

fn check_prompt(manifest: &Manifest, prompt: &ModelPrompt) -> Result<(), TrackError> {
    match prompt {
        ModelPrompt::Points { points, labels } => {
            let limit = manifest.dims.prompt_slots - 1;
            let given = points.len().max(labels.len());
            if given > limit {
                return Err(TrackError::TooManyPoints {
                    points: given,
                    limit,
                });
            }
        }
        ModelPrompt::Mask(pixels) => {
            let expected = manifest.image_size * manifest.image_size;
            if pixels.len() != expected {
                return Err(TrackError::PromptSize {
                    given: pixels.len(),
                    expected,
                });
            }
        }
    }
    Ok(())
}
