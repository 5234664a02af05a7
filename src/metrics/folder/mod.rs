//! Scoring a folder of predicted masks against a folder of ground truth.
//!
//! Masks are filed per object (`video/object/frame.png`, SA-V) or as label maps (`video/frame.png`,
//! DAVIS), found out per video; predictions per object are taken for a ground truth of label maps
//! too. Ground truth and predictions are paired by name. What is scored is what the ground truth
//! annotates; predictions of other frames are ignored. Strict unless told otherwise: whatever is
//! lacking is an error that names it. Frames are scored on all cores.
//!
//! In label maps 255 is void where it occurs beside objects: nobody is scored on it, and those
//! pixels count as background in the ground truth, as in davis2017-evaluation's semi-supervised
//! task and VOST. Alone it is an object (DAVIS 2016), and where predictions have it too, as the
//! official evaluator scores it.
//!
//! The official evaluator's `results.csv`, a JSON report and a table are rendered by [`report`].

mod layout;
pub mod report;

use super::error::{Missing, ScoreError};
use super::protocol::{
    FrameOutcome, FrameRule, GlobalScore, ObjectAccumulator, ObjectScore, Outcome, Protocol,
};
use super::{Scorer, SizeMismatch, resize};
use crate::dataset::{Labels, VOID};
use crate::media::image::{LabelMap, LabelReader};
use layout::{Frame, Plan, Predicted, Source};
use rayon::prelude::*;
use std::collections::BTreeSet;
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
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Videos of which only first masks are there, so that nothing can be scored.
    pub hidden: Vec<String>,
    /// Videos in which 255 is void.
    void_videos: usize,
    /// Videos whose predictions have none of the ground truth's labels.
    strangers: Vec<String>,
    /// Copies and foreign files that were left out.
    ignored: usize,
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
#[derive(Default)]
struct FrameResult {
    objects: Vec<(u32, FrameOutcome)>,
    /// Labels of the ground truth (label maps).
    gt_labels: BTreeSet<u32>,
    /// Labels of the prediction (label maps).
    pred_labels: BTreeSet<u32>,
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
    reader: LabelReader,
    gt: LabelMap,
    pred: LabelMap,
}

impl FrameScorer {
    fn score(
        &mut self,
        source: &Source,
        frame: &Frame,
        protocol: Protocol,
    ) -> Result<FrameResult, ScoreError> {
        let mut result = FrameResult::default();
        if source.object.is_some() {
            self.reader.binary(&frame.gt, &mut self.gt)?;
            self.read_prediction(frame, protocol, true)?;
            let outcome = self.outcome(protocol, |v| v != 0, |v| v != 0);
            if outcome.in_gt || outcome.in_pred {
                result.objects.push((1, outcome));
            }
            return Ok(result);
        }
        self.reader.labels(&frame.gt, &mut self.gt)?;
        result.gt_labels = self.gt.labels();
        if !frame.counts {
            return Ok(result);
        }
        let Predicted::PerObject(files) = &frame.pred else {
            self.read_prediction(frame, protocol, false)?;
            result.pred_labels = self.pred.labels();
            for &label in result.gt_labels.union(&result.pred_labels) {
                let outcome = self.outcome(protocol, |v| v == label, |v| v == label);
                result.objects.push((label, outcome));
            }
            return Ok(result);
        };
        let folders = files.keys().copied().collect();
        for &label in result.gt_labels.union(&folders) {
            let outcome = if let Some(path) = files.get(&label) {
                self.reader.binary(path, &mut self.pred)?;
                self.match_sizes(&frame.gt, path, protocol)?;
                self.outcome(protocol, |v| v == label, |v| v != 0)
            } else {
                self.pred.data.clear();
                self.outcome(protocol, |v| v == label, |v| v != 0)
            };
            if outcome.in_pred {
                result.pred_labels.insert(label);
            }
            if outcome.in_gt || outcome.in_pred {
                result.objects.push((label, outcome));
            }
        }
        Ok(result)
    }

    /// Reads the prediction at the ground truth's size; a missing one has no pixels.
    fn read_prediction(
        &mut self,
        frame: &Frame,
        protocol: Protocol,
        binary: bool,
    ) -> Result<(), ScoreError> {
        let Predicted::File(path) = &frame.pred else {
            self.pred.data.clear();
            return Ok(());
        };
        if binary {
            self.reader.binary(path, &mut self.pred)?;
        } else {
            self.reader.labels(path, &mut self.pred)?;
        }
        self.match_sizes(&frame.gt, path, protocol)
    }

