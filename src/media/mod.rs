//! Pictures and video in and out: decoding, resizing, label PNGs, ffmpeg.

pub mod image;
pub mod video;
