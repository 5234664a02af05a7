//! From an error to one sentence and an exit code.

use masklet::error::{Classified, ErrorClass, io_class};

/// The exit code of a run that a signal ended.
pub const INTERRUPTED: u8 = 130;

/// The class of the first error in the chain that has one.
pub fn class(error: &anyhow::Error) -> ErrorClass {
    macro_rules! first_of {
        ($cause:expr, $($ty:ty),* $(,)?) => {
            $(if let Some(error) = $cause.downcast_ref::<$ty>() { return error.class(); })*
        };
    }
    for cause in error.chain() {
        first_of!(
            cause,
            crate::cli::options::UsageError,
            masklet::pipeline::PipelineError,
            masklet::dataset::DatasetError,
            masklet::prompts::TagError,
            masklet::image::ImageError,
            masklet::metrics::error::ScoreError,
            masklet::results::FolderError,
            masklet::results::JournalError,
            masklet::results::StorageError,
            masklet::synth::SynthError,
        );
        if let Some(error) = cause.downcast_ref::<masklet_engines::bundle::BundleError>() {
            use masklet_engines::bundle::BundleError::Unreadable;
            return match error {
                Unreadable { source, .. } => io_class(source),
                _ => ErrorClass::Data,
            };
        }
        if cause.is::<masklet_engines::backend::BackendError>()
            || cause.is::<masklet_engines::memory::PlanError>()
        {
            return ErrorClass::Environment;
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return io_class(error);
        }
    }
    ErrorClass::Run
}

/// Whether the error is only that nobody reads our output any more (`masklet … | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
