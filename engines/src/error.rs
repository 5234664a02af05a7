//! The one error type of this crate.
//!
//! An [`Error`] has a class, which decides what a program does about it (its exit code), a message
//! of one sentence that names the value, the place and the fix, and what caused it. A
//! [`ErrorKind`] exists only where somebody has to tell one failure from another.

use std::fmt;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an error is; decides a program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The command line asks for something impossible (exit code 2).
    Usage,
    /// The machine lacks something: a library, a device, memory, permission (exit code 3).
    Environment,
    /// Given files are missing, damaged or inconsistent (exit code 4).
    Data,
    /// Some objects or bundles failed (exit code 1).
    Run,
    /// A condition that passes: a lock is held, the disk is full, a driver is not up yet (exit
    /// code 75, `EX_TEMPFAIL`).
    Passing,
}

impl ErrorClass {
    /// The process exit code of this class.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Run => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Data => 4,
            Self::Passing => 75,
        }
    }
}

/// Failures that callers tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Any other.
    #[default]
    Other,
    /// What an engine needs of memory has not been measured on any device yet.
    NotMeasured,
}

/// What went wrong.
#[derive(Debug)]
pub struct Error {
    class: ErrorClass,
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            kind: ErrorKind::Other,
            message: message.into(),
            source: None,
        }
    }

    /// [`ErrorClass::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Usage, message)
    }

    /// [`ErrorClass::Environment`].
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Environment, message)
    }

    /// [`ErrorClass::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Data, message)
    }

    /// [`ErrorClass::Run`].
    pub fn run(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Run, message)
    }

    /// The same error with a kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// An error whose text is that of `source`.
    fn wrapping(class: ErrorClass, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            class,
            kind: ErrorKind::Other,
            message: source.to_string(),
            source: Some(Box::new(source)),
        }
    }

    /// What a program does about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// Which failure it is, where that matters.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    /// The cause's own cause: the message is the cause's already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().and_then(|source| source.source())
    }
}

/// Errors of one module that are of one class.
macro_rules! of_class {
    ($($class:ident: $($ty:ty),+;)+) => {
        $($(impl From<$ty> for Error {
            fn from(error: $ty) -> Self {
                Self::wrapping(ErrorClass::$class, error)
            }
        })+)+
    };
}
of_class! {
    Environment: crate::memory::SlabError, crate::cuda::CudaError, crate::cuda::JpegError;
    Data: crate::bundle::BundleError;
    Environment: crate::engine::EngineError;
    Run: crate::memory::AccessError, crate::memory::ArenaError;
}

impl From<crate::tensorrt::Error> for Error {
    fn from(error: crate::tensorrt::Error) -> Self {
        let advice = crate::tensorrt::advice(&error);
        let mut wrapped = Self::wrapping(ErrorClass::Environment, error);
        wrapped.message += &advice;
        wrapped
    }
}
