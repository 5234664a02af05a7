//! Where a clip's frames come from: a folder of images, or a video file.

use crate::dataset::Video;
use crate::error::{Classified, ErrorClass};
use crate::media::image::{self, ImageError};
use crate::media::video::{Ffmpeg, FrameReader};
use masklet_engines::cuda::JpegDecoder;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Why there is no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoFrame {
    /// The stream is over before it.
    Over,
    /// It cannot be decoded; a reason in words.
    Damaged(String),
    /// The machine could not read it, which may pass; a reason in words.
    Machine(String),
}

/// Hands out the frames of a clip to the ring's decoder threads.
pub(super) enum FrameSource<'v> {
    /// Image files, which are read in any order and by many threads.
    Images {
        /// The video.
        video: &'v Video,
        /// nvJPEG, where it decodes.
        jpeg: Option<&'v JpegDecoder>,
    },
    /// A video file, whose frames come in order only.
    Stream {
        /// The video.
        video: &'v Video,
        /// Index of the first frame that comes.
        first: usize,
        /// Its decoder, and the index of the frame that comes next.
        reader: Mutex<(FrameReader, usize)>,
    },
}

impl<'v> FrameSource<'v> {
    /// The frames of `video` from `first` on.
    ///
    /// # Errors
    /// A reason in words: ffmpeg cannot be started.
    pub fn open(
        video: &'v Video,
        first: usize,
        jpeg: Option<&'v JpegDecoder>,
    ) -> Result<Self, String> {
        let Some(file) = &video.file else {
            return Ok(Self::Images { video, jpeg });
        };
        let reader = Ffmpeg::find()
            .and_then(|ffmpeg| FrameReader::open(&ffmpeg, file, first))
            .map_err(|error| error.to_string())?;
        let reader = Mutex::new((reader, first));
        Ok(Self::Stream {
            video,
            first,
            reader,
        })
    }

    /// How many threads may decode, of those that are wanted.
    pub fn threads(&self, wanted: usize) -> usize {
        match self {
            Self::Images { .. } => wanted,
            Self::Stream { .. } => 1,
        }
    }

    /// Decodes frame `index` into `slot`, which may be larger than the frame.
    pub fn read(&self, index: usize, slot: &mut [u8]) -> Result<(), NoFrame> {
        let (Self::Images { video, .. } | Self::Stream { video, .. }) = self;
        let pixels = slot.get_mut(..video.size().rgb_bytes()).ok_or_else(|| {
            NoFrame::Damaged("the frame is larger than its slot in the ring".to_owned())
        })?;
        match self {
            Self::Images { video, jpeg } => read_image(video, *jpeg, index, pixels),
            Self::Stream { reader, .. } => {
                let mut held = reader.lock().unwrap_or_else(PoisonError::into_inner);
                let (reader, next) = &mut *held;
                if *next != index {
                    return Err(NoFrame::Damaged(format!(
                        "frame {index} was asked for, but frame {next} comes next"
                    )));
                }
                match reader.read_into(pixels) {
                    Ok(true) => {
                        *next += 1;
                        Ok(())
                    }
                    Ok(false) => Err(NoFrame::Over),
                    Err(error) => Err(NoFrame::Damaged(error.to_string())),
                }
            }
        }
    }

    /// Closes the source. Where a stream was read to what should be its end, tells what is wrong
    /// with it: it ended early, goes on, or is damaged. `wanted` is the first frame index that
    /// nobody asked for.
    pub fn close(self, wanted: usize) -> Option<String> {
        let Self::Stream {
            video,
            first,
            reader,
        } = self
        else {
            return None;
        };
        let (reader, read) = reader.into_inner().unwrap_or_else(PoisonError::into_inner);
        let expected = video.frame_count();
        let name = video.file.as_ref().map(|file| file.path.display());
        let name = name.map(|name| name.to_string()).unwrap_or_default();
        let end = reader.finish();
        let said = end.damage.as_deref();
        let said = said.map_or(String::new(), |words| format!(" (ffmpeg: {words})"));
        if read == first && first < expected {
            return Some(format!(
                "{name} gives no frame from frame {first} on, of the {expected} in its stream{said}"
            ));
        }
        let times = video.file.as_ref().map_or(&[][..], |file| &file.times);
        if let Some((lost, at)) = lost(times, &end.times) {
            return Some(format!(
                "{name}: {lost} of {expected} frames could not be decoded, the first is frame {at}\
                 {said}; masks from {at:05} on are numbered without them"
            ));
        }
        if read >= wanted && wanted < expected {
            return None;
        }
        if read < expected {
            return Some(format!(
                "{name} ends after {read} of {expected} frames{said}; the frames before were tracked"
            ));
        }
        if end.more {
            return Some(format!(
                "{name} holds more than the {expected} frames that its stream tells of; the rest was \
                 not tracked"
            ));
        }
        let words = end.damage?;
        // The header's count is only believed where ffmpeg complained as well.
        let stated = video.file.as_ref().and_then(|file| file.stated);
        if let Some(stated) = stated.filter(|stated| read < *stated) {
            return Some(format!(
                "{name} ends after {read} of {stated} frames{said}; the frames before were tracked"
            ));
        }
        Some(format!(
            "{name} is damaged, frames may be wrong (ffmpeg: {words})"
        ))
    }
}

/// How many of the presented frames, up to the last that was decoded, were not, and the first of
/// them; `None` where all were, or where the time stamps do not tell.
fn lost(presented: &[i64], decoded: &[i64]) -> Option<(usize, usize)> {
    let last = decoded.iter().max()?;
    let decoded: BTreeSet<i64> = decoded.iter().copied().collect();
    let due = presented.iter().take_while(|time| *time <= last);
    let known = decoded
        .iter()
        .all(|time| presented.binary_search(time).is_ok());
    let mut missing = due.enumerate().filter(|(_, time)| !decoded.contains(time));
    let (at, _) = missing.next().filter(|_| known)?;
    Some((1 + missing.count(), at))
}

fn read_image(
    video: &Video,
    jpeg: Option<&JpegDecoder>,
    index: usize,
    pixels: &mut [u8],
) -> Result<(), NoFrame> {
    let Some(path) = video.frames.get(index) else {
        return Err(NoFrame::Over);
    };
    // A decoder that panics on a damaged file must not take the run with it.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let (width, height) = (video.width, video.height);
        match jpeg {
            None => image::decode_into(path, width, height, pixels),
            Some(decoder) => image::decode_jpeg_with(path, width, height, pixels, |file, rgb| {
                decoder.decode(file, (height, width), rgb)
            }),
        }
    }))
    .unwrap_or_else(|_| Err(ImageError::damaged(path, "the decoder gave up on it")))
    .map_err(|error| match error.class() {
        ErrorClass::Environment | ErrorClass::Passing => NoFrame::Machine(error.to_string()),
        _ => NoFrame::Damaged(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[test]
    fn lost_frames_are_counted_up_to_the_last_that_came() {
        let presented = [0, 10, 20, 30, 40, 50];
        assert_eq!(lost(&presented, &[0, 10, 20]), None);
        assert_eq!(lost(&presented, &[0, 10, 40, 50]), Some((2, 2)));
        assert_eq!(lost(&presented, &[20, 30]), Some((2, 0)));
        // Stamps of another clock, and none at all.
        assert_eq!(lost(&presented, &[5, 15]), None);
        assert_eq!(lost(&[], &[0, 10]), None);
        assert_eq!(lost(&presented, &[]), None);
    }
}
