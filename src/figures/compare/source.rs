//! What is compared: one run, from whichever file it was read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::record::ObjectKey;

/// What a run was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A run folder: masklet's, or its PyTorch baseline's.
    RunFolder,
    /// `summary.csv` of a run folder, without the rest of it.
    SummaryCsv,
    /// `sav_benchmark_summary.csv` of the Python benchmark, with a column F.
    UpstreamCsv,
    /// The same of its older runners, which scored J alone (`JandF_proxy`).
    OlderUpstreamCsv,
    /// `jetson_benchmark_summary.csv` of the Python benchmark.
    JetsonCsv,
    /// `profile_summary.csv` of the Python benchmark: speed only, several runs of each object.
    ProfileCsv,
}

impl SourceKind {
    /// Whether the Python benchmark wrote it.
    pub fn is_upstream(self) -> bool {
        !matches!(self, Self::RunFolder | Self::SummaryCsv)
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::RunFolder => "run folder",
            Self::SummaryCsv => "summary.csv of a run",
            Self::UpstreamCsv => "CSV of the Python benchmark",
            Self::OlderUpstreamCsv => "CSV of the Python benchmark's older runners (J only)",
            Self::JetsonCsv => "CSV of the Python benchmark's jetson_benchmark.py (J only)",
            Self::ProfileCsv => "profile CSV of the Python benchmark (speed only)",
        }
    }
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its letter in tables: `A`, `B`, …
    pub label: String,
    /// Where it was read from.
    pub path: String,
    /// What that is.
    pub kind: SourceKind,
    /// What is known of the run as a whole.
    pub facts: Facts,
    /// What was left out or merged while reading, one sentence each.
    pub notes: Vec<String>,
    /// Its rows, one per (video, object, model).
    #[serde(skip)]
    pub rows: Vec<Row>,
}

/// What is known of a run as a whole; `None` where its files do not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// What made it, such as `masklet 0.1.0`.
    pub program: Option<String>,
    /// When it began (UTC).
    pub started: Option<String>,
    /// How far it got: `finished`, `interrupted` or `running`.
    pub state: Option<String>,
    /// What the networks ran on: the GPU's name, or the CPU's.
    pub device: Option<String>,
    /// Folder that the videos were read from, as the run was told.
    pub data: Option<String>,
    /// Backends that its rows name.
    pub backends: BTreeSet<String>,
    /// Power mode of a Jetson, and whether its clocks were fixed.
    pub power: Option<String>,
    /// Whether the device was a stand-in for tests.
    pub simulated: bool,
    /// `release` or `debug`.
    pub build_profile: Option<String>,
    /// Options that decide what is timed and scored, by name.
    pub options: BTreeMap<String, String>,
    /// Where the weights of each model came from, by model name.
    pub weights: BTreeMap<String, String>,
}

/// One (video, object, model) of a run. A figure that its file does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Video id.
    pub video: String,
    /// Object id.
    pub object: String,
    /// Model tag.
    pub model: String,
    /// Line of the CSV it stands in.
    pub line: Option<u64>,
    /// What ran the networks, such as `cpu` or `pytorch-best (cuda)`.
    pub backend: Option<String>,
    /// Why it has no figures.
    pub failed: Option<String>,
    /// Image side the model worked on.
    pub image_size: Option<usize>,
    /// Precision, in masklet's words.
    pub precision: Option<String>,
    /// Frames processed for this object.
    pub frames: Option<usize>,
    /// Frames of the whole video.
    pub video_frames: Option<usize>,
    /// Height and width of the video.
    pub input_size: Option<[usize; 2]>,
    /// Objects that advanced together.
    pub lockstep_objects: Option<usize>,
    /// Every how many frames one was fed.
    pub frame_stride: Option<usize>,
    /// Seed of a random initialisation.
    pub random_init_seed: Option<u64>,
    /// Whether J and F of the file are the same to the last digit.
    pub j_equals_f: bool,
    /// Values of [`compared`](crate::figures::catalogue::compared) figures by name, in their units.
    pub figures: BTreeMap<&'static str, f64>,
}

/// More frames per second than this is not a speed but a failure: the Python benchmark divides the
/// frames of an object whose tracking never began by a nanosecond.
pub(super) const ABSURD_FPS: f64 = 5000.0;

impl Row {
    /// The row's key, by which pairs are found. Zeros in front of an object's number do not count:
    /// spreadsheets drop them.
    pub fn key(&self) -> ObjectKey {
        let digits = !self.object.is_empty() && self.object.bytes().all(|b| b.is_ascii_digit());
        let object = match digits {
            true => match self.object.trim_start_matches('0') {
                "" => "0",
                number => number,
            },
            false => &self.object,
        };
        ObjectKey {
            video: self.video.clone(),
            object: object.to_owned(),
            model: self.model.clone(),
        }
    }

    /// Turns the row into a failed one when its figures are not a measurement.
    pub(super) fn judge(&mut self) {
        let Some(&fps) = self.figures.get("fps").filter(|_| self.failed.is_none()) else {
            return;
        };
        if fps > ABSURD_FPS {
            self.failed = Some(format!(
                "{fps} FPS is not a speed: its tracking failed before the clock started"
            ));
        } else if fps <= 0.0 {
            self.failed = Some(format!("{fps} FPS is not a speed"));
        }
    }
}
