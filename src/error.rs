//! The classes of failure and the exit codes that stand for them.
//!
//! Every module has a typed error of its own whose text names the offending value and the fix;
//! each says through [`Classified`] which class it belongs to. Only the binary turns classes into
//! exit codes.

/// What kind of failure an error is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The command line asks for something that cannot be (exit code 2).
    Usage,
    /// The machine lacks something: a library, memory, disk space, permission (exit code 3).
    Environment,
    /// Files that were given are missing, damaged or do not fit together (exit code 4).
    Data,
    /// The run itself went on but some objects failed (exit code 1).
    Run,
}

impl ErrorClass {
    /// The process exit code of this class.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Run => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Data => 4,
        }
    }
}

/// An error that knows its class.
pub trait Classified: std::error::Error {
    /// The class of this very value.
    fn class(&self) -> ErrorClass;
}

/// The class of an I/O error: a full disk or a missing permission is the environment's, anything
/// else is about the data that was named.
pub fn io_class(error: &std::io::Error) -> ErrorClass {
    use std::io::ErrorKind::*;
    match error.kind() {
        StorageFull | QuotaExceeded | PermissionDenied | ReadOnlyFilesystem | OutOfMemory => {
            ErrorClass::Environment
        }
        _ => ErrorClass::Data,
    }
}
