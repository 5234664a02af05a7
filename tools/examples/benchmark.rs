//! A benchmark through the library: the embedded model on a synthetic split, J&F at the end.
//!
//! `cargo run --release --example benchmark`

use masklet::benchmark::{Benchmark, Events, Spec, VideoBegan};
use masklet::dataset::synth::{Recipe, make};
use std::error::Error;
use std::path::Path;

/// Prints every video as it begins.
struct Told;

impl Events for Told {
    fn video_began(&mut self, video: &VideoBegan<'_>) {
        println!("{}: {} frames", video.video, video.frames);
    }
}

/// Makes a split in `folder` and runs the default model on it; J&F in percent.
pub fn run(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let recipe = Recipe {
        videos: 2,
        frames: 12,
        ..Recipe::default()
    };
    make(&folder.join("split"), &recipe, false)?;
    let mut spec = Spec::default();
    spec.pinned.data.split_dir = Some(folder.join("split"));
    spec.free.out_dir = Some(folder.join("run"));
    let outcome = Benchmark::execute(&spec, &mut Told)?;
    let scores = outcome.summary.models.first();
    let scores = scores.and_then(|model| model.official_percent.as_ref());
    Ok(scores.ok_or("no object was scored")?.jf)
}

#[allow(dead_code)] // The tests call `run`.
fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("masklet-example-{}", std::process::id()));
    println!("J&F {:.1} %", run(&folder)?);
    Ok(std::fs::remove_dir_all(folder)?)
}
