//! Compiles model exports into engines when asked to.
//!
//! With `MASKLET_EXPORTS` naming a folder of bundles and TensorRT on this machine, building masklet
//! builds their engines, through the same code as `masklet build` and into the same folder. One
//! line reports what was built or why nothing was, and one each bundle that failed. Engines are not
//! built for a foreign target. A machine without TensorRT builds masklet all the same,
//! unless `MASKLET_REQUIRE_ENGINES=1`.

use masklet_engines::bundle::{Bundle, BundleStore};
use masklet_engines::engine::{
    BuildHost, BuildSettings, BuildWatch, Built, EngineStore, build_bundle,
    parse_compute_capabilities,
};
use masklet_engines::tensorrt::BuildProgress;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

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
        Ok(done) => {
            println!("cargo::warning={}", done.line);
            for failure in &done.failures {
                println!("cargo::warning={failure}");
            }
            if required && !done.failures.is_empty() {
                return Err(done.failures.join("; ").into());
            }
        }
        // As text: cargo shows what main returns with its debug form.
        Err(error) if required => return Err(error.to_string().into()),
        Err(error) => println!("cargo::warning=no engines built: {error}"),
    }
    Ok(())
}

/// What was built, and which bundles failed.
struct Done {
    line: String,
    failures: Vec<String>,
}

/// Builds what is missing of every bundle; one that fails does not stop the others.
fn engines(exports: &Path) -> Result<Done, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", exports.display());
    let (host, target) = (std::env::var("HOST")?, std::env::var("TARGET")?);
    if host != target {
        return Err(format!(
            "masklet is compiled for {target} on {host}, and engines are built where they run: \
             masklet build does it there"
        )
        .into());
    }
    let settings = BuildSettings {
        compute_capabilities: variable("MASKLET_COMPUTE_CAPABILITY")
            .map(|text| parse_compute_capabilities(&text))
            .transpose()?,
        ..BuildSettings::default()
    };
    // Asked first: without TensorRT there is no need to read hundreds of megabytes.
    let host = BuildHost::find(&settings)?;
    let store = EngineStore::open(None);
    let counts = Counts::default();
    let mut failures = Vec::new();
    for (folder, _) in BundleStore::new(Some(exports.to_owned())).list_each()? {
        // The embedded bundle has no folder and is built only on request (masklet build).
        let Some(folder) = folder else { continue };
        println!(
            "cargo::rerun-if-changed={}",
            folder.join("bundle.toml").display()
        );
        let built = Bundle::open(&folder)
            .map_err(|error| error.to_string())
            .and_then(|bundle| {
                build_bundle(&store, &host, &bundle, &settings, &counts)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = built {
            failures.push(format!("{}: {error}", folder.display()));
        }
    }
    let line = format!(
        "{} engines built, {} up to date, {} bundles failed, with {} {} for {} in {}",
        counts.new.load(Ordering::Relaxed),
        counts.unchanged.load(Ordering::Relaxed),
        failures.len(),
        host.library().flavour(),
        host.library().full_version(),
        host.describe_target(),
        store.folder().display()
    );
    Ok(Done { line, failures })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Counts engines, those of a bundle that failed later included; cargo shows a build script's output
/// only at its end.
#[derive(Default)]
struct Counts {
    new: AtomicUsize,
    unchanged: AtomicUsize,
}

impl BuildProgress for Counts {
    fn start(&self, _: &str, _: &str, _: u32) {}
    fn step(&self, _: &str, _: u32) -> bool {
        true
    }
    fn finish(&self, _: &str) {}
}

impl BuildWatch for Counts {
    fn waiting(&self) {}
    fn component(&self, _: &str, _: usize, _: usize, _: Option<f64>) {}
    fn done(&self, built: &Built) {
        let counter = if built.new {
            &self.new
        } else {
            &self.unchanged
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
