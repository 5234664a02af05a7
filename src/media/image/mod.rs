//! Images on their way in and masks on their way in and out.
//!
//! JPEG and PNG frames become 8-bit RGB ([`decode_into`]), RGB becomes the model's square
//! ([`Resizer`]) and its planar, normalised tensor ([`to_chw_normalized`]); a mask prompt becomes
//! the model's square mask ([`resize_mask_to_square`]); annotation PNGs become masks
//! ([`read_mask_png`], [`read_label_png`]) and masks become PNGs ([`write_mask_png`]).
//!
//! Two decoders do the same work: OpenCV's imgcodecs (feature `opencv`) and pure-Rust crates,
//! which are compiled in either case so that tests can hold one against the other. Resizing is the
//! same code in every build: OpenCV's bilinear resize has no antialiasing and would leave the
//! reference preprocessing.
//!
//! It reads no video containers, keeps no cache, and knows nothing of the layout of datasets.

#[cfg(feature = "opencv")]
mod cv;
mod decode;
mod error;
mod header;
mod mask_png;
mod mask_resize;
mod pure;
mod resize;

#[cfg(test)]
mod tests;

pub use decode::{Decoder, RgbImage, decode_into, decode_jpeg_with, decode_rgb};
pub use error::ImageError;
pub use header::probe_size;
pub use mask_png::{
    LabelMap, LabelReader, read_label_png, read_mask_png, write_label_png, write_mask_png,
};
pub use mask_resize::resize_mask_to_square;
pub use resize::{Resizer, to_chw_normalized};
