//! One run: videos and objects go through the tracker, clocks run, rows come out.
//!
//! [`ring`] decodes ahead what `source` reads, [`pacer`] decides which frames of a live stream are
//! processed and `live` does it by the wall clock, [`session`] holds what lives as long as the run (backend, slab, warm-up),
//! [`clip`] takes the objects of one video through the tracker and scores them, [`clock`] keeps the
//! raw durations, `stage` lays a clip's memory out, `watch` joins clocks and telemetry,
//! [`MaskFiles`] says where masks lie, [`ObjectStart`] says where an object begins. Printing and files other than masks are the caller's.

pub mod clip;
pub mod clock;
pub mod error;
mod live;
mod masks;
pub mod pacer;
pub mod rate_search;
pub mod ring;
pub mod session;
mod source;
mod stage;
mod start;
mod watch;

pub use clip::run_clip;
pub use error::PipelineError;
pub use masks::MaskFiles;
pub use session::{JpegBy, ObjectMode, Rate, SaveMasks, Session, Settings};
pub use start::ObjectStart;
