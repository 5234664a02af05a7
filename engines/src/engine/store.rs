//! The engines folder: finding, writing, listing, verifying and pruning.
//!
//! `<folder>/<model>-<size>-<precision>/<component>-<key>.plan`, beside it `….json`. The sidecar is
//! written last: a plan without one is not there.

use super::sidecar::{BuildRecord, Measured, PlanFile, SIDECAR_FORMAT, Sidecar};
use super::{EngineError, EngineKey, KeyFields, TensorRtFields, atomic, search_folders};
use crate::bundle::{Bundle, Component, Manifest, hex};
use crate::tensorrt::{DeviceIdentity, Library};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// One or more engines folders: the first is written to, all are searched.
#[derive(Clone, Debug)]
pub struct EngineStore {
    folders: Vec<PathBuf>,
}

/// What an engine must fit to run here.
#[derive(Clone, Debug)]
pub struct Device {
    /// The TensorRT that will load it.
    pub tensorrt: TensorRtFields,
    /// The device that will run it.
    pub identity: DeviceIdentity,
}

impl Device {
    /// Of a loaded library and a device.
    pub fn new(library: &Library, identity: DeviceIdentity) -> Self {
        Self {
            tensorrt: TensorRtFields::of(library),
            identity,
        }
    }
}

/// A component that somebody wants an engine of.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its bundle.
    pub bundle: &'a Bundle,
    /// Which component.
    pub component: Component,
}

impl Wanted<'_> {
    fn describe(&self) -> String {
        describe(self.bundle.manifest(), self.component.name())
    }
}

/// "track_step of edgetam 1024 bf16".
pub(super) fn describe(manifest: &Manifest, component: &str) -> String {
    format!(
        "{component} of {} {} {}",
        manifest.name, manifest.image_size, manifest.precision
    )
}

/// An engine on disk.
#[derive(Clone, Debug)]
pub struct StoredEngine {
    sidecar_path: PathBuf,
    /// What it was made of.
    pub sidecar: Sidecar,
}

impl StoredEngine {
    /// The plan's path.
    pub fn plan_path(&self) -> PathBuf {
        self.sidecar_path.with_file_name(&self.sidecar.plan.file)
    }

    /// The sidecar's path.
    pub fn sidecar_path(&self) -> &Path {
        &self.sidecar_path
    }

    /// The plan's bytes, checked against size and hash of the sidecar.
    ///
    /// # Errors
    /// When the plan is gone, cut off or changed.
    pub fn plan(&self) -> Result<Vec<u8>, EngineError> {
        let path = self.plan_path();
        let bytes = std::fs::read(&path).map_err(EngineError::io("read", &path))?;
        let plan = path.display().to_string();
        if bytes.len() as u64 != self.sidecar.plan.bytes {
            return Err(EngineError::Truncated {
                plan,
                found: bytes.len() as u64,
                built: self.sidecar.plan.bytes,
            });
        }
        if hex(&Sha256::digest(&bytes)) != self.sidecar.plan.sha256 {
            return Err(EngineError::Damaged { plan });
        }
        Ok(bytes)
    }

    /// Whether this device and this TensorRT can load it.
    ///
    /// # Errors
    /// A sentence that names both sides when not.
    pub fn fits(&self, device: &Device) -> Result<(), EngineError> {
        let plan = || self.plan_path().display().to_string();
        let fields = &self.sidecar.fields;
        if fields.tensorrt != device.tensorrt {
            return Err(EngineError::OtherVersion {
                plan: plan(),
                built: fields.tensorrt.to_string(),
                here: device.tensorrt.to_string(),
            });
        }
        if !fields.target.serves(&device.identity) {
            let (major, minor) = device.identity.compute_capability;
            return Err(EngineError::OtherDevice {
                plan: plan(),
                built: fields.target.to_string(),
                here: format!(
                    "{} (compute capability {major}.{minor})",
                    device.identity.name
                ),
            });
        }
        Ok(())
    }

    /// Notes what the engine takes on its device, for later memory plans.
    ///
    /// # Errors
    /// When the sidecar cannot be written.
    pub fn record(&mut self, measured: Measured) -> Result<(), EngineError> {
        if self.sidecar.measured == Some(measured) {
            return Ok(());
        }
        self.sidecar.measured = Some(measured);
        self.sidecar.write(&self.sidecar_path)
    }
}

