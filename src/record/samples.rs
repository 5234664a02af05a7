//! Rows and manifests for the tests.

use super::*;
use crate::machine::{Environment, Reading, SystemRoot};
use crate::spec::Spec;

/// A row that is ok: 20 frames from frame 4, one object alone.
pub fn row(video: &str, object: &str, model: &str) -> ObjectRow {
    let frames = 20;
    let stage = |shared, first, ms: f64| {
        StageSamples::new(shared, first, std::iter::repeat_n(ms, frames - first))
    };
    ObjectRow {
        key: ObjectKey {
            video: video.to_owned(),
            object: object.to_owned(),
            model: model.to_owned(),
        },
        status: Status::Ok,
        session: 0,
        lockstep_objects: 1,
        image_size: 256,
        precision: "fp32".to_owned(),
        backend: "cpu".to_owned(),
        random_init_seed: None,
        video_frames: 24,
        prompt_frame: 4,
        frames,
        input_size: [480, 640],
        infer_size: [256, 256],
        overlay: None,
        scores: Some(ObjectScores {
            official: Some(Score {
                j: 0.75,
                f: 0.5,
                frames: 4,
            }),
            upstream: Some(Score {
                j: 0.8,
                f: 0.6,
                frames: 6,
            }),
        }),
        timing: Some(Timing {
            setup_ms: 12.345,
            warmup_frames: 2,
            bank_fill_frames: 16,
            stages: [
                (Stage::Decode, stage(true, 0, 3.0)),
                (Stage::Preprocess, stage(true, 0, 1.0)),
                (Stage::Encode, stage(true, 0, 30.0)),
                (Stage::Prompt, StageSamples::new(false, 0, [5.0])),
                (Stage::Track, stage(false, 1, 10.0)),
                (Stage::Postprocess, stage(false, 0, 10.0)),
                (Stage::EndToEnd, stage(true, 0, 62.5)),
            ]
            .into(),
        }),
        memory: Some(MemoryMarks {
            arena: Some(ArenaMarks {
                on_device: false,
                slab_bytes: 64 << 20,
                peak_bytes: 48 << 20,
                before_bytes: 1 << 20,
                after_bytes: 1 << 20,
                regions: vec![RegionMark {
                    name: "frame".to_owned(),
                    peak_bytes: 32 << 20,
                }],
                outside_allocations: Some(0),
            }),
            rss_before_bytes: Reading::of(100 << 20),
            rss_after_bytes: Reading::of(110 << 20),
            rss_peak_bytes: Reading::of(120 << 20),
            pss_after_bytes: Reading::missing("no smaps_rollup"),
            available_before_bytes: Reading::of(4 << 30),
            available_after_bytes: Reading::of(3 << 30),
            rss_by_frame_bytes: Vec::new(),
            allocator: None,
            device: None,
        }),
        telemetry: None,
        realtime: None,
        scores_missing: None,
        masks: None,
        machine_failed: false,
        warning: None,
    }
}

/// A manifest with one option.
pub fn manifest() -> RunManifest {
    let mut spec = Spec::default();
    spec.pinned.models.imgsz = Some(256);
    RunManifest {
        spec,
        video_files: Vec::new(),
        split_sha256: None,
        bundles: vec![BundleRecord {
            name: "edgetam".to_owned(),
            source: "embedded".to_owned(),
            sha256: "ab".repeat(32),
            image_size: 256,
            precision: "fp32".to_owned(),
            weights: WeightsRecord::RandomInit { seed: 7 },
        }],
        backend: None,
        environment: Environment::read(&SystemRoot::real()),
        telemetry: None,
        noted: Default::default(),
    }
}