    /// Brings the prediction to the ground truth's size where the protocol allows it.
    fn match_sizes(
        &mut self,
        gt_path: &Path,
        pred_path: &Path,
        protocol: Protocol,
    ) -> Result<(), ScoreError> {
        let (gt, pred) = (&self.gt, &mut self.pred);
        if (gt.height, gt.width) == (pred.height, pred.width) {
            return Ok(());
        }
        match protocol {
            Protocol::Official => Err(ScoreError::Size {
                gt: gt_path.to_owned(),
                pred: pred_path.to_owned(),
                sizes: SizeMismatch {
                    gt_height: gt.height,
                    gt_width: gt.width,
                    pred_height: pred.height,
                    pred_width: pred.width,
                },
            }),
            Protocol::Upstream => {
                let (from, to) = ((pred.height, pred.width), (gt.height, gt.width));
                pred.data = resize::nearest(&pred.data, from, to);
                (pred.height, pred.width) = to;
                Ok(())
            }
        }
    }

    /// The outcome of the object whose pixels the two rules accept.
    fn outcome(
        &mut self,
        protocol: Protocol,
        in_gt: impl Fn(u32) -> bool + Copy,
        in_pred: impl Fn(u32) -> bool + Copy,
    ) -> FrameOutcome {
        let (height, width) = (self.gt.height, self.gt.width);
        let scorer = &mut self.scorer;
        scorer.gt.pack(height, width, &self.gt.data, in_gt);
        scorer.pred.pack(height, width, &self.pred.data, in_pred);
        scorer.outcome(protocol)
    }
}

/// Averages the frames' results per object and over objects.
fn gather(
    plan: Plan,
    results: Vec<FrameResult>,
    options: &FolderOptions,
) -> Result<FolderScores, ScoreError> {
    let mut results = results.into_iter();
    let mut scores = FolderScores {
        gt: plan.gt,
        pred: plan.missing.pred.clone(),
        protocol: options.protocol,
        skipped_first_and_last: plan.skips_ends,
        coverage: Coverage {
            videos_total: plan.videos_total,
            frames_total: plan.frames_total,
            ..Coverage::default()
        },
        missing: plan.missing,
        extra_videos: plan.extra_videos,
        ignored: plan.ignored,
        ..FolderScores::default()
    };
    let mut labels = (BTreeSet::new(), BTreeSet::new());
    let mut last_video = None;
    for source in plan.sources {
        let results: Vec<FrameResult> = results.by_ref().take(source.frames.len()).collect();
        let any = source
            .frames
            .iter()
            .any(|frame| frame.pred != Predicted::Missing);
        if any && last_video.as_ref() != Some(&source.video) {
            scores.coverage.videos += 1;
            last_video = Some(source.video.clone());
        }
        if source.object.is_some() {
            scores.add_object(&source, &results, options);
        } else {
            scores.add_maps(&source, &results, options, &mut labels);
        }
    }
    if !options.partial && !scores.missing.is_empty() {
        return Err(ScoreError::Missing(scores.missing));
    }
    let (truth, predicted) = labels;
    if !predicted.is_empty() && !truth.is_empty() && truth.is_disjoint(&predicted) {
        return Err(ScoreError::OtherLabels {
            gt: truth.into_iter().collect(),
            pred: predicted.into_iter().collect(),
        });
    }
    match GlobalScore::of(scores.objects.iter().map(|o| o.score)) {
        Some(global) => scores.global = global,
        None if !scores.hidden.is_empty() => {
            return Err(ScoreError::Hidden { gt: scores.gt });
        }
        None => {
            return Err(ScoreError::NothingScored {
                gt: scores.gt,
                pred: scores.pred,
            });
        }
    }
    Ok(scores)
}

impl FolderScores {
    fn add_object(&mut self, source: &Source, results: &[FrameResult], options: &FolderOptions) {
        let mut accumulator = ObjectAccumulator::new(options.protocol);
        for (frame, result) in source.frames.iter().zip(results) {
            let outcome = result.objects.first().map(|(_, outcome)| *outcome);
            let outcome = outcome.unwrap_or(FrameOutcome::ABSENT);
            if frame.pred == Predicted::Missing {
                accumulator.push_missing(outcome.in_gt);
            } else {
                self.coverage.frames += 1;
                accumulator.push(outcome);
            }
        }
        let object = source.object.clone().unwrap_or_default();
        match accumulator.outcome() {
            Outcome::Scored(score) => self.objects.push(ScoredObject {
                video: source.video.clone(),
                object,
                score,
            }),
            Outcome::NeverInGroundTruth | Outcome::PromptOnly | Outcome::MissingPredictions(_) => {
                self.dropped.push(format!("{}/{object}", source.video));
            }
        }
    }

