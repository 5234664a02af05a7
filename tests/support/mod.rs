//! What the integration tests share: the binary, synthetic splits, file trees.
#![allow(dead_code)] // every test binary uses its own part

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `masklet` to its end.
pub fn masklet(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_masklet"))
        .args(args)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A synthetic split in a folder of its own.
pub fn synthetic(args: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let mut all = vec!["synth", path.as_str()];
    all.extend(args);
    let ran = masklet(&all);
    assert_eq!(ran.code, 0, "{ran:?}");
    folder
}

/// Every file below a folder by its relative path.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    assert!(!found.is_empty(), "{} holds no file", root.display());
    found
}

/// Writes an 8-bit grey PNG.
pub fn write_gray_png(
    path: &Path,
    width: usize,
    height: usize,
    value: impl Fn(usize, usize) -> u8,
) {
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .map(|(x, y)| value(x, y))
        .collect();
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&pixels)
        .unwrap();
}
