//! `masklet build`: compiles bundles into engines for this device, once.

use super::engines::EnginesDir;
use super::options::{UsageError, parse_size};
use super::print;
use crate::dataset::prompts::ModelTag;
use crate::figures::stats::bytes;
use crate::render::{Block, Cell, Table};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use masklet_engines::bundle::{Bundle, BundleError, BundleStore, Precision};
use masklet_engines::engine::{
    BuildHost, BuildPlan, BuildSettings, BuildWatch, Built, EngineStore, build_bundle,
    parse_compute_capabilities,
};
use masklet_engines::tensorrt::{BuildProgress, Flavour, ProfilingVerbosity};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Which TensorRT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FlavourArg {
    /// TensorRT (JetPack, data centre).
    Tensorrt,
    /// TensorRT-RTX.
    Rtx,
}

impl From<FlavourArg> for Flavour {
    fn from(arg: FlavourArg) -> Self {
        match arg {
            FlavourArg::Tensorrt => Self::TensorRt,
            FlavourArg::Rtx => Self::Rtx,
        }
    }
}

/// `masklet build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Models to build, by name or by tag; without it every bundle of --exports, or the embedded
    /// one.
    #[arg(long, value_delimiter = ',', value_name = "MODEL,…")]
    pub models: Vec<String>,
    /// Folder of model bundles (see docs/bundle-format.md); without it the embedded bundle.
    #[arg(long, env = "MASKLET_EXPORTS", value_name = "DIR")]
    pub exports: Option<PathBuf>,
    #[command(flatten)]
    pub engines: EnginesDir,
    /// Only bundles of this image side.
    #[arg(long, value_name = "PIXELS")]
    pub imgsz: Option<usize>,
    /// Only bundles of this precision. It is the export's own: TensorRT does not change it.
    #[arg(long, alias = "autocast_dtype", value_enum)]
    pub precision: Option<Precision>,
    /// Most workspace memory that any layer may use (bytes, or with KiB, MiB, GiB).
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "256MiB")]
    pub workspace: usize,
    /// Keep tactic timings in this file instead of in the engines folder.
    #[arg(long, value_name = "FILE")]
    pub timing_cache: Option<PathBuf>,
    /// Build again what is there.
    #[arg(long)]
    pub force: bool,
    /// Build for these GPUs instead of the one that is here: 8.9, or 8.6,8.9, or all. Needs
    /// TensorRT-RTX and no GPU; Orin (8.7) is not among them.
    #[arg(long, env = "MASKLET_COMPUTE_CAPABILITY", value_name = "X.Y,…")]
    pub compute_capability: Option<String>,
    /// Only this TensorRT; without it TensorRT before TensorRT-RTX.
    #[arg(long, value_enum)]
    pub tensorrt: Option<FlavourArg>,
    /// Keep formats and tactics of every layer in the engines, for inspection and profiling.
    #[arg(long)]
    pub detailed: bool,
    /// TensorRT's builder optimisation level (its default is 3): lower builds faster, higher may
    /// run faster.
    #[arg(long, value_name = "0..5", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub optimization_level: Option<u8>,
    /// Let fp32 models use TF32.
    #[arg(long)]
    pub tf32: bool,
    /// No progress.
    #[arg(long)]
    pub quiet: bool,
}

impl BuildArgs {
    fn settings(&self) -> anyhow::Result<BuildSettings> {
        Ok(BuildSettings {
            workspace_bytes: self.workspace as u64,
            profiling: if self.detailed {
                ProfilingVerbosity::Detailed
            } else {
                ProfilingVerbosity::LayerNames
            },
            optimization_level: self.optimization_level,
            tf32: self.tf32,
            compute_capabilities: self
                .compute_capability
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(parse_compute_capabilities)
                .transpose()?,
            flavour: self.tensorrt.map(Flavour::from),
            timing_cache: self.timing_cache.clone(),
            force: self.force,
        })
    }

    /// The bundles asked for.
    fn bundles(&self) -> anyhow::Result<Vec<Bundle>> {
        let precision = self.precision;
        let names: Vec<String> = self
            .models
            .iter()
            .filter(|model| !model.is_empty())
            .map(|model| {
                // `edgetam_points` is a tag of the model `edgetam`.
                model
                    .parse::<ModelTag>()
                    .map_or_else(|_| model.clone(), |tag| tag.model)
            })
            .collect();
        let mut found: Vec<Bundle> = Vec::new();
        let mut there = Vec::new();
        let mut known = Vec::new();
        for (folder, manifest) in BundleStore::new(self.exports.clone()).list()? {
            there.push(format!(
                "{} {} {}",
                manifest.name, manifest.image_size, manifest.precision
            ));
            // Exports win over the embedded bundle, and it is not built unless asked for.
            let embedded = folder.is_none();
            let fits = self.imgsz.is_none_or(|size| size == manifest.image_size)
                && precision.is_none_or(|p| p == manifest.precision)
                && if names.is_empty() {
                    !embedded || self.exports.is_none()
                } else {
                    names.contains(&manifest.name) && !(embedded && known.contains(&manifest.name))
                };
            if fits {
                known.push(manifest.name.clone());
                found.push(match folder {
                    Some(folder) => Bundle::open(&folder)?,
                    None => Bundle::embedded()?,
                });
            }
        }
        if let Some(missing) = names.iter().find(|name| !known.contains(name)) {
            let mut wanted = format!("model '{missing}'");
            if let Some(size) = self.imgsz {
                wanted += &format!(" at image size {size}");
            }
            if let Some(precision) = precision {
                wanted += &format!(" in {precision}");
            }
            return Err(no_bundle(wanted, &self.exports, &there));
        }
        if found.is_empty() {
            return Err(no_bundle("any model".to_owned(), &self.exports, &there));
        }
        Ok(found)
    }
}

