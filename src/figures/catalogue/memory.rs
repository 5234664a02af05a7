//! Memory: different views of the same bytes, which are never added.

use super::Area::Memory;
use super::Better::{Higher, Lower, Neither};
use super::Digits::{Decimals, Whole};
use super::Shown::{Always, Known, Report};
use super::{Figure, Unit, Value};
use crate::figures::stats::{Flatness, Slope};
use crate::machine::Reading;
use crate::record::{AllocatorMarks, ArenaMarks, MemoryMarks, ObjectSummary};

const NO_ARENA: &str = "no planned memory was in use";
const NO_TORCH: &str = "not a PyTorch baseline on CUDA";
const UNREAD: &str = "the system did not report it";
const NO_DEVICE: &str = "no device, or a baseline on a CPU";
const MIB: super::Digits = Decimals(1);

const fn bytes(
    name: &'static str,
    label: &'static str,
    definition: &'static str,
    missing: &'static str,
) -> Figure {
    Figure::new(Memory, name, label, Unit::Bytes, Lower, definition).missing(missing)
}

const fn free(
    name: &'static str,
    label: &'static str,
    definition: &'static str,
    missing: &'static str,
) -> Figure {
    Figure::new(Memory, name, label, Unit::Bytes, Higher, definition).missing(missing)
}

const fn count(
    name: &'static str,
    label: &'static str,
    definition: &'static str,
    missing: &'static str,
) -> Figure {
    Figure::new(Memory, name, label, Unit::Count, Lower, definition).missing(missing)
}

pub(super) static FIGURES: [Figure; 24] = [
    bytes(
        "arena_slab",
        "planned arena",
        "size of the one block taken before the first frame",
        NO_ARENA,
    )
    .object("arena_slab_MiB", MIB, |o| {
        arena(o).map(|a| a.slab_bytes).into()
    })
    .model(Report, |m| m.memory.arena_slab_bytes.into()),
    bytes("arena", "peak arena", "highest use of the arena", NO_ARENA)
        .object("arena_peak_MiB", MIB, |o| {
            arena(o).map(|a| a.peak_bytes).into()
        })
        .model(Always, |m| m.memory.arena_peak_bytes.into())
        .compared(),
    bytes(
        "arena_left",
        "arena left",
        "use after an object minus before it; expected: 0",
        NO_ARENA,
    )
    .object("arena_left_bytes", Whole, |o| {
        arena(o)
            .map(|a| a.after_bytes as f64 - a.before_bytes as f64)
            .into()
    }),
    count(
        "arena_not_returned",
        "objects after which the arena kept memory",
        "expected: 0",
        NO_ARENA,
    )
    .model(Report, |m| m.memory.arena_rows_not_returned.into()),
    count(
        "outside_allocations",
        "driver allocations",
        "allocations of tensors outside the arena after warm-up; expected: 0",
        "no device driver was in use",
    )
    .object("outside_allocations", Whole, |o| {
        arena(o).and_then(|a| a.outside_allocations).into()
    })
    .model(Always, |m| {
        Value::from(m.memory.outside_allocations).written(|n| format!("{n} after warm-up"))
    }),
    bytes(
        "gpu_alloc",
        "peak GPU allocated",
        "the arena's peak on a device; allocated peak of PyTorch's allocator",
        NO_DEVICE,
    )
    .object("gpu_peak_alloc_MiB", MIB, |o| {
        gpu(o, |a| a.peak_bytes, |a| &a.allocated_peak_bytes)
    })
    .compared(),
    bytes(
        "gpu_reserved",
        "peak GPU reserved",
        "the arena's slab on a device; reserved peak of PyTorch's allocator",
        NO_DEVICE,
    )
    .object("gpu_peak_reserved_MiB", MIB, |o| {
        gpu(o, |a| a.slab_bytes, |a| &a.reserved_peak_bytes)
    })
    .model(Known, |m| {
        let slab = m
            .memory
            .arena_slab_bytes
            .filter(|_| m.memory.arena_on_device == Some(true));
        slab.or(m.memory.allocator_reserved_bytes).into()
    })
    .compared(),
    bytes(
        "rss",
        "peak RSS",
        "largest resident set of the process (`VmHWM`)",
        UNREAD,
    )
    .object("cpu_peak_rss_MiB", MIB, |o| read(o, |m| &m.rss_peak_bytes))
    .model(Always, |m| m.memory.peak_rss_bytes.into())
    .compared(),
    bytes(
        "rss_before",
        "RSS before",
        "resident set before the object",
        UNREAD,
    )
    .object("rss_before_MiB", MIB, |o| read(o, |m| &m.rss_before_bytes)),
    bytes(
        "rss_after",
        "RSS after",
        "resident set after the object",
        UNREAD,
    )
    .object("rss_after_MiB", MIB, |o| read(o, |m| &m.rss_after_bytes)),
    bytes(
        "pss",
        "peak PSS",
        "resident set with shared pages divided among their users, after an object",
        UNREAD,
    )
    .object("pss_after_MiB", MIB, |o| read(o, |m| &m.pss_after_bytes))
    .model(Report, |m| m.memory.peak_pss_bytes.into()),
    free(
        "available_before",
        "available before",
        "`MemAvailable` of the system before the object",
        UNREAD,
    )
    .object("available_before_MiB", MIB, |o| {
        read(o, |m| &m.available_before_bytes)
    }),
    free(
        "available",
        "least available memory",
        "smallest `MemAvailable` of the system before or after an object",
        UNREAD,
    )
    .object("available_after_MiB", MIB, |o| {
        read(o, |m| &m.available_after_bytes)
    })
    .model(Report, |m| m.memory.min_available_bytes.into()),
    free(
        "device_free_before",
        "device free before",
        "free memory of the device as its driver reports it, before the object",
        NO_DEVICE,
    )
    .object("device_free_before_MiB", MIB, |o| {
        device(o).map(|d| d.free_before_bytes).into()
    }),
    free(
        "device_free",
        "least free device memory",
        "smallest free memory of the device before or after an object",
        NO_DEVICE,
    )
    .object("device_free_after_MiB", MIB, |o| {
        device(o).map(|d| d.free_after_bytes).into()
    })
    .model(Known, |m| m.memory.min_device_free_bytes.into()),
    growth(
        "rss_slope_video",
        "RSS slope per video",
        "least-squares slope of the resident set after each video, ± its 95 % interval",
    )
    .missing("needs two videos")
    .model(Always, |m| slope(m.memory.rss_slope_per_video)),
    growth(
        "rss_slope_frame",
        "RSS slope per frame",
        "slope of the resident set within a clip once the memory bank is full, ± its 95 % interval",
    )
    .missing("needs clips of more than 16 frames")
    .model(Always, |m| slope(m.memory.rss_slope_per_frame)),
    Figure::new(
        Memory,
        "flatness",
        "memory over videos",
        Unit::Text,
        Neither,
        "verdict on the slope per video",
    )
    .missing("needs two videos")
    .model(Always, |m| {
        Value::words(match m.memory.rss_flatness {
            Some(Flatness::Flat) => "flat",
            Some(Flatness::Growing) => "growing",
            Some(Flatness::TooFew) | None => "too few videos",
        })
    }),
    bytes(
        "torch_inactive_split",
        "PyTorch fragmentation",
        "most bytes in free pieces of blocks that are partly in use",
        NO_TORCH,
    )
    .object("torch_inactive_split_MiB", MIB, |o| {
        torch(o, |a| &a.inactive_split_peak_bytes)
    })
    .model(Known, |m| m.memory.allocator_inactive_split_bytes.into()),
    count(
        "torch_alloc_retries",
        "PyTorch retries",
        "allocations that succeeded only after the cache had been emptied",
        NO_TORCH,
    )
    .object("torch_alloc_retries", Whole, |o| {
        torch(o, |a| &a.alloc_retries)
    }),
    count(
        "torch_ooms",
        "PyTorch out of memory",
        "allocations that failed",
        NO_TORCH,
    )
    .object("torch_ooms", Whole, |o| torch(o, |a| &a.ooms)),
    bytes(
        "driver_used_peak",
        "peak device memory in use",
        "by anyone, as reported by the driver, sampled after every frame",
        NO_TORCH,
    )
    .object("driver_used_peak_MiB", MIB, |o| {
        torch(o, |a| &a.driver_used_peak_bytes)
    }),
    bytes(
        "nvmap_max",
        "peak NvMap",
        "GPU memory of this process as NvMap counts it; readable by root only",
        "not a Jetson, or not root",
    )
    .object("nvmap_process_max_MiB", MIB, |o| {
        sensor(o, "nvmap_process_bytes", |s| s.max)
    }),
    free(
        "available_min",
        "least available, sampled",
        "smallest sample of `MemAvailable` during the clip",
        "telemetry was off",
    )
    .object("available_min_MiB", MIB, |o| {
        sensor(o, "available_bytes", |s| s.min)
    }),
];

