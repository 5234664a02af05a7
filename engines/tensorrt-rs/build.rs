//! Compiles the C++ shim (`shim`) once per set of headers that this machine has: TensorRT 10,
//! TensorRT 11, TensorRT-RTX. Needs no TensorRT library, only headers and a C++ compiler; without
//! headers the crate still builds, and loading a library reports their absence.
//!
//! Where headers come from, first wins for each set: `TENSORRT_INCLUDE_DIR` (folders separated by
//! `:`), the system's (`/usr/include/<multiarch>`, `/usr/include`), `third_party/tensorrt/*` of the
//! workspace.

use std::error::Error;
use std::path::{Path, PathBuf};

/// A set of headers that one table of functions is compiled from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    TensorRt10,
    TensorRt11,
    Rtx,
}

impl Set {
    const ALL: [Self; 3] = [Self::TensorRt10, Self::TensorRt11, Self::Rtx];

    /// The suffix of names: cfg, namespaces, the exported function.
    fn suffix(self) -> &'static str {
        match self {
            Self::TensorRt10 => "10",
            Self::TensorRt11 => "11",
            Self::Rtx => "rtx",
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-env-changed=TENSORRT_INCLUDE_DIR");
    let mut found: Vec<(Set, PathBuf)> = Vec::new();
    for folder in candidates()? {
        if let Some(set) = header_set(&folder)?
            && found.iter().all(|(known, _)| *known != set)
        {
            found.push((set, folder));
        }
    }
    for set in Set::ALL {
        println!(
            "cargo::rustc-check-cfg=cfg(tensorrt_{suffix})",
            suffix = set.suffix()
        );
    }
    for (set, folder) in &found {
        compile(*set, folder)?;
        println!("cargo::rustc-cfg=tensorrt_{}", set.suffix());
    }
    Ok(())
}

/// Folders that may hold `NvInfer.h`, in order of precedence.
fn candidates() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(list) = std::env::var_os("TENSORRT_INCLUDE_DIR") {
        for folder in std::env::split_paths(&list).filter(|f| !f.as_os_str().is_empty()) {
            if !folder.join("NvInfer.h").is_file() {
                return Err(format!(
                    "TENSORRT_INCLUDE_DIR names {}, which has no NvInfer.h",
                    folder.display()
                )
                .into());
            }
            folders.push(folder);
        }
    }
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    let system = [
        PathBuf::from(format!("/usr/include/{arch}-linux-gnu")),
        PathBuf::from("/usr/include"),
    ];
    let fetched =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../third_party/tensorrt");
    let fetched = Set::ALL.map(|set| fetched.join(set.suffix()));
    // A folder that appears later must be noticed. Cargo cannot watch what is not there, so the
    // nearest existing parent stands for it.
    for folder in &fetched {
        let mut watched = folder.as_path();
        while !watched.exists() {
            match watched.parent() {
                Some(parent) => watched = parent,
                None => break,
            }
        }
        if watched == folder {
            println!(
                "cargo::rerun-if-changed={}",
                folder.join("NvInferVersion.h").display()
            );
        } else if watched.ends_with("third_party") || watched.ends_with("tensorrt") {
            println!("cargo::rerun-if-changed={}", watched.display());
        }
    }
    for folder in &system {
        let version = folder.join("NvInferVersion.h");
        if version.is_file() {
            println!("cargo::rerun-if-changed={}", version.display());
        }
    }
    folders.extend(system);
    folders.extend(fetched);
    Ok(folders)
}

/// Which set the headers in `folder` are, `None` where there are none or they are of a version
/// that no table is made for.
fn header_set(folder: &Path) -> Result<Option<Set>, Box<dyn Error>> {
    let version = folder.join("NvInferVersion.h");
    if !version.is_file() || !folder.join("NvOnnxParser.h").is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&version)?;
    let number = |name: &str| -> Option<u32> {
        text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("#define") && words.next() == Some(name))
                .then(|| words.next()?.parse().ok())
                .flatten()
        })
    };
    if let Some(major) = number("TRT_MAJOR_RTX") {
        return Ok((major == 1).then_some(Set::Rtx));
    }
    Ok(
        match number("TRT_MAJOR_ENTERPRISE").or_else(|| number("NV_TENSORRT_MAJOR")) {
            Some(10) => Some(Set::TensorRt10),
            Some(11) => Some(Set::TensorRt11),
            _ => None,
        },
    )
}

/// The compiler's arguments for a folder of headers; none for a folder that compilers search by
/// default, since naming it would move it before the C++ library's own folders and break their
/// `#include_next`.
pub fn include_arguments(headers: &Path) -> Vec<String> {
    let folder = headers
        .canonicalize()
        .unwrap_or_else(|_| headers.to_owned());
    let parent = folder.parent();
    let multiarch = folder.to_string_lossy().ends_with("-linux-gnu")
        && parent == Some(Path::new("/usr/include"));
    if folder == Path::new("/usr/include") || folder == Path::new("/usr/local/include") || multiarch
    {
        return Vec::new();
    }
    vec!["-isystem".to_owned(), headers.display().to_string()]
}

fn compile(set: Set, headers: &Path) -> Result<(), Box<dyn Error>> {
    let suffix = set.suffix();
    let has = |file: &str, word: &str| {
        std::fs::read_to_string(headers.join(file)).is_ok_and(|text| text.contains(word))
    };
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .file("shim/table.cpp")
        .include("shim")
        // The stand-in for NVIDIA's cuda_runtime_api.h comes first: the types are the same, and no
        // CUDA toolkit is asked for.
        .include("shim/include")
        .flags(include_arguments(headers))
        // Not -fno-exceptions: older NvOnnxParser.h (JetPack 6) catches exceptions in inline functions.
        .flag("-Wno-deprecated-declarations")
        .warnings_into_errors(false)
        .define("nvinfer1", Some(format!("nvinfer1_{suffix}").as_str()))
        .define(
            "nvonnxparser",
            Some(format!("nvonnxparser_{suffix}").as_str()),
        )
        .define(
            "TENSORRT_RS_SET",
            Some(format!("tensorrt_rs_{suffix}").as_str()),
        )
        .define(
            "TENSORRT_RS_TABLE",
            Some(format!("tensorrt_rs_table_{suffix}").as_str()),
        );
    if has("NvInfer.h", "setNbComputeCapabilities") {
        build.define("TENSORRT_RS_HAS_COMPUTE_CAPABILITY", None);
    }
    if has("NvInferRuntime.h", "getEngineStat") {
        build.define("TENSORRT_RS_HAS_ENGINE_STAT", None);
    }
    build
        .try_compile(&format!("tensorrt_rs_{suffix}"))
        .map_err(|error| {
            format!(
                "the TensorRT shim does not compile against {}: {error}",
                headers.display()
            )
        })?;
    Ok(())
}
