//! Parity with the reference implementation: golden tensors that `transformers`' own model and
//! session gave for the default bundle's weights (`tests/golden/parity`, made by its script).
//!
//! Components are compared on identical inputs, the clip by masks, because a thresholded mask feeds
//! the memory and amplifies rounding.
use masklet::dataset::prompts::Prompt;
use masklet::mask::Mask;
use masklet::media::image::{self, Resizer};
use masklet::track::layout::Demand;
use masklet::track::{ModelPrompt, ObjectMask, ObjectTask, TrackerLayout, Upsampler, VideoTracker};
use masklet_engines::backend::{Backend, BackendOptions, Selection};
use masklet_engines::bundle::{Bundle, Component};
use masklet_engines::device::FrameLimits;
use masklet_engines::memory::{Arena, PlanRow, Region, RegionKind, Slab};
use masklet_engines::runtime::RuntimeKind;
use masklet_engines::tensor::DType;
use ndarray::Array1;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Worst difference of a component's output over the spread of the reference's.
const COMPONENT_TOLERANCE: f64 = 1e-3;
/// Least IoU of a mask with the reference's.
const MASK_IOU: f64 = 0.999;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/parity")
        .join(file)
}

fn json(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden(file)).unwrap()).unwrap()
}

/// All values of a `.npy` file as f32, in C order.
fn npy(file: &str) -> Vec<f32> {
    let bytes = std::fs::read(golden(file)).unwrap();
    let header = String::from_utf8_lossy(&bytes[..128.min(bytes.len())]).into_owned();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let four = |chunk: &[u8]| [chunk[0], chunk[1], chunk[2], chunk[3]];
    let data = bytes[start..].chunks_exact(4);
    assert!(!header.contains("'fortran_order': True"));
    if header.contains("'<f4'") {
        data.map(|c| f32::from_le_bytes(four(c))).collect()
    } else {
        assert!(header.contains("'<i4'"), "{file}: {header}");
        data.map(|c| i32::from_le_bytes(four(c)) as f32).collect()
    }
}

/// The script's `hashed`: uniform values in -scale..scale from element index and seed.
fn hashed(elements: usize, seed: u32, scale: f64) -> Vec<f32> {
    (0..elements as u32)
        .map(|i| {
            let mut h = i.wrapping_add(seed.wrapping_mul(0x9E37_79B9));
            h ^= h >> 16;
            h = h.wrapping_mul(0x7FEB_352D);
            h ^= h >> 15;
            h = h.wrapping_mul(0x846C_A68B);
            h ^= h >> 16;
            ((f64::from(h) / 2_147_483_648.0 - 1.0) * scale) as f32
        })
        .collect()
}

fn rgb(file: &str) -> image::RgbImage {
    image::decode_rgb(&golden(file)).unwrap()
}

/// The `image` tensor of pixels that are S x S already.
fn image_tensor(bundle: &Bundle, resized: &[u8]) -> Vec<f32> {
    let manifest = bundle.manifest();
    let mut out = vec![0.0; 3 * manifest.image_size * manifest.image_size];
    let p = &manifest.preprocess;
    image::to_chw_normalized(resized, manifest.image_size, p.mean, p.std, &mut out).unwrap();
    out
}

fn input(
    bundle: &Bundle,
    spec: &Value,
    elements: usize,
    features: &BTreeMap<String, Vec<f32>>,
) -> Vec<f32> {
    if spec["from"] == "image_encoder" {
        return features[spec["name"].as_str().unwrap()].clone();
    }
    if let Some(seed) = spec["hash"].as_u64() {
        return hashed(elements, seed as u32, spec["scale"].as_f64().unwrap());
    }
    let file = spec["from"].as_str().unwrap();
    match (spec["name"].as_str().unwrap(), file.ends_with(".npy")) {
        (_, true) => npy(file),
        ("image", false) => image_tensor(bundle, &rgb(file).data),
        (_, false) => {
            let mask = image::read_mask_png(&golden(file)).unwrap();
            mask.as_slice()
                .iter()
                .map(|&p| f32::from(u8::from(p)))
                .collect()
        }
    }
}

