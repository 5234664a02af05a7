//! From an error to one sentence and an exit code.

use crate::error::{Classified, ErrorClass, io_class};

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
            crate::cli::engines::VerifyError,
            crate::reference::baseline::BaselineError,
            crate::clip::PipelineError,
            crate::dataset::DatasetError,
            crate::dataset::prompts::TagError,
            crate::dataset::prompts::GivenError,
            crate::media::image::ImageError,
            crate::metrics::error::ScoreError,
            crate::record::FolderError,
            crate::record::JournalError,
            crate::record::StorageError,
            crate::dataset::synth::SynthError,
            crate::reference::parity::ParityError,
            crate::figures::compare::CompareError,
            crate::report::ReportError,
            crate::benchmark::ShardError,
            crate::record::MergeError,
            crate::media::video::VideoError,
            crate::overlay::OverlayError,
        );
        if let Some(error) = cause.downcast_ref::<masklet_engines::bundle::BundleError>() {
            return bundle_class(error);
        }
        if let Some(error) = cause.downcast_ref::<masklet_engines::engine::EngineError>() {
            return engine_class(error);
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

fn bundle_class(error: &masklet_engines::bundle::BundleError) -> ErrorClass {
    use masklet_engines::bundle::BundleError::Unreadable;
    match error {
        Unreadable { source, .. } => io_class(source),
        _ => ErrorClass::Data,
    }
}

fn engine_class(error: &masklet_engines::engine::EngineError) -> ErrorClass {
    use masklet_engines::engine::EngineError;
    use masklet_engines::tensorrt::TensorRtError;
    match error {
        EngineError::Capability { .. }
        | EngineError::TensorRt(
            TensorRtError::Option { .. }
            | TensorRtError::Workspace { .. }
            | TensorRtError::NoTacticWithinWorkspace { .. },
        ) => ErrorClass::Usage,
        EngineError::Bundle(error) => bundle_class(error),
        EngineError::TensorRt(TensorRtError::Parse { .. })
        | EngineError::NetworkDiffers { .. }
        | EngineError::Truncated { .. }
        | EngineError::Damaged { .. }
        | EngineError::Sidecar { .. } => ErrorClass::Data,
        EngineError::Io { source, .. } => io_class(source),
        EngineError::TensorRt(_)
        | EngineError::NoDevice { .. }
        | EngineError::NotBuilt { .. }
        | EngineError::OtherVersion { .. }
        | EngineError::OtherDevice { .. } => ErrorClass::Environment,
    }
}

/// Whether the error is only that nobody reads our output any more (`masklet … | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
