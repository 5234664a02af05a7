//! The C interface of the shim, mirrored from `shim/shim.h`. Raw: nothing here checks anything.

use std::ffi::{c_char, c_int, c_void};

/// Severity and text of one log message.
pub type LogFn = unsafe extern "C" fn(user: *mut c_void, severity: i32, message: *const c_char);

/// Milliseconds of one layer.
pub type LayerFn = unsafe extern "C" fn(user: *mut c_void, layer: *const c_char, milliseconds: f32);

/// Takes a text once.
pub type TextFn = unsafe extern "C" fn(user: *mut c_void, text: *const c_char);

/// `tensorrt_rs_progress`.
#[repr(C)]
pub struct Progress {
    /// Handed to every function.
    pub user: *mut c_void,
    /// A phase begins.
    pub start: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, i32),
    /// A step is done; 0 cancels the build.
    pub step: unsafe extern "C" fn(*mut c_void, *const c_char, i32) -> i32,
    /// A phase ends.
    pub finish: unsafe extern "C" fn(*mut c_void, *const c_char),
}

/// `tensorrt_rs_allocator`.
#[repr(C)]
pub struct Allocator {
    /// Handed to every function.
    pub user: *mut c_void,
    /// Bytes, alignment to address; 0 refuses.
    pub allocate: unsafe extern "C" fn(*mut c_void, u64, u64) -> u64,
    /// Address, alignment, bytes to address; 0 refuses.
    pub reallocate: unsafe extern "C" fn(*mut c_void, u64, u64, u64) -> u64,
    /// Address to whether it was one of ours.
    pub deallocate: unsafe extern "C" fn(*mut c_void, u64) -> i32,
}

/// `tensorrt_rs_parser_error`; the strings belong to the parser.
#[repr(C)]
pub struct ParserError {
    /// `nvonnxparser::ErrorCode`.
    pub code: i32,
    /// Index of the node, -1 for none.
    pub node: i32,
    /// What is wrong.
    pub description: *const c_char,
    /// The node's name.
    pub node_name: *const c_char,
    /// The node's operator.
    pub node_operator: *const c_char,
}

/// Most dimensions of a [`Tensor`].
pub const MAX_RANK: usize = 8;

/// `tensorrt_rs_tensor`; the name belongs to the network or engine.
#[repr(C)]
pub struct Tensor {
    /// The tensor's name.
    pub name: *const c_char,
    /// `nvinfer1::DataType`.
    pub data_type: i32,
    /// Number of dimensions.
    pub rank: i32,
    /// Extents, -1 for dynamic ones.
    pub extents: [i64; MAX_RANK],
    /// Input (1) or output (0).
    pub is_input: i32,
    /// Whether its memory is the device's.
    pub on_device: i32,
}

impl Tensor {
    /// An empty description to be filled in.
    pub fn zeroed() -> Self {
        Self {
            name: std::ptr::null(),
            data_type: 0,
            rank: 0,
            extents: [0; MAX_RANK],
            is_input: 0,
            on_device: 0,
        }
    }
}

macro_rules! table {
    ($($name:ident: fn($($ty:ty),*) $(-> $ret:ty)?;)*) => {
        /// `tensorrt_rs_table`: one set's functions. See `shim/shim.h` for what each does.
        #[repr(C)]
        pub struct Table {
            /// major * 10000 + minor * 100 + patch of the headers.
            pub header_version: i32,
            $(
                #[allow(missing_docs)]
                pub $name: unsafe extern "C" fn($($ty),*) $(-> $ret)?,
            )*
        }
    };
}

type Handle = *mut c_void;

