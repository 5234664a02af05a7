//! The state of the simulated driver, and the order in which work runs.
//!
//! Work on streams does not run when it is put there. It runs when somebody waits for it: on a
//! stream, an event, or the device. Which other work runs before it, and in what order across
//! streams, is chosen by the seed among all orders that the streams, events and the default stream
//! allow. So a missing wait gives a wrong result in some order, instead of hiding in the one order
//! that eager work happens to have.

use crate::config::{Config, Schedule};
use crate::memory::Memory;
use crate::status::{ERROR_ILLEGAL_ADDRESS, ERROR_OUT_OF_MEMORY, SUCCESS};
use crate::work::Work;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_int;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

/// Work that must be done before other work: ticket `ticket` of stream `stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) stream: u64,
    pub(crate) ticket: u64,
}

struct Queued {
    work: Work,
    after: Vec<Ticket>,
}

/// A recording in progress.
pub(crate) struct Capture {
    pub(crate) works: Vec<Work>,
    pub(crate) thread: ThreadId,
    pub(crate) relaxed: bool,
    pub(crate) broken: bool,
}

#[derive(Default)]
pub(crate) struct Stream {
    queue: VecDeque<Queued>,
    /// Tickets given out; the first is 1.
    pub(crate) submitted: u64,
    pub(crate) completed: u64,
    /// Whether it waits for the default stream, and that one for it.
    blocking: bool,
    /// What the next piece of work waits for.
    pending_waits: Vec<Ticket>,
    pub(crate) destroyed: bool,
    pub(crate) capture: Option<Capture>,
}

#[derive(Default)]
pub(crate) struct Event {
    pub(crate) timing: bool,
    pub(crate) recorded: Option<Ticket>,
    pub(crate) time: Option<Instant>,
    /// The stream whose recording it was last recorded in.
    pub(crate) captured_on: Option<u64>,
}

/// One allocating call.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogEntry {
    number: u64,
    kind: &'static str,
    bytes: u64,
    refused: bool,
}

pub(crate) struct Driver {
    pub(crate) config: Config,
    pub(crate) started: bool,
    pub(crate) retained: u64,
    pub(crate) memory: Memory,
    pub(crate) streams: BTreeMap<u64, Stream>,
    pub(crate) events: BTreeMap<u64, Event>,
    /// Recorded graphs and instantiated ones.
    pub(crate) graphs: BTreeMap<u64, Vec<Work>>,
    pub(crate) execs: BTreeMap<u64, Arc<Vec<Work>>>,
    /// Parameter sizes by kernel, by module.
    pub(crate) modules: BTreeMap<u64, BTreeMap<String, Vec<usize>>>,
    /// Kernels that were asked for: module and name.
    pub(crate) functions: Vec<(u64, String)>,
    next_handle: u64,
    random: u64,
    log: Vec<LogEntry>,
    pub(crate) problems: Vec<String>,
    /// The device is broken until the process ends.
    pub(crate) broken: bool,
    /// Pieces of work that ran.
    ran: u64,
}

/// The default stream.
pub(crate) const DEFAULT_STREAM: u64 = 0;

/// The one driver of the process.
pub(crate) fn state() -> MutexGuard<'static, Driver> {
    static STATE: OnceLock<Mutex<Driver>> = OnceLock::new();
    STATE
        .get_or_init(|| Mutex::new(Driver::new()))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

impl Driver {
    fn new() -> Self {
        let config = Config::from_environment();
        let blocking = Stream {
            blocking: true,
            ..Stream::default()
        };
        Self {
            random: config.seed,
            config,
            started: false,
            retained: 0,
            memory: Memory::new(),
            streams: BTreeMap::from([(DEFAULT_STREAM, blocking)]),
            events: BTreeMap::new(),
            graphs: BTreeMap::new(),
            execs: BTreeMap::new(),
            modules: BTreeMap::new(),
            functions: Vec::new(),
            next_handle: 1,
            log: Vec::new(),
            problems: Vec::new(),
            broken: false,
            ran: 0,
        }
    }

    /// A number that was not given before, for a handle: like no address of this process.
    pub(crate) fn handle(&mut self) -> u64 {
        self.next_handle += 1;
        0xC0DA_0000_0000 + self.next_handle * 16
    }

    /// Notes what a real device would let pass or crash on.
    pub(crate) fn problem(&mut self, text: String) {
        eprintln!("simulated CUDA: {text}");
        self.problems.push(text);
    }

