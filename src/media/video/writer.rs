//! RGB frames into an MP4, through the `ffmpeg` program.

use super::{Ffmpeg, VideoError};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PROGRAM: &str = "ffmpeg";
/// Of what ffmpeg says, so much is kept: the end.
const WORDS: usize = 4096;
/// How long a program that no longer listens may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Writes H.264 in MP4 (yuv420p, BT.709, CRF 20, index in front).
///
/// The file appears under its name when [`Self::finish`] returns, whole. A writer that is dropped
/// before ends the program and leaves nothing.
#[derive(Debug)]
pub struct VideoWriter {
    child: Child,
    pipe: Option<ChildStdin>,
    words: Option<JoinHandle<Vec<u8>>>,
    path: PathBuf,
    temporary: PathBuf,
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
        let (mut child, mut pipe, words) =
            spawn(&mut command).map_err(|e| no_encoder(e.to_string()))?;
        // A program that ends early says why itself.
        let _ = pipe.write_all(&[0; 64 * 64 * 3]);
        drop(pipe);
        let status = child.wait().map_err(|e| no_encoder(e.to_string()))?;
        match status.success() {
            true => Ok(()),
            false => Err(no_encoder(last_words(words, Some(status)))),
        }
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
        let temporary = temporary(path);
        let mut command = ffmpeg.ffmpeg();
        encode(&mut command, even_width, even_height, fps);
        // The prefix keeps ffmpeg from reading a protocol into a name with a colon.
        let mut target = OsString::from("file:");
        target.push(&temporary);
        command.args(["-movflags", "+faststart", "-f", "mp4", "-y"]);
        command.arg(target);
        let (child, pipe, words) = spawn(&mut command).map_err(|source| VideoError::Pipe {
            program: PROGRAM,
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            child,
            pipe: Some(pipe),
            words: Some(words),
            path: path.to_owned(),
            temporary,
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
        let Some(pipe) = &mut self.pipe else {
            return Err(self.ended(io::ErrorKind::BrokenPipe.into()));
        };
        if let Err(source) = pipe.write_all(bytes) {
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
        drop(self.pipe.take());
        let status = self
            .child
            .wait()
            .map_err(|source| self.pipe_error(source))?;
        let words = self.words.take();
        if !status.success() {
            return Err(
                self.refused(words.map_or_else(String::new, |w| last_words(w, Some(status))))
            );
        }
        fs::rename(&self.temporary, &self.path).map_err(|source| self.pipe_error(source))
    }

    /// The program has ended, or no longer listens: why.
    fn ended(&mut self, source: io::Error) -> VideoError {
        drop(self.pipe.take());
        // On its way out it has a moment to say why; one that goes on without listening is ended.
        let since = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if since.elapsed() < PATIENCE => std::thread::sleep(POLL),
                _ => {
                    let _ = self.child.kill();
                    break self.child.wait().ok();
                }
            }
        };
        match self.words.take().map(|words| last_words(words, status)) {
            Some(message) if !message.is_empty() => self.refused(message),
            _ => self.pipe_error(source),
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

impl Drop for VideoWriter {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // After `finish` neither is there any more; nobody is left to hear of a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.temporary);
    }
}

/// The name under which a file is written: hidden, in the same folder, so that a rename suffices.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
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

type Spawned = (Child, ChildStdin, JoinHandle<Vec<u8>>);

/// Starts the program in a process group of its own: Ctrl-C is for the run, which decides what
/// becomes of the file.
fn spawn(command: &mut Command) -> io::Result<Spawned> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (pipe, errors) = (child.stdin.take(), child.stderr.take());
    let (Some(pipe), Some(mut errors)) = (pipe, errors) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    // Read as it comes: a full pipe would stop the program.
    let words = std::thread::Builder::new()
        .name("ffmpeg-words".to_owned())
        .spawn(move || {
            let (mut kept, mut part) = (Vec::new(), [0; WORDS]);
            while let Ok(read @ 1..) = errors.read(&mut part) {
                kept.extend_from_slice(&part[..read]);
                let beyond = kept.len().saturating_sub(WORDS);
                kept.drain(..beyond);
            }
            kept
        });
    match words {
        Ok(words) => Ok((child, pipe, words)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// The last lines of what the program said, or how it ended when it said nothing.
fn last_words(words: JoinHandle<Vec<u8>>, status: Option<ExitStatus>) -> String {
    let bytes = words.join().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text
        .lines()
        .rev()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(3)
        .collect();
    lines.reverse();
    match (lines.is_empty(), status) {
        (true, Some(status)) if !status.success() => format!("it ended with {status}"),
        _ => lines.join("; "),
    }
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
        let part = folder.path().join(".out.mp4.part");
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
