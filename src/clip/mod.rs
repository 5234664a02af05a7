//! One clip: some objects of one video through the tracker; clocks run, rows come out.
//!
//! [`ring`] decodes ahead what `source` reads, [`pacer`] decides which frames of a live stream are
//! processed and `live` does it by the wall clock, [`session`] holds what lives as long as the run
//! (backend, slab, warm-up), [`run`] takes the objects of one video through the tracker and scores
//! them, `frames` is its loop over frames, `objects` their masks and scores, [`clock`] keeps the raw durations, `stage` lays a clip's memory out, `watch` joins clocks and
//! telemetry, [`MaskFiles`] names where masks lie, [`ObjectStart`] where an object begins. Printing
//! and files other than masks are the caller's.

pub mod clock;
mod frames;
mod label_maps;
mod live;
mod masks;
mod objects;
pub mod pacer;
mod rescore;
pub mod ring;
pub mod run;
pub mod session;
mod source;
mod stage;
mod start;
mod watch;

pub use masks::MaskFiles;
pub use rescore::score_files;
pub use run::{frame_limits, mask_file_name, run_clip};
pub use session::{Session, Settings};
pub use start::ObjectStart;
