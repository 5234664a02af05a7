//! The binding against NVIDIA's real libraries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[allow(dead_code)]
#[path = "../build.rs"]
mod build_script;
#[allow(dead_code)]
#[path = "../examples/build.rs"]
mod example;

use std::sync::Arc;
use support::onnx::{self, Node};
use tensorrt_rs::{
    BuildOptions, Builder, DeviceAllocator, ErrorKind, Flavour, Library, LoadOptions,
    ProfilingVerbosity, Runtime, Target, Unwatched,
};

fn options() -> BuildOptions {
    BuildOptions {
        workspace_bytes: 256 << 20,
        profiling: ProfilingVerbosity::LayerNames,
        optimization_level: None,
        tf32: false,
        target: Target::Capabilities(vec![(8, 9)]),
    }
}

/// No driver here, or none that works: the tests of clean failure need that.
fn no_driver() -> bool {
    match tensorrt_rs::driver::check() {
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
        // A lean runtime cannot load ordinary plans, so nothing finds one by itself.
        let error = Library::load(&LoadOptions {
            folder: Some(folder.clone()),
            flavour: None,
        })
        .unwrap_err();
        assert!(error.to_string().contains("no TensorRT here"), "{error}");
        let file = folder.join(format!("libnvinfer_lean.so.{major}"));
        let library = Library::open(&file, Flavour::TensorRt).unwrap();
        assert_eq!(library.version().major(), major);
        assert_eq!(library.header_version().major(), major);
        let error = Builder::new(&library).unwrap_err().to_string();
        assert!(error.contains("lean runtime"), "{error}");
        if no_driver() {
            let error = Runtime::new(&library, Arc::new(NoMemory)).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Driver);
            assert!(error.to_string().contains("CUDA driver"), "{error}");
        }
    }
}

/// A TensorRT that lacks a library is reported in the loader's words, and nothing else is taken in
/// its place.
#[test]
fn a_library_whose_dependency_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let compile = |name: &str, link: &[&str]| {
        let code = dir.path().join("code.c");
        std::fs::write(&code, "int nothing(void) { return 0; }").unwrap();
        std::process::Command::new(support::c_compiler())
            .args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"])
            .arg(dir.path().join(name))
            .arg(&code)
            .arg(format!("-Wl,-soname,{name}"))
            .arg("-L")
            .arg(dir.path())
            .args(link)
            .status()
            .is_ok_and(|status| status.success())
    };
    if !compile("libnvdla_compiler.so", &[]) {
        println!("skipped: there is no C compiler");
        return;
    }
    assert!(compile("libnvinfer.so.10", &["-lnvdla_compiler"]));
    std::fs::remove_file(dir.path().join("libnvdla_compiler.so")).unwrap();
    // What used to be taken instead.
    std::fs::write(dir.path().join("libnvinfer_lean.so.10"), "").unwrap();
    let error = Library::load(&LoadOptions {
        folder: Some(dir.path().to_owned()),
        flavour: None,
    })
    .unwrap_err();
    println!("{error}");
    let text = error.to_string();
    for word in [
        "libnvdla_compiler.so: cannot open shared object file",
        "nvidia-l4t-dla-compiler",
        "--runtime nvidia",
    ] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn the_example_builds_an_engine_from_an_onnx_file() {
    let Some(folder) = support::library_folder("rtx") else {
        return;
    };
    if !support::compiled_for("TensorRT-RTX") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("relu.onnx"), onnx::relu()).unwrap();
    let arguments = [
        path("relu.onnx"),
        path("relu.plan"),
        "--library".to_owned(),
        folder.display().to_string(),
        "--compute-capability".to_owned(),
        "8.9".to_owned(),
    ];
    let line = example::run(arguments.into_iter()).unwrap();
    println!("{line}");
    assert!(
        line.contains("TensorRT-RTX") && line.contains("fp32 [1, 8, 16, 16]"),
        "{line}"
    );
    assert!(std::fs::metadata(path("relu.plan")).unwrap().len() > 0);
    let usage = example::run(std::iter::empty()).unwrap_err().to_string();
    assert!(usage.contains("usage"), "{usage}");
}

/// With the system's own folder as `-isystem` no C++ header that uses `#include_next` compiles.
#[test]
fn default_include_folders_are_not_named_to_the_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("code.cpp");
    std::fs::write(&source, "#include <cstdlib>\nint main() { return 0; }\n").unwrap();
    let system = std::path::Path::new("/usr/include");
    let compiled = std::process::Command::new(support::cxx_compiler())
        .arg("-fsyntax-only")
        .args(build_script::include_arguments(system))
        .arg(&source)
        .status();
    match compiled {
        Ok(status) => assert!(status.success()),
        Err(error) => println!("skipped: there is no C++ compiler ({error})"),
    }
    let fetched = dir.path().display().to_string();
    assert_eq!(
        build_script::include_arguments(dir.path()),
        ["-isystem".to_owned(), fetched]
    );
}

