//! Reads CSV files: the Python benchmark's in all their variants, and our own `summary.csv`.
//!
//! Columns are found by name, so that their order and further ones do not matter. Commas,
//! semicolons and tabs separate; a byte-order mark, Windows line ends, spaces around cells and
//! decimal commas (where the comma does not separate) are taken as they come. A cell that is
//! neither a number nor empty is refused by its line; a figure that is NaN makes a failed row.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::source::{Facts, Row, Source, SourceKind};
use super::{file_error, line_error};
use crate::error::{Context, Error, Result};
use crate::figures::catalogue::{Unit, compared, find};
use crate::figures::stats::nearest_rank;

/// Reads a file.
pub(super) fn read(path: &Path, label: String) -> Result<Source> {
    let bytes = std::fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    let text = decode(&bytes).map_err(|why| file_error(path, why))?;
    let table = Table::parse(path, text)?;
    let kind = table.kind()?;
    let mut rows = Vec::with_capacity(table.records.len());
    for (line, record) in &table.records {
        rows.push(table.row(*line, record, kind)?);
    }
    let mut notes = Vec::new();
    let mut rows = match kind {
        SourceKind::ProfileCsv => repeats(rows, &mut notes),
        _ => without_duplicates(&table, rows, &mut notes)?,
    };
    for row in &mut rows {
        row.judge();
    }
    rows.sort_by_key(Row::key);
    let mut facts = Facts {
        program: kind.is_upstream().then(|| "Python benchmark".to_owned()),
        device: table.one_of(&["platform", "hostname"])?,
        backends: rows.iter().filter_map(|row| row.backend.clone()).collect(),
        ..Facts::default()
    };
    facts.simulated = facts.backends.iter().any(|name| name.contains("simulated"));
    table.one_of(&["experiment_name"])?;
    Ok(Source {
        label,
        path: path.display().to_string(),
        kind,
        facts,
        notes,
        rows,
    })
}

fn decode(bytes: &[u8]) -> Result<&str, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16, as spreadsheets save \"Unicode text\"; save it as UTF-8".into());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        format!(
            "it is not UTF-8 text (byte {}); save it as UTF-8",
            error.valid_up_to()
        )
    })
}

struct Table<'a> {
    path: &'a Path,
    names: HashMap<String, usize>,
    header: Vec<String>,
    separator: u8,
    records: Vec<(u64, StringRecord)>,
}

impl<'a> Table<'a> {
    fn parse(path: &'a Path, text: &str) -> Result<Self> {
        let first = text.lines().find(|line| !line.trim().is_empty());
        let Some(first) = first else {
            return Err(file_error(path, "it is empty"));
        };
        let count = |separator: &u8| first.bytes().filter(|byte| byte == separator).count();
        let separator = *[b',', b';', b'\t']
            .iter()
            .max_by_key(|s| (count(s), **s == b','))
            .unwrap_or(&b',');
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .trim(Trim::All)
            .flexible(true)
            .from_reader(text.as_bytes());
        let bad = |error: csv::Error| file_error(path, format!("it is not a CSV file ({error})"));
        let header: Vec<String> = reader
            .headers()
            .map_err(bad)?
            .iter()
            .map(str::to_owned)
            .collect();
        let mut names = HashMap::new();
        for (at, name) in header.iter().enumerate() {
            if names.insert(name.to_lowercase(), at).is_some() {
                return Err(file_error(
                    path,
                    format!("it has two columns named {name:?}"),
                ));
            }
        }
        let mut records = Vec::new();
        for record in reader.records() {
            let record = record.map_err(bad)?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.iter().all(str::is_empty) {
                continue;
            }
            if record.len() != header.len() {
                return Err(line_error(
                    path,
                    line,
                    format!(
                        "{} cells where the header has {}; it was cut off, or a cell holds an \
                         unquoted separator",
                        record.len(),
                        header.len()
                    ),
                ));
            }
            records.push((line, record));
        }
        if records.is_empty() {
            return Err(file_error(path, "it has a header but no row"));
        }
        Ok(Self {
            path,
            names,
            header,
            separator,
            records,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains_key(&name.to_lowercase())
    }

    /// What wrote the file, by its columns.
    fn kind(&self) -> Result<SourceKind> {
        let missing: Vec<&str> = ["video", "object", "model"]
            .into_iter()
            .filter(|name| !self.has(name))
            .collect();
        let clock = self.has("fps") || self.has("latency_ms");
        if !missing.is_empty() || !clock {
            let mut missing = missing.join(", ");
            if !clock {
                missing.push_str(if missing.is_empty() { "fps" } else { ", fps" });
            }
            return Err(file_error(
                self.path,
                format!(
                    "it lacks the columns {missing}; its header is: {}",
                    self.header.join(" ")
                ),
            ));
        }
        Ok(if self.has("official_JF") && self.has("status") {
            SourceKind::SummaryCsv
        } else if self.has("cudnn_benchmark") {
            SourceKind::JetsonCsv
        } else if self.has("run") && !self.has("J") {
            SourceKind::ProfileCsv
        } else if self.has("F") {
            SourceKind::UpstreamCsv
        } else {
            SourceKind::OlderUpstreamCsv
        })
    }

    fn cell<'r>(&self, record: &'r StringRecord, name: &str) -> Option<&'r str> {
        let at = *self.names.get(&name.to_lowercase())?;
        record.get(at).filter(|cell| !cell.is_empty())
    }