table! {
    logger_new: fn(*mut c_void, LogFn) -> Handle;
    logger_free: fn(Handle);
    progress_new: fn(*const Progress) -> Handle;
    progress_free: fn(Handle);
    allocator_new: fn(*const Allocator) -> Handle;
    allocator_free: fn(Handle);
    profiler_new: fn(*mut c_void, LayerFn) -> Handle;
    profiler_free: fn(Handle);

    builder_new: fn(*mut c_void, Handle, i32) -> Handle;
    builder_free: fn(Handle);
    network_new: fn(Handle) -> Handle;
    network_free: fn(Handle);
    network_tensor_count: fn(Handle, i32) -> i32;
    network_tensor: fn(Handle, i32, i32, *mut Tensor) -> i32;
    network_layer_count: fn(Handle) -> i32;

    parser_new: fn(*mut c_void, Handle, Handle, i32) -> Handle;
    parser_free: fn(Handle);
    parser_parse: fn(Handle, *const c_void, usize) -> i32;
    parser_error_count: fn(Handle) -> i32;
    parser_error: fn(Handle, i32, *mut ParserError) -> i32;

    config_new: fn(Handle) -> Handle;
    config_free: fn(Handle);
    config_set_workspace: fn(Handle, u64);
    config_workspace: fn(Handle) -> u64;
    config_set_detailed_profiling: fn(Handle, i32);
    config_set_optimization_level: fn(Handle, i32);
    config_set_tf32: fn(Handle, i32);
    config_set_progress: fn(Handle, Handle);
    config_set_compute_capabilities: fn(Handle, *const i32, i32) -> i32;
    timing_cache_new: fn(Handle, *const c_void, usize) -> Handle;
    config_set_timing_cache: fn(Handle, Handle) -> i32;
    timing_cache_serialize: fn(Handle) -> Handle;
    timing_cache_free: fn(Handle);

    build: fn(Handle, Handle, Handle) -> Handle;
    memory_data: fn(Handle) -> *const c_void;
    memory_size: fn(Handle) -> usize;
    memory_free: fn(Handle);

    runtime_new: fn(*mut c_void, Handle, i32) -> Handle;
    runtime_free: fn(Handle);
    runtime_set_allocator: fn(Handle, Handle);
    runtime_deserialize: fn(Handle, *const c_void, usize) -> Handle;

    engine_free: fn(Handle);
    engine_tensor_count: fn(Handle) -> i32;
    engine_tensor: fn(Handle, i32, *mut Tensor) -> i32;
    engine_scratch_bytes: fn(Handle) -> i64;
    engine_weight_bytes: fn(Handle) -> i64;
    engine_layer_count: fn(Handle) -> i32;
    engine_inspect: fn(Handle, *mut c_void, TextFn) -> i32;

    context_new: fn(Handle) -> Handle;
    context_free: fn(Handle);
    context_set_scratch: fn(Handle, u64, i64);
    context_set_address: fn(Handle, *const c_char, u64) -> i32;
    context_set_allocator: fn(Handle, Handle);
    context_set_profiler: fn(Handle, Handle);
    context_enqueue: fn(Handle, *mut c_void) -> i32;
}

#[cfg(tensorrt_10)]
unsafe extern "C" {
    fn tensorrt_rs_table_10() -> *const Table;
}
#[cfg(tensorrt_11)]
unsafe extern "C" {
    fn tensorrt_rs_table_11() -> *const Table;
}
#[cfg(tensorrt_rtx)]
unsafe extern "C" {
    fn tensorrt_rs_table_rtx() -> *const Table;
}

/// TensorRT 10's table, where its headers were there when this library was built.
pub fn table_10() -> Option<&'static Table> {
    #[cfg(tensorrt_10)]
    // SAFETY: the function takes nothing and returns the address of a constant.
    unsafe {
        tensorrt_rs_table_10().as_ref()
    }
    #[cfg(not(tensorrt_10))]
    None
}

/// TensorRT 11's table, where its headers were there when this library was built.
pub fn table_11() -> Option<&'static Table> {
    #[cfg(tensorrt_11)]
    // SAFETY: as above.
    unsafe {
        tensorrt_rs_table_11().as_ref()
    }
    #[cfg(not(tensorrt_11))]
    None
}

/// TensorRT-RTX's table, where its headers were there when this library was built.
pub fn table_rtx() -> Option<&'static Table> {
    #[cfg(tensorrt_rtx)]
    // SAFETY: as above.
    unsafe {
        tensorrt_rs_table_rtx().as_ref()
    }
    #[cfg(not(tensorrt_rtx))]
    None
}

/// `int32_t getInferLibVersion()`.
pub type VersionFn = unsafe extern "C" fn() -> i32;

/// `CUresult cuInit(unsigned int)`.
pub type CuInitFn = unsafe extern "C" fn(u32) -> c_int;
