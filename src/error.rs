//! The error type of the crate: class, message, cause.
//!
//! The class decides the exit code; the message names the offending value and the fix. Causes are
//! wrapped by [`Context`]:
//!
//! ```ignore
//! use crate::error::{Context, Error, Result, WithClass};
//!
//! let text = fs::read(path).context(|| format!("cannot read {}", path.display()))?; // class by the I/O error
//! let spec = parse(&text).data(|| format!("{}: not a manifest", path.display()))?;
//! if objects == 0 {
//!     return Err(Error::usage(format!("--limit-objects {objects}: at least 1 is needed")));
//! }
//! track(&spec).context(|| format!("video {id}"))?; // class of the cause
//! ```

pub use masklet_engines::ErrorClass;

use rustix::io::Errno;
use std::fmt;
use std::io;

/// What callers react to beyond the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing that anybody matches.
    #[default]
    Other,
    /// A signal stopped the work; it can be resumed.
    Interrupted,
    /// The file or object that was asked for does not exist.
    NotFound,
}

/// A boxed cause.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any failure of the crate. Its text is complete: message, then the causes after colons.
#[derive(Debug)]
pub struct Error {
    class: ErrorClass,
    kind: ErrorKind,
    message: String,
    source: Option<Cause>,
}

impl Error {
    /// An error of the class, with a text that names the value and the fix.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            kind: ErrorKind::Other,
            message: message.into(),
            source: None,
        }
    }

    /// The command line asks for something impossible.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Usage, message)
    }

    /// The machine lacks something.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Environment, message)
    }

    /// Given files are missing, damaged or inconsistent.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Data, message)
    }

    /// A part of the run failed.
    pub fn run(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Run, message)
    }

    /// A condition that passes by itself: trying again helps.
    pub fn passing(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Passing, message)
    }

    /// A signal stopped the work.
    pub fn interrupted() -> Self {
        Self::run("interrupted").with_kind(ErrorKind::Interrupted)
    }

    /// The same error with a kind.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error with its cause; the class stays.
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The class.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether a signal stopped the work.
    pub fn is_interrupted(&self) -> bool {
        self.kind == ErrorKind::Interrupted
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) if self.message.is_empty() => source.fmt(out),
            // A message that quotes its cause is not followed by it a second time.
            Some(source) if !self.message.contains(&source.to_string()) => {
                write!(out, "{}: {source}", self.message)
            }
            _ => out.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error type other than [`Error`] that has a class, and becomes an [`Error`] by `?`.
pub trait Classified: std::error::Error {
    /// The class of this value.
    fn class(&self) -> ErrorClass;
}

impl<E: Classified + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error.class(), "").with_source(error)
    }
}

/// Wraps the error of a result; the text is made only when there is one.
pub trait Context<T> {
    /// Adds a message; the class is the cause's.
    ///
    /// # Errors
    /// The wrapped error.
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| {
            let error = error.into();
            Error::new(error.class, message())
                .with_kind(error.kind)
                .with_source(error)
        })
    }
}

/// Gives the error of a result a class and a message.
pub trait WithClass<T>: Sized {
    /// Adds class and message.
    ///
    /// # Errors
    /// The wrapped error.
    fn class<M: Into<String>>(self, class: ErrorClass, message: impl FnOnce() -> M) -> Result<T>;

    /// [`ErrorClass::Usage`] with a message.
    ///
    /// # Errors
    /// The wrapped error.
    fn usage<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.class(ErrorClass::Usage, message)
    }

    /// [`ErrorClass::Data`] with a message.
    ///
    /// # Errors
    /// The wrapped error.
    fn data<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.class(ErrorClass::Data, message)
    }

    /// [`ErrorClass::Environment`] with a message.
    ///
    /// # Errors
    /// The wrapped error.
    fn environment<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.class(ErrorClass::Environment, message)
    }

    /// [`ErrorClass::Passing`] with a message.
    ///
    /// # Errors
    /// The wrapped error.
    fn passing<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.class(ErrorClass::Passing, message)
    }
}

