//! What can be wrong with a bundle, in sentences that name the offender.

use std::path::PathBuf;

/// Why a bundle was refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file that the bundle needs is not there.
    #[error("{bundle}: '{file}' is missing; export the model again (tools/export)")]
    MissingFile {
        /// The bundle.
        bundle: String,
        /// The missing file.
        file: String,
    },
    /// A file is there but cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifest is not the TOML that the format asks for.
    #[error("{bundle}: bundle.toml does not parse: {message}")]
    Syntax {
        /// The bundle.
        bundle: String,
        /// What the parser said, with the line.
        message: String,
    },
    /// A format version of another time.
    #[error(
        "{bundle}: bundle format {found} is not known, this version reads format {known}; export the \
         model again or use a masklet of that time"
    )]
    UnknownVersion {
        /// The bundle.
        bundle: String,
        /// The version found.
        found: u32,
        /// The version read here.
        known: u32,
    },
    /// The image size is impossible for the family.
    #[error("{bundle}: {family} cannot run at image size {size}; allowed are {allowed}")]
    ImageSize {
        /// The bundle.
        bundle: String,
        /// The model family.
        family: String,
        /// The size asked for.
        size: usize,
        /// What is allowed.
        allowed: String,
    },
    /// A value is outside what the contract allows.
    #[error("{bundle}: {key} = {value} is not allowed: {expected}")]
    Value {
        /// The bundle.
        bundle: String,
        /// The key in the manifest.
        key: String,
        /// Its value.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// A component is not in the manifest.
    #[error(
        "{bundle}: component '{component}' is missing from bundle.toml; export the model again"
    )]
    MissingComponent {
        /// The bundle.
        bundle: String,
        /// The component.
        component: String,
    },
    /// A file is not the one that was exported.
    #[error(
        "{bundle}: '{file}' has SHA-256 {found}, bundle.toml says {declared}; the file was changed or \
         damaged: export or copy the bundle again"
    )]
    WrongHash {
        /// The bundle.
        bundle: String,
        /// The file.
        file: String,
        /// The hash in the manifest.
        declared: String,
        /// The hash of the file.
        found: String,
    },
    /// The declared tensors are not those of the contract.
    #[error("{bundle}: component '{component}' declares {found}, the contract asks for {expected}")]
    Contract {
        /// The bundle.
        bundle: String,
        /// The component.
        component: String,
        /// What the manifest declares.
        found: String,
        /// What it must declare.
        expected: String,
    },
    /// The graph's tensors are not those of the manifest.
    #[error("{bundle}: the graph of '{component}' has {found}, bundle.toml declares {declared}")]
    GraphDiffers {
        /// The bundle.
        bundle: String,
        /// The component.
        component: String,
        /// What the ONNX graph has.
        found: String,
        /// What the manifest declares.
        declared: String,
    },
    /// The ONNX file does not load.
    #[error("{bundle}: the graph of '{component}' does not load: {message}")]
    Graph {
        /// The bundle.
        bundle: String,
        /// The component.
        component: String,
        /// What the loader said.
        message: String,
    },
    /// No bundle of that name, size or precision.
    #[error("no bundle for {wanted} in {place}; there are: {available}; export it (tools/export)")]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for.
        place: String,
        /// What is there.
        available: String,
    },
    /// More than one bundle fits.
    #[error("{wanted} fits several bundles in {place}: {found}; say --imgsz or --precision")]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for.
        place: String,
        /// Those that fit.
        found: String,
    },
}
