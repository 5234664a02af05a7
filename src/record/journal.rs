//! The journal: append-only, one JSON line per finished (video, object, model).
//!
//! Line 1 is `{"begin": …}` with the schema version and the options that must not change; each
//! resumption adds `{"resume": …}`; every row is `{"object": …}`; the outcome of a search for the
//! highest frame rate is `{"rate": …}`. Lines of one append go out in
//! one write and are synced before the call returns, so a killed run loses at most what it was
//! about to write. A line that was cut off is recognised by its missing line feed: a JSON object
//! has no proper prefix that is one.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{Options, differences, fingerprint};
use super::{JournalError, ModelRate, ObjectKey, ObjectRow, StorageError, utc_now};

/// Version of the journal's lines. It changes when an old line would be read wrongly.
pub const JOURNAL_SCHEMA: u64 = 1;

/// First line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begin {
    pub schema: u64,
    pub started: String,
    pub fingerprint: String,
    pub pinned: Options,
}

/// Line of a resumption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Resume {
    at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begin(Begin),
    Resume(Resume),
    Object(Box<ObjectRow>),
    Rate(ModelRate),
}

/// What a journal's text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Rows in the order they were finished.
    pub rows: Vec<ObjectRow>,
    /// Outcomes of searches for the highest frame rate, in order.
    pub rates: Vec<ModelRate>,
    /// When the run began (UTC); `None` when not even the first line is whole.
    pub started: Option<String>,
    /// When it was resumed (UTC), in order.
    pub resumed: Vec<String>,
    /// What was left out at the end, in one sentence, when the last line was cut off.
    pub warning: Option<String>,
    begin: Option<Begin>,
    /// Bytes up to the end of the last whole line.
    valid_bytes: usize,
    /// Whether that line still lacks its line feed.
    unfinished: bool,
}

/// Reads a journal that is not being written.
///
/// # Errors
/// [`JournalError`] for a file that cannot be read, is no journal, or is damaged before its last
/// line.
pub fn read_journal(path: &Path) -> Result<Recovered, JournalError> {
    recover(&read(path)?, path)
}

impl Recovered {
    /// Options that the run was begun with; `None` when not even the first line is whole.
    pub fn pinned(&self) -> Option<&Options> {
        self.begin.as_ref().map(|begin| &begin.pinned)
    }
}

/// Rows of one process, for a journal that is joined from several.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// When the process began (UTC).
    pub at: String,
    /// Its rows, in the order they were finished.
    pub rows: Vec<ObjectRow>,
}

/// Writes a whole journal of rows that stood in others: every part is a session of its own.
pub(super) fn write_joined(
    path: &Path,
    pinned: &Options,
    parts: &[Part],
) -> Result<(), JournalError> {
    let begin = Begin {
        schema: JOURNAL_SCHEMA,
        started: parts
            .first()
            .map(|part| part.at.clone())
            .unwrap_or_default(),
        fingerprint: fingerprint(pinned),
        pinned: pinned.clone(),
    };
    let mut text = encode("the first line", &Line::Begin(begin))?;
    for (session, part) in parts.iter().enumerate() {
        if session > 0 {
            let at = part.at.clone();
            text.extend(encode("a resumption", &Line::Resume(Resume { at }))?);
        }
        for row in &part.rows {
            let mut row = row.clone();
            row.session = session as u32;
            row.check()?;
            text.extend(encode(
                &row.key.to_string(),
                &Line::Object(Box::new(row.clone())),
            )?);
        }
    }
    Ok(super::atomic::write(path, &text)?)
}

/// The journal of a run in progress. One process at a time holds it.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes that are known to be whole lines.
    length: u64,
    /// Whether something may stand beyond `length` after a failed write.
    torn: bool,
    session: u32,
    keys: HashSet<ObjectKey>,
    pub started: String,
    pub resumed: Vec<String>,
}

