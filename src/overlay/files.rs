//! Overlays of a run, from files to files: frames from the dataset, masks from where the run left
//! them.

use super::canvas::Canvas;
use super::caption::{Piece, Swatch};
use super::error::OverlayError;
use super::frame::{ObjectOnVideo, ObjectPainter, prompt_legend};
use super::palette::{self, TRUTH};
use super::sheet::{Grid, Sheet, SheetObject, pick_frames};
use super::source::Source;
use crate::clip::{MaskFiles, ObjectStart, Settings};
use crate::dataset::prompts::PromptKind;
use crate::dataset::{ObjectTrack, Video};
use crate::files;
use crate::mask::Mask;
use crate::media::image;
use crate::media::video::{Ffmpeg, VideoError, VideoWriter};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Frames per second of SA-V's frames, and of overlays.
pub const FPS: u32 = 24;
/// Masks that are kept for overlays only, until their video's are drawn.
const OTHER_MASKS: &str = ".masks";

/// Draws the overlays of one model's run. Dropping it removes the masks that were kept for it.
#[derive(Debug)]
pub struct Overlays {
    ffmpeg: Ffmpeg,
    folder: PathBuf,
    masks: MaskFiles,
    most: Option<usize>,
    stop: Arc<AtomicBool>,
}

/// What a contact sheet says about an object of the video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNote {
    /// Whether its masks are drawn.
    pub drawn: bool,
    /// Behind its name, such as a score; may be empty.
    pub text: String,
}

impl Overlays {
    /// Finds ffmpeg and tries whether it can write overlays.
    ///
    /// # Errors
    /// [`VideoError`] with the way out.
    pub fn ffmpeg() -> Result<Ffmpeg, VideoError> {
        let ffmpeg = Ffmpeg::find()?;
        VideoWriter::check(&ffmpeg)?;
        Ok(ffmpeg)
    }

    /// Where a run keeps masks for its overlays: [`Settings::other_masks_dir`].
    pub fn other_masks_dir(folder: &Path) -> PathBuf {
        folder.join(OTHER_MASKS)
    }

