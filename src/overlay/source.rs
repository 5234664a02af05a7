//! The frames that are drawn on: image files, or a video file decoded once more.

use super::canvas::Canvas;
use super::error::OverlayError;
use crate::dataset::Video;
use crate::media::image;
use crate::media::video::{Ffmpeg, FrameReader};

/// Frames of a video, taken in ascending order.
pub(super) enum Source<'v> {
    /// Image files.
    Images(&'v Video),
    /// A video file, and the index of the frame that comes next.
    Stream(FrameReader, usize),
}

impl<'v> Source<'v> {
    /// Frames of `video` from `first` on.
    ///
    /// # Errors
    /// When ffmpeg cannot be started.
    pub fn open(ffmpeg: &Ffmpeg, video: &'v Video, first: usize) -> Result<Self, OverlayError> {
        Ok(match &video.file {
            None => Self::Images(video),
            Some(file) => Self::Stream(FrameReader::open(ffmpeg, file, first)?, first),
        })
    }

    /// Fills the canvas with frame `index`; `false` where the video ends before it. Frames between
    /// the last and this one are passed over.
    ///
    /// # Errors
    /// A frame that cannot be read.
    pub fn read(&mut self, index: usize, canvas: &mut Canvas) -> Result<bool, OverlayError> {
        match self {
            Self::Images(video) => {
                let Some(path) = video.frames.get(index) else {
                    return Ok(false);
                };
                image::decode_into(path, video.width, video.height, canvas.rgb_mut())?;
                Ok(true)
            }
            Self::Stream(reader, next) => {
                while *next <= index {
                    if !reader.read_into(canvas.rgb_mut())? {
                        return Ok(false);
                    }
                    *next += 1;
                }
                Ok(true)
            }
        }
    }
}
