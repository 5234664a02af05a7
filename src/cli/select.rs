//! Which bundles a command on engines is about.

use super::options::UsageError;
use crate::dataset::prompts::ModelTag;
use clap::Args;
use masklet_engines::bundle::{Bundle, BundleError, BundleStore, Manifest, Precision};
use std::path::PathBuf;

/// Bundles by name, size and precision.
#[derive(Debug, Args)]
pub struct BundleSelection {
    /// Models, by name or by tag; without it every bundle of --exports, or the embedded one.
    #[arg(long, value_delimiter = ',', value_name = "MODEL,…")]
    pub models: Vec<String>,
    /// Folder of model bundles (see docs/bundle-format.md); without it the embedded bundle.
    #[arg(long, env = "MASKLET_EXPORTS", value_name = "DIR")]
    pub exports: Option<PathBuf>,
    /// Only bundles of this image side.
    #[arg(long, value_name = "PIXELS")]
    pub imgsz: Option<usize>,
    /// Only bundles of this precision. It is the export's own: TensorRT does not change it.
    #[arg(long, alias = "autocast_dtype", value_enum)]
    pub precision: Option<Precision>,
}

/// A bundle that was chosen; its graphs have not been read.
pub struct Chosen {
    /// "edgetam 1024 bf16", or the folder of one whose manifest does not read.
    pub name: String,
    /// Its folder; `None` for the embedded bundle.
    pub folder: Option<PathBuf>,
    /// Its manifest.
    pub manifest: Result<Manifest, BundleError>,
}

impl Chosen {
    /// Opens and checks the bundle.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn open(self) -> Result<Bundle, BundleError> {
        self.manifest?;
        match self.folder {
            Some(folder) => Bundle::open(&folder),
            None => Bundle::embedded(),
        }
    }
}

impl BundleSelection {
    /// The bundles asked for. One whose manifest does not read is chosen too, unless models are
    /// named and all of them are found without it.
    ///
    /// # Errors
    /// When the folder cannot be listed, or a model that was named does not exist.
    pub fn choose(&self) -> anyhow::Result<Vec<Chosen>> {
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
        let mut chosen: Vec<Chosen> = Vec::new();
        let mut broken: Vec<Chosen> = Vec::new();
        let mut existing = Vec::new();
        let mut known = Vec::new();
        for (folder, manifest) in BundleStore::new(self.exports.clone()).list_each()? {
            let manifest = match manifest {
                Ok(manifest) => manifest,
                Err(error) => {
                    broken.push(Chosen {
                        name: folder
                            .as_ref()
                            .map_or_else(String::new, |f| f.display().to_string()),
                        folder,
                        manifest: Err(error),
                    });
                    continue;
                }
            };
            let name = format!(
                "{} {} {}",
                manifest.name, manifest.image_size, manifest.precision
            );
            existing.push(name.clone());
            // Exports win over the embedded bundle, which is chosen only by its name.
            let embedded = folder.is_none();
            let wanted = if names.is_empty() {
                !embedded || self.exports.is_none()
            } else {
                names.contains(&manifest.name) && !(embedded && known.contains(&manifest.name))
            };
            if wanted
                && self.imgsz.is_none_or(|size| size == manifest.image_size)
                && precision.is_none_or(|p| p == manifest.precision)
            {
                known.push(manifest.name.clone());
                chosen.push(Chosen {
                    name,
                    folder,
                    manifest: Ok(manifest),
                });
            }
        }
        let missing = names.iter().find(|name| !known.contains(name));
        if names.is_empty() || missing.is_some() {
            chosen.append(&mut broken);
        }
        // One of those that do not read may be it.
        if let Some(missing) = missing
            && chosen.iter().all(|chosen| chosen.manifest.is_ok())
        {
            let mut wanted = format!("model '{missing}'");
            if let Some(size) = self.imgsz {
                wanted += &format!(" at image size {size}");
            }
            if let Some(precision) = precision {
                wanted += &format!(" in {precision}");
            }
            return Err(self.not_found(wanted, &existing));
        }
        if chosen.is_empty() {
            return Err(self.not_found("any model".to_owned(), &existing));
        }
        Ok(chosen)
    }

    fn not_found(&self, wanted: String, existing: &[String]) -> anyhow::Error {
        UsageError(
            BundleError::NotFound {
                wanted,
                place: self.exports.as_ref().map_or_else(
                    || "the embedded bundle (no --exports given)".to_owned(),
                    |path| path.display().to_string(),
                ),
                available: existing.join(", "),
            }
            .to_string(),
        )
        .into()
    }
}
