//! How often the driver was made to allocate, by anybody in this process that we know of.
//!
//! Process-wide counts that only grow: the difference of two [`snapshot`]s is what happened
//! between them. After warm-up a run must see no difference. Not counted: what a library allocates
//! without asking us (the driver for its own purposes, TensorRT past its allocator).

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNTS: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// What the driver allocates; the order is that of [`DriverAllocations`].
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Device,
    Pinned,
    Vmm,
    Graph,
    Event,
    Stream,
    Module,
    TensorRt,
}

/// Counts one allocation, once the driver has made it.
pub(super) fn count(kind: Kind) {
    COUNTS[kind as usize].fetch_add(1, Ordering::Relaxed);
}

/// Counts one allocation that TensorRT asked its allocator for. For the allocator hook.
pub fn tensorrt() {
    count(Kind::TensorRt);
}

/// Allocations since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DriverAllocations {
    /// Plain blocks of device memory.
    pub device: u64,
    /// Blocks of pinned host memory.
    pub pinned: u64,
    /// Chunks of physical memory for mapped blocks.
    pub vmm: u64,
    /// Instantiated graphs.
    pub graphs: u64,
    /// Events.
    pub events: u64,
    /// Streams.
    pub streams: u64,
    /// Loaded modules.
    pub modules: u64,
    /// Requests of TensorRT to its allocator.
    pub tensorrt: u64,
}

impl DriverAllocations {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.device
            + self.pinned
            + self.vmm
            + self.graphs
            + self.events
            + self.streams
            + self.modules
            + self.tensorrt
    }

    /// What came since an `earlier` snapshot.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            device: self.device.saturating_sub(earlier.device),
            pinned: self.pinned.saturating_sub(earlier.pinned),
            vmm: self.vmm.saturating_sub(earlier.vmm),
            graphs: self.graphs.saturating_sub(earlier.graphs),
            events: self.events.saturating_sub(earlier.events),
            streams: self.streams.saturating_sub(earlier.streams),
            modules: self.modules.saturating_sub(earlier.modules),
            tensorrt: self.tensorrt.saturating_sub(earlier.tensorrt),
        }
    }
}

/// The counts now.
pub fn snapshot() -> DriverAllocations {
    let [
        device,
        pinned,
        vmm,
        graphs,
        events,
        streams,
        modules,
        tensorrt,
    ] = &COUNTS;
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    DriverAllocations {
        device: read(device),
        pinned: read(pinned),
        vmm: read(vmm),
        graphs: read(graphs),
        events: read(events),
        streams: read(streams),
        modules: read(modules),
        tensorrt: read(tensorrt),
    }
}
