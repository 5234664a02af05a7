//! What a run was asked to do: plain data, written into `run.json` and read back from there.
//!
//! Options that decide what comes out ([`Pinned`]) are apart from those that do not ([`Free`]): a
//! run that is resumed, and the shards of one run, must agree on the first. Names in JSON are those
//! of the command line, so that folders of earlier versions read the same. Nothing here opens a
//! video or asks a device; [`crate::benchmark`] does.

mod choice;
mod shard;

pub use choice::{
    BaselineDevice, BaselineMode, JpegBy, ObjectMode, OpenMode, Rate, SaveMasks, parse_rate,
};
pub use shard::{Shard, ShardChoice};

use crate::dataset::SplitOptions;
use crate::dataset::prompts::{GivenPrompt, POSITIVE, Prompt};
use crate::error::Result;
use crate::media::image::read_label_png;
use masklet_engines::backend::{BackendOptions, Selection};
use masklet_engines::bundle::Precision;
use masklet_engines::cuda::BlockChoice;
use masklet_engines::device::cuda::CudaOptions;
use masklet_engines::device::{DeviceKind, FrameStaging};
use masklet_engines::runtime::{GraphMode, RuntimeKind, RuntimeOptions};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything a run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// What decides the outcome.
    #[serde(rename = "options", default)]
    pub pinned: Pinned,
    /// What does not.
    #[serde(rename = "free_options", default)]
    pub free: Free,
}

/// Options that decide what comes out. A resumed run must have the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Pinned {
    /// Videos and objects.
    #[serde(flatten)]
    pub data: Data,
    /// Models.
    #[serde(flatten)]
    pub models: Models,
    /// What runs them, and how.
    #[serde(flatten)]
    pub engine: Engine,
    /// Objects of a video together or one by one.
    pub objects: ObjectMode,
    /// Most frames of an object, counted from its prompt; 0 for the whole video.
    pub max_clip_frames: usize,
    /// Largest hole that is filled, in pixels of the low-resolution mask; 0 for none.
    pub fill_holes: usize,
    /// Leaves the memory bank empty: an ablation.
    pub no_memory: bool,
    /// Which masks are written; `None` for those of annotated frames, and of a video file all.
    pub save_masks: Option<SaveMasks>,
    /// Warm-up iterations per component.
    pub warmup: usize,
    /// Decoder threads.
    pub decode_threads: usize,
    /// JPEG decoder.
    pub jpeg_decoder: JpegBy,
    /// Feeds frames at a rate, as a live camera does; `None` for as fast as they are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime: Option<Rate>,
    /// Searches for the highest rate that is kept up with, by trials of at least so many frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find_rate: Option<usize>,
    /// The share of the videos that is run; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Set where PyTorch ran, not masklet.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
}

impl Default for Pinned {
    fn default() -> Self {
        Self {
            data: Data::default(),
            models: Models::default(),
            engine: Engine::default(),
            objects: ObjectMode::Lockstep,
            max_clip_frames: 0,
            fill_holes: 0,
            no_memory: false,
            save_masks: None,
            warmup: 2,
            decode_threads: 2,
            jpeg_decoder: JpegBy::Cpu,
            realtime: None,
            find_rate: None,
            shard: None,
            baseline: None,
        }
    }
}

impl Pinned {
    /// [`Self::max_clip_frames`], where there is a limit.
    pub fn most_frames(&self) -> Option<usize> {
        Some(self.max_clip_frames).filter(|most| *most > 0)
    }
}

/// Videos and objects: of a split, or of video files with prompts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Data {
    /// Folder of the split; `None` for video files.
    pub split_dir: Option<PathBuf>,
    /// Name of the list of videos; `None` for all videos of the folder.
    pub split_name: Option<String>,
    /// Only these videos; empty for all.
    pub videos: Vec<String>,
    /// At most so many videos; 0 for all.
    pub limit_videos: usize,
    /// At most so many objects of each video; 0 for all.
    pub limit_objects: usize,
    /// Takes the videos in a random order.
    pub shuffle_videos: bool,
    /// Seed of that order; implies --shuffle-videos.
    pub seed: Option<u64>,
    /// Video files instead of a split.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub video: Vec<VideoPath>,
    /// What is tracked in every video file: objects 1, 2, … in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<ClipPrompt>,
}

impl Data {
    /// What of it selects from a split.
    pub fn selection(&self) -> SplitOptions {
        SplitOptions {
            split_name: self.split_name.clone(),
            videos: self.videos.clone(),
            limit_videos: self.limit_videos,
            limit_objects: self.limit_objects,
            shuffle: self.shuffle_videos || self.seed.is_some(),
            seed: self.seed.unwrap_or(0),
        }
    }
}

