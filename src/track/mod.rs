//! Tracking: prompts and frames in, low-resolution mask logits and video-size masks out.
//!
//! [`bank`] decides which memories and pointers a frame attends to, [`layout`] which tensors lie in
//! which memory region, [`tracker`] runs the components in order, [`holes`] and [`upsample`]
//! turn logits into masks of the video's size. The rules are those of the reference implementation (`transformers`,
//! `EdgeTamVideoModel` and `Sam2VideoModel`); golden tensors in `tests/golden/parity` prove it.
//!
//! Not here: reading frames, clocks, scores (`crate::clip`).

pub mod bank;
pub mod holes;
pub mod layout;
pub mod prompt;
pub mod tracker;
pub mod upsample;

pub use holes::HoleFiller;
pub use layout::TrackerLayout;
pub use prompt::ModelPrompt;
pub use tracker::{DeviceVideo, ObjectMask, ObjectTask, StepTimes, TrackError, VideoTracker};
pub use upsample::Upsampler;
