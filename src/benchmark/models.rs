//! The bundles that a run's tags name.

use crate::dataset::prompts::{ModelTag, PromptKind};
use crate::error::{Error, Result};
use crate::record::{BundleRecord, WeightsRecord};
use crate::spec::Models;
use masklet_engines::bundle::{Bundle, BundleError, BundleStore, Wanted, WeightSource};
use std::path::PathBuf;

/// The tags of one bundle.
#[derive(Debug)]
pub struct ModelRun {
    /// The bundle, opened and checked.
    pub bundle: Bundle,
    /// Its tags with their prompt kinds, in the order asked for.
    pub tags: Vec<(String, PromptKind)>,
}

/// Opens every bundle that the tags name, each once. Where prompts are `given`, of a tag only the
/// model counts: a prompt kind at its end is left out, and the tag of the rows is `<model>_given`.
///
/// # Errors
/// For a tag that does not parse, and for a bundle that is missing or damaged.
pub fn open_models(
    models: &Models,
    exports: Option<PathBuf>,
    given: bool,
) -> Result<Vec<ModelRun>> {
    let store = BundleStore::new(exports);
    let mut runs: Vec<(String, ModelRun)> = Vec::new();
    for text in models.models.iter().filter(|tag| !tag.is_empty()) {
        let (tag, ModelTag { model, prompt }) = if given {
            given_tag(text)
        } else {
            (text.clone(), text.parse()?)
        };
        if let Some((_, run)) = runs.iter_mut().find(|(name, _)| *name == model) {
            if run.tags.iter().all(|(known, _)| *known != tag) {
                run.tags.push((tag, prompt));
            }
            continue;
        }
        let wanted = Wanted {
            name: model.clone(),
            image_size: models.imgsz,
            precision: models.precision,
        };
        let bundle = store.open(&wanted).map_err(|error| match &error {
            // Nothing is damaged: something was asked for that is not there.
            BundleError::NotFound { .. } | BundleError::Ambiguous { .. } => {
                Error::usage(error.to_string())
            }
            BundleError::ImageSize { size, .. } if models.imgsz == Some(*size) => {
                Error::usage(error.to_string())
            }
            _ => error.into(),
        })?;
        let tags = vec![(tag, prompt)];
        runs.push((model, ModelRun { bundle, tags }));
    }
    if runs.is_empty() {
        return Err(Error::usage("--models names no model"));
    }
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

fn given_tag(text: &str) -> (String, ModelTag) {
    let parsed: Result<ModelTag, _> = text.parse();
    let model = parsed.map_or_else(|_| text.to_owned(), |tag| tag.model);
    // The kind plays no part: what was given is taken.
    let prompt = PromptKind::Points;
    (format!("{model}_given"), ModelTag { model, prompt })
}

/// A bundle as `run.json` names it.
pub fn bundle_record(bundle: &Bundle) -> BundleRecord {
    let manifest = bundle.manifest();
    let weights = &manifest.weights;
    BundleRecord {
        name: manifest.name.clone(),
        source: if bundle.is_embedded() {
            "embedded".to_owned()
        } else {
            bundle.origin()
        },
        sha256: bundle.sha256().to_owned(),
        image_size: manifest.image_size,
        precision: manifest.precision.to_string(),
        weights: match weights.source {
            WeightSource::RandomInit => WeightsRecord::RandomInit {
                seed: weights.seed.unwrap_or_default(),
            },
            WeightSource::Checkpoint => WeightsRecord::Checkpoint {
                file: weights.file.clone().unwrap_or_default(),
                sha256: weights.sha256.clone().unwrap_or_default(),
            },
            WeightSource::Trained => WeightsRecord::Trained {
                note: "trained on synthetic video".to_owned(),
            },
        },
    }
}
