//! What the C++ classes call: graphs, plans, the driver, engines and contexts behind opaque
//! pointers. Declared in `cxx/core.h`.
//!
//! Graphs, engines and contexts are counted references (`Arc`); every function that returns one
//! gives the caller a reference of its own, unless it says that it lends it.

use crate::driver::driver;
use crate::engine::{Context, Engine, Log, Severity};
use crate::graph::{Graph, Tensor};
use crate::plan::Plan;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Arc;

unsafe extern "C" {
    fn masklet_sim_log(logger: *mut c_void, severity: i32, text: *const c_char);
    fn masklet_sim_header_version() -> i32;
}

fn log(logger: *mut c_void) -> Log {
    Log {
        logger,
        sink: masklet_sim_log,
    }
}

/// An owned block of bytes.
pub struct Bytes(Vec<u8>);

/// An input or output, borrowed from its graph.
#[repr(C)]
pub struct SimTensor {
    name: *const c_char,
    dims: *const i64,
    bytes: u64,
    rank: i32,
    element: i32,
    output: bool,
}

/// A parser's error in place.
#[repr(C)]
pub struct Failure {
    code: i32,
    node: i32,
    name: [c_char; 256],
    op: [c_char; 64],
    text: [c_char; 1024],
}

/// What the builder was told.
#[repr(C)]
pub struct BuildOptions {
    name: *const c_char,
    fingerprint: *const c_char,
    workspace: u64,
}

fn put(text: &str, to: &mut [c_char]) {
    let last = to.len() - 1;
    to.fill(0);
    for (to, &byte) in to[..last].iter_mut().zip(text.as_bytes()) {
        *to = byte as c_char;
    }
}

unsafe fn slice<'a>(data: *const c_void, size: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: the client vouches for its buffer.
    unsafe { std::slice::from_raw_parts(data.cast(), size) }
}

unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the C++ half passes NUL-terminated text.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn bytes(data: Vec<u8>) -> *mut Bytes {
    Box::into_raw(Box::new(Bytes(data)))
}

