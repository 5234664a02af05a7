//! Scoring a folder of predicted masks against a folder of ground truth.
//!
//! Both folders are in SA-V layout (`video/object/frame.png`, one binary mask per file) or in DAVIS
//! layout (`video/frame.png`, values are object numbers), found out per video. What is scored is
//! what the ground truth annotates; predictions of other frames are ignored. Strict unless told
//! otherwise: whatever is lacking is an error that names it. Frames are scored on all cores.
//!
//! The official evaluator's `results.csv`, a JSON report and a table are rendered by [`report`].

mod layout;
pub mod report;

use super::error::{Missing, ScoreError};
use super::png_labels::{LabelImage, MaskReader};
use super::protocol::{
    FrameOutcome, FrameRule, GlobalScore, ObjectAccumulator, ObjectScore, Outcome, Protocol,
};
use super::{Scorer, SizeMismatch, resize};
use layout::{Frame, Layout, Plan, Source};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What to score and how.
#[derive(Clone, Debug, Default)]
pub struct FolderOptions {
    /// Whose rules and formulas.
    pub protocol: Protocol,
    /// Counts the first and last annotated frame under the official protocol too.
    pub with_first_and_last: bool,
    /// Scores what is there instead of refusing when predictions are missing.
    pub partial: bool,
    /// Worker threads; all cores when not given.
    pub threads: Option<usize>,
}

/// The score of one object of one video.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredObject {
    /// The video's folder name.
    pub video: String,
    /// The object's folder name (SA-V) or number (DAVIS).
    pub object: String,
    /// Its score, in percent.
    pub score: ObjectScore,
}

/// How much of the ground truth was scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// Videos with at least one scored mask file.
    pub videos: usize,
    /// Videos in the ground truth.
    pub videos_total: usize,
    /// Mask files scored (SA-V: one per object and frame; DAVIS: one per frame).
    pub frames: usize,
    /// Mask files of the ground truth that count under the protocol.
    pub frames_total: usize,
}

impl Coverage {
    /// Whether all that counts was scored.
    pub fn is_complete(&self) -> bool {
        self.videos == self.videos_total && self.frames == self.frames_total
    }
}

/// The scores of a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderScores {
    /// The folder of videos that was taken as ground truth.
    pub gt: PathBuf,
    /// The folder of predictions.
    pub pred: PathBuf,
    /// Whose rules and formulas.
    pub protocol: Protocol,
    /// Whether the first and last annotated frame were left out.
    pub skipped_first_and_last: bool,
    /// The flat mean over objects.
    pub global: GlobalScore,
    /// Every scored object, by video and object.
    pub objects: Vec<ScoredObject>,
    /// Objects without a score as `video/object`: never in the ground truth of a counted frame.
    pub dropped: Vec<String>,
    /// How much of the ground truth was scored.
    pub coverage: Coverage,
    /// What the predictions lack (only in a partial run).
    pub missing: Missing,
    /// Videos among the predictions that the ground truth does not have; they are ignored.
    pub extra_videos: Vec<String>,
    /// Whether a video in DAVIS layout has the object number 255.
    has_object_255: bool,
}

/// Scores the predictions of `pred` against the ground truth of `gt`. `gt` is the folder of video
/// folders or a split folder around it (`Annotations_6fps`, `Annotations`, `Annotations/480p`).
/// `progress` is called from worker threads with the mask files done and their total.
///
/// # Errors
/// [`ScoreError`]: folders that are not there, a ground truth without videos or masks, missing
/// predictions (unless partial), unreadable masks, sizes that differ, nothing to score. Of several
/// unreadable files the first in order of name is reported.
pub fn score_folders(
    gt: &Path,
    pred: &Path,
    options: &FolderOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<FolderScores, ScoreError> {
    let plan = layout::plan(gt, pred, options)?;
    if !options.partial && !plan.missing.is_empty() {
        return Err(ScoreError::Missing(plan.missing));
    }
    let threads = options.threads.unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| ScoreError::Threads {
            threads,
            reason: error.to_string(),
        })?;
    let results = pool.install(|| score_frames(&plan.sources, options.protocol, progress))?;
    gather(plan, results, options)
}

/// What one mask file gave: the objects in its ground truth or prediction. Objects that are in
/// neither are not listed.
struct FrameResult {
    /// There is no prediction; the outcomes only tell what the ground truth holds.
    missing: bool,
    objects: Vec<(u8, FrameOutcome)>,
}

