//! The PyTorch process: found, asked, started, watched, and what became of it in words.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::record::PyTorchRecord;
use super::{BaselineError, Job, Mode};
use crate::figures::stats;
use crate::machine::{Environment, SystemRoot};
use crate::process::Subprocess;

/// What the process prints goes here, in the baseline's folder.
pub const LOG: &str = "pytorch.log";
/// The job, in the baseline's folder.
pub const JOB: &str = "job.json";

const POLL: Duration = Duration::from_millis(100);
/// How long a process that was asked to end may take.
const GRACE: Duration = Duration::from_secs(10);
const ALLOCATOR: &str = "PYTORCH_CUDA_ALLOC_CONF";

/// The interpreter and the package.
#[derive(Clone, Debug)]
pub struct Tools {
    python: PathBuf,
    tools: PathBuf,
    jetson: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Exited(i32),
    /// By this signal; the flag says that the kernel's out-of-memory killer struck meanwhile.
    Killed {
        /// Signal number.
        signal: i32,
        /// Whether `/proc/vmstat` counted a victim of the out-of-memory killer meanwhile.
        out_of_memory: bool,
    },
    /// This program was told to stop and stopped it.
    Stopped,
}

/// The `tools` folder whose `package` holds `file`: the one that `MASKLET_TOOLS` names; else
/// `tools` (a checkout) or `share/masklet/tools` (an installed package) in one of the folders around
/// this program. The working directory may be anybody's and is not searched.
///
/// # Errors
/// [`BaselineError::NoTools`] when there is none.
pub fn find_tools(package: &'static str, file: &str) -> Result<PathBuf, BaselineError> {
    let holds = |tools: &PathBuf| tools.join(package).join(file).is_file();
    let found = if let Some(named) = std::env::var_os("MASKLET_TOOLS") {
        Some(PathBuf::from(named)).filter(holds)
    } else {
        let program = std::env::current_exe().ok();
        program.and_then(|program| {
            let mut tools = program
                .ancestors()
                .flat_map(|up| ["tools", "share/masklet/tools"].map(|tools| up.join(tools)));
            tools.find(holds)
        })
    };
    found.ok_or(BaselineError::NoTools { package })
}

/// Python, set to run `module` from `folders` and not from the working directory, which `-m` alone
/// would search first. (`-P` does the same, but came with Python 3.11.)
pub(crate) fn python_module(
    python: &Path,
    module: &str,
    folders: impl IntoIterator<Item = PathBuf>,
) -> Command {
    let mut path: Vec<PathBuf> = folders.into_iter().collect();
    if let Some(more) = std::env::var_os("PYTHONPATH") {
        // An empty or relative entry stands for the working directory or a folder in it.
        path.extend(std::env::split_paths(&more).filter(|folder| folder.is_absolute()));
    }
    let mut command = Command::new(python);
    if let Ok(joined) = std::env::join_paths(path) {
        command.env("PYTHONPATH", joined);
    }
    let start = format!(
        "import sys; sys.path[:] = [p for p in sys.path if p]; from runpy import run_module; \
         run_module({module:?}, run_name='__main__', alter_sys=True)"
    );
    command.args(["-c", &start]);
    command
}

impl Tools {
    /// Finds the package `tools/baseline` with [`find_tools`]. Without `python`, the checkout's
    /// `.venv` or `python3` is taken.
    ///
    /// # Errors
    /// [`BaselineError::NoTools`].
    pub fn find(python: Option<&Path>) -> Result<Self, BaselineError> {
        let tools = find_tools("baseline", "masklet_baseline/cli.py")?;
        let python = python.map_or_else(
            || {
                let own = tools.join("../.venv/bin/python");
                if own.is_file() { own } else { "python3".into() }
            },
            Path::to_owned,
        );
        Ok(Self {
            python,
            tools,
            jetson: Environment::read(&SystemRoot::real())
                .jetson_model
                .as_ref()
                .is_some(),
        })
    }

    fn command(&self) -> Command {
        let packages = ["baseline", "export"].map(|package| self.tools.join(package));
        let mut command = python_module(&self.python, "masklet_baseline", packages);
        if let Some(settings) = allocator_settings(self.jetson, std::env::var(ALLOCATOR).ok()) {
            // Newer PyTorch reads the second name; both must say the same.
            command.env(ALLOCATOR, &settings);
            command.env("PYTORCH_ALLOC_CONF", settings);
        }
        command
            .env("PYTHONUNBUFFERED", "1")
            .env("TOKENIZERS_PARALLELISM", "false")
            .env("HF_HUB_OFFLINE", "1");
        command
    }

    fn no_python(&self, source: std::io::Error) -> BaselineError {
        BaselineError::Python {
            python: self.python.display().to_string(),
            source,
        }
    }

