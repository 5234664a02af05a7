//! What the rows say together: a pure function of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::frames::{Frame, Frames, Phase, counted};
use super::memory::memory_summary;
use super::realtime::{RealtimeSummary, realtime_summary};
use super::telemetry::{TelemetrySummary, telemetry_summary};
use super::{FoundRate, ModelRate, ObjectKey, ObjectRow, Stage, Status};
use crate::figures::stats::{Flatness, LatencySummary, Samples, Slope, Stability, stability};

/// Everything in `summary.json`. Rows are sorted by (video, object, model), models by tag; a key
/// has the same place in every file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Version of this structure.
    pub schema: u32,
    /// How much there is.
    pub counts: Counts,
    /// One entry per model tag.
    pub models: Vec<ModelSummary>,
    /// One entry per row.
    pub objects: Vec<ObjectSummary>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Different videos.
    pub videos: usize,
    /// Rows (objects times models).
    pub rows: usize,
    /// Rows that are ok.
    pub ok: usize,
    /// Rows that failed.
    pub failed: usize,
    /// Rows that are ok and were scored by the official protocol.
    pub scored: usize,
}

/// One model tag over all of its rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// Model tag.
    pub model: String,
    /// Image side, one per different value.
    pub image_sizes: Vec<usize>,
    /// Precisions that occur.
    pub precisions: Vec<String>,
    /// Backends that occur.
    pub backends: Vec<String>,
    /// Seed of the random initialisation, when the weights are one.
    pub random_init_seed: Option<u64>,
    /// How much there is.
    pub counts: Counts,
    /// Official protocol, mean over scored objects, in percent.
    pub official_percent: Option<ScoreSummary>,
    /// The Python benchmark's formulas, mean over scored objects, as fractions of 1.
    pub upstream: Option<ScoreSummary>,
    /// Why objects that are ok have no scores, each reason once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores_missing: Vec<String>,
    /// Frames per second.
    pub speed: SpeedSummary,
    /// Durations pooled over all frames of all rows.
    pub latency_ms: Latencies,
    /// Whether the measurement settled.
    pub stability: StabilityCounts,
    /// Memory.
    pub memory: MemorySummary,
    /// Power, clocks, temperatures; `None` where telemetry was off.
    pub telemetry: Option<TelemetrySummary>,
    /// How it kept up with frames that came at a rate; `None` where they did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime: Option<RealtimeSummary>,
    /// The highest rate that it keeps up with; `None` where it was not searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_rate: Option<FoundRate>,
}

/// Mean scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScoreSummary {
    /// Region similarity.
    #[serde(rename = "J")]
    pub j: f64,
    /// Boundary accuracy.
    #[serde(rename = "F")]
    pub f: f64,
    /// Mean of both.
    #[serde(rename = "JF")]
    pub jf: f64,
    /// Objects behind the mean.
    pub objects: usize,
    /// Frames behind the objects' scores.
    pub frames: usize,
}

/// Frames per second. A frame counts once however many objects advanced on it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SpeedSummary {
    /// Frames counted, warm-up left out.
    pub frames: usize,
    /// Warm-up frames left out.
    pub warmup_frames: usize,
    /// Frames times the objects on them.
    pub object_frames: usize,
    /// Over wall clock, from asking for a frame to its masks.
    pub fps_end_to_end: Option<f64>,
    /// Over encode, prompt and track.
    pub fps_model: Option<f64>,
    /// Over the region that the Python benchmark times.
    pub fps_upstream: Option<f64>,
}

/// Summaries of durations by name: every stage, and `model` for the sum of encode, prompt and
/// track of a frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// All frames after warm-up.
    pub counted: BTreeMap<String, LatencySummary>,
    /// Those with a full memory bank.
    pub steady: BTreeMap<String, LatencySummary>,
    /// Those in which the bank was filling.
    pub bank_fill: BTreeMap<String, LatencySummary>,
}

/// Verdicts over groups of objects that advanced together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StabilityCounts {
    /// Groups that settled.
    pub stable: usize,
    /// Groups that did not.
    pub did_not_stabilise: usize,
    /// Groups too short to judge.
    pub too_short: usize,
}

