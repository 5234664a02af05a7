//! What the tests of the TensorRT binding share: where NVIDIA's libraries are.
#![allow(dead_code)]

use masklet_engines::tensorrt::{Library, LoadOptions};
use std::path::PathBuf;

/// `third_party/tensorrt/lib/<name>`, filled by `tools/setup --tensorrt-test-libs`.
pub fn library_folder(name: &str) -> Option<PathBuf> {
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: NVIDIA's libraries for the tests are for x86-64");
        return None;
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../third_party/tensorrt/lib")
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: {} is not there; tools/setup --tensorrt-test-libs fetches NVIDIA's libraries",
        folder.display()
    );
    None
}

/// Whether the shim was compiled against this set's headers; says `skipped:` when not.
pub fn compiled_for(what: &str) -> bool {
    let known = masklet_engines::tensorrt::known_versions();
    if known.contains(what) {
        return true;
    }
    println!("skipped: built without the headers of {what} (tools/setup fetches them)");
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
