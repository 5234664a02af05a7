//! Reading what the PyTorch process left behind, whole or not.
//!
//! One JSON object a line: `hello`, `state`, `object`, `done`. A line that is none of these is said
//! by its number and left out; the last line of a killed process may be cut.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::BaselineError;
use crate::record::{ObjectKey, ObjectRow};

/// Its file name in the baseline's folder.
pub const FILE: &str = "pytorch.jsonl";

/// A sign of life: what the process was at, and its memory then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct State {
    /// When (UTC).
    pub at: String,
    /// Model tag.
    pub model: String,
    /// Video.
    pub video: String,
    /// Objects in progress.
    pub objects: Vec<String>,
    /// Number of the first of them, counted from 1.
    pub index: usize,
    /// Objects of the job.
    pub total: usize,
    /// Frame index.
    pub frame: usize,
    /// Resident set in bytes.
    pub rss_bytes: Option<u64>,
    /// Allocated by PyTorch's allocator, in bytes; `None` on the CPU.
    pub allocated_bytes: Option<u64>,
    /// Reserved by PyTorch's allocator, in bytes; `None` on the CPU.
    pub reserved_bytes: Option<u64>,
    /// Free by the driver's word, in bytes; `None` on the CPU.
    pub driver_free_bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Hello(Value),
    State(State),
    Object(Box<ObjectRow>),
    Done(serde::de::IgnoredAny),
}

/// What could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PyTorchRecord {
    /// Versions, device and settings, as the process said them.
    pub hello: Option<Value>,
    /// Rows, without scores, in the order they were finished.
    pub rows: Vec<ObjectRow>,
    /// The last sign of life.
    pub state: Option<State>,
    /// Whether it said that it was through.
    pub done: bool,
    /// What was left out, one sentence each.
    pub rejected: Vec<String>,
}

impl PyTorchRecord {
    /// Objects that were in progress at the last sign of life and have no row.
    pub fn in_progress(&self) -> Vec<ObjectKey> {
        let Some(state) = self.state.as_ref().filter(|_| !self.done) else {
            return Vec::new();
        };
        let key = |object: &String| ObjectKey {
            video: state.video.clone(),
            object: object.clone(),
            model: state.model.clone(),
        };
        let keys = state.objects.iter().map(key);
        keys.filter(|key| self.rows.iter().all(|row| row.key != *key))
            .collect()
    }
}

/// Reads the record from byte `offset` on. Rows that nobody `wants` and repeated rows are left out.
///
/// # Errors
/// [`BaselineError::File`] when there is a file that cannot be read. No file is an empty record.
pub fn read_record(
    path: &Path,
    offset: usize,
    wants: &dyn Fn(&ObjectKey) -> bool,
) -> Result<PyTorchRecord, BaselineError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(source) => {
            return Err(BaselineError::File {
                action: "read",
                path: path.to_owned(),
                source,
            });
        }
    };
    Ok(parse(text.get(offset..).unwrap_or_default(), wants))
}

/// Reads a record's text.
pub fn parse(text: &[u8], wants: &dyn Fn(&ObjectKey) -> bool) -> PyTorchRecord {
    let mut found = PyTorchRecord::default();
    let mut seen = HashSet::new();
    for (at, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        let number = at + 1;
        let (body, whole) = match line.strip_suffix(b"\n") {
            Some(body) => (body, true),
            None => (line, false),
        };
        if body.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<Line>(body) {
            Ok(Line::Hello(value)) => found.hello = Some(value),
            Ok(Line::State(state)) => found.state = Some(state),
            Ok(Line::Done(_)) => found.done = true,
            Ok(Line::Object(row)) => {
                let refused = match row.check() {
                    Err(error) => Some(error.to_string()),
                    Ok(()) if !wants(&row.key) => Some(format!("{} was not asked for", row.key)),
                    Ok(()) if !seen.insert(row.key.clone()) => {
                        Some(format!("{} is there already", row.key))
                    }
                    Ok(()) => None,
                };
                match refused {
                    Some(why) => found.rejected.push(format!("line {number}: {why}")),
                    None => found.rows.push(*row),
                }
            }
            Err(_) if !whole => found.rejected.push(format!(
                "line {number} was cut off after {} bytes",
                body.len()
            )),
            Err(error) => found
                .rejected
                .push(format!("line {number} is not a record's ({error})")),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples;

    fn line(row: &ObjectRow) -> String {
        serde_json::json!({ "object": row }).to_string() + "\n"
    }

    #[test]
    fn whatever_a_process_leaves_its_whole_rows_are_found() {
        let rows = ["1", "2", "3"].map(|object| samples::row("v", object, "m_points"));
        let mut text = String::from("{\"hello\":{\"torch\":\"x\"}}\nWARNING: not ours\n\n");
        text += &line(&rows[0]);
        text += "{\"state\":{\"model\":\"m_points\",\"video\":\"v\",\"objects\":[\"2\"],\"index\":2,\
                 \"total\":3,\"reserved_bytes\":7}}\n";
        text += &line(&rows[0]);
        text += &line(&samples::row("other", "1", "m_points"));
        let mut no_number = serde_json::json!({ "object": &rows[1] });
        no_number["object"]["timing"]["setup_ms"] = (-1.0).into();
        text += &(no_number.to_string() + "\n");
        text += &line(&rows[1])[..40];
        let found = parse(text.as_bytes(), &|key| key.video == "v");
        assert_eq!(found.rows, [rows[0].clone()]);
        assert_eq!(found.hello.as_ref().unwrap()["torch"], "x");
        assert!(!found.done);
        let said = found.rejected.join("; ");
        for part in [
            "line 2 is not a record's",
            "is there already",
            "was not asked for",
            "setup_ms is -1",
            "line 9 was cut off after 40 bytes",
        ] {
            assert!(said.contains(part), "no '{part}' in {said}");
        }
        let key = |object: &str| samples::row("v", object, "m_points").key;
        assert_eq!(found.in_progress(), [key("2")]);
        assert_eq!(found.state.unwrap().reserved_bytes, Some(7));
    }

    #[test]
    fn no_cut_of_a_record_loses_or_invents_a_row() {
        let rows = ["1", "2"].map(|object| samples::row("v", object, "m_points"));
        let text = line(&rows[0]) + &line(&rows[1]);
        let first = line(&rows[0]).len();
        for end in (0..text.len())
            .step_by(7)
            .chain([first - 1, first, first + 1])
        {
            let found = parse(&text.as_bytes()[..end], &|_| true);
            // A row whose line feed alone is missing is whole.
            let whole = usize::from(end + 1 >= first) + usize::from(end + 1 >= text.len());
            assert_eq!(found.rows.len(), whole, "{end}");
            assert!(found.rejected.len() <= 1);
        }
    }
}
