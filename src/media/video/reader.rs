//! Frames of a video file in order, as 8-bit RGB at the displayed size, over a pipe from `ffmpeg`.
//!
//! Every frame of the stream comes once, whatever its time stamp: a variable rate is neither filled
//! up nor thinned out. Frames go forward only; going back is another reader.

use super::probe::{input, last_words, pipe};
use super::{Ffmpeg, VideoError, VideoFile};
use crate::process::{IDLE, Subprocess};
use std::path::PathBuf;
use std::process::Stdio;

/// A running decoder. Dropping it ends the program.
#[derive(Debug)]
pub struct FrameReader {
    program: Subprocess,
    path: PathBuf,
    /// Whether the stream has come to its end.
    over: bool,
}

impl FrameReader {
    /// Starts decoding at frame `first` (counted from 0).
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn open(ffmpeg: &Ffmpeg, file: &VideoFile, first: usize) -> Result<Self, VideoError> {
        let VideoFile { width, height, .. } = file;
        // Turning to the displayed size is ffmpeg's own first step; the size is given so that a
        // stream that changes it midway cannot shift the frames behind.
        let filters = format!("trim=start_frame={first},scale={width}:{height}");
        let mut command = ffmpeg.ffmpeg();
        command
            .arg("-i")
            .arg(input(&file.path))
            .args(["-map", &format!("0:{}", file.stream), "-vf", &filters])
            .args(every_frame(&file.decoder))
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |source| pipe("ffmpeg", &file.path, source);
        Ok(Self {
            program: Subprocess::spawn(&mut command).map_err(failed)?,
            path: file.path.clone(),
            over: false,
        })
    }

    /// Reads the next frame into `pixels` (`height * width * 3` bytes, RGB); `false` when there is
    /// none any more, a frame that was cut off in the middle included.
    ///
    /// # Errors
    /// When the pipe fails.
    pub fn read_into(&mut self, pixels: &mut [u8]) -> Result<bool, VideoError> {
        if self.over {
            return Ok(false);
        }
        match self.program.read_exact(pixels, IDLE) {
            Ok(read) => {
                self.over = read < pixels.len();
                Ok(!self.over)
            }
            Err(source) => Err(pipe("ffmpeg", &self.path, source)),
        }
    }

    /// Ends the program and says how the stream ended: whether there was more behind the last frame
    /// that was read, and what ffmpeg complained of on the way.
    pub fn finish(mut self) -> Finish {
        let more = !self.over && matches!(self.program.read_exact(&mut [0], IDLE), Ok(1));
        if more {
            self.program.kill();
        }
        let status = self.program.wait(Some(IDLE));
        let words = last_words(&self.program.stderr());
        let failed = status.is_ok_and(|status| !status.success());
        Finish {
            more,
            damage: words.or_else(|| (failed && !more).then(|| "ffmpeg failed".to_owned())),
        }
    }
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Whether there were frames behind the last that was read.
    pub more: bool,
    /// What ffmpeg complained of, in its words.
    pub damage: Option<String>,
}

/// The option that hands every frame through once, by the words of this version: `-fps_mode` came
/// with 5.1, and what it replaces is going.
fn every_frame(decoder: &str) -> [&'static str; 2] {
    let version = decoder.rsplit(' ').next().unwrap_or_default();
    let mut numbers = version.trim_start_matches('n').split(['.', '-']);
    let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    match (number(), number()) {
        (Some(major), minor) if (major, minor.unwrap_or(0)) < (5, 1) => ["-vsync", "passthrough"],
        _ => ["-fps_mode", "passthrough"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_gets_the_option_it_knows() {
        for (decoder, option) in [
            ("ffmpeg 4.4.2-0ubuntu0.22.04.1", "-vsync"),
            ("ffmpeg 5.0", "-vsync"),
            ("ffmpeg n4.2.7", "-vsync"),
            ("ffmpeg 5.1.9-0+deb12u1", "-fps_mode"),
            ("ffmpeg 7.1", "-fps_mode"),
            ("ffmpeg N-112233-gabc", "-fps_mode"),
            ("ffmpeg of unknown version", "-fps_mode"),
        ] {
            assert_eq!(every_frame(decoder)[0], option, "{decoder}");
        }
    }
}
