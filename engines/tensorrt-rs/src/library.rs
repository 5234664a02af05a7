//! Finding and loading TensorRT at run time.
//!
//! A library stays loaded until the process ends: TensorRT keeps threads and state of its own, and
//! loading the same file again gives the same [`Library`].

use super::logger;
use super::result::Owned;
use super::sys::{Table, VersionFn};
use super::version::{self, NoTable, RTX_CAPABILITIES};
use super::{Error, ErrorKind, Flavour, Version};
use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is looked for, in order: the library, its ONNX parser, its flavour. Lean runtimes are not
/// among them: they load version-compatible plans only.
const CANDIDATES: [(&str, &str, Flavour); 3] = [
    (
        "libnvinfer.so.10",
        "libnvonnxparser.so.10",
        Flavour::TensorRt,
    ),
    (
        "libnvinfer.so.11",
        "libnvonnxparser.so.11",
        Flavour::TensorRt,
    ),
    (
        "libtensorrt_rtx.so.1",
        "libtensorrt_onnxparser_rtx.so.1",
        Flavour::Rtx,
    ),
];

/// Where to look, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Only in this folder; without it where the dynamic loader looks.
    pub folder: Option<PathBuf>,
    /// Only this flavour; without it TensorRT before TensorRT-RTX.
    pub flavour: Option<Flavour>,
}

/// A loaded TensorRT with the table of functions that fits it. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

struct Inner {
    name: String,
    flavour: Flavour,
    version: Version,
    build: Option<i32>,
    table: &'static Table,
    logger: ManuallyDrop<Owned>,
    library: ManuallyDrop<libloading::Library>,
    parser: Parser,
}

/// The ONNX parser's library, or why there is none.
enum Parser {
    Loaded(ManuallyDrop<libloading::Library>),
    Missing(String),
}

/// Every library of this process; none is ever unloaded.
static LOADED: Mutex<Vec<Library>> = Mutex::new(Vec::new());

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.flavour(), self.version(), self.name())
    }
}

impl Library {
    /// Loads the first TensorRT that the options allow, with its ONNX parser where there is one.
    ///
    /// # Errors
    /// When none is found, or the first one found cannot be loaded, is not TensorRT, or is of a
    /// version that this build has no functions for.
    pub fn load(options: &LoadOptions) -> super::Result<Self> {
        let folder = options.folder.as_deref();
        let mut tried = Vec::new();
        for (name, parser, flavour) in CANDIDATES {
            if options.flavour.is_some_and(|wanted| wanted != flavour) {
                continue;
            }
            let path = place(folder, name);
            // SAFETY: NVIDIA's libraries run their initialisers; the user asked for them.
            match unsafe { libloading::Library::new(&path) } {
                Ok(library) => {
                    return Self::from_loaded(
                        &path,
                        library,
                        Some(&place(folder, parser)),
                        flavour,
                    );
                }
                Err(error) => {
                    let message = loader_message(&error);
                    if !is_absent(&path, &message) {
                        return Err(broken(&path, &message));
                    }
                    tried.push(name);
                }
            }
        }
        let place = folder.map_or_else(
            || "the dynamic loader's path".to_owned(),
            |folder| folder.display().to_string(),
        );
        Err(Error::new(
            ErrorKind::Library,
            format!(
                "no TensorRT here: none of {} is in {place}; install TensorRT (JetPack has it: \
                 nvidia-jetpack)",
                tried.join(", ")
            ),
        ))
    }

    /// Loads one file without an ONNX parser: for running engines only. A lean runtime
    /// (`libnvinfer_lean.so`) can be loaded so; it takes version-compatible plans only.
    ///
    /// # Errors
    /// As for [`Library::load`].
    pub fn open(path: &Path, flavour: Flavour) -> super::Result<Self> {
        // SAFETY: as for `load`.
        let library = unsafe { libloading::Library::new(path) }
            .map_err(|error| broken(path, &loader_message(&error)))?;
        Self::from_loaded(path, library, None, flavour)
    }

    fn from_loaded(
        path: &Path,
        library: libloading::Library,
        parser: Option<&Path>,
        flavour: Flavour,
    ) -> super::Result<Self> {
        let name = path.display().to_string();
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.iter().find(|known| known.0.name == name) {
            return Ok(known.clone());
        }
        // From here on the library stays, whatever comes of it: unloading TensorRT is not safe.
        let library = ManuallyDrop::new(library);
        let version = number(&library, c"getInferLibVersion")
            .ok_or_else(|| foreign(&name, "getInferLibVersion"))?;
        let version = Version::from_raw(version);
        let table = version::table(flavour, version).map_err(|why| {
            let reason = match why {
                NoTable::Unknown => format!(
                    "which this program cannot drive; it can drive {}",
                    version::known()
                ),
                NoTable::NoHeaders => "but this program was built without that TensorRT's \
                                       headers: set TENSORRT_INCLUDE_DIR and build again"
                    .to_owned(),
            };
            let message = format!("{name} is {flavour} {version}, {reason}");
            Error::new(ErrorKind::Library, message)
        })?;
        // SAFETY: the shim's own constructor and destructor.
        let logger = unsafe {
            Owned::new(
                (table.logger_new)(std::ptr::null_mut(), logger::log),
                table.logger_free,
            )
        }
        .map_err(|_| Error::refused("logger", "out of memory"))?;
        let parser = match parser {
            None => Parser::Missing("it was loaded for running engines only".to_owned()),
            // SAFETY: as for the library itself.
            Some(path) => match unsafe { libloading::Library::new(path) } {
                Ok(parser) => Parser::Loaded(ManuallyDrop::new(parser)),
                Err(error) => Parser::Missing(format!(
                    "its ONNX parser could not be loaded ({})",
                    loader_message(&error)
                )),
            },
        };
        let library = Self(Arc::new(Inner {
            name,
            flavour,
            version,
            build: number(&library, c"getInferLibBuildVersion"),
            table,
            logger: ManuallyDrop::new(logger),
            library,
            parser,
        }));
        tracing::debug!("loaded {library:?}");
        loaded.push(library.clone());
        Ok(library)
    }

