//! From ONNX bytes to a plan.
//!
//! Networks are strongly typed on every TensorRT: the precision is the graph's own. Where plans are
//! kept, and when one is built, is not decided here.

use super::logger::{self, LogFacts};
use super::result::{self, Owned};
use super::runtime::EngineTensor;
use super::sys::{self, Table};
use super::{Error, ErrorKind, Flavour, Library, ParserError, driver};
use std::ffi::{c_char, c_void};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Which layer information a plan carries for the inspector and the profiler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum ProfilingVerbosity {
    /// Names only.
    #[default]
    LayerNames,
    /// Names, formats, tactics.
    Detailed,
}

/// How to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// Most bytes of workspace that any tactic may use.
    pub workspace_bytes: u64,
    /// Layer information in the plan.
    pub profiling: ProfilingVerbosity,
    /// TensorRT's builder optimisation level, 0 to 5; `None` for its default.
    pub optimization_level: Option<u8>,
    /// Whether fp32 matrix products may use TF32. Off keeps fp32 what it says.
    pub tf32: bool,
    /// What to build for.
    pub target: Target,
}

/// What device a plan is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The GPU of this machine.
    Current,
    /// Named compute capabilities, without a GPU; only TensorRT-RTX can do that. (8, 9) is 8.9.
    Capabilities(Vec<(u32, u32)>),
}

/// Progress of a build, and whether it should go on.
pub trait BuildProgress: Send + Sync {
    /// A phase of so many steps begins, inside `parent` if that is not empty.
    fn start(&self, phase: &str, parent: &str, steps: u32);
    /// A step is done. `false` cancels the build.
    fn step(&self, phase: &str, step: u32) -> bool;
    /// A phase is through.
    fn finish(&self, phase: &str);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl BuildProgress for Unwatched {
    fn start(&self, _: &str, _: &str, _: u32) {}
    fn step(&self, _: &str, _: u32) -> bool {
        true
    }
    fn finish(&self, _: &str) {}
}

/// A plan and what building it showed.
#[derive(Clone, Debug)]
pub struct BuiltPlan {
    /// The serialised engine.
    pub bytes: Vec<u8>,
    /// Inputs and outputs of the network.
    pub tensors: Vec<EngineTensor>,
    /// Layers before fusion.
    pub network_layers: usize,
    /// What the builder logged.
    pub facts: LogFacts,
    /// Time of parsing and building.
    pub took: Duration,
}

/// One builder at a time: TensorRT's log does not say which build a message is about, and builds
/// beside each other would disturb each other's timings.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Builds plans with one library.
#[derive(Clone, Debug)]
pub struct Builder {
    library: Library,
    timing_cache: Vec<u8>,
}

impl Builder {
    /// A builder of this library.
    ///
    /// # Errors
    /// When the library cannot build (a lean runtime, a missing parser), or needs a CUDA driver
    /// that is not there.
    pub fn new(library: &Library) -> super::Result<Self> {
        library.can_build()?;
        if library.flavour() == Flavour::TensorRt {
            driver::check()?;
        }
        Ok(Self {
            library: library.clone(),
            timing_cache: Vec::new(),
        })
    }

    /// The library.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Tactic timings of earlier builds, as [`Builder::timing_cache`] returned them. Those of
    /// another version or device are ignored by TensorRT.
    pub fn set_timing_cache(&mut self, bytes: Vec<u8>) {
        self.timing_cache = bytes;
    }

    /// Tactic timings of all builds so far; empty when there are none.
    pub fn timing_cache(&self) -> &[u8] {
        &self.timing_cache
    }

    /// Parses and builds one graph; `name` stands for it in messages.
    ///
    /// # Errors
    /// When the graph is refused, the workspace limit is too small, the build fails or is cancelled.
    pub fn build(
        &mut self,
        name: &str,
        onnx: &[u8],
        options: &BuildOptions,
        progress: &dyn BuildProgress,
    ) -> super::Result<BuiltPlan> {
        let alone = ONE_AT_A_TIME
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let began = Instant::now();
        let watcher = Watcher {
            progress,
            cancelled: std::sync::atomic::AtomicBool::new(false),
        };
        let (outcome, facts) = logger::watch(|| self.build_watched(name, onnx, options, &watcher));
        drop(alone);
        match outcome {
            Ok((bytes, tensors, network_layers)) => Ok(BuiltPlan {
                bytes,
                tensors,
                network_layers,
                facts,
                took: began.elapsed(),
            }),
            Err(Failure::Known(error)) => Err(error),
            Err(Failure::Logged) => Err(failure(name, options, &watcher, &facts)),
        }
    }

