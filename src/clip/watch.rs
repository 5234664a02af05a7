//! Telemetry around one clip: its samples, and energy over the frames that the clock measured.

use super::clock::ClipClock;
use crate::machine::{FrameInterval, Mark, Telemetry, TelemetryMarks, clip_marks};
use std::sync::Arc;

/// Telemetry of a clip in progress; without telemetry it does nothing.
pub(super) struct Watch(Option<(Arc<Telemetry>, Mark)>);

impl Watch {
    /// Begins with a sample.
    pub fn begin(telemetry: Option<&Arc<Telemetry>>) -> Self {
        Self(telemetry.map(|telemetry| (Arc::clone(telemetry), telemetry.mark())))
    }

    /// Ends with a sample: the marks of the clip's objects (frames from, before), in their order;
    /// none without telemetry or when the clip failed.
    pub fn end(self, clock: Option<&ClipClock>, objects: &[(usize, usize)]) -> Vec<TelemetryMarks> {
        let (Some((telemetry, mark)), Some(clock)) = (self.0, clock) else {
            return Vec::new();
        };
        let span = telemetry.since(&mark);
        let frames: Vec<FrameInterval> = clock
            .walls()
            .map(|(frame, began, wall)| {
                let from_s = telemetry.seconds(began);
                FrameInterval {
                    frame,
                    from_s,
                    to_s: from_s + wall.as_secs_f64(),
                }
            })
            .collect();
        clip_marks(&span, &frames, objects)
    }
}
