//! What a video file is, by ffprobe's word: size as displayed, frame rate, number of frames.

use super::{Ffmpeg, VideoError};
use crate::process::{IDLE, Output, Subprocess};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Frames per second as the fraction that the container holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRate {
    /// Frames.
    pub frames: u32,
    /// In so many seconds; never 0.
    pub seconds: u32,
}

impl FrameRate {
    /// Frames per second.
    pub fn fps(self) -> f64 {
        f64::from(self.frames) / f64::from(self.seconds)
    }

    /// Reads `30000/1001`; `None` for `0/0` and the like.
    fn parse(text: &str) -> Option<Self> {
        let (frames, seconds) = text.split_once('/')?;
        let rate = Self {
            frames: frames.parse().ok()?,
            seconds: seconds.parse().ok()?,
        };
        (rate.frames > 0 && rate.seconds > 0).then_some(rate)
    }
}

/// A video file that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFile {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Index of the stream in it: the first that is a video and no cover picture.
    pub stream: usize,
    /// Its codec, such as `h264`.
    pub codec: String,
    /// Columns of a frame as displayed, after the rotation that the file asks for.
    pub width: usize,
    /// Rows of a frame as displayed.
    pub height: usize,
    /// The rotation that the file asks for, in degrees, as ffprobe gives it (0 to 359).
    pub rotation: u32,
    /// Average frame rate; `None` where the file does not say.
    pub rate: Option<FrameRate>,
    /// Number of frames that the stream presents: its packets, without those that an edit list
    /// hides. The header's count is not used for it: recorders leave it unfinished.
    pub frames: usize,
    /// The header's count, a hint: of a file that was cut short it is the larger one.
    #[serde(skip)]
    pub stated: Option<usize>,
    /// When they are presented, ascending, in units of the stream; empty where it does not say.
    #[serde(skip)]
    pub times: Vec<i64>,
    /// Who decodes, such as `ffmpeg 5.1.9`.
    pub decoder: String,
}

impl VideoFile {
    /// Asks ffprobe. Every packet is read, none is decoded.
    ///
    /// # Errors
    /// The file cannot be read, is not a video, is damaged, or its frames have no size.
    pub fn probe(ffmpeg: &Ffmpeg, path: &Path) -> Result<Self, VideoError> {
        let unusable = |what: String| VideoError::Unusable {
            path: path.to_owned(),
            what,
        };
        let about = std::fs::metadata(path)
            .map_err(|error| unusable(format!("cannot be read ({error}); check the path")))?;
        if !about.is_file() {
            return Err(unusable(
                "is not a file; give a video file such as clip.mp4".to_owned(),
            ));
        }
        if about.len() == 0 {
            return Err(unusable("is empty (0 bytes); copy it again".to_owned()));
        }
        let mut command = ffmpeg.ffprobe();
        command.args(["-select_streams", "v", "-show_streams"]);
        let json = ask(command, path)?;
        let streams = json["streams"].as_array().cloned().unwrap_or_default();
        let moving = |stream: &&Value| stream["disposition"]["attached_pic"] != 1;
        let Some(stream) = streams.iter().find(moving) else {
            return Err(unusable(
                "holds no video stream; give a file that a player shows moving pictures of"
                    .to_owned(),
            ));
        };
        let number = |name: &str| stream[name].as_u64().and_then(|n| usize::try_from(n).ok());
        let (stored_width, stored_height) =
            (number("width").unwrap_or(0), number("height").unwrap_or(0));
        if stored_width == 0 || stored_height == 0 {
            return Err(unusable(format!(
                "has frames of {stored_width}x{stored_height} pixels; its header is damaged, or it \
                 was never finished"
            )));
        }
        let rotation = rotation(stream);
        let (width, height) = match turned(rotation) {
            true => (stored_height, stored_width),
            false => (stored_width, stored_height),
        };
        let index = number("index").unwrap_or(0);
        let (frames, times) = presented(ffmpeg, path, index)?;
        if frames == 0 {
            return Err(unusable(
                "holds a video stream without frames; it was never finished".to_owned(),
            ));
        }
        let rate = |name: &str| stream[name].as_str().and_then(FrameRate::parse);
        Ok(Self {
            path: path.to_owned(),
            bytes: about.len(),
            stream: index,
            codec: stream["codec_name"]
                .as_str()
                .unwrap_or("unknown")
                .to_owned(),
            width,
            height,
            rotation,
            rate: rate("avg_frame_rate").or_else(|| rate("r_frame_rate")),
            frames,
            stated: stream["nb_frames"].as_str().and_then(|n| n.parse().ok()),
            times,
            decoder: decoder(ffmpeg, path)?,
        })
    }

    /// The file's name without its extension, with anything but letters, digits, `.`, `_` and `-`
    /// replaced by `_`: what folders are named by.
    pub fn id(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
        let name: String = stem
            .chars()
            .map(|c| if plain(c) { c } else { '_' })
            .collect();
        match name.trim_start_matches('.') {
            "" => "video".to_owned(),
            name => name.to_owned(),
        }
    }
}

