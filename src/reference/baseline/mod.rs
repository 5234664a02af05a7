//! The PyTorch baseline: the same models, weights, frames and prompts in transformers, run as a
//! process of its own after masklet's run, into a run folder of the same form.
//!
//! ```text
//! RUN/baseline-<mode>/job.json        what the process is given: frames, prompts, weights
//! RUN/baseline-<mode>/pytorch.jsonl   what it leaves: rows without scores, signs of life
//! RUN/baseline-<mode>/pytorch.log     what it printed
//! RUN/baseline-<mode>/run.json, journal.jsonl, summary.csv, summary.json, masks/
//! ```
//!
//! A process that dies is a result, not an error: what it had finished is kept and the sentence
//! says where it stopped. Scores come from this program's own evaluator, over the masks that the
//! process wrote. Comparing runs beyond the few lines of [`beside`] is not done here.

pub mod beside;
mod error;
pub mod job;
pub mod process;
pub mod record;
mod score;

pub use error::BaselineError;
pub use job::{Job, JobSettings, Planned, plan};
pub use process::{Ending, Tools, find_tools};
pub use record::{PyTorchRecord, State, read_record};
pub use score::score_row;

pub use crate::spec::BaselineMode as Mode;

use std::fmt;

impl Mode {
    /// The name in options and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Best => "best",
        }
    }

    /// Name of its folder inside the run folder.
    pub fn folder(self) -> String {
        format!("baseline-{}", self.name())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
