//! Values of figures, and how each unit is written.

use crate::figures::stats;
use crate::machine::Reading;
use serde::Serialize;

/// Unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Words.
    Text,
    /// A number of things.
    Count,
    /// Frames per second.
    FramesPerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Percent.
    Percent,
    /// Share, 0 to 1.
    Share,
    /// Bytes.
    Bytes,
    /// Bytes gained per step.
    Growth,
    /// Joules.
    Joules,
    /// Watts.
    Watts,
    /// Megahertz.
    Megahertz,
    /// Degrees Celsius.
    Celsius,
}

impl Unit {
    /// A number with its unit, for people.
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Text | Self::Count => format!("{value:.0}"),
            Self::FramesPerSecond => match value {
                v if v >= 100.0 => format!("{v:.1}"),
                v if v >= 1.0 => format!("{v:.2}"),
                v => format!("{v:.3}"),
            },
            Self::Milliseconds => stats::milliseconds(value),
            Self::Percent => format!("{value:.2} %"),
            Self::Share => format!("{value:.2}"),
            Self::Bytes => stats::bytes(value as u64),
            Self::Growth => stats::signed_bytes(value),
            Self::Joules => format!("{value:.3} J"),
            Self::Watts => format!("{value:.2} W"),
            Self::Megahertz => format!("{value:.0} MHz"),
            Self::Celsius => format!("{value:.1} °C"),
        }
    }

    /// Its name in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Count => "count",
            Self::FramesPerSecond => "FPS",
            Self::Milliseconds => "ms",
            Self::Percent => "%",
            Self::Share => "0 to 1",
            Self::Bytes => "bytes",
            Self::Growth => "bytes per step",
            Self::Joules => "J",
            Self::Watts => "W",
            Self::Megahertz => "MHz",
            Self::Celsius => "°C",
        }
    }
}

/// What a figure is for one row or model: a number, words, both, or why there is neither.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Value {
    /// In the figure's unit.
    pub number: Option<f64>,
    /// Words that stand for the number.
    pub text: Option<String>,
    /// Why it is missing, where more is known than the figure's general reason.
    pub reason: String,
}

impl Value {
    /// Words.
    pub fn words(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// With words that stand for the number.
    pub fn written(mut self, text: impl FnOnce(f64) -> String) -> Self {
        self.text = self.number.map(text);
        self
    }

    /// With a reason for where it is missing.
    pub fn or(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Some(value).into()
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Some(value as f64).into()
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        Self {
            number: value.filter(|number| number.is_finite()),
            ..Self::default()
        }
    }
}

impl From<Option<u64>> for Value {
    fn from(value: Option<u64>) -> Self {
        value.map(|number| number as f64).into()
    }
}

impl From<Option<usize>> for Value {
    fn from(value: Option<usize>) -> Self {
        value.map(|number| number as f64).into()
    }
}

impl From<Option<&Reading<u64>>> for Value {
    fn from(reading: Option<&Reading<u64>>) -> Self {
        let reason = reading.and_then(|reading| reading.reason.clone());
        Self::from(reading.and_then(|reading| reading.get())).or(reason.unwrap_or_default())
    }
}

/// A number rounded as Python's `str(round(value, decimals))` gives it: no zeros at the end, at
/// least one decimal. Both round the exact binary value, ties to even.
pub(crate) fn rounded(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value.filter(|v| v.is_finite()) else {
        return String::new();
    };
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        None => text,
        Some((whole, part)) => match part.trim_end_matches('0') {
            "" => format!("{whole}.0"),
            part => format!("{whole}.{part}"),
        },
    }
}
