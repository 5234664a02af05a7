//! `--json`: one meaning in all commands that have it.

use crate::error::{Context, Result};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where JSON is written.
#[derive(Clone, Debug, Default, Args)]
pub struct JsonArg {
    /// Write JSON to this file; `-` (or no value) for standard output, which then holds nothing
    /// else.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl JsonArg {
    /// Opens the file; with `append` after what it holds.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn open(&self, append: bool) -> Result<JsonOutput> {
        let Some(path) = &self.json else {
            return Ok(JsonOutput::None);
        };
        if path == Path::new("-") {
            return Ok(JsonOutput::Stdout);
        }
        let file = File::options()
            .create(true)
            .write(true)
            .append(append)
            .truncate(!append)
            .open(path)
            .context(|| format!("cannot write {}", path.display()))?;
        Ok(JsonOutput::File(Mutex::new(file)))
    }
}

/// An open `--json`.
pub enum JsonOutput {
    /// Not asked for.
    None,
    /// Standard output.
    Stdout,
    /// A file.
    File(Mutex<File>),
}

impl JsonOutput {
    /// Whether standard output is the JSON's alone.
    pub fn takes_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Writes one event as a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&self, value: &impl Serialize) -> std::io::Result<()> {
        self.write(&(serde_json::to_string(value)? + "\n"))
    }

    /// Writes a whole document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn document(&self, value: &impl Serialize) -> std::io::Result<()> {
        self.write(&(serde_json::to_string_pretty(value)? + "\n"))
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Stdout => std::io::stdout().lock().write_all(text.as_bytes()),
            Self::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(text.as_bytes()),
        }
    }
}
