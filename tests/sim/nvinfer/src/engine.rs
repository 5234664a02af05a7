//! Engines, contexts and runs: a graph bound to memory that the client handed out.

use crate::driver::{Driver, Pinned, driver};
use crate::graph::{ElementType, Graph, Tensor, align, c_string};
use crate::pattern;
use crate::plan::Plan;
use rten::{Model, ModelOptions, NodeId, Value, ValueOrView, ValueView};
use rten_tensor::{AsView, Layout};
use std::ffi::{CStr, CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// `ILogger::Severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)] // the names say it
pub enum Severity {
    Error = 1,
    Warning = 2,
    Info = 3,
    Verbose = 4,
}

/// The client's logger.
#[derive(Clone, Copy)]
pub struct Log {
    /// The `ILogger` object; null for none.
    pub logger: *mut c_void,
    /// What calls it.
    pub sink: unsafe extern "C" fn(*mut c_void, i32, *const std::ffi::c_char),
}

// SAFETY: TensorRT demands of loggers that they may be called from any thread.
unsafe impl Send for Log {}
// SAFETY: as above.
unsafe impl Sync for Log {}

impl Log {
    /// One line for the client.
    pub fn say(&self, severity: Severity, text: &str) {
        if !self.logger.is_null() {
            let text = c_string(text);
            // SAFETY: the logger outlives every object that was made with it, as TensorRT demands.
            unsafe { (self.sink)(self.logger, severity as i32, text.as_ptr()) };
        }
    }
}

struct Loaded {
    model: Model,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
}

/// A plan that was read, with its weights in the client's memory.
pub struct Engine {
    graph: Arc<Graph>,
    name: CString,
    plan: Vec<u8>,
    /// `None` for a graph that the CPU runtime cannot run (bfloat16).
    loaded: Option<Loaded>,
    weights: AtomicU64,
}

impl Engine {
    /// Reads a plan for this driver's device.
    ///
    /// # Errors
    /// As [`Plan::decode`], and when the runtime refuses the model.
    pub fn open(bytes: &[u8], version: u32) -> Result<Self, String> {
        let device = driver()?.identity();
        let plan = Plan::decode(bytes, version, &device).map_err(|error| error.to_string())?;
        let graph = Graph::parse(plan.onnx).map_err(|error| error.text)?;
        Ok(Self {
            loaded: (!graph.bf16).then(|| load(&graph)).transpose()?,
            graph: Arc::new(graph),
            name: c_string(&plan.name),
            plan: bytes.to_vec(),
            weights: AtomicU64::new(0),
        })
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The network's name.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// The plan it was read from.
    pub fn plan(&self) -> &[u8] {
        &self.plan
    }

    /// Bytes of device memory for weights.
    pub fn weights_bytes(&self) -> u64 {
        align(self.graph.weights_bytes.max(1))
    }

    /// Takes a block for the weights and writes them: a sequence that only this graph has.
    ///
    /// # Errors
    /// When the device does not know the block.
    pub fn place_weights(&self, address: u64) -> Result<(), String> {
        write_pattern(address, self.weights_bytes(), self.graph.hash())?;
        self.weights.store(address, Ordering::Release);
        Ok(())
    }
}

/// Loads the graph as masklet's CPU backend does, so that results are the same bit for bit.
fn load(graph: &Graph) -> Result<Loaded, String> {
    let model = ModelOptions::with_all_ops()
        .prepack_weights(true)
        .load(graph.onnx.clone())
        .map_err(|error| error.to_string())?;
    let ids = |tensors: &[Tensor]| {
        tensors
            .iter()
            .map(|tensor| model.node_id(&tensor.name.to_string_lossy()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())
    };
    Ok(Loaded {
        inputs: ids(&graph.inputs)?,
        outputs: ids(&graph.outputs)?,
        model,
    })
}

/// Device memory as the host sees it.
///
/// # Safety
/// - Nobody else uses the range while the slice lives.
unsafe fn block<'a>(driver: &Driver, address: u64, bytes: u64) -> Result<&'a mut [u8], String> {
    let start = driver.host(address, bytes)?;
    let length = usize::try_from(bytes).map_err(|error| error.to_string())?;
    // SAFETY: the driver knows the whole range, and the caller has it alone.
    Ok(unsafe { std::slice::from_raw_parts_mut(start, length) })
}

/// Writes the sequence of a seed to a block that the client's allocator gave.
fn write_pattern(address: u64, bytes: u64, seed: u64) -> Result<(), String> {
    let driver = driver()?;
    if driver.is_staged() {
        let mut words = vec![0; usize::try_from(bytes).map_err(|error| error.to_string())?];
        pattern::fill(&mut words, seed);
        return driver.write(address, &words);
    }
    // SAFETY: the client's allocator gave the block for this.
    pattern::fill(unsafe { block(driver, address, bytes)? }, seed);
    Ok(())
}

/// A block of device memory that a run touches.
#[derive(Clone, Copy)]
enum Slot {
    Weights,
    Persistent,
    /// Index among the graph's tensors, inputs first.
    Tensor(usize),
}

/// Host memory for all that a run reads and writes, for a device whose memory the host does not see.
/// The runs of a context follow one another, so one set is enough.
struct Staging {
    memory: Pinned,
    persistent: u64,
    tensors: Vec<u64>,
}

impl Staging {
    fn new(driver: &Driver, engine: &Engine) -> Result<Self, String> {
        let graph = &engine.graph;
        let mut end = engine.weights_bytes();
        let mut place = |bytes| {
            let at = align(end);
            end = at + bytes;
            at
        };
        let persistent = place(graph.persistent_bytes());
        let tensors = graph
            .tensors()
            .map(|tensor| place(tensor.bytes()))
            .collect();
        let memory = driver.pinned(end)?;
        Ok(Self {
            memory,
            persistent,
            tensors,
        })
    }

    fn at(&self, slot: Slot, bytes: u64) -> Result<*mut u8, String> {
        let offset = match slot {
            Slot::Weights => 0,
            Slot::Persistent => self.persistent,
            Slot::Tensor(index) => self.tensors[index],
        };
        self.memory.at(offset, bytes)
    }
}

/// What runs of one execution context share. Runs that are still on a stream keep it alive.
pub struct Context {
    staging: Option<Staging>,
    engine: Arc<Engine>,
    persistent: u64,
    seed: u64,
    log: Log,
    pending: AtomicUsize,
    destroyed: AtomicBool,
    last_microseconds: AtomicU64,
}

impl Context {
    /// Takes a block of [`Graph::persistent_bytes`] and writes to it what only this context writes.
    ///
    /// # Errors
    /// When the device does not know the block.
    pub fn new(engine: &Arc<Engine>, persistent: u64, log: Log) -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let seed = !engine.graph.hash() ^ number << 32;
        let bytes = engine.graph.persistent_bytes();
        write_pattern(persistent, bytes, seed)?;
        let driver = driver()?;
        let staging = driver
            .is_staged()
            .then(|| Staging::new(driver, engine))
            .transpose()?;
        Ok(Self {
            staging,
            engine: Arc::clone(engine),
            persistent,
            seed,
            log,
            pending: AtomicUsize::new(0),
            destroyed: AtomicBool::new(false),
            last_microseconds: AtomicU64::new(0),
        })
    }

    /// Puts one run on the stream: `addresses` are the tensors', inputs first.
    ///
    /// # Errors
    /// When an address is missing, the graph cannot run, or the driver refuses.
    ///
    /// # Safety
    /// - `stream` is a stream of the driver's, or null for its default stream.
    pub unsafe fn enqueue(
        self: &Arc<Self>,
        stream: *mut c_void,
        addresses: &[u64],
        scratch: u64,
        scratch_bytes: u64,
    ) -> Result<(), String> {
        let graph = &self.engine.graph;
        self.check_types()?;
        if let Some((tensor, _)) = graph.tensors().zip(addresses).find(|(_, a)| **a == 0) {
            let name = tensor.name.to_string_lossy();
            return Err(format!(
                "Error Code 3: API Usage Error (Parameter check failed, condition: \
                 mContext.profileObliviousBindings.at(profileObliviousIndex). Address is not set \
                 for tensor {name}. Call setTensorAddress before enqueue/execute.)"
            ));
        }
        if scratch == 0 || scratch_bytes < graph.scratch_bytes() {
            return Err(format!(
                "Error Code 3: API Usage Error (The context needs {} bytes of device memory, {} \
                 are set. Call setDeviceMemoryV2 before enqueue.)",
                graph.scratch_bytes(),
                if scratch == 0 { 0 } else { scratch_bytes }
            ));
        }
        let driver = driver()?;
        let captured = driver.is_capturing(stream);
        let run = Box::new(Run {
            context: Arc::clone(self),
            addresses: addresses.to_vec(),
            scratch,
            captured,
        });
        if !captured {
            self.pending.fetch_add(1, Ordering::AcqRel);
        }
        // SAFETY: the stream is the driver's.
        unsafe { self.fetch(driver, stream, addresses, scratch)? };
        let data = Box::into_raw(run);
        // SAFETY: the box lives until `on_stream` takes it back; a captured one lives on, since its
        // graph may be launched at any time.
        unsafe { driver.launch(stream, on_stream, data.cast()) }.map_err(|code| {
            // SAFETY: the driver did not take it.
            let run = unsafe { Box::from_raw(data) };
            run.finished();
            format!("Error Code 1: Cuda Driver (cuLaunchHostFunc returned {code})")
        })?;
        // SAFETY: the stream is the driver's.
        unsafe { self.deliver(driver, stream, addresses) }
    }

    /// Puts the copies of all that a run reads on the stream, and writes over the scratch block.
    unsafe fn fetch(
        &self,
        driver: &Driver,
        stream: *mut c_void,
        addresses: &[u64],
        scratch: u64,
    ) -> Result<(), String> {
        let Some(staging) = &self.staging else {
            return Ok(());
        };
        let (engine, graph) = (&self.engine, &self.engine.graph);
        driver.fill_on(stream, scratch, pattern::SCRATCH, graph.scratch_bytes())?;
        let weights = engine.weights.load(Ordering::Acquire);
        let kept = [
            (Slot::Weights, weights, engine.weights_bytes()),
            (Slot::Persistent, self.persistent, graph.persistent_bytes()),
        ];
        let inputs = graph.inputs.iter().zip(addresses).enumerate();
        let inputs =
            inputs.map(|(i, (tensor, &address))| (Slot::Tensor(i), address, tensor.bytes()));
        for (slot, address, bytes) in kept.into_iter().chain(inputs) {
            // SAFETY: the staging memory lives as long as the context, which the run on the stream
            // keeps alive.
            unsafe { driver.read_on(stream, address, staging.at(slot, bytes)?, bytes)? };
        }
        Ok(())
    }

    /// Puts the copies of all that a run wrote on the stream.
    unsafe fn deliver(
        &self,
        driver: &Driver,
        stream: *mut c_void,
        addresses: &[u64],
    ) -> Result<(), String> {
        let Some(staging) = &self.staging else {
            return Ok(());
        };
        let graph = &self.engine.graph;
        let all = graph.tensors().zip(addresses).enumerate();
        for (index, (tensor, &address)) in all.skip(graph.inputs.len()) {
            let from = staging.at(Slot::Tensor(index), tensor.bytes())?;
            // SAFETY: clients wait for their streams before they give a context back.
            unsafe { driver.write_on(stream, address, from, tensor.bytes())? };
        }
        Ok(())
    }

    /// A block as the host sees it while a run is on.
    ///
    /// # Safety
    /// - Nobody else uses the range while the slice lives.
    unsafe fn seen<'a>(
        &self,
        driver: &Driver,
        slot: Slot,
        address: u64,
        bytes: u64,
    ) -> Result<&'a mut [u8], String> {
        match &self.staging {
            // SAFETY: the caller has the range alone, and the staging memory holds all of it.
            Some(staging) => Ok(unsafe {
                std::slice::from_raw_parts_mut(staging.at(slot, bytes)?, bytes as usize)
            }),
            // SAFETY: the caller's promise.
            None => unsafe { block(driver, address, bytes) },
        }
    }

    /// Milliseconds of the latest run, on this machine's CPU.
    pub fn last_ms(&self) -> f32 {
        self.last_microseconds.load(Ordering::Acquire) as f32 / 1000.0
    }

    /// The client destroyed the context: nothing of it may run any more.
    pub fn destroy(&self) {
        self.destroyed.store(true, Ordering::Release);
        let pending = self.pending.load(Ordering::Acquire);
        if pending > 0 {
            self.log.say(
                Severity::Error,
                &format!(
                    "IExecutionContext: destroyed while {pending} enqueued runs have not finished"
                ),
            );
        } else if let Some(staging) = &self.staging {
            // Graphs that captured this context keep it, but must not be launched any more.
            staging.memory.give_back();
        }
    }

    fn check_types(&self) -> Result<(), String> {
        let unsupported = |what: &str| {
            format!("Error Code 10: the simulated TensorRT cannot run this engine: {what}")
        };
        if self.engine.loaded.is_none() {
            return Err(unsupported(
                "it computes in bfloat16, which the CPU runtime lacks",
            ));
        }
        self.engine
            .graph
            .tensors()
            .find(|t| !matches!(t.element, ElementType::Float | ElementType::Int32))
            .map_or(Ok(()), |tensor| {
                Err(unsupported(&format!(
                    "tensor {} is {:?}, only Float and Int32 can cross its boundary",
                    tensor.name.to_string_lossy(),
                    tensor.element
                )))
            })
    }
}