    fn build_watched(
        &mut self,
        name: &str,
        onnx: &[u8],
        options: &BuildOptions,
        watcher: &Watcher<'_>,
    ) -> Result<(Vec<u8>, Vec<EngineTensor>, usize), Failure> {
        let table = self.library.table();
        let logger = self.library.logger();
        let version = self.library.version().raw();
        // SAFETY: every object is freed by its own function, in the reverse of the order in which
        // they are made (locals drop so); factories and logger are this library's; the version is
        // its own word; callbacks live on this stack until the build has returned.
        unsafe {
            let builder = Owned::new(
                (table.builder_new)(self.library.builder_factory()?, logger, version),
                table.builder_free,
            )?;
            let network = Owned::new((table.network_new)(builder.raw()), table.network_free)?;
            let parser = Owned::new(
                (table.parser_new)(
                    self.library.parser_factory()?,
                    network.raw(),
                    logger,
                    version,
                ),
                table.parser_free,
            )?;
            let parsed = (table.parser_parse)(parser.raw(), onnx.as_ptr().cast(), onnx.len());
            let errors = parser_errors(table, &parser);
            if result::accepted(parsed).is_err() || !errors.is_empty() {
                return Err(Failure::Known(Error::parse(name, errors)));
            }
            let tensors = network_tensors(table, &network)?;
            let layers = usize::try_from((table.network_layer_count)(network.raw())).unwrap_or(0);
            let config = Owned::new((table.config_new)(builder.raw()), table.config_free)?;
            self.configure(&config, options)?;
            let monitor = sys::Progress {
                user: std::ptr::from_ref(watcher).cast_mut().cast(),
                start: progress_start,
                step: progress_step,
                finish: progress_finish,
            };
            let monitor = Owned::new(
                (table.progress_new)(&raw const monitor),
                table.progress_free,
            )?;
            (table.config_set_progress)(config.raw(), monitor.raw());
            // RTX times nothing while it builds. Where the cache is refused a build is still a build.
            let cache = (self.library.flavour() == Flavour::TensorRt)
                .then(|| {
                    Owned::new(
                        (table.timing_cache_new)(
                            config.raw(),
                            self.timing_cache.as_ptr().cast(),
                            self.timing_cache.len(),
                        ),
                        table.timing_cache_free,
                    )
                })
                .and_then(Result::ok)
                .filter(|cache| {
                    let set = (table.config_set_timing_cache)(config.raw(), cache.raw());
                    result::accepted(set).is_ok()
                });
            let plan = Owned::new(
                (table.build)(builder.raw(), network.raw(), config.raw()),
                table.memory_free,
            );
            if let Some(cache) = &cache
                && let Ok(memory) = Owned::new(
                    (table.timing_cache_serialize)(cache.raw()),
                    table.memory_free,
                )
            {
                self.timing_cache = result::bytes(table, &memory);
            }
            let bytes = result::bytes(table, &plan?);
            // The configuration points at cache and monitor.
            drop(config);
            drop(cache);
            Ok((bytes, tensors, layers))
        }
    }

