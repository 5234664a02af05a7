//! Modules and kernels.

use super::stream::put;
use super::{code, enter, enter_unsafe_for_capture, ok};
use crate::kernels::{Launch, parse_ptx};
use crate::status::{
    ERROR_INVALID_HANDLE, ERROR_INVALID_IMAGE, ERROR_INVALID_VALUE, ERROR_NOT_FOUND,
};
use crate::work::Work;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut usize, image: *const c_void) -> c_int {
    code(|| {
        let mut state = enter_unsafe_for_capture("cuModuleLoadData")?;
        ok(state.admit("module", 0))?;
        // SAFETY: as cuda.h demands of PTX: text with a zero at its end.
        let text = unsafe { CStr::from_ptr(image.cast()) };
        let text = text.to_str().map_err(|_| ERROR_INVALID_IMAGE)?;
        let kernels = parse_ptx(text);
        if !text.contains(".version") || kernels.is_empty() {
            return Err(ERROR_INVALID_IMAGE);
        }
        let handle = state.handle();
        state.modules.insert(handle, kernels);
        // SAFETY: as cuda.h demands.
        unsafe { *module = handle as usize };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleUnload(module: usize) -> c_int {
    code(|| {
        let mut state = enter_unsafe_for_capture("cuModuleUnload")?;
        match state.modules.remove(&(module as u64)) {
            Some(_) => Ok(()),
            None => {
                state.problem("cuModuleUnload of a module that does not exist".to_owned());
                Err(ERROR_INVALID_HANDLE)
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(
    function: *mut usize,
    module: usize,
    name: *const c_char,
) -> c_int {
    code(|| {
        let mut state = enter("cuModuleGetFunction")?;
        // SAFETY: as cuda.h demands.
        let name = unsafe { CStr::from_ptr(name) };
        let name = name.to_str().map_err(|_| ERROR_NOT_FOUND)?.to_owned();
        let kernels = state.modules.get(&(module as u64));
        if !kernels.ok_or(ERROR_INVALID_HANDLE)?.contains_key(&name) {
            return Err(ERROR_NOT_FOUND);
        }
        state.functions.push((module as u64, name));
        // Numbers from 1, so that none is a null pointer.
        let handle = state.functions.len();
        // SAFETY: as cuda.h demands.
        unsafe { *function = handle };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    _shared_bytes: c_uint,
    stream: usize,
    arguments: *const *const c_void,
    _extra: *const *const c_void,
) -> c_int {
    code(|| {
        let state = enter("cuLaunchKernel")?;
        let grid = [grid_x, grid_y, grid_z];
        let block = [block_x, block_y, block_z];
        let threads: u64 = block.iter().map(|n| u64::from(*n)).product();
        let most = [0x7fff_ffff, 65535, 65535];
        let fits = grid
            .iter()
            .zip(most)
            .all(|(n, most)| (1..=most).contains(n));
        if !fits || threads == 0 || threads > 1024 {
            return Err(ERROR_INVALID_VALUE);
        }
        let index = function.checked_sub(1).ok_or(ERROR_INVALID_HANDLE)?;
        let (module, name) = state.functions.get(index).ok_or(ERROR_INVALID_HANDLE)?;
        let kernels = state.modules.get(module).ok_or(ERROR_INVALID_HANDLE)?;
        let sizes = kernels.get(name).ok_or(ERROR_INVALID_HANDLE)?;
        let copied = sizes.iter().enumerate().map(|(index, size)| {
            let mut word = [0u8; 8];
            // SAFETY: as cuda.h demands: one pointer per parameter, to a value of its size.
            unsafe {
                let from = *arguments.add(index);
                std::ptr::copy_nonoverlapping(from.cast(), word.as_mut_ptr(), *size);
            }
            u64::from_ne_bytes(word)
        });
        let launch = Launch {
            name: name.clone(),
            grid,
            block,
            arguments: copied.collect(),
        };
        drop(state);
        put("cuLaunchKernel", stream, Work::Kernel(launch)).map(|_| ())
    })
}
