//! The stand-in's plan: a header that says for what it was built, then the ONNX model.
//!
//! Layout, integers little-endian: magic (8 bytes), library version (u32), total bytes (u64),
//! SHA-256 of everything after it (32 bytes), workspace limit (u64), then device, name, options and
//! model, each as a length (u64) and that many bytes.

use sha2::{Digest, Sha256};
use std::fmt;

const MAGIC: [u8; 8] = *b"SIMnvinf";
const VERSION_AT: usize = MAGIC.len();
const TOTAL_AT: usize = VERSION_AT + 4;
const DIGEST_AT: usize = TOTAL_AT + 8;
const BODY_AT: usize = DIGEST_AT + 32;

/// What a plan holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// `getInferLibVersion` of the library that built it.
    pub version: u32,
    /// The device it was built on.
    pub device: String,
    /// The network's name.
    pub name: String,
    /// The builder's options, as text.
    pub options: String,
    /// The limit on workspace memory it was built under, in bytes.
    pub workspace: u64,
    /// The model.
    pub onnx: &'a [u8],
}

/// Why a plan was refused. The texts are close to TensorRT's own.
#[derive(Debug, PartialEq, Eq)]
pub enum PlanError {
    /// It does not begin as a plan does.
    Magic,
    /// Another version of the library built it.
    Version {
        /// The library's version.
        expected: u32,
        /// The plan's version.
        found: u32,
    },
    /// It is not as long as it says.
    Length {
        /// Bytes that its header declares.
        declared: u64,
        /// Bytes that were given.
        given: u64,
    },
    /// Its bytes changed.
    Checksum,
    /// It was built on another device.
    Device {
        /// This device.
        expected: String,
        /// The plan's device.
        found: String,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str(
                "Error Code 1: Serialization (Serialization assertion magicTagRead == kMAGIC_TAG \
                 failed. Magic tag does not match)",
            ),
            Self::Version { expected, found } => write!(
                f,
                "Error Code 6: API Usage Error (The engine plan file is not compatible with this \
                 version of TensorRT, expecting library version {} got {}, please rebuild.)",
                dotted(*expected),
                dotted(*found)
            ),
            Self::Length { declared, given } => write!(
                f,
                "Error Code 1: Serialization (Serialization assertion size == \
                 declaredSize failed. The plan declares {declared} bytes, {given} were given)"
            ),
            Self::Checksum => f.write_str(
                "Error Code 1: Serialization (Serialization assertion checksum == \
                 computedChecksum failed. The plan is corrupt)",
            ),
            Self::Device { expected, found } => write!(
                f,
                "Error Code 6: API Usage Error (The engine plan file is generated on an \
                 incompatible device, expecting {expected} got {found}, please rebuild.)"
            ),
        }
    }
}

fn dotted(version: u32) -> String {
    format!(
        "{}.{}.{}",
        version / 10_000,
        version / 100 % 100,
        version % 100
    )
}

impl<'a> Plan<'a> {
    /// The plan's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = self.workspace.to_le_bytes().to_vec();
        for part in [
            self.device.as_bytes(),
            self.name.as_bytes(),
            self.options.as_bytes(),
            self.onnx,
        ] {
            body.extend((part.len() as u64).to_le_bytes());
            body.extend(part);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(((BODY_AT + body.len()) as u64).to_le_bytes());
        bytes.extend(Sha256::digest(&body));
        bytes.extend(body);
        bytes
    }

    /// Reads a plan, checking magic, version, length, checksum and device, in this order.
    ///
    /// # Errors
    /// When the plan is not whole, or not for this version and device.
    pub fn decode(bytes: &'a [u8], version: u32, device: &str) -> Result<Self, PlanError> {
        let given = bytes.len() as u64;
        let cut = PlanError::Length {
            declared: BODY_AT as u64,
            given,
        };
        if !bytes.starts_with(&MAGIC) {
            return Err(PlanError::Magic);
        }
        let found = array(bytes, VERSION_AT).map(u32::from_le_bytes);
        match found {
            None => return Err(cut),
            Some(found) if found != version => {
                return Err(PlanError::Version {
                    expected: version,
                    found,
                });
            }
            Some(_) => {}
        }
        let Some(declared) = array(bytes, TOTAL_AT).map(u64::from_le_bytes) else {
            return Err(cut);
        };
        let Some(digest) = array::<32>(bytes, DIGEST_AT) else {
            return Err(cut);
        };
        if declared != given {
            return Err(PlanError::Length { declared, given });
        }
        let body = bytes.get(BODY_AT..).ok_or(cut)?;
        if Sha256::digest(body)[..] != digest {
            return Err(PlanError::Checksum);
        }
        let plan = Self::read_body(body, version).ok_or(PlanError::Checksum)?;
        if plan.device != device {
            return Err(PlanError::Device {
                expected: device.to_owned(),
                found: plan.device,
            });
        }
        Ok(plan)
    }

    fn read_body(body: &'a [u8], version: u32) -> Option<Self> {
        let workspace = u64::from_le_bytes(array(body, 0)?);
        let mut at = 8;
        let mut part = || {
            let length = usize::try_from(u64::from_le_bytes(array(body, at)?)).ok()?;
            let start = at + 8;
            at = start.checked_add(length)?;
            body.get(start..at)
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Self {
            version,
            device: text(part()?),
            name: text(part()?),
            options: text(part()?),
            workspace,
            onnx: part()?,
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan<'static> {
        Plan {
            version: 101_600,
            device: "Simulated Orin, compute 8.7".to_owned(),
            name: "track_step".to_owned(),
            options: "flags=0".to_owned(),
            workspace: 1 << 28,
            onnx: b"not really",
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_was() {
        let bytes = plan().encode();
        assert_eq!(
            Plan::decode(&bytes, 101_600, &plan().device).unwrap(),
            plan()
        );
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused() {
        let bytes = plan().encode();
        let read = |bytes: &[u8]| Plan::decode(bytes, 101_600, &plan().device).map(|_| ());
        for length in 0..bytes.len() {
            let refused = read(&bytes[..length]).unwrap_err();
            let expected = if length < MAGIC.len() {
                matches!(refused, PlanError::Magic)
            } else {
                matches!(refused, PlanError::Length { .. })
            };
            assert!(expected, "{length}: {refused}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn another_version_and_another_device_say_what_they_expected() {
        let bytes = plan().encode();
        let refused = Plan::decode(&bytes, 100_300, "x").unwrap_err().to_string();
        assert!(
            refused.contains("library version 10.3.0 got 10.16.0"),
            "{refused}"
        );
        let refused = Plan::decode(&bytes, 101_600, "Simulated Nano").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Error Code 6: API Usage Error (The engine plan file is generated on an incompatible \
             device, expecting Simulated Nano got Simulated Orin, compute 8.7, please rebuild.)"
        );
    }
}
