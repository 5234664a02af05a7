//! Streams, events, copies.

use super::{code, enter, ok};
use crate::driver::{DEFAULT_STREAM, Driver, Event, Ticket, advance, force};
use crate::status::{
    ERROR_INVALID_HANDLE, ERROR_INVALID_VALUE, ERROR_NOT_READY, ERROR_NOT_SUPPORTED,
    ERROR_STREAM_CAPTURE_ISOLATION, ERROR_STREAM_CAPTURE_UNSUPPORTED,
};
use crate::work::{HostCall, Source, Work};
use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::sync::{Arc, MutexGuard};

/// The stream behind a handle: 0 and 1 are the default stream.
pub(super) fn stream_of(state: &mut Driver, handle: usize, call: &str) -> Result<u64, c_int> {
    let id = match handle {
        0 | 1 => DEFAULT_STREAM,
        2 => return Err(ERROR_NOT_SUPPORTED),
        other => other as u64,
    };
    if state.is_live(id) {
        return Ok(id);
    }
    state.problem(format!("{call} on stream {id:#x}, which does not exist"));
    Err(ERROR_INVALID_HANDLE)
}

fn event_of<'a>(state: &'a mut Driver, event: usize, call: &str) -> Result<&'a mut Event, c_int> {
    let id = event as u64;
    if !state.events.contains_key(&id) {
        state.problem(format!("{call} of event {id:#x}, which does not exist"));
    }
    state.events.get_mut(&id).ok_or(ERROR_INVALID_HANDLE)
}

/// Refuses, and breaks the recording, where a stream that records is waited for.
fn not_capturing(state: &mut Driver, stream: u64) -> Result<(), c_int> {
    match state
        .streams
        .get_mut(&stream)
        .and_then(|s| s.capture.as_mut())
    {
        Some(capture) => {
            capture.broken = true;
            Err(ERROR_STREAM_CAPTURE_UNSUPPORTED)
        }
        None => Ok(()),
    }
}

/// Puts work on a stream whose handle is checked.
pub(super) fn put(call: &str, stream: usize, work: Work) -> Result<Option<Ticket>, c_int> {
    let mut state = enter(call)?;
    let stream = stream_of(&mut state, stream, call)?;
    Ok(state.enqueue(stream, work))
}