/// Memory of one model tag. Different views of the same bytes: never add them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemorySummary {
    /// Size of the slab in bytes.
    pub arena_slab_bytes: Option<u64>,
    /// Highest use of the arena in bytes.
    pub arena_peak_bytes: Option<u64>,
    /// Whether the arena is device memory.
    pub arena_on_device: Option<bool>,
    /// Rows after which the arena held more or less than before; 0 is what is promised.
    pub arena_rows_not_returned: Option<usize>,
    /// Allocations outside the arena after warm-up.
    pub outside_allocations: Option<u64>,
    /// Largest resident set in bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Largest proportional set in bytes.
    pub peak_pss_bytes: Option<u64>,
    /// Smallest `MemAvailable` in bytes.
    pub min_available_bytes: Option<u64>,
    /// Smallest free memory of the device before or after an object, in bytes, as its driver
    /// reports it.
    pub min_device_free_bytes: Option<u64>,
    /// Resident set after a video over the video's number, in bytes per video.
    pub rss_slope_per_video: Option<Slope>,
    /// What the slope means.
    pub rss_flatness: Option<Flatness>,
    /// Resident set over the frame's number within a clip once the memory bank is full, in bytes
    /// per frame: one slope, every clip with a level of its own.
    pub rss_slope_per_frame: Option<Slope>,
    /// Most bytes in use by tensors of PyTorch's allocator.
    pub allocator_allocated_bytes: Option<u64>,
    /// Most bytes that PyTorch's allocator held.
    pub allocator_reserved_bytes: Option<u64>,
    /// Most bytes of it lost to fragmentation.
    pub allocator_inactive_split_bytes: Option<u64>,
}

/// One row without its raw samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectSummary {
    /// Video, object, model.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// Ok or failed.
    #[serde(flatten)]
    pub status: Status,
    /// Frames per second over the region that the Python benchmark times, of the group that the
    /// object advanced in, over the object's frames.
    pub fps: Option<f64>,
    /// The same over encode, prompt and track.
    pub fps_model: Option<f64>,
    /// The same over wall clock.
    pub fps_end_to_end: Option<f64>,
    /// Durations after warm-up, by name as in [`Latencies`].
    pub latency_ms: BTreeMap<String, LatencySummary>,
    /// Verdict on the group's wall clock.
    pub stability: Option<Stability>,
    /// Why there are no scores although the object is ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores_missing: Option<String>,
    /// What else is to be known, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// How the object kept up; `None` where frames did not come at a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime: Option<RealtimeSummary>,
    /// The row without its raw samples, for the printers.
    #[serde(skip)]
    pub row: ObjectRow,
}

impl Summary {
    /// Adds to each model what a search for its highest rate found; the last one counts.
    pub fn take_rates(&mut self, rates: &[ModelRate]) {
        for model in &mut self.models {
            let own = rates.iter().rev().find(|rate| rate.model == model.model);
            model.found_rate = own.map(|rate| rate.found.clone());
        }
    }
}

impl StabilityCounts {
    /// The verdict over all groups in words, with how many it rests on.
    pub fn text(&self) -> String {
        let judged = self.stable + self.did_not_stabilise;
        let short = match self.too_short {
            0 => String::new(),
            short => format!(", {short} too short"),
        };
        match (self.stable, self.did_not_stabilise) {
            (0, 0) => "too short to judge".to_owned(),
            (_, 0) if short.is_empty() => "stable".to_owned(),
            (stable, 0) => format!("stable ({stable} of {}{short})", stable + self.too_short),
            (_, not) => format!("did not stabilise ({not} of {judged}{short})"),
        }
    }
}

/// Name of the summed series of the networks' stages.
pub(crate) const MODEL: &str = "model";

/// Recomputes everything from the rows, which are in the order they were finished.
pub fn summarise(rows: &[ObjectRow]) -> Summary {
    let mut sorted: Vec<&ObjectRow> = rows.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let groups = groups(&sorted);
    let mut objects = Vec::with_capacity(rows.len());
    for row in &sorted {
        let group = groups.get(&group_key(row));
        objects.push(object_summary(row, group));
    }
    let tags: BTreeSet<&str> = rows.iter().map(|row| row.key.model.as_str()).collect();
    let models = tags
        .into_iter()
        .map(|tag| {
            let of_tag: Vec<&ObjectRow> = rows.iter().filter(|r| r.key.model == tag).collect();
            let frames: Vec<&Group> = groups
                .iter()
                .filter(|(key, _)| key.model == tag)
                .map(|(_, group)| group)
                .collect();
            model_summary(tag, &of_tag, &frames)
        })
        .collect();
    Summary {
        schema: 1,
        counts: counts(&sorted),
        models,
        objects,
    }
}

/// Rows that advanced together, laid out by frame.
pub(super) struct Group<'a> {
    pub rows: Vec<&'a ObjectRow>,
    /// All of them together.
    pub frames: Frames,
    /// Each row by itself, in the order of `rows`.
    alone: Vec<Frames>,
}

