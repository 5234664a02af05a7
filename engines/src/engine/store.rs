//! The engines folder: finding, writing, listing, verifying and pruning.
//!
//! `<folder>/<model>-<size>-<precision>/<component>-<key>.json` names a plan beside it. An engine is
//! *whole* when its record reads, its key is the hash of its fields, and its plan has the size and
//! the SHA-256 of the record; all commands go by that. The record is written last and replaced in
//! one step, so an engine that is built again stays whole until its successor is. A plan that no
//! record names, a record that does not read and an unfinished file are *remains* of killed
//! processes (or belong to a build in progress): they are ignored, and removed under the lock.

use super::sidecar::{BuildRecord, Measured, PlanFile, SIDECAR_FORMAT, Sidecar};
use super::{
    BuildSettings, EngineError, EngineKey, KeyFields, OptionFields, TensorRtFields, atomic,
    search_folders,
};
use crate::bundle::{Bundle, Component, Manifest, hex};
use crate::tensorrt::{DeviceIdentity, Library};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long `prune` waits for a build.
const PRUNE_WAIT: Duration = Duration::from_secs(10);

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
    pub(super) fn new(sidecar_path: PathBuf, sidecar: Sidecar) -> Self {
        Self {
            sidecar_path,
            sidecar,
        }
    }

    fn read(sidecar_path: &Path) -> Result<Self, EngineError> {
        Ok(Self::new(
            sidecar_path.to_owned(),
            Sidecar::read(sidecar_path)?,
        ))
    }

    /// The options that it was built with.
    pub fn options(&self) -> &OptionFields {
        &self.sidecar.fields.options
    }

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
        self.check_size()?;
        let path = self.plan_path();
        let bytes = std::fs::read(&path).map_err(EngineError::io("read", &path))?;
        self.check_hash(&hex(&Sha256::digest(&bytes)))?;
        Ok(bytes)
    }

    /// Whether the plan has the size of the sidecar; does not open it.
    ///
    /// # Errors
    /// When the plan is gone or cut off.
    pub fn check_size(&self) -> Result<(), EngineError> {
        let path = self.plan_path();
        let found = std::fs::metadata(&path)
            .map_err(EngineError::io("read", &path))?
            .len();
        if found != self.sidecar.plan.bytes {
            return Err(EngineError::Truncated {
                plan: path.display().to_string(),
                found,
                built: self.sidecar.plan.bytes,
            });
        }
        Ok(())
    }

    /// Whether the plan is the one that was built; reads it all.
    ///
    /// # Errors
    /// When the plan is gone, cut off or changed.
    pub fn check(&self) -> Result<(), EngineError> {
        self.check_size()?;
        let path = self.plan_path();
        let read = EngineError::io("read", &path);
        let hash = (|| {
            let mut file = File::open(&path)?;
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; 1 << 20];
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok(hex(&hasher.finalize())),
                    count => hasher.update(&buffer[..count]),
                }
            }
        })();
        self.check_hash(&hash.map_err(read)?)
    }

    fn check_hash(&self, found: &str) -> Result<(), EngineError> {
        if found != self.sidecar.plan.sha256 {
            return Err(EngineError::Damaged {
                plan: self.plan_path().display().to_string(),
            });
        }
        Ok(())
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
                    super::DeviceFields::of(&device.identity)
                ),
            });
        }
        Ok(())
    }

    /// Records what the engine takes on its device, for later memory plans. While another process
    /// has the folder's lock nothing is written: the next run measures again.
    ///
    /// # Errors
    /// When the sidecar cannot be written.
    pub fn record(&mut self, measured: Measured) -> Result<(), EngineError> {
        if self.sidecar.measured == Some(measured) {
            return Ok(());
        }
        self.sidecar.measured = Some(measured);
        let store = self.sidecar_path.ancestors().nth(2);
        let lock = atomic::Lock::take(store.unwrap_or(Path::new(".")), &atomic::Wait::NONE);
        let _lock = match lock {
            Err(EngineError::Locked { .. }) => return Ok(()),
            lock => lock?,
        };
        // A build may have replaced or removed the engine since it was read.
        match Self::read(&self.sidecar_path) {
            Ok(now) if now.sidecar.plan == self.sidecar.plan => {
                self.sidecar.write(&self.sidecar_path)
            }
            _ => Ok(()),
        }
    }
}

