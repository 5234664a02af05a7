//! Memory over all rows of a model, and whether it stays flat from video to video.

use std::collections::BTreeMap;

use super::{AllocatorMarks, MemoryMarks, MemorySummary, ObjectRow};
use crate::figures::stats::{Slope, fit_line_within};
use crate::machine::Reading;

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
        min_device_free_bytes: marks
            .iter()
            .filter_map(|m| m.device)
            .flat_map(|device| [device.free_before_bytes, device.free_after_bytes])
            .min(),
        rss_slope_per_video: slope,
        rss_flatness: slope.map(|slope| slope.flatness(TOLERANCE_BYTES)),
        rss_slope_per_frame: slope_per_frame(rows),
        allocator_allocated_bytes: allocator(&marks, |a| &a.allocated_peak_bytes),
        allocator_reserved_bytes: allocator(&marks, |a| &a.reserved_peak_bytes),
        allocator_inactive_split_bytes: allocator(&marks, |a| &a.inactive_split_peak_bytes),
    }
}

fn allocator(marks: &[&MemoryMarks], value: fn(&AllocatorMarks) -> &Reading<u64>) -> Option<u64> {
    let allocators = marks.iter().filter_map(|marks| marks.allocator.as_ref());
    allocators.filter_map(|a| value(a).get()).max()
}

/// Resident set over the frames of each clip, from when the memory bank is full. Objects that
/// advanced together were sampled together: the longest series stands for all of them.
fn slope_per_frame(rows: &[&ObjectRow]) -> Option<Slope> {
    type Clip<'a> = (u32, &'a str, Option<&'a str>);
    let mut clips: BTreeMap<Clip<'_>, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let (Some(memory), Some(timing)) = (&row.memory, &row.timing) else {
            continue;
        };
        let full = timing.bank_fill_frames.max(timing.warmup_frames);
        let samples = memory.rss_by_frame_bytes.iter().enumerate().skip(full);
        let series: Vec<(f64, f64)> = samples
            .map(|(frame, bytes)| (frame as f64, *bytes as f64))
            .collect();
        let alone = (row.lockstep_objects <= 1).then_some(row.key.object.as_str());
        let held = clips
            .entry((row.session, &row.key.video, alone))
            .or_default();
        if series.len() > held.len() {
            *held = series;
        }
    }
    let clips: Vec<&[(f64, f64)]> = clips.values().map(Vec::as_slice).collect();
    fit_line_within(&clips)
}

/// Resident set after the last object of each video over the video's number. A resumed run is
/// another process: each session has a level of its own, the slope is common.
fn rss_slope(rows: &[&ObjectRow]) -> Option<Slope> {
    let sessions = rss_after_videos(rows);
    let groups: Vec<&[(f64, f64)]> = sessions.iter().map(|(_, p)| p.as_slice()).collect();
    fit_line_within(&groups)
}

/// The points behind [`MemorySummary::rss_slope_per_video`], per session: the video's number in the
/// order of the run, and the resident set after its last object in bytes. The rows are those of one
/// model, in the order they were finished.
pub fn rss_after_videos(rows: &[&ObjectRow]) -> Vec<(u32, Vec<(f64, f64)>)> {
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
    sessions
}
