//! How fast a Jetson is allowed to be: the mode of `nvpmodel`, and whether `jetson_clocks` has fixed
//! the clocks.

use super::gpu::IntegratedGpu;
use super::root::SystemRoot;

const STATUS: &str = "/var/lib/nvpmodel/status";
const CONF: &str = "/etc/nvpmodel.conf";

/// One power mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerMode {
    /// Its number, as `nvpmodel -m` takes it.
    pub id: u32,
    /// Its name, such as `MAXN_SUPER`.
    pub name: String,
}

impl std::fmt::Display for PowerMode {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} (mode {})", self.name, self.id)
    }
}

/// The mode that is on.
///
/// # Errors
/// Why it is not known.
pub fn power_mode(root: &SystemRoot) -> Result<PowerMode, String> {
    let text = root.read(STATUS)?;
    let id = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("pmode:")?.parse::<u32>().ok())
        .ok_or_else(|| format!("{STATUS} names no mode: {text:?}"))?;
    let known = power_modes(root)?;
    known
        .into_iter()
        .find(|mode| mode.id == id)
        .ok_or_else(|| format!("{STATUS} says mode {id}, which {CONF} does not name"))
}

/// All modes of this board, in the order of the file. A name that begins with MAXN is the one
/// without a limit of power.
///
/// # Errors
/// Why they are not known.
pub fn power_modes(root: &SystemRoot) -> Result<Vec<PowerMode>, String> {
    let text = root.read(CONF)?;
    let modes: Vec<PowerMode> = text
        .lines()
        .filter_map(|line| {
            // < POWER_MODEL ID=2 NAME=MAXN_SUPER >
            let rest = line.trim().strip_prefix('<')?.trim_end_matches('>').trim();
            let rest = rest.strip_prefix("POWER_MODEL")?;
            let value = |key: &str| rest.split_whitespace().find_map(|w| w.strip_prefix(key));
            Some(PowerMode {
                id: value("ID=")?.parse().ok()?,
                name: value("NAME=")?.to_owned(),
            })
        })
        .collect();
    match modes.is_empty() {
        true => Err(format!("{CONF} names no mode")),
        false => Ok(modes),
    }
}

/// Whether clocks are fixed at their maximum, as `jetson_clocks` does: of the GPU and of every CPU
/// core that is on, the smallest clock allowed is the largest.
///
/// # Errors
/// Why it is not known.
pub fn clocks_fixed(root: &SystemRoot) -> Result<bool, String> {
    let gpu = IntegratedGpu::find(root)?;
    let (low, high) = (
        gpu.megahertz(root, "min_freq")?,
        gpu.megahertz(root, "max_freq")?,
    );
    let mut fixed = low >= high;
    for cpu in root.list("/sys/devices/system/cpu") {
        let limits = |which: &str| root.number(&format!("{cpu}/cpufreq/scaling_{which}_freq"));
        // Cores that a power mode switched off have no cpufreq.
        if let (Ok(low), Ok(high)) = (limits("min"), limits("max")) {
            fixed &= low >= high;
        }
    }
    Ok(fixed)
}
