//! Samples all sensors over time: [`Recorder`] takes one sample when it is told to, on a clock that
//! it is given; [`Telemetry`] does so in the background.

use super::marks::TelemetryRecord;
use super::nvml::GpuChoice;
use super::root::SystemRoot;
use super::sensors::{Sensors, column};
use super::series::{Column, Samples, Series};
use super::throttle::{Detector, ThrottleEvent};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Samples that are kept: 27 minutes at 10 Hz, 54 at 5 Hz. A clip that takes longer loses the
/// samples of its beginning (they are in the file all the same when other clips came before).
const CAPACITY: usize = 16_384;

/// How to watch.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// Samples per second, 1 to 10.
    pub hz: u32,
    /// Where sensors are looked for.
    pub root: SystemRoot,
    /// The discrete GPU that the run uses; a Jetson's own is found without.
    pub gpu: Option<GpuChoice>,
}

/// Sensors, their samples so far, and events. It has no clock: times are given to it, in seconds,
/// ascending.
#[derive(Debug)]
pub struct Recorder {
    sensors: Sensors,
    detector: Detector,
    series: Series,
    peaks: Peaks,
}

/// Extremes of memory since they were last reset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peaks {
    /// Largest resident set in bytes; NaN before the first value.
    pub rss: f64,
    /// Smallest `MemAvailable` in bytes; NaN before the first value.
    pub available: f64,
    /// Samples.
    pub samples: u64,
}

impl Peaks {
    const NONE: Self = Self {
        rss: f64::NAN,
        available: f64::NAN,
        samples: 0,
    };
}

/// A moment in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    at_s: f64,
    /// Number of the sample that was taken at it.
    sample: u64,
    cpu_s: f64,
}

/// What a recording holds from one moment to another, both of which have a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// From, in seconds on the recording's clock.
    pub from_s: f64,
    /// To.
    pub to_s: f64,
    /// The columns of the samples.
    pub columns: Arc<[Column]>,
    /// The samples, both ends included.
    pub samples: Samples,
    /// Events that were seen in the span, cut at its ends.
    pub throttle: Vec<ThrottleEvent>,
    /// CPU time that sampling in the background took in the span; `None` for a recorder without
    /// a thread.
    pub sampler_cpu_s: Option<f64>,
}

impl Span {
    /// The number of a column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

impl Recorder {
    /// Looks for sensors and takes memory for `capacity` samples.
    pub fn new(root: &SystemRoot, gpu: Option<&GpuChoice>, capacity: usize) -> Self {
        Self::of(Sensors::find(root, gpu), capacity)
    }

    fn of(sensors: Sensors, capacity: usize) -> Self {
        Self {
            detector: Detector::new(sensors.allowed_mhz()),
            series: Series::new(sensors.columns().len(), capacity),
            sensors,
            peaks: Peaks::NONE,
        }
    }

    /// The columns of its samples.
    pub fn columns(&self) -> &[Column] {
        self.sensors.columns()
    }

    /// Takes a sample; returns its number.
    pub fn sample(&mut self, at_s: f64) -> u64 {
        let (row, signs) = self.sensors.read(at_s);
        let verdict = self.detector.see(at_s, &signs);
        self.series.push(at_s, row);
        let throttle = row.len() - 1;
        self.series.amend(0, throttle, |_| f64::from(verdict.bits));
        if verdict.before_too {
            self.series.amend(1, throttle, |bits| bits + 1.0);
        }
        // A value that is missing (NaN) changes nothing.
        self.peaks.rss = self.peaks.rss.max(self.sensors.last(column::RSS));
        self.peaks.available = self
            .peaks
            .available
            .min(self.sensors.last(column::AVAILABLE));
        self.peaks.samples += 1;
        self.series.taken() - 1
    }

    /// The samples from a number on.
    pub fn since(&self, first: u64) -> Samples {
        self.series.since(first)
    }

    /// Every event so far.
    pub fn events(&self) -> &[ThrottleEvent] {
        self.detector.events()
    }

    /// Columns without a value, with the reason.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sensors.missing_columns()
    }

    /// What a reader should know of the sensors.
    pub fn notes(&self) -> Vec<String> {
        self.sensors.notes()
    }

    fn events_between(&self, from_s: f64, to_s: f64) -> Vec<ThrottleEvent> {
        let inside = |event: &&ThrottleEvent| event.to_s >= from_s && event.from_s <= to_s;
        let cut = |event: &ThrottleEvent| ThrottleEvent {
            from_s: event.from_s.max(from_s),
            to_s: event.to_s.min(to_s),
            ..event.clone()
        };
        self.events().iter().filter(inside).map(cut).collect()
    }
}

