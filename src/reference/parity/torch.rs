//! PyTorch as the reference: the recorded calls go to Python and its outputs come back.
//!
//! Tensors are exchanged in safetensors files, named `<call>.<tensor>`. Python computes every
//! component with the exporter's modules over the parameters of transformers' model, in fp32; that
//! these modules compute what transformers' own session computes is what the exporter checks before
//! it writes a bundle. The clip runs through that session itself.

use super::{Call, ClipRun, ParityError, Values};
use crate::dataset::prompts::{Prompt, PromptKind};
use crate::dataset::{ObjectTrack, Split};
use crate::process::Subprocess;
use crate::reference::baseline::process::python_module;
use masklet_engines::bundle::{Bundle, Component, Manifest};
use masklet_engines::tensor::TensorSpec;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to do where Python or one of its packages is missing.
const INTERPRETER: &str = "give --python or MASKLET_PYTHON an interpreter with the packages of \
                           tools/export/requirements.txt (`tools/setup --python` makes one)";
/// Module of `tools/export` that answers.
const MODULE: &str = "masklet_export.replay";
/// Lines of Python's own words that an error repeats.
const LAST_WORDS: usize = 6;

/// Where Python and the exporter are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torch {
    /// The interpreter, with the packages of `tools/export/requirements.txt`.
    pub python: PathBuf,
    /// The `tools` folder of the sources.
    pub tools: PathBuf,
    /// Weights file of a bundle that has none beside it (`weights.safetensors`).
    pub weights: Option<PathBuf>,
    /// `cpu` or `cuda`.
    pub device: String,
}

/// What PyTorch gave.
#[derive(Clone, Debug, PartialEq)]
pub struct TorchOutputs {
    /// Outputs of every call, in the contract's order.
    pub outputs: Vec<Vec<Values>>,
    /// Version and device.
    pub runtime: String,
}

impl Torch {
    /// Computes `calls` of `bundle`; `folder` takes the exchanged files.
    ///
    /// # Errors
    /// When Python does not run, has no weights for the bundle, or gives something else.
    pub fn replay(
        &self,
        bundle: &Bundle,
        calls: &[Call],
        folder: &Path,
    ) -> Result<TorchOutputs, ParityError> {
        let given = folder.join("inputs.safetensors");
        let wanted = folder.join("outputs.safetensors");
        write(&given, &pack(bundle.manifest(), calls, &given)?)?;
        let mut command = self.command(bundle, folder)?;
        command.arg("--inputs").arg(&given);
        command.arg("--outputs").arg(&wanted);
        self.say(&mut command)?;
        let bytes = std::fs::read(&wanted).map_err(|e| exchange(&wanted, e))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| exchange(&wanted, e))?;
        let header = SafeTensors::read_metadata(&bytes).map_err(|e| exchange(&wanted, e))?;
        let notes = header.1.metadata().clone().unwrap_or_default();
        let outputs = calls
            .iter()
            .enumerate()
            .map(|(index, call)| unpack(bundle.manifest(), &file, index, call.component, &wanted))
            .collect::<Result<_, _>>()?;
        Ok(TorchOutputs {
            outputs,
            runtime: notes
                .get("runtime")
                .cloned()
                .unwrap_or_else(|| "PyTorch".to_owned()),
        })
    }

    /// Tracks the objects of `split` with transformers' own session, under the prompts and over the
    /// frames of `ours`; masks go below `masks`.
    ///
    /// # Errors
    /// As for [`Self::replay`].
    pub fn track(
        &self,
        bundle: &Bundle,
        split: &Split,
        ours: &ClipRun,
        masks: &Path,
        folder: &Path,
    ) -> Result<ClipRun, ParityError> {
        let mut objects = ours.objects.clone();
        let mut videos = Vec::new();
        for video in &split.videos {
            let mut rows = Vec::new();
            for (index, clip) in objects.iter_mut().enumerate() {
                if clip.video != video.id {
                    continue;
                }
                for path in clip.frames.values_mut() {
                    let inside = path.strip_prefix(&ours.masks).unwrap_or(path.as_path());
                    *path = masks.join(inside);
                }
                let track = video.objects.iter().find(|track| track.id == clip.object);
                let found = track.map(ObjectTrack::prompt_frame).transpose()?;
                let kind = clip.prompt.parse::<PromptKind>().ok();
                let prompt = found
                    .as_ref()
                    .zip(kind)
                    .and_then(|(found, kind)| Prompt::from_mask(kind, &found.mask));
                let (Some(found), Some(prompt)) = (found, prompt) else {
                    continue;
                };
                let mut row = prompt_row(&prompt, &folder.join(format!("prompt_{index}.png")))?;
                row["frame"] = found.frame.into();
                row["files"] = clip
                    .frames
                    .iter()
                    .map(|(frame, path)| (frame.to_string(), path.display().to_string().into()))
                    .collect::<serde_json::Map<_, Value>>()
                    .into();
                rows.push(row);
            }
            let last = objects
                .iter()
                .filter(|clip| clip.video == video.id)
                .filter_map(|clip| clip.frames.keys().next_back())
                .max();
            let frames: Vec<String> = video
                .frames
                .iter()
                .take(last.map_or(0, |last| last + 1))
                .map(|path| path.display().to_string())
                .collect();
            videos.push(json!({ "frames": frames, "objects": rows }));
        }
        let list = folder.join("clip.json");
        write(&list, Value::from(videos).to_string().as_bytes())?;
        let mut command = self.command(bundle, folder)?;
        command.arg("--clip").arg(&list);
        self.say(&mut command)?;
        Ok(ClipRun {
            side: "PyTorch".to_owned(),
            masks: masks.to_owned(),
            objects,
        })
    }

    /// Python with the arguments that both comparisons take.
    fn command(&self, bundle: &Bundle, folder: &Path) -> Result<Command, ParityError> {
        let manifest = folder.join("manifest.json");
        let text = serde_json::to_string(bundle.manifest()).map_err(|e| exchange(&manifest, e))?;
        write(&manifest, text.as_bytes())?;
        let mut command = python_module(&self.python, MODULE, [self.tools.join("export")]);
        command
            .arg("--manifest")
            .arg(&manifest)
            .args(["--device", &self.device]);
        let beside = bundle.folder().map(|at| at.join("weights.safetensors"));
        let beside = beside.filter(|file| file.is_file());
        if let Some(weights) = self.weights.clone().or(beside) {
            command.arg("--weights").arg(weights);
        }
        Ok(command)
    }

    fn say(&self, command: &mut Command) -> Result<(), ParityError> {
        let failed = |reason: String| ParityError::Python {
            command: format!("{} -m {MODULE}", self.python.display()),
            reason,
        };
        let done = Subprocess::output(command, b"", None)
            .map_err(|e| failed(format!("{e}; {INTERPRETER}")))?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_WORDS)..];
        let last: String = last.iter().map(|line| format!("\n  {line}")).collect();
        // An emulator starts a program that is not there, which ends without a word.
        let other_python = lines.is_empty() || said.contains("ModuleNotFoundError");
        let advice = match other_python {
            true => format!("; {INTERPRETER}"),
            false => String::new(),
        };
        Err(failed(format!("{}{advice}{last}", done.status)))
    }
}