    /// Path or name as it was loaded.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Which TensorRT.
    pub fn flavour(&self) -> Flavour {
        self.0.flavour
    }

    /// Which version.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Version with the build number where the library tells it: "10.3.0.30".
    pub fn full_version(&self) -> String {
        match self.0.build {
            Some(build) => format!("{}.{build}", self.0.version),
            None => self.0.version.to_string(),
        }
    }

    /// Whether engines run on a device of this name and compute capability.
    ///
    /// # Errors
    /// When TensorRT-RTX does not know the capability: its runtime would refuse every engine.
    pub fn runs_on(&self, name: &str, capability: (u32, u32)) -> super::Result<()> {
        let known = self.flavour() == Flavour::TensorRt || RTX_CAPABILITIES.contains(&capability);
        if known {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Driver,
            format!(
                "TensorRT-RTX {} does not run on {name} ({}.{}), only on compute capabilities {}; \
                 use TensorRT (libnvinfer) there",
                self.version(),
                capability.0,
                capability.1,
                version::listed(&RTX_CAPABILITIES)
            ),
        ))
    }

    /// Whether the library exports a symbol of this name.
    pub fn exports(&self, symbol: &CStr) -> bool {
        address(&self.0.library, symbol).is_some()
    }

    /// Version of the headers that the table was compiled from.
    pub fn header_version(&self) -> Version {
        Version::from_raw(self.0.table.header_version)
    }

    /// Whether engines can be built: there is a builder and an ONNX parser.
    ///
    /// # Errors
    /// Why not.
    pub fn can_build(&self) -> super::Result<()> {
        self.builder_factory()
            .and(self.parser_factory())
            .map(|_| ())
    }

    pub(super) fn table(&self) -> &'static Table {
        self.0.table
    }

    pub(super) fn logger(&self) -> *mut c_void {
        self.0.logger.raw()
    }

    pub(super) fn runtime_factory(&self) -> super::Result<*mut c_void> {
        address(&self.0.library, c"createInferRuntime_INTERNAL")
            .ok_or_else(|| foreign(&self.0.name, "createInferRuntime_INTERNAL"))
    }

    pub(super) fn builder_factory(&self) -> super::Result<*mut c_void> {
        address(&self.0.library, c"createInferBuilder_INTERNAL")
            .ok_or_else(|| self.cannot_build("it is a lean runtime, which only runs engines"))
    }

    pub(super) fn parser_factory(&self) -> super::Result<*mut c_void> {
        match &self.0.parser {
            Parser::Missing(reason) => Err(self.cannot_build(reason)),
            Parser::Loaded(parser) => {
                address(parser, c"createNvOnnxParser_INTERNAL").ok_or_else(|| {
                    self.cannot_build("its ONNX parser has no createNvOnnxParser_INTERNAL")
                })
            }
        }
    }

    fn cannot_build(&self, reason: &str) -> Error {
        let message = format!("{} cannot build engines: {reason}", self.0.name);
        Error::new(ErrorKind::Library, message)
    }
}

fn foreign(library: &str, symbol: &str) -> Error {
    let message = format!("{library} is not a TensorRT library: it has no {symbol}");
    Error::new(ErrorKind::Library, message)
}

/// Whether the loader's message is about the file itself and not about a library that it needs.
fn is_absent(path: &Path, message: &str) -> bool {
    message.starts_with(&path.display().to_string()) && message.contains("No such file")
}

/// A library that exists and does not load.
fn broken(path: &Path, message: &str) -> Error {
    let fix = if message.contains("libnvdla_compiler") {
        "; install the package nvidia-l4t-dla-compiler, or start the container with --runtime nvidia"
    } else if is_absent(path, message) {
        ""
    } else {
        "; install what it names (in a container of a Jetson: --runtime nvidia)"
    };
    Error::new(
        ErrorKind::Library,
        format!("{} cannot be loaded: {message}{fix}", path.display()),
    )
}

fn place(folder: Option<&Path>, name: &str) -> PathBuf {
    folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}

/// The loader's own words, without the crate's around them.
pub(super) fn loader_message(error: &libloading::Error) -> String {
    use std::error::Error;
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn address(library: &libloading::Library, symbol: &std::ffi::CStr) -> Option<*mut c_void> {
    // SAFETY: only the address is taken; what it is called as is the shim's business.
    unsafe { library.get::<*mut c_void>(symbol.to_bytes_with_nul()) }
        .ok()
        .map(|symbol| *symbol)
        .filter(|address| !address.is_null())
}

fn number(library: &libloading::Library, symbol: &std::ffi::CStr) -> Option<i32> {
    // SAFETY: every function that is asked for here takes nothing and returns an int32_t.
    unsafe {
        let function = library.get::<VersionFn>(symbol.to_bytes_with_nul()).ok()?;
        Some(function())
    }
}
