//! Pictures and video in and out: decoding, resizing, label PNGs, ffmpeg.

pub mod image;
pub(crate) mod limits;
pub mod video;
