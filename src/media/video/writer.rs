//! RGB frames into an MP4, through the `ffmpeg` program.

use super::probe::last_words;
use super::{Ffmpeg, VideoError};
use crate::files;
use crate::process::{IDLE, Subprocess};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempPath;

const PROGRAM: &str = "ffmpeg";
/// How long a program that no longer listens may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes H.264 in MP4 (yuv420p, BT.709, CRF 20, index in front).
///
/// The file appears under its name when [`Self::finish`] returns, whole. A writer that is dropped
/// before ends the program and leaves nothing.
#[derive(Debug)]
pub struct VideoWriter {
    program: Subprocess,
    path: PathBuf,
    /// What ffmpeg writes; removed unless it gets the file's name.
    temporary: Option<TempPath>,
    width: usize,
    height: usize,
    /// The frame with an even number of rows and columns; empty where it has that by itself.
    even: Vec<u8>,
    frames: usize,
}

impl VideoWriter {
    /// Tries whether this ffmpeg can do what a writer needs, on one frame that goes nowhere.
    ///
    /// # Errors
    /// [`VideoError::NoEncoder`] when it cannot.
    pub fn check(ffmpeg: &Ffmpeg) -> Result<(), VideoError> {
        let mut command = ffmpeg.ffmpeg();
        encode(&mut command, 64, 64, 24);
        command.args(["-f", "null", "-"]);
        let no_encoder = |message: String| VideoError::NoEncoder { message };
        let output = Subprocess::output(&mut command, &[0; 64 * 64 * 3], Some(IDLE))
            .map_err(|e| no_encoder(e.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let words = last_words(&output.stderr);
        Err(no_encoder(
            words.unwrap_or_else(|| ended_with(output.status)),
        ))
    }

    /// Begins a video of `width` x `height` pixels at `fps` frames per second. A side that is odd
    /// gets one more column or row, a copy of the last: H.264 in this form has even sides only.
    ///
    /// # Errors
    /// [`VideoError::Unusable`] for a picture without pixels, [`VideoError::Pipe`] when the program
    /// cannot be started.
    pub fn create(
        ffmpeg: &Ffmpeg,
        path: &Path,
        (width, height): (usize, usize),
        fps: u32,
    ) -> Result<Self, VideoError> {
        if width == 0 || height == 0 {
            return Err(VideoError::Unusable {
                path: path.to_owned(),
                what: format!("would have {width}x{height} pixels; frames need at least one"),
            });
        }
        let (even_width, even_height) = (width.next_multiple_of(2), height.next_multiple_of(2));
        let even = match (even_width, even_height) == (width, height) {
            true => Vec::new(),
            false => vec![0; even_width * even_height * 3],
        };
        let temporary = files::temporary_beside(path).map_err(|source| VideoError::Pipe {
            program: PROGRAM,
            path: path.to_owned(),
            source,
        })?;
        let temporary = temporary.into_temp_path();
        let mut command = ffmpeg.ffmpeg();
        encode(&mut command, even_width, even_height, fps);
        // The prefix keeps ffmpeg from reading a protocol into a name with a colon.
        let mut target = OsString::from("file:");
        target.push(&temporary);
        command.args(["-movflags", "+faststart", "-f", "mp4", "-y"]);
        command.arg(target);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(Stdio::piped());
        let program = Subprocess::spawn(&mut command).map_err(|source| VideoError::Pipe {
            program: PROGRAM,
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            program,
            path: path.to_owned(),
            temporary: Some(temporary),
            width,
            height,
            even,
            frames: 0,
        })
    }

    /// Adds a frame: `height * width * 3` bytes, RGB.
    ///
    /// # Errors
    /// [`VideoError::Unusable`] for another number of bytes; [`VideoError::Refused`] with ffmpeg's
    /// last words when it has ended (a full disk); [`VideoError::Pipe`] when it left none.
    pub fn write(&mut self, rgb: &[u8]) -> Result<(), VideoError> {
        let expected = self.width * self.height * 3;
        if rgb.len() != expected {
            return Err(VideoError::Unusable {
                path: self.path.clone(),
                what: format!(
                    "takes frames of {expected} bytes ({}x{} RGB), not of {}",
                    self.width,
                    self.height,
                    rgb.len()
                ),
            });
        }
        let bytes = if self.even.is_empty() {
            rgb
        } else {
            make_even(rgb, self.width, self.height, &mut self.even);
            &self.even
        };
        if let Err(source) = self.program.write_all(bytes, IDLE) {
            return Err(self.ended(source));
        }
        self.frames += 1;
        Ok(())
    }

    /// Ends the video and gives the file its name.
    ///
    /// # Errors
    /// As for [`Self::write`], and when no frame was written or the file cannot be renamed. There is
    /// no file then.
    pub fn finish(mut self) -> Result<(), VideoError> {
        if self.frames == 0 {
            return Err(VideoError::Unusable {
                path: self.path.clone(),
                what: "would have no frame".to_owned(),
            });
        }
        self.program.close_stdin();
        let ended = self.program.wait(Some(IDLE));
        let status = ended.map_err(|source| self.pipe_error(source))?;
        if !status.success() {
            let words = last_words(&self.program.stderr());
            return Err(self.refused(words.unwrap_or_else(|| ended_with(status))));
        }
        let Some(temporary) = self.temporary.take() else {
            return Ok(());
        };
        temporary
            .persist(&self.path)
            .map_err(|error| self.pipe_error(error.error))
    }

    /// The program has ended, or no longer listens: why.
    fn ended(&mut self, source: io::Error) -> VideoError {
        self.program.close_stdin();
        // On its way out it has a moment to say why; one that goes on without listening is ended.
        let status = self.program.wait(Some(PATIENCE)).ok();
        let failed = status.filter(|status| !status.success());
        let words = last_words(&self.program.stderr());
        match words.or_else(|| failed.map(ended_with)) {
            Some(message) => self.refused(message),
            None => self.pipe_error(source),
        }
    }

    fn refused(&self, message: String) -> VideoError {
        VideoError::Refused {
            program: PROGRAM,
            path: self.path.clone(),
            message,
        }
    }

    fn pipe_error(&self, source: io::Error) -> VideoError {
        VideoError::Pipe {
            program: PROGRAM,
            path: self.path.clone(),
            source,
        }
    }
}

/// Raw RGB from standard input to H.264. The matrix is named both to the converter and in the file:
/// players guess it from the size otherwise, and colours shift.
fn encode(command: &mut Command, width: usize, height: usize, fps: u32) {
    command
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24"])
        .args(["-video_size", &format!("{width}x{height}")])
        .args(["-framerate", &fps.to_string(), "-i", "pipe:0", "-an"])
        .args([
            "-vf",
            "scale=flags=bicubic+accurate_rnd:out_color_matrix=bt709:out_range=tv,format=yuv420p",
        ])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "20"])
        .args(["-colorspace", "bt709", "-color_primaries", "bt709"])
        .args(["-color_trc", "bt709", "-color_range", "tv"]);
}

