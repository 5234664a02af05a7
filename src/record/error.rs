//! Errors of the output side: what could not be written, and the way out.

use std::io::ErrorKind::*;
use std::path::Path;

use crate::error::{Error, ErrorClass};
use crate::figures::stats;

/// Output cannot be written. The text names the path, what was tried, the free bytes of a full
/// disk, and the fix.
pub(crate) fn storage(action: &str, path: &Path, source: std::io::Error) -> Error {
    let full = matches!(source.kind(), StorageFull | QuotaExceeded);
    let free = full.then(|| free_bytes(path)).flatten();
    let free = free.map_or_else(String::new, |free| {
        format!(" ({} free there)", stats::bytes(free))
    });
    let fix = match source.kind() {
        StorageFull | QuotaExceeded => {
            "free some space or choose another place with --out-dir, then continue with --resume"
        }
        PermissionDenied | ReadOnlyFilesystem => {
            "make it writable or choose another place with --out-dir"
        }
        NotADirectory | AlreadyExists => {
            "a file is in the way: choose another place with --out-dir"
        }
        _ => "choose another place with --out-dir",
    };
    let class = if full {
        ErrorClass::Passing
    } else {
        ErrorClass::Environment
    };
    let path = path.display();
    Error::new(
        class,
        format!("cannot {action} {path}: {source}{free}; {fix}"),
    )
    .with_source(source)
}

/// Bytes free to this user on the file system of a path, or of its nearest parent that exists.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let place = path.ancestors().find(|p| p.exists())?;
    let seen = rustix::fs::statvfs(place).ok()?;
    Some(seen.f_bavail.saturating_mul(seen.f_frsize))
}