/// One run on a stream.
struct Run {
    context: Arc<Context>,
    addresses: Vec<u64>,
    scratch: u64,
    captured: bool,
}

/// The host function that the stream calls.
unsafe extern "C" fn on_stream(data: *mut c_void) {
    let run = data.cast::<Run>();
    // SAFETY: `enqueue` made it, and a stream runs its functions once unless they were captured.
    unsafe {
        (*run).perform();
        if !(*run).captured {
            Box::from_raw(run).finished();
        }
    }
}

impl Run {
    fn finished(&self) {
        if !self.captured {
            self.context.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn perform(&self) {
        let started = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| self.compute()))
            .unwrap_or_else(|_| Err("the CPU runtime panicked".to_owned()));
        if let Err(what) = done {
            let text = format!("IExecutionContext::enqueueV3: Error Code 7: Execution ({what})");
            if self.context.destroyed.load(Ordering::Acquire) {
                // The logger may be gone with the context.
                eprintln!("{text}");
            } else {
                self.context.log.say(Severity::Error, &text);
            }
            if let Ok(driver) = driver() {
                driver.note_problem(&text);
            }
            self.poison();
        }
        let elapsed = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.context
            .last_microseconds
            .store(elapsed.max(1), Ordering::Release);
    }

    fn compute(&self) -> Result<(), String> {
        let context = &self.context;
        let (engine, graph) = (&context.engine, &context.engine.graph);
        if context.destroyed.load(Ordering::Acquire) {
            return Err("the context was destroyed before its work ran".to_owned());
        }
        let loaded = engine.loaded.as_ref().ok_or("no model is loaded")?;
        let driver = driver()?;
        self.check_overlaps()?;
        self.check_contents(driver)?;
        // A scratch block that the host does not see was written over on the stream.
        let scratch = match context.staging {
            Some(_) => &mut [],
            // SAFETY: the scratch block is the context's from enqueue to the end of the work.
            None => unsafe { block(driver, self.scratch, graph.scratch_bytes())? },
        };
        scratch.fill(pattern::SCRATCH);

        let (inputs, outputs) = self.addresses.split_at(graph.inputs.len());
        let values = graph
            .inputs
            .iter()
            .zip(inputs)
            .zip(&loaded.inputs)
            .enumerate()
            .map(|(index, ((tensor, &address), &id))| {
                let slot = Slot::Tensor(index);
                // SAFETY: inputs are the run's to read until the stream has run it.
                let bytes = unsafe { context.seen(driver, slot, address, tensor.bytes())? };
                Ok((id, ValueOrView::View(view(tensor, bytes)?)))
            })
            .collect::<Result<Vec<_>, String>>()?;
        let results = loaded
            .model
            .run(values, &loaded.outputs, None)
            .map_err(|error| error.to_string())?;
        if scratch.iter().any(|&byte| byte != pattern::SCRATCH) {
            return Err("the device memory was written to during the run".to_owned());
        }
        self.check_contents(driver)?;
        let written = graph.outputs.iter().zip(outputs).zip(&results).enumerate();
        for (index, ((tensor, &address), value)) in written {
            let slot = Slot::Tensor(graph.inputs.len() + index);
            // SAFETY: outputs are the run's alone until the stream has run it.
            store(value, tensor, unsafe {
                context.seen(driver, slot, address, tensor.bytes())?
            })?;
        }
        Ok(())
    }