    /// Asks whether the job could run: packages, device, weights. Nothing is left behind.
    ///
    /// # Errors
    /// [`BaselineError::Python`], [`BaselineError::NotReady`] with the process's own words.
    pub fn check(&self, job: &Job) -> Result<(), BaselineError> {
        let mut asked = job.clone();
        asked.supervised = false;
        let text = serde_json::to_vec(&asked)?;
        let mut command = self.command();
        command.args(["-", "--check"]);
        let output = Subprocess::output(&mut command, &text, None)
            .map_err(|source| self.no_python(source))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let why = last_line(&said).map_or_else(
            || format!("{} ended with {}", self.python.display(), output.status),
            |line| line.trim_start_matches("masklet_baseline: ").to_owned(),
        );
        Err(BaselineError::NotReady { why })
    }

    /// Writes the job into `folder`.
    ///
    /// # Errors
    /// [`BaselineError::File`].
    pub fn write_job(folder: &Path, job: &Job) -> Result<PathBuf, BaselineError> {
        let path = folder.join(JOB);
        let mut text = serde_json::to_vec_pretty(job)?;
        text.push(b'\n');
        crate::files::write_whole(&path, &text)
            .map_err(|source| file_error("write", &path, source))?;
        Ok(path)
    }

    /// What to type to run the job in `folder` by hand.
    pub fn by_hand(&self, folder: &Path) -> String {
        format!(
            "PYTHONPATH={}:{} {} -m masklet_baseline {}",
            self.tools.join("baseline").display(),
            self.tools.join("export").display(),
            self.python.display(),
            folder.join(JOB).display()
        )
    }

