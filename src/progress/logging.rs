//! Log events to standard error, as text or as one JSON object a line.

use std::io::Write;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::Progress;
use crate::error::{Classified, ErrorClass};

/// Form of log events (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line, progress included.
    Json,
}

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not one.
    #[error("{name}={value:?} is no log filter ({why}); use a level such as info or debug")]
    Filter {
        /// The environment variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The parser's error.
        why: String,
    },
    /// It was set up already.
    #[error("logging was set up twice in one process")]
    Twice,
}

impl Classified for LoggingError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is no log format; use text or json")),
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
/// [`LoggingError`]: a filter that is none, or a second call.
pub fn init_logging(format: LogFormat, progress: &Arc<Progress>) -> Result<(), LoggingError> {
    let filter = match std::env::var(VARIABLE) {
        Ok(value) if !value.is_empty() => {
            EnvFilter::try_new(&value).map_err(|error| LoggingError::Filter {
                name: VARIABLE,
                value: value.clone(),
                why: error.to_string(),
            })?
        }
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
    set.map_err(|_| LoggingError::Twice)
}

/// Standard error with the bars out of the way.
#[derive(Clone)]
struct PastBars(Arc<Progress>);

impl Write for PastBars {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| std::io::stderr().write(text))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for PastBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}
