//! Joins the run folders of the shards of one run into one.
//!
//! The parts must have been begun alike: the same pinned options but for the shard and the path of
//! the split, the same split, the same kind of device. Rows keep their figures and their order by
//! key; every part's sessions become sessions of the whole, because each was a process with memory
//! of its own. The result is made beside its place and renamed, so that it is whole or not there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::audit::{self, Loss};
use super::folder::to_json;
use super::journal::{Part, write_joined};
use super::manifest::{MergedPart, Options, RunFile, RunState, differences};
use super::{ObjectKey, ObjectRow, Summary, atomic, read_journal, storage, summarise};
use crate::error::{Error, ErrorClass, Result, WithClass};
use crate::figures::columns::summary_csv;
use crate::machine::TelemetryRecord;
use crate::render;
use crate::spec::Shard;

/// Pinned options that shards of one run need not share.
const OWN: [&str; 2] = ["shard", "split-dir"];

/// What to let pass.
#[derive(Clone, Debug, Default)]
pub struct MergeOptions {
    /// Join although shards are missing or unfinished.
    pub partial: bool,
    /// What else the parts may lack.
    pub accepted: Vec<Loss>,
    /// Join although the parts ran on different devices.
    pub anyway: bool,
}

/// A run folder that was joined.
#[derive(Debug)]
pub struct Merged {
    /// Its summary.
    pub summary: Summary,
    /// What was let pass, one sentence each.
    pub warnings: Vec<String>,
}

/// One part, read.
struct Source {
    path: PathBuf,
    run: RunFile,
    pinned: Options,
    started: String,
    resumed: Vec<String>,
    rows: Vec<ObjectRow>,
}

impl Source {
    fn read(path: &Path) -> Result<Self> {
        let journal = path.join("journal.jsonl");
        if !journal.is_file() {
            return Err(Error::data(format!(
                "{} is not a run folder: it has no journal.jsonl",
                path.display()
            )));
        }
        let found = read_journal(&journal)?;
        let manifest =
            |why: &str| Error::data(format!("{}: {why}", path.join("run.json").display()));
        let run = RunFile::read(path)?.ok_or_else(|| manifest("it is missing; restore it"))?;
        let pinned = found.pinned().cloned().ok_or_else(|| {
            manifest("the journal beside it has no first line; run that shard again")
        })?;
        Ok(Self {
            path: path.to_owned(),
            run,
            pinned,
            started: found.started.unwrap_or_default(),
            resumed: found.resumed,
            rows: found.rows,
        })
    }

