//! Where the `ffmpeg` and `ffprobe` programs are.

use super::error::VideoError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The two programs of one ffmpeg installation.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
}

impl Ffmpeg {
    /// Looks in the folder that `MASKLET_FFMPEG_DIR` names, else along `PATH`.
    ///
    /// # Errors
    /// [`VideoError::NoProgram`] when either program is not there.
    pub fn find() -> Result<Self, VideoError> {
        match std::env::var_os("MASKLET_FFMPEG_DIR") {
            Some(folder) => Self::in_folders(&[PathBuf::from(folder)], true),
            None => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                Self::in_folders(&std::env::split_paths(&path).collect::<Vec<_>>(), false)
            }
        }
    }

    pub(super) fn in_folders(folders: &[PathBuf], named: bool) -> Result<Self, VideoError> {
        let find = |program: &'static str| {
            let mut files = folders.iter().map(|folder| folder.join(program));
            files.find(|file| is_program(file)).ok_or_else(|| {
                let wanted = folders.iter().take(usize::from(named));
                let wanted = wanted.map(|folder| format!(" in {}", folder.display()));
                VideoError::NoProgram {
                    program,
                    wanted: wanted.collect(),
                }
            })
        };
        Ok(Self {
            ffmpeg: find("ffmpeg")?,
            ffprobe: find("ffprobe")?,
        })
    }

    /// The `ffmpeg` program.
    pub fn place(&self) -> &Path {
        &self.ffmpeg
    }

    /// A command of `ffmpeg` that asks nothing, reads no terminal and reports errors only.
    pub fn ffmpeg(&self) -> Command {
        self.at_level("error")
    }

    /// As [`Self::ffmpeg`], with a log of this level.
    pub fn at_level(&self, level: &str) -> Command {
        let mut command = Command::new(&self.ffmpeg);
        command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", level]);
        command
    }

    /// A command of `ffprobe` that reports errors only.
    pub fn ffprobe(&self) -> Command {
        let mut command = Command::new(&self.ffprobe);
        command.args(["-hide_banner", "-loglevel", "error"]);
        command
    }
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Ffmpeg::in_folders(&[folder.path().to_owned()], true).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&folder.path().display().to_string()),
            "{text}"
        );
        assert!(text.contains("apt-get install ffmpeg"), "{text}");
        let elsewhere = Ffmpeg::in_folders(&[], false).unwrap_err().to_string();
        assert!(elsewhere.contains("was not found;"), "{elsewhere}");
    }

    #[test]
    fn a_file_that_cannot_be_run_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        for program in ["ffmpeg", "ffprobe"] {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        assert!(Ffmpeg::in_folders(&[folder.path().to_owned()], true).is_err());
    }
}
