//! The environment a run was made in: machine, system and program, as far as they are to be had.
//!
//! Names that identify a person or a host (host name, user, serial numbers) are left out.

use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

use super::{Reading, SystemMemory, SystemRoot, clocks_fixed, power_mode};

/// Machine, system and program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of this program.
    pub masklet_version: String,
    /// `git describe` of the sources it was built from.
    pub git_describe: Reading<String>,
    /// Whether it was built with or without optimisation.
    pub build_profile: String,
    /// Optional parts that are built in.
    pub features: Vec<String>,
    /// Processor architecture, such as `aarch64`.
    pub arch: String,
    /// Operating system, such as `Debian GNU/Linux 12 (bookworm)`.
    pub os: Reading<String>,
    /// Kernel release.
    pub kernel: Reading<String>,
    /// CPU model.
    pub cpu_model: Reading<String>,
    /// Cores that this process may use.
    pub cores: Reading<usize>,
    /// All memory the kernel manages, in bytes.
    pub memory_total_bytes: Reading<u64>,
    /// Seconds since boot: memory of a Jetson fragments until it is restarted.
    pub uptime_s: Reading<f64>,
    /// L4T release of a Jetson, such as `36.4.3`.
    pub l4t_release: Reading<String>,
    /// Model of a Jetson, such as `NVIDIA Jetson AGX Orin Developer Kit`.
    pub jetson_model: Reading<String>,
    /// Power mode of a Jetson when the run began, such as `MAXN_SUPER (mode 2)`.
    #[serde(default = "not_recorded")]
    pub power_mode: Reading<String>,
    /// Whether `jetson_clocks` had fixed a Jetson's clocks when the run began.
    #[serde(default = "not_recorded")]
    pub clocks_fixed: Reading<bool>,
    /// Set when a stand-in tree was read instead of this machine: nothing here is true of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stand_in: bool,
}

fn not_recorded<T>() -> Reading<T> {
    Reading::missing("not recorded by the version that made this")
}

impl Environment {
    /// Reads everything below a root.
    pub fn read(root: &SystemRoot) -> Self {
        Self {
            masklet_version: env!("CARGO_PKG_VERSION").to_owned(),
            git_describe: git_describe(),
            build_profile: match cfg!(debug_assertions) {
                true => "debug",
                false => "release",
            }
            .to_owned(),
            features: match cfg!(feature = "opencv") {
                true => vec!["opencv".to_owned()],
                false => Vec::new(),
            },
            arch: std::env::consts::ARCH.to_owned(),
            os: os_name(root).into(),
            kernel: root.read("/proc/sys/kernel/osrelease").into(),
            cpu_model: cpu_model(root),
            cores: std::thread::available_parallelism()
                .map(usize::from)
                .map_err(|error| format!("the number of cores is not known: {error}"))
                .into(),
            memory_total_bytes: SystemMemory::read(root).total_bytes,
            uptime_s: uptime(root).into(),
            l4t_release: l4t_release(root).into(),
            jetson_model: jetson_model(root).into(),
            power_mode: power_mode(root).map(|mode| mode.to_string()).into(),
            clocks_fixed: clocks_fixed(root).into(),
            stand_in: !root.is_real(),
        }
    }
}

static GIT_DESCRIBE: OnceLock<&'static str> = OnceLock::new();

/// Sets what [`git_describe`] returns: the binary's business, so that a commit does not compile the
/// library again.
pub fn set_git_describe(text: Option<&'static str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        GIT_DESCRIBE.get_or_init(|| text);
    }
}

/// `git describe` of the sources this program was built from.
pub fn git_describe() -> Reading<String> {
    match GIT_DESCRIBE.get() {
        Some(text) => Reading::of((*text).to_owned()),
        None => {
            Reading::missing("MASKLET_GIT_DESCRIBE was not set for the build (make build sets it)")
        }
    }
}

/// Model of the first CPU: its name where the kernel gives one (x86), else its implementer and
/// part number, by name for the cores of Jetson boards.
pub fn cpu_model(root: &SystemRoot) -> Reading<String> {
    const PATH: &str = "/proc/cpuinfo";
    let text = match root.read(PATH) {
        Ok(text) => text,
        Err(reason) => return Reading::missing(reason),
    };
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    if let Some(name) = value("model name").filter(|name| !name.is_empty()) {
        return Reading::of(name.to_owned());
    }
    match (value("CPU implementer"), value("CPU part")) {
        (Some("0x41"), Some("0xd42")) => Reading::of("ARM Cortex-A78AE".to_owned()),
        (Some("0x41"), Some("0xd07")) => Reading::of("ARM Cortex-A57".to_owned()),
        (Some("0x4e"), Some("0x004")) => Reading::of("NVIDIA Carmel".to_owned()),
        (Some(maker), Some(part)) => Reading::of(format!("implementer {maker} part {part}")),
        _ => Reading::missing(format!("{PATH} names no model")),
    }
}

fn os_name(root: &SystemRoot) -> Result<String, String> {
    let text = root.read("/etc/os-release")?;
    text.lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .ok_or_else(|| "/etc/os-release has no PRETTY_NAME".to_owned())
}

fn uptime(root: &SystemRoot) -> Result<f64, String> {
    let text = root.read("/proc/uptime")?;
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite())
        .ok_or_else(|| format!("/proc/uptime is not a number of seconds: {text:?}"))
}

/// `# R36 (release), REVISION: 4.3, GCID: …` is release 36.4.3.
fn l4t_release(root: &SystemRoot) -> Result<String, String> {
    const PATH: &str = "/etc/nv_tegra_release";
    let text = root.read(PATH)?;
    let major = text
        .strip_prefix("# R")
        .and_then(|rest| rest.split_whitespace().next());
    let revision = text
        .split_once("REVISION:")
        .and_then(|(_, rest)| rest.split([',', '\n']).next());
    match (major, revision) {
        (Some(major), Some(revision)) => Ok(format!("{major}.{}", revision.trim())),
        _ => Err(format!("{PATH} has another form than expected: {text:?}")),
    }
}

fn jetson_model(root: &SystemRoot) -> Result<String, String> {
    let model = root.read("/proc/device-tree/model")?;
    match model.contains("Jetson") || model.contains("NVIDIA") {
        true => Ok(model),
        false => Err(format!("no Jetson: the device tree says {model:?}")),
    }
}
