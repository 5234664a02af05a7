//! Whether the engines that a model needs on a device exist: missing, stale, of another module,
//! damaged.

use super::{Device, EngineError, EngineKey, EngineStore, StoredEngine};
use crate::bundle::{Component, Manifest};
use serde::Serialize;

/// The state of one component's engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineState {
    /// It exists and fits.
    Ready,
    /// There is none.
    Missing,
    /// There is one of another export, TensorRT, set of options or version of this program.
    Stale,
    /// There is one for another device or another module of the same name.
    OtherModule,
    /// There is one whose record or plan is not whole.
    Damaged,
    /// Of a bundle: some components are ready, others are not.
    Incomplete,
}

impl EngineState {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::OtherModule => "other-module",
            Self::Damaged => "damaged",
            Self::Incomplete => "incomplete",
        }
    }
}

/// One component's engine, as it was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentState {
    /// The component.
    pub component: &'static str,
    /// Its state.
    pub state: EngineState,
    /// Why it is not ready.
    pub reason: Option<String>,
    /// The key of the engine that would be loaded.
    pub key: Option<EngineKey>,
}

/// The state of every component of a bundle on a device. Opens no plan unless `deep`: sizes are
/// compared, not contents.
///
/// # Errors
/// When the engines folder cannot be read.
pub fn readiness(
    store: &EngineStore,
    manifest: &Manifest,
    device: &Device,
    options: Option<&str>,
    deep: bool,
) -> Result<Vec<ComponentState>, EngineError> {
    Component::ALL
        .into_iter()
        .map(|component| one(store, manifest, component, device, options, deep))
        .collect()
}

fn one(
    store: &EngineStore,
    manifest: &Manifest,
    component: Component,
    device: &Device,
    options: Option<&str>,
    deep: bool,
) -> Result<ComponentState, EngineError> {
    let name = component.name();
    let found = |state, reason: Option<String>, engine: Option<&StoredEngine>| ComponentState {
        component: name,
        state,
        reason,
        key: engine.map(|engine| engine.sidecar.key.clone()),
    };
    let entry = manifest.component.iter().find(|entry| entry.name == name);
    let Some(entry) = entry else {
        let reason = "the bundle does not have this component".to_owned();
        return Ok(found(EngineState::Missing, Some(reason), None));
    };
    let error = match store.choose(manifest, name, &entry.sha256, device, options) {
        Ok(engine) => {
            let whole = if deep {
                engine.check()
            } else {
                engine.check_size()
            };
            return Ok(match whole {
                Ok(()) => found(EngineState::Ready, None, Some(&engine)),
                Err(error) => found(EngineState::Damaged, Some(error.to_string()), Some(&engine)),
            });
        }
        Err(error) => error,
    };
    let state = match error {
        EngineError::NotBuilt { .. } => nearest(store, manifest, name, &entry.sha256, device)?,
        EngineError::Ambiguous { .. } | EngineError::OtherOptions { .. } => {
            Some((EngineState::Stale, error.to_string()))
        }
        other => return Err(other),
    };
    Ok(match state {
        Some((state, reason)) => found(state, Some(reason), None),
        None => found(EngineState::Missing, None, None),
    })
}

/// What there is in place of an engine that fits; the state that is nearest to ready.
fn nearest(
    store: &EngineStore,
    manifest: &Manifest,
    component: &str,
    onnx_sha256: &str,
    device: &Device,
) -> Result<Option<(EngineState, String)>, EngineError> {
    let rank = |state: &EngineState| match state {
        EngineState::Damaged => 0,
        EngineState::OtherModule => 1,
        _ => 2,
    };
    let mut all: Vec<(EngineState, String)> = Vec::new();
    for (path, record) in store.records(Some(manifest))? {
        let of_component = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{component}-")));
        match record {
            Ok(sidecar) if sidecar.component == component => {
                let same_export = sidecar.fields.onnx_sha256 == onnx_sha256;
                let engine = StoredEngine::new(path, sidecar);
                all.push(match engine.fits(device) {
                    Err(error @ EngineError::OtherDevice { .. }) => {
                        (EngineState::OtherModule, error.to_string())
                    }
                    Err(error) => (EngineState::Stale, error.to_string()),
                    Ok(()) if same_export => continue,
                    Ok(()) => {
                        let plan = engine.plan_path();
                        let reason = format!("{} was built from another export", plan.display());
                        (EngineState::Stale, reason)
                    }
                });
            }
            Err(error @ EngineError::OtherFormat { .. }) if of_component => {
                all.push((EngineState::Stale, error.to_string()));
            }
            Err(error) if of_component => all.push((EngineState::Damaged, error.to_string())),
            _ => {}
        }
    }
    Ok(all.into_iter().min_by_key(|(state, _)| rank(state)))
}