    /// Lets an allocating call pass, or not: by the number of calls so far.
    pub(crate) fn admit(&mut self, kind: &'static str, bytes: u64) -> c_int {
        let failure = &mut self.config.failure;
        let mut refused = false;
        if failure.kind.as_deref().is_none_or(|meant| meant == kind)
            && let Some(countdown) = &mut failure.countdown
        {
            *countdown -= 1;
            if *countdown == 0 {
                refused = true;
                failure.countdown = failure.from_then_on.then_some(1);
            }
        }
        self.log.push(LogEntry {
            number: self.log.len() as u64 + 1,
            kind,
            bytes,
            refused,
        });
        if refused {
            ERROR_OUT_OF_MEMORY
        } else {
            SUCCESS
        }
    }

    /// Marks the last logged call as refused for another reason.
    pub(crate) fn refuse(&mut self) -> c_int {
        if let Some(last) = self.log.last_mut() {
            last.refused = true;
        }
        ERROR_OUT_OF_MEMORY
    }

    /// Allocating calls so far.
    pub(crate) fn allocations(&self) -> u64 {
        self.log.len() as u64
    }

    /// A new stream.
    pub(crate) fn open_stream(&mut self, blocking: bool) -> u64 {
        let id = self.handle();
        let stream = Stream {
            blocking,
            ..Stream::default()
        };
        self.streams.insert(id, stream);
        id
    }

    /// Whether the stream exists and was not destroyed.
    pub(crate) fn is_live(&self, stream: u64) -> bool {
        self.streams.get(&stream).is_some_and(|s| !s.destroyed)
    }

    /// Puts work on a stream, or into its recording. The ticket is none while it records.
    pub(crate) fn enqueue(&mut self, stream: u64, work: Work) -> Option<Ticket> {
        let mut after = Vec::new();
        let blocking = self.streams.get(&stream)?.blocking;
        if stream == DEFAULT_STREAM {
            for (id, other) in &self.streams {
                if other.blocking && *id != stream {
                    after.push(Ticket {
                        stream: *id,
                        ticket: other.submitted,
                    });
                }
            }
        } else if blocking && let Some(default) = self.streams.get(&DEFAULT_STREAM) {
            after.push(Ticket {
                stream: DEFAULT_STREAM,
                ticket: default.submitted,
            });
        }
        let queue = self.streams.get_mut(&stream)?;
        if let Some(capture) = &mut queue.capture {
            capture.works.push(work);
            return None;
        }
        after.append(&mut queue.pending_waits);
        queue.submitted += 1;
        queue.queue.push_back(Queued { work, after });
        Some(Ticket {
            stream,
            ticket: queue.submitted,
        })
    }

