//! Finding bundles: the embedded one, and those in a folder of exports.

use super::{Bundle, BundleError, MANIFEST_FILE, Manifest, Precision, contract};
use std::path::{Path, PathBuf};

macro_rules! embedded_files {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../bundles/edgetam_small/", $file)))),*]
    };
}

/// The files of the default bundle, compiled in.
pub(super) const EMBEDDED: &[(&str, &[u8])] = embedded_files![
    "bundle.toml",
    "image_encoder.onnx",
    "prompt_decoder.onnx",
    "memory_encoder.onnx",
    "mask_prompt.onnx",
    "track_step.onnx",
];

/// Which bundle is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The model's part of a tag.
    pub name: String,
    /// Image size, if it matters.
    pub image_size: Option<usize>,
    /// Precision, if it matters.
    pub precision: Option<Precision>,
}

impl Wanted {
    fn describe(&self) -> String {
        let mut text = format!("model '{}'", self.name);
        if let Some(size) = self.image_size {
            text += &format!(" at image size {size}");
        }
        if let Some(precision) = self.precision {
            text += &format!(" in {precision}");
        }
        text
    }

    fn fits(&self, manifest: &Manifest) -> bool {
        manifest.name == self.name
            && self.image_size.is_none_or(|s| s == manifest.image_size)
            && self.precision.is_none_or(|p| p == manifest.precision)
    }
}

/// A bundle's folder (`None` for the embedded one) and its manifest.
pub type Listed = (Option<PathBuf>, Result<Manifest, BundleError>);

/// Where bundles are looked for: a folder of exports if there is one, and the embedded bundle.
#[derive(Clone, Debug)]
pub struct BundleStore {
    exports: Option<PathBuf>,
}

impl BundleStore {
    /// A store over `exports`: a folder of bundle folders, or itself a bundle.
    pub fn new(exports: Option<PathBuf>) -> Self {
        Self { exports }
    }

    /// The manifests that are there, unchecked but for their syntax, with their folders; the
    /// embedded bundle has none.
    ///
    /// # Errors
    /// When the folder cannot be listed or a manifest does not parse.
    pub fn list(&self) -> Result<Vec<(Option<PathBuf>, Manifest)>, BundleError> {
        self.list_each()?
            .into_iter()
            .map(|(folder, manifest)| Ok((folder, manifest?)))
            .collect()
    }

    /// As [`BundleStore::list`], with the error of each manifest that does not read or parse.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn list_each(&self) -> Result<Vec<Listed>, BundleError> {
        let mut found: Vec<Listed> = Vec::new();
        if let Some(exports) = &self.exports {
            for folder in bundle_folders(exports)? {
                let path = folder.join(MANIFEST_FILE);
                let manifest = std::fs::read_to_string(&path)
                    .map_err(|source| BundleError::Unreadable { path, source })
                    .and_then(|text| Manifest::parse(&folder.display().to_string(), &text));
                found.push((Some(folder), manifest));
            }
        }
        for (name, bytes) in EMBEDDED {
            if *name == MANIFEST_FILE {
                let text = String::from_utf8_lossy(bytes);
                found.push((None, Manifest::parse("the embedded bundle", &text)));
            }
        }
        Ok(found)
    }

    /// Opens and checks the one bundle that fits. Exports win over the embedded bundle.
    ///
    /// # Errors
    /// When none fits, several do, or the one that fits is damaged.
    pub fn open(&self, wanted: &Wanted) -> Result<Bundle, BundleError> {
        let all = self.list()?;
        let place = self.exports.as_ref().map_or_else(
            || "the embedded bundle (no --exports given)".to_owned(),
            |path| format!("{} or the embedded bundle", path.display()),
        );
        let mut fitting: Vec<_> = all.iter().filter(|(_, m)| wanted.fits(m)).collect();
        if fitting.iter().any(|(folder, _)| folder.is_some()) {
            fitting.retain(|(folder, _)| folder.is_some());
        }
        let names = |list: &[&(Option<PathBuf>, Manifest)]| {
            list.iter()
                .map(|(_, m)| format!("{} {} {}", m.name, m.image_size, m.precision))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match fitting.as_slice() {
            [(Some(folder), _)] => Bundle::open(folder),
            [(None, _)] => Bundle::embedded(),
            [] => {
                // A size that the model could never take deserves that answer.
                if let Some(size) = wanted.image_size
                    && let Some((_, same)) = all.iter().find(|(_, m)| m.name == wanted.name)
                {
                    contract::check_image_size(
                        &format!("model '{}'", same.name),
                        same.family,
                        size,
                    )?;
                }
                Err(BundleError::NotFound {
                    wanted: wanted.describe(),
                    place,
                    available: names(&all.iter().collect::<Vec<_>>()),
                })
            }
            several => Err(BundleError::Ambiguous {
                wanted: wanted.describe(),
                place,
                found: names(several),
            }),
        }
    }
}

fn bundle_folders(exports: &Path) -> Result<Vec<PathBuf>, BundleError> {
    if exports.join(MANIFEST_FILE).is_file() {
        return Ok(vec![exports.to_owned()]);
    }
    let unreadable = |source| BundleError::Unreadable {
        path: exports.to_owned(),
        source,
    };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(exports).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.join(MANIFEST_FILE).is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}
