//! Benchmark of promptable video object segmentation: one run measures speed, accuracy (J&F as
//! the official SA-V evaluator computes it) and memory.
//!
//! The crate is the library behind the `masklet` binary. Layers, each knowing only those below:
//!
//! | module | what it owns |
//! |---|---|
//! | `cli` | arguments, printing, exit codes; the binary calls it through one hidden function |
//! | `report` | `report.html`: a run, or several side by side, as one page |
//! | `reference` | the PyTorch baseline; parity: whether a backend computes what a reference computes |
//! | `overlay` | predictions drawn onto frames |
//! | [`benchmark`] | the core: from what was asked for ([`benchmark::Spec`]) to a run folder |
//! | `spec` | what was asked for, as plain data |
//! | `clip` | one clip: frames, stages and their clocks, scores, masks |
//! | `record` | the run folder: `run.json`, journal, summaries |
//! | `figures` | the catalogue of figures, statistics, comparisons of runs |
//! | `render` | the document model and its renderers: terminal, Markdown, HTML, CSV |
//! | `track` | prompts in, masks out: the memory bank and the tracker |
//! | `metrics` | J and F, protocols, scoring of folders |
//! | `dataset` | SA-V and DAVIS layouts, prompts, synthetic splits |
//! | `media`, [`mask`] | decoding, resizing, video files through ffmpeg, binary masks |
//! | `machine` | memory, power, clocks and temperatures over time; the environment |
//! | `doctor` | checks of machine, memory, GPU, engines and data before a first run |
//! | `masklet-engines` | bundles, backends, planned memory |
//!
//! It is not a training framework, not a labelling tool and not a general inference server.

pub mod benchmark;
#[doc(hidden)]
pub mod cli;
pub mod clip;
pub mod dataset;
pub mod doctor;
pub mod error;
pub mod figures;
mod files;
#[cfg(test)]
mod fuzz;
pub mod machine;
pub mod mask;
pub mod media;
pub mod metrics;
pub mod overlay;
mod process;
pub mod progress;
pub mod record;
pub mod reference;
pub mod render;
pub mod report;
mod signals;
pub mod spec;
pub mod track;

#[cfg(test)]
#[path = "../tests/support/jetson.rs"]
mod jetson;
