//! TensorRT's log: to `tracing`, and while a call is being watched, into a record of what it said.
//!
//! TensorRT keeps the first logger that a process gives it and uses it from its own threads. So
//! there is one logger per library, it is never freed, and which call a message belongs to is
//! found out here: a watch gets what its own thread logs, and what threads log that have none.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// What a watched call logged, as far as anybody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// Errors and internal errors, in order.
    pub errors: Vec<String>,
    /// Warnings, in order, at most `MOST_WARNINGS`.
    pub warnings: Vec<String>,
    /// Bytes of activations that the builder planned (context memory).
    pub activation_bytes: Option<u64>,
    /// Bytes of weights in the plan.
    pub weight_bytes: Option<u64>,
    /// Tactics that were not tried because memory was short.
    pub tactics_skipped: u64,
    /// The last need that exceeded the workspace limit, in bytes.
    pub exceeded_budget: Option<u64>,
    /// Whether an operation found no tactic at all within the workspace limit.
    pub no_tactic_within_workspace: bool,
}

/// More are dropped.
const MOST_WARNINGS: usize = 32;

impl LogFacts {
    /// The errors as one text.
    pub fn message(&self) -> String {
        if self.errors.is_empty() {
            return "it gave no reason".to_owned();
        }
        self.errors.join("; ")
    }

    fn take(&mut self, severity: i32, message: &str) {
        match severity {
            0 | 1 => self.errors.push(clean(message)),
            2 if self.warnings.len() < MOST_WARNINGS => self.warnings.push(clean(message)),
            _ => {}
        }
        if let Some(need) = after(message, "Exceeded mem budget of ").and(after(message, "Need ")) {
            self.exceeded_budget = Some(need);
        }
        if severity <= 1 && message.contains("within workspace limit") {
            self.no_tactic_within_workspace = true;
        }
        if let Some(bytes) = after(message, "Total Activation Memory: ") {
            self.activation_bytes = Some(bytes);
        }
        if let Some(bytes) = after(message, "Total Weights Memory: ") {
            self.weight_bytes = Some(bytes);
        }
        let skipped = message.contains("due to insufficient memory")
            || message.contains("due to exceeding memory")
            || message.contains("due to oom error");
        if skipped && message.contains("kipping tactic") {
            self.tactics_skipped += 1;
        }
    }
}

/// The number that follows `label`.
fn after(message: &str, label: &str) -> Option<u64> {
    let rest = &message[message.find(label)? + label.len()..];
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Without the newline and the file positions of TensorRT's own sources.
fn clean(message: &str) -> String {
    message.trim().replace('\n', " ")
}

struct Watch {
    id: u64,
    thread: ThreadId,
    facts: Arc<Mutex<LogFacts>>,
}

struct Watches {
    next: u64,
    all: Vec<Watch>,
}

static WATCHES: Mutex<Watches> = Mutex::new(Watches {
    next: 0,
    all: Vec::new(),
});

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while logging leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `call` and returns what TensorRT logged meanwhile.
pub(super) fn watch<T>(call: impl FnOnce() -> T) -> (T, LogFacts) {
    struct Guard(u64);
    impl Drop for Guard {
        fn drop(&mut self) {
            lock(&WATCHES).all.retain(|watch| watch.id != self.0);
        }
    }
    let facts = Arc::new(Mutex::new(LogFacts::default()));
    let guard = {
        let mut watches = lock(&WATCHES);
        let id = watches.next;
        watches.next += 1;
        watches.all.push(Watch {
            id,
            thread: std::thread::current().id(),
            facts: Arc::clone(&facts),
        });
        Guard(id)
    };
    let result = call();
    drop(guard);
    let facts = std::mem::take(&mut *lock(&facts));
    (result, facts)
}

/// The function that every logger of ours calls.
///
/// # Safety
/// `message` is null or a C string that lives through the call.
pub(super) unsafe extern "C" fn log(_user: *mut c_void, severity: i32, message: *const c_char) {
    // SAFETY: by the contract.
    let message = unsafe { super::result::text(message) };
    let watched = {
        let thread = std::thread::current().id();
        let watches = lock(&WATCHES);
        let own = watches
            .all
            .iter()
            .rev()
            .find(|watch| watch.thread == thread);
        match own {
            Some(watch) => lock(&watch.facts).take(severity, &message),
            None => {
                for watch in &watches.all {
                    lock(&watch.facts).take(severity, &message);
                }
            }
        }
        !watches.all.is_empty()
    };
    match severity {
        // A watched call returns its errors; they need not be said twice.
        0 | 1 if watched => tracing::debug!(target: "tensorrt", "{}", message.trim()),
        0 | 1 => tracing::error!(target: "tensorrt", "{}", message.trim()),
        2 => tracing::warn!(target: "tensorrt", "{}", message.trim()),
        3 => tracing::debug!(target: "tensorrt", "{}", message.trim()),
        _ => tracing::trace!(target: "tensorrt", "{}", message.trim()),
    }
}
