//! Building a bundle's engines: what is there stays, what is missing is compiled and written.

use super::sidecar::BuildRecord;
use super::store::describe;
use super::{
    Device, EngineError, EngineStore, KeyFields, OptionFields, StoredEngine, TensorRtFields,
    atomic, store,
};
use crate::bundle::{Bundle, Component, ComponentEntry};
use crate::tensorrt::{
    self, BuildOptions, BuildProgress, Builder, BuiltPlan, DeviceIdentity, EngineTensor, Flavour,
    Library, ProfilingVerbosity, RTX_CAPABILITIES, Target, driver,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Workspace limit when nobody says.
pub const DEFAULT_WORKSPACE_BYTES: u64 = 256 << 20;

/// What the user chose.
#[derive(Clone, Debug)]
pub struct BuildSettings {
    /// Workspace limit in bytes.
    pub workspace_bytes: u64,
    /// Layer information in plans.
    pub profiling: ProfilingVerbosity,
    /// Builder optimisation level.
    pub optimization_level: Option<u8>,
    /// Whether fp32 may be TF32.
    pub tf32: bool,
    /// Build for these instead of the device that is here (TensorRT-RTX only).
    pub compute_capabilities: Option<Vec<(u32, u32)>>,
    /// Only this flavour.
    pub flavour: Option<Flavour>,
    /// Where tactic timings are kept; without it in the engines folder.
    pub timing_cache: Option<PathBuf>,
    /// Build existing engines again, too, without earlier tactic timings.
    pub force: bool,
    /// Ordinal of the CUDA device to build on.
    pub device: usize,
    /// Longest wait for another build in the same folder; `None` for as long as it takes.
    pub lock_wait: Option<Duration>,
    /// What to record about the machine, by name.
    pub machine: BTreeMap<String, String>,
}

impl BuildSettings {
    /// The options that are part of an engine's key.
    pub fn option_fields(&self) -> OptionFields {
        OptionFields {
            workspace_bytes: self.workspace_bytes,
            profiling: self.profiling,
            optimization_level: self.optimization_level,
            tf32: self.tf32,
        }
    }
}

impl Default for BuildSettings {
    fn default() -> Self {
        Self {
            workspace_bytes: DEFAULT_WORKSPACE_BYTES,
            profiling: ProfilingVerbosity::LayerNames,
            optimization_level: None,
            tf32: false,
            compute_capabilities: None,
            flavour: None,
            timing_cache: None,
            force: false,
            device: 0,
            lock_wait: None,
            machine: BTreeMap::new(),
        }
    }
}

/// Parses `8.9`, `8.6,8.9` or `all`: all from Ampere on. Turing (7.5) has to be named, as in
/// TensorRT-RTX's own default: it has no bf16, and RTX cannot multiply fp32 matrices there.
///
/// # Errors
/// For anything else, with what could be written.
pub fn parse_compute_capabilities(text: &str) -> Result<Vec<(u32, u32)>, EngineError> {
    if text.trim() == "all" {
        return Ok(RTX_CAPABILITIES[1..].to_vec());
    }
    text.split(',')
        .map(|one| {
            let (major, minor) = one.trim().split_once('.')?;
            Some((
                major.parse().ok()?,
                minor.parse().ok().filter(|&m: &u32| m < 10)?,
            ))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| EngineError::Capability {
            text: text.to_owned(),
            all: super::TargetFields::named(&RTX_CAPABILITIES[1..])
                .compute_capabilities
                .join(", "),
        })
}

/// The library that builds and what it builds for.
#[derive(Clone, Debug)]
pub struct BuildHost {
    library: Library,
    device: Option<DeviceIdentity>,
    target: Target,
}

impl BuildHost {
    /// Finds out what this machine can build: for its own GPU with whatever TensorRT it has, or
    /// for named compute capabilities with TensorRT-RTX.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn find(settings: &BuildSettings) -> Result<Self, EngineError> {
        if let Some(list) = &settings.compute_capabilities {
            let flavour = settings.flavour.unwrap_or(Flavour::Rtx);
            return Ok(Self {
                library: tensorrt::load(Some(flavour))?,
                device: None,
                target: Target::Capabilities(list.clone()),
            });
        }
        let ordinal = i32::try_from(settings.device).unwrap_or(i32::MAX);
        let device = driver::device(ordinal).map_err(|source| EngineError::NoDevice { source })?;
        let library = tensorrt::load(settings.flavour)?;
        library.runs_on(&device.name, device.compute_capability)?;
        Ok(Self {
            library,
            device: Some(device),
            target: Target::Current,
        })
    }

    /// Of a library and a target that the caller chose.
    pub fn new(library: Library, device: Option<DeviceIdentity>, target: Target) -> Self {
        Self {
            library,
            device,
            target,
        }
    }

    /// The library that builds.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The device that is built for; `None` for named compute capabilities.
    pub fn device(&self) -> Option<&DeviceIdentity> {
        self.device.as_ref()
    }

    /// What is built for, in words.
    pub fn describe_target(&self) -> String {
        match (&self.target, &self.device) {
            (Target::Capabilities(list), _) => super::TargetFields::named(list).to_string(),
            (Target::Current, Some(device)) => {
                super::TargetFields::of(device, Flavour::TensorRt).to_string()
            }
            (Target::Current, None) => "the current device".to_owned(),
        }
    }

    fn options(&self, settings: &BuildSettings) -> BuildOptions {
        BuildOptions {
            workspace_bytes: settings.workspace_bytes,
            profiling: settings.profiling,
            optimization_level: settings.optimization_level,
            tf32: settings.tf32,
            target: self.target.clone(),
        }
    }
}

/// What is to be done for a bundle, before doing it.
#[derive(Debug)]
pub struct BuildPlan {
    /// Engines that are there.
    pub present: Vec<StoredEngine>,
    /// Components to build.
    pub missing: Vec<Planned>,
}

/// A component to build.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// Which one.
    pub component: Component,
    /// Seconds that it took before, on whatever device; `None` where no record of it exists.
    pub seconds: Option<f64>,
    /// Bytes of the engine: the earlier one's, or those of the ONNX file.
    pub bytes: u64,
}

