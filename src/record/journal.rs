//! The journal: append-only, one JSON line per finished (video, object, model).
//!
//! Line 1 is `{"begin": …}` with the schema version and the options that must not change; each
//! resumption adds `{"resume": …}`; every row is `{"object": …}`; `{"withdraw": …}` takes an earlier
//! row back whose files are gone, or which is to run again; the outcome of a search for the highest
//! frame rate is `{"rate": …}`. Lines of one append go out in one write and are synced before the
//! call returns, so a killed run loses at most what it was about to write. A line that was cut off
//! is recognised by its missing line feed: a JSON object has no proper prefix that is one.
//!
//! Every line ends with a checksum, `"sum": …`: 64 bits of SHA-256 over the line before it and the
//! first line's own checksum, so that neither a changed row nor one of another run is accepted.
//! Schema 1 had no checksums; its journals are still read and continued.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{Options, differences, fingerprint};
use super::{ModelRate, ObjectKey, ObjectRow, storage, utc_now};
use crate::error::{Error, Result, WithClass, io_class};
use sha2::{Digest, Sha256};

/// Version of the journal's lines. It changes when an old line would be read wrongly.
pub const JOURNAL_SCHEMA: u64 = 2;
/// The version without checksums.
const UNSEALED_SCHEMA: u64 = 1;
/// What stands between a line's contents and its checksum.
const SUM: &[u8] = b",\"sum\":\"";
/// Hexadecimal digits of a checksum.
const SUM_DIGITS: usize = 16;

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

/// Line that takes an earlier row back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Withdraw {
    #[serde(flatten)]
    key: ObjectKey,
    why: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begin(Begin),
    Resume(Resume),
    Withdraw(Withdraw),
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
    /// Checksum of the first line; `None` where lines have none.
    seal: Option<String>,
    /// Bytes up to the end of the last whole line.
    valid_bytes: usize,
    /// Whether that line still lacks its line feed.
    unfinished: bool,
}