    /// Memory whose contents must survive from one run to the next.
    fn check_contents(&self, driver: &Driver) -> Result<(), String> {
        let (context, engine) = (&self.context, &self.context.engine);
        let kept = [
            (
                "the engine's weights",
                Slot::Weights,
                engine.weights.load(Ordering::Acquire),
                engine.weights_bytes(),
                engine.graph.hash(),
            ),
            (
                "the context's persistent memory",
                Slot::Persistent,
                context.persistent,
                engine.graph.persistent_bytes(),
                context.seed,
            ),
        ];
        for (what, slot, address, bytes, seed) in kept {
            // SAFETY: engine and context have these blocks until they give them back.
            let block = unsafe { context.seen(driver, slot, address, bytes)? };
            if let Some(at) = pattern::first_difference(block, seed) {
                return Err(format!("{what} were overwritten at byte {at} of {bytes}"));
            }
        }
        Ok(())
    }

    /// No range that the run uses may overlap one that it writes.
    fn check_overlaps(&self) -> Result<(), String> {
        let (context, graph) = (&self.context, &self.context.engine.graph);
        let engine = &context.engine;
        let fixed = [
            ("device memory", self.scratch, graph.scratch_bytes(), true),
            (
                "weights",
                engine.weights.load(Ordering::Acquire),
                engine.weights_bytes(),
                false,
            ),
            (
                "persistent memory",
                context.persistent,
                graph.persistent_bytes(),
                false,
            ),
        ]
        .map(|(name, address, bytes, written)| (name.to_owned(), address, bytes, written));
        let bound = graph.tensors().zip(&self.addresses).enumerate();
        let bound = bound.map(|(index, (tensor, &address))| {
            let name = format!("tensor {}", tensor.name.to_string_lossy());
            (name, address, tensor.bytes(), index >= graph.inputs.len())
        });
        let ranges = fixed.into_iter().chain(bound).collect::<Vec<_>>();
        for (index, a) in ranges.iter().enumerate() {
            for b in &ranges[..index] {
                if (a.3 || b.3) && a.1 < b.1 + b.2 && b.1 < a.1 + a.2 {
                    return Err(format!("{} overlaps {}", a.0, b.0));
                }
            }
        }
        Ok(())
    }

