//! From a plan to an engine: runtime, engine, what an engine says about itself.

use super::allocator::AllocatorHook;
use super::logger;
use super::result::{self, Owned, Refused};
use super::sys;
use super::{DataType, DeviceAllocator, Error, ErrorKind, Library, driver};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// TensorRT's runtime with our allocator behind it. Engines keep it alive.
pub struct Runtime {
    // Dropped in this order: the runtime before the allocator that it may still call.
    runtime: Owned,
    allocator: AllocatorHook,
    library: Library,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "runtime of {:?}", self.library)
    }
}

impl Runtime {
    /// A runtime whose engines take their device memory from `allocator`.
    ///
    /// Call it with the device's context current; TensorRT takes the device of the calling thread.
    ///
    /// # Errors
    /// When there is no working CUDA driver, or TensorRT refuses.
    pub fn new(library: &Library, allocator: Arc<dyn DeviceAllocator>) -> super::Result<Arc<Self>> {
        // Without a driver the lean runtime returns garbage instead of null: ask first.
        driver::check()?;
        let table = library.table();
        let factory = library.runtime_factory()?;
        let allocator = AllocatorHook::new(table, allocator)
            .map_err(|_| Error::refused("allocator hook", "out of memory"))?;
        // SAFETY: the factory and the logger are this library's, the version is its own word.
        let (runtime, facts) = logger::watch(|| unsafe {
            Owned::new(
                (table.runtime_new)(factory, library.logger(), library.version().raw()),
                table.runtime_free,
            )
        });
        let runtime = runtime.map_err(|_| Error::refused("runtime", &facts.message()))?;
        // SAFETY: the allocator lives as long as the runtime (field order above).
        unsafe { (table.runtime_set_allocator)(runtime.raw(), allocator.raw()) };
        Ok(Arc::new(Self {
            runtime,
            allocator,
            library: library.clone(),
        }))
    }

    /// The library behind it.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Makes an engine of a plan. Its weights come from the allocator; `plan` may go afterwards.
    ///
    /// # Errors
    /// When the plan is of another version or device, damaged, or memory is out.
    pub fn deserialize(self: &Arc<Self>, plan: &[u8]) -> super::Result<Arc<Engine>> {
        let table = self.library.table();
        if plan.is_empty() {
            return Err(unusable("the plan is empty"));
        }
        // SAFETY: pointer and length are the slice's; TensorRT copies what it keeps.
        let (engine, facts) = logger::watch(|| unsafe {
            Owned::new(
                (table.runtime_deserialize)(self.runtime.raw(), plan.as_ptr().cast(), plan.len()),
                table.engine_free,
            )
        });
        let engine = engine.map_err(|_| unusable(&facts.message()))?;
        let tensors = tensors(table, &engine)?;
        Ok(Arc::new(Engine {
            engine,
            tensors,
            runtime: Arc::clone(self),
        }))
    }
}

/// One input or output of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineTensor {
    /// Its name.
    pub name: String,
    /// Element type.
    pub data_type: DataType,
    /// Extents, outermost first; -1 for a dynamic one.
    pub shape: Vec<i64>,
    /// Input or output.
    pub is_input: bool,
    /// Whether it is in device memory (shape tensors are not).
    pub on_device: bool,
}

impl EngineTensor {
    /// # Safety
    /// The description's name is a live C string.
    pub(super) unsafe fn from_raw(raw: &sys::Tensor) -> Self {
        let rank = usize::try_from(raw.rank).unwrap_or(0).min(sys::MAX_RANK);
        Self {
            // SAFETY: by the contract.
            name: unsafe { result::text(raw.name) },
            data_type: DataType::from_raw(raw.data_type),
            shape: raw.extents[..rank].to_vec(),
            is_input: raw.is_input != 0,
            on_device: raw.on_device != 0,
        }
    }
}

/// An engine: weights on the device, ready for contexts. Keeps runtime, allocator and library.
pub struct Engine {
    // Before the runtime: an engine must not outlive it.
    engine: Owned,
    tensors: Vec<EngineTensor>,
    runtime: Arc<Runtime>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "engine with {} tensors", self.tensors.len())
    }
}

impl Engine {
    /// Inputs and outputs, in the engine's order.
    pub fn tensors(&self) -> &[EngineTensor] {
        &self.tensors
    }

    /// Bytes of scratch memory that a context needs while it runs (`getDeviceMemorySizeV2`).
    pub fn scratch_bytes(&self) -> u64 {
        // SAFETY: a query on a live engine.
        let bytes = unsafe { (self.table().engine_scratch_bytes)(self.engine.raw()) };
        u64::try_from(bytes).unwrap_or(0)
    }

    /// Bytes of weights, where this TensorRT says (`getEngineStat`).
    pub fn weight_bytes(&self) -> Option<u64> {
        // The function is younger than its virtual table: an older library has no such slot.
        let library = &self.runtime.library;
        if library.version() < library.header_version() {
            return None;
        }
        // SAFETY: as above, and the slot is there.
        let bytes = unsafe { (self.table().engine_weight_bytes)(self.engine.raw()) };
        u64::try_from(bytes).ok()
    }

    /// Number of layers after fusion.
    pub fn layers(&self) -> usize {
        // SAFETY: a query on a live engine.
        let layers = unsafe { (self.table().engine_layer_count)(self.engine.raw()) };
        usize::try_from(layers).unwrap_or(0)
    }

    /// The engine inspector's JSON: layers, formats, tactics, as far as the profiling verbosity
    /// that the engine was built with allows.
    ///
    /// # Errors
    /// When TensorRT gives none.
    pub fn inspect(&self) -> super::Result<String> {
        unsafe extern "C" fn sink(user: *mut c_void, json: *const c_char) {
            // SAFETY: `user` is the String below, `json` a C string; both live through the call.
            unsafe { *user.cast::<String>() = result::text(json) };
        }
        let mut json = String::new();
        let (answer, facts) = logger::watch(|| {
            // SAFETY: the sink is called during this call only.
            let answer = unsafe {
                (self.table().engine_inspect)(
                    self.engine.raw(),
                    (&raw mut json).cast::<c_void>(),
                    sink,
                )
            };
            result::accepted(answer)
        });
        answer.map_err(|_| Error::refused("engine inspection", &facts.message()))?;
        Ok(json)
    }

    /// The runtime behind it.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    pub(super) fn raw(&self) -> *mut c_void {
        self.engine.raw()
    }

    pub(super) fn allocator(&self) -> *mut c_void {
        self.runtime.allocator.raw()
    }

    pub(super) fn table(&self) -> &'static sys::Table {
        self.runtime.library.table()
    }
}

fn tensors(table: &sys::Table, engine: &Owned) -> super::Result<Vec<EngineTensor>> {
    // SAFETY: queries on a live engine; names live as long as it.
    unsafe {
        (0..(table.engine_tensor_count)(engine.raw()))
            .map(|i| {
                let raw = result::tensor(|out| (table.engine_tensor)(engine.raw(), i, out))?;
                Ok(EngineTensor::from_raw(&raw))
            })
            .collect::<Result<_, Refused>>()
    }
    .map_err(|_| unusable("an input or output has more than 8 dimensions"))
}

fn unusable(reason: &str) -> Error {
    Error::new(
        ErrorKind::Plan,
        format!(
            "TensorRT cannot load the engine ({reason}); it was built by another version, for \
             another device, or is damaged"
        ),
    )
}