/// Reads a journal that is not being written.
///
/// # Errors
/// A file that cannot be read, is not a journal, or is damaged before its last line.
pub fn read_journal(path: &Path) -> Result<Recovered> {
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
pub(super) fn write_joined(path: &Path, pinned: &Options, parts: &[Part]) -> Result<()> {
    let begin = Begin {
        schema: JOURNAL_SCHEMA,
        started: parts
            .first()
            .map(|part| part.at.clone())
            .unwrap_or_default(),
        fingerprint: fingerprint(pinned),
        pinned: pinned.clone(),
    };
    let (mut text, seal) = first_line(begin)?;
    let seal = Some(seal.as_str());
    for (session, part) in parts.iter().enumerate() {
        if session > 0 {
            let at = part.at.clone();
            text.extend(encode(seal, "a resumption", &Line::Resume(Resume { at }))?);
        }
        for row in &part.rows {
            let mut row = row.clone();
            row.session = session as u32;
            row.check()?;
            let key = row.key.to_string();
            text.extend(encode(seal, &key, &Line::Object(Box::new(row)))?);
        }
    }
    super::atomic::write(path, &text)
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
    seal: Option<String>,
    session: u32,
    keys: HashSet<ObjectKey>,
    pub started: String,
    pub resumed: Vec<String>,
}

impl Journal {
    /// Begins a journal where there is none (or one without a whole first line).
    pub fn begin(path: &Path, pinned: &Options) -> Result<Self> {
        let mut journal = Self::open(path)?;
        journal.start(pinned)?;
        Ok(journal)
    }

    /// Continues a journal, or begins it where a crash came before its first line.
    pub fn resume(path: &Path, pinned: &Options) -> Result<(Self, Recovered)> {
        // The lock comes first: what is read afterwards stays as it is.
        let mut journal = Self::open(path)?;
        let recovered = recover(&read(path)?, path)?;
        let Some(begin) = &recovered.begin else {
            journal.start(pinned)?;
            return Ok((journal, recovered));
        };
        let differences = differences(&begin.pinned, pinned);
        if !differences.is_empty() {
            return Err(Error::usage(format!(
                "{} was started with different options: {}; resume with the same options, or start \
                 over with --force",
                path.display(),
                differences.join(", ")
            )));
        }
        journal.seal.clone_from(&recovered.seal);
        journal.length = recovered.valid_bytes as u64;
        journal.torn = true;
        journal.started = begin.started.clone();
        journal.resumed = recovered.resumed.clone();
        journal.session = recovered.resumed.len() as u32 + 1;
        journal.keys = recovered.rows.iter().map(|row| row.key.clone()).collect();
        let resume = Resume { at: utc_now() };
        journal.resumed.push(resume.at.clone());
        let line = Line::Resume(resume);
        let mut text = encode(journal.seal.as_deref(), "a resumption", &line)?;
        if recovered.unfinished {
            text.insert(0, b'\n');
        }
        journal.write(&text)?;
        Ok((journal, recovered))
    }

    /// Writes rows that belong together: all of them or none. They are on disk afterwards.
    pub fn append(&mut self, rows: &[ObjectRow]) -> Result<()> {
        let mut text = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            row.check()?;
            let here = rows.iter().take(at).any(|other| other.key == row.key);
            if here || self.contains(&row.key) {
                return Err(Error::run(format!(
                    "{} is already in the journal; a row is written once",
                    row.key
                )));
            }
            let mut row = row.clone();
            row.session = self.session;
            let key = row.key.to_string();
            let line = Line::Object(Box::new(row));
            text.extend(encode(self.seal.as_deref(), &key, &line)?);
        }
        self.write(&text)?;
        self.keys.extend(rows.iter().map(|row| row.key.clone()));
        Ok(())
    }

    /// Takes rows back, each for its reason: their objects run again.
    pub fn withdraw(&mut self, rows: Vec<(ObjectKey, String)>) -> Result<()> {
        let mut text = Vec::new();
        for (key, why) in rows {
            self.keys.remove(&key);
            let shown = key.to_string();
            let line = Line::Withdraw(Withdraw { key, why });
            text.extend(encode(self.seal.as_deref(), &shown, &line)?);
        }
        if text.is_empty() {
            return Ok(());
        }
        self.write(&text)
    }

    /// Writes what a search for the highest rate found. It is on disk afterwards.
    pub fn append_rate(&mut self, rate: &ModelRate) -> Result<()> {
        let text = encode(self.seal.as_deref(), &rate.model, &Line::Rate(rate.clone()))?;
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

    /// Fails when the path no longer names the file that this journal writes: rows would be lost
    /// without a trace.
    ///
    /// # Errors
    /// The file was removed or replaced.
    pub fn check_place(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let (own, there) = (self.file.metadata(), std::fs::metadata(&self.path));
        let same = |own: &std::fs::Metadata, there: &std::fs::Metadata| {
            (own.dev(), own.ino()) == (there.dev(), there.ino())
        };
        if matches!((&own, &there), (Ok(own), Ok(there)) if same(own, there)) {
            return Ok(());
        }
        Err(Error::environment(format!(
            "{} was removed or replaced while this run was writing it, and rows of this run are \
             lost; keep other programs (a sync tool, a second run) out of the run folder, then \
             continue with --resume or start over with --force",
            self.path.display()
        )))
    }

    fn open(path: &Path) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)
            .map_err(|source| storage("create", path, source))?;
        super::folder::lock(&file, path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: 0,
            torn: false,
            seal: None,
            session: 0,
            keys: HashSet::new(),
            started: String::new(),
            resumed: Vec::new(),
        })
    }

    fn start(&mut self, pinned: &Options) -> Result<()> {
        self.started = utc_now();
        let begin = Begin {
            schema: JOURNAL_SCHEMA,
            started: self.started.clone(),
            fingerprint: fingerprint(pinned),
            pinned: pinned.clone(),
        };
        let (text, seal) = first_line(begin)?;
        self.seal = Some(seal);
        self.length = 0;
        self.torn = self.file.metadata().is_ok_and(|seen| seen.len() > 0);
        self.write(&text)
    }

    /// One write, synced. When it fails the file is cut back to its last whole line, now or, when
    /// even that fails, before the next write.
    fn write(&mut self, text: &[u8]) -> Result<()> {
        self.check_place()?;
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
                Err(storage("append to", &self.path, source))
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| {
        let text = format!(
            "cannot read {}: {source}; check the path and its permissions",
            path.display()
        );
        Error::new(io_class(&source), text).with_source(source)
    })
}

/// The first line, and its checksum, which the others are made with.
fn first_line(begin: Begin) -> Result<(Vec<u8>, String)> {
    let text = encode(Some(""), "the first line", &Line::Begin(begin))?;
    let (_, seal) = unseal(text.trim_ascii_end());
    let seal = seal.unwrap_or_default().to_owned();
    Ok((text, seal))
}

/// A line with its checksum and its line feed; `None` for a journal without checksums.
fn encode(seal: Option<&str>, key: &str, line: &Line) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line).class(crate::error::ErrorClass::Run, || {
        format!("{key}: failed to serialize")
    })?;
    if let Some(seal) = seal {
        text.pop();
        let sum = checksum(seal, &text);
        text.extend(SUM);
        text.extend(sum.as_bytes());
        text.extend(b"\"}");
    }
    text.push(b'\n');
    Ok(text)
}

