//! A runtime that passes everything on to another and keeps what its components saw.

use masklet_engines::Error;
use masklet_engines::backend::Backend;
use masklet_engines::bundle::Component;
use masklet_engines::device::Device;
use masklet_engines::memory::{Arena, PlanRow, TensorMut, TensorRef};
use masklet_engines::runtime::{Runtime, RuntimeFacts};
use masklet_engines::tensor::DType;
use std::cell::RefCell;
use std::rc::Rc;

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

/// A runtime that passes everything on to another and records its components.
pub struct Recorder {
    inner: Box<dyn Runtime>,
    device: Rc<dyn Device>,
    recording: Recording,
}

impl Recorder {
    /// Records what `backend` runs into `recording`, which keeps nothing until [`Recording::begin`].
    pub fn on(backend: Backend, recording: Recording) -> Backend {
        backend.wrapped(|inner, device| {
            Box::new(Self {
                inner,
                device,
                recording,
            })
        })
    }
}

/// A tensor's values, from wherever they are.
pub(super) fn values(device: &dyn Device, tensor: TensorRef<'_>) -> Result<Values, Error> {
    let count = tensor.shape().elements();
    if tensor.dtype() == DType::I32 {
        let mut to = vec![0; count];
        device.download(tensor, &mut to)?;
        Ok(Values::I32(to))
    } else {
        let mut to = vec![0.0; count];
        device.download(tensor, &mut to)?;
        Ok(Values::F32(to))
    }
}

impl Runtime for Recorder {
    fn facts(&self) -> RuntimeFacts {
        self.inner.facts()
    }

    fn rows(&self) -> Vec<PlanRow> {
        self.inner.rows()
    }

    fn load(&self, arena: &mut Arena) -> Result<(), Error> {
        self.inner.load(arena)
    }

    fn wants_fixed_addresses(&self) -> bool {
        self.inner.wants_fixed_addresses()
    }

    fn run(
        &self,
        component: Component,
        inputs: &[TensorRef<'_>],
        outputs: &mut [TensorMut<'_>],
    ) -> Result<(), Error> {
        let device = self.device.as_ref();
        let Some(index) = self.recording.wants(component) else {
            return self.inner.run(component, inputs, outputs);
        };
        // Before the call: an output may be an input of the next.
        let given = inputs.iter().map(|&tensor| values(device, tensor));
        let given = given.collect::<Result<_, _>>()?;
        self.inner.run(component, inputs, outputs)?;
        let made = outputs.iter().map(|tensor| values(device, tensor.view()));
        let call = Call {
            component,
            inputs: given,
            outputs: made.collect::<Result<_, _>>()?,
        };
        self.recording.keep(index, call);
        Ok(())
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
