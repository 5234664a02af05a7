//! The job: everything that the PyTorch process has to know, so that it works out nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Mode;
use crate::clip::ObjectStart;
use crate::clip::mask_file_name;
use crate::dataset::prompts::{Prompt, PromptKind};
use crate::dataset::{ObjectTrack, Split, Video};
use crate::record::{ObjectKey, ObjectRow, Status};
use crate::spec::SaveMasks;
use masklet_engines::bundle::{Bundle, Precision, WeightSource, Weights};

/// Version of the job file; `tools/baseline` reads this one.
pub const JOB_SCHEMA: u32 = 1;

/// Choices that the bundles and the split do not make.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// Manner.
    pub mode: Mode,
    /// `auto`, `cpu` or `cuda`.
    pub device: String,
    /// Arithmetic under autocast; `None` for each bundle's own.
    pub precision: Option<Precision>,
    /// Whether the image encoder is compiled (`best` only).
    pub compile: bool,
    /// Whether fp32 products may be TF32 on CUDA.
    pub tf32: bool,
    /// Threads of PyTorch.
    pub threads: usize,
    /// Threads that decode ahead (`best` only).
    pub decode_threads: usize,
    /// Tracked frames before the first that counts.
    pub warmup: usize,
    /// Checkpoint to read instead of what the bundle names.
    pub weights: Option<PathBuf>,
    /// Most frames of an object, counted from its prompt; `None` for the whole video.
    pub max_clip_frames: Option<usize>,
    /// Which masks stay. Those of annotated frames are always written, to be scored.
    pub save_masks: SaveMasks,
}

/// The contents of `job.json`. Paths are absolute, coordinates in pixels of the video.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    schema: u32,
    mode: Mode,
    device: String,
    precision: Option<Precision>,
    compile: bool,
    tf32: bool,
    threads: usize,
    decode_threads: usize,
    warmup: usize,
    /// Whether the process is to end when the one that started it does.
    pub supervised: bool,
    masks_dir: PathBuf,
    log: PathBuf,
    models: Vec<ModelEntry>,
    videos: Vec<VideoEntry>,
    clips: Vec<ClipEntry>,
}

#[derive(Clone, Debug, Serialize)]
struct ModelEntry {
    manifest: ManifestEntry,
    bundle_dir: Option<PathBuf>,
    weights_path: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize)]
struct ManifestEntry {
    name: String,
    image_size: usize,
    precision: Precision,
    weight_storage: Precision,
    weights: Weights,
}

#[derive(Clone, Debug, Serialize)]
struct VideoEntry {
    id: String,
    height: usize,
    width: usize,
    frames: Vec<PathBuf>,
}

#[derive(Clone, Debug, Serialize)]
struct ClipEntry {
    model: usize,
    tag: String,
    video: usize,
    objects: Vec<ObjectEntry>,
}

#[derive(Clone, Debug, Serialize)]
struct ObjectEntry {
    id: String,
    start: usize,
    end: usize,
    prompt: PromptEntry,
    /// File name of a frame's mask by the frame's index.
    masks: BTreeMap<usize, String>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct PromptEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Vec<(f32, f32)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#box: Option<[f32; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_label: Option<u32>,
}

/// A row that the job asks for, as far as it is known beforehand.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    /// Identity, without figures; failed where the object has no prompt.
    pub row: ObjectRow,
    /// The object's annotations, to score by.
    pub track: &'a ObjectTrack,
    /// First frame index after the last to be processed.
    pub end: usize,
}

/// A bundle and its tags with their prompt kinds.
pub type TaggedBundle<'a> = (&'a Bundle, &'a [(String, PromptKind)]);

impl Job {
    /// Objects that are to be tracked, over all tags.
    pub fn objects(&self) -> usize {
        self.clips.iter().map(|clip| clip.objects.len()).sum()
    }
}

