//! The run folder: what a run writes down, and what is made of it afterwards.
//!
//! ```text
//! RUN/run.json        every option, versions, environment, bundles, what is timed
//! RUN/journal.jsonl   append-only: one line per finished (video, object, model)
//! RUN/summary.csv     one row per (video, object, model); upstream's columns first
//! RUN/summary.json    per model: scores, speed, latency, memory, verdicts
//! RUN/report.html     the same for people who look rather than read (written by `crate::report`)
//! RUN/telemetry.csv   raw samples of the sensors; telemetry-N.csv of the N-th resumption
//! RUN/masks/          predicted masks in SA-V layout (written elsewhere)
//! RUN/overlays/       overlays (written elsewhere)
//! ```
//!
//! The journal is the only truth: both summaries are recomputed from its text alone, so that a
//! run which was killed and resumed ends with the same summary as one that was not. Nothing here
//! measures, scores or draws; `docs/metrics.md` defines every figure.

mod atomic;
pub(crate) mod audit;
mod clear;
mod error;
mod folder;
mod found_rate;
mod frames;
mod journal;
mod manifest;
mod memory;
mod merge;
mod realtime;
mod row;
mod series;
mod summary;
mod telemetry;
mod time;
mod timing;

pub use error::free_bytes;
pub(crate) use error::storage;
pub use folder::{Opened, RunFolder};
pub use found_rate::{FoundRate, MOST_MISSED, ModelRate, RateTrial};
pub use journal::{JOURNAL_SCHEMA, Recovered, read_journal};
pub use manifest::{
    BackendRecord, BundleRecord, MergedPart, Options, RunFile, RunManifest, RunState, WeightsRecord,
};
pub use memory::rss_after_videos;
pub use merge::{MergeOptions, Merged, merge};
pub use realtime::{RealtimeSummary, frames_still_needed};
pub use row::{
    AllocatorMarks, ArenaMarks, DeviceMarks, MemoryMarks, NO_GROUND_TRUTH, ObjectKey, ObjectRow,
    ObjectScores, RealtimeMarks, RegionMark, RowError, Score, Stage, StageSamples, Status, Timing,
};
pub use series::{ClipTimes, FrameTime, clip_times, stage_samples};
pub use summary::{
    Counts, Latencies, MemorySummary, ModelSummary, ObjectSummary, ScoreSummary, SpeedSummary,
    StabilityCounts, Summary, summarise,
};
pub use telemetry::{Hottest, TelemetrySummary, VideoTelemetry};
pub use time::{utc_now, utc_text};

pub(crate) use summary::MODEL;

#[cfg(test)]
pub(crate) mod samples;
