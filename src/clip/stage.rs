//! The memory of one clip, laid out: regions, the ring of decoded frames, a tracker on top.
//!
//! Warm-up and clips go through the same function, so that warm-up touches the very addresses that
//! clips use: what a backend captures or allocates on first use is there before the first frame that
//! counts.

use super::session::{Session, SessionMemory};
use crate::error::{Error, Result};
use crate::track::{DeviceVideo, ObjectTask, TrackError, VideoTracker};
use masklet_engines::device::FrameSize;
use masklet_engines::memory::{PlanRow, Region, RegionKind, Tensor};

/// Lays a clip's memory out and runs `body` with the ring's slots, the tracker and the region in
/// which frames are opened.
///
/// # Errors
/// When the plan was too small (it is not), the backend fails, or `body` does.
pub(super) fn with_tracker<T, E>(
    session: &Session,
    memory: &mut SessionMemory,
    size: FrameSize,
    tasks: Vec<ObjectTask>,
    num_frames: usize,
    body: impl for<'r> FnOnce(Vec<Tensor<'r>>, &mut VideoTracker<'r>, &'r Region<'r>) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<Error> + From<TrackError>,
{
    let layout = &session.layout;
    let demand = layout.demand();
    let needs = session.backend.requirements(demand.frames, demand.objects);
    let process = memory.arena.root(RegionKind::Process);
    let video = process.enter(RegionKind::Video).map_err(arena)?;
    let staging = memory
        .staging
        .as_mut()
        .map(|staging| staging.root(RegionKind::Video));
    let beside = staging.as_ref().unwrap_or(&video);
    let slots = (0..layout.ring_frames())
        .map(|_| beside.alloc(&layout.ring_slot))
        .collect::<Result<Vec<_>, _>>()
        .map_err(arena)?;
    let [feat, feat_s0, feat_s1, attended] = &layout.features;
    let features = [
        video.alloc(feat).map_err(arena)?,
        video.alloc(feat_s0).map_err(arena)?,
        video.alloc(feat_s1).map_err(arena)?,
        video.alloc(attended).map_err(arena)?,
    ];
    let on_device = match (session.backend.device().frames(), &staging) {
        (Some(frames), Some(staging)) => Some(DeviceVideo {
            frames,
            size,
            video: all(&video, &needs.ends.video)?,
            staging: all(staging, &needs.ends.staging)?,
            masks: session.settings.run.fill_holes == 0,
        }),
        _ => None,
    };
    let objects = video.enter(RegionKind::ObjectBatch).map_err(arena)?;
    let mut tracker = VideoTracker::new(
        &session.backend,
        session.bundle.manifest(),
        layout,
        features,
        &objects,
        tasks,
        num_frames,
    )?;
    if let Some(device) = on_device {
        let staged = slots.first().map(|slot| slot.view());
        let staged = staged.as_ref().and_then(|view| view.as_slice().ok());
        tracker = tracker.on_device(device, staged.unwrap_or_default())?;
    }
    if session.settings.run.no_memory {
        tracker = tracker.without_memory();
    }
    body(slots, &mut tracker, &objects)
}

/// One tensor for every row, as often as the row says.
fn all<'r>(region: &'r Region<'_>, rows: &[PlanRow]) -> Result<Vec<Tensor<'r>>> {
    rows.iter()
        .flat_map(|row| std::iter::repeat_n(row, row.count))
        .map(|row| region.alloc(row).map_err(arena))
        .collect()
}

fn arena(error: masklet_engines::memory::ArenaError) -> Error {
    error.into()
}
