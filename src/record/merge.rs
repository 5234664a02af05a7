//! Joins the run folders of the shards of one run into one.
//!
//! The parts must have been begun alike: the same pinned options but for the shard and the path of
//! the split, the same split, the same kind of device. Rows keep their figures and their order by
//! key; every part's sessions become sessions of the whole, because each was a process with memory
//! of its own. The result is made beside its place and renamed, so that it is whole or not there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::journal::{Part, write_joined};
use super::manifest::{Options, differences};
use super::{
    FolderError, JournalError, ObjectKey, ObjectRow, StorageError, Summary, atomic, read_journal,
    summarise,
};
use crate::benchmark::Shard;
use crate::error::{Classified, ErrorClass};
use crate::figures::columns::summary_csv;
use crate::render;

/// Pinned options that shards of one run need not share.
const OWN: [&str; 2] = ["shard", "split-dir"];

/// Why run folders cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Nothing to join.
    #[error("{path} is no run folder: it has no journal.jsonl")]
    NotARun {
        /// The folder.
        path: String,
    },
    /// A folder's `run.json` is missing or damaged.
    #[error("{path}: {why}")]
    Manifest {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Two parts were begun differently.
    #[error("{first} and {second} are not parts of one run: {}", .differences.join(", "))]
    Unlike {
        /// The first part.
        first: String,
        /// The part that differs.
        second: String,
        /// One text per option: name, in the first and in the second.
        differences: Vec<String>,
    },
    /// Parts ran on different devices.
    #[error(
        "{first} and {second} ran on different devices ({what}); times of a mixture belong to neither: \
         give --anyway if only the scores matter"
    )]
    Device {
        /// The first part.
        first: String,
        /// The part that differs.
        second: String,
        /// What differs: in the first, in the second.
        what: String,
    },
    /// Shards are missing, or not finished.
    #[error(
        "{why}; run what is missing (with --resume where a folder is there), or give --partial"
    )]
    Incomplete {
        /// Which.
        why: String,
    },
    /// The same shard or row is there twice.
    #[error("{what} is in both {first} and {second}; give each shard once")]
    Twice {
        /// The shard, or the row's key.
        what: String,
        /// One folder.
        first: String,
        /// The other.
        second: String,
    },
    /// The output is there already.
    #[error("{path} is there already; choose another --out, or remove it")]
    Exists {
        /// The folder.
        path: String,
    },
    /// A journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A summary.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Writing.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Classified for MergeError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Exists { .. } => ErrorClass::Usage,
            Self::Journal(error) => error.class(),
            Self::Folder(error) => error.class(),
            Self::Storage(error) => error.class(),
            _ => ErrorClass::Data,
        }
    }
}

/// What to let pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergeOptions {
    /// Join although shards are missing or unfinished.
    pub partial: bool,
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
    run: Value,
    pinned: Options,
    shard: Option<Shard>,
    started: String,
    resumed: Vec<String>,
    rows: Vec<ObjectRow>,
}

