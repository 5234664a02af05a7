//! Where engines are kept when nobody says.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Names the engines folder.
pub const ENGINES_ENV: &str = "MASKLET_ENGINES";

/// Where root's builds go (provisioning), and where everybody looks.
pub const SYSTEM_FOLDER: &str = "/var/lib/masklet/engines";

/// The folder that builds write to: `MASKLET_ENGINES`; for root [`SYSTEM_FOLDER`]; else
/// `$XDG_CACHE_HOME/masklet/engines`, `~/.cache/masklet/engines`.
pub fn default_folder() -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = var(ENGINES_ENV) {
        return folder;
    }
    // The owner of /proc/self is the effective user.
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    let cache = var("XDG_CACHE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| var("HOME").map(|home| home.join(".cache")));
    match cache {
        Some(cache) if !root => cache.join("masklet/engines"),
        _ => PathBuf::from(SYSTEM_FOLDER),
    }
}

/// The folders that engines are looked for in: the one that was named, or the default one and then
/// the system's.
pub fn search_folders(named: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = named {
        return vec![folder.to_owned()];
    }
    let mut folders = vec![default_folder()];
    let system = PathBuf::from(SYSTEM_FOLDER);
    if folders[0] != system && std::env::var_os(ENGINES_ENV).is_none_or(|v| v.is_empty()) {
        folders.push(system);
    }
    folders
}
