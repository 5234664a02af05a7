//! From an error to one sentence and an exit code.

use crate::error::{Classified, ErrorClass};

/// The exit code of a run that a signal ended: 130 after SIGINT, 143 after SIGTERM.
pub fn interrupted() -> u8 {
    crate::signals::exit_code()
}

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
            crate::dataset::synth::SynthError,
            crate::reference::parity::ParityError,
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
