//! TensorRT as this program uses it: the binding (`tensorrt-rs`), where its library is looked for,
//! and what to do about its errors.

pub use tensorrt_rs::*;

use crate::tensor::DType;
use std::path::PathBuf;

/// Names a folder in which TensorRT's libraries are looked for instead of the loader's path.
pub const LIBRARY_ENV: &str = "MASKLET_TENSORRT_LIB";

/// Loads TensorRT from the folder that [`LIBRARY_ENV`] names, or where the dynamic loader looks;
/// of this flavour only, or TensorRT before TensorRT-RTX.
///
/// # Errors
/// As for [`Library::load`].
pub fn load(flavour: Option<Flavour>) -> Result<Library> {
    Library::load(&LoadOptions {
        folder: std::env::var_os(LIBRARY_ENV)
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from),
        flavour,
    })
}

/// Whether the library is a simulation for tests: what it runs does not measure TensorRT.
pub fn is_simulated(library: &Library) -> bool {
    library.exports(c"masklet_stand_in")
}

/// The element type of the component contract, `None` for one that it does not have.
pub fn dtype(data_type: DataType) -> Option<DType> {
    match data_type {
        DataType::Float => Some(DType::F32),
        DataType::Half => Some(DType::F16),
        DataType::Int32 => Some(DType::I32),
        DataType::UInt8 => Some(DType::U8),
        DataType::Bf16 => Some(DType::Bf16),
        _ => None,
    }
}

/// What to do about an error of the binding, as the end of its sentence.
pub(crate) fn advice(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Workspace {
            needed_bytes: Some(bytes),
        } => format!(
            "; raise --workspace to at least {}MiB",
            bytes.div_ceil(1 << 20)
        ),
        ErrorKind::Workspace { needed_bytes: None } => "; raise --workspace".to_owned(),
        ErrorKind::Plan => "; build it again with masklet build".to_owned(),
        ErrorKind::Library => format!("; {LIBRARY_ENV} names another folder of its libraries"),
        _ => String::new(),
    }
}