/// Something in the folder that is no good.
#[derive(Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: EngineError,
}

impl EngineStore {
    /// The store in `folder`, or where engines are kept by default ([`search_folders`]).
    pub fn open(folder: Option<&Path>) -> Self {
        Self {
            folders: search_folders(folder),
        }
    }

    /// The folder that is written to.
    pub fn folder(&self) -> &Path {
        // search_folders returns at least one.
        self.folders.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// The engine of exactly this key, if its plan is there with the right size.
    pub fn get(
        &self,
        manifest: &Manifest,
        component: &str,
        key: &EngineKey,
    ) -> Option<StoredEngine> {
        self.folders.iter().find_map(|folder| {
            let path = folder
                .join(folder_name(manifest))
                .join(file_stem(component, key) + ".json");
            let sidecar = Sidecar::read(&path).ok()?;
            let engine = StoredEngine {
                sidecar_path: path,
                sidecar,
            };
            let size = std::fs::metadata(engine.plan_path()).ok()?.len();
            (engine.sidecar.key == *key && size == engine.sidecar.plan.bytes).then_some(engine)
        })
    }

    /// The engine of a component that this device can load; of several the newest.
    ///
    /// # Errors
    /// [`EngineError::NotBuilt`], saying what is there instead.
    pub fn find(&self, wanted: Wanted<'_>, device: &Device) -> Result<StoredEngine, EngineError> {
        let manifest = wanted.bundle.manifest();
        let onnx = &wanted.bundle.component(wanted.component).sha256;
        let mut near: Option<EngineError> = None;
        let mut best: Option<StoredEngine> = None;
        for engine in self.engines(Some(manifest)) {
            if engine.sidecar.component != wanted.component.name()
                || engine.sidecar.fields.onnx_sha256 != *onnx
            {
                continue;
            }
            match engine.fits(device) {
                Err(error) => near = Some(error),
                Ok(()) => {
                    let newer = best.as_ref().is_none_or(|known| {
                        known.sidecar.build.finished_unix_s < engine.sidecar.build.finished_unix_s
                    });
                    if newer {
                        best = Some(engine);
                    }
                }
            }
        }
        let names: Vec<String> = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        best.ok_or_else(|| EngineError::NotBuilt {
            wanted: format!("{} on {}", wanted.describe(), device.identity.name),
            place: names.join(", "),
            nearest: near.map_or_else(String::new, |error| match error {
                EngineError::OtherVersion { built, here, .. } => {
                    format!(" (there is one of {built}, this is {here})")
                }
                EngineError::OtherDevice { built, here, .. } => {
                    format!(" (there is one for {built}, this is {here})")
                }
                other => format!(" ({other})"),
            }),
        })
    }

    /// Every engine with a readable sidecar.
    pub fn list(&self) -> Vec<StoredEngine> {
        self.engines(None)
    }

    /// Every file that is no good: unreadable sidecars, missing, cut-off or damaged plans, plans
    /// without sidecar. Reads every plan.
    pub fn verify(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (folder, paths) in self.files(None) {
            for path in paths {
                match path.extension().and_then(|e| e.to_str()) {
                    Some("json") => {
                        let outcome = Sidecar::read(&path).and_then(|sidecar| {
                            StoredEngine {
                                sidecar_path: path.clone(),
                                sidecar,
                            }
                            .plan()
                            .map(|_| ())
                        });
                        if let Err(error) = outcome {
                            problems.push(Problem { path, error });
                        }
                    }
                    Some("plan") if !path.with_extension("json").exists() => {
                        let error = EngineError::Sidecar {
                            path: path.with_extension("json"),
                            message: format!("it is missing in {}", folder.display()),
                        };
                        problems.push(Problem { path, error });
                    }
                    _ => {}
                }
            }
        }
        problems
    }

    /// Removes from the first folder every engine that `keep` does not want, every plan without
    /// sidecar, and what killed builds left. Returns what was (or with `dry_run` would be) removed.
    ///
    /// # Errors
    /// When the lock cannot be had or a file does not go.
    pub fn prune(
        &self,
        dry_run: bool,
        keep: impl Fn(&StoredEngine) -> bool,
    ) -> Result<Vec<PathBuf>, EngineError> {
        if !self.folder().is_dir() {
            return Ok(Vec::new());
        }
        let _lock = atomic::Lock::take(self.folder(), || {})?;
        let first = Self {
            folders: vec![self.folder().to_owned()],
        };
        let mut removed = Vec::new();
        for (folder, paths) in first.files(None) {
            for path in paths {
                let gone = match path.extension().and_then(|e| e.to_str()) {
                    Some("json") => match Sidecar::read(&path) {
                        Err(_) => true,
                        Ok(sidecar) => {
                            let engine = StoredEngine {
                                sidecar_path: path.clone(),
                                sidecar,
                            };
                            let gone = !keep(&engine) || !engine.plan_path().exists();
                            if gone && engine.plan_path().exists() {
                                removed.push(engine.plan_path());
                            }
                            gone
                        }
                    },
                    Some("plan") => !path.with_extension("json").exists(),
                    _ => false,
                };
                if gone {
                    removed.push(path);
                }
            }
            if !dry_run {
                removed.extend(atomic::remove_unfinished(&folder));
            }
        }
        if !dry_run {
            for path in removed.iter().filter(|path| path.exists()) {
                std::fs::remove_file(path).map_err(EngineError::io("remove", path))?;
            }
            for (folder, _) in first.files(None) {
                // Goes only when it is empty.
                let _ = std::fs::remove_dir(folder);
            }
        }
        Ok(removed)
    }

    /// Writes plan and sidecar; the caller holds the lock.
    pub(super) fn put(
        &self,
        manifest: &Manifest,
        component: &str,
        fields: KeyFields,
        plan: &[u8],
        build: BuildRecord,
    ) -> Result<StoredEngine, EngineError> {
        let folder = self.folder().join(folder_name(manifest));
        std::fs::create_dir_all(&folder).map_err(EngineError::io("create", &folder))?;
        atomic::remove_unfinished(&folder);
        let key = fields.key();
        let stem = file_stem(component, &key);
        let sidecar_path = folder.join(format!("{stem}.json"));
        let sidecar = Sidecar {
            format: SIDECAR_FORMAT,
            key,
            model: manifest.name.clone(),
            image_size: manifest.image_size,
            component: component.to_owned(),
            fields,
            plan: PlanFile {
                file: format!("{stem}.plan"),
                bytes: plan.len() as u64,
                sha256: hex(&Sha256::digest(plan)),
            },
            build,
            measured: None,
        };
        // An old sidecar must not vouch for a new plan.
        if sidecar_path.exists() {
            std::fs::remove_file(&sidecar_path)
                .map_err(EngineError::io("remove", &sidecar_path))?;
        }
        atomic::write(&folder.join(&sidecar.plan.file), plan)?;
        sidecar.write(&sidecar_path)?;
        Ok(StoredEngine {
            sidecar_path,
            sidecar,
        })
    }

    fn engines(&self, manifest: Option<&Manifest>) -> Vec<StoredEngine> {
        self.files(manifest)
            .into_iter()
            .flat_map(|(_, paths)| paths)
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .filter_map(|path| {
                let sidecar = Sidecar::read(&path).ok()?;
                Some(StoredEngine {
                    sidecar_path: path,
                    sidecar,
                })
            })
            .collect()
    }

    /// The bundle folders of all stores with their files, sorted.
    fn files(&self, manifest: Option<&Manifest>) -> Vec<(PathBuf, Vec<PathBuf>)> {
        let mut all = Vec::new();
        for folder in &self.folders {
            let mut inner: Vec<PathBuf> = match manifest {
                Some(manifest) => vec![folder.join(folder_name(manifest))],
                None => entries(folder),
            };
            inner.retain(|path| path.is_dir());
            for folder in inner {
                let files = entries(&folder);
                all.push((folder, files));
            }
        }
        all
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}

fn folder_name(manifest: &Manifest) -> String {
    // Names of bundles are checked on opening, but they become a path here.
    let name: String = manifest
        .name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("{name}-{}-{}", manifest.image_size, manifest.precision)
}

fn file_stem(component: &str, key: &EngineKey) -> String {
    format!("{component}-{}", key.short())
}