/// 64 bits of SHA-256 in hexadecimal.
fn checksum(seal: &str, text: &[u8]) -> String {
    let hash = Sha256::new().chain_update(seal).chain_update(text);
    let bytes = hash.finalize();
    bytes
        .iter()
        .take(SUM_DIGITS / 2)
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Parts a line from its checksum: the text that was summed, and the sum. A line without one is
/// given back whole.
fn unseal(line: &[u8]) -> (&[u8], Option<&str>) {
    let parted = || {
        let (text, sum) = line
            .strip_suffix(b"\"}")?
            .split_last_chunk::<SUM_DIGITS>()?;
        let text = text.strip_suffix(SUM)?;
        Some((text, std::str::from_utf8(sum).ok()?))
    };
    match parted() {
        Some((text, sum)) => (text, Some(sum)),
        None => (line, None),
    }
}

/// Reads a journal's text. Only the part after the last line feed may be incomplete.
fn recover(text: &[u8], path: &Path) -> Result<Recovered> {
    let shown = || path.display().to_string();
    let mut found = Recovered::default();
    let mut keys: HashMap<ObjectKey, usize> = HashMap::new();
    for (at, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        let number = at + 1;
        let (body, whole) = match line.strip_suffix(b"\n") {
            Some(body) => (body, true),
            None => (line, false),
        };
        let (summed, sum) = unseal(body);
        let plain = match sum {
            Some(_) => Cow::Owned([summed, b"}"].concat()),
            None => Cow::Borrowed(body),
        };
        let parsed = match serde_json::from_slice::<Line>(&plain) {
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
                // A first line of another version may have other fields: its number decides.
                return Err(match other_schema(body) {
                    Some(found) => schema_error(path, found),
                    None => not_a_journal(path, &format!("is not the start of one ({error})")),
                });
            }
            Err(error) => return Err(damaged(path, number, error.to_string())),
        };
        match (number, parsed) {
            (1, Line::Begin(begin)) => {
                if ![UNSEALED_SCHEMA, JOURNAL_SCHEMA].contains(&begin.schema) {
                    return Err(schema_error(path, begin.schema));
                }
                if begin.fingerprint != fingerprint(&begin.pinned) {
                    let why = "its options do not match their fingerprint".to_owned();
                    return Err(damaged(path, number, why));
                }
                if begin.schema == JOURNAL_SCHEMA {
                    found.seal = Some(sum.unwrap_or_default().to_owned());
                }
                found.started = Some(begin.started.clone());
                found.begin = Some(begin);
            }
            (1, _) => {
                return Err(not_a_journal(path, "is not the start of one"));
            }
            (_, Line::Begin(_)) => {
                let why = "it begins a second run".to_owned();
                return Err(damaged(path, number, why));
            }
            (_, Line::Withdraw(Withdraw { key, .. })) => {
                if keys.remove(&key).is_none() {
                    let why = format!("it withdraws {key}, which no earlier line has");
                    return Err(damaged(path, number, why));
                }
                found.rows.retain(|row| row.key != key);
            }
            (_, Line::Rate(rate)) => found.rates.push(rate),
            (_, Line::Resume(resume)) => found.resumed.push(resume.at),
            (_, Line::Object(row)) => {
                if let Err(error) = row.check() {
                    return Err(damaged(path, number, error.to_string()));
                }
                if let Some(first) = keys.insert(row.key.clone(), number) {
                    return Err(Error::data(format!(
                        "{} line {number} repeats {} of line {first}; remove one of the two lines, \
                         or start over with --force",
                        shown(),
                        row.key
                    )));
                }
                found.rows.push(*row);
            }
        }
        let expected = match (&found.seal, number) {
            (None, _) => None,
            (Some(_), 1) => Some(checksum("", summed)),
            (Some(seal), _) => Some(checksum(seal, summed)),
        };
        if expected.as_deref() != sum {
            let why = match sum {
                None => "it has no checksum, as every line of this journal must",
                Some(_) => "its checksum does not match: it was changed, or belongs to another run",
            };
            return Err(damaged(path, number, why.to_owned()));
        }
        found.valid_bytes += line.len();
        found.unfinished = !whole;
    }
    Ok(found)
}

fn other_schema(body: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let schema = value.get("begin")?.get("schema")?.as_u64()?;
    (![UNSEALED_SCHEMA, JOURNAL_SCHEMA].contains(&schema)).then_some(schema)
}

fn schema_error(path: &Path, found: u64) -> Error {
    Error::data(format!(
        "{} has journal schema {found}, this program writes {JOURNAL_SCHEMA}; resume it with the \
         program that started it, or start over with --force",
        path.display()
    ))
}

fn not_a_journal(path: &Path, why: &str) -> Error {
    Error::data(format!(
        "{} is not a journal of masklet: line 1 {why}; choose another run folder",
        path.display()
    ))
}

fn damaged(path: &Path, line: usize, why: String) -> Error {
    Error::data(format!(
        "{} line {line} is damaged ({why}); nothing was changed: remove that line to have its \
         object run again, or start over with --force",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
