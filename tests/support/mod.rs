//! What the integration tests share: commands and their results, files of a run folder, synthetic
//! splits, and what a machine may lack (Python, FFmpeg, Chromium, TensorRT, a mountable tmpfs).
#![allow(dead_code)] // each test binary uses its own part

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The package's folder.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_masklet");

/// Output and exit code of a command.
#[derive(Debug)]
pub struct Ran {
    /// -1 after a signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// Runs a command to its end.
pub trait Run {
    fn ran(&mut self) -> Ran;
}

impl Run for Command {
    fn ran(&mut self) -> Ran {
        let output = self
            .output()
            .unwrap_or_else(|error| panic!("{self:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// `masklet`, independent of the settings of whoever runs the tests.
pub fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MASKLET_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").env_remove("COLUMNS");
    command
}

/// Runs `masklet` to its end.
pub fn masklet<A: AsRef<OsStr>>(args: &[A]) -> Ran {
    program().args(args).ran()
}

/// `masklet run` over `split` into `out`, as quick as it can be: no warm-up, no choice of a backend.
pub fn over(split: &Path, out: &Path) -> Command {
    let mut command = program();
    command.args(["run", "--warmup", "0", "--backend", "cpu", "--split-dir"]);
    command.arg(split).arg("--out-dir").arg(out);
    command
}

/// [`over`] with more options, run to its end.
pub fn run(split: &Path, out: &Path, more: &[&str]) -> Ran {
    over(split, out).args(more).ran()
}

/// The calling test's path as the test binary lists it; a process of its own is started by it.
#[macro_export]
macro_rules! this_test {
    () => {{
        fn here() {}
        $crate::support::listed(std::any::type_name_of_val(&here))
    }};
}

/// The path of a test without its crate and without what lies inside the test.
pub fn listed(path: &str) -> String {
    let inside = |part: &&str| *part != "here" && *part != "{{closure}}";
    let parts: Vec<_> = path.split("::").skip(1).filter(inside).collect();
    parts.join("::")
}

/// This test binary again, for one test alone.
pub fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// Fails unless [`again`] ran its test: a path that matches nothing succeeds as well.
#[track_caller]
pub fn assert_one_passed(ran: &Ran) {
    assert!(ran.code == 0 && ran.stdout.contains("1 passed"), "{ran:?}");
}

/// Waits for a condition that another process brings about, however long that takes; the test runner ends a test that
/// hangs.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    println!("waiting: {what}");
    while !holds() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

// ---- Run folders ------------------------------------------------------------------------------

pub fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of a CSV file by column.
pub fn csv(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = ::csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

/// The objects of a run's journal, in its order.
pub fn rows(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("journal.jsonl")).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rows: Vec<Value> = lines
        .map(|line| line["object"].clone())
        .filter(|row| row["video"].is_string())
        .collect();
    assert!(!rows.is_empty(), "no row in {text}");
    rows
}

/// The objects of a run's journal, each named by its model, video and object, with `kept` of it.
pub fn rows_by_key(out: &Path, kept: impl Fn(&Value) -> Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for row in rows(out) {
        let key = format!("{} {} {}", row["model"], row["video"], row["object"]);
        let before = found.insert(key.clone(), kept(&row));
        assert!(before.is_none(), "{key} is there twice");
    }
    found
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

/// Copies the files of a folder and of those in it.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// The paths in a folder, sorted.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The only path in a folder.
pub fn only(folder: &Path) -> PathBuf {
    let mut entries = entries(folder);
    assert_eq!(entries.len(), 1, "{}", folder.display());
    entries.remove(0)
}

// ---- Fixtures ---------------------------------------------------------------------------------

/// A folder that `make` fills once for all test processes of this build of the program. `name`
/// determines the content. Read-only by agreement: a test that changes it takes a copy.
pub fn fixture(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
    fs::create_dir_all(&root).unwrap();
    let hash = |text: &str| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    let test = std::env::current_exe().unwrap();
    let built = [Path::new(PROGRAM), &test].map(|file| file.metadata().unwrap());
    let built = built.map(|data| (data.len(), data.modified().unwrap()));
    let build = hash(&format!("{built:?}"));
    let stem = test.file_stem().unwrap().to_string_lossy().into_owned();
    // One binary's fixtures are not the other's to clear away.
    let binary = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
    let folder = root.join(format!("{binary}-{build}-{}", hash(name)));
    let lock = fs::File::create(root.join(format!("{binary}-{}.lock", hash(name)))).unwrap();
    lock.lock().unwrap();
    if !folder.is_dir() {
        for old in entries(&root).iter().filter(|path| path.is_dir()) {
            let old_name = old.file_name().unwrap().to_string_lossy();
            if old_name.starts_with(binary) && old_name.ends_with(&hash(name)) {
                fs::remove_dir_all(old).unwrap();
            }
        }
        let part = folder.with_extension("part");
        let _ = fs::remove_dir_all(&part);
        fs::create_dir(&part).unwrap();
        make(&part);
        fs::rename(&part, &folder).unwrap();
    }
    folder
}

/// A synthetic split in a folder of its own.
pub fn synthetic(args: &[&str]) -> tempfile::TempDir {
    let made = fixture(&format!("synth {args:?}"), |folder| {
        program().arg("synth").arg(folder).args(args).ran().ok();
    });
    let folder = tempfile::tempdir().unwrap();
    copy_tree(&made, folder.path());
    folder
}

/// A synthetic split of `videos` small videos of `frames` frames with `objects` objects each.
pub fn small(videos: usize, frames: usize, objects: usize) -> tempfile::TempDir {
    let [videos, frames, objects] = [videos, frames, objects].map(|count| count.to_string());
    let count = [
        "--videos",
        &videos,
        "--frames",
        &frames,
        "--objects",
        &objects,
    ];
    synthetic(&[&count[..], &["--size", "64x48"]].concat())
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

/// Writes a shell script that can be run.
pub fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The folder of the bundle that is embedded in the program.
pub fn embedded_bundle() -> PathBuf {
    Path::new(ROOT).join("engines/bundles/edgetam_small")
}

// ---- What a machine may lack ------------------------------------------------------------------

/// `found`, or a line that tells why the test is skipped.
fn or_skip<T>(found: Option<T>, why: &str) -> Option<T> {
    if found.is_none() {
        println!("skipped: {why}");
    }
    found
}

fn starts(program: &OsStr, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    let output = command.args(args).output();
    output.is_ok_and(|output| output.status.success())
}

/// An interpreter with the packages of the exporter and of the baseline.
pub fn python() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let named = std::env::var_os("MASKLET_PYTHON").map(PathBuf::from);
        let python = named.unwrap_or_else(|| Path::new(ROOT).join(".venv/bin/python"));
        let asks = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, \
                    ['torch', 'transformers', 'timm', 'onnx'])))";
        starts(python.as_os_str(), &["-c", asks]).then_some(python)
    });
    or_skip(
        found.clone(),
        "no Python with PyTorch (tools/setup --python)",
    )
}

