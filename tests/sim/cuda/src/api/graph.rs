//! Recording and graphs.

use super::stream::{put, stream_of};
use super::{code, enter, ok};
use crate::driver::{Capture, DEFAULT_STREAM};
use crate::status::{
    ERROR_INVALID_HANDLE, ERROR_INVALID_VALUE, ERROR_STREAM_CAPTURE_IMPLICIT,
    ERROR_STREAM_CAPTURE_INVALIDATED, ERROR_STREAM_CAPTURE_WRONG_THREAD,
};
use crate::work::Work;
use std::ffi::{c_int, c_ulonglong};
use std::sync::Arc;

/// CU_STREAM_CAPTURE_MODE_RELAXED
const RELAXED: c_int = 2;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamBeginCapture_v2(stream: usize, mode: c_int) -> c_int {
    code(|| {
        let mut state = enter("cuStreamBeginCapture")?;
        let id = stream_of(&mut state, stream, "cuStreamBeginCapture")?;
        if id == DEFAULT_STREAM {
            return Err(ERROR_STREAM_CAPTURE_IMPLICIT);
        }
        // Waits put on the stream before belong to the work before.
        state.tail(id);
        let stream = state.streams.get_mut(&id).ok_or(ERROR_INVALID_HANDLE)?;
        if stream.capture.is_some() {
            return Err(ERROR_INVALID_VALUE);
        }
        stream.capture = Some(Capture {
            works: Vec::new(),
            thread: std::thread::current().id(),
            relaxed: mode == RELAXED,
            broken: false,
        });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamEndCapture(stream: usize, graph: *mut usize) -> c_int {
    code(|| {
        let mut state = enter("cuStreamEndCapture")?;
        let id = stream_of(&mut state, stream, "cuStreamEndCapture")?;
        // SAFETY: as cuda.h demands.
        unsafe { *graph = 0 };
        let stream = state.streams.get_mut(&id).ok_or(ERROR_INVALID_HANDLE)?;
        let this = std::thread::current().id();
        if let Some(capture) = &stream.capture
            && capture.thread != this
            && !capture.relaxed
        {
            return Err(ERROR_STREAM_CAPTURE_WRONG_THREAD);
        }
        let capture = stream.capture.take().ok_or(ERROR_INVALID_VALUE)?;
        for event in state.events.values_mut() {
            if event.captured_on == Some(id) {
                event.captured_on = None;
            }
        }
        if capture.broken {
            return Err(ERROR_STREAM_CAPTURE_INVALIDATED);
        }
        let handle = state.handle();
        state.graphs.insert(handle, capture.works);
        // SAFETY: as cuda.h demands.
        unsafe { *graph = handle as usize };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphDestroy(graph: usize) -> c_int {
    code(|| {
        let mut state = enter("cuGraphDestroy")?;
        match state.graphs.remove(&(graph as u64)) {
            Some(_) => Ok(()),
            None => {
                state.problem("cuGraphDestroy of a graph that does not exist".to_owned());
                Err(ERROR_INVALID_HANDLE)
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphInstantiateWithFlags(
    exec: *mut usize,
    graph: usize,
    _flags: c_ulonglong,
) -> c_int {
    code(|| {
        let mut state = enter("cuGraphInstantiate")?;
        ok(state.admit("graph", 0))?;
        let works = state.graphs.get(&(graph as u64)).cloned();
        let works = works.ok_or(ERROR_INVALID_HANDLE)?;
        let handle = state.handle();
        state.execs.insert(handle, Arc::new(works));
        // SAFETY: as cuda.h demands.
        unsafe { *exec = handle as usize };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphExecDestroy(exec: usize) -> c_int {
    code(|| {
        let mut state = enter("cuGraphExecDestroy")?;
        match state.execs.remove(&(exec as u64)) {
            Some(_) => Ok(()),
            None => {
                state.problem("cuGraphExecDestroy of a graph that does not exist".to_owned());
                Err(ERROR_INVALID_HANDLE)
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphUpload(exec: usize, stream: usize) -> c_int {
    code(|| {
        let known = enter("cuGraphUpload")?.execs.contains_key(&(exec as u64));
        if !known {
            return Err(ERROR_INVALID_HANDLE);
        }
        put("cuGraphUpload", stream, Work::Mark).map(|_| ())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphLaunch(exec: usize, stream: usize) -> c_int {
    code(|| {
        let works = enter("cuGraphLaunch")?.execs.get(&(exec as u64)).cloned();
        let works = works.ok_or(ERROR_INVALID_HANDLE)?;
        let ticket = put("cuGraphLaunch", stream, Work::Graph(Arc::clone(&works)))?;
        let mut state = enter("cuGraphLaunch")?;
        for work in works.iter() {
            if let Work::Record(event) = work
                && let Some(event) = state.events.get_mut(event)
            {
                event.recorded = ticket;
            }
        }
        Ok(())
    })
}