/// Samples in the background until it is dropped. Seconds are counted from its start.
#[derive(Debug)]
pub struct Telemetry {
    recorder: Arc<Mutex<Recorder>>,
    columns: Arc<[Column]>,
    origin: Instant,
    hz: u32,
    cpu_ns: Arc<AtomicU64>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Telemetry {
    /// Looks for sensors, takes the first sample, so that what is missing is known from here on,
    /// and starts the thread.
    ///
    /// # Errors
    /// The system's own error when no thread can be had.
    pub fn start(options: &TelemetryOptions) -> std::io::Result<Self> {
        Self::of(
            Sensors::find(&options.root, options.gpu.as_ref()),
            options.hz,
        )
    }

    /// Watches memory alone, ten times a second, and keeps no series.
    ///
    /// # Errors
    /// The system's own error when no thread can be had.
    pub(super) fn memory(root: &SystemRoot) -> std::io::Result<Self> {
        Self::watch(Recorder::of(Sensors::memory(root), 2), 10)
    }

    pub(super) fn of(sensors: Sensors, hz: u32) -> std::io::Result<Self> {
        Self::watch(Recorder::of(sensors, CAPACITY), hz)
    }

    fn watch(mut recorder: Recorder, hz: u32) -> std::io::Result<Self> {
        let columns: Arc<[Column]> = recorder.columns().into();
        let (origin, hz) = (Instant::now(), hz.clamp(1, 10));
        recorder.sample(origin.elapsed().as_secs_f64());
        let recorder = Arc::new(Mutex::new(recorder));
        let cpu_ns = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = channel();
        let (seen, spent) = (Arc::clone(&recorder), Arc::clone(&cpu_ns));
        let thread = std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || {
                let period = Duration::from_secs(1) / hz;
                let mut due = origin;
                loop {
                    // Beats keep their distance from the start, whatever a sample took.
                    due += period;
                    let now = Instant::now();
                    if due < now {
                        due = now;
                    }
                    match stopped.recv_timeout(due - now) {
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                    }
                    lock(&seen).sample(origin.elapsed().as_secs_f64());
                    spent.store(thread_cpu_ns(), Ordering::Relaxed);
                }
            })?;
        Ok(Self {
            recorder,
            columns,
            origin,
            hz,
            cpu_ns,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The columns of its samples.
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// Takes a sample at this moment.
    pub fn mark(&self) -> Mark {
        let cpu_s = self.cpu_s();
        let mut recorder = lock(&self.recorder);
        let at_s = self.origin.elapsed().as_secs_f64();
        Mark {
            at_s,
            sample: recorder.sample(at_s),
            cpu_s,
        }
    }

    /// Forgets the extremes of memory and takes a sample.
    pub(super) fn reset_peaks(&self) {
        lock(&self.recorder).peaks = Peaks::NONE;
        self.mark();
    }

    /// The extremes of memory since [`Self::reset_peaks`], this moment included.
    pub(super) fn peaks(&self) -> Peaks {
        self.mark();
        lock(&self.recorder).peaks
    }

    /// Why a column has no value.
    pub(super) fn missing(&self, name: &str) -> Option<String> {
        let recorder = lock(&self.recorder);
        let mut missing = recorder.missing();
        missing.find_map(|(column, reason)| (column == name).then(|| reason.to_owned()))
    }

    /// Takes a sample at this moment, and hands over everything from a mark on.
    pub fn since(&self, mark: &Mark) -> Span {
        let now = self.mark();
        let recorder = lock(&self.recorder);
        let mut samples = recorder.since(mark.sample);
        // The thread may have taken another since.
        samples.truncate((now.sample + 1).saturating_sub(mark.sample + samples.lost));
        Span {
            from_s: mark.at_s,
            to_s: now.at_s,
            columns: Arc::clone(&self.columns),
            samples,
            throttle: recorder.events_between(mark.at_s, now.at_s),
            sampler_cpu_s: Some(now.cpu_s - mark.cpu_s),
        }
    }

    /// Seconds on its clock of a moment.
    pub fn seconds(&self, moment: Instant) -> f64 {
        moment.saturating_duration_since(self.origin).as_secs_f64()
    }

    /// The samples from a number on, for a file.
    pub fn samples_since(&self, first: u64) -> Samples {
        lock(&self.recorder).since(first)
    }

    /// What `run.json` says of the sensors: what there is, and what is missing and why.
    pub fn record(&self) -> TelemetryRecord {
        let recorder = lock(&self.recorder);
        TelemetryRecord::new(
            self.hz,
            recorder.series.capacity(),
            &self.columns,
            recorder.missing(),
            recorder.notes(),
        )
    }

    /// CPU time that the thread has taken so far, in seconds.
    pub fn cpu_s(&self) -> f64 {
        self.cpu_ns.load(Ordering::Relaxed) as f64 / 1e9
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the watcher is not a reason for one here; its samples stand.
            let _ = thread.join();
        }
    }
}

fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, rest) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + rest
}