fn no_bundle(wanted: String, exports: &Option<PathBuf>, there: &[String]) -> anyhow::Error {
    UsageError(
        BundleError::NotFound {
            wanted,
            place: exports.as_ref().map_or_else(
                || "the embedded bundle (no --exports given)".to_owned(),
                |path| path.display().to_string(),
            ),
            available: there.join(", "),
        }
        .to_string(),
    )
    .into()
}

/// Runs the command.
///
/// # Errors
/// When a bundle is missing or damaged, there is no TensorRT, or a component cannot be built.
pub fn build(args: &BuildArgs) -> anyhow::Result<u8> {
    let settings = args.settings()?;
    let bundles = args.bundles()?;
    let host = BuildHost::find(&settings)?;
    let store = EngineStore::open(args.engines.engines.as_deref());
    print(&format!(
        "Building with {} {} for {} into {}\n",
        host.library().flavour(),
        host.library().full_version(),
        host.describe_target(),
        store.folder().display()
    ))?;
    let watch = Watch::new(args.quiet)?;
    for bundle in &bundles {
        let m = bundle.manifest();
        let missing = BuildPlan::new(&store, &host, bundle, &settings)
            .missing
            .len();
        watch.model(
            &format!("{} {} {}", m.name, m.image_size, m.precision),
            missing,
        );
        let built = build_bundle(&store, &host, bundle, &settings, &watch);
        watch.done();
        super::print_blocks(&table(bundle, &built?))?;
    }
    Ok(0)
}

/// What one bundle's build did, as a table.
fn table(bundle: &Bundle, built: &[Built]) -> Vec<Block> {
    let m = bundle.manifest();
    let size = |value: Option<u64>| Cell::number(value.map_or_else(|| "?".to_owned(), bytes));
    let head = [
        Cell::text("component"),
        Cell::text(""),
        Cell::number("time"),
        Cell::number("engine"),
        Cell::number("weights"),
        Cell::number("scratch"),
        Cell::number("skipped"),
        Cell::number("MemAvailable"),
    ];
    let rows = built.iter().map(|Built { engine, new }| {
        let record = &engine.sidecar.build;
        [
            Cell::text(&engine.sidecar.component),
            Cell::text(if *new { "built" } else { "up to date" }),
            Cell::number(format!("{:.1} s", record.seconds)),
            Cell::number(bytes(engine.sidecar.plan.bytes)),
            size(record.weight_bytes),
            size(record.activation_bytes),
            Cell::number(record.tactics_skipped.to_string()),
            size(record.mem_available_bytes),
        ]
    });
    let mut blocks = vec![
        Block::heading(format!("{} {} {}", m.name, m.image_size, m.precision)),
        Block::Table(Table::new("build", head).with_rows(rows)),
    ];
    let skipped: u64 = built
        .iter()
        .map(|built| built.engine.sidecar.build.tactics_skipped)
        .sum();
    if skipped > 0 {
        blocks.push(Block::Notes(vec![format!(
            "{skipped} tactics were not tried because memory was short: the engines may be slower than \
             they could be. Build again with --force when more memory is free."
        )]));
    }
    blocks
}

/// Progress on a terminal, plain lines elsewhere; a signal ends the build.
struct Watch {
    bar: ProgressBar,
    plain: bool,
    quiet: bool,
    interrupted: Arc<AtomicBool>,
    label: std::sync::Mutex<String>,
}

impl Watch {
    fn new(quiet: bool) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The second signal ends the process at once.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&interrupted))?;
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let bar = ProgressBar::with_draw_target(
            Some(0),
            if quiet {
                ProgressDrawTarget::hidden()
            } else {
                ProgressDrawTarget::stderr()
            },
        );
        bar.set_style(ProgressStyle::with_template(
            "{spinner} {prefix} [{pos}/{len}] {wide_msg} {elapsed}",
        )?);
        let plain = bar.is_hidden();
        Ok(Self {
            bar,
            plain,
            quiet,
            interrupted,
            label: std::sync::Mutex::default(),
        })
    }

    fn model(&self, name: &str, components: usize) {
        self.bar.set_prefix(name.to_owned());
        self.bar.set_length(components as u64);
        self.bar.set_position(0);
        self.bar.enable_steady_tick(Duration::from_millis(200));
        if let Ok(mut label) = self.label.lock() {
            *label = name.to_owned();
        }
    }

    fn line(&self, text: &str) {
        if self.plain && !self.quiet {
            eprintln!("{text}");
        }
    }

    fn done(&self) {
        self.bar.disable_steady_tick();
        self.bar.set_length(0);
    }
}

impl BuildProgress for Watch {
    fn start(&self, phase: &str, parent: &str, _steps: u32) {
        if parent.is_empty() && !self.plain {
            tracing::debug!("{phase}");
        }
    }

    fn step(&self, phase: &str, _step: u32) -> bool {
        self.bar.tick();
        let go_on = !self.interrupted.load(Ordering::Relaxed);
        if !go_on {
            tracing::debug!("interrupted in {phase}");
        }
        go_on
    }

    fn finish(&self, _phase: &str) {}
}

impl BuildWatch for Watch {
    fn waiting(&self) {
        self.bar.set_message("waiting for another build");
        self.line("waiting for another build in the same folder");
    }

    fn component(&self, name: &str, index: usize, of: usize) {
        self.bar.set_position(index as u64);
        self.bar.set_message(name.to_owned());
        let label = self.label.lock().map(|l| l.clone()).unwrap_or_default();
        self.line(&format!("building {label} {name} ({}/{of})", index + 1));
    }
}