/// Checks device addresses when the call is made, as the driver does for copies.
fn checked(
    state: &mut MutexGuard<'_, Driver>,
    call: &str,
    ranges: &[(u64, usize)],
) -> Result<(), c_int> {
    for &(address, bytes) in ranges {
        if let Err(problem) = state.memory.resolve(address, bytes as u64, call) {
            state.problem(problem);
            return Err(ERROR_INVALID_VALUE);
        }
    }
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut usize, flags: c_uint) -> c_int {
    code(|| {
        let mut state = enter("cuStreamCreate")?;
        ok(state.admit("stream", 0))?;
        // SAFETY: as cuda.h demands.
        unsafe { *stream = state.open_stream(flags & 1 == 0) as usize };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreateWithPriority(
    stream: *mut usize,
    flags: c_uint,
    _priority: c_int,
) -> c_int {
    // SAFETY: as cuda.h demands.
    unsafe { cuStreamCreate(stream, flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamDestroy_v2(stream: usize) -> c_int {
    code(|| {
        let mut state = enter("cuStreamDestroy")?;
        let id = stream_of(&mut state, stream, "cuStreamDestroy")?;
        if id == DEFAULT_STREAM {
            return Err(ERROR_INVALID_HANDLE);
        }
        // What is on it still runs some time.
        state.tail(id);
        if let Some(stream) = state.streams.get_mut(&id) {
            stream.destroyed = true;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamSynchronize(stream: usize) -> c_int {
    code(|| {
        let mut state = enter("cuStreamSynchronize")?;
        let id = stream_of(&mut state, stream, "cuStreamSynchronize")?;
        not_capturing(&mut state, id)?;
        let tail = if id == DEFAULT_STREAM {
            // The default stream is done when what it waits for is.
            state.enqueue(id, Work::Mark);
            state.tail(id)
        } else {
            state.tail(id)
        };
        drop(state);
        ok(force(tail))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamQuery(stream: usize) -> c_int {
    code(|| {
        let mut state = enter("cuStreamQuery")?;
        let id = stream_of(&mut state, stream, "cuStreamQuery")?;
        not_capturing(&mut state, id)?;
        let tail = state.tail(id);
        drop(state);
        query(tail)
    })
}

/// A question brings the answer nearer by one piece of work, so that asking in a loop ends.
fn query(ticket: Ticket) -> Result<(), c_int> {
    ok(advance(ticket, 1))?;
    if crate::driver::state().is_done(ticket) {
        return Ok(());
    }
    Err(ERROR_NOT_READY)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamWaitEvent(stream: usize, event: usize, _flags: c_uint) -> c_int {
    code(|| {
        let mut state = enter("cuStreamWaitEvent")?;
        let id = stream_of(&mut state, stream, "cuStreamWaitEvent")?;
        let waited = event_of(&mut state, event, "cuStreamWaitEvent")?;
        let (recorded, captured_on) = (waited.recorded, waited.captured_on);
        let capture = state.streams.get_mut(&id).and_then(|s| s.capture.as_mut());
        match (capture, captured_on) {
            // The order inside one stream holds anyway.
            (Some(_), Some(on)) if on == id => Ok(()),
            // Work outside the recording cannot be waited for in it.
            (Some(capture), _) => {
                capture.broken = true;
                Err(ERROR_STREAM_CAPTURE_ISOLATION)
            }
            // A second stream would join the recording, which is not simulated.
            (None, Some(_)) => Err(ERROR_NOT_SUPPORTED),
            (None, None) => {
                if let Some(ticket) = recorded.filter(|_| state.config.waits) {
                    state.wait(id, ticket);
                }
                Ok(())
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut usize, flags: c_uint) -> c_int {
    code(|| {
        let mut state = enter("cuEventCreate")?;
        ok(state.admit("event", 0))?;
        let id = state.handle();
        let made = Event {
            timing: flags & 2 == 0,
            ..Event::default()
        };
        state.events.insert(id, made);
        // SAFETY: as cuda.h demands.
        unsafe { *event = id as usize };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventDestroy_v2(event: usize) -> c_int {
    code(|| {
        let mut state = enter("cuEventDestroy")?;
        event_of(&mut state, event, "cuEventDestroy")?;
        state.events.remove(&(event as u64));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventRecord(event: usize, stream: usize) -> c_int {
    code(|| {
        let mut state = enter("cuEventRecord")?;
        let id = stream_of(&mut state, stream, "cuEventRecord")?;
        event_of(&mut state, event, "cuEventRecord")?;
        let ticket = state.enqueue(id, Work::Record(event as u64));
        let recorded = event_of(&mut state, event, "cuEventRecord")?;
        match ticket {
            Some(ticket) => {
                recorded.recorded = Some(ticket);
                recorded.captured_on = None;
            }
            None => recorded.captured_on = Some(id),
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventSynchronize(event: usize) -> c_int {
    code(|| {
        let mut state = enter("cuEventSynchronize")?;
        let waited = event_of(&mut state, event, "cuEventSynchronize")?;
        if waited.captured_on.is_some() {
            return Err(ERROR_STREAM_CAPTURE_UNSUPPORTED);
        }
        let ticket = waited.recorded;
        drop(state);
        ticket.map_or(Ok(()), |ticket| ok(force(ticket)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventQuery(event: usize) -> c_int {
    code(|| {
        let mut state = enter("cuEventQuery")?;
        let ticket = event_of(&mut state, event, "cuEventQuery")?.recorded;
        drop(state);
        ticket.map_or(Ok(()), query)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, from: usize, to: usize) -> c_int {
    code(|| {
        let mut state = enter("cuEventElapsedTime")?;
        let mut times = [None; 2];
        for (time, event) in times.iter_mut().zip([from, to]) {
            let event = event_of(&mut state, event, "cuEventElapsedTime")?;
            let (timing, recorded, at) = (event.timing, event.recorded, event.time);
            let recorded = recorded.filter(|_| timing).ok_or(ERROR_INVALID_HANDLE)?;
            if !state.is_done(recorded) {
                return Err(ERROR_NOT_READY);
            }
            *time = at;
        }
        let [Some(from), Some(to)] = times else {
            return Err(ERROR_INVALID_HANDLE);
        };
        let sign = if to < from { -1.0 } else { 1.0 };
        let span = to.max(from) - to.min(from);
        // SAFETY: as cuda.h demands.
        unsafe { *milliseconds = sign * span.as_secs_f32() * 1e3 };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    target: u64,
    source: *const c_void,
    bytes: usize,
    stream: usize,
) -> c_int {
    code(|| {
        let call = "cuMemcpyHtoDAsync";
        let mut state = enter(call)?;
        let id = stream_of(&mut state, stream, call)?;
        checked(&mut state, call, &[(target, bytes)])?;
        let pinned = state.memory.in_pinned(source as u64);
        if pinned {
            checked(&mut state, call, &[(source as u64, bytes)])?;
        }
        let records = state.streams.get(&id).is_some_and(|s| s.capture.is_some());
        let source = if pinned || records {
            Source::Host(source as u64)
        } else {
            // SAFETY: as cuda.h demands: `bytes` readable bytes.
            let taken = unsafe { std::slice::from_raw_parts(source.cast::<u8>(), bytes) };
            Source::Taken(Arc::from(taken))
        };
        let work = Work::ToDevice {
            target,
            source,
            bytes: bytes as u64,
        };
        state.enqueue(id, work);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    target: *mut c_void,
    source: u64,
    bytes: usize,
    stream: usize,
) -> c_int {
    code(|| {
        let call = "cuMemcpyDtoHAsync";
        let mut state = enter(call)?;
        let id = stream_of(&mut state, stream, call)?;
        checked(&mut state, call, &[(source, bytes)])?;
        let pinned = state.memory.in_pinned(target as u64);
        if pinned {
            checked(&mut state, call, &[(target as u64, bytes)])?;
        }
        let work = Work::ToHost {
            target: target as u64,
            source,
            bytes: bytes as u64,
        };
        let ticket = state.enqueue(id, work);
        drop(state);
        match ticket {
            // Into pageable memory the call returns when the copy is done.
            Some(ticket) if !pinned => ok(force(ticket)),
            _ => Ok(()),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoDAsync_v2(
    target: u64,
    source: u64,
    bytes: usize,
    stream: usize,
) -> c_int {
    code(|| {
        let call = "cuMemcpyDtoDAsync";
        checked(&mut enter(call)?, call, &[(target, bytes), (source, bytes)])?;
        let bytes = bytes as u64;
        let work = Work::Copy {
            target,
            source,
            bytes,
        };
        put(call, stream, work).map(|_| ())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8Async(
    target: u64,
    value: c_uchar,
    bytes: usize,
    stream: usize,
) -> c_int {
    code(|| {
        let call = "cuMemsetD8Async";
        checked(&mut enter(call)?, call, &[(target, bytes)])?;
        let bytes = bytes as u64;
        let work = Work::Fill {
            target,
            value,
            bytes,
        };
        put(call, stream, work).map(|_| ())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(target: u64, source: *const c_void, bytes: usize) -> c_int {
    // SAFETY: as cuda.h demands.
    let put = unsafe { cuMemcpyHtoDAsync_v2(target, source, bytes, 0) };
    code(|| {
        ok(put)?;
        // SAFETY: the default stream always exists.
        ok(unsafe { cuStreamSynchronize(0) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(target: *mut c_void, source: u64, bytes: usize) -> c_int {
    // SAFETY: as cuda.h demands.
    let put = unsafe { cuMemcpyDtoHAsync_v2(target, source, bytes, 0) };
    code(|| {
        ok(put)?;
        // SAFETY: the default stream always exists.
        ok(unsafe { cuStreamSynchronize(0) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchHostFunc(
    stream: usize,
    function: Option<unsafe extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> c_int {
    code(|| {
        let function = function.ok_or(ERROR_INVALID_VALUE)?;
        let call = HostCall {
            function,
            data: data as usize,
        };
        put("cuLaunchHostFunc", stream, Work::Host(call)).map(|_| ())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamIsCapturing(stream: usize, status: *mut c_int) -> c_int {
    code(|| {
        let mut state = enter("cuStreamIsCapturing")?;
        let id = stream_of(&mut state, stream, "cuStreamIsCapturing")?;
        let capture = state.streams.get(&id).and_then(|s| s.capture.as_ref());
        let answer = match capture {
            None => 0,
            Some(capture) if capture.broken => 2,
            Some(_) => 1,
        };
        // SAFETY: as cuda.h demands.
        unsafe { *status = answer };
        Ok(())
    })
}
