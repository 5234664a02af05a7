//! Frames of a video file in order, as 8-bit RGB at the displayed size, over a pipe from `ffmpeg`.
//!
//! Every frame of the stream comes once, whatever its time stamp: a variable rate is neither filled
//! up nor thinned out. Frames go forward only; going back is another reader.

use super::probe::{input, last_words, pipe};
use super::{Ffmpeg, VideoError, VideoFile};
use crate::process::{IDLE, Subprocess};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of complaints that are kept, and of a line.
const MOST_WORDS: usize = 4096;

/// A running decoder. Dropping it ends the program.
#[derive(Debug)]
pub struct FrameReader {
    program: Subprocess,
    log: Arc<Mutex<Log>>,
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
        let filters =
            format!("showinfo=checksum=0,trim=start_frame={first},scale={width}:{height}");
        // Every frame's own time stamp is in the log, complaints have their level before them.
        let mut command = ffmpeg.at_level("level+info");
        command
            .args(["-copyts", "-i"])
            .arg(input(&file.path))
            .args(["-map", &format!("0:{}", file.stream), "-vf", &filters])
            .args(every_frame(&file.decoder))
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |source| pipe("ffmpeg", &file.path, source);
        let log = Arc::new(Mutex::new(Log::default()));
        let filled = Arc::clone(&log);
        let hear = move |block: &[u8]| {
            let mut log = filled.lock().unwrap_or_else(PoisonError::into_inner);
            log.hear(block);
        };
        Ok(Self {
            program: Subprocess::spawn_heard(&mut command, hear).map_err(failed)?,
            log,
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
        // Returns when standard error is closed; the log is whole then.
        let _ = self.program.stderr();
        let mut held = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log = std::mem::take(&mut *held).whole();
        drop(held);
        let words = last_words(log.complaints.as_bytes());
        let failed = status.is_ok_and(|status| !status.success());
        Finish {
            more,
            damage: words.or_else(|| (failed && !more).then(|| "ffmpeg failed".to_owned())),
            times: log.times,
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
    /// When the frames that were decoded are presented, in their order, those before the first that
    /// was asked for included; in the units of [`VideoFile::times`].
    pub times: Vec<i64>,
}

/// What the decoder wrote while it worked.
#[derive(Debug, Default)]
struct Log {
    times: Vec<i64>,
    complaints: String,
    /// The line whose end has not come.
    pending: Vec<u8>,
}

impl Log {
    /// Takes what was written next.
    fn hear(&mut self, block: &[u8]) {
        for &byte in block {
            if byte == b'\n' {
                self.end_line();
            } else if self.pending.len() < MOST_WORDS {
                self.pending.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.pending);
        self.take(&String::from_utf8_lossy(&line));
    }

    /// The log, its last line ended or not.
    fn whole(mut self) -> Self {
        self.end_line();
        self
    }

    fn take(&mut self, line: &str) {
        if line.contains("Parsed_showinfo") {
            let time = line.split_once(" pts:").map(|(_, rest)| rest.trim_start());
            let time = time.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
            self.times.extend(time);
            return;
        }
        for level in ["[error] ", "[fatal] ", "[panic] "] {
            if let Some((source, words)) = line.split_once(level)
                && self.complaints.len() < MOST_WORDS
            {
                self.complaints.push_str(source);
                self.complaints.push_str(words.trim_end());
                self.complaints.push('\n');
            }
        }
    }
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
    fn the_log_holds_times_and_complaints_apart() {
        let mut log = Log::default();
        for line in [
            "[info] Stream mapping:\n",
            "[Parsed_showinfo_0 @ 0x5] [info] n:   0 pts:   1024 pts_time:0.08 duration: 512\n",
            "[h264 @ 0x6] [error] error while decoding MB 3 1\n",
            "[Parsed_showinfo_0 @ 0x5] [info] n:   1 pts:-512 pts_time:-0.04\n",
            "[Parsed_showinfo_0 @ 0x5] [info] color_range:tv\n",
            "[h264 @ 0x6] [warning] mmco: unref short failure\n",
        ] {
            // In blocks that do not end where lines do.
            for block in line.as_bytes().chunks(7) {
                log.hear(block);
            }
        }
        log.hear(b"[h264 @ 0x6] [error] cut");
        let log = log.whole();
        assert_eq!(log.times, [1024, -512]);
        assert_eq!(
            last_words(log.complaints.as_bytes()).as_deref(),
            Some("error while decoding MB 3 1; cut")
        );
    }

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