/// An engine that is not whole.
#[derive(Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: EngineError,
}

/// What [`EngineStore::verify`] found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Engines that are whole.
    pub whole: usize,
    /// Engines that are not.
    pub problems: Vec<Problem>,
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

    /// The engine of exactly this key, if it is whole.
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
            let engine = StoredEngine::read(&path).ok()?;
            (engine.sidecar.key == *key && engine.check().is_ok()).then_some(engine)
        })
    }

    /// The engine of a component that this device can load. Several that fit are told apart by the
    /// options that they were built with: `options` names them ([`OptionFields`]'s text), without it
    /// the default ones are taken.
    ///
    /// # Errors
    /// [`EngineError::NotBuilt`], naming what there is instead; [`EngineError::Ambiguous`] and
    /// [`EngineError::OtherOptions`] when options do not decide.
    pub fn find(
        &self,
        wanted: Wanted<'_>,
        device: &Device,
        options: Option<&str>,
    ) -> Result<StoredEngine, EngineError> {
        let component = wanted.component.name();
        let onnx = &wanted.bundle.component(wanted.component).sha256;
        self.choose(wanted.bundle.manifest(), component, onnx, device, options)
    }

    pub(super) fn choose(
        &self,
        manifest: &Manifest,
        component: &str,
        onnx_sha256: &str,
        device: &Device,
        options: Option<&str>,
    ) -> Result<StoredEngine, EngineError> {
        let mut near: Option<EngineError> = None;
        let mut fitting: Vec<StoredEngine> = Vec::new();
        for engine in self.engines(Some(manifest))? {
            let fields = &engine.sidecar.fields;
            if engine.sidecar.component != component || fields.onnx_sha256 != onnx_sha256 {
                continue;
            }
            match engine.fits(device) {
                Err(error) => near = Some(error),
                Ok(()) => fitting.push(engine),
            }
        }
        let wanted = || {
            format!(
                "{} on {}",
                describe(manifest, component),
                device.identity.name
            )
        };
        let labels = |engines: &[StoredEngine]| -> BTreeSet<String> {
            engines.iter().map(|e| e.options().to_string()).collect()
        };
        let existing = labels(&fitting);
        let default = BuildSettings::default().option_fields().to_string();
        let label = options.map(str::to_owned);
        if let Some(label) = label.or_else(|| existing.contains(&default).then_some(default)) {
            fitting.retain(|engine| engine.options().to_string() == label);
            if fitting.is_empty() && !existing.is_empty() {
                return Err(EngineError::OtherOptions {
                    wanted: wanted(),
                    options: label,
                    existing: joined(&existing),
                });
            }
        } else if existing.len() > 1 {
            return Err(EngineError::Ambiguous {
                wanted: wanted(),
                options: joined(&existing),
            });
        }
        // What is left differs in the GPUs that were named with it: the narrowest, then by key.
        fitting.sort_by_key(|engine| {
            let named = &engine.sidecar.fields.target.compute_capabilities;
            (named.len(), engine.sidecar.key.to_string())
        });
        fitting
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::NotBuilt {
                wanted: wanted(),
                place: self
                    .folders
                    .iter()
                    .map(|folder| folder.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
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
    ///
    /// # Errors
    /// When a folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<StoredEngine>, EngineError> {
        self.engines(None)
    }

    /// Checks every engine; reads every plan. Remains of killed processes are not engines.
    ///
    /// # Errors
    /// When there is no folder, or one cannot be read.
    pub fn verify(&self) -> Result<Verified, EngineError> {
        if !self.folders.iter().any(|folder| folder.exists()) {
            return Err(EngineError::NoFolder {
                folder: self.folder().to_owned(),
            });
        }
        let mut verified = Verified::default();
        for (path, _) in self.records(None)? {
            match verify_one(&path) {
                None => {}
                Some(Ok(())) => verified.whole += 1,
                Some(Err(error)) => verified.problems.push(Problem { path, error }),
            }
        }
        Ok(verified)
    }

    /// Removes from the first folder every engine that `keep` rejects or that is not whole, and
    /// remains of killed processes. With `device` also the tactic timings of others. Returns what
    /// was (or with `dry_run` would be) removed.
    ///
    /// # Errors
    /// When another process holds the lock, or a file cannot be removed.
    pub fn prune(
        &self,
        dry_run: bool,
        device: Option<&Device>,
        keep: impl Fn(&StoredEngine) -> bool,
    ) -> Result<Vec<PathBuf>, EngineError> {
        if !self.folder().is_dir() {
            return Ok(Vec::new());
        }
        let _lock = if dry_run {
            None
        } else {
            let wait = atomic::Wait {
                limit: Some(PRUNE_WAIT),
                ..atomic::Wait::NONE
            };
            Some(atomic::Lock::take(self.folder(), &wait)?)
        };
        let first = self.first();
        let mut removed = first.remains()?;
        for (path, sidecar) in first.records(None)? {
            match sidecar {
                Ok(sidecar) => {
                    let engine = StoredEngine::new(path, sidecar);
                    if !keep(&engine) || engine.check().is_err() {
                        removed.extend([engine.sidecar_path.clone(), engine.plan_path()]);
                    }
                }
                // Records that do not read are remains.
                Err(EngineError::OtherFormat { .. }) => {
                    removed.extend(plan_of_other_format(&path));
                    removed.push(path);
                }
                Err(_) => {}
            }
        }
        if let Some(device) = device {
            let current = timing_cache_name(device);
            removed.extend(entries(self.folder())?.into_iter().filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("timing-") && name.ends_with(".cache") && *name != current
            }));
        }
        removed.retain(|path| path.exists());
        removed.sort();
        removed.dedup();
        if !dry_run {
            atomic::remove(&removed)?;
            for folder in first.bundle_folders(None)? {
                // Goes only when it is empty.
                let _ = std::fs::remove_dir(folder);
            }
        }
        Ok(removed)
    }

    /// What killed processes left in the first folder: unfinished files, plans that no record
    /// names, records that do not read. Only under the lock are they known not to be a running
    /// build's.
    pub(super) fn remains(&self) -> Result<Vec<PathBuf>, EngineError> {
        let first = self.first();
        let mut left: Vec<PathBuf> = entries(self.folder())?;
        left.retain(|path| atomic::is_unfinished(path));
        for folder in first.bundle_folders(None)? {
            let mut named = BTreeSet::new();
            let mut plans = Vec::new();
            for path in entries(&folder)? {
                match path.extension().and_then(|e| e.to_str()) {
                    _ if atomic::is_unfinished(&path) => left.push(path),
                    Some("json") => match Sidecar::read(&path) {
                        Ok(sidecar) => {
                            named.insert(folder.join(sidecar.plan.file));
                        }
                        Err(EngineError::OtherFormat { .. }) => {
                            named.extend(plan_of_other_format(&path));
                        }
                        Err(EngineError::Sidecar { .. }) => left.push(path),
                        Err(_) => {}
                    },
                    Some("plan") => plans.push(path),
                    _ => {}
                }
            }
            left.extend(plans.into_iter().filter(|plan| !named.contains(plan)));
        }
        Ok(left)
    }

    fn first(&self) -> Self {
        Self {
            folders: vec![self.folder().to_owned()],
        }
    }

    /// Writes plan and sidecar; the caller holds the lock. An engine of the same key stays whole
    /// until the new one is.
    pub(super) fn put(
        &self,
        manifest: &Manifest,
        component: &str,
        fields: KeyFields,
        plan: &[u8],
        build: BuildRecord,
    ) -> Result<StoredEngine, EngineError> {
        let folder = self.folder().join(folder_name(manifest));
        atomic::create_folder(&folder)?;
        let key = fields.key();
        let stem = file_stem(component, &key);
        let sidecar_path = folder.join(format!("{stem}.json"));
        let before = StoredEngine::read(&sidecar_path).ok();
        let sha256 = hex(&Sha256::digest(plan));
        let sidecar = Sidecar {
            format: SIDECAR_FORMAT,
            key,
            model: manifest.name.clone(),
            image_size: manifest.image_size,
            component: component.to_owned(),
            fields,
            plan: PlanFile {
                file: format!("{stem}-{}.plan", &sha256[..8]),
                bytes: plan.len() as u64,
                sha256,
            },
            build,
            measured: None,
        };
        atomic::write(&folder.join(&sidecar.plan.file), plan)?;
        sidecar.write(&sidecar_path)?;
        let engine = StoredEngine::new(sidecar_path, sidecar);
        if let Some(before) = before.map(|engine| engine.plan_path())
            && before != engine.plan_path()
        {
            atomic::remove(&[before])?;
        }
        Ok(engine)
    }

    pub(super) fn engines(
        &self,
        manifest: Option<&Manifest>,
    ) -> Result<Vec<StoredEngine>, EngineError> {
        let records = self.records(manifest)?.into_iter();
        Ok(records
            .filter_map(|(sidecar_path, sidecar)| {
                Some(StoredEngine::new(sidecar_path, sidecar.ok()?))
            })
            .collect())
    }

    /// The records of all folders, sorted by path within each.
    pub(super) fn records(&self, manifest: Option<&Manifest>) -> Result<Vec<Record>, EngineError> {
        let mut all = Vec::new();
        for folder in self.bundle_folders(manifest)? {
            for path in entries(&folder)? {
                if path.extension().is_some_and(|e| e == "json") && !atomic::is_unfinished(&path) {
                    let sidecar = Sidecar::read(&path);
                    all.push((path, sidecar));
                }
            }
        }
        Ok(all)
    }

    /// The existing folders of bundles in all stores.
    fn bundle_folders(&self, manifest: Option<&Manifest>) -> Result<Vec<PathBuf>, EngineError> {
        let mut all = Vec::new();
        for folder in &self.folders {
            all.extend(match manifest {
                Some(manifest) => vec![folder.join(folder_name(manifest))],
                None => entries(folder)?,
            });
        }
        all.retain(|path| path.is_dir());
        Ok(all)
    }
}

