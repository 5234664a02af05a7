//! Frames from disk as 8-bit RGB, whichever decoder the build has.

use std::path::Path;

use crate::media::limits;

use super::header::{self, Format};
use super::{ImageError, probe_size, pure};

/// An 8-bit RGB image, `height` x `width` x 3, rows one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Red, green, blue per pixel; `height * width * 3` bytes.
    pub data: Vec<u8>,
}

/// Who decodes. Both refuse an EXIF orientation, drop alpha and make grey images RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// OpenCV's imgcodecs (libjpeg-turbo, libpng).
    #[cfg(feature = "opencv")]
    OpenCv,
    /// Pure-Rust crates; in every build.
    PureRust,
}

impl Decoder {
    /// OpenCV where it is compiled in, the pure-Rust decoder otherwise.
    pub const fn of_build() -> Self {
        #[cfg(feature = "opencv")]
        {
            Self::OpenCv
        }
        #[cfg(not(feature = "opencv"))]
        {
            Self::PureRust
        }
    }

    /// The decoder's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "opencv")]
            Self::OpenCv => "opencv",
            Self::PureRust => "pure-rust",
        }
    }

    /// Decodes the file at `path`, which must be `width` x `height` pixels, into `out`
    /// (`height * width * 3` bytes, RGB).
    ///
    /// # Errors
    /// The file cannot be read, is cut or damaged, or has another size; `out` has the wrong length.
    pub fn decode_into(
        self,
        path: &Path,
        width: usize,
        height: usize,
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        let expected = height.saturating_mul(width).saturating_mul(3);
        if out.len() != expected {
            return Err(ImageError::Buffer {
                what: "decoding a frame",
                expected,
                found: out.len(),
            });
        }
        let bytes = limits::read_file(path).map_err(|e| ImageError::read(path, e))?;
        self.decode_bytes(path, &bytes, width, height, out)
    }

    fn decode_bytes(
        self,
        path: &Path,
        bytes: &[u8],
        width: usize,
        height: usize,
        out: &mut [u8],
    ) -> Result<(), ImageError> {
        let format = header::sniff(path, bytes)?;
        if format == Format::Jpeg {
            header::check_jpeg_is_whole(path, bytes)?;
        }
        let target = Target {
            path,
            width,
            height,
            out,
        };
        // Before a decoder believes the header and takes memory for it.
        let (found_width, found_height) = header::size_in(path, bytes)?;
        target.check_size(found_width, found_height)?;
        match self {
            #[cfg(feature = "opencv")]
            Self::OpenCv => super::cv::decode(bytes, target),
            Self::PureRust => match format {
                Format::Jpeg => pure::decode_jpeg(bytes, target),
                Format::Png => pure::decode_png(bytes, target),
            },
        }
    }
}

/// Where decoded pixels go and what size they must have.
pub(crate) struct Target<'a> {
    pub path: &'a Path,
    pub width: usize,
    pub height: usize,
    pub out: &'a mut [u8],
}

impl Target<'_> {
    /// Refuses an image of another size.
    pub fn check_size(&self, width: usize, height: usize) -> Result<(), ImageError> {
        if (width, height) == (self.width, self.height) {
            return Ok(());
        }
        Err(ImageError::WrongSize {
            path: self.path.to_owned(),
            expected_width: self.width,
            expected_height: self.height,
            found_width: width,
            found_height: height,
        })
    }
}

/// Decodes with the build's decoder; see [`Decoder::decode_into`].
///
/// # Errors
/// As [`Decoder::decode_into`].
pub fn decode_into(
    path: &Path,
    width: usize,
    height: usize,
    out: &mut [u8],
) -> Result<(), ImageError> {
    Decoder::of_build().decode_into(path, width, height, out)
}

/// Decodes with `device` where the file is a JPEG, whole, that it takes (`Ok(true)`), else with the build's
/// decoder.
///
/// # Errors
/// As [`Decoder::decode_into`], and what `device` says.
pub fn decode_jpeg_with<E: std::fmt::Display>(
    path: &Path,
    width: usize,
    height: usize,
    out: &mut [u8],
    device: impl FnOnce(&[u8], &mut [u8]) -> Result<bool, E>,
) -> Result<(), ImageError> {
    let bytes = limits::read_file(path).map_err(|e| ImageError::read(path, e))?;
    if header::sniff(path, &bytes)? == Format::Jpeg {
        header::check_jpeg_is_whole(path, &bytes)?;
        if device(&bytes, out).map_err(|e| ImageError::device(path, e))? {
            return Ok(());
        }
    }
    Decoder::of_build().decode_bytes(path, &bytes, width, height, out)
}

/// Decodes a frame of whatever size it has with the build's decoder.
///
/// # Errors
/// The file cannot be read, is cut or damaged.
pub fn decode_rgb(path: &Path) -> Result<RgbImage, ImageError> {
    let (width, height) = probe_size(path)?;
    let mut data = vec![0; height * width * 3];
    decode_into(path, width, height, &mut data)?;
    Ok(RgbImage {
        height,
        width,
        data,
    })
}
