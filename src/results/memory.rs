//! Memory over all rows of a model, and whether it stays flat from video to video.

use super::{MemoryMarks, MemorySummary, ObjectRow};
use crate::stats::{Slope, fit_line_within};

/// Growth of the resident set over a whole run that is not worth a verdict: allocators take
/// memory in pieces of about this size.
const TOLERANCE_BYTES: f64 = 1024.0 * 1024.0;

/// Summary of rows in the order they were finished.
pub(super) fn memory_summary(rows: &[&ObjectRow]) -> MemorySummary {
    let marks: Vec<&MemoryMarks> = rows.iter().filter_map(|row| row.memory.as_ref()).collect();
    let arenas: Vec<_> = marks.iter().filter_map(|m| m.arena.as_ref()).collect();
    let slope = rss_slope(rows);
    MemorySummary {
        arena_slab_bytes: arenas.iter().map(|arena| arena.slab_bytes).max(),
        arena_peak_bytes: arenas.iter().map(|arena| arena.peak_bytes).max(),
        arena_on_device: arenas.iter().map(|arena| arena.on_device).max(),
        arena_rows_not_returned: (!arenas.is_empty()).then(|| {
            let stayed = arenas.iter().filter(|a| a.before_bytes != a.after_bytes);
            stayed.count()
        }),
        outside_allocations: arenas
            .iter()
            .filter_map(|arena| arena.outside_allocations)
            .max(),
        peak_rss_bytes: marks.iter().filter_map(|m| m.rss_peak_bytes.get()).max(),
        peak_pss_bytes: marks.iter().filter_map(|m| m.pss_after_bytes.get()).max(),
        min_available_bytes: marks
            .iter()
            .flat_map(|m| {
                [
                    m.available_before_bytes.get(),
                    m.available_after_bytes.get(),
                ]
            })
            .flatten()
            .min(),
        rss_slope_per_video: slope,
        rss_flatness: slope.map(|slope| slope.flatness(TOLERANCE_BYTES)),
    }
}

/// Resident set after the last object of each video over the video's number. A resumed run is
/// another process: each session has a level of its own, the slope is common.
fn rss_slope(rows: &[&ObjectRow]) -> Option<Slope> {
    let mut videos: Vec<(u32, &str, Option<u64>)> = Vec::new();
    for row in rows {
        let rss = row.memory.as_ref().and_then(|m| m.rss_after_bytes.get());
        match videos.last_mut() {
            Some((session, video, last))
                if (*session, *video) == (row.session, row.key.video.as_str()) =>
            {
                *last = rss.or(*last);
            }
            _ => videos.push((row.session, &row.key.video, rss)),
        }
    }
    let mut sessions: Vec<(u32, Vec<(f64, f64)>)> = Vec::new();
    for (number, (session, _, rss)) in videos.into_iter().enumerate() {
        let Some(rss) = rss else { continue };
        let point = (number as f64, rss as f64);
        match sessions.last_mut() {
            Some((of, points)) if *of == session => points.push(point),
            _ => sessions.push((session, vec![point])),
        }
    }
    let groups: Vec<&[(f64, f64)]> = sessions.iter().map(|(_, p)| p.as_slice()).collect();
    fit_line_within(&groups)
}
