//! Finds TensorRT 10's headers: what the user names first, then the system's, then those that
//! set-up fetched.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The folder that holds `NvInfer.h` and `NvOnnxParser.h` of a 10.x release.
pub fn find(workspace: &Path) -> Option<PathBuf> {
    println!("cargo:rerun-if-env-changed=TENSORRT_INCLUDE_DIR");
    let fetched = workspace.join("third_party/tensorrt/10");
    env::var_os("TENSORRT_INCLUDE_DIR")
        .map(PathBuf::from)
        .into_iter()
        .chain(system())
        .chain([fetched])
        .find(|folder| is_release_10(folder))
        .and_then(|folder| folder.canonicalize().ok())
}

fn system() -> Vec<PathBuf> {
    let multiarch = env::var("CARGO_CFG_TARGET_ARCH").map(|arch| format!("{arch}-linux-gnu"));
    multiarch
        .map(|triple| Path::new("/usr/include").join(triple))
        .into_iter()
        .chain([PathBuf::from("/usr/include")])
        .collect()
}

fn is_release_10(folder: &Path) -> bool {
    folder.join("NvInfer.h").is_file()
        && folder.join("NvInferImpl.h").is_file()
        && folder.join("NvOnnxParser.h").is_file()
        && fs::read_to_string(folder.join("NvInferVersion.h"))
            .is_ok_and(|text| major(&text) == Some(10))
}

/// The major version: `NV_TENSORRT_MAJOR`, which newer headers define through another name.
fn major(text: &str) -> Option<u32> {
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("#define") && words.next() == Some(name))
                .then(|| words.next())
                .flatten()
        })
    };
    let found = value("NV_TENSORRT_MAJOR")?;
    found.parse().ok().or_else(|| value(found)?.parse().ok())
}
