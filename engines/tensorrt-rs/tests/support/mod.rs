//! What the tests of the TensorRT binding share: where NVIDIA's libraries are.
#![allow(dead_code)]

pub mod onnx;

use std::ffi::OsString;
use std::path::PathBuf;
use tensorrt_rs::{Library, LoadOptions};

/// `third_party/tensorrt/lib/<name>` of the workspace: NVIDIA's libraries, where they were fetched.
pub fn library_folder(name: &str) -> Option<PathBuf> {
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: NVIDIA's libraries for the tests are for x86-64");
        return None;
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../third_party/tensorrt/lib")
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} does not exist", folder.display());
    None
}

/// Whether the shim was compiled against this set's headers; prints `skipped:` when not.
pub fn compiled_for(what: &str) -> bool {
    let known = tensorrt_rs::known_versions();
    if known.contains(what) {
        return true;
    }
    println!("skipped: built without the headers of {what}");
    false
}

/// The real TensorRT-RTX.
pub fn rtx() -> Option<Library> {
    let folder = library_folder("rtx")?;
    if !compiled_for("TensorRT-RTX") {
        return None;
    }
    Some(
        Library::load(&LoadOptions {
            folder: Some(folder),
            flavour: None,
        })
        .unwrap(),
    )
}

/// The C compiler for what the tests run on.
pub fn c_compiler() -> OsString {
    compiler("CC", "cc")
}

/// The C++ compiler for what the tests run on.
pub fn cxx_compiler() -> OsString {
    compiler("CXX", "c++")
}

/// Under emulation the plain name is the host's compiler; the build names the right one in
/// `CC_aarch64_unknown_linux_gnu` or the like.
fn compiler(variable: &str, usual: &str) -> OsString {
    let cross = format!("{variable}_{}_unknown_linux_gnu", std::env::consts::ARCH);
    std::env::var_os(cross)
        .or_else(|| std::env::var_os(variable))
        .unwrap_or_else(|| usual.into())
}
