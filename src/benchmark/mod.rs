//! A benchmark as a whole: which share of the videos a machine takes, and the search for the
//! highest rate that is kept up with.
//!
//! A share is a pure function of the videos and the number of shares, so machines need not talk to
//! each other. It starts no jobs and moves no files between machines; `docs/fleet.md` shows how
//! Slurm and Kubernetes do. Joining is in `record`.

pub mod rate_search;
mod shard;

pub use shard::{Shard, ShardChoice, ShardError, Workload, assign, fingerprint, video_cost};
