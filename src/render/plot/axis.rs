//! Axes: their range, their scale and the places of their labels.

/// How values become lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally long.
    Linear,
    /// Equal ratios are equally long.
    Log,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// Lowest value.
    pub from: f64,
    /// Highest value, above `from`.
    pub to: f64,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// Names in place of numbers, each at its value.
    pub names: Vec<(f64, String)>,
    /// Whether it counts things, so that labels between whole numbers would mean nothing.
    pub whole: bool,
}

/// A label and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// The axis's value.
    pub at: f64,
    /// Its text; empty for a grid line without one.
    pub text: String,
}

impl Axis {
    /// A linear axis over values with some room at the ends; from zero on when that is near or
    /// asked for. Values that are not finite do not count.
    pub fn linear(title: &str, values: impl IntoIterator<Item = f64>, from_zero: bool) -> Self {
        let (mut low, mut high) = range(values);
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if from_zero || (low >= 0.0 && low < 0.3 * high) {
            low = low.min(0.0);
            high = high.max(0.0);
        }
        let span = high - low;
        let room = match span > 0.0 {
            true => span * 0.06,
            false => (high.abs() * 0.1).max(0.5),
        };
        Self {
            title: title.to_owned(),
            from: if low == 0.0 { 0.0 } else { low - room },
            to: high + room,
            scale: Scale::Linear,
            names: Vec::new(),
            whole: false,
        }
    }

    /// A logarithmic axis over positive values with some room at the ends.
    pub fn log(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) = range(values.into_iter().filter(|value| *value > 0.0));
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let room = (high / low).powf(0.05).max(1.1);
        Self {
            title: title.to_owned(),
            from: low / room,
            to: high * room,
            scale: Scale::Log,
            names: Vec::new(),
            whole: false,
        }
    }

    /// An axis from one value to another, without room at the ends.
    pub fn exact(title: &str, from: f64, to: f64) -> Self {
        Self {
            title: title.to_owned(),
            from,
            to: if to > from { to } else { from + 1.0 },
            scale: Scale::Linear,
            names: Vec::new(),
            whole: false,
        }
    }

    /// An axis that counts things, from half a thing before the first to half a thing behind the last.
    pub fn count(title: &str, things: f64) -> Self {
        Self {
            whole: true,
            ..Self::exact(title, 0.5, things + 0.5)
        }
    }

    /// Names one below the other at 0, 1, …; the first is at the top of a vertical axis.
    pub fn names(names: Vec<String>) -> Self {
        let count = names.len() as f64;
        Self {
            title: String::new(),
            from: 0.5 - count,
            to: 0.5,
            scale: Scale::Linear,
            names: names
                .into_iter()
                .enumerate()
                .map(|(at, name)| (-(at as f64), name))
                .collect(),
            whole: false,
        }
    }

    /// The place of a value on a straight ruler, at one of the ends when it lies beyond.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = match value.is_finite() {
            true => value.clamp(self.from, self.to),
            false => self.from,
        };
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        }
    }

    /// At most about `most` labels at round values.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        if !self.names.is_empty() {
            let tick = |(at, name): &(f64, String)| Tick {
                at: *at,
                text: name.clone(),
            };
            return self.names.iter().map(tick).collect();
        }
        match self.scale {
            Scale::Linear => linear_ticks(self.from, self.to, most, self.whole),
            Scale::Log => log_ticks(self.from, self.to, most),
        }
    }
}

fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    })
}

/// Steps of 1, 2 or 5 times a power of ten.
fn linear_ticks(from: f64, to: f64, most: usize, whole: bool) -> Vec<Tick> {
    let rough = (to - from) / most.max(1) as f64;
    let rough = if whole { rough.max(1.0) } else { rough };
    if !(rough > 0.0 && rough.is_finite()) {
        return Vec::new();
    }
    let power = rough.log10().floor();
    let unit = 10_f64.powf(power);
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * unit)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * unit);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    (first..=last.min(first + 100))
        .map(|number| {
            let at = number as f64 * step;
            Tick {
                at,
                text: number_text(at, decimals),
            }
        })
        .collect()
}

/// Powers of ten; twice and five times them where there are few.
fn log_ticks(from: f64, to: f64, most: usize) -> Vec<Tick> {
    if !(from > 0.0 && to > from && to.is_finite()) {
        return Vec::new();
    }
    let decades = (to.log10() - from.log10()).max(0.01);
    let factors: &[f64] = match most as f64 / decades {
        many if many >= 12.0 => {
            return linear_ticks(from, to, most.min(6), false);
        }
        some if some >= 3.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let every = (decades * factors.len() as f64 / most.max(1) as f64)
        .ceil()
        .max(1.0) as i32;
    let mut ticks = Vec::new();
    let first = from.log10().floor() as i32;
    for power in (first..=to.log10().ceil() as i32).filter(|p| factors.len() > 1 || p % every == 0)
    {
        for factor in factors {
            let at = factor * 10_f64.powi(power);
            if (from..=to).contains(&at) {
                let decimals = (-power).clamp(0, 12) as usize;
                ticks.push(Tick {
                    at,
                    text: number_text(at, decimals),
                });
            }
        }
    }
    ticks
}

/// A number with its thousands apart.
fn number_text(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if digits.chars().any(|c| c.is_ascii_digit() && c != '0') => {
            ("\u{2212}", digits)
        }
        Some(digits) => ("", digits),
        None => ("", text.as_str()),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && whole.len() > 4 && (whole.len() - at) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
    out
}
