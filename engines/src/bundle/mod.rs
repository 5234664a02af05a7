//! Bundles: a model export with a manifest, checked before anything runs.
//!
//! The format is described in `docs/bundle-format.md`. Opening a bundle proves, in this order: the
//! manifest parses and has no unknown key, the version is known, the dimensions are possible for
//! the family, every component is there with the declared hash, declares the tensors that the
//! contract demands, and the ONNX graph has exactly these tensors. What differs is named. The last
//! step needs the feature `cpu` and a precision that the CPU runtime reads (not bf16); otherwise the
//! graph's tensors are checked when an engine is built of it.
//!
//! Not here: running a component ([`crate::backend`]).

mod contract;
mod error;
#[cfg(feature = "cpu")]
mod graph;
mod manifest;
mod store;
#[cfg(test)]
mod tests;
mod wire;

pub use contract::{Component, LABEL_PADDING, LABEL_UNUSED};
pub use error::BundleError;
pub use manifest::{
    CheckRecord, ComponentEntry, Dims, Exporter, Family, Manifest, MemoryRules, Precision,
    Preprocess, StoredAs, WeightSource, Weights,
};
pub use store::{BundleStore, Listed, Wanted};

use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Name of the manifest inside a bundle's folder.
pub const MANIFEST_FILE: &str = "bundle.toml";

/// A checked bundle: the manifest and where its graphs are.
#[derive(Clone, Debug)]
pub struct Bundle {
    manifest: Manifest,
    origin: Origin,
    sha256: String,
}

/// Where the files of a bundle come from.
#[derive(Clone, Debug)]
enum Origin {
    Folder(PathBuf),
    Embedded(&'static [(&'static str, &'static [u8])]),
}

impl Origin {
    fn name(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Embedded(_) => "the embedded bundle".to_owned(),
        }
    }

    fn read(&self, file: &str) -> Result<Cow<'static, [u8]>, BundleError> {
        let missing = || BundleError::MissingFile {
            bundle: self.name(),
            file: file.to_owned(),
        };
        match self {
            Self::Embedded(files) => files
                .iter()
                .find(|(name, _)| *name == file)
                .map(|(_, bytes)| Cow::Borrowed(*bytes))
                .ok_or_else(missing),
            Self::Folder(folder) => {
                let path = folder.join(file);
                std::fs::read(&path)
                    .map(Cow::Owned)
                    .map_err(|source| match source.kind() {
                        std::io::ErrorKind::NotFound => missing(),
                        _ => BundleError::Unreadable { path, source },
                    })
            }
        }
    }
}

impl Bundle {
    /// Opens and checks the bundle in `folder`.
    ///
    /// # Errors
    /// A [`BundleError`] that names the bundle and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        Self::from_origin(Origin::Folder(folder.to_owned()))
    }

    /// Opens and checks the bundle that is compiled into this library.
    ///
    /// # Errors
    /// As [`Bundle::open`]; a released build never fails here (a test opens it).
    pub fn embedded() -> Result<Self, BundleError> {
        Self::from_origin(Origin::Embedded(store::EMBEDDED))
    }

    fn from_origin(origin: Origin) -> Result<Self, BundleError> {
        let name = origin.name();
        let text = origin.read(MANIFEST_FILE)?;
        let sha256 = hex(&Sha256::digest(&text));
        let text = String::from_utf8_lossy(&text);
        let manifest = Manifest::parse(&name, &text)?;
        contract::check(&name, &manifest)?;
        for entry in &manifest.component {
            let bytes = origin.read(&entry.file)?;
            let found = hex(&Sha256::digest(&bytes));
            if found != entry.sha256 {
                return Err(BundleError::WrongHash {
                    bundle: name,
                    file: entry.file.clone(),
                    declared: entry.sha256.clone(),
                    found,
                });
            }
            wire::check(&bytes).map_err(|message| BundleError::Graph {
                bundle: name.clone(),
                component: entry.name.clone(),
                message,
            })?;
            // The CPU runtime, which reads the graph here, has no bfloat16 weights; such a graph's
            // tensors are checked against the contract when an engine is built of it.
            #[cfg(feature = "cpu")]
            if manifest.precision != Precision::Bf16 {
                graph::check(&name, entry, &bytes)?;
            }
        }
        Ok(Self {
            manifest,
            origin,
            sha256,
        })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, which holds the hashes of all components: one name for the whole.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The folder of the bundle, or what stands for it.
    pub fn origin(&self) -> String {
        self.origin.name()
    }

    /// The folder it was opened from; `None` for the embedded one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Folder(folder) => Some(folder),
            Origin::Embedded(_) => None,
        }
    }

    /// Whether the bundle is compiled into the program.
    pub fn is_embedded(&self) -> bool {
        matches!(self.origin, Origin::Embedded(_))
    }

    /// The manifest's entry of a component.
    pub fn component(&self, component: Component) -> &ComponentEntry {
        // Opening refuses a bundle that lacks one, so the position always exists.
        let position = self
            .manifest
            .component
            .iter()
            .position(|entry| entry.name == component.name())
            .unwrap_or(0);
        &self.manifest.component[position]
    }

    /// The bytes of a component's ONNX file.
    ///
    /// # Errors
    /// When the file has gone since the bundle was opened.
    pub fn graph(&self, component: Component) -> Result<Cow<'static, [u8]>, BundleError> {
        self.origin.read(&self.component(component).file)
    }
}

/// A digest in hexadecimal.
pub(crate) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
