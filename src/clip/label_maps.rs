//! Label maps of predictions, for datasets that have label maps: what their evaluators and servers
//! take. They are made from the masks of the single objects, which stay beside them: objects may
//! overlap, a map cannot show that.

use super::masks::MaskFiles;
use crate::dataset::Video;
use crate::error::Result;
use crate::media::image::{self, LabelMap};
use std::path::Path;

/// Writes the label map of every frame of which the run writes masks, below `<tag>/<video>/`, from
/// the masks that are there. Of two objects on one pixel the one with the higher label is shown.
///
/// # Errors
/// A mask cannot be read, a map cannot be written.
pub(super) fn write(files: &MaskFiles, video: &Video, tag: &str) -> Result<()> {
    let labels = |object: &str| object.parse::<u32>().ok();
    let mut objects: Vec<_> = video
        .objects
        .iter()
        .filter_map(|track| Some((labels(&track.id)?, track)))
        .collect();
    objects.sort_by_key(|(label, _)| *label);
    let mut map = LabelMap::default();
    for frame in 0..video.frame_count() {
        let there = objects.iter().filter_map(|(label, track)| {
            let path = files.result(tag, video, track, frame)?;
            path.is_file().then_some((*label, path))
        });
        let there: Vec<_> = there.collect();
        let Some((_, first)) = there.first() else {
            continue;
        };
        let folder = first.parent().and_then(Path::parent);
        let Some(path) = folder.map(|video| video.join(first.file_name().unwrap_or_default()))
        else {
            continue;
        };
        (map.height, map.width) = (video.height, video.width);
        map.data.clear();
        map.data.resize(map.height * map.width, 0);
        for (label, path) in there {
            let mask = image::read_mask_png(&path)?;
            for (pixel, &set) in map.data.iter_mut().zip(mask.as_slice()) {
                if set {
                    *pixel = label;
                }
            }
        }
        image::write_label_png(&path, &map)?;
    }
    Ok(())
}
