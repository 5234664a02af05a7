//! Compares an ONNX graph's inputs and outputs with what the manifest declares.
//!
//! The graph is read by the CPU runtime's loader with optimisation off; no weight is touched.

use super::{BundleError, ComponentEntry};
use crate::tensor::{DType, TensorSpec};
use rten::{DataType, Dimension, Model, ModelOptions, NodeId, ValueType};

pub(super) fn check(bundle: &str, entry: &ComponentEntry, onnx: &[u8]) -> Result<(), BundleError> {
    let model = ModelOptions::with_all_ops()
        .enable_optimization(false)
        .load(onnx.to_vec())
        .map_err(|error| BundleError::Graph {
            bundle: bundle.to_owned(),
            component: entry.name.clone(),
            message: error.to_string(),
        })?;
    compare(
        bundle,
        entry,
        "input",
        &model,
        model.input_ids(),
        &entry.inputs,
    )?;
    compare(
        bundle,
        entry,
        "output",
        &model,
        model.output_ids(),
        &entry.outputs,
    )
}

fn compare(
    bundle: &str,
    entry: &ComponentEntry,
    role: &str,
    model: &Model,
    ids: &[NodeId],
    declared: &[TensorSpec],
) -> Result<(), BundleError> {
    let differ = |found: String, declared: String| BundleError::GraphDiffers {
        bundle: bundle.to_owned(),
        component: entry.name.clone(),
        found,
        declared,
    };
    if ids.len() != declared.len() {
        return Err(differ(
            format!("{} {role}s", ids.len()),
            declared.len().to_string(),
        ));
    }
    for spec in declared {
        let Some(info) = ids
            .iter()
            .filter_map(|&id| model.node_info(id))
            .find(|info| info.name() == Some(&spec.name))
        else {
            return Err(differ(
                format!("no {role} '{}'", spec.name),
                spec.to_string(),
            ));
        };
        let shape = info.shape().unwrap_or_default();
        let same_shape = shape.len() == spec.shape.len()
            && shape
                .iter()
                .zip(&spec.shape)
                .all(|(have, want)| matches!(have, Dimension::Fixed(n) if n == want));
        let same_type = match info.dtype() {
            Some(ValueType::Tensor(dtype)) => matches!(
                (dtype, spec.dtype),
                (DataType::Float, DType::F32)
                    | (DataType::Int32, DType::I32)
                    | (DataType::UInt8, DType::U8)
            ),
            // The runtime does not know every type (half precision); the shape still counts.
            _ => true,
        };
        if !same_shape || !same_type {
            return Err(differ(
                format!("{role} {} {:?} {shape:?}", spec.name, info.dtype()),
                spec.to_string(),
            ));
        }
    }
    Ok(())
}
