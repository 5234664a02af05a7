//! Recorded calls once more, on another backend.

use super::recorder::values;
use super::{Call, ParityError, Values};
use crate::track::TrackerLayout;
use crate::track::layout::Demand;
use masklet_engines::backend::Backend;
use masklet_engines::bundle::{Component, Manifest};
use masklet_engines::device::FrameLimits;
use masklet_engines::memory::{Arena, PlanRow, RegionKind};
use masklet_engines::tensor::TensorSpec;

/// What `backend` gives for the inputs of `calls`, call by call, outputs in the contract's order.
/// Takes a slab of its own from the backend, which must not have one yet.
///
/// # Errors
/// When the memory cannot be had or a component fails.
pub fn replay(
    backend: &Backend,
    manifest: &Manifest,
    calls: &[Call],
) -> Result<Vec<Vec<Values>>, ParityError> {
    let demand = Demand {
        objects: manifest.objects_per_batch,
        ring_frames: 1,
        frames: FrameLimits::default(),
    };
    let needs = backend.requirements(demand.frames, demand.objects);
    let plan = TrackerLayout::new(manifest, demand).plan(needs);
    let most = Component::ALL
        .into_iter()
        .map(|component| {
            let (inputs, outputs) = component.tensors(manifest);
            let all = inputs.iter().chain(&outputs);
            all.map(|spec| row(spec).bytes()).sum::<usize>()
        })
        .max()
        .unwrap_or(0);
    let mut arena = Arena::new(backend.device().slab(plan.bytes() + most)?);
    let staging = backend.device().staging_slab(plan.staging_bytes())?;
    let mut staging = staging.map(Arena::new);
    backend.load(&mut arena, staging.as_mut())?;
    calls
        .iter()
        .map(|call| one(backend, manifest, &mut arena, call))
        .collect()
}

fn row(spec: &TensorSpec) -> PlanRow {
    PlanRow::new(&spec.name, spec.dtype, &spec.shape)
}

fn one(
    backend: &Backend,
    manifest: &Manifest,
    arena: &mut Arena,
    call: &Call,
) -> Result<Vec<Values>, ParityError> {
    let region = arena.root(RegionKind::Frame);
    let (inputs, outputs) = call.component.tensors(manifest);
    let mut given = Vec::with_capacity(inputs.len());
    for (spec, value) in inputs.iter().zip(&call.inputs) {
        let mut tensor = region.alloc(&row(spec))?;
        match value {
            Values::F32(value) => backend.device().upload(value, tensor.view_mut())?,
            Values::I32(value) => backend.device().upload(value, tensor.view_mut())?,
        }
        given.push(tensor);
    }
    let mut made = outputs
        .iter()
        .map(|spec| region.alloc(&row(spec)))
        .collect::<Result<Vec<_>, _>>()?;
    let views: Vec<_> = given.iter().map(|tensor| tensor.view()).collect();
    let mut targets: Vec<_> = made.iter_mut().map(|tensor| tensor.view_mut()).collect();
    backend.run(call.component, &views, &mut targets)?;
    made.iter()
        .map(|tensor| Ok(values(backend.device(), tensor.view())?))
        .collect()
}