impl Journal {
    /// Begins a journal where there is none (or one without a whole first line).
    pub fn begin(path: &Path, pinned: &Options) -> Result<Self, JournalError> {
        let mut journal = Self::open(path)?;
        journal.start(pinned)?;
        Ok(journal)
    }

    /// Continues a journal, or begins it where a crash came before its first line.
    pub fn resume(path: &Path, pinned: &Options) -> Result<(Self, Recovered), JournalError> {
        // The lock comes first: what is read afterwards stays as it is.
        let mut journal = Self::open(path)?;
        let recovered = recover(&read(path)?, path)?;
        let Some(begin) = &recovered.begin else {
            journal.start(pinned)?;
            return Ok((journal, recovered));
        };
        let differences = differences(&begin.pinned, pinned);
        if !differences.is_empty() {
            return Err(JournalError::OtherOptions {
                path: path.display().to_string(),
                differences,
            });
        }
        journal.length = recovered.valid_bytes as u64;
        journal.torn = true;
        journal.started = begin.started.clone();
        journal.resumed = recovered.resumed.clone();
        journal.session = recovered.resumed.len() as u32 + 1;
        journal.keys = recovered.rows.iter().map(|row| row.key.clone()).collect();
        let resume = Resume { at: utc_now() };
        journal.resumed.push(resume.at.clone());
        let mut text = encode("a resumption", &Line::Resume(resume))?;
        if recovered.unfinished {
            text.insert(0, b'\n');
        }
        journal.write(&text)?;
        Ok((journal, recovered))
    }

    /// Makes sure that no other process writes a journal.
    pub fn lock(path: &Path) -> Result<(), JournalError> {
        Self::open(path).map(drop)
    }

