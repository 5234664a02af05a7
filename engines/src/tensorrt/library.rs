//! Finding and loading TensorRT at run time.
//!
//! A library stays loaded until the process ends: TensorRT keeps threads and state of its own, and
//! loading the same file again gives the same [`Library`].

use super::logger;
use super::result::Owned;
use super::sys::{Table, VersionFn};
use super::version::{self, NoTable, RTX_CAPABILITIES};
use super::{Flavour, TensorRtError, Version};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Names a folder in which TensorRT's libraries are looked for instead of the loader's path.
pub const LIBRARY_ENV: &str = "MASKLET_TENSORRT_LIB";

/// What is looked for, in order: the library, its ONNX parser, its flavour.
const CANDIDATES: [(&str, Option<&str>, Flavour); 5] = [
    (
        "libnvinfer.so.10",
        Some("libnvonnxparser.so.10"),
        Flavour::TensorRt,
    ),
    (
        "libnvinfer.so.11",
        Some("libnvonnxparser.so.11"),
        Flavour::TensorRt,
    ),
    (
        "libtensorrt_rtx.so.1",
        Some("libtensorrt_onnxparser_rtx.so.1"),
        Flavour::Rtx,
    ),
    ("libnvinfer_lean.so.10", None, Flavour::TensorRt),
    ("libnvinfer_lean.so.11", None, Flavour::TensorRt),
];

/// Where to look, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Only in this folder; without it where the dynamic loader looks.
    pub folder: Option<PathBuf>,
    /// Only this flavour; without it TensorRT before TensorRT-RTX.
    pub flavour: Option<Flavour>,
}

impl LoadOptions {
    /// What `MASKLET_TENSORRT_LIB` says.
    pub fn from_env() -> Self {
        Self {
            folder: std::env::var_os(LIBRARY_ENV)
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from),
            flavour: None,
        }
    }
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
    /// Loads the first TensorRT that the options allow.
    ///
    /// # Errors
    /// When none is found, or the first one found is not TensorRT, or of a version that this build
    /// cannot drive.
    pub fn load(options: &LoadOptions) -> Result<Self, TensorRtError> {
        let mut tried = Vec::new();
        let mut reason = String::new();
        for (name, parser, flavour) in CANDIDATES {
            if options.flavour.is_some_and(|wanted| wanted != flavour) {
                continue;
            }
            let path = place(options.folder.as_deref(), name);
            // SAFETY: NVIDIA's libraries run their initialisers; the user asked for them.
            match unsafe { libloading::Library::new(&path) } {
                Ok(library) => {
                    let parser = parser.map(|name| place(options.folder.as_deref(), name));
                    return Self::open(&path, library, parser.as_deref(), flavour);
                }
                Err(error) => {
                    // The loader's word on the likeliest candidate, not on the last.
                    let missing = options.folder.is_some() && !path.exists();
                    if reason.is_empty() || !missing {
                        reason = loader_message(&error);
                    }
                    tried.push(name);
                }
            }
        }
        if let Some(folder) = &options.folder {
            reason = format!("in {}: {reason}", folder.display());
        }
        Err(TensorRtError::NotFound {
            looked_for: tried.join(", "),
            reason,
        })
    }

    fn open(
        path: &Path,
        library: libloading::Library,
        parser: Option<&Path>,
        flavour: Flavour,
    ) -> Result<Self, TensorRtError> {
        let name = path.display().to_string();
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.iter().find(|known| known.0.name == name) {
            return Ok(known.clone());
        }
        // From here on the library stays, whatever comes of it: unloading TensorRT is not safe.
        let library = ManuallyDrop::new(library);
        let version =
            number(&library, c"getInferLibVersion").ok_or_else(|| TensorRtError::NotALibrary {
                library: name.clone(),
                symbol: "getInferLibVersion",
            })?;
        let version = Version::from_raw(version);
        let table = version::table(flavour, version).map_err(|why| match why {
            NoTable::Unknown => TensorRtError::UnknownVersion {
                library: name.clone(),
                flavour,
                version,
                known: version::known(),
            },
            NoTable::NoHeaders => TensorRtError::NoHeaders {
                library: name.clone(),
                flavour,
                version,
            },
        })?;
        // SAFETY: the shim's own constructor and destructor.
        let logger = unsafe {
            Owned::new(
                (table.logger_new)(std::ptr::null_mut(), logger::log),
                table.logger_free,
            )
        }
        .map_err(|_| TensorRtError::Refused {
            what: "logger",
            message: "out of memory".to_owned(),
        })?;
        let parser = match parser {
            None => Parser::Missing("it is a lean runtime, which only runs engines".to_owned()),
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
    pub fn runs_on(&self, name: &str, capability: (u32, u32)) -> Result<(), TensorRtError> {
        let known = self.flavour() == Flavour::TensorRt || RTX_CAPABILITIES.contains(&capability);
        known.then_some(()).ok_or_else(|| TensorRtError::OtherGpu {
            version: self.version(),
            device: format!("{name} ({}.{})", capability.0, capability.1),
            known: version::listed(&RTX_CAPABILITIES),
        })
    }

    /// Whether the library is a stand-in for tests: what it runs is no measurement of TensorRT.
    pub fn is_stand_in(&self) -> bool {
        address(&self.0.library, c"masklet_stand_in").is_some()
    }

    /// Version of the headers that the table was compiled from.
    pub fn header_version(&self) -> Version {
        Version::from_raw(self.0.table.header_version)
    }

    /// Whether engines can be built: there is a builder and an ONNX parser.
    ///
    /// # Errors
    /// Why not.
    pub fn can_build(&self) -> Result<(), TensorRtError> {
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

    pub(super) fn runtime_factory(&self) -> Result<*mut c_void, TensorRtError> {
        address(&self.0.library, c"createInferRuntime_INTERNAL").ok_or_else(|| {
            TensorRtError::NotALibrary {
                library: self.0.name.clone(),
                symbol: "createInferRuntime_INTERNAL",
            }
        })
    }

    pub(super) fn builder_factory(&self) -> Result<*mut c_void, TensorRtError> {
        address(&self.0.library, c"createInferBuilder_INTERNAL").ok_or_else(|| {
            TensorRtError::CannotBuild {
                library: self.0.name.clone(),
                reason: "it is a lean runtime, which only runs engines".to_owned(),
            }
        })
    }

    pub(super) fn parser_factory(&self) -> Result<*mut c_void, TensorRtError> {
        let cannot = |reason: &str| TensorRtError::CannotBuild {
            library: self.0.name.clone(),
            reason: reason.to_owned(),
        };
        match &self.0.parser {
            Parser::Missing(reason) => Err(cannot(reason)),
            Parser::Loaded(parser) => address(parser, c"createNvOnnxParser_INTERNAL")
                .ok_or_else(|| cannot("its ONNX parser has no createNvOnnxParser_INTERNAL")),
        }
    }
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