    fn add_maps(
        &mut self,
        source: &Source,
        results: &[FrameResult],
        options: &FolderOptions,
        (truth, predicted): &mut (BTreeSet<u32>, BTreeSet<u32>),
    ) {
        let maps: Vec<BTreeSet<u32>> = results.iter().map(|r| r.gt_labels.clone()).collect();
        let mut found = Labels::of(&maps);
        let shown = results
            .iter()
            .any(|result| result.pred_labels.contains(&VOID))
            || source
                .folders
                .as_ref()
                .is_some_and(|all| all.contains_key(&VOID));
        if found.void && shown {
            // Whoever predicts it takes it for an object, and the official evaluator scores it.
            found.void = false;
            found.objects.insert(VOID);
        }
        self.void_videos += usize::from(found.void);
        if found.first_masks_only {
            self.hidden.push(source.video.clone());
            return;
        }
        let own: BTreeSet<u32> = results
            .iter()
            .flat_map(|result| result.pred_labels.iter().copied())
            .collect();
        if !own.is_empty() && own.is_disjoint(&found.objects) {
            self.strangers.push(source.video.clone());
        }
        truth.extend(&found.objects);
        predicted.extend(&own);
        if let Some(folders) = &source.folders {
            for label in found
                .objects
                .iter()
                .filter(|label| !folders.contains_key(label))
            {
                self.missing
                    .objects
                    .push(format!("{}/{label}", source.video));
            }
        }
        let counted = source.frames.iter().zip(results);
        let counted: Vec<_> = counted.filter(|(frame, _)| frame.counts).collect();
        for (frame, _) in &counted {
            let whole = match (&frame.pred, &source.folders) {
                (Predicted::PerObject(files), Some(folders)) => {
                    let lacking = found.objects.iter().filter_map(|label| {
                        let folder = folders.get(label)?;
                        (!files.contains_key(label)).then_some(folder)
                    });
                    let name = frame.gt.file_name().unwrap_or_default().to_string_lossy();
                    let before = self.missing.frames.len();
                    let lacking = lacking.map(|f| format!("{}/{f}/{name}", source.video));
                    self.missing.frames.extend(lacking);
                    self.missing.frames.len() == before
                }
                (pred, _) => *pred != Predicted::Missing,
            };
            self.coverage.frames += usize::from(whole);
        }
        for label in found.objects {
            let mut accumulator = ObjectAccumulator::new(options.protocol);
            for (frame, result) in &counted {
                let listed = result.objects.iter().find(|(other, _)| *other == label);
                let outcome = listed.map_or(FrameOutcome::ABSENT, |(_, outcome)| *outcome);
                let there = match &frame.pred {
                    Predicted::Missing => false,
                    Predicted::File(_) => true,
                    Predicted::PerObject(files) => files.contains_key(&label),
                };
                if there {
                    accumulator.push(outcome);
                } else if options.protocol == Protocol::Upstream {
                    accumulator.push_missing(outcome.in_gt);
                }
            }
            // An object that is in no frame that counts is not reported by the official evaluator
            // either.
            if let Outcome::Scored(score) = accumulator.outcome() {
                self.objects.push(ScoredObject {
                    video: source.video.clone(),
                    object: label.to_string(),
                    score,
                });
            }
        }
    }
}

impl FolderScores {
    /// The scores of objects that a run tracked, from so many mask files; `None` without objects.
    pub fn of_run(
        split: &Path,
        pred: &Path,
        protocol: Protocol,
        objects: Vec<ScoredObject>,
        files: usize,
    ) -> Option<Self> {
        let videos: BTreeSet<&String> = objects.iter().map(|object| &object.video).collect();
        let videos = videos.len();
        Some(Self {
            gt: split.to_owned(),
            pred: pred.to_owned(),
            protocol,
            skipped_first_and_last: protocol == Protocol::Official,
            global: GlobalScore::of(objects.iter().map(|object| object.score))?,
            objects,
            coverage: Coverage {
                videos,
                videos_total: videos,
                frames: files,
                frames_total: files,
            },
            ..Self::default()
        })
    }

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
        if self.void_videos > 0 {
            warnings.push(format!(
                "label 255 stands beside other labels in the ground truth of {} and is void: not \
                 scored, its pixels are background",
                counted(self.void_videos, "video")
            ));
        }
        if !self.hidden.is_empty() {
            warnings.push(format!(
                "{} not scored, only the first mask of each object is there: {}",
                counted(self.hidden.len(), "video"),
                names(&self.hidden)
            ));
        }
        if !self.strangers.is_empty() {
            warnings.push(format!(
                "the predictions of {} have none of the labels of the ground truth: {}",
                counted(self.strangers.len(), "video"),
                names(&self.strangers)
            ));
        }
        if self.ignored > 0 {
            warnings.push(format!(
                "{} left out: copies, and what systems leave in folders",
                counted(self.ignored, "file")
            ));
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