/// A record's path and what is in it.
pub(super) type Record = (PathBuf, Result<Sidecar, EngineError>);

/// Whether the engine of a record is whole; `None` where there is none any more, or only one of
/// another version of this program. A build that replaces the engine meanwhile is waited out.
fn verify_one(path: &Path) -> Option<Result<(), EngineError>> {
    let mut seen: Option<Sidecar> = None;
    loop {
        let engine = match StoredEngine::read(path) {
            Ok(engine) => engine,
            Err(EngineError::OtherFormat { .. }) => return None,
            Err(EngineError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return None;
            }
            Err(error) => return Some(Err(error)),
        };
        match engine.check() {
            Ok(()) => return Some(Ok(())),
            Err(error) if seen.as_ref() == Some(&engine.sidecar) => return Some(Err(error)),
            Err(_) => seen = Some(engine.sidecar),
        }
    }
}

/// The plan that a record of another format names.
fn plan_of_other_format(path: &Path) -> Option<PathBuf> {
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let file = record.get("plan")?.get("file")?.as_str()?;
    (!file.contains('/')).then(|| path.with_file_name(file))
}

/// Where tactic timings of a library on a device are kept.
pub(super) fn timing_cache_name(device: &Device) -> String {
    let fields = super::DeviceFields::of(&device.identity);
    let (major, minor) = device.identity.compute_capability;
    let text = format!(
        "{}-{}-{major}.{minor}-{}sm-{}gib-{}kib",
        device.tensorrt.version,
        fields.name,
        fields.multiprocessors,
        fields.memory_gib,
        fields.l2_bytes >> 10
    );
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("timing-{name}.cache")
}

fn joined(labels: &BTreeSet<String>) -> String {
    labels.iter().cloned().collect::<Vec<_>>().join(" and ")
}

/// The paths in a folder, sorted; none where it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let read = || EngineError::io("read", folder);
    let listed = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        listed => listed.map_err(read())?,
    };
    let mut paths = Vec::new();
    for entry in listed {
        paths.push(entry.map_err(read())?.path());
    }
    paths.sort();
    Ok(paths)
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
