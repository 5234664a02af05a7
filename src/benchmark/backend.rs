//! What runs the models of a run: chosen, and opened once, here and nowhere else.

use super::ModelRun;
use crate::error::Result;
use masklet_engines::backend::{
    self, Availability, Backend, BackendError, BackendInfo, BackendKind, BackendOptions,
    FrameLimits, Needs,
};
use masklet_engines::bundle::Bundle;
use std::time::{Duration, Instant};

/// A backend of one bundle. Weights of the CPU runtime are on the process heap from when it is
/// opened, so it is opened when the model's turn comes; a device's is open.
pub(super) struct ModelBackend {
    kind: BackendKind,
    options: BackendOptions,
    open: Option<(Box<dyn Backend>, Duration)>,
}

/// The backends of all bundles; with them, why a device that is there stays unused.
pub(super) struct Chosen {
    pub kind: BackendKind,
    pub backends: Vec<ModelBackend>,
    pub unused_device: Option<String>,
}

/// Opens the backend that was asked for; where none was, TensorRT where it can run all bundles,
/// else the CPU.
pub(super) fn open(
    wanted: Option<BackendKind>,
    models: &[ModelRun],
    options: &BackendOptions,
) -> Result<Chosen> {
    let open_all = |kind: BackendKind| -> Result<Chosen, BackendError> {
        let backends = models.iter().map(|model| {
            let open = if kind == BackendKind::Cpu {
                None
            } else {
                Some(timed(kind, &model.bundle, options)?)
            };
            Ok(ModelBackend {
                kind,
                options: options.clone(),
                open,
            })
        });
        Ok(Chosen {
            kind,
            backends: backends.collect::<Result<_, BackendError>>()?,
            unused_device: None,
        })
    };
    if let Some(kind) = wanted {
        return match backend::availability(kind) {
            Availability::Available => Ok(open_all(kind)?),
            Availability::Unavailable(reason) => {
                Err(BackendError::Unavailable { kind, reason }.into())
            }
        };
    }
    let mut unused_device = None;
    if backend::availability(BackendKind::TensorRt) == Availability::Available {
        match open_all(BackendKind::TensorRt) {
            Ok(chosen) => return Ok(chosen),
            Err(error) => unused_device = Some(error.to_string()),
        }
    }
    Ok(Chosen {
        unused_device,
        ..open_all(BackendKind::Cpu)?
    })
}

fn timed(
    kind: BackendKind,
    bundle: &Bundle,
    options: &BackendOptions,
) -> Result<(Box<dyn Backend>, Duration), BackendError> {
    let started = Instant::now();
    let opened = backend::open(kind, bundle, options)?;
    Ok((opened, started.elapsed()))
}

impl ModelBackend {
    /// What it needs of memory, and what it says about itself.
    pub fn describe(
        &self,
        bundle: &Bundle,
        frames: FrameLimits,
        objects: usize,
    ) -> Result<(Needs, BackendInfo)> {
        match &self.open {
            Some((open, _)) => Ok((open.needs(frames, objects), open.info())),
            None => Ok(backend::prepare(
                self.kind,
                bundle,
                &self.options,
                frames,
                objects,
            )?),
        }
    }

    /// The backend, and how long it took to open it.
    pub fn take(self, bundle: &Bundle) -> Result<(Box<dyn Backend>, Duration)> {
        match self.open {
            Some(open) => Ok(open),
            None => Ok(timed(self.kind, bundle, &self.options)?),
        }
    }
}