    /// Makes what comes next on a stream wait.
    pub(crate) fn wait(&mut self, stream: u64, ticket: Ticket) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.pending_waits.push(ticket);
        }
    }

    /// Whether a piece of work is done.
    pub(crate) fn is_done(&self, ticket: Ticket) -> bool {
        self.streams
            .get(&ticket.stream)
            .is_none_or(|s| s.completed >= ticket.ticket)
    }

    /// The last piece of work of a stream. Waits at its end count as work.
    pub(crate) fn tail(&mut self, stream: u64) -> Ticket {
        let waits = |s: &Stream| !s.pending_waits.is_empty() && s.capture.is_none();
        if self.streams.get(&stream).is_some_and(waits) {
            self.enqueue(stream, Work::Mark);
        }
        let ticket = self.streams.get(&stream).map_or(0, |s| s.submitted);
        Ticket { stream, ticket }
    }

    /// Every stream's last piece of work.
    pub(crate) fn tails(&mut self) -> Vec<Ticket> {
        let streams: Vec<u64> = self.streams.keys().copied().collect();
        streams.into_iter().map(|id| self.tail(id)).collect()
    }

    /// Keeps the time at which an event happened.
    pub(crate) fn happened(&mut self, event: u64, at: Instant) {
        if let Some(event) = self.events.get_mut(&event) {
            event.time = Some(at);
        }
    }

    /// splitmix64
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Seeds the order anew.
    pub(crate) fn reseed(&mut self) {
        self.random = self.config.seed;
    }

    /// Whether a stream's first piece of work can run.
    fn can_run(&self, stream: u64) -> bool {
        let first = self.streams.get(&stream).and_then(|s| s.queue.front());
        first.is_some_and(|q| q.after.iter().all(|t| self.is_done(*t)))
    }

    /// The stream to run so that `ticket` comes nearer; none when nothing can.
    fn towards(&self, ticket: Ticket) -> Option<u64> {
        let mut at = ticket.stream;
        // Each step goes to a stream that the last one waits for; there are no cycles, because a
        // wait can only be for earlier work.
        for _ in 0..=self.streams.len() * 2 {
            let first = self.streams.get(&at)?.queue.front()?;
            match first.after.iter().find(|t| !self.is_done(**t)) {
                Some(blocker) => at = blocker.stream,
                None => return Some(at),
            }
        }
        None
    }

    fn next(&mut self, schedule: Schedule, ticket: Ticket) -> Option<(u64, Work)> {
        let runnable: Vec<u64> = self
            .streams
            .keys()
            .copied()
            .filter(|id| self.can_run(*id))
            .collect();
        let pick = |driver: &mut Self, from: &[u64]| {
            let index = driver.random() % from.len().max(1) as u64;
            from.get(index as usize).copied()
        };
        let chosen = match schedule {
            Schedule::Lazy | Schedule::Mixed => self.towards(ticket),
            Schedule::Random => pick(self, &runnable),
            Schedule::Others => {
                let others: Vec<u64> = runnable
                    .iter()
                    .copied()
                    .filter(|id| *id != ticket.stream)
                    .collect();
                pick(self, &others).or_else(|| self.towards(ticket))
            }
        }?;
        let queued = self.streams.get_mut(&chosen)?.queue.pop_front()?;
        Some((chosen, queued.work))
    }

    /// The report: problems, leaks, and the log.
    pub(crate) fn report(&self) -> Report {
        let mut leaks = self.memory.leaks();
        let live = self
            .streams
            .iter()
            .filter(|(id, s)| **id != DEFAULT_STREAM && !s.destroyed)
            .count();
        for (what, count) in [
            ("stream", live),
            ("event", self.events.len()),
            ("graph", self.graphs.len()),
            ("instantiated graph", self.execs.len()),
            ("module", self.modules.len()),
            ("hold on the primary context", self.retained as usize),
        ] {
            leaks.extend((0..count).map(|_| what.to_owned()));
        }
        Report {
            problems: self.problems.clone(),
            leaks,
            used_bytes: self.memory.used,
            peak_bytes: self.memory.peak,
            pinned_bytes: self.memory.pinned_used,
            pending: self.streams.values().map(|s| s.queue.len() as u64).sum(),
            ran: self.ran,
            allocations: self.log.clone(),
        }
    }
}

/// What a process did to the simulated device.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// What a real device would let pass or crash on.
    problems: Vec<String>,
    /// What is still allocated, a line each.
    leaks: Vec<String>,
    used_bytes: u64,
    peak_bytes: u64,
    pinned_bytes: u64,
    /// Work that nobody waited for.
    pending: u64,
    /// Work that was done.
    ran: u64,
    /// Every allocating call.
    allocations: Vec<LogEntry>,
}

/// Runs work until `ticket` is done.
pub(crate) fn force(ticket: Ticket) -> c_int {
    advance(ticket, u64::MAX)
}

/// Runs at most `most` pieces of work towards `ticket`.
pub(crate) fn advance(ticket: Ticket, most: u64) -> c_int {
    // One thread at a time works for the device; others that wait do so here.
    static RUNNER: Mutex<()> = Mutex::new(());
    let _runner = RUNNER.lock().unwrap_or_else(PoisonError::into_inner);
    let schedule = {
        let mut state = state();
        match state.config.schedule {
            Schedule::Mixed => match state.random() % 4 {
                0 => Schedule::Others,
                1 => Schedule::Random,
                _ => Schedule::Lazy,
            },
            other => other,
        }
    };
    for _ in 0..most {
        let (stream, work) = {
            let mut state = state();
            if state.is_done(ticket) {
                break;
            }
            match state.next(schedule, ticket) {
                Some(next) => next,
                None => {
                    state.problem("work waits for work that is nowhere: a deadlock".to_owned());
                    state.broken = true;
                    break;
                }
            }
        };
        let result = work.run();
        let mut state = state();
        state.ran += 1;
        if let Some(stream) = state.streams.get_mut(&stream) {
            stream.completed += 1;
        }
        if let Err(problem) = result {
            state.problem(problem);
            state.broken = true;
        }
    }
    if state().broken {
        return ERROR_ILLEGAL_ADDRESS;
    }
    SUCCESS
}
