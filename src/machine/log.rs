//! The raw series as a CSV file in the run folder: one line per sample, empty cells where nothing
//! was read.
//!
//! `unix_s` is the wall clock (UTC), `t_s` the clock of the journal's `from_s` and `to_s`; then the
//! columns that `run.json` describes. `throttle` holds names joined by `+`.

use super::Telemetry;
use super::throttle;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The file of a recording in progress.
#[derive(Debug)]
pub struct TelemetryLog {
    telemetry: Arc<Telemetry>,
    file: File,
    /// Number of the first sample that is not in the file.
    next: u64,
    /// Wall clock at second 0.
    origin_unix_s: f64,
    text: String,
}

impl TelemetryLog {
    /// Begins the file with its header.
    ///
    /// # Errors
    /// The system's own.
    pub fn create(path: &Path, telemetry: Arc<Telemetry>) -> std::io::Result<Self> {
        let mut text = String::from("unix_s,t_s");
        for column in telemetry.columns().iter() {
            text.push(',');
            text.push_str(&column.name);
        }
        text.push('\n');
        let mut file = crate::files::create(path)?;
        file.write_all(text.as_bytes())?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        let origin_unix_s =
            unix.map_or(0.0, |t| t.as_secs_f64()) - telemetry.seconds(Instant::now());
        Ok(Self {
            telemetry,
            file,
            next: 0,
            origin_unix_s,
            text,
        })
    }

    /// Writes every sample that has been taken since the last call.
    ///
    /// # Errors
    /// The system's own.
    pub fn write(&mut self) -> std::io::Result<()> {
        let samples = self.telemetry.samples_since(self.next);
        self.next += samples.lost + samples.len() as u64;
        self.text.clear();
        for (index, at_s) in samples.times_s.iter().enumerate() {
            let unix_s = self.origin_unix_s + at_s;
            // Writing to a String does not fail.
            let _ = write!(self.text, "{unix_s:.3},{at_s:.3}");
            let Some((bits, values)) = samples.row(index).split_last() else {
                continue;
            };
            for value in values {
                self.text.push(',');
                if value.is_finite() {
                    let rounded = (value * 1e4).round() / 1e4;
                    let _ = write!(self.text, "{rounded}");
                }
            }
            let _ = writeln!(self.text, ",{}", throttle::names(*bits as u8));
        }
        self.file.write_all(self.text.as_bytes())
    }

    /// The recording.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}
