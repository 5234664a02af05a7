//! Compiles the C++ classes against NVIDIA's headers, when they are there.
//!
//! Without headers the crate still builds, as a library without TensorRT's entry points, and says
//! so in one warning.

mod headers;
mod standin;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Classes that cross the library's boundary and that the stand-in implements, with the header
/// that declares each.
const CLASSES: &[(&str, &str, &str)] = &[
    ("NvInferImpl.h", "nvinfer1::apiv", "VHostMemory"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VRuntime"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VCudaEngine"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VExecutionContext"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VEngineInspector"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VTensor"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VNetworkDefinition"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VTimingCache"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VBuilderConfig"),
    ("NvInferImpl.h", "nvinfer1::apiv", "VBuilder"),
    ("NvInferRuntimeCommon.h", "nvinfer1", "IPluginRegistry"),
    ("NvOnnxParser.h", "nvonnxparser", "IParser"),
];

const SOURCES: &[&str] = &["builder.cpp", "parser.cpp", "runtime.cpp"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rustc-check-cfg=cfg(tensorrt_headers)");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=cxx");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let Some(folder) = headers::find(&root.join("../../..")) else {
        println!(
            "cargo:warning=TensorRT 10 headers were not found (third_party/tensorrt/10, \
             TENSORRT_INCLUDE_DIR, the system's): the nvinfer stand-in is built empty"
        );
        // A path that never exists: look again each time, whatever the age of headers that appear.
        println!("cargo:rerun-if-changed=build/no-such-file");
        return Ok(());
    };
    println!("cargo:rustc-cfg=tensorrt_headers");
    println!("cargo:rustc-env=SIM_TENSORRT_HEADERS={}", folder.display());
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("standins.h"), standins(&folder)?)?;
    compile(&root.join("cxx"), &folder, &out);
    Ok(())
}

fn standins(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("// Written by the build script from NVIDIA's headers.\n");
    for (header, namespace, class) in CLASSES {
        let path = folder.join(header);
        println!("cargo:rerun-if-changed={}", path.display());
        let source = fs::read_to_string(&path)?;
        text.push_str(&standin::class(&source, namespace, class)?);
    }
    Ok(text)
}

fn compile(cxx: &Path, folder: &Path, out: &Path) {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .include(cxx)
        .include(cxx.join("cuda"))
        .include(out)
        // NVIDIA's headers warn about themselves.
        .flag("-isystem")
        .flag(folder)
        .flag_if_supported("-Wno-deprecated-declarations")
        .flag_if_supported("-Wno-overloaded-virtual")
        .flag_if_supported("-Wno-unused-parameter");
    for source in SOURCES {
        build.file(cxx.join(source));
    }
    build.compile("masklet_sim_nvinfer_cxx");
}
