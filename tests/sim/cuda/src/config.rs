//! How the simulated device behaves: from the environment at start, changed by `sim_cuda_set`.
//!
//! | variable `MASKLET_SIM_CUDA_…` | key | meaning |
//! | --- | --- | --- |
//! | `CAPACITY` | `capacity` | bytes of device memory (default 8 GiB) |
//! | `PLAIN_LIMIT` | `plain_limit` | largest plain allocation; larger ones are refused though the memory is free, as on L4T 36.4.7 |
//! | `CHUNK_LIMIT` | `chunk_limit` | the same for chunks of mapped memory |
//! | `FAIL` | `fail` | `7`: the 7th allocating call from now fails; `7+`: that one and all later ones; empty: none |
//! | `FAIL_KIND` | `fail_kind` | counts and fails calls of that kind only: device, pinned, chunk, reserve, stream, event, graph, module |
//! | `SEED` | `seed` | seed of the order in which streams run |
//! | `SCHEDULE` | `schedule` | `mixed` (default), `lazy` (only what is waited for), `others` (everything else first), `random` |
//! | `WAITS` | `waits` | `0`: a stream does not wait for events, as if the program had forgotten to say so |
//! | `POISON` | `poison` | `0`: new device memory is zero instead of 0xFF (NaN in every float format) |
//! | `INTEGRATED`, `CAN_MAP_CHUNKS`, `COMPUTE` | – | what the device says of itself (1, 1, 87) |
//! | `MODULE_MEMORY`, `MULTIPROCESSORS`, `L2_BYTES` | – | which Orin module it is (8 GiB, 8, 2 MiB) |
//! | `INIT` | – | what `cuInit` answers (0; 100 is "no device") |
//! | `REPORT` | – | file that gets the report (JSON) when the process ends |

use std::str::FromStr;

/// Prefix of the environment variables.
pub(crate) const PREFIX: &str = "MASKLET_SIM_CUDA_";

/// Which work runs when something is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// One of the others each time, by the seed.
    Mixed,
    /// Only what is waited for; all other streams stay where they are.
    Lazy,
    /// All other streams as far as they get, then what is waited for.
    Others,
    /// Any stream that can go on, one piece of work at a time.
    Random,
}

/// Which allocating calls fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure {
    /// How many more calls pass before one fails.
    pub(crate) countdown: Option<u64>,
    /// Whether all later ones fail too.
    pub(crate) from_then_on: bool,
    /// The kind that is meant; all when none is given.
    pub(crate) kind: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) capacity: u64,
    pub(crate) plain_limit: u64,
    pub(crate) chunk_limit: u64,
    pub(crate) failure: Failure,
    pub(crate) seed: u64,
    pub(crate) schedule: Schedule,
    pub(crate) poison: bool,
    pub(crate) waits: bool,
    pub(crate) integrated: bool,
    pub(crate) can_map_chunks: bool,
    pub(crate) compute: i32,
    pub(crate) module_memory: u64,
    pub(crate) multiprocessors: i32,
    pub(crate) l2_bytes: i32,
    pub(crate) init: i32,
    pub(crate) report: Option<std::path::PathBuf>,
}

impl Config {
    pub(crate) fn from_environment() -> Self {
        let mut config = Self {
            capacity: 8 << 30,
            plain_limit: u64::MAX,
            chunk_limit: u64::MAX,
            failure: Failure::default(),
            seed: 0,
            schedule: Schedule::Mixed,
            poison: true,
            waits: true,
            integrated: flag("INTEGRATED", true),
            can_map_chunks: flag("CAN_MAP_CHUNKS", true),
            compute: value("COMPUTE").unwrap_or(87),
            module_memory: value("MODULE_MEMORY").unwrap_or(8 << 30),
            multiprocessors: value("MULTIPROCESSORS").unwrap_or(8),
            l2_bytes: value("L2_BYTES").unwrap_or(2 << 20),
            init: value("INIT").unwrap_or(0),
            report: std::env::var_os(format!("{PREFIX}REPORT")).map(Into::into),
        };
        for key in [
            "capacity",
            "plain_limit",
            "chunk_limit",
            "fail_kind",
            "fail",
            "seed",
            "schedule",
            "poison",
            "waits",
        ] {
            let variable = format!("{PREFIX}{}", key.to_uppercase());
            if let Ok(text) = std::env::var(&variable)
                && !config.set(key, &text)
            {
                eprintln!("simulated CUDA: {variable}={text} means nothing; ignored");
            }
        }
        config
    }

    /// Changes one value; false when key or value mean nothing.
    pub(crate) fn set(&mut self, key: &str, text: &str) -> bool {
        fn put<T: FromStr>(to: &mut T, text: &str) -> bool {
            text.parse().map(|value| *to = value).is_ok()
        }
        match key {
            "capacity" => put(&mut self.capacity, text),
            "plain_limit" => put(&mut self.plain_limit, text),
            "chunk_limit" => put(&mut self.chunk_limit, text),
            "seed" => put(&mut self.seed, text),
            "poison" => {
                self.poison = text != "0";
                true
            }
            "fail_kind" => {
                self.failure.kind = (!text.is_empty()).then(|| text.to_owned());
                true
            }
            "fail" => {
                let (number, from_then_on) = match text.strip_suffix('+') {
                    Some(number) => (number, true),
                    None => (text, false),
                };
                self.failure.from_then_on = from_then_on;
                self.failure.countdown = number.parse::<u64>().ok().filter(|n| *n > 0);
                text.is_empty() || self.failure.countdown.is_some()
            }
            "waits" => {
                self.waits = text != "0";
                matches!(text, "0" | "1")
            }
            "schedule" => {
                self.schedule = match text {
                    "mixed" => Schedule::Mixed,
                    "lazy" => Schedule::Lazy,
                    "others" => Schedule::Others,
                    "random" => Schedule::Random,
                    _ => return false,
                };
                true
            }
            _ => false,
        }
    }
}

fn value<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(format!("{PREFIX}{name}")).ok()?.parse().ok()
}

fn flag(name: &str, default: bool) -> bool {
    value::<u8>(name).map_or(default, |value| value != 0)
}
