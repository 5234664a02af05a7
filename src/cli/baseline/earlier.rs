//! A finished run, read back from its folder: what its baseline shares with it.

use super::super::options::{DataArgs, ModelArgs, ModelRun, PrecisionArg, UsageError};
use crate::clip::SaveMasks;
use crate::dataset::Split;
use crate::record::{ObjectRow, Options, Summary, read_journal, summarise};
use anyhow::Context;
use clap::ValueEnum;
use masklet_engines::bundle::Bundle;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What stands in a run folder about the run.
pub(super) struct Earlier {
    pub(super) options: Options,
    pub(super) models: Vec<ModelRun>,
    pub(super) split: Split,
    pub(super) settings: Carried,
    pub(super) summary: Summary,
}

/// Options of the run that its baseline shares.
pub(super) struct Carried {
    pub(super) max_clip_frames: Option<usize>,
    pub(super) save_masks: SaveMasks,
    pub(super) threads: usize,
    pub(super) decode_threads: usize,
    pub(super) warmup: usize,
    pub(super) fill_holes: u64,
}

impl Earlier {
    /// Reads `run.json`, the split, the bundles and the journal of a finished run.
    ///
    /// # Errors
    /// A folder that is no finished run; data or bundles that are not what they were.
    pub(super) fn read(run: &Path) -> anyhow::Result<Self> {
        let path = run.join("run.json");
        let text = std::fs::read(&path).map_err(|error| {
            UsageError(format!(
                "{} cannot be read ({error}); give the folder of a finished `masklet run`",
                path.display()
            ))
        })?;
        let file: Value = serde_json::from_slice(&text)
            .map_err(|error| UsageError(format!("{} is not a run's: {error}", path.display())))?;
        if file["state"] != "finished" {
            return Err(UsageError(format!(
                "the run in {} is {}, not finished: a baseline runs after it, never beside it; \
                 finish it with --resume",
                run.display(),
                file["state"].as_str().unwrap_or("unknown")
            ))
            .into());
        }
        let options = file["options"].as_object().cloned().unwrap_or_default();
        let text = |name: &str| options.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| options.get(name).and_then(Value::as_u64).unwrap_or(0);
        let texts = |name: &str| -> Vec<String> {
            let list = options.get(name).and_then(Value::as_array);
            let items = list.into_iter().flatten().filter_map(Value::as_str);
            items.map(str::to_owned).collect()
        };
        let size = |name: &str| usize::try_from(number(name)).unwrap_or(usize::MAX);
        if options.get("no-memory") == Some(&Value::Bool(true)) {
            return Err(UsageError(format!(
                "the run in {} left the memory bank empty (--no-memory), which PyTorch does not: \
                 it would compute another function; run without --no-memory",
                run.display()
            ))
            .into());
        }
        for (option, why) in [
            (
                "video",
                "is of video files, whose frames PyTorch is not given",
            ),
            (
                "realtime",
                "fed frames at a rate and may have dropped some, which PyTorch does not",
            ),
        ] {
            if options.contains_key(option) {
                return Err(UsageError(format!(
                    "the run in {} {why} (--{option}); a baseline needs a run without it",
                    run.display()
                ))
                .into());
            }
        }
        let mut split = DataArgs {
            split_dir: text("split-dir").map(PathBuf::from),
            split_name: text("split-name"),
            videos: texts("videos"),
            limit_videos: size("limit-videos"),
            limit_objects: size("limit-objects"),
            shuffle_videos: options.get("shuffle-videos") == Some(&Value::Bool(true)),
            seed: options.get("seed").and_then(Value::as_u64),
        }
        .open()
        .context("the run's split")?;
        let models = ModelArgs {
            models: texts("models"),
            exports: file["free_options"]["exports"].as_str().map(PathBuf::from),
            imgsz: options
                .get("imgsz")
                .and_then(Value::as_u64)
                .map(|_| size("imgsz")),
            precision: text("precision").and_then(|p| PrecisionArg::from_str(&p, true).ok()),
        }
        .open()
        .context("the run's models")?;
        for model in &models {
            check_bundle(&model.bundle, &file)?;
        }
        let rows = read_journal(&run.join("journal.jsonl"))?.rows;
        keep_what_ran(&mut split, &rows);
        let summary = summarise(&rows);
        Ok(Self {
            settings: Carried {
                max_clip_frames: Some(size("max-clip-frames")).filter(|most| *most > 0),
                save_masks: text("save-masks")
                    .and_then(|s| SaveMasks::from_str(&s, true).ok())
                    .unwrap_or(SaveMasks::Annotated),
                threads: size("threads"),
                decode_threads: size("decode-threads").max(1),
                warmup: size("warmup"),
                fill_holes: number("fill-holes"),
            },
            options: options.into_iter().collect(),
            models,
            split,
            summary,
        })
    }
}

/// Leaves the objects that the run has rows of: a shard's run has only its share of the split.
fn keep_what_ran(split: &mut Split, rows: &[ObjectRow]) {
    let ran: BTreeSet<(&str, &str)> = rows
        .iter()
        .map(|row| (row.key.video.as_str(), row.key.object.as_str()))
        .collect();
    for video in &mut split.videos {
        let id = video.id.as_str();
        video
            .objects
            .retain(|one| ran.contains(&(id, one.id.as_str())));
    }
    split.videos.retain(|video| !video.objects.is_empty());
}

/// The bundle must be the one that the run had.
fn check_bundle(bundle: &Bundle, run: &Value) -> Result<(), UsageError> {
    let records = run["bundles"].as_array().map_or(&[][..], Vec::as_slice);
    let manifest = bundle.manifest();
    let then = records.iter().find(|r| r["name"] == manifest.name.as_str());
    let then = then.and_then(|record| record["sha256"].as_str());
    if then == Some(bundle.sha256()) {
        return Ok(());
    }
    Err(UsageError(format!(
        "the bundle {} is not the one of the run (SHA-256 {}, the run had {}); a baseline would \
         compute another function",
        manifest.name,
        bundle.sha256(),
        then.unwrap_or("none")
    )))
}
