//! Decoding with pure-Rust crates.
//!
//! JPEG goes through a port of libjpeg-turbo that is checked against the C library bit for bit, so
//! that a build without OpenCV sees the same pixels as one with it.

use std::io::Cursor;

use libjpeg_turbo_rs::{Decoder, PixelFormat};
use png::{ColorType, Transformations};

use super::ImageError;
use super::decode::Target;

pub(crate) fn decode_jpeg(bytes: &[u8], target: Target<'_>) -> Result<(), ImageError> {
    let path = target.path;
    let failed = |e: libjpeg_turbo_rs::JpegError| ImageError::damaged(path, e);
    let mut decoder = Decoder::new(bytes).map_err(failed)?;
    let header = decoder.header();
    target.check_size(usize::from(header.width), usize::from(header.height))?;
    decoder.set_output_format(PixelFormat::Rgb);
    decoder.decode_image_into(target.out).map_err(failed)?;
    Ok(())
}

pub(crate) fn decode_png(bytes: &[u8], target: Target<'_>) -> Result<(), ImageError> {
    let path = target.path;
    let failed = |e: png::DecodingError| match e {
        png::DecodingError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::truncated(
                path,
                format!("after {} bytes it ends inside its image data", bytes.len()),
            )
        }
        e => ImageError::damaged(path, e),
    };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = reader.info().size();
    target.check_size(width as usize, height as usize)?;
    let length = reader
        .output_buffer_size()
        .ok_or_else(|| ImageError::damaged(path, "its image is larger than memory"))?;
    let (colour, _) = reader.output_color_type();
    if colour == ColorType::Rgb && length == target.out.len() {
        reader.next_frame(target.out).map_err(failed)?;
        return Ok(());
    }
    let mut pixels = vec![0; length];
    reader.next_frame(&mut pixels).map_err(failed)?;
    let samples = colour.samples();
    let rgb = target.out.chunks_exact_mut(3);
    for (to, from) in rgb.zip(pixels.chunks_exact(samples)) {
        match *from {
            [v] | [v, _] => to.fill(v),
            [r, g, b, ..] => to.copy_from_slice(&[r, g, b]),
            [] => {}
        }
    }
    Ok(())
}
