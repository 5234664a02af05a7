//! Builds an engine from an ONNX file.
//!
//! `build MODEL.onnx ENGINE.plan [--library FOLDER] [--compute-capability X.Y]`
//!
//! Without `--compute-capability` the engine is for the GPU of this machine; with it TensorRT-RTX is
//! used, which needs no GPU to build.

use std::error::Error;
use std::path::PathBuf;
use tensorrt_rs::{
    BuildOptions, Builder, Flavour, Library, LoadOptions, ProfilingVerbosity, Target, Unwatched,
};

const USAGE: &str =
    "usage: build MODEL.onnx ENGINE.plan [--library FOLDER] [--compute-capability X.Y]";

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run(std::env::args().skip(1))?);
    Ok(())
}

/// Does what the arguments ask for; returns a line about the engine.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    let mut load = LoadOptions::default();
    let mut target = Target::Current;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--library" => load.folder = Some(PathBuf::from(arguments.next().ok_or(USAGE)?)),
            "--compute-capability" => {
                let text = arguments.next().ok_or(USAGE)?;
                let (major, minor) = text.split_once('.').ok_or(USAGE)?;
                target = Target::Capabilities(vec![(major.parse()?, minor.parse()?)]);
                load.flavour = Some(Flavour::Rtx);
            }
            _ => files.push(PathBuf::from(argument)),
        }
    }
    let [model, engine] = files.as_slice() else {
        return Err(USAGE.into());
    };
    let library = Library::load(&load)?;
    let plan = Builder::new(&library)?.build(
        &model.display().to_string(),
        &std::fs::read(model)?,
        &BuildOptions {
            workspace_bytes: 1 << 30,
            profiling: ProfilingVerbosity::LayerNames,
            optimization_level: None,
            tf32: false,
            target,
        },
        &Unwatched,
    )?;
    std::fs::write(engine, &plan.bytes)?;
    let tensors: Vec<String> = plan
        .tensors
        .iter()
        .map(|t| format!("{} {} {:?}", t.name, t.data_type, t.shape))
        .collect();
    Ok(format!(
        "{} bytes in {:.1} s with {} {}: {}",
        plan.bytes.len(),
        plan.took.as_secs_f64(),
        library.flavour(),
        library.full_version(),
        tensors.join(", ")
    ))
}
