//! What lies in the two folders: videos, the frames that count, what is missing.
//!
//! Only names are looked at here; no image is opened.

use super::{FolderOptions, rule};
use crate::dataset::DatasetError;
use crate::dataset::layout::{MaskFolder, Masks, mask_root};
use crate::dataset::listing::{Listing, find};
use crate::dataset::pairing::{canonical, stem};
use crate::metrics::error::{Missing, ScoreError};
use crate::metrics::protocol::Protocol;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The predictions of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Predicted {
    /// There is none.
    Missing,
    /// A file that is filed as the ground truth's is.
    File(PathBuf),
    /// A binary mask per object, beside a ground truth of label maps.
    PerObject(BTreeMap<u32, PathBuf>),
}

/// One annotated frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The ground truth's file.
    pub gt: PathBuf,
    /// What was predicted.
    pub pred: Predicted,
    /// Whether it counts under the protocol. Those that do not are in the way of label maps only,
    /// where all maps together tell what their labels mean.
    pub counts: bool,
}

/// A folder of ground-truth masks: an object's, or a video's label maps.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub video: String,
    /// The object's folder name; `None` for label maps.
    pub object: Option<String>,
    /// Labels that have a folder of predictions, where those are filed per object.
    pub folders: Option<BTreeMap<u32, String>>,
    /// The annotated frames in order.
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
    /// Copies and foreign files, left out.
    pub ignored: usize,
    pub skips_ends: bool,
}

/// Finds what is to be scored.
pub(super) fn plan(gt: &Path, pred: &Path, options: &FolderOptions) -> Result<Plan, ScoreError> {
    check_folder(gt, "ground truth")?;
    check_folder(pred, "prediction")?;
    let gt = mask_root(gt);
    let videos = Listing::of(&gt)?.folders;
    if videos.is_empty() {
        return Err(ScoreError::NoVideos { path: gt });
    }
    let predicted = Listing::of(pred)?.folders;
    let extra_videos: Vec<String> = predicted
        .iter()
        .filter(|video| find(&videos, video).is_none())
        .cloned()
        .collect();
    if extra_videos.len() == predicted.len() {
        return Err(ScoreError::NothingInCommon {
            nearer: nearer(pred, &videos).or_else(|| nearer(&gt, &predicted)),
            gt_first: videos.first().cloned().unwrap_or_default(),
            pred_first: predicted.first().cloned(),
            gt,
            pred: pred.to_owned(),
        });
    }
    let mut plan = Plan {
        sources: Vec::new(),
        videos_total: videos.len(),
        frames_total: 0,
        missing: Missing {
            pred: pred.to_owned(),
            ..Missing::default()
        },
        extra_videos,
        ignored: 0,
        skips_ends: options.protocol == Protocol::Official && !options.with_first_and_last,
        gt,
    };
    for video in videos {
        let folder = find(&predicted, &video).map(|name| pred.join(name));
        plan.add_video(&video, folder.as_deref(), options)?;
    }
    Ok(plan)
}

/// The nearest folder in `dir`, or around it, with a folder of one of these names.
fn nearer(dir: &Path, names: &[String]) -> Option<PathBuf> {
    let names: HashSet<&String> = names.iter().collect();
    let fits = |path: &Path| {
        let inside = Listing::of(path).unwrap_or_default().folders;
        inside.iter().any(|name| names.contains(name))
    };
    let mut level = vec![dir.to_owned()];
    for _ in 0..4 {
        let inside = level.iter().flat_map(|path| {
            let folders = Listing::of(path).unwrap_or_default().folders;
            folders.into_iter().map(|name| path.join(name))
        });
        level = inside.take(1000).collect();
        if let Some(found) = level.iter().find(|path| fits(path)) {
            return Some(found.clone());
        }
    }
    let around = dir.ancestors().skip(1).take(3).filter(|path| path.is_dir());
    around.map(Path::to_owned).find(|path| fits(path))
}

impl Plan {
    fn add_video(
        &mut self,
        video: &str,
        pred: Option<&Path>,
        options: &FolderOptions,
    ) -> Result<(), ScoreError> {
        let gt = self.gt.join(video);
        let truth = MaskFolder::of(&gt)?;
        self.ignored += truth.ignored.len();
        let found = pred.map(MaskFolder::of).transpose()?;
        match (&found, pred) {
            (Some(found), _) => self.ignored += found.ignored.len(),
            (None, _) => self.missing.videos.push(video.to_owned()),
        }
        match truth.one_way(&gt)? {
            Masks::LabelMaps(maps) => self.add_maps(video, maps, found, options),
            Masks::PerObject(objects) => {
                if let (Some(found), Some(pred)) = (&found, pred)
                    && found.objects.is_empty()
                    && !found.maps.is_empty()
                {
                    return Err(ScoreError::LayoutMismatch {
                        video: video.to_owned(),
                        path: pred.to_owned(),
                    });
                }
                for (object, masks) in objects {
                    self.add_object(video, object, masks, found.as_ref(), options)?;
                }
                Ok(())
            }
        }
    }

