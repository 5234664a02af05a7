//! Element types of TensorRT's tensors.

use std::fmt;

/// `nvinfer1::DataType`; the numbers are the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum DataType {
    Float,
    Half,
    Int8,
    Int32,
    Bool,
    UInt8,
    Fp8,
    Bf16,
    Int64,
    Int4,
    Fp4,
    E8m0,
    /// A number that this crate has no name for.
    Other(i32),
}

impl DataType {
    pub(crate) fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Float,
            1 => Self::Half,
            2 => Self::Int8,
            3 => Self::Int32,
            4 => Self::Bool,
            5 => Self::UInt8,
            6 => Self::Fp8,
            7 => Self::Bf16,
            8 => Self::Int64,
            9 => Self::Int4,
            10 => Self::Fp4,
            11 => Self::E8m0,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "fp32",
            Self::Half => "fp16",
            Self::Int8 => "int8",
            Self::Int32 => "int32",
            Self::Bool => "bool",
            Self::UInt8 => "uint8",
            Self::Fp8 => "fp8",
            Self::Bf16 => "bf16",
            Self::Int64 => "int64",
            Self::Int4 => "int4",
            Self::Fp4 => "fp4",
            Self::E8m0 => "e8m0",
            Self::Other(number) => return write!(f, "data type {number}"),
        })
    }
}
