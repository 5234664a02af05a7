//! When the machine slows itself down: clocks that fall under load, over-current, heat.
//!
//! A fallen clock is a GPU clock below 90 % of the highest seen or allowed at the beginning while
//! the load is 80 % or more, in two samples in a row: one alone may be the governor on its way up.

use serde::{Deserialize, Serialize};

/// Load from which a low clock means something, in percent.
const BUSY_PERCENT: f64 = 80.0;
/// Share of the highest clock below which it has fallen.
const FALLEN: f64 = 0.9;
/// Most events that are kept; a board that flickers for days says nothing new.
const MOST_EVENTS: usize = 4096;

/// Why a machine slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleKind {
    /// The GPU's clock fell while the GPU was busy.
    ClockUnderLoad,
    /// A counter of over-current events went up, or a current alarm was on.
    OverCurrent,
    /// A cooling device was on, or the GPU says that heat slows it down.
    Heat,
    /// The GPU says that its power limit slows it down.
    PowerCap,
}

impl ThrottleKind {
    /// All kinds, in the order of their bits.
    pub const ALL: [Self; 4] = [
        Self::ClockUnderLoad,
        Self::OverCurrent,
        Self::Heat,
        Self::PowerCap,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClockUnderLoad => "clock_under_load",
            Self::OverCurrent => "over_current",
            Self::Heat => "heat",
            Self::PowerCap => "power_cap",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// One stretch of slowing down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThrottleEvent {
    /// Why.
    pub kind: ThrottleKind,
    /// The first sample that showed it, in seconds on the clock of `telemetry.csv`.
    pub from_s: f64,
    /// The last sample that showed it.
    pub to_s: f64,
    /// What was seen, in words.
    pub what: String,
}

/// What one sample shows.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// GPU load in percent; NaN where unknown.
    pub load_percent: f64,
    /// GPU clock in MHz; NaN where unknown.
    pub clock_mhz: f64,
    /// Signs that the machine itself gives, with words.
    pub told: Vec<(ThrottleKind, String)>,
}

/// Finds events in consecutive samples.
#[derive(Debug, Default)]
pub(super) struct Detector {
    /// The highest clock seen or allowed, in MHz.
    reference_mhz: f64,
    /// When the clock had fallen in the last sample: since when, and whether it is an event yet.
    fallen: Option<(f64, bool)>,
    last: u8,
    events: Vec<ThrottleEvent>,
}

/// The bits of a sample, and whether the clock's bit belongs to the sample before as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub bits: u8,
    pub before_too: bool,
}

impl Detector {
    /// `allowed_mhz`: the GPU clock that is allowed at the beginning.
    pub fn new(allowed_mhz: Option<f64>) -> Self {
        Self {
            reference_mhz: allowed_mhz.unwrap_or(0.0),
            ..Self::default()
        }
    }

    /// Looks at the next sample.
    pub fn see(&mut self, at_s: f64, signs: &Signs) -> Verdict {
        let mut bits = 0;
        let mut before_too = false;
        let fallen =
            signs.load_percent >= BUSY_PERCENT && signs.clock_mhz < FALLEN * self.reference_mhz;
        if signs.clock_mhz.is_finite() {
            self.reference_mhz = self.reference_mhz.max(signs.clock_mhz);
        }
        self.fallen = match (fallen, self.fallen) {
            (false, _) => None,
            (true, None) => Some((at_s, false)),
            (true, Some((since, known))) => {
                bits |= ThrottleKind::ClockUnderLoad.bit();
                before_too = !known;
                let what = || {
                    format!(
                        "GPU at {:.0} of {:.0} MHz under {:.0} % load",
                        signs.clock_mhz, self.reference_mhz, signs.load_percent
                    )
                };
                let what = if known { String::new() } else { what() };
                self.extend(ThrottleKind::ClockUnderLoad, since, at_s, known, what);
                Some((since, true))
            }
        };
        for (kind, what) in &signs.told {
            let known = (self.last | bits) & kind.bit() != 0;
            bits |= kind.bit();
            self.extend(*kind, at_s, at_s, known, what.clone());
        }
        self.last = bits;
        Verdict { bits, before_too }
    }

    /// Every event so far.
    pub fn events(&self) -> &[ThrottleEvent] {
        &self.events
    }

    fn extend(&mut self, kind: ThrottleKind, from_s: f64, to_s: f64, known: bool, what: String) {
        let room = self.events.len() < MOST_EVENTS;
        let open = self.events.iter_mut().rev().find(|e| e.kind == kind);
        if let Some(event) = open.filter(|_| known) {
            event.to_s = to_s;
        } else if room {
            self.events.push(ThrottleEvent {
                kind,
                from_s,
                to_s,
                what,
            });
        }
    }
}

/// Bits as text: names joined by `+`, nothing for none.
pub(super) fn names(bits: u8) -> String {
    let set = ThrottleKind::ALL
        .into_iter()
        .filter(|k| bits & k.bit() != 0);
    set.map(ThrottleKind::name).collect::<Vec<_>>().join("+")
}