fn ended_with(status: ExitStatus) -> String {
    format!("it ended with {status}")
}

/// Copies the frame into one with even sides; the picture stays where it is, edges are repeated.
fn make_even(rgb: &[u8], width: usize, height: usize, even: &mut [u8]) {
    let line = width.next_multiple_of(2) * 3;
    for (y, to) in even.chunks_exact_mut(line).enumerate() {
        let y = y.min(height - 1);
        let from = &rgb[y * width * 3..(y + 1) * width * 3];
        to[..from.len()].copy_from_slice(from);
        to[from.len()..].copy_from_slice(&from[from.len() - (line - from.len())..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn odd_sides_repeat_their_edge_and_shift_nothing() {
        let rgb: Vec<u8> = (0..3 * 3 * 3).collect();
        let mut even = vec![0; 4 * 4 * 3];
        make_even(&rgb, 3, 3, &mut even);
        let pixel = |bytes: &[u8], width: usize, x: usize, y: usize| bytes[(y * width + x) * 3];
        for (x, y) in (0..4).flat_map(|y| (0..4).map(move |x| (x, y))) {
            let expected = pixel(&rgb, 3, x.min(2), y.min(2));
            assert_eq!(pixel(&even, 4, x, y), expected, "({x}, {y})");
        }
    }

    /// A stand-in for ffmpeg: a shell script.
    fn stand_in(folder: &Path, script: &str) -> Ffmpeg {
        use std::os::unix::fs::PermissionsExt;
        for program in ["ffmpeg", "ffprobe"] {
            let file = folder.join(program);
            fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Ffmpeg::in_folders(&[folder.to_owned()], true).unwrap()
    }

    #[test]
    fn a_program_that_ends_early_is_quoted_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let ffmpeg = stand_in(&bin, "echo 'No space left on device' >&2; exit 1");
        let path = folder.path().join("out.mp4");
        let mut writer = VideoWriter::create(&ffmpeg, &path, (64, 64), 24).unwrap();
        let frame = vec![0; 64 * 64 * 3];
        let error = (0..1000).find_map(|_| writer.write(&frame).err());
        let text = error.unwrap().to_string();
        assert!(
            text.contains("No space left") && text.contains("out.mp4"),
            "{text}"
        );
        drop(writer);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "only bin/ is left"
        );
        let silent = stand_in(&bin, "exit 7");
        let text = VideoWriter::check(&silent).unwrap_err().to_string();
        assert!(text.contains("exit status: 7"), "{text}");
    }

    #[test]
    fn a_dropped_writer_ends_its_program_and_removes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        // Takes the file's name (its last argument), writes it, and listens for ever.
        let script = r#"for last; do :; done; echo $$ > "${last#file:}"; exec sleep 1000"#;
        let ffmpeg = stand_in(&bin, script);
        let path = folder.path().join("out.mp4");
        let writer = VideoWriter::create(&ffmpeg, &path, (2, 2), 24).unwrap();
        let part = writer.temporary.as_ref().unwrap().to_path_buf();
        let process = loop {
            match fs::read_to_string(&part) {
                Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
                _ => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        };
        assert!(Path::new("/proc").join(&process).exists());
        drop(writer);
        assert!(!part.exists() && !path.exists());
        assert!(
            !Path::new("/proc").join(&process).exists(),
            "the program goes on"
        );
    }

    #[test]
    fn frames_of_another_size_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let ffmpeg = stand_in(&bin, "cat > /dev/null");
        let path = folder.path().join("out.mp4");
        assert!(VideoWriter::create(&ffmpeg, &path, (0, 4), 24).is_err());
        let mut writer = VideoWriter::create(&ffmpeg, &path, (4, 4), 24).unwrap();
        let text = writer.write(&[0; 47]).unwrap_err().to_string();
        assert!(text.contains("48 bytes"), "{text}");
        assert!(writer.finish().is_err(), "a video without frames");
    }
}
