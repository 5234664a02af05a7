//! The tracker: runs the components of a bundle over the frames of one video.
//!
//! All objects of a video advance together. The image encoder runs once per frame; the objects
//! share its features. Objects are cut into batches of the bundle's B; each batch has its own
//! memory bank in the object-batch region.

use super::bank::{Attention, MemoryBank, WriteSlots};
use super::layout::TrackerLayout;
use super::prompt::ModelPrompt;
use masklet_engines::backend::{Backend, BackendError};
use masklet_engines::bundle::{Component, LABEL_PADDING, LABEL_UNUSED, Manifest, StoredAs};
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

/// Wall time of the model's stages in one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// Prompt decoder and memory encoder, or mask prompt.
    pub prompt: Duration,
    /// Memory attention, mask decoder, memory encoder.
    pub track: Duration,
}

/// Why tracking failed.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
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
    backend: &'r dyn Backend,
    manifest: &'r Manifest,
    layout: &'r TrackerLayout,
    features: [Tensor<'r>; 3],
    batches: Vec<Batch<'r>>,
    tasks: Vec<ObjectTask>,
    num_frames: usize,
    staging: Staging,
}

impl<'r> VideoTracker<'r> {
    /// A tracker for `tasks` in a video of `num_frames` frames. Features come from `video`, memory
    /// banks from `objects`.
    ///
    /// # Errors
    /// When a prompt does not fit the bundle or the arena is too small.
    pub fn new(
        backend: &'r dyn Backend,
        manifest: &'r Manifest,
        layout: &'r TrackerLayout,
        features: [Tensor<'r>; 3],
        objects: &'r Region<'r>,
        tasks: Vec<ObjectTask>,
        num_frames: usize,
    ) -> Result<Self, TrackError> {
        let dims = manifest.dims;
        for task in &tasks {
            check_prompt(manifest, &task.prompt)?;
        }
        let per_batch = manifest.objects_per_batch;
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
            backend.zero(batch.mem.view_mut())?;
            backend.zero(batch.ptr.view_mut())?;
            batches.push(batch);
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
            manifest,
            layout,
            features,
            batches,
            tasks,
            num_frames,
            staging,
        })
    }

    /// Runs the image encoder on one frame. `fill` writes the `image` tensor's values
    /// (3 * S * S, channel by channel). Returns the wall time of filling and of encoding.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn encode(
        &mut self,
        frame: &Region<'_>,
        fill: impl FnOnce(&mut [f32]),
    ) -> Result<(Duration, Duration), TrackError> {
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
        if !in_place {
            self.backend
                .upload_f32(&self.staging.image, image.view_mut())?;
        }
        let filled = started.elapsed();
        let [feat, feat_s0, feat_s1] = &mut self.features;
        self.backend.run(
            Component::ImageEncoder,
            &[image.view()],
            &mut [feat_s0.view_mut(), feat_s1.view_mut(), feat.view_mut()],
        )?;
        Ok((filled, started.elapsed() - filled))
    }

    /// Advances every object by one frame, after [`Self::encode`] of the same frame. Objects that
    /// are prompted at `index` or were before give mask logits (S/4 x S/4) and an object score to
    /// `sink`, with the object's index.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn step(
        &mut self,
        frame: &Region<'_>,
        index: usize,
        sink: &mut dyn FnMut(usize, &[f32], f32),
    ) -> Result<StepTimes, TrackError> {
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
        let mut times = StepTimes::default();
        for position in 0..self.batches.len() {
            let going = self.going(position, index);
            if going.iter().any(|&g| g) {
                let started = Instant::now();
                self.track(position, index, &mut outputs)?;
                let slots: Vec<_> = self.batches[position]
                    .banks
                    .iter_mut()
                    .zip(&going)
                    .map(|(bank, &goes)| goes.then(|| bank.advance(index)))
                    .collect();
                self.commit(position, &slots, &outputs)?;
                times.track += started.elapsed();
                self.emit(position, &slots, &outputs, sink)?;
            }
            for masks in [false, true] {
                let starting = self.starting(position, index, masks);
                if starting.iter().any(|&s| s) {
                    let started = Instant::now();
                    if masks {
                        self.prompt_masks(&mut inputs, position, &starting, &mut outputs)?;
                    } else {
                        self.prompt_points(&mut inputs, position, &starting, &mut outputs)?;
                    }
                    let slots: Vec<_> = self.batches[position]
                        .banks
                        .iter_mut()
                        .zip(&starting)
                        .map(|(bank, &starts)| starts.then(|| bank.condition(index)))
                        .collect();
                    self.commit(position, &slots, &outputs)?;
                    times.prompt += started.elapsed();
                    self.emit(position, &slots, &outputs, sink)?;
                }
            }
        }
        Ok(times)
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
        index: usize,
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
                index,
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
        self.backend
            .upload_i32(&staging.mem_tpos, mem_tpos.view_mut())?;
        self.backend
            .upload_f32(&staging.mem_valid, mem_valid.view_mut())?;
        self.backend
            .upload_f32(&staging.ptr_tpos, ptr_tpos.view_mut())?;
        self.backend
            .upload_f32(&staging.ptr_valid, ptr_valid.view_mut())?;
        let [feat, feat_s0, feat_s1] = &self.features;
        self.backend.run(
            Component::TrackStep,
            &[
                feat.view(),
                feat_s0.view(),
                feat_s1.view(),
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
        self.backend
            .upload_f32(&staging.points, points.view_mut())?;
        self.backend
            .upload_i32(&staging.labels, labels.view_mut())?;
        self.backend
            .upload_f32(&staging.multimask, multimask.view_mut())?;
        self.backend
            .upload_f32(&staging.from_prompt, from_prompt.view_mut())?;
        let [feat, feat_s0, feat_s1] = &self.features;
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
        self.backend.upload_f32(staging, mask_input.view_mut())?;
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
        let batch = &mut self.batches[position];
        for (row, slots) in slots.iter().enumerate() {
            let Some(slots) = slots else { continue };
            let memory = outputs.mem_out.view().at(row)?;
            let kept = batch.mem.view_mut().at(row)?.at(slots.memory)?;
            match self.manifest.memory.stored_as {
                StoredAs::Fp32 => self.backend.copy(memory, kept)?,
                StoredAs::Bf16 => self.backend.copy_through_bf16(memory, kept)?,
            }
            self.backend.copy(
                outputs.obj_ptr.view().at(row)?,
                batch.ptr.view_mut().at(row)?.at(slots.pointer)?,
            )?;
        }
        Ok(())
    }

    /// Hands the masks of the objects that were just computed to the sink.
    fn emit(
        &mut self,
        position: usize,
        slots: &[Option<WriteSlots>],
        outputs: &Outputs<'_>,
        sink: &mut dyn FnMut(usize, &[f32], f32),
    ) -> Result<(), TrackError> {
        let staging = &mut self.staging;
        self.backend
            .download_f32(outputs.mask.view(), &mut staging.logits)?;
        self.backend
            .download_f32(outputs.obj_score.view(), &mut staging.scores)?;
        let side = self.manifest.mask_side();
        let first = self.batches[position].first;
        for (row, logits) in staging.logits.chunks_exact(side * side).enumerate() {
            if !matches!(slots.get(row), Some(Some(_))) {
                continue;
            }
            sink(first + row, logits, staging.scores[row]);
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