    /// Overlays in `folder` of a run with these settings. Half-written files that a killed process
    /// left there are removed. When `stop` is set, drawing ends after the present frame.
    pub fn new(ffmpeg: Ffmpeg, folder: &Path, settings: &Settings, stop: Arc<AtomicBool>) -> Self {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(crate::files::TEMPORARY) {
                // One that stays does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
        let overlays = Self {
            ffmpeg,
            folder: folder.to_owned(),
            masks: MaskFiles::of(settings),
            most: settings.run.most_frames(),
            stop,
        };
        overlays.forget_masks();
        overlays
    }

    /// Removes the masks that were kept for overlays only.
    pub fn forget_masks(&self) {
        // What cannot be removed is hidden and in nobody's way.
        let _ = fs::remove_dir_all(Self::other_masks_dir(&self.folder));
    }

    /// Draws the video of one object, from its prompt to its last frame, into
    /// `<video>__obj<object>__<tag>.mp4`; returns the file's name.
    ///
    /// # Errors
    /// [`OverlayError`]; there is no file then.
    pub fn object(
        &self,
        video: &Video,
        track: &ObjectTrack,
        tag: &str,
        kind: PromptKind,
    ) -> Result<String, OverlayError> {
        let start = self.start(video, track, kind)?;
        let name = object_file(&video.id, &track.id, tag);
        let mut painter = ObjectPainter::new(ObjectOnVideo {
            video: &video.id,
            object: &track.id,
            tag,
            position: position(video, track),
            size: (video.width, video.height),
            frames: video.frame_count(),
            annotated: !track.annotations.is_empty(),
            prompt: start.prompt,
            prompt_frame: start.frame,
        });
        let path = self.folder.join(&name);
        let size = (video.width, video.height);
        let mut writer = VideoWriter::create(&self.ffmpeg, &path, size, rate(video))?;
        let mut frames = Source::open(&self.ffmpeg, video, start.frame)?;
        let mut canvas = Canvas::new(video.width, video.height, [0; 3]);
        for frame in start.frame..start.end {
            if self.stop.load(Ordering::Relaxed) {
                return Err(OverlayError::Stopped);
            }
            if !frames.read(frame, &mut canvas)? {
                break;
            }
            let mask = self.mask(video, track, tag, frame)?;
            painter.paint(&mut canvas, frame, &mask, truth(track, frame)?.as_ref());
            writer.write(canvas.rgb())?;
        }
        writer.finish()?;
        Ok(name)
    }

    /// Draws the contact sheet of a video into `<video>__sheet__<tag>.png`; returns the file's name,
    /// or `None` where no object is to be drawn. `notes` are the objects', in the video's order; an
    /// object without a mask on a frame is left out there.
    ///
    /// # Errors
    /// [`OverlayError`]; there is no file then.
    pub fn sheet(
        &self,
        video: &Video,
        tag: &str,
        kind: PromptKind,
        notes: &[ObjectNote],
    ) -> Result<Option<String>, OverlayError> {
        let mut starts = Vec::new();
        for (track, note) in video.objects.iter().zip(notes) {
            // An object that cannot be prompted has a failed row that says why.
            if note.drawn
                && let Ok(start) = self.start(video, track, kind)
            {
                starts.push((track, start));
            }
        }
        let spans: Vec<_> = starts.iter().map(|(_, at)| (at.frame, at.end)).collect();
        let frames = pick_frames(&spans, &video.scored_frames());
        let (Some(&first), Some(&last)) = (frames.first(), frames.last()) else {
            return Ok(None);
        };
        let mut legend = vec![
            Piece::text(video.id.as_str()),
            Piece::text(tag),
            Piece::text(format!(
                "frames {first} to {last} of {}",
                video.frame_count()
            )),
        ];
        for (at, (track, note)) in video.objects.iter().zip(notes).enumerate() {
            let text = format!("object {} {}", track.id, note.text);
            legend.push(Piece::legend(
                Swatch::Region(palette::object(at)),
                text.trim_end(),
            ));
        }
        if video.objects.iter().any(|one| !one.annotations.is_empty()) {
            legend.push(Piece::legend(Swatch::Line(TRUTH), "ground truth"));
        }
        // Clicks and boxes may be given side by side.
        let mut kinds = Vec::new();
        for (_, start) in &starts {
            let kind = std::mem::discriminant(&start.prompt);
            if !kinds.contains(&kind) {
                kinds.push(kind);
                legend.push(prompt_legend(&start.prompt));
            }
        }
        let mut source = Source::open(&self.ffmpeg, video, first)?;
        let grid = Grid::of((video.width, video.height), frames.len());
        let mut sheet = Sheet::new(grid, &legend);
        let mut canvas = Canvas::new(video.width, video.height, [0; 3]);
        for (at, &frame) in frames.iter().enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(OverlayError::Stopped);
            }
            let mut objects = Vec::new();
            for (track, start) in &starts {
                if !(start.frame..start.end).contains(&frame) {
                    continue;
                }
                let mask = match self.mask(video, track, tag, frame) {
                    Ok(mask) => mask,
                    Err(OverlayError::NoMask { .. }) => continue,
                    Err(error) => return Err(error),
                };
                objects.push(SheetObject {
                    name: &track.id,
                    position: position(video, track),
                    mask,
                    truth: truth(track, frame)?,
                    prompt: (start.frame == frame).then_some(&start.prompt),
                });
            }
            if !source.read(frame, &mut canvas)? {
                break;
            }
            sheet.add(at, frame, &canvas, &objects)?;
        }
        let name = sheet_file(&video.id, tag);
        write_png(&self.folder.join(&name), &sheet.into_canvas())?;
        Ok(Some(name))
    }

    fn start(
        &self,
        video: &Video,
        track: &ObjectTrack,
        kind: PromptKind,
    ) -> Result<ObjectStart, OverlayError> {
        ObjectStart::find(track, kind, video.frame_count(), self.most).map_err(OverlayError::Start)
    }

    /// The predicted mask of a frame.
    fn mask(
        &self,
        video: &Video,
        track: &ObjectTrack,
        tag: &str,
        frame: usize,
    ) -> Result<Mask, OverlayError> {
        let path = self.masks.path(tag, video, track, frame);
        let Some(path) = path.filter(|path| path.exists()) else {
            return Err(OverlayError::NoMask { frame });
        };
        let mask = image::read_mask_png(&path)?;
        if (mask.width(), mask.height()) != (video.width, video.height) {
            return Err(OverlayError::MaskSize {
                path,
                found_width: mask.width(),
                found_height: mask.height(),
                width: video.width,
                height: video.height,
            });
        }
        Ok(mask)
    }
}

impl Drop for Overlays {
    fn drop(&mut self) {
        self.forget_masks();
    }
}

/// The file of one object's overlay.
pub fn object_file(video: &str, object: &str, tag: &str) -> String {
    // Names of nested videos hold slashes.
    format!("{video}__obj{object}__{tag}.mp4").replace('/', "_")
}

/// The file of a video's contact sheet.
pub fn sheet_file(video: &str, tag: &str) -> String {
    format!("{video}__sheet__{tag}.png").replace('/', "_")
}

fn position(video: &Video, track: &ObjectTrack) -> usize {
    let found = video.objects.iter().position(|one| one.id == track.id);
    found.unwrap_or(0)
}

/// Frames per second of an overlay: SA-V's for folders of frames, a video file's own.
fn rate(video: &Video) -> u32 {
    let own = video.file.as_ref().and(video.fps());
    own.map_or(FPS, |fps| (fps.round() as u32).max(1))
}

fn truth(track: &ObjectTrack, frame: usize) -> Result<Option<Mask>, OverlayError> {
    let position = track.position_of(frame);
    Ok(position.map(|at| track.load(at)).transpose()?)
}

/// Writes a picture by way of a temporary file: it is there whole or not at all.
fn write_png(path: &Path, canvas: &Canvas) -> Result<(), OverlayError> {
    let write = || -> io::Result<()> {
        let side = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let mut part = files::temporary_beside(path)?;
        let mut file = BufWriter::new(part.as_file_mut());
        let mut encoder =
            png::Encoder::new(&mut file, side(canvas.width())?, side(canvas.height())?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(canvas.rgb())?;
        writer.finish()?;
        file.flush()?;
        drop(file);
        files::persist(part, path)
    };
    write().map_err(|source| OverlayError::Write {
        path: path.to_owned(),
        source,
    })
}
