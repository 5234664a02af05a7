//! For tests: runs one in a process of its own whose CUDA driver is the stand-in.
//!
//! The driver library is found when a process first looks for it, so the library path must be set
//! before the process starts. [`run`] starts the test's own program again for that one test.

use serde::Deserialize;
use std::ffi::CString;
use std::path::PathBuf;
use std::process::Command;

#[path = "../../links.rs"]
mod links;

/// Set in the second process.
const CHILD: &str = "MASKLET_SIM_CHILD";

/// What the process did to the device, read when it ended.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// What a real device would let pass or crash on, a sentence each.
    pub problems: Vec<String>,
    /// What was still allocated.
    pub leaks: Vec<String>,
    /// Bytes of device memory in use.
    pub used_bytes: u64,
    /// The most that was ever in use.
    pub peak_bytes: u64,
    /// Bytes of pinned host memory.
    pub pinned_bytes: u64,
    /// Work that nobody waited for.
    pub pending: u64,
    /// Work that was done.
    pub ran: u64,
    /// Every allocating call.
    pub allocations: Vec<Allocation>,
}

/// One allocating call.
#[derive(Clone, Debug, Deserialize)]
pub struct Allocation {
    /// Its number, from 1.
    pub number: u64,
    /// device, pinned, chunk, reserve, stream, event, graph or module.
    pub kind: String,
    /// Bytes asked for.
    pub bytes: u64,
    /// Whether it was refused.
    pub refused: bool,
}

/// A folder that holds the stand-in as `libcuda.so.1` and `libcuda.so`, for `LD_LIBRARY_PATH`.
///
/// # Errors
/// When the stand-in's file is not where cargo puts it, or the folder cannot be written.
pub fn library_folder() -> std::io::Result<PathBuf> {
    links::folder_of(
        "masklet_sim_cuda",
        "sim-cuda",
        &["libcuda.so.1", "libcuda.so"],
    )
}

/// The C compiler for what this program runs on.
pub fn c_compiler() -> Command {
    compiler("CC", "cc")
}

/// The C++ compiler for what this program runs on.
pub fn cxx_compiler() -> Command {
    compiler("CXX", "c++")
}

/// On an emulated machine `cc` is that of its host; the build names the right one in
/// `CC_aarch64_unknown_linux_gnu` or the like.
fn compiler(variable: &str, usual: &str) -> Command {
    let cross = format!("{variable}_{}_unknown_linux_gnu", std::env::consts::ARCH);
    let named = std::env::var_os(cross).or_else(|| std::env::var_os(variable));
    Command::new(named.unwrap_or_else(|| usual.into()))
}

/// A command whose CUDA driver is the stand-in.
///
/// # Errors
/// As [`library_folder`].
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> std::io::Result<Command> {
    let mut folders = vec![library_folder()?];
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    let joined = std::env::join_paths(folders).map_err(std::io::Error::other)?;
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", joined);
    Ok(command)
}

/// With `MASKLET_TEST_REAL_DEVICE` in the environment, [`run`] leaves tests that need no settings on
/// the machine's own driver: `MASKLET_TEST_REAL_DEVICE=1 cargo test --test device_kernels` on a GPU.
const REAL: &str = "MASKLET_TEST_REAL_DEVICE";

/// Whether tests run on the machine's own driver.
pub fn on_real_device() -> bool {
    std::env::var_os(REAL).is_some()
}

