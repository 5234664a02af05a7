//! Child processes: waits that end, a tail of standard error, killed when dropped.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a program may neither take nor give a byte.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// Bytes of standard error that are kept: the end.
const TAIL: usize = 16 << 10;
/// The largest answer that is read.
const MOST_OUTPUT: u64 = 64 << 20;
const POLL: Duration = Duration::from_millis(10);
/// How long standard error may stay open behind the program's end, in the hands of its children.
const LINGER: Duration = Duration::from_secs(2);

/// A running child process.
#[derive(Debug)]
pub(crate) struct Subprocess {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    tail: Option<Receiver<Vec<u8>>>,
    /// Whether it leads a process group of its own.
    group: bool,
}

/// What a program answered.
#[derive(Debug)]
pub(crate) struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The end of standard error.
    pub stderr: Vec<u8>,
}

impl Subprocess {
    /// Starts a program in a process group of its own: a Ctrl-C at the terminal is this program's
    /// to act on, and what the program starts ends with it.
    ///
    /// # Errors
    /// The system's own.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        Self::spawn_heard(command, |_| {})
    }

    /// As [`Self::spawn`]; `hear` gets all of standard error as it comes, not only its end.
    ///
    /// # Errors
    /// The system's own.
    pub fn spawn_heard(
        command: &mut Command,
        hear: impl FnMut(&[u8]) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start(command.process_group(0), true, hear)
    }

    fn start(
        command: &mut Command,
        group: bool,
        mut hear: impl FnMut(&[u8]) + Send + 'static,
    ) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let errors = child.stderr.take();
        let mut started = Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            tail: None,
            group,
        };
        for pipe in [
            started.stdin.as_ref().map(AsFd::as_fd),
            started.stdout.as_ref().map(AsFd::as_fd),
        ] {
            let Some(pipe) = pipe else { continue };
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        if let Some(mut errors) = errors {
            let (send, receive) = channel();
            // Read as it comes: a full pipe would stop the program. Where no thread can be had,
            // dropping `started` ends the program.
            std::thread::Builder::new()
                .name("stderr-tail".to_owned())
                .spawn(move || {
                    let (mut kept, mut block) = (Vec::new(), [0; 4096]);
                    while let Ok(read @ 1..) = errors.read(&mut block) {
                        let block = block.get(..read).unwrap_or_default();
                        hear(block);
                        kept.extend(block);
                        let beyond = kept.len().saturating_sub(TAIL);
                        kept.drain(..beyond);
                    }
                    // Nobody may be listening any more.
                    let _ = send.send(kept);
                })?;
            started.tail = Some(receive);
        }
        Ok(started)
    }

    /// Runs a program to its end: `input` goes to its standard input. Without a `timeout` it may
    /// take as long as it wants. It shares this program's process group.
    ///
    /// # Errors
    /// It cannot be started, or takes longer than `timeout`, or was stopped with this program.
    pub fn output(
        command: &mut Command,
        input: &[u8],
        timeout: Option<Duration>,
    ) -> io::Result<Output> {
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut started = Self::start(command, false, |_| {})?;
        // A program that ends without reading explains itself on standard error.
        let _ = started.write_all(input, timeout.unwrap_or(IDLE));
        started.close_stdin();
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let (mut stdout, mut block) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let read = started.read(&mut block, until)?;
            if read == 0 {
                break;
            }
            stdout.extend(block.iter().take(read));
            if stdout.len() as u64 > MOST_OUTPUT {
                return Err(io::Error::other("it prints without end"));
            }
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let status = started.wait(left)?;
        Ok(Output {
            status,
            stdout,
            stderr: started.stderr(),
        })
    }

    /// Writes all bytes to standard input.
    ///
    /// # Errors
    /// The program takes nothing for `idle`, has ended, or this program is to stop.
    pub fn write_all(&mut self, mut bytes: &[u8], idle: Duration) -> io::Result<()> {
        let Some(pipe) = &mut self.stdin else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        while !bytes.is_empty() {
            match pipe.write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready(pipe.as_fd(), PollFlags::OUT, Some(Instant::now() + idle))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Fills `bytes` from standard output; returns how many came before its end.
    ///
    /// # Errors
    /// The program gives nothing for `idle`, or this program is to stop.
    pub fn read_exact(&mut self, bytes: &mut [u8], idle: Duration) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let read = self.read(rest, Some(Instant::now() + idle))?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(filled)
    }

    fn read(&mut self, bytes: &mut [u8], until: Option<Instant>) -> io::Result<usize> {
        let Some(pipe) = &mut self.stdout else {
            return Ok(0);
        };
        loop {
            match pipe.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready(pipe.as_fd(), PollFlags::IN, until)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// How the program ended, where it has.
    ///
    /// # Errors
    /// The system's own.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the program's end, at most `timeout`; then it is killed, and its status is that.
    ///
    /// # Errors
    /// The system's own.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<ExitStatus> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if until.is_some_and(|until| Instant::now() >= until) || crate::signals::stopping() {
                self.kill();
                return self.child.wait();
            }
            std::thread::sleep(POLL);
        }
    }

    /// The end of standard error, once the program has ended.
    pub fn stderr(&mut self) -> Vec<u8> {
        let tail = self.tail.take();
        tail.and_then(|tail| tail.recv_timeout(LINGER).ok())
            .unwrap_or_default()
    }

    /// Asks the program to end, and makes it after `grace`.
    pub fn terminate(&mut self, grace: Duration) {
        self.signal(Signal::TERM);
        let until = Instant::now() + grace;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(POLL);
        }
        self.kill();
        // It has been killed; how it ended is of no interest.
        let _ = self.child.wait();
    }

    /// Kills the program.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    fn signal(&mut self, signal: Signal) {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        // Children of a program that has ended may still be there; a signal to nobody fails, which
        // is fine.
        if self.group {
            let _ = kill_process_group(pid, signal);
        } else if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Subprocess {
    fn drop(&mut self) {
        self.stdin = None;
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Waits until a pipe can be used, looking now and then whether this program is to stop.
fn ready(pipe: BorrowedFd<'_>, flags: PollFlags, until: Option<Instant>) -> io::Result<()> {
    let slice = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    loop {
        match poll(&mut [PollFd::new(&pipe, flags)], Some(&slice)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if crate::signals::stopping() {
            return Err(io::Error::other("the run was asked to stop"));
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the program does not respond",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn input_goes_in_and_output_comes_out() {
        // More than a pipe holds.
        let input = vec![b'x'; 300_000];
        let mut command = shell("wc -c; echo last words >&2; exit 3");
        let output = Subprocess::output(&mut command, &input, Some(IDLE)).unwrap();
        assert_eq!(output.stdout.trim_ascii(), b"300000");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stderr, b"last words\n");
    }

    #[test]
    fn a_program_that_does_not_respond_is_given_up_and_killed() {
        let short = Duration::from_millis(50);
        let error = Subprocess::output(&mut shell("sleep 1000"), b"", Some(short)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut command = shell("sleep 1000 & echo $!; wait");
        command.stdout(Stdio::piped());
        let mut started = Subprocess::spawn(&mut command).unwrap();
        let mut pid = [0; 16];
        let read = started.read(&mut pid, None).unwrap();
        let pid = String::from_utf8_lossy(&pid[..read]).trim().to_owned();
        assert!(std::path::Path::new("/proc").join(&pid).exists());
        drop(started);
        // Its own child ends with it: gone, or a zombie that nobody has waited for yet.
        let state = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next())
        };
        while !matches!(state(&pid), None | Some('Z')) {
            std::thread::sleep(POLL);
        }
    }
}
