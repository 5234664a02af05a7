//! The component contract: which tensors every component must have, from the dimensions alone.
//!
//! The table in `docs/bundle-format.md` is the same thing in prose.

use super::manifest::{Family, Manifest};
use super::{BundleError, ComponentEntry};
use crate::tensor::{DType, TensorSpec};

/// Label of the reference implementation's padding point.
pub const LABEL_PADDING: i32 = -1;
/// Label of an unused prompt slot.
pub const LABEL_UNUSED: i32 = -10;

/// The parts of a model that are run one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Image to features, once per frame.
    ImageEncoder,
    /// Points or a box to a mask on the prompted frame.
    PromptDecoder,
    /// A mask to a memory, on the frame prompted by points or a box.
    MemoryEncoder,
    /// A mask prompt to pointer and memory.
    MaskPrompt,
    /// Memory attention, mask decoder and memory encoder of a tracked frame.
    TrackStep,
}

impl Component {
    /// All components, in the order of the contract.
    pub const ALL: [Self; 5] = [
        Self::ImageEncoder,
        Self::PromptDecoder,
        Self::MemoryEncoder,
        Self::MaskPrompt,
        Self::TrackStep,
    ];

    /// The name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageEncoder => "image_encoder",
            Self::PromptDecoder => "prompt_decoder",
            Self::MemoryEncoder => "memory_encoder",
            Self::MaskPrompt => "mask_prompt",
            Self::TrackStep => "track_step",
        }
    }

    /// The tensors the contract asks for, inputs then outputs.
    pub fn tensors(self, manifest: &Manifest) -> (Vec<TensorSpec>, Vec<TensorSpec>) {
        let d = &manifest.dims;
        let (b, c, g) = (
            manifest.objects_per_batch,
            d.hidden,
            manifest.feature_side(),
        );
        let f = |name: &str, shape: &[usize]| TensorSpec {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: shape.to_vec(),
        };
        let i = |name: &str, shape: &[usize]| TensorSpec {
            dtype: DType::I32,
            ..f(name, shape)
        };
        let features = || {
            vec![
                f("feat", &[1, c, g, g]),
                f("feat_s0", &[1, c / 8, 4 * g, 4 * g]),
                f("feat_s1", &[1, c / 4, 2 * g, 2 * g]),
            ]
        };
        let attended = || f("feat_attended", &[1, g * g, c]);
        let mask = || f("mask", &[b, 1, 4 * g, 4 * g]);
        let memory = || f("mem_out", &[b, d.tokens_per_memory, d.memory]);
        let decoded = || {
            vec![
                mask(),
                f("iou", &[b, 1]),
                f("obj_ptr", &[b, c]),
                f("obj_score", &[b, 1]),
            ]
        };
        let with = |mut list: Vec<TensorSpec>, more: Vec<TensorSpec>| {
            list.extend(more);
            list
        };
        match self {
            Self::ImageEncoder => {
                let s = manifest.image_size;
                let mut outputs = features();
                outputs.rotate_left(1);
                outputs.push(attended());
                (vec![f("image", &[1, 3, s, s])], outputs)
            }
            Self::PromptDecoder => (
                with(
                    features(),
                    vec![
                        f("points", &[b, d.prompt_slots, 2]),
                        i("labels", &[b, d.prompt_slots]),
                        f("multimask", &[b]),
                    ],
                ),
                decoded(),
            ),
            Self::MemoryEncoder => (
                vec![
                    f("feat", &[1, c, g, g]),
                    mask(),
                    f("obj_score", &[b, 1]),
                    f("from_prompt", &[b]),
                ],
                vec![memory()],
            ),
            Self::MaskPrompt => {
                let s = manifest.image_size;
                (
                    vec![f("feat", &[1, c, g, g]), f("mask_input", &[b, 1, s, s])],
                    with(decoded(), vec![memory()]),
                )
            }
            Self::TrackStep => {
                let (m, p) = (d.memory_slots, d.pointer_slots);
                (
                    with(
                        features(),
                        vec![
                            attended(),
                            f("mem", &[b, m, d.tokens_per_memory, d.memory]),
                            i("mem_tpos", &[b, m]),
                            f("mem_valid", &[b, m]),
                            f("ptr", &[b, p, c]),
                            f("ptr_tpos", &[b, p]),
                            f("ptr_valid", &[b, p]),
                        ],
                    ),
                    with(decoded(), vec![memory()]),
                )
            }
        }
    }
}