/// Runs `body` in a second process whose CUDA driver is the stand-in, and returns in the first one
/// what that did to the device; in the second process, `None`.
///
/// `test` is the path of the calling test as `cargo test -- --list` shows it; `settings` are
/// variables without their prefix, as `("FAIL", "3")`.
///
/// # Errors
/// When the second process cannot be started, fails, or leaves no report.
pub fn run(
    test: &str,
    settings: &[(&str, &str)],
    body: impl FnOnce(),
) -> std::io::Result<Option<Report>> {
    if std::env::var(CHILD).is_ok_and(|child| child == test) {
        body();
        return Ok(None);
    }
    if on_real_device() {
        if settings.is_empty() {
            body();
        } else {
            println!("skipped: {test} needs the stand-in's settings");
        }
        return Ok(None);
    }
    let file = std::env::temp_dir().join(format!(
        "masklet-sim-{}-{}.json",
        std::process::id(),
        test.replace("::", "-")
    ));
    let mut command = command(std::env::current_exe()?)?;
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .env("MASKLET_SIM_CUDA_REPORT", &file);
    for (name, value) in settings {
        command.env(format!("MASKLET_SIM_CUDA_{name}"), value);
    }
    let output = command.output()?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if !output.status.success() || !text.contains("1 passed") {
        return Err(std::io::Error::other(format!(
            "{test} failed on the simulated device ({}):\n{text}",
            output.status
        )));
    }
    let report = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    serde_json::from_str(&report)
        .map(Some)
        .map_err(std::io::Error::other)
}

/// The stand-in's own functions, in a process that runs on it.
#[derive(Debug)]
pub struct Control(libloading::Library);

impl Control {
    /// Finds the stand-in, which must be this process's driver library.
    ///
    /// # Errors
    /// When it is not.
    pub fn open() -> std::io::Result<Self> {
        // SAFETY: the stand-in's initialisers do nothing.
        let library = unsafe { libloading::Library::new("libcuda.so.1") };
        let control = Self(library.map_err(std::io::Error::other)?);
        control.function::<unsafe extern "C" fn() -> u64>("sim_cuda_used")?;
        Ok(control)
    }

    fn function<F: Copy>(&self, name: &str) -> std::io::Result<F> {
        // SAFETY: the callers below name functions of the stand-in with their own types.
        unsafe { self.0.get::<F>(name.as_bytes()) }
            .map(|symbol| *symbol)
            .map_err(std::io::Error::other)
    }

    /// Changes one key of the device's behaviour.
    ///
    /// # Errors
    /// When key or value mean nothing to it.
    pub fn set(&self, key: &str, value: &str) -> std::io::Result<()> {
        type Set = unsafe extern "C" fn(
            *const std::ffi::c_char,
            *const std::ffi::c_char,
        ) -> std::ffi::c_int;
        let set = self.function::<Set>("sim_cuda_set")?;
        let (k, v) = (CString::new(key)?, CString::new(value)?);
        // SAFETY: two strings that end with a zero.
        if unsafe { set(k.as_ptr(), v.as_ptr()) } == 0 {
            return Err(std::io::Error::other(format!(
                "{key}={value} means nothing"
            )));
        }
        Ok(())
    }

    /// Allocating calls so far.
    ///
    /// # Errors
    /// When the stand-in is another version.
    pub fn allocations(&self) -> std::io::Result<u64> {
        let count = self.function::<unsafe extern "C" fn() -> u64>("sim_cuda_allocations")?;
        // SAFETY: takes nothing.
        Ok(unsafe { count() })
    }

    /// Bytes of device memory in use.
    ///
    /// # Errors
    /// When the stand-in is another version.
    pub fn used(&self) -> std::io::Result<u64> {
        let used = self.function::<unsafe extern "C" fn() -> u64>("sim_cuda_used")?;
        // SAFETY: takes nothing.
        Ok(unsafe { used() })
    }

    /// The report as it stands.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn report(&self) -> std::io::Result<Report> {
        type Write = unsafe extern "C" fn(*mut std::ffi::c_char, usize) -> usize;
        let write = self.function::<Write>("sim_cuda_report")?;
        // SAFETY: a length of 0 writes nothing.
        let length = unsafe { write(std::ptr::null_mut(), 0) };
        let mut buffer = vec![0u8; length + 4096];
        // SAFETY: the buffer has that length.
        let length = unsafe { write(buffer.as_mut_ptr().cast(), buffer.len()) };
        let text = buffer.get(..length).unwrap_or_default();
        serde_json::from_slice(text).map_err(std::io::Error::other)
    }
}