impl<T, E: Into<Cause>> WithClass<T> for std::result::Result<T, E> {
    fn class<M: Into<String>>(self, class: ErrorClass, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Error::new(class, message()).with_source(error))
    }
}

impl Classified for io::Error {
    fn class(&self) -> ErrorClass {
        io_class(self)
    }
}

impl Classified for masklet_engines::bundle::BundleError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unreadable { source, .. } => io_class(source),
            _ => ErrorClass::Data,
        }
    }
}

impl Classified for masklet_engines::engine::EngineError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::TensorRt(error) | Self::NoDevice { source: error } => error.class(),
            Self::Bundle(error) => error.class(),
            Self::Capability { .. } | Self::OtherOptions { .. } | Self::Ambiguous { .. } => {
                ErrorClass::Usage
            }
            Self::Locked { .. } => ErrorClass::Passing,
            Self::Interrupted { .. } => ErrorClass::Run,
            Self::NetworkDiffers { .. }
            | Self::Truncated { .. }
            | Self::Damaged { .. }
            | Self::Sidecar { .. } => ErrorClass::Data,
            // The engines folder is ours: what is wrong with it is not given data.
            Self::Io { source, .. } => match io_class(source) {
                ErrorClass::Data => ErrorClass::Environment,
                class => class,
            },
            Self::NoFolder { .. }
            | Self::OtherFormat { .. }
            | Self::NotBuilt { .. }
            | Self::OtherVersion { .. }
            | Self::OtherDevice { .. } => ErrorClass::Environment,
        }
    }
}

impl Classified for masklet_engines::tensorrt::Error {
    fn class(&self) -> ErrorClass {
        use masklet_engines::tensorrt::ErrorKind::{NotReady, Option, Parse, Workspace};
        match self.kind() {
            NotReady => ErrorClass::Passing,
            Option | Workspace { .. } => ErrorClass::Usage,
            Parse(_) => ErrorClass::Data,
            _ => ErrorClass::Environment,
        }
    }
}

impl Classified for masklet_engines::Error {
    fn class(&self) -> ErrorClass {
        self.class()
    }
}

impl Classified for masklet_engines::memory::ArenaError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Environment
    }
}

impl Classified for crate::track::TrackError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Environment
    }
}

impl Classified for masklet_engines::memory::PlanError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Environment
    }
}

/// The class of an I/O error: a full disk passes, a missing permission or memory is the
/// environment's, anything else is about the data that was named.
pub fn io_class(error: &io::Error) -> ErrorClass {
    use io::ErrorKind::*;
    match error.kind() {
        StorageFull
        | QuotaExceeded
        | TimedOut
        | NotConnected
        | StaleNetworkFileHandle
        | NetworkDown
        | HostUnreachable => ErrorClass::Passing,
        PermissionDenied | ReadOnlyFilesystem | OutOfMemory => ErrorClass::Environment,
        // A failing disk, a file system without locks, or too many open files is not damage to the
        // data.
        _ if [Errno::IO, Errno::NOLCK, Errno::MFILE, Errno::NFILE]
            .iter()
            .any(|code| error.raw_os_error() == Some(code.raw_os_error())) =>
        {
            ErrorClass::Environment
        }
        _ => ErrorClass::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_text_survive_wrapping() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let error = Err::<(), _>(full())
            .context(|| "cannot write a.csv")
            .context(|| "model edgetam")
            .unwrap_err();
        assert_eq!(error.class().exit_code(), 75);
        let text = error.to_string();
        assert_eq!(
            text,
            format!("model edgetam: cannot write a.csv: {}", full())
        );
        let quoted = Err::<(), _>(full()).data(|| format!("cannot read a: {}; fix", full()));
        let quoted = quoted.unwrap_err();
        assert_eq!(quoted.to_string().matches(&full().to_string()).count(), 1);
        assert_eq!(quoted.class(), ErrorClass::Data);
        let stopped = Err::<(), _>(Error::interrupted()).context(|| "video a");
        assert!(stopped.unwrap_err().is_interrupted());
    }
}