impl Source {
    fn read(path: &Path) -> Result<Self, MergeError> {
        let shown = || path.display().to_string();
        let journal = path.join("journal.jsonl");
        if !journal.is_file() {
            return Err(MergeError::NotARun { path: shown() });
        }
        let found = read_journal(&journal)?;
        let place = path.join("run.json");
        let manifest = |why: String| MergeError::Manifest {
            path: place.display().to_string(),
            why,
        };
        let text =
            fs::read(&place).map_err(|error| manifest(format!("it cannot be read ({error})")))?;
        let run: Value = serde_json::from_slice(&text)
            .map_err(|error| manifest(format!("it is no JSON ({error})")))?;
        let pinned = found.pinned().cloned().ok_or_else(|| {
            manifest("the journal beside it has no first line; run that shard again".to_owned())
        })?;
        let shard = match pinned.get("shard") {
            None | Some(Value::Null) => None,
            Some(text) => {
                let text = text.as_str().unwrap_or_default();
                Some(text.parse().map_err(|error| manifest(format!("{error}")))?)
            }
        };
        Ok(Self {
            path: path.to_owned(),
            run,
            pinned,
            shard,
            started: found.started.unwrap_or_default(),
            resumed: found.resumed,
            rows: found.rows,
        })
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

    fn state(&self) -> &str {
        self.run["state"].as_str().unwrap_or("of unknown state")
    }
}

/// Joins run folders into `out`.
///
/// # Errors
/// [`MergeError`] names the folders and the option, shard or row.
pub fn merge(parts: &[PathBuf], out: &Path, options: MergeOptions) -> Result<Merged, MergeError> {
    if out.exists() {
        return Err(MergeError::Exists {
            path: out.display().to_string(),
        });
    }
    let mut sources = parts
        .iter()
        .map(|p| Source::read(p))
        .collect::<Result<Vec<_>, _>>()?;
    sources.sort_by_key(|source| source.shard.map(|shard| shard.index));
    let mut warnings = Vec::new();
    alike(&sources, options, &mut warnings)?;
    complete(&sources, options, &mut warnings)?;
    distinct(&sources)?;
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let beside = out.with_file_name(name);
    let written = write(&sources, &beside, out, !warnings.is_empty()).and_then(|summary| {
        fs::rename(&beside, out).map_err(|source| StorageError::new("write", out, source))?;
        Ok(summary)
    });
    if written.is_err() {
        // What is left of it would only be in the way; the first error is the one to tell.
        let _ = fs::remove_dir_all(&beside);
    }
    Ok(Merged {
        summary: written?,
        warnings,
    })
}

/// What of `run.json` says which machine it was.
const DEVICE: [&str; 6] = [
    "/environment/jetson_model/value",
    "/environment/cpu_model/value",
    "/environment/power_mode/value",
    "/environment/build_profile",
    "/backend/device",
    "/backend/runtime",
];

fn alike(
    sources: &[Source],
    options: MergeOptions,
    warnings: &mut Vec<String>,
) -> Result<(), MergeError> {
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
        if first.shard.map(|s| s.count) != other.shard.map(|s| s.count) {
            let shown = |s: &Source| s.shard.map_or("none".to_owned(), |shard| shard.to_string());
            unlike.insert(
                0,
                format!(
                    "shard is {} in the first, {} in the second",
                    shown(first),
                    shown(other)
                ),
            );
        }
        if !unlike.is_empty() {
            return Err(MergeError::Unlike {
                first: first.shown(),
                second: other.shown(),
                differences: unlike,
            });
        }
        let what: Vec<String> = DEVICE
            .iter()
            .filter(|place| first.run.pointer(place) != other.run.pointer(place))
            .map(|place| {
                let shown = |s: &Source| {
                    s.run
                        .pointer(place)
                        .map_or("unknown".to_owned(), Value::to_string)
                };
                format!(
                    "{} in the first, {} in the second",
                    shown(first),
                    shown(other)
                )
            })
            .collect();
        if what.is_empty() {
            continue;
        }
        let error = MergeError::Device {
            first: first.shown(),
            second: other.shown(),
            what: what.join("; "),
        };
        if !options.anyway {
            return Err(error);
        }
        warnings.push(format!(
            "times are a mixture: {} and {} ran on different devices",
            first.shown(),
            other.shown()
        ));
    }
    Ok(())
}

