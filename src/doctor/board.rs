//! The machine itself: what it is, which L4T it runs, its power mode and clocks.

use super::{Check, Section};
use crate::machine::{Environment, PowerMode, SystemRoot, clocks_fixed, power_mode, power_modes};

const HERE: Section = Section::Machine;

/// Whether this is a Jetson.
pub(super) fn is_jetson(environment: &Environment) -> bool {
    environment.jetson_model.value.is_some() || environment.l4t_release.value.is_some()
}

pub(super) fn checks(root: &SystemRoot) -> Vec<Check> {
    let environment = Environment::read(root);
    let mut checks = vec![machine(&environment)];
    if is_jetson(&environment) {
        checks.push(release(&environment));
        checks.push(mode(root));
        checks.push(clocks(root));
    }
    checks
}

fn machine(environment: &Environment) -> Check {
    let known = |reading: &crate::machine::Reading<String>, what: &str| {
        reading.value.clone().unwrap_or_else(|| what.to_owned())
    };
    let model = known(
        &environment.jetson_model,
        &known(&environment.cpu_model, &environment.arch),
    );
    let cores = environment.cores.get();
    let cores = cores.map_or(String::new(), |cores| format!(", {cores} cores"));
    let os = known(&environment.os, "unknown system");
    Check::ok(HERE, "machine", format!("{model}{cores}, {os}"))
}

/// Major, minor, patch of `36.4.3`.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    Some((
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    ))
}

fn release(environment: &Environment) -> Check {
    const NAME: &str = "L4T release";
    let text = match &environment.l4t_release.value {
        Some(text) => text,
        None => {
            let reason = environment.l4t_release.reason.clone();
            return Check::not_checked(HERE, NAME, reason.unwrap_or_default());
        }
    };
    match version(text) {
        None => Check::not_checked(HERE, NAME, format!("{text} is not a version that is known")),
        Some((major, minor, _)) if major < 36 || (major == 36 && minor < 4) => Check::failure(
            HERE,
            NAME,
            format!(
                "L4T {text} has TensorRT 8, which masklet cannot drive (10.3 and later); the CPU \
                 backend works"
            ),
            "flash JetPack 6.2 or later: https://developer.nvidia.com/embedded/jetpack",
        ),
        Some((36, minor, patch)) if (minor, patch) >= (4, 7) => Check::warning(
            HERE,
            NAME,
            format!(
                "L4T {text} refuses large single allocations of GPU memory (NvMapMemAllocInternal\
                 Tagged, error 12) although memory is free, since the fix of CVE-2025-33177; masklet \
                 then takes its memory in pieces, other programs fail"
            ),
            "nothing to do for masklet; docs/jetson.md says more",
        ),
        Some((major, ..)) => {
            let jetpack = match major {
                36 => "JetPack 6",
                38 | 39 => "JetPack 7",
                _ => "a JetPack that has not been tried",
            };
            Check::ok(HERE, NAME, format!("L4T {text} ({jetpack})"))
        }
    }
}

/// The fastest mode: MAXN, of several the one with a suffix (MAXN_SUPER); else the most watts.
fn fastest(modes: &[PowerMode]) -> Option<&PowerMode> {
    modes.iter().max_by_key(|mode| {
        let digits: String = mode.name.chars().take_while(char::is_ascii_digit).collect();
        let watts: u32 = digits.parse().unwrap_or(0);
        let maxn = mode.name.starts_with("MAXN");
        (maxn, mode.name.len() * usize::from(maxn), watts)
    })
}

fn mode(root: &SystemRoot) -> Check {
    const NAME: &str = "power mode";
    let now = match power_mode(root) {
        Ok(now) => now,
        Err(reason) => return Check::not_checked(HERE, NAME, reason),
    };
    let modes = power_modes(root).unwrap_or_default();
    match fastest(&modes) {
        Some(best) if best.id != now.id => Check::warning(
            HERE,
            NAME,
            format!(
                "{now}; {best} is the fastest, and engines should be built in the mode they run in"
            ),
            format!("sudo nvpmodel -m {}", best.id),
        ),
        _ => Check::ok(HERE, NAME, now.to_string()),
    }
}

fn clocks(root: &SystemRoot) -> Check {
    const NAME: &str = "clocks";
    match clocks_fixed(root) {
        Ok(true) => Check::ok(HERE, NAME, "fixed at their maximum"),
        Ok(false) => Check::warning(
            HERE,
            NAME,
            "they follow the load: times vary from run to run",
            "sudo jetson_clocks",
        ),
        Err(reason) => Check::not_checked(HERE, NAME, reason),
    }
}
