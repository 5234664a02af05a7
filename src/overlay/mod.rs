//! Overlays: what a run predicted, drawn onto the frames it saw.
//!
//! Per object a video at the frames' own size and 24 fps ([`Overlays::object`]): the predicted mask
//! as a translucent fill with its contour, ground truth as a white contour on annotated frames, the
//! prompt. Per video a contact sheet ([`Overlays::sheet`]): evenly spaced frames, all objects.
//!
//! `frame` and `sheet` draw, on a `canvas`, with `outline`s of masks, `mark`s of prompts, `caption`s
//! in bitmap `text`; `files` reads and writes. Nothing here is timed: a video is drawn when it has
//! been tracked and scored, with one frame and its masks in memory at a time. It predicts nothing and
//! scores nothing.

mod canvas;
mod caption;
mod error;
mod files;
mod frame;
mod mark;
mod outline;
mod palette;
mod scale;
mod sheet;
mod source;
mod text;

pub use canvas::Canvas;
pub use error::OverlayError;
pub use files::{FPS, ObjectNote, Overlays, object_file, sheet_file};
pub use frame::{FILL_ALPHA, ObjectOnVideo, ObjectPainter};
pub use palette::{Colour, object as object_colour};
pub use sheet::{CELLS, Grid, pick_frames};