impl<'a> Group<'a> {
    fn of(rows: Vec<&'a ObjectRow>) -> Self {
        Self {
            frames: Frames::of(&rows),
            alone: rows.iter().map(|row| Frames::of(&[*row])).collect(),
            rows,
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey<'a> {
    pub model: &'a str,
    pub video: &'a str,
    pub session: u32,
    /// Set where an object ran alone.
    object: Option<&'a str>,
}

fn group_key(row: &ObjectRow) -> GroupKey<'_> {
    GroupKey {
        model: &row.key.model,
        video: &row.key.video,
        session: row.session,
        object: (row.lockstep_objects <= 1).then_some(row.key.object.as_str()),
    }
}

pub(super) fn groups<'a>(sorted: &[&'a ObjectRow]) -> BTreeMap<GroupKey<'a>, Group<'a>> {
    let mut found: BTreeMap<GroupKey<'a>, Vec<&'a ObjectRow>> = BTreeMap::new();
    for &row in sorted.iter().filter(|row| row.is_ok()) {
        found.entry(group_key(row)).or_default().push(row);
    }
    found
        .into_iter()
        .map(|(key, rows)| (key, Group::of(rows)))
        .collect()
}

fn model_ms(frame: &Frame) -> Option<f64> {
    frame.sum(Stage::is_model)
}

fn upstream_ms(frame: &Frame) -> Option<f64> {
    frame.sum(Stage::is_upstream)
}

pub(super) fn wall_ms(frame: &Frame) -> Option<f64> {
    frame.sum(|stage| stage == Stage::EndToEnd)
}

fn object_summary(row: &ObjectRow, group: Option<&Group<'_>>) -> ObjectSummary {
    let mut summary = ObjectSummary {
        key: row.key.clone(),
        status: row.status.clone(),
        fps: None,
        fps_model: None,
        fps_end_to_end: None,
        latency_ms: BTreeMap::new(),
        stability: None,
        scores_missing: row.scores_missing.clone(),
        warning: row.warning.clone(),
        realtime: realtime_summary([[row].as_slice()].into_iter()),
        row: without_samples(row),
    };
    let (Some(group), true) = (group, row.is_ok()) else {
        return summary;
    };
    let rate = |value: fn(&Frame) -> Option<f64>| {
        let frames = group.frames.0.range(row.prompt_frame..row.end_frame());
        let counted = frames.filter(|(_, frame)| counted(frame.phase));
        let series: Vec<f64> = counted.filter_map(|(_, frame)| value(frame)).collect();
        Frames::rate(&series)
    };
    summary.fps = rate(upstream_ms);
    summary.fps_model = rate(model_ms);
    summary.fps_end_to_end = rate(wall_ms);
    summary.latency_ms = pooled(&[&Group::of(vec![row])], counted);
    summary.stability = Some(judge(&group.frames));
    summary
}

/// The row as the printers need it: raw samples stay in the journal.
fn without_samples(row: &ObjectRow) -> ObjectRow {
    let mut row = row.clone();
    if let Some(timing) = &mut row.timing {
        timing.stages.clear();
    }
    if let Some(marks) = &mut row.realtime {
        marks.processed.clear();
        marks.latency_ms.clear();
    }
    row
}

fn judge(frames: &Frames) -> Stability {
    stability(&frames.series(|phase| phase == Phase::Steady, wall_ms))
}