    /// A number; `None` for an empty cell or none at all, `NaN` for what says so.
    fn number(&self, line: u64, record: &StringRecord, name: &str) -> Result<Option<f64>> {
        let Some(cell) = self.cell(record, name) else {
            return Ok(None);
        };
        if ["none", "null", "n/a", "-"].contains(&cell.to_lowercase().as_str()) {
            return Ok(None);
        }
        let plain = match self.separator {
            b',' => cell.to_owned(),
            _ => cell.replace(',', "."),
        };
        plain.parse().map(Some).map_err(|_| {
            line_error(
                self.path,
                line,
                format!("{name} is {cell:?}, which is not a number; fix or clear the cell"),
            )
        })
    }

    fn count(&self, line: u64, record: &StringRecord, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.number(line, record, name)? else {
            return Ok(None);
        };
        // Tables that went through pandas write 300.0.
        if value.is_nan() {
            return Ok(None);
        }
        if value < 0.0 || value.fract() != 0.0 || value > 1e12 {
            return Err(line_error(
                self.path,
                line,
                format!("{name} is {value}, which is not a count; fix or clear the cell"),
            ));
        }
        Ok(Some(value as usize))
    }

    fn row(&self, line: u64, record: &StringRecord, kind: SourceKind) -> Result<Row> {
        let identity = |name: &str| {
            let cell = self.cell(record, name).map(str::to_owned);
            cell.ok_or_else(|| {
                line_error(
                    self.path,
                    line,
                    format!("{name} is empty; a row is known by video, object and model"),
                )
            })
        };
        let number = |name: &str| self.number(line, record, name);
        let measured = |name: &str| Ok::<_, Error>(number(name)?.filter(|value| value.is_finite()));
        let count = |name: &str| self.count(line, record, name);
        let pair = |a: &str, b: &str| Ok::<_, Error>(count(a)?.zip(count(b)?).map(|(a, b)| [a, b]));
        let mut failed = match self.cell(record, "status") {
            Some("failed") => Some(
                self.cell(record, "reason")
                    .unwrap_or("no reason given")
                    .to_owned(),
            ),
            _ => None,
        };
        let clock = match (number("fps")?, number("latency_ms")?) {
            (Some(fps), _) => Some(fps),
            (None, Some(ms)) => Some(1000.0 / ms),
            (None, None) => None,
        };
        if failed.is_none() {
            failed = match clock {
                None => Some("it has no FPS".to_owned()),
                Some(fps) if !fps.is_finite() => Some(format!("its FPS is {fps}")),
                Some(_) => None,
            };
        }
        let (j, f) = (self.cell(record, "J"), self.cell(record, "F"));
        let mut figures = BTreeMap::new();
        for figure in compared() {
            let Some(column) = figure.column else {
                continue;
            };
            let value = match column.name {
                "fps" => clock.filter(|fps| fps.is_finite()),
                // Older runners scored J alone.
                "J" if !self.has("J") => measured("JandF_proxy")?,
                name => measured(name)?,
            };
            if let Some(value) = value {
                figures.insert(figure.name, value * column.times);
            }
        }
        // jetson_benchmark.py writes the frames of the whole video, whatever it processed.
        let frames = count("frames")?;
        let whole_video = kind == SourceKind::JetsonCsv;
        Ok(Row {
            video: identity("video")?,
            object: identity("object")?,
            model: identity("model")?,
            line: Some(line),
            backend: self.cell(record, "backend").map(str::to_owned),
            failed,
            image_size: count("imgsz")?,
            precision: self.cell(record, "precision").map(precision),
            frames: frames.filter(|_| !whole_video),
            video_frames: if whole_video {
                frames
            } else {
                count("video_frames")?
            },
            input_size: pair("input_H", "input_W")?,
            lockstep_objects: match kind.is_upstream() {
                true => Some(1),
                false => count("lockstep_objects")?,
            },
            frame_stride: match self.has("input_frame_stride") {
                true => count("input_frame_stride")?,
                false => Some(1),
            },
            random_init_seed: count("random_init_seed")?.map(|seed| seed as u64),
            j_equals_f: j.is_some() && j == f,
            figures,
        })
    }

