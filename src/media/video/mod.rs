//! Video files through the `ffmpeg` program: frames in and frames out, as raw RGB over pipes.
//!
//! A program and not a library: every distribution and JetPack packages it, the same binary then
//! reads what any camera writes, builds with and without OpenCV alike, and a damaged file can only
//! kill a child process. This module knows nothing of models, masks or scores.

mod error;
mod ffmpeg;
mod probe;
mod reader;
mod writer;

pub use error::VideoError;
pub use ffmpeg::Ffmpeg;
pub use probe::{FrameRate, VideoFile};
pub use reader::{Finish, FrameReader};
pub use writer::VideoWriter;
