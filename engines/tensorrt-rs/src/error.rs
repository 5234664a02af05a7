//! The crate's one error.

use std::fmt;

/// Why a call failed: a sentence, and a kind for callers that act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What callers tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No TensorRT library can be loaded, or only one that this build has no functions for.
    Library,
    /// There is no CUDA driver, no such device, or one that this TensorRT does not run on.
    Driver,
    /// The CUDA driver exists but does not start or has no device yet: it may be loading.
    NotReady,
    /// The ONNX parser refused the graph.
    Parse(Vec<ParserError>),
    /// The workspace limit is too small for some operation.
    Workspace {
        /// The bytes needed, where TensorRT reports them.
        needed_bytes: Option<u64>,
    },
    /// This TensorRT does not support the requested option.
    Option,
    /// [`BuildProgress::step`](crate::BuildProgress::step) ended the build.
    Cancelled,
    /// The plan is damaged, or of another TensorRT or device.
    Plan,
    /// Anything else; the message has TensorRT's log.
    Other,
}

/// One error of the ONNX parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserError {
    /// The node's name, or its index where it has none; empty for errors of the whole file.
    pub node: String,
    /// The node's operator.
    pub operator: String,
    /// What is wrong.
    pub message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn refused(what: &str, log: &str) -> Self {
        Self::new(ErrorKind::Other, format!("TensorRT gave no {what}: {log}"))
    }

    pub(crate) fn parse(graph: &str, errors: Vec<ParserError>) -> Self {
        let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let reasons = if reasons.is_empty() {
            "no reason was given".to_owned()
        } else {
            reasons.join("; ")
        };
        Self::new(
            ErrorKind::Parse(errors),
            format!("TensorRT's ONNX parser refuses {graph}: {reasons}"),
        )
    }

    /// What callers can act on.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for ParserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.node.is_empty() {
            write!(f, "node '{}' ({}): ", self.node, self.operator)?;
        }
        f.write_str(&self.message)
    }
}
