//! The binding against NVIDIA's real libraries.

mod support;

use masklet_engines::bundle::{Bundle, Component};
use masklet_engines::tensorrt::{
    BuildOptions, Builder, DeviceAllocator, Flavour, Library, LoadOptions, ProfilingVerbosity,
    Runtime, Target, TensorRtError, Unwatched,
};
use std::sync::Arc;

fn options() -> BuildOptions {
    BuildOptions {
        workspace_bytes: 256 << 20,
        profiling: ProfilingVerbosity::LayerNames,
        optimization_level: None,
        tf32: false,
        target: Target::Capabilities(vec![(8, 9)]),
    }
}

#[test]
fn rtx_builds_every_component_of_the_embedded_bundle() {
    let Some(library) = support::rtx() else {
        return;
    };
    let bundle = Bundle::embedded().unwrap();
    let mut builder = Builder::new(&library).unwrap();
    for component in Component::ALL {
        let onnx = bundle.graph(component).unwrap();
        let plan = builder
            .build(component.name(), &onnx, &options(), &Unwatched)
            .unwrap();
        println!(
            "{} {} bytes {:?} {:?}",
            component.name(),
            plan.bytes.len(),
            plan.took,
            plan.facts
        );
        let entry = bundle.component(component);
        assert_eq!(plan.tensors.len(), entry.inputs.len() + entry.outputs.len());
        assert!(!plan.bytes.is_empty());
    }
}

/// No driver here, or none that works: the tests of clean failure need that.
fn no_driver() -> bool {
    match masklet_engines::tensorrt::driver::check() {
        Err(_) => true,
        Ok(()) => {
            println!("skipped: there is a CUDA driver, so there is no lack of one to show");
            false
        }
    }
}

struct NoMemory;

impl DeviceAllocator for NoMemory {
    fn allocate(&self, _: u64, _: u64) -> u64 {
        0
    }
    fn deallocate(&self, _: u64) -> bool {
        false
    }
}

#[test]
fn lean_libraries_choose_their_table_and_fail_cleanly_without_a_driver() {
    for (folder, what, major) in [("lean10", "TensorRT 10", 10), ("lean11", "TensorRT 11", 11)] {
        let Some(folder) = support::library_folder(folder) else {
            continue;
        };
        if !support::compiled_for(what) {
            continue;
        }
        let library = Library::load(&LoadOptions {
            folder: Some(folder),
            flavour: None,
        })
        .unwrap();
        assert_eq!(library.flavour(), Flavour::TensorRt);
        assert_eq!(library.version().major(), major);
        assert_eq!(library.header_version().major(), major);
        // A lean runtime runs engines, it does not build them.
        let error = Builder::new(&library).unwrap_err().to_string();
        assert!(error.contains("lean runtime"), "{error}");
        if no_driver() {
            let error = Runtime::new(&library, Arc::new(NoMemory)).unwrap_err();
            assert!(matches!(error, TensorRtError::Driver(_)), "{error:?}");
            assert!(error.to_string().contains("CUDA driver"), "{error}");
        }
    }
}
