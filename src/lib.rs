//! Benchmark of promptable video object segmentation: one run measures speed, accuracy (J&F as
//! the official SA-V evaluator computes it) and memory.
//!
//! The crate is the library behind the `masklet` binary. Layers, each knowing only those below:
//!
//! | module | what it owns |
//! |---|---|
//! | `cli` | arguments, printing, exit codes (part of the binary's surface, not of the measuring) |
//! | `compare` | runs beside each other: ratios, intervals, what is not alike |
//! | `baseline` | the PyTorch baseline: its job, its process, what it left behind |
//! | `report` | `report.html`: a run, or several beside each other, as one page |
//! | `results` | the run folder: `run.json`, journal, summaries |
//! | `parity` | whether a backend computes what a reference computes |
//! | `fleet` | shares of a run for many machines |
//! | `overlay` | what a run predicted, drawn onto its frames |
//! | `pipeline` | one run: videos, objects, stages and their clocks |
//! | `track` | prompts in, masks out: the memory bank and the tracker |
//! | `metrics` | J and F, protocols, scoring of folders |
//! | `dataset`, `synth`, `prompts` | SA-V and DAVIS layouts, synthetic splits, prompt kinds |
//! | `image`, [`mask`] | decoding, resizing, binary masks |
//! | `video` | video files in and out, through ffmpeg |
//! | `doctor` | what a first-time user gets wrong: machine, memory, GPU, engines, data |
//! | `telemetry` | memory, power, clocks and temperatures over time; the environment |
//! | `masklet-engines` | bundles, backends, planned memory |
//!
//! It is not a training framework, not a labelling tool and not a general inference server.

pub mod baseline;
pub mod compare;
pub mod dataset;
pub mod doctor;
pub mod error;
pub mod fleet;
pub mod image;
pub mod mask;
pub mod metrics;
pub mod overlay;
pub mod parity;
pub mod pipeline;
pub mod progress;
pub mod prompts;
pub mod report;
pub mod results;
pub mod stats;
pub mod synth;
pub mod telemetry;
pub mod track;
pub mod video;

#[cfg(test)]
#[path = "../tests/support/jetson.rs"]
mod jetson;
