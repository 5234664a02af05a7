//! TensorRT 10, TensorRT 11 and TensorRT-RTX, loaded at run time: builder, ONNX parser, runtime,
//! contexts.
//!
//! Three layers. `sys` mirrors the C interface of the C++ shim (`shim/`), which is compiled once
//! per set of headers; `result` turns refusals into errors and frees objects; the rest is safe:
//!
//! | type | what it is |
//! |---|---|
//! | [`Library`] | a loaded TensorRT 10, TensorRT 11 or TensorRT-RTX with the table that fits it |
//! | [`Builder`] | ONNX bytes in, plan out |
//! | [`Runtime`], [`Engine`] | plan in, engine with its weights out of our allocator |
//! | [`Context`] | addresses and scratch memory in, work on a stream |
//!
//! A context keeps its engine, an engine its runtime, a runtime its allocator and library. No
//! symbol of TensorRT is linked: a program with this module starts where there is none.
//!
//! Not here: where plans are kept, device memory, streams.
//!
//! Feature `serde`: [`Flavour`] and [`ProfilingVerbosity`] can be serialised.

mod allocator;
mod builder;
mod context;
mod data_type;
pub mod driver;
mod error;
mod library;
mod logger;
mod result;
mod runtime;
mod sys;
mod version;

pub use allocator::DeviceAllocator;
pub use builder::{
    BuildOptions, BuildProgress, Builder, BuiltPlan, ProfilingVerbosity, Target, Unwatched,
};
pub use context::{Context, LayerTime, SCRATCH_ALIGNMENT};
pub use data_type::DataType;
pub use driver::DeviceIdentity;
pub use error::{Error, ErrorKind, ParserError};
pub use library::{Library, LoadOptions};
pub use logger::LogFacts;
pub use runtime::{Engine, EngineTensor, Runtime};
pub use version::{Flavour, RTX_CAPABILITIES, Version, known as known_versions};

/// What calls of this crate return.
pub type Result<T> = std::result::Result<T, Error>;
