//! Result codes of the driver (`CUresult` in `cuda.h`), as many as are given here.

use std::ffi::c_int;

macro_rules! codes {
    ($($name:ident = $code:literal => $text:literal;)*) => {
        $(pub(crate) const $name: c_int = $code;)*

        /// Name and description of a code, each with a zero at its end.
        pub(crate) fn describe(code: c_int) -> Option<(&'static str, &'static str)> {
            match code {
                $($code => Some((
                    concat!("CUDA_", stringify!($name), "\0"),
                    concat!($text, "\0"),
                )),)*
                _ => None,
            }
        }
    };
}

codes! {
    SUCCESS = 0 => "no error";
    ERROR_INVALID_VALUE = 1 => "invalid argument";
    ERROR_OUT_OF_MEMORY = 2 => "out of memory";
    ERROR_NOT_INITIALIZED = 3 => "initialization error";
    ERROR_INVALID_DEVICE = 101 => "invalid device ordinal";
    ERROR_INVALID_IMAGE = 200 => "device kernel image is invalid";
    ERROR_INVALID_CONTEXT = 201 => "invalid device context";
    ERROR_INVALID_HANDLE = 400 => "invalid resource handle";
    ERROR_NOT_FOUND = 500 => "named symbol not found";
    ERROR_NOT_READY = 600 => "device not ready";
    ERROR_ILLEGAL_ADDRESS = 700 => "an illegal memory access was encountered";
    ERROR_NOT_PERMITTED = 800 => "operation not permitted";
    ERROR_NOT_SUPPORTED = 801 => "operation not supported";
    ERROR_STREAM_CAPTURE_UNSUPPORTED = 900 => "operation not permitted when stream is capturing";
    ERROR_STREAM_CAPTURE_INVALIDATED = 901 => "operation failed due to a previous error during capture";
    ERROR_STREAM_CAPTURE_ISOLATION = 905 => "dependency created on uncaptured work in another stream";
    ERROR_STREAM_CAPTURE_IMPLICIT = 906 => "operation would make the legacy stream depend on a capturing blocking stream";
    ERROR_STREAM_CAPTURE_WRONG_THREAD = 908 => "attempt to terminate a thread-local capture sequence from another thread";
}
