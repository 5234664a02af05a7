//! Exported bundles in half precisions, built by the real TensorRT-RTX through our binding.
//!
//! `make test` exports models with random weights in bf16 and fp16 into `.cache/test-exports`
//! (`make test-exports`); `MASKLET_TEST_EXPORTS` names another folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use masklet_engines::bundle::{Bundle, Component, Precision};
use masklet_engines::tensorrt::{BuildOptions, Builder, ProfilingVerbosity, Target, Unwatched};
use std::path::PathBuf;

fn options() -> BuildOptions {
    BuildOptions {
        workspace_bytes: masklet_engines::engine::DEFAULT_WORKSPACE_BYTES,
        profiling: ProfilingVerbosity::LayerNames,
        optimization_level: None,
        tf32: false,
        target: Target::Capabilities(vec![(8, 9)]),
    }
}

fn build_all(builder: &mut Builder, bundle: &Bundle) {
    let m = bundle.manifest();
    for component in Component::ALL {
        let name = format!(
            "{component} of {} {} {}",
            m.name,
            m.image_size,
            m.precision,
            component = component.name()
        );
        let onnx = bundle.graph(component).unwrap();
        let plan = builder
            .build(&name, &onnx, &options(), &Unwatched)
            .unwrap_or_else(|error| panic!("{error}"));
        println!(
            "{name}: {:.1} s, {} bytes, activations {:?}, weights {:?}",
            plan.took.as_secs_f64(),
            plan.bytes.len(),
            plan.facts.activation_bytes,
            plan.facts.weight_bytes
        );
        // The network is the one that the manifest declares.
        let entry = bundle.component(component);
        for (specs, is_input) in [(&entry.inputs, true), (&entry.outputs, false)] {
            for spec in specs {
                let tensor = plan
                    .tensors
                    .iter()
                    .find(|tensor| tensor.name == spec.name && tensor.is_input == is_input)
                    .unwrap_or_else(|| panic!("{name}: no {spec}"));
                assert_eq!(
                    masklet_engines::tensorrt::dtype(tensor.data_type),
                    Some(spec.dtype),
                    "{name}: {spec}"
                );
                let shape: Vec<i64> = spec.shape.iter().map(|&n| n as i64).collect();
                assert_eq!(tensor.shape, shape, "{name}: {spec}");
            }
        }
        assert!(plan.facts.activation_bytes.is_some_and(|bytes| bytes > 0));
        assert_eq!(plan.facts.errors, [""; 0], "{name}");
    }
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn rtx_builds_the_embedded_bundle() {
        let Some(library) = support::rtx() else {
            return;
        };
        let mut builder = Builder::new(&library).unwrap();
        build_all(&mut builder, &Bundle::embedded().unwrap());
    }

    #[test]
    fn rtx_builds_exported_bundles_in_half_precisions() {
        let Some(library) = support::rtx() else {
            return;
        };
        let named = std::env::var_os("MASKLET_TEST_EXPORTS").map(PathBuf::from);
        let folder = named.unwrap_or_else(|| {
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.cache/test-exports")
        });
        let mut bundles: Vec<PathBuf> = std::fs::read_dir(&folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        bundles.retain(|path| path.join("bundle.toml").is_file());
        bundles.sort();
        if bundles.is_empty() {
            println!(
                "skipped: no exported bundles in {} (make test-exports makes them)",
                folder.display()
            );
            return;
        }
        let mut builder = Builder::new(&library).unwrap();
        let mut precisions = Vec::new();
        for path in bundles {
            let bundle = Bundle::open(&path).unwrap();
            precisions.push(bundle.manifest().precision);
            build_all(&mut builder, &bundle);
        }
        println!("built {precisions:?}");
        for precision in [Precision::Bf16, Precision::Fp16] {
            if !precisions.contains(&precision) {
                println!("skipped: no bundle in {precision} in {}", folder.display());
            }
        }
    }
}
