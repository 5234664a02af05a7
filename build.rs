//! Compiles model exports into engines when asked to.
//!
//! With `MASKLET_EXPORTS` naming a folder of bundles and TensorRT on this machine, building masklet
//! builds their engines, through the same code as `masklet build` and into the same folder. One
//! line says what was done or why not. A machine without TensorRT builds masklet all the same,
//! unless `MASKLET_REQUIRE_ENGINES=1`.

use masklet_engines::bundle::{Bundle, BundleStore};
use masklet_engines::engine::{
    BuildHost, BuildSettings, BuildWatch, EngineStore, build_bundle, parse_compute_capabilities,
};
use masklet_engines::tensorrt::BuildProgress;
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    for name in [
        "MASKLET_EXPORTS",
        "MASKLET_ENGINES",
        "MASKLET_REQUIRE_ENGINES",
        "MASKLET_COMPUTE_CAPABILITY",
        "MASKLET_TENSORRT_LIB",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let required = variable("MASKLET_REQUIRE_ENGINES").is_some_and(|value| value != "0");
    let Some(exports) = variable("MASKLET_EXPORTS").map(PathBuf::from) else {
        if required {
            return Err(
                "MASKLET_REQUIRE_ENGINES is set, but MASKLET_EXPORTS names no exports".into(),
            );
        }
        return Ok(());
    };
    match engines(&exports) {
        Ok(line) => println!("cargo::warning={line}"),
        // As text: cargo shows what main returns with its debug form.
        Err(error) if required => return Err(error.to_string().into()),
        Err(error) => println!("cargo::warning=no engines built: {error}"),
    }
    Ok(())
}

/// Builds what is missing; the line says what was done.
fn engines(exports: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", exports.display());
    let settings = BuildSettings {
        compute_capabilities: variable("MASKLET_COMPUTE_CAPABILITY")
            .map(|text| parse_compute_capabilities(&text))
            .transpose()?,
        ..BuildSettings::default()
    };
    // Asked first: without TensorRT there is no need to read hundreds of megabytes.
    let host = BuildHost::find(&settings)?;
    let store = EngineStore::open(None);
    let (mut new, mut there) = (0, 0);
    for (folder, _) in BundleStore::new(Some(exports.to_owned())).list()? {
        // The embedded bundle has no folder and is built only on request (masklet build).
        let Some(folder) = folder else { continue };
        println!(
            "cargo::rerun-if-changed={}",
            folder.join("bundle.toml").display()
        );
        let bundle = Bundle::open(&folder)?;
        for built in build_bundle(&store, &host, &bundle, &settings, &Silent)? {
            if built.new {
                new += 1;
            } else {
                there += 1;
            }
        }
    }
    Ok(format!(
        "{new} engines built, {there} up to date, with {} {} for {} in {}",
        host.library().flavour(),
        host.library().full_version(),
        host.describe_target(),
        store.folder().display()
    ))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Cargo shows a build script's output only at its end.
struct Silent;

impl BuildProgress for Silent {
    fn start(&self, _: &str, _: &str, _: u32) {}
    fn step(&self, _: &str, _: u32) -> bool {
        true
    }
    fn finish(&self, _: &str) {}
}

impl BuildWatch for Silent {
    fn waiting(&self) {}
    fn component(&self, _: &str, _: usize, _: usize) {}
}