/// Follows a build.
pub trait BuildWatch: BuildProgress {
    /// Another process is building; this one waits for it.
    fn waiting(&self);
    /// A component is about to be built: the n-th (from 0) of so many; `seconds` is what it took
    /// the last time, where that is recorded.
    fn component(&self, name: &str, index: usize, of: usize, seconds: Option<f64>);
    /// A component is built, or was found whole.
    fn done(&self, built: &Built) {
        let _ = built;
    }
    /// Whether the user has ended the build.
    fn cancelled(&self) -> bool {
        false
    }
}

/// One component after [`build_bundle`].
#[derive(Clone, Debug)]
pub struct Built {
    /// The engine.
    pub engine: StoredEngine,
    /// Whether it was built now or there already.
    pub new: bool,
}

impl BuildPlan {
    /// Looks what is there.
    pub fn new(
        store: &EngineStore,
        host: &BuildHost,
        bundle: &Bundle,
        settings: &BuildSettings,
    ) -> Self {
        let mut plan = Self {
            present: Vec::new(),
            missing: Vec::new(),
        };
        for component in Component::ALL {
            let key = fields(host, bundle, component, settings).key();
            match store.get(bundle.manifest(), component.name(), &key) {
                Some(engine) if !settings.force => plan.present.push(engine),
                _ => plan.missing.push(planned(store, bundle, component)),
            }
        }
        plan
    }

    /// Bytes that the missing engines will take, as far as earlier builds tell.
    pub fn bytes(&self) -> u64 {
        self.missing.iter().map(|planned| planned.bytes).sum()
    }

