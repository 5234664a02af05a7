//! Where a dataset's frames and masks lie, for `run` and `score` alike. Only names are looked at.

use std::path::{Path, PathBuf};

use super::listing::Listing;
use super::pairing::{described, sift};
use super::{DatasetError, Layout};

/// Folders of frames, each with the folder of masks that belongs to it.
const PAIRS: [(&str, &[&str], Layout); 3] = [
    ("JPEGImages_24fps", &["Annotations_6fps"], Layout::SaV),
    (
        "JPEGImages",
        &["Annotations", "Annotations_unsupervised"],
        Layout::Davis,
    ),
    ("images", &["masks"], Layout::Davis),
];
/// Folders between those and the videos that releases have, the usual one first.
const RESOLUTIONS: [&str; 6] = ["480p", "Full-Resolution", "1080p", "720p", "1440p", "2160p"];

/// The folders that hold the videos' frames and masks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Roots {
    pub layout: Layout,
    pub frames: PathBuf,
    pub masks: PathBuf,
}

impl Roots {
    /// Finds them in a dataset's folder.
    ///
    /// # Errors
    /// A folder is missing; the text tells what is there instead.
    pub fn find(dir: &Path) -> Result<Self, DatasetError> {
        for (frames, masks, layout) in PAIRS {
            let outer = dir.join(frames);
            if !outer.is_dir() {
                continue;
            }
            let missing = |path: PathBuf| {
                Err(DatasetError::NoFolder {
                    what: match layout {
                        Layout::SaV => "annotation folder of the SA-V layout",
                        _ => "annotation folder of the DAVIS layout",
                    },
                    path,
                })
            };
            let there: Vec<PathBuf> = masks.iter().map(|name| dir.join(name)).collect();
            let there: Vec<PathBuf> = there.into_iter().filter(|path| path.is_dir()).collect();
            let Some(first) = there.first() else {
                return missing(dir.join(masks[0]));
            };
            let resolutions: Vec<&str> = RESOLUTIONS
                .into_iter()
                .filter(|name| outer.join(name).is_dir())
                .collect();
            let Some(usual) = resolutions.first() else {
                return Ok(Self {
                    layout,
                    frames: outer,
                    masks: first.clone(),
                });
            };
            let both = resolutions.iter().find_map(|name| {
                let masks = there.iter().map(|masks| masks.join(name));
                Some((name, masks.into_iter().find(|path| path.is_dir())?))
            });
            return match both {
                Some((name, masks)) => Ok(Self {
                    layout,
                    frames: outer.join(name),
                    masks,
                }),
                None => missing(first.join(usual)),
            };
        }
        Err(DatasetError::NoLayout {
            path: dir.to_owned(),
            found: Listing::of(dir).map_or_else(|e| e.to_string(), |l| described(&l)),
            nearer: nearer(dir),
        })
    }
}

/// Folders inside `dir` that are datasets.
fn nearer(dir: &Path) -> Vec<PathBuf> {
    let is_dataset = |path: &Path| PAIRS.iter().any(|(frames, ..)| path.join(frames).is_dir());
    let inside = Listing::of(dir).map(|listing| listing.folders);
    let mut found: Vec<PathBuf> = inside
        .unwrap_or_default()
        .iter()
        .map(|n| dir.join(n))
        .collect();
    let parents = dir.ancestors().skip(1).take(3).map(Path::to_owned);
    found.extend(parents);
    found.retain(|path| is_dataset(path));
    found
}

/// The folder of video folders that a path means: the masks inside of a dataset, or the path
/// itself, one folder of a resolution further in where that is all there is.
pub(crate) fn mask_root(path: &Path) -> PathBuf {
    let named = PAIRS.iter().flat_map(|(_, masks, _)| masks.iter());
    let inner = named.map(|name| path.join(name)).find(|path| path.is_dir());
    let outer = inner.unwrap_or_else(|| path.to_owned());
    let resolution = RESOLUTIONS.iter().map(|name| outer.join(name));
    resolution
        .into_iter()
        .find(|path| path.is_dir())
        .unwrap_or(outer)
}

/// The mask files of one video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Masks {
    /// One folder per object, by name; the files of each are PNGs of one object.
    PerObject(Vec<(String, Vec<PathBuf>)>),
    /// One label map per frame.
    LabelMaps(Vec<PathBuf>),
}

/// What lies in a video's folder of masks.
#[derive(Clone, Debug, Default)]
pub(crate) struct MaskFolder {
    /// Object folders with their masks.
    pub objects: Vec<(String, Vec<PathBuf>)>,
    /// Label maps.
    pub maps: Vec<PathBuf>,
    /// Copies and foreign files, left out.
    pub ignored: Vec<String>,
}

impl MaskFolder {
    /// Lists a video's folder of masks.
    ///
    /// # Errors
    /// A folder cannot be read, or its files follow two naming schemes.
    pub fn of(dir: &Path) -> Result<Self, DatasetError> {
        let listing = Listing::of(dir)?;
        let mut folder = Self {
            maps: masks_in(dir, &listing)?.0,
            ..Self::default()
        };
        folder.ignored = masks_in(dir, &listing)?.1;
        for object in listing.folders {
            let inner = dir.join(&object);
            let (masks, ignored) = masks_in(&inner, &Listing::of(&inner)?)?;
            folder.objects.push((object, masks));
            folder.ignored.extend(ignored);
        }
        Ok(folder)
    }

    /// The masks, one way or the other.
    ///
    /// # Errors
    /// None, or both ways.
    pub fn one_way(self, dir: &Path) -> Result<Masks, DatasetError> {
        let any = self.objects.iter().any(|(_, masks)| !masks.is_empty());
        match (any, self.maps.is_empty()) {
            (true, false) => Err(DatasetError::BothWays {
                path: dir.to_owned(),
            }),
            (_, false) => Ok(Masks::LabelMaps(self.maps)),
            (true, true) => Ok(Masks::PerObject(self.objects)),
            (false, true) => Err(DatasetError::NoMasks {
                path: dir.to_owned(),
                found: Listing::of(dir).map_or_else(|e| e.to_string(), |l| described(&l)),
            }),
        }
    }
}

fn masks_in(dir: &Path, listing: &Listing) -> Result<(Vec<PathBuf>, Vec<String>), DatasetError> {
    let sifted = sift(dir, listing.with_extension(&["png"]))?;
    let mut ignored = sifted.ignored;
    ignored.extend(listing.foreign.iter().cloned());
    let paths = sifted.names.iter().map(|name| dir.join(name)).collect();
    Ok((paths, ignored))
}