    /// Fills every output that the device knows with NaN.
    fn poison(&self) {
        let graph = &self.context.engine.graph;
        let Ok(driver) = driver() else {
            return;
        };
        let all = graph.tensors().zip(&self.addresses).enumerate();
        for (index, (tensor, &address)) in all.skip(graph.inputs.len()) {
            let slot = Slot::Tensor(index);
            // SAFETY: outputs are the run's alone until the stream has run it.
            if let Ok(block) = unsafe { self.context.seen(driver, slot, address, tensor.bytes()) } {
                block.fill(pattern::SCRATCH);
            }
        }
    }
}

fn shape(tensor: &Tensor) -> Result<Vec<usize>, String> {
    tensor
        .dims
        .iter()
        .map(|&extent| usize::try_from(extent).map_err(|error| error.to_string()))
        .collect()
}

/// Bytes as numbers.
fn typed<T>(bytes: &[u8]) -> Result<&[T], String> {
    // SAFETY: only used for f32 and i32, for which every bit pattern is a value.
    let (before, values, after) = unsafe { bytes.align_to::<T>() };
    if before.is_empty() && after.is_empty() {
        Ok(values)
    } else {
        Err("a tensor's address is not aligned".to_owned())
    }
}

fn view<'a>(tensor: &Tensor, bytes: &'a [u8]) -> Result<ValueView<'a>, String> {
    let shape = shape(tensor)?;
    match tensor.element {
        ElementType::Float => ValueView::from_shape(shape.as_slice(), typed::<f32>(bytes)?)
            .map_err(|error| error.to_string()),
        ElementType::Int32 => ValueView::from_shape(shape.as_slice(), typed::<i32>(bytes)?)
            .map_err(|error| error.to_string()),
        other => Err(format!("inputs of type {other:?} are not supported")),
    }
}

fn store(value: &Value, tensor: &Tensor, to: &mut [u8]) -> Result<(), String> {
    let differs = || {
        format!(
            "output {} is not what the graph declares",
            tensor.name.to_string_lossy()
        )
    };
    let bytes: Vec<[u8; 4]> = match (value, tensor.element) {
        (Value::FloatTensor(values), ElementType::Float) => {
            values.iter().map(|value| value.to_ne_bytes()).collect()
        }
        (Value::Int32Tensor(values), ElementType::Int32) => {
            values.iter().map(|value| value.to_ne_bytes()).collect()
        }
        _ => return Err(differs()),
    };
    let bytes = bytes.as_flattened();
    if bytes.len() != to.len() || value.ndim() != tensor.dims.len() {
        return Err(differs());
    }
    to.copy_from_slice(bytes);
    Ok(())
}