    /// # Safety
    /// `config` is a live builder configuration of this library.
    unsafe fn configure(&self, config: &Owned, options: &BuildOptions) -> Result<(), Failure> {
        let table = self.library.table();
        // SAFETY: by the contract.
        unsafe {
            (table.config_set_workspace)(config.raw(), options.workspace_bytes);
            (table.config_set_detailed_profiling)(
                config.raw(),
                i32::from(options.profiling == ProfilingVerbosity::Detailed),
            );
            if let Some(level) = options.optimization_level {
                (table.config_set_optimization_level)(config.raw(), i32::from(level));
            }
            (table.config_set_tf32)(config.raw(), i32::from(options.tf32));
        }
        let numbers: Vec<i32> = match (&options.target, self.library.flavour()) {
            // Without being told RTX builds for all it knows; 1 is "the GPU that is here".
            (Target::Current, Flavour::Rtx) => vec![1],
            (Target::Current, Flavour::TensorRt) => return Ok(()),
            (Target::Capabilities(list), _) => list
                .iter()
                .map(|&(major, minor)| i32::try_from(major * 10 + minor).unwrap_or(0))
                .collect(),
        };
        let count = i32::try_from(numbers.len()).unwrap_or(0);
        // SAFETY: by the contract; pointer and count are the vector's.
        let answer = unsafe {
            (table.config_set_compute_capabilities)(config.raw(), numbers.as_ptr(), count)
        };
        if answer == 1 {
            return Ok(());
        }
        let list: Vec<String> = match &options.target {
            Target::Current => vec!["the current device".to_owned()],
            Target::Capabilities(list) => list
                .iter()
                .map(|(major, minor)| format!("{major}.{minor}"))
                .collect(),
        };
        let advice = match self.library.flavour() {
            Flavour::TensorRt => "it builds for the GPU of this machine only",
            Flavour::Rtx => {
                "see its support matrix; Orin (8.7) needs JetPack's TensorRT, on the device"
            }
        };
        Err(Failure::Known(Error::new(
            ErrorKind::Option,
            format!(
                "{} {} does not take compute capability {}: {advice}",
                self.library.flavour(),
                self.library.version(),
                list.join(", ")
            ),
        )))
    }
}

/// A failure that is known, or one that only the log explains.
enum Failure {
    Known(Error),
    Logged,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl From<result::Refused> for Failure {
    fn from(_: result::Refused) -> Self {
        Self::Logged
    }
}

fn failure(name: &str, options: &BuildOptions, watcher: &Watcher<'_>, facts: &LogFacts) -> Error {
    if watcher.cancelled.load(std::sync::atomic::Ordering::Relaxed) {
        return Error::new(
            ErrorKind::Cancelled,
            format!("building {name} was interrupted"),
        );
    }
    let limit = options.workspace_bytes;
    if let Some(needed_bytes) = facts.exceeded_budget {
        return Error::new(
            ErrorKind::Workspace {
                needed_bytes: Some(needed_bytes),
            },
            format!("{name} needs {needed_bytes} bytes of workspace, the limit is {limit}"),
        );
    }
    if facts.no_tactic_within_workspace {
        return Error::new(
            ErrorKind::Workspace { needed_bytes: None },
            format!(
                "{name} has an operation that TensorRT cannot do within the workspace limit of \
                 {limit} bytes (the need is not reported)"
            ),
        );
    }
    Error::new(
        ErrorKind::Other,
        format!("TensorRT cannot build {name}: {}", facts.message()),
    )
}

/// # Safety
/// `parser` is a live parser of this table's library.
unsafe fn parser_errors(table: &Table, parser: &Owned) -> Vec<ParserError> {
    let mut errors = Vec::new();
    // SAFETY: by the contract; strings are copied while the parser lives.
    unsafe {
        for index in 0..(table.parser_error_count)(parser.raw()) {
            let mut raw = sys::ParserError {
                code: 0,
                node: -1,
                description: std::ptr::null(),
                node_name: std::ptr::null(),
                node_operator: std::ptr::null(),
            };
            if (table.parser_error)(parser.raw(), index, &raw mut raw) != 1 {
                continue;
            }
            let mut node = result::text(raw.node_name);
            if node.is_empty() && raw.node >= 0 {
                node = format!("#{}", raw.node);
            }
            errors.push(ParserError {
                node,
                operator: result::text(raw.node_operator),
                message: result::text(raw.description).trim().to_owned(),
            });
        }
    }
    errors
}

/// # Safety
/// `network` is a live network of this table's library.
unsafe fn network_tensors(
    table: &Table,
    network: &Owned,
) -> Result<Vec<EngineTensor>, result::Refused> {
    let mut all = Vec::new();
    for inputs in [1, 0] {
        // SAFETY: by the contract.
        unsafe {
            for index in 0..(table.network_tensor_count)(network.raw(), inputs) {
                let raw = result::tensor(|out| {
                    (table.network_tensor)(network.raw(), inputs, index, out)
                })?;
                all.push(EngineTensor::from_raw(&raw));
            }
        }
    }
    Ok(all)
}

/// What the progress callbacks reach through their `user` pointer.
struct Watcher<'a> {
    progress: &'a dyn BuildProgress,
    cancelled: std::sync::atomic::AtomicBool,
}

/// # Safety
/// `user` is a live [`Watcher`].
unsafe fn watcher<'a>(user: *mut c_void) -> &'a Watcher<'a> {
    // SAFETY: by the contract.
    unsafe { &*user.cast::<Watcher<'a>>() }
}

fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    // A panic must not cross into C++.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).ok()
}

unsafe extern "C" fn progress_start(
    user: *mut c_void,
    phase: *const c_char,
    parent: *const c_char,
    steps: i32,
) {
    // SAFETY: the shim hands back what it was given; the strings live through the call.
    let (watcher, phase, parent) =
        unsafe { (watcher(user), result::text(phase), result::text(parent)) };
    caught(|| {
        watcher
            .progress
            .start(&phase, &parent, u32::try_from(steps).unwrap_or(0));
    });
}

unsafe extern "C" fn progress_step(user: *mut c_void, phase: *const c_char, step: i32) -> i32 {
    // SAFETY: as above.
    let (watcher, phase) = unsafe { (watcher(user), result::text(phase)) };
    let go_on = caught(|| {
        watcher
            .progress
            .step(&phase, u32::try_from(step).unwrap_or(0))
    })
    .unwrap_or(false);
    if !go_on {
        watcher
            .cancelled
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }
    i32::from(go_on)
}

unsafe extern "C" fn progress_finish(user: *mut c_void, phase: *const c_char) {
    // SAFETY: as above.
    let (watcher, phase) = unsafe { (watcher(user), result::text(phase)) };
    caught(|| watcher.progress.finish(&phase));
}
