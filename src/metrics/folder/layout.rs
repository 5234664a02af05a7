//! What lies in the two folders: videos, their layout, the frames that count, what is missing.
//!
//! Only names are looked at here; no image is opened.

use super::{FolderOptions, rule};
use crate::metrics::error::{Missing, ScoreError};
use crate::metrics::protocol::Protocol;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How the masks of a video are filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `video/object/frame.png`, one binary mask per file.
    SaV,
    /// `video/frame.png`, values are object numbers.
    Davis,
}

impl Layout {
    fn name(self) -> &'static str {
        match self {
            Self::SaV => "SA-V",
            Self::Davis => "DAVIS",
        }
    }
}

/// One annotated frame that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The file's name, the same in ground truth and prediction.
    pub name: String,
    /// Whether there is a prediction of it.
    pub predicted: bool,
}

/// A folder of masks: an object in SA-V layout, a whole video in DAVIS layout.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub video: String,
    /// The object's folder name in SA-V layout.
    pub object: Option<String>,
    pub layout: Layout,
    pub gt: PathBuf,
    pub pred: PathBuf,
    /// The frames to be scored, in order.
    pub frames: Vec<Frame>,
}

/// All there is to score.
#[derive(Debug)]
pub(super) struct Plan {
    /// The folder that holds the ground-truth videos.
    pub gt: PathBuf,
    pub sources: Vec<Source>,
    pub videos_total: usize,
    pub frames_total: usize,
    pub missing: Missing,
    pub extra_videos: Vec<String>,
    pub skips_ends: bool,
}

/// Names in a folder, sorted; hidden files and files that are no PNG are left out.
#[derive(Debug, Default)]
struct Listing {
    folders: Vec<String>,
    pngs: Vec<String>,
}

/// Finds what is to be scored.
pub(super) fn plan(gt: &Path, pred: &Path, options: &FolderOptions) -> Result<Plan, ScoreError> {
    check_folder(gt, "ground truth")?;
    check_folder(pred, "prediction")?;
    let gt = annotation_folder(gt);
    let videos = Listing::of(&gt)?.folders;
    if videos.is_empty() {
        return Err(ScoreError::NoVideos { path: gt });
    }
    let predicted: HashSet<String> = Listing::of(pred)?.folders.into_iter().collect();
    let known: HashSet<&String> = videos.iter().collect();
    let mut extra_videos: Vec<String> = predicted
        .iter()
        .filter(|video| !known.contains(video))
        .cloned()
        .collect();
    extra_videos.sort();
    let mut plan = Plan {
        sources: Vec::new(),
        videos_total: videos.len(),
        frames_total: 0,
        missing: Missing {
            pred: pred.to_owned(),
            ..Missing::default()
        },
        extra_videos,
        skips_ends: options.protocol == Protocol::Official && !options.with_first_and_last,
        gt,
    };
    for video in videos {
        plan.add_video(&video, pred, predicted.contains(&video), options)?;
    }
    Ok(plan)
}

impl Plan {
    fn add_video(
        &mut self,
        video: &str,
        pred: &Path,
        predicted: bool,
        options: &FolderOptions,
    ) -> Result<(), ScoreError> {
        let (gt, pred) = (self.gt.join(video), pred.join(video));
        let listing = Listing::of(&gt)?;
        let layout = listing.layout(&gt)?;
        let found = match predicted {
            true => Listing::of(&pred)?,
            false => Listing::default(),
        };
        if predicted {
            let other = match layout {
                Layout::SaV => found.folders.is_empty() && !found.pngs.is_empty(),
                Layout::Davis => found.pngs.is_empty() && !found.folders.is_empty(),
            };
            if other {
                let pred_layout = found.layout(&pred)?;
                return Err(ScoreError::LayoutMismatch {
                    video: video.to_owned(),
                    gt: layout.name(),
                    pred: pred_layout.name(),
                    path: pred,
                });
            }
        } else {
            self.missing.videos.push(video.to_owned());
        }
        match layout {
            Layout::Davis => {
                let source = Source {
                    video: video.to_owned(),
                    object: None,
                    layout,
                    gt,
                    pred,
                    frames: Vec::new(),
                };
                self.add_source(
                    source,
                    listing.pngs,
                    predicted.then_some(found.pngs),
                    options,
                );
            }
            Layout::SaV => {
                for object in listing.folders {
                    let source = Source {
                        video: video.to_owned(),
                        gt: gt.join(&object),
                        pred: pred.join(&object),
                        layout,
                        frames: Vec::new(),
                        object: Some(object),
                    };
                    self.add_object(source, predicted, &found, options)?;
                }
            }
        }
        Ok(())
    }

