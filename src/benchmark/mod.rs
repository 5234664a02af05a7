//! A run from what it was asked for to its folder: the core that everything else is built around.
//!
//! [`Spec`] is plain data. [`Prepared`] has read the split, opened bundles and backends and made the
//! memory plan. [`Benchmark::execute`] runs it into a run folder and tells [`Events`] what happens;
//! the [`Outcome`] is what came of it. Nothing here prints or parses; `shard` selects the videos of
//! one machine, `rate` searches for the highest rate that is kept up with, `overlays` has masks
//! drawn.
//!
//! ```no_run
//! use masklet::benchmark::{Benchmark, Spec};
//!
//! let mut spec = Spec::default();
//! spec.pinned.data.split_dir = Some("sav_val".into());
//! let outcome = Benchmark::execute(&spec, &mut ())?;
//! println!("{}: {} objects", outcome.folder.display(), outcome.summary.counts.ok);
//! # Ok::<(), masklet::error::Error>(())
//! ```

mod data;
mod events;
mod execute;
mod models;
mod overlays;
mod prepare;
mod rate;
mod shard;

pub use crate::spec::{
    ClipPrompt, Data, Engine, Free, JpegBy, Models, ObjectMode, OpenMode, Pinned, Place, Rate,
    SaveMasks, Shard, Spec, VideoPath,
};
pub(crate) use data::{most_objects, open_split};
pub use events::{Events, ModelReady, VideoBegan};
pub use execute::{Benchmark, Outcome};
pub use models::{ModelRun, bundle_record, open_models};
pub use prepare::{Prepared, PreparedModel};