fn model_summary(tag: &str, rows: &[&ObjectRow], groups: &[&Group<'_>]) -> ModelSummary {
    let mut stability = StabilityCounts::default();
    for group in groups {
        match judge(&group.frames) {
            Stability::Stable { .. } => stability.stable += 1,
            Stability::DidNotStabilise { .. } => stability.did_not_stabilise += 1,
            Stability::TooShort { .. } => stability.too_short += 1,
        }
    }
    let scored = |protocol: fn(&super::ObjectScores) -> Option<super::Score>| {
        let scores: Vec<_> = rows
            .iter()
            .filter_map(|row| protocol(row.scores.as_ref()?))
            .collect();
        mean_score(&scores)
    };
    ModelSummary {
        model: tag.to_owned(),
        image_sizes: distinct(rows, |row| row.image_size),
        precisions: distinct(rows, |row| row.precision.clone()),
        backends: distinct(rows, |row| row.backend.clone()),
        random_init_seed: rows.iter().find_map(|row| row.random_init_seed),
        counts: counts(rows),
        official_percent: scored(|scores| scores.official).map(|mean| ScoreSummary {
            j: mean.j * 100.0,
            f: mean.f * 100.0,
            jf: mean.jf * 100.0,
            ..mean
        }),
        upstream: scored(|scores| scores.upstream),
        scores_missing: distinct(rows, |row| row.scores_missing.clone())
            .into_iter()
            .flatten()
            .collect(),
        speed: speed(groups),
        latency_ms: latencies(groups),
        stability,
        memory: memory_summary(rows),
        telemetry: telemetry_summary(rows),
        realtime: realtime_summary(groups.iter().map(|group| group.rows.as_slice())),
        found_rate: None,
    }
}

fn distinct<T: Ord>(rows: &[&ObjectRow], value: impl Fn(&ObjectRow) -> T) -> Vec<T> {
    let values: BTreeSet<T> = rows.iter().map(|row| value(row)).collect();
    values.into_iter().collect()
}

fn counts(rows: &[&ObjectRow]) -> Counts {
    let videos: BTreeSet<&str> = rows.iter().map(|row| row.key.video.as_str()).collect();
    let ok = rows.iter().filter(|row| row.is_ok()).count();
    let scored = |row: &&&ObjectRow| row.scores.is_some_and(|s| s.official.is_some());
    Counts {
        videos: videos.len(),
        rows: rows.len(),
        ok,
        failed: rows.len() - ok,
        scored: rows.iter().filter(scored).count(),
    }
}

/// Means over objects in the order of their scores' size, so that the order in which rows were
/// finished cannot change the last digit.
fn mean_score(scores: &[super::Score]) -> Option<ScoreSummary> {
    let mean = |value: fn(&super::Score) -> f64| {
        let mut values: Vec<f64> = scores.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.iter().sum::<f64>() / scores.len() as f64
    };
    (!scores.is_empty()).then(|| ScoreSummary {
        j: mean(|score| score.j),
        f: mean(|score| score.f),
        jf: mean(super::Score::jf),
        objects: scores.len(),
        frames: scores.iter().map(|score| score.frames).sum(),
    })
}

fn speed(groups: &[&Group<'_>]) -> SpeedSummary {
    let series = |value: fn(&Frame) -> Option<f64>| -> Vec<f64> {
        let series = groups
            .iter()
            .map(|group| group.frames.series(counted, value));
        series.flatten().collect()
    };
    let frames = || groups.iter().flat_map(|group| group.frames.0.values());
    let counted_frames = || frames().filter(|frame| counted(frame.phase));
    SpeedSummary {
        frames: counted_frames().count(),
        warmup_frames: frames().filter(|frame| !counted(frame.phase)).count(),
        object_frames: counted_frames().map(|frame| frame.objects).sum(),
        fps_end_to_end: Frames::rate(&series(wall_ms)),
        fps_model: Frames::rate(&series(model_ms)),
        fps_upstream: Frames::rate(&series(upstream_ms)),
    }
}

fn latencies(groups: &[&Group<'_>]) -> Latencies {
    Latencies {
        counted: pooled(groups, counted),
        steady: pooled(groups, |phase| phase == Phase::Steady),
        bank_fill: pooled(groups, |phase| phase == Phase::BankFill),
    }
}

/// Pools durations. A stage that was done once for all objects gives one sample per frame, one
/// that every object had for itself gives one sample per object and frame.
fn pooled(groups: &[&Group<'_>], wanted: fn(Phase) -> bool) -> BTreeMap<String, LatencySummary> {
    pooled_samples(groups, wanted)
        .into_iter()
        .filter_map(|(name, samples)| Some((name, samples.summary()?)))
        .collect()
}

/// The durations behind [`pooled`].
pub(super) fn pooled_samples(
    groups: &[&Group<'_>],
    wanted: fn(Phase) -> bool,
) -> BTreeMap<String, Samples> {
    let mut found: BTreeMap<String, Samples> = BTreeMap::new();
    let mut add = |name: &str, frames: &Frames, value: &dyn Fn(&Frame) -> Option<f64>| {
        let pool = found.entry(name.to_owned()).or_default();
        for ms in frames.series(wanted, value) {
            pool.push(ms);
        }
    };
    for group in groups {
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            let value = |frame: &Frame| frame.stages.get(index).copied().flatten();
            let is_shared = |row: &&ObjectRow| samples(row, stage).is_some_and(|s| s.shared);
            if group.rows.iter().any(is_shared) {
                add(stage.name(), &group.frames, &value);
            } else {
                for own in &group.alone {
                    add(stage.name(), own, &value);
                }
            }
        }
        add(MODEL, &group.frames, &model_ms);
    }
    found
}

fn samples(row: &ObjectRow, stage: Stage) -> Option<&super::StageSamples> {
    row.timing.as_ref()?.stages.get(&stage)
}

#[cfg(test)]
mod tests;