    fn add_object(
        &mut self,
        source: Source,
        video_predicted: bool,
        found: &Listing,
        options: &FolderOptions,
    ) -> Result<(), ScoreError> {
        let annotated = Listing::of(&source.gt)?.pngs;
        if annotated.is_empty() {
            return Err(ScoreError::NoFrames { path: source.gt });
        }
        let object = source.object.clone().unwrap_or_default();
        let files = match found.folders.binary_search(&object) {
            Ok(_) => Some(Listing::of(&source.pred)?.pngs),
            Err(_) => {
                if video_predicted {
                    let name = format!("{}/{object}", source.video);
                    self.missing.objects.push(name);
                }
                None
            }
        };
        self.add_source(source, annotated, files, options);
        Ok(())
    }

    /// Adds a source with the frames that count; `files` are the predicted files, `None` where the
    /// folder itself is missing.
    fn add_source(
        &mut self,
        mut source: Source,
        annotated: Vec<String>,
        files: Option<Vec<String>>,
        options: &FolderOptions,
    ) {
        let rule = rule(options, annotated.len());
        let folder = match &source.object {
            Some(object) => format!("{}/{object}", source.video),
            None => source.video.clone(),
        };
        for (position, name) in annotated.into_iter().enumerate() {
            if !rule.includes(position) {
                continue;
            }
            self.frames_total += 1;
            let Some(files) = &files else {
                continue;
            };
            let predicted = files.binary_search(&name).is_ok();
            if !predicted {
                self.missing.frames.push(format!("{folder}/{name}"));
            }
            // Upstream counts a frame without prediction as 0; the official rules have no such
            // frame, so a partial run leaves it out.
            if predicted || options.protocol == Protocol::Upstream {
                source.frames.push(Frame { name, predicted });
            }
        }
        if files.is_some() {
            self.sources.push(source);
        }
    }
}

impl Listing {
    fn of(path: &Path) -> Result<Self, ScoreError> {
        let failed = |source| ScoreError::List {
            path: path.to_owned(),
            source,
        };
        let mut listing = Self::default();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(ScoreError::Name { path: entry.path() });
            };
            if name.starts_with('.') {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            if is_folder {
                listing.folders.push(name);
            } else if name.ends_with(".png") {
                listing.pngs.push(name);
            }
        }
        listing.folders.sort();
        listing.pngs.sort();
        Ok(listing)
    }

    /// The layout of a video folder that lists these names.
    fn layout(&self, path: &Path) -> Result<Layout, ScoreError> {
        let path = || path.to_owned();
        match (self.folders.is_empty(), self.pngs.is_empty()) {
            (true, true) => Err(ScoreError::NoFrames { path: path() }),
            (false, true) => Ok(Layout::SaV),
            (true, false) => Ok(Layout::Davis),
            (false, false) => Err(ScoreError::MixedLayout { path: path() }),
        }
    }
}

fn check_folder(path: &Path, role: &'static str) -> Result<(), ScoreError> {
    match path.is_dir() {
        true => Ok(()),
        false => Err(ScoreError::NotAFolder {
            role,
            path: path.to_owned(),
        }),
    }
}

/// The folder of video folders: the given one, or the annotations inside a split folder.
fn annotation_folder(path: &Path) -> PathBuf {
    ["Annotations_6fps", "Annotations/480p", "Annotations"]
        .iter()
        .map(|inner| path.join(inner))
        .find(|inner| inner.is_dir())
        .unwrap_or_else(|| path.to_owned())
}
