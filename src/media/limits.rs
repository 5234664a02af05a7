//! What is believed of files that anybody may have made: sizes are checked before memory is taken.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The most pixels of a frame or mask: 8192 x 8192, twice what any camera of today gives.
pub(crate) const MOST_PIXELS: u64 = 1 << 26;
/// The longest side of a frame or mask, as JPEG has it.
pub(crate) const LONGEST_SIDE: u64 = 65_535;
/// The largest image, annotation or journal file that is read into memory.
const MOST_BYTES: u64 = 1 << 30;

/// Refuses sizes that no frame or mask has.
///
/// # Errors
/// The size and the limit, in words.
pub(crate) fn check_size(width: u64, height: u64) -> Result<(), String> {
    let pixels = width.checked_mul(height);
    if width > LONGEST_SIDE || height > LONGEST_SIDE || pixels.is_none_or(|n| n > MOST_PIXELS) {
        return Err(format!(
            "its header claims {width}x{height} pixels, more than the {MOST_PIXELS} that are read"
        ));
    }
    Ok(())
}

/// Reads a regular file. Pipes and devices, which could block or never end, are refused.
///
/// # Errors
/// The system's own, and what is not a regular file or is too large.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)?;
    let seen = file.metadata()?;
    if !seen.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    if seen.len() > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "it has {} bytes, more than the {MOST_BYTES} that are read",
                seen.len()
            ),
        ));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(seen.len() as usize)?;
    // It may have grown since; what is beyond the limit is not read.
    Read::by_ref(&mut file)
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a buffer `length` zeros, or gives an error where memory is short.
///
/// # Errors
/// [`io::ErrorKind::OutOfMemory`].
pub(crate) fn fill_zeros(bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
    bytes.clear();
    bytes.try_reserve_exact(length)?;
    bytes.resize(length, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_cameras_pass_and_bombs_do_not() {
        for (width, height) in [
            (0, 0),
            (1, 65_535),
            (3840, 2160),
            (7680, 4320),
            (8192, 8192),
        ] {
            check_size(width, height).unwrap();
        }
        for (width, height) in [
            (65_535, 65_535),
            (8193, 8192),
            (1 << 20, 1),
            (u64::MAX, u64::MAX),
        ] {
            assert!(check_size(width, height).is_err(), "{width}x{height}");
        }
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("00000.jpg");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = read_file(&pipe).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
        assert!(read_file(Path::new("/dev/zero")).is_err());
    }
}