    fn add_object(
        &mut self,
        video: &str,
        object: String,
        masks: Vec<PathBuf>,
        found: Option<&MaskFolder>,
        options: &FolderOptions,
    ) -> Result<(), ScoreError> {
        if masks.is_empty() {
            return Err(ScoreError::NoFrames {
                path: self.gt.join(video).join(object),
            });
        }
        let name = format!("{video}/{object}");
        let folder = found.map(|found| {
            let folders = found.objects.iter();
            folders.into_iter().find(|(other, _)| *other == object)
        });
        if folder == Some(None) {
            self.missing.objects.push(name.clone());
        }
        let files = folder.flatten().map(|(_, masks)| by_name(masks));
        let source = Source {
            video: video.to_owned(),
            object: Some(object),
            folders: None,
            frames: Vec::new(),
        };
        self.add_source(source, &name, masks, files.transpose()?, options);
        Ok(())
    }

    /// A video of label maps. Predictions per object are taken before maps where both are there:
    /// they may overlap.
    fn add_maps(
        &mut self,
        video: &str,
        maps: Vec<PathBuf>,
        found: Option<MaskFolder>,
        options: &FolderOptions,
    ) -> Result<(), ScoreError> {
        let mut source = Source {
            video: video.to_owned(),
            object: None,
            folders: None,
            frames: Vec::new(),
        };
        let Some(found) = found else {
            self.add_source(source, video, maps, None, options);
            return Ok(());
        };
        if found.objects.iter().all(|(_, masks)| masks.is_empty()) {
            let files = by_name(&found.maps)?;
            self.add_source(source, video, maps, Some(files), options);
            return Ok(());
        }
        let mut folders = BTreeMap::new();
        let mut files: HashMap<String, BTreeMap<u32, PathBuf>> = HashMap::new();
        for (object, masks) in found.objects {
            let Ok(label) = canonical(&object).parse::<u32>() else {
                self.ignored += 1;
                continue;
            };
            for (name, path) in by_name(&masks)? {
                files.entry(name).or_default().insert(label, path);
            }
            folders.insert(label, object);
        }
        source.folders = Some(folders);
        let rule = rule(options, maps.len());
        for (position, gt) in maps.into_iter().enumerate() {
            let counts = rule.includes(position);
            self.frames_total += usize::from(counts);
            let name = canonical(&stem(&gt));
            source.frames.push(Frame {
                pred: Predicted::PerObject(files.remove(&name).unwrap_or_default()),
                gt,
                counts,
            });
        }
        self.sources.push(source);
        Ok(())
    }

    /// Adds a source with its frames; `files` are the predicted files by name, `None` where the
    /// folder itself is missing.
    fn add_source(
        &mut self,
        mut source: Source,
        folder: &str,
        annotated: Vec<PathBuf>,
        files: Option<HashMap<String, PathBuf>>,
        options: &FolderOptions,
    ) {
        let rule = rule(options, annotated.len());
        for (position, gt) in annotated.into_iter().enumerate() {
            let mut counts = rule.includes(position);
            self.frames_total += usize::from(counts);
            let Some(files) = &files else {
                continue;
            };
            let file = files.get(&canonical(&stem(&gt))).cloned();
            if file.is_none() && counts {
                let name = gt.file_name().unwrap_or_default().to_string_lossy();
                self.missing.frames.push(format!("{folder}/{name}"));
                // Upstream counts a frame without prediction as 0; the official rules have no such
                // frame, so a partial run leaves it out.
                counts = options.protocol == Protocol::Upstream;
            }
            if counts || source.object.is_none() {
                source.frames.push(Frame {
                    gt,
                    pred: file.map_or(Predicted::Missing, Predicted::File),
                    counts,
                });
            }
        }
        if files.is_some() {
            self.sources.push(source);
        }
    }
}

/// Files by their names, zeros in front left out.
fn by_name(files: &[PathBuf]) -> Result<HashMap<String, PathBuf>, DatasetError> {
    let mut found = HashMap::with_capacity(files.len());
    for path in files {
        if let Some(first) = found.insert(canonical(&stem(path)), path.clone()) {
            return Err(DatasetError::AnnotationTwice {
                first,
                second: path.clone(),
            });
        }
    }
    Ok(found)
}

fn check_folder(path: &Path, role: &'static str) -> Result<(), ScoreError> {
    if path.is_dir() {
        return Ok(());
    }
    Err(ScoreError::NotAFolder {
        role,
        path: path.to_owned(),
    })
}