const fn growth(name: &'static str, label: &'static str, definition: &'static str) -> Figure {
    Figure::new(Memory, name, label, Unit::Growth, Lower, definition)
}

fn arena(object: &ObjectSummary) -> Option<&ArenaMarks> {
    object.row.memory.as_ref()?.arena.as_ref()
}

fn allocator(object: &ObjectSummary) -> Option<&AllocatorMarks> {
    object.row.memory.as_ref()?.allocator.as_ref()
}

fn device(object: &ObjectSummary) -> Option<crate::record::DeviceMarks> {
    object.row.memory.as_ref()?.device
}

fn gpu(
    object: &ObjectSummary,
    of_arena: fn(&ArenaMarks) -> u64,
    of_torch: fn(&AllocatorMarks) -> &Reading<u64>,
) -> Value {
    match arena(object).filter(|arena| arena.on_device) {
        Some(arena) => Some(of_arena(arena)).into(),
        None => torch(object, of_torch),
    }
}

fn torch(object: &ObjectSummary, which: fn(&AllocatorMarks) -> &Reading<u64>) -> Value {
    allocator(object).map(which).into()
}

fn read(object: &ObjectSummary, which: fn(&MemoryMarks) -> &Reading<u64>) -> Value {
    object.row.memory.as_ref().map(which).into()
}

fn sensor(
    object: &ObjectSummary,
    name: &str,
    value: fn(&crate::machine::SensorStats) -> f64,
) -> Value {
    super::power::sensor(object, name)
        .map(|stats| value(&stats).trunc())
        .into()
}

fn slope(slope: Option<Slope>) -> Value {
    Value {
        number: slope.map(|slope| slope.per_step),
        text: slope.map(|slope| slope.text()),
        ..Value::default()
    }
}