/// A video file. In JSON its path; folders of earlier versions hold an object with one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenPath")]
pub struct VideoPath(pub PathBuf);

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenPath {
    Path(PathBuf),
    Probed { path: PathBuf },
}

impl From<WrittenPath> for VideoPath {
    fn from(written: WrittenPath) -> Self {
        match written {
            WrittenPath::Path(path) | WrittenPath::Probed { path } => Self(path),
        }
    }
}

/// A prompt for the object of a video file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipPrompt {
    /// Index of the frame that it is on.
    pub frame: usize,
    /// Where the object is.
    pub prompt: Place,
}

/// A place in a frame, in pixels of the video as displayed, (0, 0) the centre of the first pixel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A click on the object: x, y.
    Point([f32; 2]),
    /// Several clicks: x, y, and 1 on the object, 0 beside it.
    Clicks(Vec<[f32; 3]>),
    /// Its pixels in a label PNG.
    Mask {
        /// The file.
        file: PathBuf,
        /// Its number in it.
        label: u32,
    },
    /// A box around it: left, top, right, bottom, all inclusive.
    Box([f32; 4]),
}

impl Place {
    /// Of clicks or a box; `None` for a mask, which is a file's.
    pub fn of(prompt: &Prompt) -> Option<Self> {
        match prompt {
            Prompt::Points { points, labels } => match (points.as_slice(), labels.as_slice()) {
                ([(x, y)], [POSITIVE]) => Some(Self::Point([*x, *y])),
                _ => {
                    let clicks = points.iter().zip(labels);
                    let clicks = clicks.map(|((x, y), label)| [*x, *y, *label as f32]);
                    Some(Self::Clicks(clicks.collect()))
                }
            },
            Prompt::Box {
                x_min,
                y_min,
                x_max,
                y_max,
            } => Some(Self::Box([*x_min, *y_min, *x_max, *y_max])),
            Prompt::Mask(_) => None,
        }
    }
}

impl ClipPrompt {
    /// As the tracker takes it.
    ///
    /// # Errors
    /// The file of a mask cannot be read.
    pub fn given(&self) -> Result<GivenPrompt> {
        let prompt = match &self.prompt {
            Place::Point([x, y]) => Prompt::Points {
                points: vec![(*x, *y)],
                labels: vec![POSITIVE],
            },
            Place::Clicks(clicks) => Prompt::Points {
                points: clicks.iter().map(|[x, y, _]| (*x, *y)).collect(),
                labels: clicks.iter().map(|[_, _, label]| *label as i32).collect(),
            },
            Place::Box([x_min, y_min, x_max, y_max]) => Prompt::Box {
                x_min: *x_min,
                y_min: *y_min,
                x_max: *x_max,
                y_max: *y_max,
            },
            Place::Mask { file, label } => Prompt::Mask(read_label_png(file)?.mask(Some(*label))),
        };
        Ok(GivenPrompt {
            frame: self.frame,
            prompt,
        })
    }
}

/// Which models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Models {
    /// Tags `<model>_<prompt>`.
    pub models: Vec<String>,
    /// Image side; `None` where only one is there.
    pub imgsz: Option<usize>,
    /// Precision; `None` where only one is there.
    pub precision: Option<Precision>,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            models: vec!["edgetam_small_points".to_owned()],
            imgsz: None,
            precision: None,
        }
    }
}

/// What runs the models, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Engine {
    /// The kind of device; `None` for what the runtime prefers.
    pub device: Option<DeviceKind>,
    /// The runtime; `None` for the first that can run all models ([`Selection::pairs`]). Earlier run
    /// folders call it `backend`.
    #[serde(alias = "backend")]
    pub runtime: Option<RuntimeKind>,
    /// The build options of the engines, where several fit; `None` for the default ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_options: Option<String>,
    /// Captured CUDA graphs.
    pub cuda_graph: GraphMode,
    /// How frames reach the device.
    pub frame_staging: FrameStaging,
    /// Arena allocation strategy.
    pub arena_block: BlockChoice,
    /// Threads of a runtime that computes on the CPU; 0 for one per core.
    pub threads: usize,
    /// Frames that may be decoded ahead of the model.
    pub ring_frames: usize,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            device: None,
            runtime: None,
            engine_options: None,
            cuda_graph: GraphMode::Auto,
            frame_staging: FrameStaging::Auto,
            arena_block: BlockChoice::Auto,
            threads: 0,
            ring_frames: 4,
        }
    }
}

impl Engine {
    /// Threads of a runtime that computes on the CPU, at least 1.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// What a backend is opened with.
    pub fn backend_options(&self, free: &Free) -> BackendOptions {
        BackendOptions {
            runtime: RuntimeOptions {
                threads: self.threads(),
                engines: free.engines.clone(),
                engine_options: self.engine_options.clone(),
                graphs: self.cuda_graph,
                tune_heap: true,
            },
            cuda: CudaOptions {
                ordinal: free.device,
                staging: self.frame_staging,
                block: self.arena_block,
            },
        }
    }