#[test]
fn the_parser_names_the_node_that_it_refuses() {
    let Some(library) = support::rtx() else {
        return;
    };
    let graph = onnx::model(
        &[Node {
            name: "head/odd",
            operator: "NoSuchOperator",
            inputs: &["x"],
            output: "y",
        }],
        &[("x", &[1, 4])],
        &[("y", &[1, 4])],
    );
    let mut builder = Builder::new(&library).unwrap();
    let error = builder
        .build("the odd graph", &graph, &options(), &Unwatched)
        .unwrap_err();
    let text = error.to_string();
    println!("{text}");
    let ErrorKind::Parse(errors) = error.kind() else {
        panic!("{text}");
    };
    assert_eq!(errors[0].node, "head/odd");
    assert_eq!(errors[0].operator, "NoSuchOperator");
    assert!(text.contains("the odd graph"), "{text}");

    let error = builder
        .build("noise", b"not a model", &options(), &Unwatched)
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Parse(_)), "{error:?}");
}

#[test]
fn a_compute_capability_that_rtx_does_not_know_is_refused() {
    let Some(library) = support::rtx() else {
        return;
    };
    let mut builder = Builder::new(&library).unwrap();
    let mut orin = options();
    orin.target = Target::Capabilities(vec![(8, 7)]);
    let error = builder
        .build("relu", &onnx::relu(), &orin, &Unwatched)
        .unwrap_err();
    println!("{error}");
    let text = error.to_string();
    assert!(text.contains("8.7"), "{text}");
}

#[test]
fn two_hundred_builds_in_one_process_stay_flat() {
    let Some(library) = support::rtx() else {
        return;
    };
    let graph = onnx::relu();
    let mut options = options();
    options.optimization_level = Some(0);
    let build = || {
        let mut builder = Builder::new(&library).unwrap();
        let plan = builder.build("relu", &graph, &options, &Unwatched).unwrap();
        assert!(!plan.bytes.is_empty());
    };
    for _ in 0..20 {
        build();
    }
    let before = resident_bytes();
    for _ in 0..180 {
        build();
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("180 builds after 20 grew the process by {grown} bytes");
    assert!(grown < 8 << 20, "grew by {grown} bytes");
}

/// `VmRSS` in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[test]
fn a_folder_without_tensorrt_says_what_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let error = Library::load(&LoadOptions {
        folder: Some(dir.path().to_owned()),
        flavour: None,
    })
    .unwrap_err()
    .to_string();
    for word in [
        "libnvinfer.so.10",
        "libtensorrt_rtx.so.1",
        &dir.path().display().to_string(),
    ] {
        assert!(error.contains(word), "{error}");
    }
}

/// A library that has none of TensorRT's functions, or says a version that nobody knows.
#[test]
fn a_foreign_library_or_an_unknown_version_is_refused() {
    let compile = |folder: &std::path::Path, source: &str| {
        let code = folder.join("fake.c");
        std::fs::write(&code, source).unwrap();
        std::process::Command::new(support::c_compiler())
            .args(["-shared", "-fPIC", "-o"])
            .arg(folder.join("libnvinfer.so.10"))
            .arg(&code)
            .status()
            .is_ok_and(|status| status.success())
    };
    let load = |folder: &std::path::Path| {
        Library::load(&LoadOptions {
            folder: Some(folder.to_owned()),
            flavour: None,
        })
        .unwrap_err()
    };
    let dir = tempfile::tempdir().unwrap();
    if !compile(dir.path(), "int nothing(void) { return 0; }") {
        println!("skipped: there is no C compiler");
        return;
    }
    let error = load(dir.path());
    assert!(
        error.to_string().contains("is not a TensorRT library"),
        "{error}"
    );
    for (raw, text) in [(120_000, "12.0.0"), (8601, "8.6.1"), (100_100, "10.1.0")] {
        let dir = tempfile::tempdir().unwrap();
        let source = format!("int getInferLibVersion(void) {{ return {raw}; }}");
        assert!(compile(dir.path(), &source));
        let error = load(dir.path());
        assert_eq!(*error.kind(), ErrorKind::Library);
        assert!(error.to_string().contains("cannot drive"), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// The shim compiles for aarch64 against every set of headers that is here.
#[test]
fn the_shim_cross_compiles_for_aarch64() {
    let compiler = "aarch64-linux-gnu-g++";
    let there = std::process::Command::new(compiler)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: {compiler} is not here (Debian: g++-aarch64-linux-gnu)");
        return;
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    for (set, capability) in [("10", false), ("11", false), ("rtx", true)] {
        let headers = root.join("../../third_party/tensorrt").join(set);
        if !headers.is_dir() {
            println!("skipped: no headers in {}", headers.display());
            continue;
        }
        let mut command = std::process::Command::new(compiler);
        command
            .args(["-std=c++17", "-fPIC", "-c", "-Wno-deprecated-declarations"])
            .args([
                format!("-Dnvinfer1=nvinfer1_{set}"),
                format!("-Dnvonnxparser=nvonnxparser_{set}"),
                format!("-DTENSORRT_RS_SET=tensorrt_rs_{set}"),
                format!("-DTENSORRT_RS_TABLE=tensorrt_rs_table_{set}"),
            ])
            .arg("-I")
            .arg(root.join("shim/include"))
            .arg("-isystem")
            .arg(&headers)
            .arg(root.join("shim/table.cpp"))
            .arg("-o")
            .arg(dir.path().join(set));
        if capability {
            command.arg("-DTENSORRT_RS_HAS_COMPUTE_CAPABILITY");
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{set}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