/// Checks a manifest's values and declared tensors against the contract.
pub(super) fn check(bundle: &str, manifest: &Manifest) -> Result<(), BundleError> {
    check_values(bundle, manifest)?;
    check_image_size(bundle, manifest.family, manifest.image_size)?;
    for component in Component::ALL {
        let entry = manifest
            .component
            .iter()
            .find(|entry| entry.name == component.name())
            .ok_or_else(|| BundleError::MissingComponent {
                bundle: bundle.to_owned(),
                component: component.name().to_owned(),
            })?;
        let (inputs, outputs) = component.tensors(manifest);
        same_tensors(bundle, entry, "input", &entry.inputs, &inputs)?;
        same_tensors(bundle, entry, "output", &entry.outputs, &outputs)?;
    }
    Ok(())
}

fn check_values(bundle: &str, manifest: &Manifest) -> Result<(), BundleError> {
    let refuse = |key: &str, value: String, expected: &str| {
        Err(BundleError::Value {
            bundle: bundle.to_owned(),
            key: key.to_owned(),
            value,
            expected: expected.to_owned(),
        })
    };
    let p = &manifest.preprocess;
    let d = &manifest.dims;
    if p.color_order != "rgb" {
        return refuse(
            "preprocess.color_order",
            p.color_order.clone(),
            "only 'rgb' is known",
        );
    }
    if p.resize != "stretch" {
        return refuse(
            "preprocess.resize",
            p.resize.clone(),
            "only 'stretch' is known",
        );
    }
    if p.interpolation != "bilinear-antialias" {
        return refuse(
            "preprocess.interpolation",
            p.interpolation.clone(),
            "only 'bilinear-antialias' is known",
        );
    }
    if p.std.iter().any(|&s| !s.is_finite() || s <= 0.0) {
        return refuse("preprocess.std", format!("{:?}", p.std), "positive numbers");
    }
    for (key, value, least) in [
        ("objects_per_batch", manifest.objects_per_batch, 1),
        ("dims.hidden", d.hidden, 8),
        ("dims.memory", d.memory, 1),
        ("dims.tokens_per_memory", d.tokens_per_memory, 1),
        ("dims.memory_slots", d.memory_slots, 2),
        ("dims.pointer_slots", d.pointer_slots, 2),
        ("dims.prompt_slots", d.prompt_slots, 3),
    ] {
        if value < least || value > 1 << 20 {
            return refuse(key, value.to_string(), &format!("{least} to 1048576"));
        }
    }
    if !d.hidden.is_multiple_of(8) {
        return refuse("dims.hidden", d.hidden.to_string(), "a multiple of 8");
    }
    Ok(())
}

/// EdgeTAM's perceiver splits the feature map into a fixed grid of windows, which needs multiples
/// of 256; SAM 2's feature maps need multiples of 32.
pub(super) fn check_image_size(
    bundle: &str,
    family: Family,
    size: usize,
) -> Result<(), BundleError> {
    let (step, allowed) = match family {
        Family::EdgeTam => (256, "multiples of 256 from 256 to 4096"),
        Family::Sam2 => (32, "multiples of 32 from 32 to 4096"),
    };
    if size == 0 || size > 4096 || !size.is_multiple_of(step) {
        return Err(BundleError::ImageSize {
            bundle: bundle.to_owned(),
            family: family.to_string(),
            size,
            allowed: allowed.to_owned(),
        });
    }
    Ok(())
}

fn same_tensors(
    bundle: &str,
    entry: &ComponentEntry,
    role: &str,
    found: &[TensorSpec],
    expected: &[TensorSpec],
) -> Result<(), BundleError> {
    let differ = |found: String, expected: String| BundleError::Contract {
        bundle: bundle.to_owned(),
        component: entry.name.clone(),
        found,
        expected,
    };
    for want in expected {
        match found.iter().find(|spec| spec.name == want.name) {
            Some(have) if have == want => {}
            Some(have) => return Err(differ(format!("{role} {have}"), want.to_string())),
            None => {
                return Err(differ(
                    format!("no {role} '{}'", want.name),
                    want.to_string(),
                ));
            }
        }
    }
    match found
        .iter()
        .find(|spec| expected.iter().all(|want| want.name != spec.name))
    {
        Some(extra) => Err(differ(
            format!("a further {role} {extra}"),
            "none".to_owned(),
        )),
        None => Ok(()),
    }
}