    /// Which devices and runtimes are wanted.
    pub fn selection(&self) -> Selection {
        Selection {
            device: self.device,
            runtime: self.runtime,
        }
    }
}

/// How PyTorch ran as the baseline of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Baseline {
    /// Manner.
    #[serde(rename = "baseline")]
    pub mode: BaselineMode,
    /// What it ran on.
    pub baseline_device: BaselineDevice,
    /// Arithmetic under autocast; `None` for the bundle's own.
    pub baseline_precision: Option<Precision>,
    /// Whether the image encoder was compiled.
    pub baseline_compile: bool,
    /// Whether fp32 products could be TF32.
    pub baseline_tf32: bool,
    /// The checkpoint, where one was given.
    pub baseline_weights: Option<PathBuf>,
}

/// Options that do not decide what comes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Free {
    /// Folder of model bundles; `None` for the embedded one.
    pub exports: Option<PathBuf>,
    /// Run folder; `None` for `runs/<name of the data>`.
    pub out_dir: Option<PathBuf>,
    /// What to do with a run that is in the run folder already.
    pub opening: OpenMode,
    /// Folder of engines; `None` for the usual places.
    pub engines: Option<PathBuf>,
    /// Ordinal of the CUDA device.
    pub device: usize,
    /// Refuses to start when the memory plan is larger, in bytes.
    pub memory_budget: Option<usize>,
    /// Samples of the sensors per second; 0 for none.
    pub telemetry_hz: u32,
    /// Draws masks onto frames.
    pub save_overlays: bool,
    /// A tree that is read in place of `/`, for tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_root: Option<PathBuf>,
    /// Interpreter of a PyTorch baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_python: Option<PathBuf>,
}

impl Default for Free {
    fn default() -> Self {
        Self {
            exports: None,
            out_dir: None,
            opening: OpenMode::New,
            engines: None,
            device: 0,
            memory_budget: None,
            telemetry_hz: 5,
            save_overlays: false,
            system_root: None,
            baseline_python: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_spec_survives_json() {
        let mut spec = Spec::default();
        spec.pinned.realtime = Some(Rate::Fps(29.97));
        spec.pinned.shard = "2/8".parse().ok();
        spec.pinned.data.video = vec![VideoPath("clip.mp4".into())];
        spec.pinned.data.prompts = vec![ClipPrompt {
            frame: 3,
            prompt: Place::Box([1.0, 2.0, 3.0, 4.0]),
        }];
        spec.pinned.models.precision = Some(Precision::Bf16);
        spec.pinned.baseline = Some(Baseline {
            mode: BaselineMode::Best,
            baseline_device: BaselineDevice::Cpu,
            baseline_precision: None,
            baseline_compile: true,
            baseline_tf32: false,
            baseline_weights: None,
        });
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec, "{text}");
    }

    /// As version 0.1.0 wrote it, before the options were typed.
    #[test]
    fn options_of_earlier_folders_are_read() {
        let spec: Spec = serde_json::from_value(json!({
            "options": {
                "backend": "tensorrt", "cuda-graph": "off", "frame-staging": "in-place",
                "ground-truth": "none", "models": ["edgetam_given"], "objects": "isolated",
                "precision": "bf16", "realtime": "own", "save-masks": "all", "seed": null, "threads": 3,
                "shard": "1/2", "split-dir": null, "videos and frames": "ab",
                "prompts": [{ "object": "1", "frame": 0, "prompt": { "point": [3.0, 4.0] } }],
                "video": [{ "path": "/v/clip.mp4", "bytes": 5, "codec": "h264" }],
            },
            "free_options": { "quiet": true, "resume": false, "telemetry-hz": 0, "arena-block-taken.m": {} },
        }))
        .unwrap();
        let pinned = &spec.pinned;
        assert_eq!(pinned.engine.runtime, RuntimeKind::named("tensorrt"));
        assert_eq!(pinned.engine.frame_staging, FrameStaging::InPlace);
        assert_eq!(pinned.models.precision, Some(Precision::Bf16));
        assert_eq!(pinned.data.video, [VideoPath("/v/clip.mp4".into())]);
        assert_eq!(pinned.data.prompts.len(), 1);
        assert_eq!(pinned.realtime, Some(Rate::Own));
        assert_eq!(pinned.shard, Some(Shard { index: 1, count: 2 }));
        assert_eq!(
            (pinned.objects, pinned.engine.threads),
            (ObjectMode::Isolated, 3)
        );
        assert_eq!(
            (spec.free.telemetry_hz, pinned.baseline.is_none()),
            (0, true)
        );
    }
}
