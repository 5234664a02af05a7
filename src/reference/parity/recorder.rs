//! A backend that hands everything on to another and keeps what its components saw.

use masklet_engines::backend::{
    Backend, BackendError, BackendInfo, DeviceFrames, DeviceMemory, FrameLimits, Needs, Stamp,
};
use masklet_engines::bundle::Component;
use masklet_engines::memory::{Arena, Slab, TensorMut, TensorRef};
use masklet_engines::tensor::DType;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// The values of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Integers.
    I32(Vec<i32>),
}

/// One call of a component; tensors in the order of [`Component::tensors`].
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The component.
    pub component: Component,
    /// What went in.
    pub inputs: Vec<Values>,
    /// What came out.
    pub outputs: Vec<Values>,
}

/// What a [`Recorder`] keeps: of every component at most a number of calls, spread evenly over all
/// that there were.
#[derive(Clone, Debug, Default)]
pub struct Recording(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    most: usize,
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    component: Component,
    seen: usize,
    /// Every so many calls one is kept; doubles when there are too many.
    stride: usize,
    calls: Vec<(usize, Call)>,
}

impl Recording {
    /// Begins to keep up to `most` calls of every component, and forgets what was kept before.
    pub fn begin(&self, most: usize) {
        *self.0.borrow_mut() = State {
            most,
            kept: Vec::new(),
        };
    }

    /// Ends it and gives the calls, component by component, in the order in which they happened.
    pub fn end(&self) -> Vec<Call> {
        let mut state = std::mem::take(&mut *self.0.borrow_mut());
        state.kept.sort_by_key(|kept| kept.component);
        let kept = state.kept.into_iter();
        kept.flat_map(|kept| kept.calls.into_iter().map(|(_, call)| call))
            .collect()
    }

    /// Whether the next call of `component` is to be kept; counts it.
    fn wants(&self, component: Component) -> Option<usize> {
        let mut state = self.0.borrow_mut();
        if state.most == 0 {
            return None;
        }
        let position = match state.kept.iter().position(|k| k.component == component) {
            Some(position) => position,
            None => {
                state.kept.push(Kept {
                    component,
                    seen: 0,
                    stride: 1,
                    calls: Vec::new(),
                });
                state.kept.len() - 1
            }
        };
        let kept = &mut state.kept[position];
        let index = kept.seen;
        kept.seen += 1;
        index.is_multiple_of(kept.stride).then_some(index)
    }

    fn keep(&self, index: usize, call: Call) {
        let mut state = self.0.borrow_mut();
        let most = state.most;
        let found = state
            .kept
            .iter_mut()
            .find(|kept| kept.component == call.component);
        if let Some(kept) = found {
            kept.calls.push((index, call));
            while kept.calls.len() > most {
                kept.stride *= 2;
                let stride = kept.stride;
                kept.calls.retain(|(index, _)| index % stride == 0);
            }
        }
    }
}

/// Hands everything on to `inner` and records its components.
pub struct Recorder {
    inner: Box<dyn Backend>,
    recording: Recording,
}

impl Recorder {
    /// Records `inner` into `recording`, which keeps nothing until [`Recording::begin`].
    pub fn new(inner: Box<dyn Backend>, recording: Recording) -> Self {
        Self { inner, recording }
    }
}

/// A tensor's values, from wherever they are.
pub(super) fn values(backend: &dyn Backend, tensor: TensorRef<'_>) -> Result<Values, BackendError> {
    let count = tensor.shape().elements();
    match tensor.dtype() {
        DType::I32 => {
            let mut to = vec![0; count];
            backend.download_i32(tensor, &mut to)?;
            Ok(Values::I32(to))
        }
        _ => {
            let mut to = vec![0.0; count];
            backend.download_f32(tensor, &mut to)?;
            Ok(Values::F32(to))
        }
    }
}

impl Backend for Recorder {
    fn info(&self) -> BackendInfo {
        self.inner.info()
    }

    fn slab(&self, bytes: usize) -> Result<Slab, BackendError> {
        self.inner.slab(bytes)
    }

    fn staging_slab(&self, bytes: usize) -> Result<Option<Slab>, BackendError> {
        self.inner.staging_slab(bytes)
    }

    fn needs(&self, frames: FrameLimits, objects: usize) -> Needs {
        self.inner.needs(frames, objects)
    }

    fn settle(&self, arena: &mut Arena, staging: Option<&mut Arena>) -> Result<(), BackendError> {
        self.inner.settle(arena, staging)
    }

    fn wants_fixed_addresses(&self) -> bool {
        self.inner.wants_fixed_addresses()
    }

    fn driver_allocations(&self) -> Option<u64> {
        self.inner.driver_allocations()
    }

    fn device_memory(&self) -> Option<DeviceMemory> {
        self.inner.device_memory()
    }

    fn frames(&self) -> Option<&dyn DeviceFrames> {
        self.inner.frames()
    }

    fn stamp(&self) -> Result<Stamp, BackendError> {
        self.inner.stamp()
    }

    fn elapsed(&self, from: Stamp, to: Stamp) -> Result<Duration, BackendError> {
        self.inner.elapsed(from, to)
    }

    fn synchronize(&self) -> Result<(), BackendError> {
        self.inner.synchronize()
    }

    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<(), BackendError> {
        let wanted = self.recording.wants(component);
        let backend = self.inner.as_ref();
        // Before the call: an output may be an input of the next.
        let given = match wanted {
            Some(_) => inputs.iter().map(|&t| values(backend, t)).collect(),
            None => Ok(Vec::new()),
        }?;
        backend.run(component, inputs, outputs)?;
        if let Some(index) = wanted {
            let made = outputs.iter().map(|t| values(backend, t.view()));
            let call = Call {
                component,
                inputs: given,
                outputs: made.collect::<Result<_, _>>()?,
            };
            self.recording.keep(index, call);
        }
        Ok(())
    }

    fn upload_f32(&self, values: &[f32], to: TensorMut<'_>) -> Result<(), BackendError> {
        self.inner.upload_f32(values, to)
    }

    fn upload_i32(&self, values: &[i32], to: TensorMut<'_>) -> Result<(), BackendError> {
        self.inner.upload_i32(values, to)
    }

    fn download_f32(&self, from: TensorRef<'_>, to: &mut [f32]) -> Result<(), BackendError> {
        self.inner.download_f32(from, to)
    }

    fn download_i32(&self, from: TensorRef<'_>, to: &mut [i32]) -> Result<(), BackendError> {
        self.inner.download_i32(from, to)
    }

    fn copy(&self, from: TensorRef<'_>, to: TensorMut<'_>) -> Result<(), BackendError> {
        self.inner.copy(from, to)
    }

    fn copy_through_bf16(
        &self,
        from: TensorRef<'_>,
        to: TensorMut<'_>,
    ) -> Result<(), BackendError> {
        self.inner.copy_through_bf16(from, to)
    }

    fn zero(&self, to: TensorMut<'_>) -> Result<(), BackendError> {
        self.inner.zero(to)
    }
}

#[cfg(test)]
impl Recording {
    /// Indices kept of `calls` calls of one component.
    pub(super) fn kept_of(&self, calls: usize) -> Vec<usize> {
        for _ in 0..calls {
            if let Some(index) = self.wants(Component::TrackStep) {
                let call = Call {
                    component: Component::TrackStep,
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                };
                self.keep(index, call);
            }
        }
        let state = self.0.borrow();
        let kept = state.kept.iter().flat_map(|kept| &kept.calls);
        kept.map(|(index, _)| *index).collect()
    }
}
