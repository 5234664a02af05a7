//! Which videos of a dataset: lists, names asked for, shuffling, limits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::{DatasetError, SplitOptions, listing};

/// The selected video names and where they come from.
pub(super) struct Selection {
    pub list: Option<PathBuf>,
    pub available: usize,
    pub ids: Vec<String>,
    /// The list or folder, for messages.
    pub place: PathBuf,
}

impl Selection {
    /// Selects among the video folders of `frames`, or among the names in `list`.
    pub fn make(
        frames: &Path,
        folders: Vec<String>,
        list: Option<PathBuf>,
        options: &SplitOptions,
    ) -> Result<Self, DatasetError> {
        let place = list.clone().unwrap_or_else(|| frames.to_owned());
        let mut ids = match &list {
            Some(path) => listing::read_list(path)?,
            None => folders,
        };
        check_names(&ids, &place.display().to_string())?;
        let available = ids.len();
        if ids.is_empty() {
            return Err(DatasetError::EmptySplit { path: place });
        }
        if !options.videos.is_empty() {
            check_names(&options.videos, "the selection of videos")?;
            let known: HashSet<&String> = ids.iter().collect();
            if let Some(id) = options.videos.iter().find(|id| !known.contains(id)) {
                return Err(DatasetError::NotInSplit {
                    id: id.clone(),
                    path: place,
                    available,
                });
            }
            ids = options.videos.clone();
        }
        if options.shuffle {
            shuffle(&mut ids, options.seed);
        }
        truncate(&mut ids, options.limit_videos);
        Ok(Self {
            list,
            available,
            ids,
            place,
        })
    }
}

/// Keeps the first `limit`; 0 keeps all.
pub(super) fn truncate<T>(items: &mut Vec<T>, limit: usize) {
    if limit > 0 {
        items.truncate(limit);
    }
}

/// Refuses names that lead elsewhere than to a folder beside the others, and names given twice.
fn check_names(ids: &[String], place: &str) -> Result<(), DatasetError> {
    let mut seen = HashSet::new();
    for id in ids {
        if id.contains(['/', '\\', '\0']) || matches!(id.as_str(), "" | "." | "..") {
            return Err(DatasetError::BadName {
                place: place.to_owned(),
                id: id.clone(),
            });
        }
        if !seen.insert(id) {
            return Err(DatasetError::Twice {
                place: place.to_owned(),
                id: id.clone(),
            });
        }
    }
    Ok(())
}

/// Fisher-Yates from the last place down; each place draws one 32-bit number of ChaCha8 and scales
/// it to the places left.
fn shuffle(ids: &mut [String], seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..ids.len()).rev() {
        let draw = (u64::from(random.next_u32()) * (last as u64 + 1)) >> 32;
        ids.swap(last, draw as usize);
    }
}
