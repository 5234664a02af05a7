//! Decoding through OpenCV's imgcodecs.

use opencv::core::{Mat, Vec3b};
use opencv::prelude::*;
use opencv::{imgcodecs, imgproc};

use super::ImageError;
use super::decode::Target;

/// Decodes JPEG or PNG bytes and turns OpenCV's blue-green-red into RGB in place of the target.
pub(crate) fn decode(bytes: &[u8], target: Target<'_>) -> Result<(), ImageError> {
    let path = target.path;
    let failed = |e: opencv::Error| ImageError::damaged(path, format!("OpenCV: {}", e.message));
    let encoded = Mat::from_slice(bytes).map_err(failed)?;
    let flags = imgcodecs::IMREAD_COLOR | imgcodecs::IMREAD_IGNORE_ORIENTATION;
    let bgr = imgcodecs::imdecode(&encoded, flags).map_err(failed)?;
    if bgr.empty() {
        return Err(ImageError::damaged(path, "OpenCV finds no image in it"));
    }
    let side = |n: i32| usize::try_from(n).unwrap_or(0);
    target.check_size(side(bgr.cols()), side(bgr.rows()))?;
    let mut rgb = Mat::new_rows_cols_with_bytes_mut::<Vec3b>(bgr.rows(), bgr.cols(), target.out)
        .map_err(failed)?;
    imgproc::cvt_color_def(&bgr, &mut rgb, imgproc::COLOR_BGR2RGB).map_err(failed)
}
