//! Versions of TensorRT, and which table of functions serves which library.
//!
//! TensorRT's C++ interface is a set of virtual tables. Within 10.x (from 10.3), within 11.x and
//! within TensorRT-RTX 1.5 to 1.7 slots were only appended; between them they moved. A library that
//! no table was compiled for is refused here: calling it through a wrong table would crash.

use super::sys::{self, Table};
use std::fmt;

/// Which TensorRT a library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Flavour {
    /// TensorRT (JetPack, data centre): `libnvinfer`.
    TensorRt,
    /// TensorRT-RTX: `libtensorrt_rtx`.
    Rtx,
}

impl Flavour {
    /// The product's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "TensorRT",
            Self::Rtx => "TensorRT-RTX",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Compute capabilities that TensorRT-RTX 1.5 to 1.7 runs on (its support matrix; 8.0, too, although the
/// matrix leaves it out). On others its builder works, and its runtime refuses what was built.
pub const RTX_CAPABILITIES: [(u32, u32); 6] = [(7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1)];

/// Capabilities as text: `7.5, 8.0`.
pub(crate) fn listed(capabilities: &[(u32, u32)]) -> String {
    let one = |(major, minor): &(u32, u32)| format!("{major}.{minor}");
    capabilities.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A version as `getInferLibVersion` gives it: major * 10000 + minor * 100 + patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(i32);

impl Version {
    /// From the library's own number. TensorRT 8 and older counted in thousands.
    pub fn from_raw(raw: i32) -> Self {
        Self(if (1000..10_000).contains(&raw) {
            raw / 1000 * 10_000 + raw % 1000
        } else {
            raw
        })
    }

    /// The number that factories want back.
    pub fn raw(self) -> i32 {
        self.0
    }

    /// 10 of 10.3.0.
    pub fn major(self) -> i32 {
        self.0 / 10_000
    }

    /// 3 of 10.3.0.
    pub fn minor(self) -> i32 {
        self.0 / 100 % 100
    }

    /// 0 of 10.3.0.
    pub fn patch(self) -> i32 {
        self.0 % 100
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major(), self.minor(), self.patch())
    }
}

/// What versions a build of this library can drive, for messages: "TensorRT 10.3 and later …".
pub fn known() -> String {
    let mut parts = Vec::new();
    if sys::table_10().is_some() {
        parts.push("TensorRT 10.3 and later 10.x".to_owned());
    }
    if sys::table_11().is_some() {
        parts.push("TensorRT 11.x".to_owned());
    }
    if let Some(table) = sys::table_rtx() {
        let version = Version::from_raw(table.header_version);
        parts.push(format!(
            "TensorRT-RTX {}.5 to {}.{}",
            version.major(),
            version.major(),
            version.minor()
        ));
    }
    if parts.is_empty() {
        "none: it was built without TensorRT's headers".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Why no table serves a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTable {
    /// The version is one that nobody has looked at.
    Unknown,
    /// The version is known, but this build had no headers for it.
    NoHeaders,
}

/// The table for a library of this flavour and version.
pub(super) fn table(flavour: Flavour, version: Version) -> Result<&'static Table, NoTable> {
    let table = match (flavour, version.major()) {
        (Flavour::TensorRt, 10) if version.minor() >= 3 => sys::table_10(),
        (Flavour::TensorRt, 11) => sys::table_11(),
        (Flavour::Rtx, 1) if version.minor() >= 5 => {
            let table = sys::table_rtx().ok_or(NoTable::NoHeaders)?;
            let headers = Version::from_raw(table.header_version);
            // Slots have moved between minor versions of RTX before.
            if version.minor() > headers.minor() || headers.minor() < 5 {
                return Err(NoTable::Unknown);
            }
            Some(table)
        }
        _ => return Err(NoTable::Unknown),
    };
    table.ok_or(NoTable::NoHeaders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_numbering_read_alike() {
        for (raw, text) in [
            (100_300, "10.3.0"),
            (110_400, "11.4.0"),
            (10_701, "1.7.1"),
            (8601, "8.6.1"),
        ] {
            assert_eq!(Version::from_raw(raw).to_string(), text);
        }
    }

    #[test]
    fn versions_that_nobody_looked_at_have_no_table() {
        for (flavour, raw) in [
            (Flavour::TensorRt, 8601),
            (Flavour::TensorRt, 100_100),
            (Flavour::TensorRt, 120_000),
            (Flavour::TensorRt, 10_701),
            (Flavour::Rtx, 10_400),
            (Flavour::Rtx, 19_900),
            (Flavour::Rtx, 100_300),
        ] {
            assert_eq!(
                table(flavour, Version::from_raw(raw)).err(),
                Some(NoTable::Unknown),
                "{flavour} {raw}"
            );
        }
    }
}
