//! Running an engine: addresses in, work on a stream out. Allocates no device memory itself.

use super::logger;
use super::result::{self, Owned};
use super::{Engine, Error, ErrorKind};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

/// Alignment that scratch memory must have.
pub const SCRATCH_ALIGNMENT: u64 = 256;

/// An execution context whose scratch memory is the caller's (`kUSER_MANAGED`).
///
/// Its persistent memory (small) comes from the runtime's allocator when the context is made.
/// Several contexts may share one scratch block as long as their work never overlaps in time, for
/// example because it is all on one stream.
pub struct Context {
    // Before the engine: a context must not outlive it. The profiler after the context.
    context: Owned,
    profiler: Option<ProfilerHook>,
    names: Vec<CString>,
    engine: Arc<Engine>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "context of {:?}", self.engine)
    }
}

impl Context {
    /// A context without scratch memory and addresses.
    ///
    /// # Errors
    /// When TensorRT refuses: persistent memory may be out.
    pub fn new(engine: &Arc<Engine>) -> super::Result<Self> {
        let table = engine.table();
        // SAFETY: the engine lives as long as `self` keeps it.
        let (context, facts) = logger::watch(|| unsafe {
            Owned::new((table.context_new)(engine.raw()), table.context_free)
        });
        let context = context.map_err(|_| Error::refused("execution context", &facts.message()))?;
        // Whatever TensorRT wants beyond the scratch block is ours to give or refuse, and counted.
        // SAFETY: the allocator hook lives in the runtime, which the engine keeps.
        unsafe { (table.context_set_allocator)(context.raw(), engine.allocator()) };
        let names = engine
            .tensors()
            .iter()
            .map(|tensor| CString::new(tensor.name.as_str()).unwrap_or_default())
            .collect();
        Ok(Self {
            context,
            profiler: None,
            names,
            engine: Arc::clone(engine),
        })
    }

    /// The engine it runs.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Gives the scratch block.
    ///
    /// # Errors
    /// When it is smaller than [`Engine::scratch_bytes`].
    ///
    /// # Safety
    /// - `address` is device memory of `bytes` bytes at a multiple of [`SCRATCH_ALIGNMENT`].
    /// - It stays valid until the last work of this context has finished.
    /// - No other work touches it while work of this context runs.
    pub unsafe fn set_scratch(&mut self, address: u64, bytes: u64) -> super::Result<()> {
        let needed_bytes = self.engine.scratch_bytes();
        if bytes < needed_bytes || (address == 0 && needed_bytes > 0) {
            let bytes = if address == 0 { 0 } else { bytes };
            return Err(Error::new(
                ErrorKind::Other,
                format!(
                    "the engine needs {needed_bytes} bytes of scratch memory, was given {bytes}"
                ),
            ));
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // SAFETY: by the contract.
        unsafe { (self.engine.table().context_set_scratch)(self.context.raw(), address, bytes) };
        Ok(())
    }

    /// Says where a tensor is.
    ///
    /// # Errors
    /// When there is no such tensor or TensorRT refuses the address.
    ///
    /// # Safety
    /// - `address` is memory for the whole tensor, on the device unless the tensor is a shape
    ///   tensor, at least 256-byte aligned.
    /// - It stays valid until the last work enqueued with it has finished.
    pub unsafe fn set_address(&mut self, name: &str, address: u64) -> super::Result<()> {
        let tensor = self.find(name)?;
        let (answer, facts) = logger::watch(|| {
            // SAFETY: by the contract; TensorRT copies the name.
            result::accepted(unsafe {
                (self.engine.table().context_set_address)(
                    self.context.raw(),
                    tensor.as_ptr(),
                    address,
                )
            })
        });
        answer.map_err(|_| {
            let reason = format!("'{name}' at {address:#x}: {}", facts.message());
            Error::refused("tensor address", &reason)
        })
    }

    /// Enqueues the engine's work on a stream (`CUstream`, the same as `cudaStream_t`).
    ///
    /// # Errors
    /// When TensorRT refuses; errors of the work itself come with the stream.
    ///
    /// # Safety
    /// - `stream` is a stream of the device and context that the engine was made on.
    /// - Scratch memory and all addresses have been set and are valid until the work has finished.
    /// - Inputs are written by work that the stream waits for; outputs are read after this work.
    pub unsafe fn enqueue(&mut self, stream: *mut c_void) -> super::Result<()> {
        let (answer, facts) = logger::watch(|| {
            // SAFETY: by the contract.
            result::accepted(unsafe {
                (self.engine.table().context_enqueue)(self.context.raw(), stream)
            })
        });
        answer.map_err(|_| Error::refused("work enqueued", &facts.message()))
    }

    /// Times layers from now on. Not for measured runs: TensorRT synchronises after each layer, and
    /// the work can no longer be captured as a graph.
    ///
    /// # Errors
    /// When memory is out.
    pub fn profile_layers(&mut self) -> super::Result<()> {
        let table = self.engine.table();
        let hook =
            ProfilerHook::new(table).map_err(|_| Error::refused("profiler", "out of memory"))?;
        // SAFETY: the hook lives as long as the context (field order); the old one is replaced
        // before it is dropped.
        unsafe { (table.context_set_profiler)(self.context.raw(), hook.object.raw()) };
        self.profiler = Some(hook);
        Ok(())
    }

    /// The layer times since [`Context::profile_layers`] or since they were last taken, in order.
    pub fn take_layer_times(&mut self) -> Vec<LayerTime> {
        self.profiler.as_ref().map_or_else(Vec::new, |hook| {
            std::mem::take(&mut *hook.times.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    fn find(&self, name: &str) -> super::Result<&CStr> {
        let tensors = self.engine.tensors();
        tensors
            .iter()
            .zip(&self.names)
            .find(|(tensor, _)| tensor.name == name)
            .map(|(_, name)| name.as_c_str())
            .ok_or_else(|| {
                let existing: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
                Error::new(
                    ErrorKind::Other,
                    format!(
                        "the engine has no tensor '{name}'; it has {}",
                        existing.join(", ")
                    ),
                )
            })
    }
}

/// Time of one layer in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTime {
    /// TensorRT's name of the layer after fusion.
    pub layer: String,
    /// Milliseconds on the device.
    pub milliseconds: f32,
}

/// The C++ object and the list it fills; dropped in that order.
struct ProfilerHook {
    object: Owned,
    times: Box<Mutex<Vec<LayerTime>>>,
}

impl ProfilerHook {
    fn new(table: &'static super::sys::Table) -> Result<Self, result::Refused> {
        let times: Box<Mutex<Vec<LayerTime>>> = Box::default();
        let user = std::ptr::from_ref::<Mutex<_>>(&times).cast_mut().cast();
        // SAFETY: `user` lives as long as `self` keeps the box.
        let object =
            unsafe { Owned::new((table.profiler_new)(user, layer_time), table.profiler_free) }?;
        Ok(Self { object, times })
    }
}

unsafe extern "C" fn layer_time(user: *mut c_void, layer: *const c_char, milliseconds: f32) {
    // SAFETY: `user` is the box of a live hook, `layer` a C string.
    let (times, layer) = unsafe { (&*user.cast::<Mutex<Vec<LayerTime>>>(), result::text(layer)) };
    times
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(LayerTime {
            layer,
            milliseconds,
        });
}