#[test]
fn every_component_gives_what_the_reference_gives_on_the_same_inputs() {
    let bundle = Bundle::embedded().unwrap();
    let backend = cpu(&bundle);
    let cases = json("components.json");
    let mut failures = Vec::new();
    let mut components = BTreeSet::new();
    // The encoder's outputs, which the later cases take.
    let mut features = BTreeMap::new();
    for case in cases.as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        let component = Component::ALL
            .into_iter()
            .find(|c| c.name() == case["component"])
            .unwrap();
        components.insert(component);
        let (inputs, outputs) = component.tensors(bundle.manifest());
        let mut arena = Arena::new(Slab::host(64 << 20).unwrap());
        let region = arena.root(RegionKind::Process);
        let mut given = Vec::new();
        for (spec, described) in inputs.iter().zip(case["inputs"].as_array().unwrap()) {
            assert_eq!(described["name"], spec.name.as_str());
            let row = PlanRow::new(&spec.name, spec.dtype, &spec.shape);
            let mut tensor = region.alloc(&row).unwrap();
            let values = input(&bundle, described, tensor.shape().elements(), &features);
            if spec.dtype == DType::I32 {
                let values: Vec<i32> = values.iter().map(|&v| v as i32).collect();
                backend.device().upload(&values, tensor.view_mut()).unwrap();
            } else {
                backend.device().upload(&values, tensor.view_mut()).unwrap();
            }
            given.push(tensor);
        }
        let mut made: Vec<_> = outputs
            .iter()
            .map(|spec| {
                region
                    .alloc(&PlanRow::new(&spec.name, spec.dtype, &spec.shape))
                    .unwrap()
            })
            .collect();
        let views: Vec<_> = given.iter().map(|t| t.view()).collect();
        let mut targets: Vec<_> = made.iter_mut().map(|t| t.view_mut()).collect();
        backend.run(component, &views, &mut targets).unwrap();
        for (spec, tensor) in outputs.iter().zip(&made) {
            let described = case["outputs"]
                .as_array()
                .unwrap()
                .iter()
                .find(|d| d["name"] == spec.name.as_str())
                .unwrap();
            let expected = npy(described["file"].as_str().unwrap());
            let stride = described["stride"].as_u64().unwrap() as usize;
            let values = tensor.view().as_slice::<f32>().unwrap();
            if component == Component::ImageEncoder {
                features.insert(spec.name.clone(), values.to_vec());
            }
            let found: Vec<f32> = values.iter().copied().step_by(stride).collect();
            assert_eq!(found.len(), expected.len());
            let worst = (Array1::from(found) - Array1::from(expected))
                .iter()
                .fold(0.0f64, |worst, d| worst.max(f64::from(d.abs())));
            let relative = worst / described["spread"].as_f64().unwrap();
            println!("{name} {}: {relative:.1e}", spec.name);
            if relative.is_nan() || relative > COMPONENT_TOLERANCE {
                failures.push(format!("{name} {}: {relative:.2e}", spec.name));
            }
        }
    }
    assert_eq!(
        components.len(),
        Component::ALL.len(),
        "every component has a golden case"
    );
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn frames_are_resized_as_the_reference_does() {
    let expected = rgb("frame0_resized.png");
    let frame = rgb("frames/00000.png");
    let mut resizer = Resizer::new(expected.width);
    let mut found = vec![0; resizer.output_len()];
    resizer
        .resize(&frame.data, frame.width, frame.height, &mut found)
        .unwrap();
    let differ = found
        .iter()
        .zip(&expected.data)
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(differ, 0, "of {} values", found.len());
}

