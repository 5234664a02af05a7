//! Log events to standard error, as text or as one JSON object a line.

use std::io::Write;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::Progress;
use crate::error::{Error, Result, WithClass};

/// Form of log events (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line, progress included.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is not a log format; use text or json")),
        }
    }
}

/// Name of the variable that sets the log filter.
const VARIABLE: &str = "MASKLET_LOG";

/// Sends log events to standard error, past the bars of `progress`. Warnings and errors are
/// shown, progress too where it is made of events; `MASKLET_LOG` (`info`, `debug`,
/// `masklet=trace`) shows more.
///
/// # Errors
/// A filter that is not one, or a second call.
pub fn init_logging(format: LogFormat, progress: &Arc<Progress>) -> Result<()> {
    let filter = match std::env::var(VARIABLE) {
        Ok(value) if !value.is_empty() => EnvFilter::try_new(&value).map_err(|error| {
            Error::usage(format!(
                "{VARIABLE}={value:?} is not a log filter ({error}); use a level such as info or \
                 debug"
            ))
        })?,
        _ => EnvFilter::new("warn,masklet::progress=info"),
    };
    let writer = PastBars(Arc::clone(progress));
    let set = match format {
        LogFormat::Text => {
            let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::io::IsTerminal::is_terminal(&std::io::stderr());
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(writer)
                .with_ansi(colour)
                .with_target(false)
                .without_time()
                .finish();
            tracing::subscriber::set_global_default(subscriber)
        }
        LogFormat::Json => {
            let subscriber = tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_env_filter(filter)
                .with_writer(writer)
                .finish();
            tracing::subscriber::set_global_default(subscriber)
        }
    };
    set.usage(|| "logging was set up twice in one process")
}

/// Standard error with the bars out of the way.
#[derive(Clone)]
struct PastBars(Arc<Progress>);

impl Write for PastBars {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        // A standard error that takes no more changes nothing but what is seen: the subscriber
        // would complain of it on standard error, and panic.
        let _ = self.0.suspend(|| std::io::stderr().write_all(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for PastBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}