/// Whether ffmpeg and ffprobe are installed.
pub fn has_ffmpeg() -> bool {
    let both = ["ffmpeg", "ffprobe"].map(|name| starts(name.as_ref(), &["-version"]));
    let found = (both == [true, true]).then_some(());
    or_skip(found, "FFmpeg is not installed (tools/setup --video)").is_some()
}

pub fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names
        .into_iter()
        .find(|name| starts(name.as_ref(), &["--version"]));
    or_skip(found, "Chromium is not installed (tools/setup --browser)")
}

/// NVIDIA's TensorRT-RTX.
pub fn rtx() -> Option<PathBuf> {
    let folder = Path::new(ROOT).join("third_party/tensorrt");
    let there = cfg!(target_arch = "x86_64") && folder.join("rtx").is_dir();
    let library = folder.join("lib/rtx");
    let found = (there && library.is_dir()).then_some(library);
    or_skip(found, "no TensorRT-RTX (tools/setup --tensorrt-test-libs)")
}

/// The folders of the stand-ins for CUDA, TensorRT and nvJPEG.
pub fn stand_ins() -> Option<[PathBuf; 3]> {
    let nvinfer = masklet_sim_nvinfer::support::library_folder().unwrap();
    let nvinfer = or_skip(nvinfer, "no TensorRT headers (tools/setup)")?;
    let cuda = masklet_sim_cuda::support::library_folder().unwrap();
    let nvjpeg = masklet_sim_nvjpeg::support::library_folder().unwrap();
    Some([cuda, nvinfer, nvjpeg])
}

/// Whether this machine has a CUDA device, so that what is tested on machines without is skipped.
pub fn has_cuda() -> bool {
    let without = masklet_engines::cuda::availability().err();
    or_skip(without, "there is a CUDA device here").is_none()
}

/// Folders joined as in `PATH`.
pub fn joined<P: AsRef<Path>>(folders: impl IntoIterator<Item = P>) -> OsString {
    let folders = folders.into_iter().map(|folder| folder.as_ref().to_owned());
    std::env::join_paths(folders).unwrap()
}

/// A file system of a few KiB.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn mount(kib: usize) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]);
        let status = mount.arg(dir.path()).stderr(Stdio::null()).status();
        let mounted = status.is_ok_and(|status| status.success());
        let found = mounted.then_some(Self(dir));
        or_skip(found, "a tmpfs cannot be mounted here (needs root)")
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