fn prompt(described: &Value) -> Prompt {
    let numbers = |value: &Value| -> Vec<f32> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap() as f32)
            .collect()
    };
    if let Some(file) = described["mask"].as_str() {
        return Prompt::Mask(image::read_mask_png(&golden(file)).unwrap());
    }
    if described["box"].is_array() {
        let b = numbers(&described["box"]);
        return Prompt::Box {
            x_min: b[0],
            y_min: b[1],
            x_max: b[2],
            y_max: b[3],
        };
    }
    Prompt::Points {
        points: described["points"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (numbers(p)[0], numbers(p)[1]))
            .collect(),
        labels: described["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l.as_i64().unwrap() as i32)
            .collect(),
    }
}

/// IoU, and the number of pixels that differ.
fn compare(a: &Mask, b: &Mask) -> (f64, usize) {
    let count = |rule: fn(bool, bool) -> bool| {
        a.as_slice()
            .iter()
            .zip(b.as_slice())
            .filter(|(a, b)| rule(**a, **b))
            .count()
    };
    let (both, any) = (count(|a, b| a && b), count(|a, b| a || b));
    let iou = if any == 0 {
        1.0
    } else {
        both as f64 / any as f64
    };
    (iou, any - both)
}

fn cpu(bundle: &Bundle) -> Backend {
    let selection = Selection {
        runtime: RuntimeKind::named("rten"),
        ..Selection::default()
    };
    let mut options = BackendOptions::default();
    options.runtime.threads = 2;
    let opened = selection.open(&[bundle], &options).unwrap();
    let backend = opened.backends.into_iter().next().unwrap();
    // It keeps nothing in the arena.
    let mut arena = Arena::new(Slab::host(0).unwrap());
    backend.load(&mut arena, None).unwrap();
    backend
}

/// Tracks the golden clip; gives (object, frame) -> (logits, score).
fn track(
    bundle: &Bundle,
    backend: &Backend,
    tasks: Vec<ObjectTask>,
    frames: &[Vec<f32>],
) -> Vec<(usize, usize, Vec<f32>, f32)> {
    let demand = Demand {
        objects: tasks.len(),
        ring_frames: 0,
        frames: FrameLimits::default(),
    };
    let layout = TrackerLayout::new(bundle.manifest(), demand);
    let plan = layout.plan(backend.requirements(demand.frames, demand.objects));
    let mut arena = Arena::new(backend.device().slab(plan.bytes()).unwrap());
    let mut found = Vec::new();
    {
        let process = arena.root(RegionKind::Process);
        let video = process.enter(RegionKind::Video).unwrap();
        let features = std::array::from_fn(|i| video.alloc(&layout.features[i]).unwrap());
        let objects = video.enter(RegionKind::ObjectBatch).unwrap();
        run_frames(
            bundle, backend, &layout, features, &objects, tasks, frames, &mut found,
        );
    }
    assert_eq!(arena.used(), 0);
    assert_eq!(
        arena.high_water().total,
        plan.bytes(),
        "the plan is the observed peak"
    );
    found
}

#[allow(clippy::too_many_arguments)]
fn run_frames<'r>(
    bundle: &'r Bundle,
    backend: &'r Backend,
    layout: &'r TrackerLayout,
    features: [masklet_engines::memory::Tensor<'r>; 4],
    objects: &'r Region<'r>,
    tasks: Vec<ObjectTask>,
    frames: &[Vec<f32>],
    found: &mut Vec<(usize, usize, Vec<f32>, f32)>,
) {
    let mut tracker = VideoTracker::new(
        backend,
        bundle.manifest(),
        layout,
        features,
        objects,
        tasks,
        frames.len(),
    )
    .unwrap();
    for (index, values) in frames.iter().enumerate() {
        let frame = objects.enter(RegionKind::Frame).unwrap();
        tracker
            .encode(&frame, |image| image.copy_from_slice(values))
            .unwrap();
        tracker
            .step(&frame, index, &mut |object, mask| {
                let ObjectMask::Logits { values, score } = mask else {
                    panic!("the CPU gives logits");
                };
                found.push((object, index, values.to_vec(), score));
            })
            .unwrap();
    }
}