/// The version the library claims: that of its headers, or the environment's.
#[unsafe(no_mangle)]
pub extern "C" fn masklet_sim_version() -> i32 {
    std::env::var("MASKLET_SIM_NVINFER_VERSION")
        .ok()
        .and_then(|text| text.parse().ok())
        // SAFETY: it returns a constant.
        .unwrap_or_else(|| unsafe { masklet_sim_header_version() })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_parse(
    onnx: *const c_void,
    size: usize,
    failure: *mut Failure,
) -> *const Graph {
    // SAFETY: the buffer is the client's, the failure the caller's.
    let (onnx, failure) = unsafe { (slice(onnx, size), &mut *failure) };
    let parsed = std::panic::catch_unwind(|| Graph::parse(onnx));
    match parsed {
        Ok(Ok(graph)) => Arc::into_raw(Arc::new(graph)),
        Ok(Err(error)) => {
            failure.code = error.code as i32;
            failure.node = error.node;
            put(&error.name, &mut failure.name);
            put(&error.op, &mut failure.op);
            put(&error.text, &mut failure.text);
            ptr::null()
        }
        Err(_) => {
            failure.code = 1;
            failure.node = -1;
            put("The ONNX reader panicked", &mut failure.text);
            ptr::null()
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_share(graph: *const Graph) -> *const Graph {
    // SAFETY: the caller holds a reference.
    unsafe { Arc::increment_strong_count(graph) };
    graph
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_release(graph: *const Graph) {
    if !graph.is_null() {
        // SAFETY: the caller gives up its reference.
        unsafe { Arc::decrement_strong_count(graph) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_tensors(graph: *const Graph) -> i32 {
    // SAFETY: the caller holds a reference.
    let graph = unsafe { &*graph };
    i32::try_from(graph.tensors().count()).unwrap_or(0)
}

/// Describes a tensor; the description lives as long as the graph.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_tensor(
    graph: *const Graph,
    index: i32,
    tensor: *mut SimTensor,
) -> bool {
    // SAFETY: the caller holds a reference.
    let graph = unsafe { &*graph };
    let found = usize::try_from(index)
        .ok()
        .and_then(|index| graph.tensor(index));
    let Some((found, output)) = found else {
        return false;
    };
    let described = SimTensor {
        name: found.name.as_ptr(),
        dims: found.dims.as_ptr(),
        bytes: found.bytes(),
        rank: i32::try_from(found.dims.len()).unwrap_or(0),
        element: found.element as i32,
        output,
    };
    // SAFETY: the caller passes a place for it.
    unsafe { tensor.write(described) };
    true
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_nodes(graph: *const Graph) -> i32 {
    // SAFETY: the caller holds a reference.
    i32::try_from(unsafe { &*graph }.nodes.len()).unwrap_or(0)
}

/// A node's name, lent by the graph; null beyond the last.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_node(graph: *const Graph, index: i32) -> *const c_char {
    // SAFETY: the caller holds a reference.
    let nodes = unsafe { &(*graph).nodes };
    usize::try_from(index)
        .ok()
        .and_then(|index| nodes.get(index))
        .map_or(ptr::null(), |node| node.name.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_graph_hash(graph: *const Graph) -> u64 {
    // SAFETY: the caller holds a reference.
    unsafe { &*graph }.hash()
}

/// Builds a plan; null, with the reason in the log, when the graph cannot be built.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_build(
    graph: *const Graph,
    options: *const BuildOptions,
    logger: *mut c_void,
) -> *mut Bytes {
    // SAFETY: the caller holds a reference, and the options live through the call.
    let (graph, options) = unsafe { (&*graph, &*options) };
    let log = log(logger);
    if let Some(tensor) = graph.tensors().find(|tensor| !Tensor::is_static(tensor)) {
        log.say(
            Severity::Error,
            &format!(
                "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Network has \
                 dynamic or shape inputs ({}), but no optimization profile has been defined.)",
                tensor.name.to_string_lossy()
            ),
        );
        return ptr::null_mut();
    }
    let need = graph.scratch_bytes();
    if options.workspace < need {
        log.say(
            Severity::Verbose,
            &format!("Exceeded mem budget of {}. Need {need}", options.workspace),
        );
        log.say(
            Severity::Error,
            &format!(
                "IBuilder::buildSerializedNetwork: Error Code 2: OutOfMemory (Requested size was \
                 {need} bytes.)"
            ),
        );
        return ptr::null_mut();
    }
    log.say(
        Severity::Verbose,
        &format!("Total Activation Memory: {need} bytes"),
    );
    log.say(
        Severity::Info,
        &format!("Total Weights Memory: {} bytes", graph.weights_bytes),
    );
    // SAFETY: the options' texts live through the call.
    let (name, fingerprint) = unsafe { (text(options.name), text(options.fingerprint)) };
    bytes(
        Plan {
            version: masklet_sim_version().cast_unsigned(),
            device: driver().map_or_else(|_| "no device".to_owned(), |driver| driver.identity()),
            name,
            options: fingerprint,
            workspace: options.workspace,
            onnx: &graph.onnx,
        }
        .encode(),
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_bytes_copy(data: *const c_void, size: usize) -> *mut Bytes {
    // SAFETY: the caller vouches for its buffer.
    bytes(unsafe { slice(data, size) }.to_vec())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_bytes_data(bytes: *const Bytes) -> *mut c_void {
    // SAFETY: the caller owns the bytes.
    unsafe { &*bytes }.0.as_ptr().cast_mut().cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_bytes_size(bytes: *const Bytes) -> usize {
    // SAFETY: the caller owns the bytes.
    unsafe { &*bytes }.0.len()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_bytes_release(bytes: *mut Bytes) {
    if !bytes.is_null() {
        // SAFETY: the caller gives them up.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

/// Whether there is a simulated driver; the log says why not.
#[unsafe(no_mangle)]
extern "C" fn masklet_sim_driver_ready(logger: *mut c_void) -> bool {
    driver()
        .map_err(|error| {
            let text = format!("createInferRuntime: Error Code 6: API Usage Error ({error})");
            log(logger).say(Severity::Error, &text);
        })
        .is_ok()
}

#[unsafe(no_mangle)]
extern "C" fn masklet_sim_driver_allocate(size: u64) -> u64 {
    driver().map_or(0, |driver| driver.allocate(size))
}

#[unsafe(no_mangle)]
extern "C" fn masklet_sim_driver_free(address: u64) {
    if let Ok(driver) = driver() {
        driver.free(address);
    }
}

#[unsafe(no_mangle)]
extern "C" fn masklet_sim_driver_synchronize(stream: *mut c_void) {
    if let Ok(driver) = driver() {
        driver.synchronize(stream);
    }
}

/// Reads a plan; null, with the reason in the log, when it is refused.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_open(
    plan: *const c_void,
    size: usize,
    logger: *mut c_void,
) -> *const Engine {
    // SAFETY: the buffer is the client's.
    let plan = unsafe { slice(plan, size) };
    match Engine::open(plan, masklet_sim_version().cast_unsigned()) {
        Ok(engine) => Arc::into_raw(Arc::new(engine)),
        Err(error) => {
            let text = format!("IRuntime::deserializeCudaEngine: {error}");
            log(logger).say(Severity::Error, &text);
            ptr::null()
        }
    }
}

/// The engine's graph, lent.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_graph(engine: *const Engine) -> *const Graph {
    // SAFETY: the caller holds a reference.
    Arc::as_ptr(unsafe { &*engine }.graph())
}

/// The engine's name, lent.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_name(engine: *const Engine) -> *const c_char {
    // SAFETY: the caller holds a reference.
    unsafe { &*engine }.name().as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_plan(engine: *const Engine) -> *mut Bytes {
    // SAFETY: the caller holds a reference.
    bytes(unsafe { &*engine }.plan().to_vec())
}

/// What the inspector says, NUL-terminated: layer names and bindings, as with
/// `ProfilingVerbosity::kLAYER_NAMES_ONLY`.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_json(engine: *const Engine) -> *mut Bytes {
    // SAFETY: the caller holds a reference.
    let graph = unsafe { &*engine }.graph();
    let list = |names: &mut dyn Iterator<Item = &CStr>| {
        names
            .map(|name| {
                let name = name.to_string_lossy();
                let escaped = name.chars().map(|c| match c {
                    '"' | '\\' => format!("\\{c}"),
                    c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
                    c => c.to_string(),
                });
                format!("\"{}\"", escaped.collect::<String>())
            })
            .collect::<Vec<_>>()
            .join(",")
    };
    let layers = list(&mut graph.nodes.iter().map(|node| node.name.as_c_str()));
    let bindings = list(&mut graph.tensors().map(|tensor| tensor.name.as_c_str()));
    bytes(format!("{{\"Layers\":[{layers}],\"Bindings\":[{bindings}]}}\0").into_bytes())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_weights_bytes(engine: *const Engine) -> u64 {
    // SAFETY: the caller holds a reference.
    unsafe { &*engine }.weights_bytes()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_persistent_bytes(engine: *const Engine) -> u64 {
    // SAFETY: the caller holds a reference.
    unsafe { &*engine }.graph().persistent_bytes()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_scratch_bytes(engine: *const Engine) -> u64 {
    // SAFETY: the caller holds a reference.
    unsafe { &*engine }.graph().scratch_bytes()
}

/// Puts the weights into the block at `address`.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_place(
    engine: *const Engine,
    address: u64,
    logger: *mut c_void,
) -> bool {
    // SAFETY: the caller holds a reference.
    unsafe { &*engine }
        .place_weights(address)
        .map_err(|error| {
            let text = format!("IRuntime::deserializeCudaEngine: Error Code 1: Cuda ({error})");
            log(logger).say(Severity::Error, &text);
        })
        .is_ok()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_engine_release(engine: *const Engine) {
    // SAFETY: the caller gives up its reference.
    drop(unsafe { Arc::from_raw(engine) });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_context_create(
    engine: *const Engine,
    persistent: u64,
    logger: *mut c_void,
) -> *const Context {
    // SAFETY: the caller holds a reference, and the count goes up for the one made here.
    let engine = unsafe {
        Arc::increment_strong_count(engine);
        Arc::from_raw(engine)
    };
    match Context::new(&engine, persistent, log(logger)) {
        Ok(context) => Arc::into_raw(Arc::new(context)),
        Err(error) => {
            let text = format!("ICudaEngine::createExecutionContext: Error Code 1: Cuda ({error})");
            log(logger).say(Severity::Error, &text);
            ptr::null()
        }
    }
}

/// Enqueues one run; false, with the reason in `logger`'s log, when it is refused.
#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_context_enqueue(
    context: *const Context,
    stream: *mut c_void,
    addresses: *const u64,
    count: usize,
    scratch: u64,
    scratch_bytes: u64,
    logger: *mut c_void,
) -> bool {
    // SAFETY: the caller holds a reference, and the count goes up for the one made here.
    let (context, addresses) = unsafe {
        Arc::increment_strong_count(context);
        (
            Arc::from_raw(context),
            std::slice::from_raw_parts(addresses, count),
        )
    };
    // SAFETY: the stream is the client's.
    unsafe { context.enqueue(stream, addresses, scratch, scratch_bytes) }
        .map_err(|error| {
            let text = format!("IExecutionContext::enqueueV3: {error}");
            log(logger).say(Severity::Error, &text);
        })
        .is_ok()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_context_last_ms(context: *const Context) -> f32 {
    // SAFETY: the caller holds a reference.
    unsafe { &*context }.last_ms()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn masklet_sim_context_release(context: *const Context) {
    // SAFETY: the caller gives up its reference.
    let context = unsafe { Arc::from_raw(context) };
    context.destroy();
}
