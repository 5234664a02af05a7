//! Follows a build: progress on a terminal, plain lines elsewhere, JSON events; signals end it.

use super::json::JsonOutput;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use masklet_engines::engine::{BuildWatch, Built};
use masklet_engines::tensorrt::BuildProgress;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is being built.
#[derive(Default)]
struct Now {
    bundle: String,
    component: Option<String>,
    built: usize,
    unchanged: usize,
}

/// Progress of `masklet build`.
pub struct Watch<'a> {
    bar: ProgressBar,
    plain: bool,
    quiet: bool,
    json: &'a JsonOutput,
    interrupted: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    now: Mutex<Now>,
}

impl<'a> Watch<'a> {
    /// Takes over SIGINT and SIGTERM.
    ///
    /// # Errors
    /// When a signal cannot be taken over.
    pub fn new(quiet: bool, json: &'a JsonOutput) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM] {
            // The second signal ends the process at once.
            signal_hook::flag::register_conditional_default(number, Arc::clone(&interrupted))?;
            signal_hook::flag::register(number, Arc::clone(&interrupted))?;
            let value = usize::try_from(number).unwrap_or(0);
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)?;
        }
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        bar.set_style(ProgressStyle::with_template(
            "{spinner} {prefix} [{pos}/{len}] {wide_msg} {elapsed}",
        )?);
        let plain = bar.is_hidden();
        Ok(Self {
            bar,
            plain,
            quiet,
            json,
            interrupted,
            signal,
            now: Mutex::default(),
        })
    }

    /// 128 and the number of the signal that ended the build.
    pub fn signal_code(&self) -> Option<u8> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            number => u8::try_from(128 + number).ok(),
        }
    }

    /// The next bundle.
    pub fn bundle(&self, name: &str) {
        *self.now() = Now {
            bundle: name.to_owned(),
            ..Now::default()
        };
    }

    /// So many components of it will be built.
    pub fn start(&self, components: usize) {
        self.bar.set_prefix(self.now().bundle.clone());
        self.bar.set_length(components as u64);
        self.bar.set_position(0);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// The bundle is finished or failed.
    pub fn done(&self) {
        self.bar.disable_steady_tick();
        self.bar.set_length(0);
    }

    /// The component that was built last, if any of this bundle was.
    pub fn component_name(&self) -> Option<String> {
        self.now().component.clone()
    }

    /// Engines of this bundle that were built, and that were there.
    pub fn counts(&self) -> (usize, usize) {
        let now = self.now();
        (now.built, now.unchanged)
    }

    /// A line where there is no progress bar.
    pub fn line(&self, text: &str) {
        if self.plain && !self.quiet {
            eprintln!("{text}");
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, value: &serde_json::Value) {
        if let Err(error) = self.json.line(value) {
            tracing::warn!("cannot write JSON: {error}");
        }
    }
}

impl BuildProgress for Watch<'_> {
    fn start(&self, phase: &str, parent: &str, _steps: u32) {
        if parent.is_empty() && !self.plain {
            tracing::debug!("{phase}");
        }
    }

    fn step(&self, phase: &str, _step: u32) -> bool {
        self.bar.tick();
        let go_on = !self.cancelled();
        if !go_on {
            tracing::debug!("interrupted in {phase}");
        }
        go_on
    }

    fn finish(&self, _phase: &str) {}
}

impl BuildWatch for Watch<'_> {
    fn waiting(&self) {
        self.bar.set_message("waiting for another build");
        self.event(&json!({"event": "waiting", "for": "lock"}));
        self.line("waiting for another build in the same folder");
    }

    fn component(&self, name: &str, index: usize, of: usize, seconds: Option<f64>) {
        let bundle = {
            let mut now = self.now();
            now.component = Some(name.to_owned());
            now.bundle.clone()
        };
        self.bar.set_position(index as u64);
        self.bar.set_message(name.to_owned());
        self.event(&json!({
            "event": "started", "bundle": bundle, "component": name,
            "index": index + 1, "of": of, "seconds": seconds,
        }));
        let estimate = seconds.map_or_else(String::new, |s| format!(", {s:.0} s the last time"));
        self.line(&format!(
            "building {bundle} {name} ({}/{of}){estimate}",
            index + 1
        ));
    }

    fn done(&self, built: &Built) {
        let sidecar = &built.engine.sidecar;
        let bundle = {
            let mut now = self.now();
            if built.new {
                now.built += 1;
            } else {
                now.unchanged += 1;
            }
            now.bundle.clone()
        };
        self.event(&json!({
            "event": if built.new { "built" } else { "unchanged" },
            "bundle": bundle, "component": sidecar.component, "key": sidecar.key,
            "seconds": sidecar.build.seconds, "bytes": sidecar.plan.bytes,
            "tactics_skipped": sidecar.build.tactics_skipped,
        }));
        if built.new {
            self.line(&format!(
                "built {bundle} {} in {:.0} s",
                sidecar.component, sidecar.build.seconds
            ));
        }
    }

    fn cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