    /// Writes rows that belong together: all of them or none. They are on disk afterwards.
    pub fn append(&mut self, rows: &[ObjectRow]) -> Result<(), JournalError> {
        let mut text = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            row.check()?;
            let here = rows.iter().take(at).any(|other| other.key == row.key);
            if here || self.contains(&row.key) {
                return Err(JournalError::Duplicate {
                    key: row.key.to_string(),
                });
            }
            let mut row = row.clone();
            row.session = self.session;
            let key = row.key.to_string();
            text.extend(encode(&key, &Line::Object(Box::new(row)))?);
        }
        self.write(&text)?;
        self.keys.extend(rows.iter().map(|row| row.key.clone()));
        Ok(())
    }

    /// Writes what a search for the highest rate found. It is on disk afterwards.
    pub fn append_rate(&mut self, rate: &ModelRate) -> Result<(), JournalError> {
        let text = encode(&rate.model, &Line::Rate(rate.clone()))?;
        self.write(&text)
    }

    /// Times that the run had been resumed when this process began.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// Whether a row is there.
    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.keys.contains(key)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    fn open(path: &Path) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|source| StorageError::new("create", path, source))?;
        use rustix::fs::{FlockOperation, flock};
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(JournalError::Busy {
                    path: path.display().to_string(),
                });
            }
            // A file system without locks: the run goes on without the safeguard.
            Err(_) => {}
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            length: 0,
            torn: false,
            session: 0,
            keys: HashSet::new(),
            started: String::new(),
            resumed: Vec::new(),
        })
    }

    fn start(&mut self, pinned: &Options) -> Result<(), JournalError> {
        self.started = utc_now();
        let begin = Begin {
            schema: JOURNAL_SCHEMA,
            started: self.started.clone(),
            fingerprint: fingerprint(pinned),
            pinned: pinned.clone(),
        };
        let text = encode("the first line", &Line::Begin(begin))?;
        self.length = 0;
        self.torn = self.file.metadata().is_ok_and(|seen| seen.len() > 0);
        self.write(&text)
    }

    /// One write, synced. When it fails the file is cut back to its last whole line, now or, when
    /// even that fails, before the next write.
    fn write(&mut self, text: &[u8]) -> Result<(), JournalError> {
        let outcome = (|| {
            if self.torn {
                self.file.set_len(self.length)?;
                self.torn = false;
            }
            self.file.write_all(text)?;
            self.file.sync_data()
        })();
        match outcome {
            Ok(()) => {
                self.length += text.len() as u64;
                Ok(())
            }
            Err(source) => {
                self.torn = self.file.set_len(self.length).is_err();
                Err(StorageError::new("append to", &self.path, source).into())
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, JournalError> {
    std::fs::read(path).map_err(|source| JournalError::Read {
        path: path.display().to_string(),
        source,
    })
}

fn encode(key: &str, line: &Line) -> Result<Vec<u8>, JournalError> {
    let mut text = serde_json::to_vec(line).map_err(|source| JournalError::Encode {
        key: key.to_owned(),
        source,
    })?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a journal's text. Only the part after the last line feed may be incomplete.
fn recover(text: &[u8], path: &Path) -> Result<Recovered, JournalError> {
    let shown = || path.display().to_string();
    let mut found = Recovered::default();
    let mut keys: HashMap<ObjectKey, usize> = HashMap::new();
    for (at, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        let number = at + 1;
        let (body, whole) = match line.strip_suffix(b"\n") {
            Some(body) => (body, true),
            None => (line, false),
        };
        let parsed = match serde_json::from_slice::<Line>(body) {
            Ok(parsed) => parsed,
            Err(_) if !whole => {
                found.warning = Some(format!(
                    "{} line {number} was cut off after {} bytes and is left out; its object runs again",
                    shown(),
                    body.len()
                ));
                break;
            }
            Err(error) if number == 1 => {
                // A begin line of another version may have other fields: its number tells.
                return Err(match other_schema(body) {
                    Some(found) => schema_error(path, found),
                    None => JournalError::NotAJournal {
                        path: shown(),
                        why: format!("does not begin one ({error})"),
                    },
                });
            }
            Err(error) => return Err(damaged(path, number, error.to_string())),
        };
        match (number, parsed) {
            (1, Line::Begin(begin)) => {
                if begin.schema != JOURNAL_SCHEMA {
                    return Err(schema_error(path, begin.schema));
                }
                if begin.fingerprint != fingerprint(&begin.pinned) {
                    let why = "its options do not match their fingerprint".to_owned();
                    return Err(damaged(path, number, why));
                }
                found.started = Some(begin.started.clone());
                found.begin = Some(begin);
            }
            (1, _) => {
                return Err(JournalError::NotAJournal {
                    path: shown(),
                    why: "is not the beginning of one".to_owned(),
                });
            }
            (_, Line::Begin(_)) => {
                let why = "it begins a second run".to_owned();
                return Err(damaged(path, number, why));
            }
            (_, Line::Rate(rate)) => found.rates.push(rate),
            (_, Line::Resume(resume)) => found.resumed.push(resume.at),
            (_, Line::Object(row)) => {
                if let Err(error) = row.check() {
                    return Err(damaged(path, number, error.to_string()));
                }
                if let Some(first) = keys.insert(row.key.clone(), number) {
                    return Err(JournalError::Repeated {
                        path: shown(),
                        line: number,
                        first,
                        key: row.key.to_string(),
                    });
                }
                found.rows.push(*row);
            }
        }
        found.valid_bytes += line.len();
        found.unfinished = !whole;
    }
    Ok(found)
}

fn other_schema(body: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let schema = value.get("begin")?.get("schema")?.as_u64()?;
    (schema != JOURNAL_SCHEMA).then_some(schema)
}

fn schema_error(path: &Path, found: u64) -> JournalError {
    JournalError::Schema {
        path: path.display().to_string(),
        found,
        known: JOURNAL_SCHEMA,
    }
}

fn damaged(path: &Path, line: usize, why: String) -> JournalError {
    JournalError::Damaged {
        path: path.display().to_string(),
        line,
        why,
    }
}

#[cfg(test)]
mod tests;