fn task(bundle: &Bundle, described: &Value, clip: &Value) -> ObjectTask {
    let side = bundle.manifest().image_size;
    let (height, width) = (
        clip["height"].as_u64().unwrap() as usize,
        clip["width"].as_u64().unwrap() as usize,
    );
    let prompt = ModelPrompt::new(&prompt(described), side, height, width);
    ObjectTask {
        frame: described["frame"].as_u64().unwrap() as usize,
        end: clip["frames"].as_u64().unwrap() as usize,
        prompt,
    }
}

fn golden_frames(bundle: &Bundle, clip: &Value) -> Vec<Vec<f32>> {
    let mut resizer = Resizer::new(bundle.manifest().image_size);
    (0..clip["frames"].as_u64().unwrap())
        .map(|i| {
            let frame = rgb(&format!("frames/{i:05}.png"));
            let mut resized = vec![0; resizer.output_len()];
            resizer
                .resize(&frame.data, frame.width, frame.height, &mut resized)
                .unwrap();
            image_tensor(bundle, &resized)
        })
        .collect()
}

#[test]
fn the_clip_gives_the_masks_of_the_reference_session_for_every_prompt_kind() {
    let bundle = Bundle::embedded().unwrap();
    let backend = cpu(&bundle);
    let clip = json("clip.json");
    let frames = golden_frames(&bundle, &clip);
    let (height, width) = (
        clip["height"].as_u64().unwrap() as usize,
        clip["width"].as_u64().unwrap() as usize,
    );
    let side = bundle.manifest().mask_side();
    let mut upsampler = Upsampler::new(side, height, width);
    let mut failures = Vec::new();
    let mut compared = 0;
    for (name, described) in clip["runs"].as_object().unwrap() {
        let described = described.as_array().unwrap();
        let tasks: Vec<_> = described.iter().map(|d| task(&bundle, d, &clip)).collect();
        for (object, index, logits, score) in track(&bundle, &backend, tasks, &frames) {
            let id = described[object]["object"].as_u64().unwrap();
            let folder = format!("clip/{name}/{id}");
            let expected = image::read_mask_png(&golden(&format!("{folder}/masks/{index:05}.png")));
            let first = described[object]["frame"].as_u64().unwrap() as usize;
            let scores = npy(&format!("{folder}/obj_score.npy"));
            let (iou, differ) = compare(&upsampler.mask(&logits), &expected.unwrap());
            let drift = (score - scores[index - first]).abs();
            compared += 1;
            if iou < MASK_IOU || drift > 0.05 {
                failures.push(format!(
                    "{name} object {id} frame {index}: IoU {iou:.5} ({differ} pixels), score off by {drift}"
                ));
            }
            if index == first {
                // The first frame has no feedback: logits must agree, not only masks.
                let golden = npy(&format!("{folder}/logits.npy"));
                let worst = logits
                    .iter()
                    .zip(&golden[..side * side])
                    .fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
                assert!(
                    worst < 1e-3,
                    "{name} object {id}: first-frame logits off by {worst}"
                );
            }
        }
    }
    assert!(compared >= 60, "only {compared} masks were compared");
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn objects_tracked_together_and_alone_give_the_same_masks() {
    let bundle = Bundle::embedded().unwrap();
    let backend = cpu(&bundle);
    let clip = json("clip.json");
    let frames = golden_frames(&bundle, &clip);
    let runs = &clip["runs"];
    // A click, a box and a late click in one clip: prompts of different frames and kinds.
    let tasks = [
        &runs["click"][0],
        &runs["box"][1],
        &runs["late_click"][0],
        &runs["mask"][1],
    ]
    .map(|d| task(&bundle, d, &clip));
    let together = track(&bundle, &backend, tasks.to_vec(), &frames);
    for (object, task) in tasks.iter().enumerate() {
        let alone = track(&bundle, &backend, vec![task.clone()], &frames);
        let shared: Vec<_> = together.iter().filter(|found| found.0 == object).collect();
        assert_eq!(alone.len(), shared.len());
        for (a, b) in alone.iter().zip(shared) {
            assert_eq!((a.1, &a.2, a.3), (b.1, &b.2, b.3), "object {object}");
        }
    }
}
