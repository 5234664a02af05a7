//! A thread that watches the resident set, for the peaks that two readings would miss.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ProcessMemory, Reading, SystemMemory, SystemRoot};

/// Watches the process ten times a second at most. It keeps peaks, not a series, so its own
/// memory does not grow. Stops when dropped.
#[derive(Debug)]
pub struct MemorySampler {
    root: SystemRoot,
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    kernel_mark: bool,
}

/// Peaks since the last mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeakMemory {
    /// Largest resident set, in bytes.
    pub peak_rss_bytes: Reading<u64>,
    /// Smallest `MemAvailable`, in bytes.
    pub min_available_bytes: Reading<u64>,
    /// Samples taken by the thread.
    pub samples: u64,
    /// Whether the peak is the kernel's own mark (exact) rather than the largest sample.
    pub exact: bool,
}

#[derive(Debug)]
struct Shared {
    peak: AtomicU64,
    low: AtomicU64,
    samples: AtomicU64,
    /// Set once, when the first reading that fails says why.
    reason: OnceLock<String>,
}

impl MemorySampler {
    /// Starts watching, `hz` times a second (kept within 1 to 10).
    ///
    /// # Errors
    /// The system's own error when no thread can be had.
    pub fn start(root: SystemRoot, hz: u32) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            peak: AtomicU64::new(0),
            low: AtomicU64::new(u64::MAX),
            samples: AtomicU64::new(0),
            reason: OnceLock::new(),
        });
        let (stop, stopped) = channel();
        let period = Duration::from_millis(u64::from(1000 / hz.clamp(1, 10)));
        let (watched, seen) = (root.clone(), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("memory-sampler".to_owned())
            .spawn(move || {
                loop {
                    seen.take(&watched);
                    match stopped.recv_timeout(period) {
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            })?;
        let mut sampler = Self {
            root,
            shared,
            stop: Some(stop),
            thread: Some(thread),
            kernel_mark: false,
        };
        sampler.mark();
        Ok(sampler)
    }

    /// Begins a new span: peaks are counted from here. The kernel's own mark is reset where it
    /// allows that, which makes the span's peak exact.
    pub fn mark(&mut self) {
        self.kernel_mark = ProcessMemory::reset_peak_rss(&self.root).is_ok();
        self.shared.peak.store(0, Ordering::Relaxed);
        self.shared.low.store(u64::MAX, Ordering::Relaxed);
        self.shared.samples.store(0, Ordering::Relaxed);
        self.shared.take(&self.root);
    }

    /// Peaks since the last [`Self::mark`]. The present moment is sampled too.
    pub fn peak(&self) -> PeakMemory {
        self.shared.take(&self.root);
        let kernel = match self.kernel_mark {
            true => ProcessMemory::peak_rss(&self.root).get(),
            false => None,
        };
        let sampled = self.shared.peak.load(Ordering::Relaxed);
        let low = self.shared.low.load(Ordering::Relaxed);
        let why = || {
            let reason = self.shared.reason.get().map(String::as_str);
            Reading::missing(reason.unwrap_or("no sample was taken"))
        };
        PeakMemory {
            peak_rss_bytes: match kernel.unwrap_or(0).max(sampled) {
                0 => why(),
                peak => Reading::of(peak),
            },
            min_available_bytes: match low {
                u64::MAX => why(),
                low => Reading::of(low),
            },
            samples: self.shared.samples.load(Ordering::Relaxed),
            exact: kernel.is_some(),
        }
    }
}

impl Drop for MemorySampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the watcher is no reason for one here; its samples stand.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn take(&self, root: &SystemRoot) {
        let rss = ProcessMemory::rss(root);
        let available = SystemMemory::read(root).available_bytes;
        if let Some(bytes) = rss.get() {
            self.peak.fetch_max(bytes, Ordering::Relaxed);
        }
        if let Some(bytes) = available.get() {
            self.low.fetch_min(bytes, Ordering::Relaxed);
        }
        if let Some(reason) = rss.reason.or(available.reason) {
            self.reason.get_or_init(|| reason);
        }
        self.samples.fetch_add(1, Ordering::Relaxed);
    }
}