/// A prompt in pixels of the video, as Python takes it; a mask is written to `file`.
fn prompt_row(prompt: &Prompt, file: &Path) -> Result<Value, ParityError> {
    Ok(match prompt {
        Prompt::Points { points, labels } => {
            let marks = points.iter().zip(labels);
            let marks: Vec<Value> = marks.map(|((x, y), label)| json!([x, y, label])).collect();
            json!({ "points": marks })
        }
        Prompt::Box {
            x_min,
            y_min,
            x_max,
            y_max,
        } => json!({ "box": [x_min, y_min, x_max, y_max] }),
        Prompt::Mask(mask) => {
            crate::media::image::write_mask_png(file, mask)?;
            json!({ "mask": file.display().to_string() })
        }
    })
}

fn exchange(path: &Path, error: impl std::fmt::Display) -> ParityError {
    ParityError::Exchange {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ParityError> {
    std::fs::write(path, bytes).map_err(|source| ParityError::Write {
        path: path.display().to_string(),
        source,
    })
}

/// `12.track_step.mem`: index of the call, component, tensor.
fn name(call: usize, component: Component, spec: &TensorSpec) -> String {
    format!("{call}.{}.{}", component.name(), spec.name)
}

fn pack(manifest: &Manifest, calls: &[Call], path: &Path) -> Result<Vec<u8>, ParityError> {
    let mut kept: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let (inputs, _) = call.component.tensors(manifest);
        for (spec, value) in inputs.iter().zip(&call.inputs) {
            let (dtype, bytes) = match value {
                Values::F32(values) => (
                    Dtype::F32,
                    values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                ),
                Values::I32(values) => (
                    Dtype::I32,
                    values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                ),
            };
            kept.push((
                name(index, call.component, spec),
                dtype,
                spec.shape.clone(),
                bytes,
            ));
        }
    }
    let views = kept
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.clone(), view))
        })
        .collect::<Result<HashMap<_, _>, _>>()
        .map_err(|e| exchange(path, e))?;
    safetensors::serialize(&views, None).map_err(|e| exchange(path, e))
}

fn unpack(
    manifest: &Manifest,
    file: &SafeTensors<'_>,
    index: usize,
    component: Component,
    path: &Path,
) -> Result<Vec<Values>, ParityError> {
    let (_, outputs) = component.tensors(manifest);
    outputs
        .iter()
        .map(|spec| {
            let tensor = file
                .tensor(&name(index, component, spec))
                .map_err(|e| exchange(path, e))?;
            if tensor.dtype() != Dtype::F32 {
                return Err(exchange(
                    path,
                    format!("'{}' is {:?}, F32 is expected", spec.name, tensor.dtype()),
                ));
            }
            let four = tensor.data().chunks_exact(4);
            let values = four.map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]));
            Ok(Values::F32(values.collect()))
        })
        .collect()
}