    fn shard(&self) -> Option<Shard> {
        self.run.manifest.spec.pinned.shard
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn common(&self) -> Options {
        let own = |name: &&String| !OWN.contains(&name.as_str());
        let kept = self.pinned.iter().filter(|(name, _)| own(name));
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// Joins run folders into `out`.
///
/// # Errors
/// The parts lack something, or are not of one run; the text names the folders and the option,
/// shard or row.
pub fn merge(parts: &[PathBuf], out: &Path, options: &MergeOptions) -> Result<Merged> {
    if fs::symlink_metadata(out).is_ok() {
        return Err(Error::usage(format!(
            "{} already exists; choose another --out, or remove it",
            out.display()
        )));
    }
    let mut sources = parts
        .iter()
        .map(|p| Source::read(p))
        .collect::<Result<Vec<_>>>()?;
    sources.sort_by_key(|source| source.shard().map(|shard| shard.index));
    let mut warnings = Vec::new();
    check_alike(&sources, options, &mut warnings)?;
    check_complete(&sources, options, &mut warnings)?;
    check_distinct(&sources)?;
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|source| storage("create", parent, source))?;
    // A folder of a random name, removed unless it becomes the result.
    let beside = tempfile::Builder::new()
        .prefix(crate::files::TEMPORARY)
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent)
        .map_err(|source| storage("create", parent, source))?;
    let summary = write(&sources, beside.path(), out, !warnings.is_empty())?;
    fs::rename(beside.path(), out).map_err(|source| storage("write", out, source))?;
    // Its name is the result's now; there is nothing left to remove.
    let _ = beside.keep();
    Ok(Merged { summary, warnings })
}

/// What of `run.json` tells machines apart.
fn device(run: &RunFile) -> [String; 6] {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let environment = &run.manifest.environment;
    let backend = run.manifest.backend.as_ref();
    [
        shown(&environment.jetson_model.value),
        shown(&environment.cpu_model.value),
        shown(&environment.power_mode.value),
        environment.build_profile.clone(),
        shown(&backend.map(|backend| backend.device.clone())),
        shown(&backend.map(|backend| backend.runtime.clone())),
    ]
}

fn check_alike(
    sources: &[Source],
    options: &MergeOptions,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let Some((first, others)) = sources.split_first() else {
        return Ok(());
    };
    for other in others {
        let mut unlike = differences(&first.common(), &other.common());
        for text in &mut unlike {
            *text = text
                .replacen(" was ", " is ", 1)
                .replacen(", now ", " in the first, ", 1)
                + " in the second";
        }
        let (one, two) = (first.shard(), other.shard());
        if one.map(|shard| shard.count) != two.map(|shard| shard.count) {
            let shown =
                |shard: Option<Shard>| shard.map_or("none".to_owned(), |shard| shard.to_string());
            unlike.insert(
                0,
                format!(
                    "shard is {} in the first, {} in the second",
                    shown(one),
                    shown(two)
                ),
            );
        }
        if !unlike.is_empty() {
            return Err(Error::data(format!(
                "{} and {} are not parts of one run: {}",
                first.shown(),
                other.shown(),
                unlike.join(", ")
            )));
        }
        let what: Vec<String> = std::iter::zip(device(&first.run), device(&other.run))
            .filter(|(one, two)| one != two)
            .map(|(one, two)| format!("{one} in the first, {two} in the second"))
            .collect();
        if what.is_empty() {
            continue;
        }
        if !options.anyway {
            return Err(Error::data(format!(
                "{} and {} ran on different devices ({}), and timings would mix hardware: give \
                 --anyway if only the scores matter",
                first.shown(),
                other.shown(),
                what.join("; ")
            )));
        }
        warnings.push(format!(
            "times are a mixture: {} and {} ran on different devices",
            first.shown(),
            other.shown()
        ));
    }
    Ok(())
}

fn check_complete(
    sources: &[Source],
    options: &MergeOptions,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let mut missing = Vec::new();
    if let Some(Shard { count, .. }) = sources.first().and_then(Source::shard) {
        let mut there: BTreeMap<usize, &Source> = BTreeMap::new();
        for source in sources {
            let Some(shard) = source.shard() else {
                continue;
            };
            if let Some(first) = there.insert(shard.index, source) {
                return Err(twice(&format!("shard {shard}"), first, source));
            }
        }
        let absent: Vec<String> = (1..=count)
            .filter(|index| !there.contains_key(index))
            .map(|index| format!("{index}/{count}"))
            .collect();
        match absent.as_slice() {
            [] => {}
            [one] => missing.push(format!("shard {one} is missing")),
            many => missing.push(format!("shards {} are missing", many.join(", "))),
        }
    }
    let mut accepted = missing.is_empty() || options.partial;
    for source in sources {
        for (loss, why) in audit::losses(&source.path, Some(&source.run), &source.rows) {
            accepted &= options.accepted.contains(&loss) || options.partial && loss == Loss::State;
            missing.push(why);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let why = missing.join("; ");
    if !accepted {
        return Err(Error::data(format!(
            "{why}; run what is missing (with --resume where a folder exists), or accept the loss: \
             --partial for missing and unfinished shards, --accept-missing rows,masks for the rest"
        )));
    }
    warnings.push(format!("joined in part: {why}"));
    Ok(())
}

fn twice(what: &str, first: &Source, second: &Source) -> Error {
    Error::data(format!(
        "{what} is in both {} and {}; give each shard once",
        first.shown(),
        second.shown()
    ))
}

fn check_distinct(sources: &[Source]) -> Result<()> {
    let mut seen: HashMap<&ObjectKey, &Source> = HashMap::new();
    for source in sources {
        for row in &source.rows {
            if let Some(first) = seen.insert(&row.key, source) {
                return Err(twice(&row.key.to_string(), first, source));
            }
        }
    }
    Ok(())
}

fn write(sources: &[Source], place: &Path, out: &Path, incomplete: bool) -> Result<Summary> {
    for folder in [place.join("masks"), place.join("overlays")] {
        fs::create_dir_all(&folder).map_err(|source| storage("create", &folder, source))?;
    }
    for (number, source) in sources.iter().enumerate() {
        let own = match source.shard() {
            Some(shard) => format!("{}-of-{}", shard.index, shard.count),
            None => format!("{}", number + 1),
        };
        copy_part(&source.path, place, &place.join("shards").join(own))?;
    }
    let pinned = sources.first().map(|first| {
        let mut pinned = first.pinned.clone();
        pinned.remove("shard");
        pinned
    });
    let parts: Vec<Part> = sources.iter().flat_map(sessions).collect();
    let journal = place.join("journal.jsonl");
    write_joined(&journal, &pinned.unwrap_or_default(), &parts)?;
    let rows = read_journal(&journal)?.rows;
    let summary = summarise(&rows);
    let csv = render::csv(&summary_csv(&summary))
        .class(ErrorClass::Run, || "summary.csv: failed to serialize")?;
    atomic::write(&place.join("summary.csv"), &csv)?;
    let json = to_json("summary.json", &summary)?;
    atomic::write(&place.join("summary.json"), &json)?;
    let run = run_file(sources, out, rows.len(), incomplete);
    atomic::write(&place.join("run.json"), &to_json("run.json", &run)?)?;
    Ok(summary)
}

/// A part's rows by the process that wrote them.
fn sessions(source: &Source) -> Vec<Part> {
    let mut by_session: BTreeMap<u32, Vec<ObjectRow>> = BTreeMap::new();
    by_session.insert(0, Vec::new());
    for row in &source.rows {
        by_session.entry(row.session).or_default().push(row.clone());
    }
    let at = |session: u32| match session.checked_sub(1) {
        None => source.started.clone(),
        Some(place) => source
            .resumed
            .get(place as usize)
            .unwrap_or(&source.started)
            .clone(),
    };
    by_session
        .into_iter()
        .map(|(session, rows)| Part {
            at: at(session),
            rows,
        })
        .collect()
}

/// The first part's `run.json`, as that of the whole.
fn run_file(sources: &[Source], out: &Path, rows: usize, incomplete: bool) -> Option<RunFile> {
    let mut run = sources.first()?.run.clone();
    run.manifest.telemetry = sensors(sources);
    run.manifest.spec.pinned.shard = None;
    run.run = out
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    run.state = if incomplete {
        RunState::Interrupted
    } else {
        RunState::Finished
    };
    let started = sources.iter().map(|source| source.started.clone());
    run.started = started.min().unwrap_or_default();
    run.finished = sources.iter().filter_map(|s| s.run.finished.clone()).max();
    run.rows = rows;
    run.merged_from = sources
        .iter()
        .map(|source| MergedPart {
            folder: source.shown(),
            shard: source.shard(),
            rows: source.rows.len(),
            started: source.started.clone(),
            finished: source.run.finished.clone(),
        })
        .collect();
    Some(run)
}

/// Why the parts' machines had no reading, for sensors that none of them had; `None` where telemetry
/// was off everywhere. Samples stay with the part that took them.
fn sensors(sources: &[Source]) -> Option<TelemetryRecord> {
    let mut parts = sources
        .iter()
        .filter_map(|source| source.run.manifest.telemetry.as_ref());
    let mut joined = parts.next()?.clone();
    let mut notes: BTreeSet<String> = joined.notes.drain(..).collect();
    for part in parts {
        joined
            .missing
            .retain(|name, _| part.missing.contains_key(name));
        notes.extend(part.notes.iter().cloned());
    }
    joined.notes = notes.into_iter().collect();
    Some(joined)
}

/// Masks and overlays go together; what else a part holds is kept apart, in a folder of its own.
fn copy_part(part: &Path, place: &Path, own: &Path) -> Result<()> {
    const MADE_ANEW: [&str; 5] = [
        "journal.jsonl",
        "summary.csv",
        "summary.json",
        "report.html",
        "shards",
    ];
    let together: BTreeSet<&str> = ["masks", "overlays"].into();
    for entry in list(part)? {
        let Some(name) = entry
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            continue;
        };
        if together.contains(name.as_str()) {
            copy(&entry, &place.join(&name))?;
        } else if !MADE_ANEW.contains(&name.as_str()) {
            copy(&entry, &own.join(&name))?;
        }
    }
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    read().map_err(|source| storage("read", folder, source))
}

/// Copies a file or a folder; a hard link where the file system makes one.
///
/// # Errors
/// A symbolic link or a pipe, which could lead anywhere or block; the system's own errors.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let seen = fs::symlink_metadata(from).map_err(|source| storage("read", from, source))?;
    if seen.is_dir() {
        fs::create_dir_all(to).map_err(|source| storage("create", to, source))?;
        for entry in list(from)? {
            if let Some(name) = entry.file_name() {
                copy(&entry, &to.join(name))?;
            }
        }
        return Ok(());
    }
    if !seen.is_file() {
        return Err(Error::data(format!(
            "{} is neither a file nor a folder; replace it with what it stands for, or remove it",
            from.display()
        )));
    }
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(|source| storage("create", parent, source))?;
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)
        .map(drop)
        .map_err(|source| storage("write", to, source))
}