    /// Runs the job in `folder` to its end. `tick` is called ten times a second; what it returns
    /// says whether to stop.
    ///
    /// # Errors
    /// When the process cannot be started. However it ends is an [`Ending`].
    pub fn run(
        &self,
        folder: &Path,
        tick: &mut dyn FnMut() -> bool,
    ) -> Result<Ending, BaselineError> {
        let path = folder.join(LOG);
        let log = File::options()
            .create(true)
            .append(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&path);
        let log = log.map_err(|source| file_error("write", &path, source))?;
        let second = log
            .try_clone()
            .map_err(|source| file_error("write", &path, source))?;
        let victims = oom_victims(&SystemRoot::real());
        let mut command = self.command();
        command.arg(folder.join(JOB)).stdin(Stdio::null());
        command.stdout(log).stderr(second);
        let mut child = Subprocess::spawn(&mut command).map_err(|source| self.no_python(source))?;
        loop {
            let status = child.try_wait().map_err(|source| self.no_python(source))?;
            if let Some(status) = status {
                let killed = victims < oom_victims(&SystemRoot::real());
                return Ok(ending(status, killed));
            }
            if tick() {
                child.terminate(GRACE);
                return Ok(Ending::Stopped);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// On a Jetson expandable segments fail with gigabytes free (their driver calls are another kind of
/// memory there), so they are off; everything else that the user set stays. `None` to leave the
/// variable alone.
fn allocator_settings(jetson: bool, set: Option<String>) -> Option<String> {
    if !jetson {
        return None;
    }
    let set = set.unwrap_or_default();
    let kept = set
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty() && !part.starts_with("expandable_segments"));
    let off = std::iter::once("expandable_segments:False");
    Some(kept.chain(off).collect::<Vec<_>>().join(","))
}

fn ending(status: ExitStatus, out_of_memory: bool) -> Ending {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Ending::Killed {
            signal,
            out_of_memory,
        },
        (None, code) => Ending::Exited(code.unwrap_or(-1)),
    }
}

/// Processes that the kernel's out-of-memory killer has ended since boot.
fn oom_victims(root: &SystemRoot) -> u64 {
    let text = std::fs::read_to_string(root.path("/proc/vmstat")).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> BaselineError {
    BaselineError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The last line that says something.
fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|l| !l.is_empty())
}

/// The last thing that the process printed, at most so many characters of it.
pub fn last_words(folder: &Path) -> Option<String> {
    const MOST: usize = 300;
    let text = std::fs::read(folder.join(LOG)).ok()?;
    let tail = text.get(text.len().saturating_sub(8192)..)?;
    let line: String = last_line(&String::from_utf8_lossy(tail))?
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(MOST)
        .collect();
    Some(line)
}

/// What became of a baseline, in one sentence; `None` when it went through. `total` rows were asked
/// for.
pub fn verdict(
    mode: Mode,
    ending: Ending,
    record: &PyTorchRecord,
    total: usize,
    last_words: Option<&str>,
) -> Option<String> {
    let rows = record.rows.len();
    let how = match ending {
        Ending::Exited(0) if record.done && rows == total => return None,
        Ending::Exited(0) => {
            return Some(format!(
                "baseline ({mode}) ended without an error, but left {rows} of {total} objects{}",
                said(last_words)
            ));
        }
        Ending::Stopped => {
            return Some(format!(
                "baseline ({mode}) was stopped with {rows} of {total} objects finished"
            ));
        }
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Killed {
            signal,
            out_of_memory,
        } => {
            let name = signal_name(signal).map_or_else(String::new, |name| format!(", {name}"));
            let cause = match out_of_memory {
                true => "; the kernel's out-of-memory killer struck meanwhile",
                false => "",
            };
            format!("signal {signal}{name}{cause}")
        }
    };
    let Some(state) = &record.state else {
        return Some(format!(
            "baseline ({mode}) died before its first object ({how}){}",
            said(last_words)
        ));
    };
    if record.in_progress().is_empty() {
        return Some(format!(
            "baseline ({mode}) died after object {} of {} ({how}), {}{}",
            state
                .index
                .saturating_add(state.objects.len())
                .saturating_sub(1),
            state.total,
            memory(record),
            said(last_words)
        ));
    }
    Some(format!(
        "baseline ({mode}) died at object {} of {} ({how}; video {}, object {}, frame {}), {}{}",
        state.index,
        state.total,
        state.video,
        state.objects.join(", "),
        state.frame,
        memory(record),
        said(last_words)
    ))
}

fn said(last_words: Option<&str>) -> String {
    last_words.map_or_else(String::new, |words| format!("; it last printed: {words}"))
}

/// The last sign of life's memory in words.
fn memory(record: &PyTorchRecord) -> String {
    let Some(state) = &record.state else {
        return "no memory was recorded".to_owned();
    };
    match (state.reserved_bytes, state.rss_bytes) {
        (Some(reserved), _) => {
            let free = state.driver_free_bytes.map_or_else(String::new, |free| {
                format!(", {} free (as reported by the driver)", stats::bytes(free))
            });
            format!("last reserved {}{free}", stats::bytes(reserved))
        }
        (None, Some(rss)) => format!("last resident {}", stats::bytes(rss)),
        (None, None) => "no memory was recorded".to_owned(),
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::baseline::record::parse;

    #[test]
    fn python_takes_nothing_from_the_working_directory() {
        let folders = tempfile::tempdir().unwrap();
        for (folder, says) in [("ours", "ours"), ("planted", "planted")] {
            let package = folders.path().join(folder).join("program");
            std::fs::create_dir_all(&package).unwrap();
            let text = format!("print({says:?})\n");
            std::fs::write(package.join("__main__.py"), text).unwrap();
        }
        let planted = folders.path().join("planted");
        for module in ["runpy.py", "sys.py"] {
            std::fs::write(
                planted.join(module),
                "print('planted')\nraise SystemExit(7)\n",
            )
            .unwrap();
        }
        let ours = [folders.path().join("ours")];
        let ran = python_module(Path::new("python3"), "program", ours)
            .current_dir(&planted)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "ours\n", "{ran:?}");
    }

    #[test]
    fn expandable_segments_are_off_on_a_jetson_and_nothing_else_is_touched() {
        let off = |set: &str| allocator_settings(true, Some(set.to_owned())).unwrap();
        assert_eq!(
            allocator_settings(false, Some("expandable_segments:True".into())),
            None
        );
        assert_eq!(
            allocator_settings(true, None).unwrap(),
            "expandable_segments:False"
        );
        assert_eq!(
            off("max_split_size_mb:64,expandable_segments:True"),
            "max_split_size_mb:64,expandable_segments:False"
        );
    }

    #[test]
    fn a_death_is_one_sentence_with_the_place_and_the_memory() {
        let state = r#"{"state":{"model":"m_points","video":"v","objects":["7"],"index":3,"total":8,"frame":41,"rss_bytes":1048576,"reserved_bytes":851443712,"driver_free_bytes":1024}}"#;
        let record = parse(state.as_bytes(), &|_| true);
        let killed = |signal, out_of_memory| Ending::Killed {
            signal,
            out_of_memory,
        };
        let text = verdict(Mode::Upstream, killed(9, true), &record, 8, Some("oops")).unwrap();
        assert_eq!(
            text,
            "baseline (upstream) died at object 3 of 8 (signal 9, SIGKILL; the kernel's \
             out-of-memory killer struck meanwhile; video v, object 7, frame 41), last reserved \
             812.0 MiB, 1.0 KiB free (as reported by the driver); it last printed: oops"
        );
        let none = PyTorchRecord::default();
        let early = verdict(Mode::Best, killed(6, false), &none, 8, None).unwrap();
        assert!(
            early.contains("before its first object (signal 6, SIGABRT)"),
            "{early}"
        );
        let few = verdict(Mode::Best, Ending::Exited(0), &none, 8, None).unwrap();
        assert!(few.contains("left 0 of 8 objects"), "{few}");
        let done = parse(b"{\"done\":{}}\n", &|_| true);
        assert_eq!(verdict(Mode::Best, Ending::Exited(0), &done, 0, None), None);
    }
}