/// Makes the job for all objects of `split` under all tags that are not `done`, into `folder`.
/// Objects without a prompt are planned as failed and not in the job.
pub fn plan<'a>(
    settings: &JobSettings,
    models: &[TaggedBundle<'_>],
    split: &'a Split,
    folder: &Path,
    done: &dyn Fn(&ObjectKey) -> bool,
) -> (Job, Vec<Planned<'a>>) {
    let folder = absolute(folder);
    let mut planned = Vec::new();
    let mut job = Job {
        schema: JOB_SCHEMA,
        mode: settings.mode,
        device: settings.device.clone(),
        precision: settings.precision,
        compile: settings.compile,
        tf32: settings.tf32,
        threads: settings.threads,
        decode_threads: settings.decode_threads,
        warmup: settings.warmup,
        supervised: true,
        masks_dir: folder.join("masks"),
        log: folder.join(super::record::FILE),
        models: models.iter().map(|(b, _)| entry(b, settings)).collect(),
        videos: split.videos.iter().map(video_entry).collect(),
        clips: Vec::new(),
    };
    for (model, (bundle, tags)) in models.iter().enumerate() {
        for (tag, kind) in *tags {
            for (at, video) in split.videos.iter().enumerate() {
                let mut clip = ClipEntry {
                    model,
                    tag: tag.clone(),
                    video: at,
                    objects: Vec::new(),
                };
                let together = match settings.mode {
                    Mode::Upstream => 1,
                    Mode::Best => video.objects.len(),
                };
                for track in &video.objects {
                    let row = blank_row(settings, bundle, video, track, tag, together);
                    if done(&row.key) {
                        continue;
                    }
                    planned.push(one(settings, video, track, *kind, row, &mut clip.objects));
                }
                if !clip.objects.is_empty() {
                    job.clips.push(clip);
                }
            }
        }
    }
    (job, planned)
}

fn one<'a>(
    settings: &JobSettings,
    video: &Video,
    track: &'a ObjectTrack,
    kind: PromptKind,
    mut row: ObjectRow,
    objects: &mut Vec<ObjectEntry>,
) -> Planned<'a> {
    let total = video.frame_count();
    let start = match ObjectStart::find(track, kind, total, settings.max_clip_frames) {
        Ok(start) => start,
        Err(reason) => {
            let row = row.failed(reason);
            return Planned { row, track, end: 0 };
        }
    };
    row.prompt_frame = start.frame;
    let masks = (start.frame..start.end).filter(|frame| {
        settings.save_masks == SaveMasks::All || track.position_of(*frame).is_some()
    });
    let masks = masks.map(|frame| (frame, mask_file_name(video, track, frame)));
    objects.push(ObjectEntry {
        id: track.id.clone(),
        start: start.frame,
        end: start.end,
        prompt: prompt_entry(&start, track),
        masks: masks.collect(),
    });
    Planned {
        row,
        track,
        end: start.end,
    }
}

fn prompt_entry(start: &ObjectStart, track: &ObjectTrack) -> PromptEntry {
    let none = PromptEntry::default();
    match &start.prompt {
        Prompt::Points { points, labels } => PromptEntry {
            points: Some(points.clone()),
            labels: Some(labels.clone()),
            ..none
        },
        Prompt::Box {
            x_min,
            y_min,
            x_max,
            y_max,
        } => PromptEntry {
            r#box: Some([*x_min, *y_min, *x_max, *y_max]),
            ..none
        },
        Prompt::Mask(_) => {
            let annotation = start.annotation.and_then(|at| track.annotations.get(at));
            PromptEntry {
                mask: annotation.map(|a| absolute(&a.path)),
                mask_label: annotation.and_then(|a| a.label),
                ..none
            }
        }
    }
}

fn entry(bundle: &Bundle, settings: &JobSettings) -> ModelEntry {
    let manifest = bundle.manifest();
    ModelEntry {
        manifest: ManifestEntry {
            name: manifest.name.clone(),
            image_size: manifest.image_size,
            precision: manifest.precision,
            weight_storage: manifest.weight_storage,
            weights: manifest.weights.clone(),
        },
        bundle_dir: bundle.folder().map(absolute),
        weights_path: settings.weights.as_deref().map(absolute),
    }
}

fn video_entry(video: &Video) -> VideoEntry {
    VideoEntry {
        id: video.id.clone(),
        height: video.height,
        width: video.width,
        frames: video.frames.iter().map(|path| absolute(path)).collect(),
    }
}

fn blank_row(
    settings: &JobSettings,
    bundle: &Bundle,
    video: &Video,
    track: &ObjectTrack,
    tag: &str,
    together: usize,
) -> ObjectRow {
    let manifest = bundle.manifest();
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
        precision: settings.precision.unwrap_or(manifest.precision).to_string(),
        backend: format!("pytorch-{}", settings.mode),
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

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The keys of planned rows.
pub fn keys<'a>(planned: &'a [Planned<'_>]) -> BTreeSet<&'a ObjectKey> {
    planned.iter().map(|planned| &planned.row.key).collect()
}
