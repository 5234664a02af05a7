//! `masklet parity`: does a backend compute what a reference computes?

use super::options::{ResourceArgs, UsageError};
use crate::dataset::prompts::PromptKind;
use crate::dataset::synth::{Recipe, make};
use crate::dataset::{Split, SplitOptions};
use crate::reference::baseline::find_tools;
use crate::reference::parity::torch::Torch;
use crate::reference::parity::{
    ClipSide, Differences, ParityError, ParityReport, Recorder, Recording, Side, Tolerance,
    clip_differences, replay, track,
};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use masklet_engines::backend::{Backend, BackendInfo, Pair, Selection};
use masklet_engines::bundle::{Bundle, Precision, WeightSource};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Kinds of prompts that between them run every component.
const PROMPTS: [PromptKind; 3] = [PromptKind::Points, PromptKind::Bbox, PromptKind::Mask];

/// `masklet parity`.
#[derive(Debug, Args)]
pub struct ParityArgs {
    /// Folder of the bundle; without it the embedded one.
    bundle: Option<PathBuf>,
    /// What the bundle is compared with.
    #[arg(long, default_value = "cpu", value_parser = against_parser(), value_name = "WHAT")]
    against: Against,
    /// Bundle of the reference, where it is another one: the fp32 export beside a bf16 one.
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Frames of the clip, counted from each object's prompt.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    frames: u16,
    /// Calls of every component that are compared, spread over the clip.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    calls: u16,
    /// The first video of this split instead of a synthetic one.
    #[arg(long, value_name = "DIR")]
    split_dir: Option<PathBuf>,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    torch: TorchArgs,
    /// Write everything that was found to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What a bundle is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    /// A device with a runtime, by the name that rows of results have for it.
    Pair(Pair),
    /// transformers' model in PyTorch.
    Pytorch,
}

fn against_parser() -> impl TypedValueParser<Value = Against> {
    let pairs = Selection::default().pairs().unwrap_or_default();
    let names: Vec<&'static str> = pairs.iter().map(|pair| pair.label()).collect();
    let values = names.into_iter().chain(["pytorch"]);
    PossibleValuesParser::new(values).map(move |name| {
        let pair = pairs.iter().find(|pair| pair.label() == name);
        pair.map_or(Against::Pytorch, |pair| Against::Pair(*pair))
    })
}

/// Where PyTorch is.
#[derive(Debug, Args)]
#[command(next_help_heading = "PyTorch")]
struct TorchArgs {
    /// Python with the packages of tools/export/requirements.txt.
    #[arg(
        long,
        env = "MASKLET_PYTHON",
        default_value = "python3",
        value_name = "FILE"
    )]
    python: PathBuf,
    /// The tools folder of masklet's sources [default: found around this program or the working
    /// directory].
    #[arg(long, env = "MASKLET_TOOLS", value_name = "DIR")]
    tools: Option<PathBuf>,
    /// Weights of the bundle, where it was not exported with --keep-weights.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Where PyTorch computes components; the clip always runs on its CPU.
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda"], value_name = "DEVICE")]
    torch_device: String,
}

/// Runs the command: 0 when both sides agree, 1 when they do not.
///
/// # Errors
/// When a side cannot run.
pub fn parity(args: &ParityArgs) -> anyhow::Result<u8> {
    let candidate = open(args.bundle.as_deref())?;
    let inner = open_candidate(args, &candidate)?;
    let folder = work_folder()?;
    let split = split(args, folder.path())?;
    let options = args.resources.backend_options();
    let recording = Recording::default();
    let info = inner.info();
    let frames = usize::from(args.frames);
    let described = side(&candidate, describe(&info));
    let manifest = candidate.manifest().clone();
    let ours = track(
        ClipSide {
            bundle: candidate,
            backend: Recorder::on(inner, recording.clone()),
            name: info.label(),
        },
        &split,
        &PROMPTS,
        frames,
        &folder.path().join("candidate"),
        Some((&recording, usize::from(args.calls))),
    )?;
    let calls = recording.end();
    let reference_path = args.reference.as_deref().or(args.bundle.as_deref());
    let reference = open(reference_path)?;
    same_shapes(&manifest, reference.manifest())?;
    let masks = folder.path().join("reference");
    let (outputs, theirs, other) = match args.against {
        Against::Pair(pair) => {
            let replaying = pair.open(&reference, &options)?;
            let runtime = describe(&replaying.info());
            let outputs = replay(&replaying, reference.manifest(), &calls)?;
            drop(replaying);
            let tracking = pair.open(&reference, &options)?;
            let other = side(&reference, runtime);
            let clip_side = ClipSide {
                name: tracking.info().label(),
                bundle: reference,
                backend: tracking,
            };
            let theirs = track(clip_side, &split, &PROMPTS, frames, &masks, None)?;
            (outputs, theirs, other)
        }
        Against::Pytorch => {
            let torch = Torch {
                python: args.torch.python.clone(),
                tools: match &args.torch.tools {
                    Some(tools) => tools.clone(),
                    None => find_tools("export", "masklet_export/replay.py")?,
                },
                weights: args.torch.weights.clone(),
                device: args.torch.torch_device.clone(),
            };
            let done = torch.replay(&reference, &calls, folder.path())?;
            let theirs = torch.track(&reference, &split, &ours, &masks, folder.path())?;
            let mut other = side(&reference, done.runtime);
            other.bundle = format!("transformers' {} in fp32", manifest.name);
            (done.outputs, theirs, other)
        }
    };
    let random = manifest.weights.source == WeightSource::RandomInit;
    let report = ParityReport {
        candidate: described,
        reference: other,
        simulated: info.simulated,
        precision: manifest.precision.to_string(),
        tolerance: Tolerance::of(manifest.precision),
        clip_is_judged: manifest.precision == Precision::Fp32 || !random,
        components: Differences::of(&manifest, &calls, &outputs)?,
        clip: clip_differences(&ours, &theirs)?,
    };
    super::print_blocks(&report.document())?;
    if let Some(path) = &args.json {
        let mut value = serde_json::to_value(&report)?;
        value["failures"] = report.failures().into();
        let text = serde_json::to_string_pretty(&value)? + "\n";
        crate::files::write_named(path, text.as_bytes()).map_err(|source| ParityError::Write {
            path: path.display().to_string(),
            source,
        })?;
    }
    Ok(u8::from(!report.failures().is_empty()))
}

