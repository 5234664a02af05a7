//! One run on many machines: each takes a share of the videos, the run folders are joined
//! afterwards.
//!
//! A share is a pure function of the videos and the number of shares, so machines need not talk to
//! each other. It starts no jobs and moves no files between machines; `docs/fleet.md` shows how
//! Slurm and Kubernetes do. Joining is in `results`.

mod shard;

pub use shard::{Shard, ShardChoice, ShardError, Workload, assign, fingerprint, video_cost};