    /// The one value that all rows have in these columns together; two are refused by their lines.
    fn one_of(&self, names: &[&str]) -> Result<Option<String>> {
        let mut found: Option<(u64, String)> = None;
        for (line, record) in &self.records {
            let cells: Vec<&str> = names.iter().filter_map(|n| self.cell(record, n)).collect();
            if cells.is_empty() {
                continue;
            }
            let value = cells.join(" ");
            match &found {
                None => found = Some((*line, value)),
                Some((first, known)) if *known != value => {
                    return Err(line_error(
                        self.path,
                        *line,
                        format!(
                            "{} is {value:?}, but {known:?} in line {first}; a run is one of them: \
                             split the file",
                            names.join(" and ")
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(found.map(|(_, value)| value))
    }
}

/// Precision in masklet's words.
fn precision(text: &str) -> String {
    match text.to_lowercase().as_str() {
        "bfloat16" | "bf16" => "bf16".to_owned(),
        "float16" | "fp16" | "half" => "fp16".to_owned(),
        "float32" | "fp32" => "fp32".to_owned(),
        other => other.to_owned(),
    }
}

/// One row per key. Two equal lines are one; two that differ are refused.
fn without_duplicates(
    table: &Table<'_>,
    rows: Vec<Row>,
    notes: &mut Vec<String>,
) -> Result<Vec<Row>> {
    let mut first: HashMap<crate::record::ObjectKey, usize> = HashMap::new();
    let mut kept = Vec::with_capacity(rows.len());
    let mut equal = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let line = row.line.unwrap_or(0);
        let Some(&before) = first.get(&row.key()) else {
            first.insert(row.key(), at);
            kept.push(row);
            continue;
        };
        let text = |at: usize| table.records.get(at).map(|(_, record)| record);
        if text(before) != text(at) {
            return Err(line_error(
                table.path,
                line,
                format!(
                    "{} is in line {} already, with other figures; keep one of the two",
                    row.key(),
                    table.records.get(before).map_or(0, |(line, _)| *line)
                ),
            ));
        }
        equal.push(line.to_string());
    }
    if !equal.is_empty() {
        notes.push(format!(
            "lines {} repeat earlier ones and count once",
            equal.join(", ")
        ));
    }
    Ok(kept)
}

/// Several runs of the same object become one row with the median of each figure.
fn repeats(rows: Vec<Row>, notes: &mut Vec<String>) -> Vec<Row> {
    let mut groups: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for mut row in rows {
        row.judge();
        groups.entry(row.key()).or_default().push(row);
    }
    let most = groups.values().map(Vec::len).max().unwrap_or(0);
    if most > 1 {
        notes.push(format!(
            "up to {most} runs of each object became one row: medians of FPS and set-up, maxima of memory"
        ));
    }
    groups.into_values().filter_map(merged).collect()
}

fn merged(runs: Vec<Row>) -> Option<Row> {
    let any_failed = runs.iter().find(|row| row.failed.is_some()).cloned();
    let good: Vec<&Row> = runs.iter().filter(|row| row.failed.is_none()).collect();
    let Some(mut row) = good.first().map(|row| (*row).clone()) else {
        return any_failed;
    };
    for (name, value) in &mut row.figures {
        let mut values: Vec<f64> = good
            .iter()
            .filter_map(|row| row.figures.get(name).copied())
            .collect();
        values.sort_by(f64::total_cmp);
        let merged = match find(name).map(|figure| figure.unit) {
            Some(Unit::Bytes) => values.last().copied(),
            _ => nearest_rank(&values, 50.0),
        };
        *value = merged.unwrap_or(*value);
    }
    Some(row)
}