    /// Seconds that the build will take; `None` when a component has no record.
    pub fn seconds(&self) -> Option<f64> {
        self.missing.iter().map(|planned| planned.seconds).sum()
    }
}

/// What an earlier build of a component of this model, size and precision took; the same export's
/// before another's, then the slowest.
fn planned(store: &EngineStore, bundle: &Bundle, component: Component) -> Planned {
    let entry = bundle.component(component);
    let earlier = store
        .engines(Some(bundle.manifest()))
        .unwrap_or_default()
        .into_iter()
        .filter(|engine| engine.sidecar.component == component.name())
        .max_by(|a, b| {
            let rank = |engine: &StoredEngine| {
                let same = engine.sidecar.fields.onnx_sha256 == entry.sha256;
                (same, engine.sidecar.build.seconds)
            };
            rank(a)
                .partial_cmp(&rank(b))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    Planned {
        component,
        seconds: earlier.as_ref().map(|engine| engine.sidecar.build.seconds),
        bytes: earlier.map_or_else(
            || bundle.graph(component).map_or(0, |onnx| onnx.len() as u64),
            |engine| engine.sidecar.plan.bytes,
        ),
    }
}

/// Builds every component of a bundle that is not there yet, in the order of the contract.
///
/// What is finished stays when a later component fails or the build is interrupted.
///
/// # Errors
/// The first component that fails.
pub fn build_bundle(
    store: &EngineStore,
    host: &BuildHost,
    bundle: &Bundle,
    settings: &BuildSettings,
    watch: &dyn BuildWatch,
) -> Result<Vec<Built>, EngineError> {
    let plan = BuildPlan::new(store, host, bundle, settings);
    let total = plan.missing.len();
    let wait = atomic::Wait {
        limit: settings.lock_wait,
        waiting: &|| watch.waiting(),
        cancelled: &|| watch.cancelled(),
    };
    // Looked at without the lock, so that a second boot writes nothing.
    if !store.remains()?.is_empty()
        && let Ok(_lock) = atomic::Lock::take(store.folder(), &atomic::Wait::NONE)
    {
        atomic::remove(&store.remains()?)?;
    }
    let mut builder: Option<Builder> = None;
    let mut all: Vec<Built> = Vec::new();
    let mut finish = |engine, new| {
        let built = Built { engine, new };
        watch.done(&built);
        all.push(built);
    };
    let mut present = plan.present.into_iter().peekable();
    let mut missing = plan.missing.into_iter().enumerate();
    for component in Component::ALL {
        if let Some(engine) = present.next_if(|engine| engine.sidecar.component == component.name())
        {
            finish(engine, false);
            continue;
        }
        let Some((index, planned)) = missing.next() else {
            continue;
        };
        let fields = fields(host, bundle, component, settings);
        let _lock = atomic::Lock::take(store.folder(), &wait)?;
        // Whoever had the lock may have built just this.
        if !settings.force
            && let Some(engine) = store.get(bundle.manifest(), component.name(), &fields.key())
        {
            finish(engine, false);
            continue;
        }
        watch.component(component.name(), index, total, planned.seconds);
        let builder = match &mut builder {
            Some(builder) => builder,
            None => builder.insert(Builder::new(&host.library)?),
        };
        let engine = build_one(
            store, host, builder, bundle, component, fields, settings, watch,
        )?;
        finish(engine, true);
    }
    Ok(all)
}

fn fields(
    host: &BuildHost,
    bundle: &Bundle,
    component: Component,
    settings: &BuildSettings,
) -> KeyFields {
    KeyFields::new(
        bundle.component(component),
        bundle.manifest().precision,
        &host.options(settings),
        TensorRtFields::of(&host.library),
        host.device.as_ref(),
    )
}

#[allow(clippy::too_many_arguments)]
fn build_one(
    store: &EngineStore,
    host: &BuildHost,
    builder: &mut Builder,
    bundle: &Bundle,
    component: Component,
    fields: KeyFields,
    settings: &BuildSettings,
    watch: &dyn BuildWatch,
) -> Result<StoredEngine, EngineError> {
    let manifest = bundle.manifest();
    let name = describe(manifest, component.name());
    let cache = timing_cache(store, host, settings);
    if let Some(path) = &cache
        && builder.timing_cache().is_empty()
        && !settings.force
    {
        // None yet, or unreadable: the build makes a new one.
        builder.set_timing_cache(std::fs::read(path).unwrap_or_default());
    }
    let mem_available_bytes = mem_available();
    let plan = builder.build(
        &name,
        &bundle.graph(component)?,
        &host.options(settings),
        watch,
    )?;
    check_network(&name, bundle.component(component), &plan.tensors)?;
    let engine = store.put(
        manifest,
        component.name(),
        fields,
        &plan.bytes,
        record(&plan, settings, mem_available_bytes),
    )?;
    if let Some(path) = &cache
        && !builder.timing_cache().is_empty()
    {
        atomic::write(path, builder.timing_cache())?;
    }
    Ok(engine)
}

fn record(
    plan: &BuiltPlan,
    settings: &BuildSettings,
    mem_available_bytes: Option<u64>,
) -> BuildRecord {
    BuildRecord {
        seconds: plan.took.as_secs_f64(),
        finished_unix_s: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        masklet: env!("CARGO_PKG_VERSION").to_owned(),
        network_layers: plan.network_layers,
        activation_bytes: plan.facts.activation_bytes,
        weight_bytes: plan.facts.weight_bytes,
        tactics_skipped: plan.facts.tactics_skipped,
        mem_available_bytes,
        warnings: plan.facts.warnings.clone(),
        machine: settings.machine.clone(),
    }
}

/// Tactic timings of one library on one device. TensorRT-RTX times nothing while it builds.
fn timing_cache(
    store: &EngineStore,
    host: &BuildHost,
    settings: &BuildSettings,
) -> Option<PathBuf> {
    if host.library.flavour() == Flavour::Rtx {
        return None;
    }
    if let Some(path) = &settings.timing_cache {
        return Some(path.clone());
    }
    let device = Device::new(&host.library, host.device.clone()?);
    Some(store.folder().join(store::timing_cache_name(&device)))
}

/// Compares the network that TensorRT made with the manifest.
fn check_network(
    name: &str,
    entry: &ComponentEntry,
    tensors: &[EngineTensor],
) -> Result<(), EngineError> {
    let differ = |found: String, declared: String| EngineError::NetworkDiffers {
        graph: name.to_owned(),
        found,
        declared,
    };
    let declared = entry.inputs.len() + entry.outputs.len();
    if tensors.len() != declared {
        return Err(differ(
            format!("{} inputs and outputs", tensors.len()),
            declared.to_string(),
        ));
    }
    for (specs, is_input) in [(&entry.inputs, true), (&entry.outputs, false)] {
        for spec in specs {
            let found = tensors
                .iter()
                .find(|tensor| tensor.name == spec.name && tensor.is_input == is_input);
            let same = found.is_some_and(|tensor| {
                tensorrt::dtype(tensor.data_type) == Some(spec.dtype)
                    && tensor.shape.len() == spec.shape.len()
                    && tensor
                        .shape
                        .iter()
                        .zip(&spec.shape)
                        .all(|(&have, &want)| usize::try_from(have) == Ok(want))
            });
            if !same {
                let found = found.map_or_else(
                    || format!("no '{}'", spec.name),
                    |tensor| format!("{} {} {:?}", tensor.name, tensor.data_type, tensor.shape),
                );
                return Err(differ(found, spec.to_string()));
            }
        }
    }
    Ok(())
}

/// `MemAvailable` in bytes.
fn mem_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
