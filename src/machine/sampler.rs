//! The peaks of memory between two moments, for what two readings would miss.

use super::sensors::column;
use super::{ProcessMemory, Reading, SystemRoot, Telemetry};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Peaks of memory, from the samples of a run's telemetry; where that is off, from a thread of its own that
/// watches memory alone.
#[derive(Debug)]
pub struct MemorySampler {
    root: SystemRoot,
    pub(super) telemetry: Arc<Telemetry>,
    kernel_mark: bool,
}

/// Peaks since the last mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeakMemory {
    /// Largest resident set, in bytes.
    pub peak_rss_bytes: Reading<u64>,
    /// Smallest `MemAvailable`, in bytes.
    pub min_available_bytes: Reading<u64>,
    /// Samples.
    pub samples: u64,
    /// Whether the peak is the kernel's own mark (exact) rather than the largest sample.
    pub exact: bool,
}

impl MemorySampler {
    /// Begins with a mark.
    ///
    /// # Errors
    /// The system's own error when no thread can be had.
    pub fn start(root: SystemRoot, telemetry: Option<Arc<Telemetry>>) -> std::io::Result<Self> {
        let telemetry = match telemetry {
            Some(telemetry) => telemetry,
            None => Arc::new(Telemetry::memory(&root)?),
        };
        let mut sampler = Self {
            root,
            telemetry,
            kernel_mark: false,
        };
        sampler.mark();
        Ok(sampler)
    }

    /// Begins a new span: peaks are counted from here. The kernel's own mark is reset where it
    /// allows that, which makes the span's peak exact.
    pub fn mark(&mut self) {
        self.kernel_mark = ProcessMemory::reset_peak_rss(&self.root).is_ok();
        self.telemetry.reset_peaks();
    }

    /// Peaks since the last [`Self::mark`]. The present moment is sampled too.
    pub fn peak(&self) -> PeakMemory {
        let peaks = self.telemetry.peaks();
        let kernel = if self.kernel_mark {
            ProcessMemory::peak_rss(&self.root).get()
        } else {
            None
        };
        let reading = |bytes: f64, name: &str| {
            if bytes.is_finite() {
                return Reading::of(bytes as u64);
            }
            let reason = self.telemetry.missing(name);
            Reading::missing(reason.unwrap_or("no sample was taken".to_owned()))
        };
        let peak = kernel.map_or(peaks.rss, |bytes| peaks.rss.max(bytes as f64));
        PeakMemory {
            peak_rss_bytes: reading(peak, column::RSS),
            min_available_bytes: reading(peaks.available, column::AVAILABLE),
            samples: peaks.samples,
            exact: kernel.is_some(),
        }
    }
}
