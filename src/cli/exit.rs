//! From an error to one sentence and an exit code.

use crate::error::{Classified, ErrorClass};

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
            crate::error::Error,
            masklet_engines::bundle::BundleError,
            masklet_engines::engine::EngineError,
            masklet_engines::Error,
            masklet_engines::memory::PlanError,
            std::io::Error,
            crate::cli::options::UsageError,
            crate::cli::engines::VerifyError,
            crate::reference::baseline::BaselineError,
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
            crate::record::MergeError,
            crate::media::video::VideoError,
            crate::overlay::OverlayError,
        );
    }
    ErrorClass::Run
}

/// The error in one sentence: every cause once, also where a message quotes its cause.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether the error is only that nobody reads our output any more (`masklet … | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