/// Whether a rotation exchanges width and height.
fn turned(rotation: u32) -> bool {
    matches!(rotation, 90 | 270)
}

/// The rotation of a stream: the display matrix, or the tag that older files have.
fn rotation(stream: &Value) -> u32 {
    let matrix = stream["side_data_list"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|data| data["rotation"].as_f64());
    let tag = || stream["tags"]["rotate"].as_str()?.trim().parse().ok();
    let degrees: f64 = matrix.or_else(tag).unwrap_or(0.0);
    let whole = degrees.round();
    if whole.is_finite() {
        whole.rem_euclid(360.0) as u32
    } else {
        0
    }
}

/// The packets that are presented, and their time stamps in order, where all have one.
fn presented(ffmpeg: &Ffmpeg, path: &Path, stream: usize) -> Result<(usize, Vec<i64>), VideoError> {
    let mut command = ffmpeg.ffprobe();
    command
        .args(["-select_streams", &stream.to_string()])
        .args(["-show_entries", "packet=pts,flags"]);
    let json = ask(command, path)?;
    let packets = json["packets"].as_array().into_iter().flatten();
    // A packet that only primes the decoder for those behind it carries a D.
    let hidden = |p: &&Value| p["flags"].as_str().is_some_and(|flags| flags.contains('D'));
    let packets: Vec<&Value> = packets.filter(|p| !hidden(p)).collect();
    let times: Option<Vec<i64>> = packets.iter().map(|p| p["pts"].as_i64()).collect();
    let mut times = times.unwrap_or_default();
    times.sort_unstable();
    Ok((packets.len(), times))
}

/// `ffmpeg` and its version, the first three words of what `-version` prints without "version".
fn decoder(ffmpeg: &Ffmpeg, path: &Path) -> Result<String, VideoError> {
    let mut command = ffmpeg.ffmpeg();
    command.arg("-version");
    let output = run(command, "ffmpeg", path)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let version = words.find(|word| *word == "version").and(words.next());
    Ok(format!(
        "ffmpeg {}",
        version.unwrap_or("of unknown version")
    ))
}

/// The file as the programs take it: never an option, never a protocol.
pub(super) fn input(path: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from("file:");
    name.push(path);
    name
}

fn ask(mut command: Command, path: &Path) -> Result<Value, VideoError> {
    command.args(["-of", "json", "-i"]).arg(input(path));
    let output = run(command, "ffprobe", path)?;
    let refused = |message: String| VideoError::Refused {
        program: "ffprobe",
        path: path.to_owned(),
        message,
    };
    if !output.status.success() {
        let words = last_words(&output.stderr);
        return Err(refused(words.unwrap_or_else(|| output.status.to_string())));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| refused(format!("its answer is not valid JSON ({error})")))
}

fn run(mut command: Command, program: &'static str, path: &Path) -> Result<Output, VideoError> {
    Subprocess::output(&mut command, b"", Some(IDLE)).map_err(|source| pipe(program, path, source))
}

pub(super) fn pipe(program: &'static str, path: &Path, source: io::Error) -> VideoError {
    VideoError::Pipe {
        program,
        path: path.to_owned(),
        source,
    }
}

/// The last lines of what a program complained of, in one line, without the addresses that ffmpeg
/// puts before them; `None` when it complained of nothing.
pub(super) fn last_words(stderr: &[u8]) -> Option<String> {
    const LINES: usize = 2;
    let text = String::from_utf8_lossy(stderr);
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = match line.split_once("] ") {
            Some((before, rest)) if before.starts_with('[') => rest,
            _ => line,
        };
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    let from = lines.len().saturating_sub(LINES);
    let words = lines.get(from..)?.join("; ");
    (!words.is_empty()).then(|| words.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rotations_of_new_and_old_files_are_understood() {
        let matrix = |degrees: f64| json!({"side_data_list": [{"a": 1}, {"rotation": degrees}]});
        for (stream, expected) in [
            (matrix(-90.0), 270),
            (matrix(90.0), 90),
            (matrix(180.0), 180),
            (matrix(-0.0), 0),
            (json!({"tags": {"rotate": "90"}}), 90),
            (json!({"tags": {"rotate": "what"}}), 0),
            (json!({}), 0),
        ] {
            assert_eq!(rotation(&stream), expected, "{stream}");
        }
        assert!(turned(270) && turned(90) && !turned(180) && !turned(45));
    }

    #[test]
    fn rates_are_fractions_and_nought_is_none() {
        let ntsc = FrameRate::parse("30000/1001").unwrap();
        assert!((ntsc.fps() - 29.97).abs() < 0.001);
        for text in ["0/0", "24", "24/0", "a/b", ""] {
            assert_eq!(FrameRate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn complaints_lose_their_addresses_and_repetitions() {
        let text =
            b"first\n[mov,mp4 @ 0x55d0] moov atom not found\n[mov @ 0x1] moov atom not found\n\
                     file:a.mp4: Invalid data found\n";
        assert_eq!(
            last_words(text).as_deref(),
            Some("moov atom not found; file:a.mp4: Invalid data found")
        );
        assert_eq!(last_words(b"\n  \n"), None);
    }
}