/// Scores every frame of every source, in parallel; the results come in order.
fn score_frames(
    sources: &[Source],
    protocol: Protocol,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<FrameResult>, ScoreError> {
    let frames: Vec<(&Source, &Frame)> = sources
        .iter()
        .flat_map(|source| source.frames.iter().map(move |frame| (source, frame)))
        .collect();
    let done = AtomicUsize::new(0);
    // Frames after the first failure need no scoring; those before it decide which one is named.
    let first_failure = AtomicUsize::new(usize::MAX);
    let results: Vec<Option<Result<FrameResult, ScoreError>>> = frames
        .par_iter()
        .enumerate()
        .with_min_len(4)
        .map_init(FrameScorer::default, |scorer, (i, (source, frame))| {
            if i > first_failure.load(Ordering::Relaxed) {
                return None;
            }
            let result = scorer.score(source, frame, protocol);
            if result.is_err() {
                first_failure.fetch_min(i, Ordering::Relaxed);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, frames.len());
            Some(result)
        })
        .collect();
    results.into_iter().flatten().collect()
}

/// Reads and scores mask files, one after the other.
#[derive(Default)]
struct FrameScorer {
    scorer: Scorer,
    reader: MaskReader,
    gt: LabelImage,
    pred: LabelImage,
}

impl FrameScorer {
    fn score(
        &mut self,
        source: &Source,
        frame: &Frame,
        protocol: Protocol,
    ) -> Result<FrameResult, ScoreError> {
        let gt_path = source.gt.join(&frame.name);
        let pred_path = source.pred.join(&frame.name);
        self.read(&gt_path, source.layout, false)?;
        if frame.predicted {
            self.read(&pred_path, source.layout, true)?;
            self.match_sizes(gt_path, pred_path, protocol)?;
        } else {
            self.pred.pixels.clear();
        }
        let objects = match source.layout {
            Layout::SaV => {
                let outcome = self.outcome(protocol, |v| v != 0);
                let present = outcome.in_gt || outcome.in_pred;
                present.then_some((1, outcome)).into_iter().collect()
            }
            Layout::Davis => {
                let mut present = [false; 256];
                mark_present(&self.gt.pixels, &mut present);
                mark_present(&self.pred.pixels, &mut present);
                (1..=u8::MAX)
                    .filter(|&id| present[usize::from(id)])
                    .map(|id| (id, self.outcome(protocol, |v| v == id)))
                    .collect()
            }
        };
        Ok(FrameResult {
            missing: !frame.predicted,
            objects,
        })
    }

    fn read(&mut self, path: &Path, layout: Layout, pred: bool) -> Result<(), ScoreError> {
        let out = if pred { &mut self.pred } else { &mut self.gt };
        match layout {
            Layout::SaV => self.reader.read_binary(path, out)?,
            Layout::Davis => self.reader.read_labels(path, out)?,
        }
        Ok(())
    }

    /// Brings the prediction to the ground truth's size where the protocol allows it.
    fn match_sizes(
        &mut self,
        gt_path: PathBuf,
        pred_path: PathBuf,
        protocol: Protocol,
    ) -> Result<(), ScoreError> {
        let (gt, pred) = (&self.gt, &mut self.pred);
        if (gt.height, gt.width) == (pred.height, pred.width) {
            return Ok(());
        }
        match protocol {
            Protocol::Official => Err(ScoreError::Size {
                gt: gt_path,
                pred: pred_path,
                sizes: SizeMismatch {
                    gt_height: gt.height,
                    gt_width: gt.width,
                    pred_height: pred.height,
                    pred_width: pred.width,
                },
            }),
            Protocol::Upstream => {
                let (from, to) = ((pred.height, pred.width), (gt.height, gt.width));
                pred.pixels = resize::nearest(&pred.pixels, from, to);
                (pred.height, pred.width) = to;
                Ok(())
            }
        }
    }

    /// The outcome of the object whose pixels `is_object` accepts.
    fn outcome(
        &mut self,
        protocol: Protocol,
        is_object: impl Fn(u8) -> bool + Copy,
    ) -> FrameOutcome {
        let (height, width) = (self.gt.height, self.gt.width);
        let scorer = &mut self.scorer;
        scorer.gt.pack(height, width, &self.gt.pixels, is_object);
        scorer
            .pred
            .pack(height, width, &self.pred.pixels, is_object);
        scorer.outcome(protocol)
    }
}

/// Marks the values that occur.
fn mark_present(pixels: &[u8], present: &mut [bool; 256]) {
    for chunk in pixels.chunks(32) {
        let first = chunk.first().copied().unwrap_or(0);
        present[usize::from(first)] = true;
        // Most stretches hold one value only.
        if chunk.iter().fold(0, |acc, &v| acc | (v ^ first)) != 0 {
            for &value in chunk {
                present[usize::from(value)] = true;
            }
        }
    }
}

/// Averages the frames' results per object and over objects.
fn gather(
    plan: Plan,
    results: Vec<FrameResult>,
    options: &FolderOptions,
) -> Result<FolderScores, ScoreError> {
    let mut results = results.into_iter();
    let mut objects = Vec::new();
    let mut dropped = Vec::new();
    let mut has_object_255 = false;
    let mut coverage = Coverage {
        videos_total: plan.videos_total,
        frames_total: plan.frames_total,
        ..Coverage::default()
    };
    let mut last_video = None;
    for source in plan.sources {
        let mut accumulators: BTreeMap<u8, ObjectAccumulator> = BTreeMap::new();
        if source.layout == Layout::SaV {
            accumulators.insert(1, ObjectAccumulator::new(options.protocol));
        }
        for result in results.by_ref().take(source.frames.len()) {
            coverage.frames += usize::from(!result.missing);
            for (id, _) in &result.objects {
                accumulators
                    .entry(*id)
                    .or_insert_with(|| ObjectAccumulator::new(options.protocol));
            }
            for (id, accumulator) in &mut accumulators {
                let listed = result.objects.iter().find(|(other, _)| other == id);
                let outcome = listed.map_or(FrameOutcome::ABSENT, |(_, outcome)| *outcome);
                match result.missing {
                    true => accumulator.push_missing(outcome.in_gt),
                    false => {
                        accumulator.push(outcome);
                    }
                }
            }
        }
        for (id, accumulator) in accumulators {
            let object = source.object.clone().unwrap_or_else(|| id.to_string());
            match accumulator.outcome() {
                Outcome::Scored(score) => {
                    has_object_255 |= source.layout == Layout::Davis && id == u8::MAX;
                    objects.push(ScoredObject {
                        video: source.video.clone(),
                        object,
                        score,
                    });
                }
                // In DAVIS layout an object without ground truth is a label the prediction made
                // up; the official evaluator does not report it either.
                Outcome::NeverInGroundTruth | Outcome::MissingPredictions(_) => {
                    if source.layout == Layout::SaV {
                        dropped.push(format!("{}/{object}", source.video));
                    }
                }
            }
        }
        let any = source.frames.iter().any(|frame| frame.predicted);
        if any && last_video.as_ref() != Some(&source.video) {
            coverage.videos += 1;
            last_video = Some(source.video);
        }
    }
    let global = GlobalScore::of(objects.iter().map(|o| o.score)).ok_or_else(|| {
        ScoreError::NothingScored {
            gt: plan.gt.clone(),
            pred: plan.missing.pred.clone(),
        }
    })?;
    Ok(FolderScores {
        gt: plan.gt,
        pred: plan.missing.pred.clone(),
        protocol: options.protocol,
        skipped_first_and_last: plan.skips_ends,
        global,
        objects,
        dropped,
        coverage,
        missing: plan.missing,
        extra_videos: plan.extra_videos,
        has_object_255,
    })
}

impl FolderScores {
    /// What a reader of the numbers should know, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let names = |names: &[String]| super::error::listed(names, 5);
        let mut warnings = Vec::new();
        if self.objects.iter().all(|o| o.score.j >= 100.0) {
            warnings.push(
                "J is 100 for every object: are the predictions a copy of the ground truth?"
                    .to_owned(),
            );
        }
        if !self.dropped.is_empty() {
            warnings.push(format!(
                "{} left out, never in the ground truth of a frame that counts (the official \
                 evaluator stops here): {}",
                counted(self.dropped.len(), "object"),
                names(&self.dropped)
            ));
        }
        if !self.extra_videos.is_empty() {
            warnings.push(format!(
                "{} in the prediction folder without ground truth, ignored: {}",
                counted(self.extra_videos.len(), "folder"),
                names(&self.extra_videos)
            ));
        }
        if self.has_object_255 {
            warnings.push(
                "a ground truth holds the value 255 and it was scored as object 255, as the \
                 official evaluator does; as a void or a binary mask it belongs in another layout"
                    .to_owned(),
            );
        }
        if self.protocol == Protocol::Official && !self.skipped_first_and_last {
            warnings.push(
                "the first and last annotated frames were counted: not comparable with published \
                 SA-V numbers"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// A count and its noun: "1 object", "3 objects".
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The rule for a source of this many annotated frames.
fn rule(options: &FolderOptions, annotated_frames: usize) -> FrameRule {
    let rule = FrameRule::new(options.protocol, annotated_frames);
    match options.with_first_and_last {
        true => rule.with_first_and_last(),
        false => rule,
    }
}
