//! CUDA graphs: a sequence of work recorded once, launched with one call.

use super::counter::{self, Kind};
use super::device::Device;
use super::driver::check;
use super::error::CudaError;
use super::stream::Stream;
use cudarc::driver::sys;
use std::sync::Arc;

/// Why a sequence could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError<E> {
    /// The function that was to put the work on the stream failed.
    #[error(transparent)]
    Work(E),
    /// The driver would not record it: something in it cannot be part of a graph, such as waiting
    /// for the stream, or allocating.
    #[error("the work cannot be recorded as a CUDA graph ({0}); run it without")]
    Cuda(#[source] CudaError),
}

/// A recorded sequence of work, ready to be launched. The addresses in it are fixed: whoever
/// launches it promises that they are still what they were.
#[derive(Debug)]
pub struct GraphExec {
    device: Arc<Device>,
    raw: sys::CUgraphExec,
}

// SAFETY: the driver lets any thread launch a graph, one at a time: `launch` takes `&self`, so the
// type is not `Sync`.
unsafe impl Send for GraphExec {}

impl GraphExec {
    /// Records what `work` puts on the stream, without doing it, and makes it ready: the graph is
    /// on the device when this returns.
    ///
    /// Other threads may use the device meanwhile; this one must not allocate or wait inside
    /// `work`.
    ///
    /// # Errors
    /// What `work` returned, or why the driver refuses. The stream is usable again either way.
    pub fn capture<E>(
        stream: &Stream,
        work: impl FnOnce(&Stream) -> Result<(), E>,
    ) -> Result<Self, CaptureError<E>> {
        let device = stream.device();
        device.bind().map_err(CaptureError::Cuda)?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the handle is live.
        let code = unsafe { sys::cuStreamBeginCapture_v2(stream.handle(), mode) };
        check("cuStreamBeginCapture_v2", code).map_err(CaptureError::Cuda)?;
        let result = work(stream);
        let mut graph = std::ptr::null_mut();
        // SAFETY: capture was begun on this stream by this thread; writes one handle.
        let code = unsafe { sys::cuStreamEndCapture(stream.handle(), &raw mut graph) };
        let ended = check("cuStreamEndCapture", code);
        let graph = Graph {
            device: Arc::clone(device),
            raw: graph,
        };
        result.map_err(CaptureError::Work)?;
        ended.map_err(CaptureError::Cuda)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the graph is live; writes one handle.
        let code = unsafe { sys::cuGraphInstantiateWithFlags(&raw mut raw, graph.raw, 0) };
        check("cuGraphInstantiateWithFlags", code).map_err(CaptureError::Cuda)?;
        counter::count(Kind::Graph);
        let exec = Self {
            device: Arc::clone(device),
            raw,
        };
        // SAFETY: both handles are live.
        let code = unsafe { sys::cuGraphUpload(exec.raw, stream.handle()) };
        check("cuGraphUpload", code).map_err(CaptureError::Cuda)?;
        stream.synchronize().map_err(CaptureError::Cuda)?;
        Ok(exec)
    }

    /// Puts the recorded work on a stream.
    ///
    /// # Safety
    /// Every address in the recorded work is still allocated and has the same use as when it was
    /// recorded, and the contract of [`Stream`] holds for all of it.
    ///
    /// # Errors
    /// When the driver refuses.
    pub unsafe fn launch(&self, stream: &Stream) -> Result<(), CudaError> {
        if self.device.handle() != stream.device().handle() {
            return Err(CudaError::OtherDevice { what: "the graph" });
        }
        self.device.bind()?;
        // SAFETY: both handles are live; the rest is the caller's promise.
        check("cuGraphLaunch", unsafe {
            sys::cuGraphLaunch(self.raw, stream.handle())
        })
    }
}

impl Drop for GraphExec {
    fn drop(&mut self) {
        self.device.record_err(self.device.bind());
        // SAFETY: the handle is live and destroyed once; a launch in flight still runs to its end.
        let code = unsafe { sys::cuGraphExecDestroy(self.raw) };
        self.device.record_err(check("cuGraphExecDestroy", code));
    }
}

/// The recorded graph, needed only until it is instantiated.
struct Graph {
    device: Arc<Device>,
    raw: sys::CUgraph,
}

impl Drop for Graph {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: the handle is live and destroyed once.
            let code = unsafe { sys::cuGraphDestroy(self.raw) };
            self.device.record_err(check("cuGraphDestroy", code));
        }
    }
}
