//! Signals: asked to stop, stopped and continued by somebody, a file that may not grow.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);
static CONTINUED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Makes SIGINT, SIGTERM and SIGHUP (unless it is ignored, as under `nohup`) set a flag, which is
/// returned; a second one ends the process at once. A file-size limit becomes an error of the write
/// that meets it.
///
/// # Errors
/// The system's own.
pub(crate) fn install() -> io::Result<Arc<AtomicBool>> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal == SIGHUP && ignored(signal) {
            continue;
        }
        flag::register_conditional_default(signal, Arc::clone(&STOP))?;
        flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize)?;
        flag::register(signal, Arc::clone(&STOP))?;
    }
    flag::register(SIGXFSZ, Arc::default())?;
    flag::register(SIGCONT, Arc::clone(&CONTINUED))?;
    Ok(Arc::clone(&STOP))
}

/// Whether this process was started with the signal ignored.
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Whether a signal asked this process to stop.
pub(crate) fn stopping() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// The exit code of a run that a signal ended: 128 and its number.
pub(crate) fn exit_code() -> u8 {
    let signal = match SIGNAL.load(Ordering::Relaxed) {
        0 => SIGINT as usize,
        signal => signal,
    };
    u8::try_from(128 + signal).unwrap_or(130)
}

/// Whether the process was stopped (SIGSTOP, Ctrl-Z) and continued since the last call.
pub(crate) fn was_continued() -> bool {
    CONTINUED.swap(false, Ordering::Relaxed)
}

/// Seconds that the machine has been suspended since it started.
pub(crate) fn suspended_seconds() -> f64 {
    use rustix::time::{ClockId, clock_gettime};
    let seconds = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    seconds(ClockId::Boottime) - seconds(ClockId::Monotonic)
}