fn open(folder: Option<&Path>) -> anyhow::Result<Bundle> {
    Ok(match folder {
        Some(folder) => Bundle::open(folder)?,
        None => Bundle::embedded()?,
    })
}

/// The backend in question; refuses to compare something with itself.
fn open_candidate(args: &ParityArgs, candidate: &Bundle) -> anyhow::Result<Backend> {
    let selection = args.resources.pair.selection();
    let opened = selection.open(&[candidate], &args.resources.backend_options())?;
    let itself = args.against == Against::Pair(opened.pair)
        && (args.reference.is_none() || args.reference == args.bundle);
    if itself {
        let why: Vec<String> = opened
            .passed_over
            .iter()
            .map(|(_, error)| format!("; {error}"))
            .collect();
        return Err(UsageError(format!(
            "both sides would be {} on the same bundle: compare with --against pytorch, choose \
             another --runtime, or give another bundle with --reference{}",
            opened.pair.label(),
            why.concat()
        ))
        .into());
    }
    opened
        .backends
        .into_iter()
        .next()
        .ok_or_else(|| UsageError("there is no bundle".to_owned()).into())
}

/// Recorded inputs fit the reference only where both have the same tensors.
fn same_shapes(
    a: &masklet_engines::bundle::Manifest,
    b: &masklet_engines::bundle::Manifest,
) -> Result<(), ParityError> {
    let fields: [(&'static str, String, String); 5] = [
        ("model", a.name.clone(), b.name.clone()),
        (
            "image size",
            a.image_size.to_string(),
            b.image_size.to_string(),
        ),
        (
            "objects per batch",
            a.objects_per_batch.to_string(),
            b.objects_per_batch.to_string(),
        ),
        (
            "dimensions",
            format!("{:?}", a.dims),
            format!("{:?}", b.dims),
        ),
        ("weights", a.weights.describe(), b.weights.describe()),
    ];
    for (field, left, right) in fields {
        if left != right {
            return Err(ParityError::Unlike {
                candidate: format!("{} {}", a.name, a.precision),
                reference: format!("{} {}", b.name, b.precision),
                field,
                left,
                right,
            });
        }
    }
    Ok(())
}

fn describe(info: &BackendInfo) -> String {
    let threads = info
        .threads
        .map_or_else(String::new, |n| format!(", {n} threads"));
    format!("{} on {}{threads}", info.runtime, info.device)
}

fn side(bundle: &Bundle, runtime: String) -> Side {
    let m = bundle.manifest();
    Side {
        bundle: format!("{} {} at {}", m.name, m.precision, m.image_size),
        runtime,
        weights: m.weights.describe(),
    }
}

/// The clip: the first video of a split, or a small synthetic one.
fn split(args: &ParityArgs, folder: &Path) -> anyhow::Result<Split> {
    let mut options = SplitOptions {
        limit_videos: 1,
        ..SplitOptions::default()
    };
    if let Some(path) = &args.split_dir {
        return Ok(Split::open(path, &options)?);
    }
    let path = folder.join("split");
    let recipe = Recipe {
        videos: 1,
        frames: usize::from(args.frames).max(8),
        objects: Some(2),
        ..Recipe::default()
    };
    make(&path, &recipe, true)?;
    options.split_name = Some(recipe.split_name);
    Ok(Split::open(&path, &options)?)
}

/// A folder of a random name that only this user can enter, for exchanged files; removed in the end.
fn work_folder() -> Result<TempDir, ParityError> {
    let made = tempfile::Builder::new().prefix("masklet-parity-").tempdir();
    made.map_err(|source| ParityError::Write {
        path: std::env::temp_dir().display().to_string(),
        source,
    })
}
