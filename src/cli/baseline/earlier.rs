//! A finished run, read back from its folder: what its baseline shares with it.

use crate::benchmark::{ModelRun, open_models, open_split};
use crate::dataset::Split;
use crate::error::{Context, Error, Result};
use crate::record::{ObjectRow, RunFile, RunState, Summary, read_journal, summarise};
use crate::spec::{Pinned, Spec};
use masklet_engines::bundle::Bundle;
use std::collections::BTreeSet;
use std::path::Path;

/// What stands in a run folder about the run.
pub(super) struct Earlier {
    pub(super) spec: Spec,
    pub(super) models: Vec<ModelRun>,
    pub(super) split: Split,
    pub(super) summary: Summary,
}

impl Earlier {
    /// Reads `run.json`, the split, the bundles and the journal of a finished run.
    ///
    /// # Errors
    /// A folder that is not a finished run; data or bundles that are not what they were.
    pub(super) fn read(run: &Path) -> Result<Self> {
        let file = RunFile::read(run)?.ok_or_else(|| {
            Error::usage(format!(
                "{} has no run.json; give the folder of a finished `masklet run`",
                run.display()
            ))
        })?;
        if file.state != RunState::Finished {
            return Err(Error::usage(format!(
                "the run in {} is {}, not finished: a baseline runs after it, never beside it; \
                 finish it with --resume",
                run.display(),
                file.state
            )));
        }
        let spec = &file.manifest.spec;
        check_options(&spec.pinned, run)?;
        let mut split = open_split(&spec.pinned.data).context(|| "the run's split")?;
        let models = open_models(&spec.pinned.models, spec.free.exports.clone(), false)
            .context(|| "the run's models")?;
        for model in &models {
            check_bundle(&model.bundle, &file)?;
        }
        let rows = read_journal(&run.join("journal.jsonl"))?.rows;
        keep_what_ran(&mut split, &rows);
        Ok(Self {
            summary: summarise(&rows),
            spec: file.manifest.spec,
            models,
            split,
        })
    }
}

/// Refuses a run that PyTorch could not do alike.
fn check_options(pinned: &Pinned, run: &Path) -> Result<()> {
    let run = run.display();
    let why = if pinned.no_memory {
        format!(
            "the run in {run} left the memory bank empty (--no-memory), which PyTorch does not: it \
             would compute another function; run without --no-memory"
        )
    } else if !pinned.data.video.is_empty() {
        format!(
            "the run in {run} is of video files, whose frames PyTorch is not given (--video); a \
             baseline needs a run without it"
        )
    } else if pinned.realtime.is_some() {
        format!(
            "the run in {run} fed frames at a rate and may have dropped some, which PyTorch does not \
             (--realtime); a baseline needs a run without it"
        )
    } else {
        return Ok(());
    };
    Err(Error::usage(why))
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
fn check_bundle(bundle: &Bundle, run: &RunFile) -> Result<()> {
    let name = &bundle.manifest().name;
    let then = run.manifest.bundles.iter().find(|then| then.name == *name);
    let then = then.map_or("none", |then| then.sha256.as_str());
    if then == bundle.sha256() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the bundle {name} is not the one of the run (SHA-256 {}, the run had {then}); a baseline \
         would compute another function",
        bundle.sha256()
    )))
}
