//! A value that a sensor gave, or the reason why it gave none.

use serde::{Deserialize, Serialize};

/// A sensor's value or the reason for its absence. In JSON `{"value": 1}` or
/// `{"value": null, "reason": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading<T> {
    /// What was read; `None` when there was nothing to read.
    pub value: Option<T>,
    /// Why there is no value; `None` when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl<T> Reading<T> {
    /// A value.
    pub fn of(value: T) -> Self {
        Self {
            value: Some(value),
            reason: None,
        }
    }

    /// No value, and why.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self {
            value: None,
            reason: Some(reason.into()),
        }
    }

    /// The value by reference.
    pub fn as_ref(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Changes the value, keeps the reason.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        Reading {
            value: self.value.map(change),
            reason: self.reason,
        }
    }
}

impl<T: Copy> Reading<T> {
    /// The value.
    pub fn get(&self) -> Option<T> {
        self.value
    }
}

impl<T> From<Result<T, String>> for Reading<T> {
    fn from(result: Result<T, String>) -> Self {
        match result {
            Ok(value) => Self::of(value),
            Err(reason) => Self::missing(reason),
        }
    }
}