fn complete(
    sources: &[Source],
    options: MergeOptions,
    warnings: &mut Vec<String>,
) -> Result<(), MergeError> {
    let mut missing = Vec::new();
    if let Some(Shard { count, .. }) = sources.first().and_then(|source| source.shard) {
        let mut there: BTreeMap<usize, &Source> = BTreeMap::new();
        for source in sources {
            let Some(shard) = source.shard else { continue };
            if let Some(first) = there.insert(shard.index, source) {
                return Err(MergeError::Twice {
                    what: format!("shard {shard}"),
                    first: first.shown(),
                    second: source.shown(),
                });
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
    for source in sources.iter().filter(|source| source.state() != "finished") {
        missing.push(format!(
            "{} is {}, not finished",
            source.shown(),
            source.state()
        ));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let why = missing.join("; ");
    if !options.partial {
        return Err(MergeError::Incomplete { why });
    }
    warnings.push(format!("joined in part: {why}"));
    Ok(())
}

fn distinct(sources: &[Source]) -> Result<(), MergeError> {
    let mut seen: HashMap<&ObjectKey, &Source> = HashMap::new();
    for source in sources {
        for row in &source.rows {
            if let Some(first) = seen.insert(&row.key, source) {
                return Err(MergeError::Twice {
                    what: row.key.to_string(),
                    first: first.shown(),
                    second: source.shown(),
                });
            }
        }
    }
    Ok(())
}

fn write(
    sources: &[Source],
    place: &Path,
    out: &Path,
    incomplete: bool,
) -> Result<Summary, MergeError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| StorageError::new(action, &path, source)
    };
    if place.exists() {
        fs::remove_dir_all(place).map_err(failed("remove", place))?;
    }
    for folder in [place.join("masks"), place.join("overlays")] {
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
    }
    for (number, source) in sources.iter().enumerate() {
        let own = match source.shard {
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
    let encode = |what, why: String| FolderError::Encode { what, why };
    let csv = render::csv(&summary_csv(&summary))
        .map_err(|error| encode("summary.csv", error.to_string()))?;
    atomic::write(&place.join("summary.csv"), &csv)?;
    for (what, value) in [
        ("summary.json", serde_json::to_value(&summary)),
        (
            "run.json",
            Ok(run_file(sources, out, rows.len(), incomplete)),
        ),
    ] {
        let text = value.and_then(|value| serde_json::to_vec_pretty(&value));
        let mut text = text.map_err(|error| encode(what, error.to_string()))?;
        text.push(b'\n');
        atomic::write(&place.join(what), &text)?;
    }
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
fn run_file(sources: &[Source], out: &Path, rows: usize, incomplete: bool) -> Value {
    let mut run = sources
        .first()
        .map_or(Value::Null, |first| first.run.clone());
    let text = |source: &Source, name: &str| source.run[name].as_str().map(str::to_owned);
    let parts: Vec<Value> = sources
        .iter()
        .map(|source| {
            json!({
                "folder": source.shown(),
                "shard": source.shard.map(|shard| shard.to_string()),
                "rows": source.rows.len(),
                "started": source.started,
                "finished": text(source, "finished"),
            })
        })
        .collect();
    run["telemetry"] = sensors(sources);
    if let Some(options) = run["options"].as_object_mut() {
        options.shift_remove("shard");
    }
    run["run"] = json!(out.file_name().unwrap_or_default().to_string_lossy());
    run["state"] = json!(if incomplete {
        "interrupted"
    } else {
        "finished"
    });
    run["started"] = json!(sources.iter().map(|source| source.started.clone()).min());
    run["finished"] = json!(
        sources
            .iter()
            .filter_map(|source| text(source, "finished"))
            .max()
    );
    run["rows"] = json!(rows);
    run["merged_from"] = Value::Array(parts);
    run
}

/// Why the parts' machines had no reading, for sensors that none of them had; `null` where telemetry
/// was off everywhere. Samples stay with the part that took them.
fn sensors(sources: &[Source]) -> Value {
    let parts = sources.iter().map(|source| &source.run["telemetry"]);
    let parts: Vec<&Value> = parts.filter(|part| part.is_object()).collect();
    let Some((first, others)) = parts.split_first() else {
        return Value::Null;
    };
    let mut missing = first["missing"].as_object().cloned().unwrap_or_default();
    missing.retain(|name, _| {
        others
            .iter()
            .all(|part| part["missing"].get(name).is_some())
    });
    let notes = parts.iter().filter_map(|part| part["notes"].as_array());
    let notes: BTreeSet<&str> = notes.flatten().filter_map(Value::as_str).collect();
    json!({ "missing": missing, "notes": notes })
}

/// Masks and overlays go together; what else a part holds is kept apart, in a folder of its own.
fn copy_part(part: &Path, place: &Path, own: &Path) -> Result<(), StorageError> {
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

fn list(folder: &Path) -> Result<Vec<PathBuf>, StorageError> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    read().map_err(|source| StorageError::new("read", folder, source))
}

/// Copies a file or a folder; a hard link where the file system makes one.
fn copy(from: &Path, to: &Path) -> Result<(), StorageError> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(|source| StorageError::new("create", to, source))?;
        for entry in list(from)? {
            if let Some(name) = entry.file_name() {
                copy(&entry, &to.join(name))?;
            }
        }
        return Ok(());
    }
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(|source| StorageError::new("create", parent, source))?;
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)
        .map(drop)
        .map_err(|source| StorageError::new("write", to, source))
}
