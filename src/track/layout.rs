//! Which tensors lie in which memory region: the rows of the plan, and what the tracker allocates.
//!
//! A pure function of a manifest and the run's options. The tracker allocates from these very
//! rows, so the plan printed before a run is the memory that the run takes.

use masklet_engines::backend::MemoryRequirements;
use masklet_engines::bundle::{Component, Manifest};
use masklet_engines::device::FrameLimits;
use masklet_engines::memory::{Plan, PlanRow, RegionKind, RegionPlan};
use masklet_engines::tensor::{DType, TensorSpec};

/// What a run asks of memory besides the model's own dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Most objects tracked at once in any video.
    pub objects: usize,
    /// Decoded frames that may wait for the model.
    pub ring_frames: usize,
    /// The largest frames of any video.
    pub frames: FrameLimits,
}

/// The rows of every region.
#[derive(Clone, Debug)]
pub struct TrackerLayout {
    /// Objects per component call (B).
    pub objects_per_batch: usize,
    /// One slot of the ring of decoded frames.
    pub ring_slot: PlanRow,
    /// `feat`, `feat_s0`, `feat_s1`, `feat_attended`, in this order.
    pub features: [PlanRow; 4],
    /// Memories of one batch.
    pub mem: PlanRow,
    /// Object pointers of one batch.
    pub ptr: PlanRow,
    /// `mem_tpos`, `mem_valid`, `ptr_tpos`, `ptr_valid` of one batch.
    pub controls: [PlanRow; 4],
    /// The image encoder's input.
    pub image: PlanRow,
    /// `points`, `labels`, `multimask`, `from_prompt`, `mask_input`.
    pub prompt: [PlanRow; 5],
    /// `mask`, `iou`, `obj_ptr`, `obj_score`, `mem_out`.
    pub outputs: [PlanRow; 5],
    demand: Demand,
}

impl TrackerLayout {
    /// The layout for a bundle and a demand.
    pub fn new(manifest: &Manifest, demand: Demand) -> Self {
        let row = |component: Component, name: &str, label: &str| {
            let (inputs, outputs) = component.tensors(manifest);
            let spec = inputs.iter().chain(&outputs).find(|spec| spec.name == name);
            let (dtype, shape): (DType, &[usize]) =
                spec.map_or((DType::F32, &[0]), |s: &TensorSpec| (s.dtype, &s.shape));
            PlanRow::new(label, dtype, shape)
        };
        use Component::{ImageEncoder, MaskPrompt, MemoryEncoder, PromptDecoder, TrackStep};
        Self {
            objects_per_batch: manifest.objects_per_batch,
            ring_slot: PlanRow::new("decoded frame", DType::U8, &[demand.frames.rgb_bytes]),
            features: [
                row(ImageEncoder, "feat", "image features: feat"),
                row(ImageEncoder, "feat_s0", "image features: feat_s0"),
                row(ImageEncoder, "feat_s1", "image features: feat_s1"),
                row(
                    ImageEncoder,
                    "feat_attended",
                    "image features: feat_attended",
                ),
            ],
            mem: row(TrackStep, "mem", "memory bank: memories"),
            ptr: row(TrackStep, "ptr", "memory bank: object pointers"),
            controls: [
                row(TrackStep, "mem_tpos", "memory bank: memory positions"),
                row(TrackStep, "mem_valid", "memory bank: memory validity"),
                row(TrackStep, "ptr_tpos", "memory bank: pointer positions"),
                row(TrackStep, "ptr_valid", "memory bank: pointer validity"),
            ],
            image: row(ImageEncoder, "image", "input image"),
            prompt: [
                row(PromptDecoder, "points", "prompt: points"),
                row(PromptDecoder, "labels", "prompt: labels"),
                row(PromptDecoder, "multimask", "prompt: multimask"),
                row(MemoryEncoder, "from_prompt", "prompt: from_prompt"),
                row(MaskPrompt, "mask_input", "prompt: mask"),
            ],
            outputs: [
                row(TrackStep, "mask", "output: mask logits"),
                row(TrackStep, "iou", "output: predicted IoU"),
                row(TrackStep, "obj_ptr", "output: object pointer"),
                row(TrackStep, "obj_score", "output: object score"),
                row(TrackStep, "mem_out", "output: memory"),
            ],
            demand,
        }
    }

    /// Batches that `objects` objects need.
    pub fn batches(&self, objects: usize) -> usize {
        objects.div_ceil(self.objects_per_batch.max(1))
    }

    /// Slots of the ring of decoded frames.
    pub fn ring_frames(&self) -> usize {
        self.demand.ring_frames
    }

    /// What the run asks of memory.
    pub fn demand(&self) -> Demand {
        self.demand
    }

    /// The whole plan with what the backend needs besides (nothing by default).
    pub fn plan(&self, needs: MemoryRequirements) -> Plan {
        let batches = self.batches(self.demand.objects);
        let ring = self.ring_slot.clone().times(self.demand.ring_frames);
        let ends = needs.ends;
        let mut staging = ends.staging_kept;
        let mut video = Vec::new();
        if ends.staged {
            staging.push(ring);
        } else {
            video.push(ring);
        }
        staging.extend(ends.staging);
        video.extend(self.features.iter().cloned());
        video.extend(ends.video);
        let mut batch = vec![
            self.mem.clone().times(batches),
            self.ptr.clone().times(batches),
        ];
        batch.extend(self.controls.iter().cloned().map(|row| row.times(batches)));
        let mut frame = vec![self.image.clone()];
        frame.extend(self.prompt.iter().cloned());
        frame.extend(self.outputs.iter().cloned());
        let regions = [
            (RegionKind::Process, needs.process),
            (RegionKind::Video, video),
            (RegionKind::ObjectBatch, batch),
            (RegionKind::Frame, frame),
        ];
        Plan {
            regions: regions
                .into_iter()
                .map(|(region, rows)| RegionPlan { region, rows })
                .collect(),
            staging,
        }
    }
}
