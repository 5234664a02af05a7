//! The parts of the stand-in that masklet's own device layer does not use, called as TensorRT's
//! stand-in calls them: host functions, the default stream, looking behind addresses.

#![allow(clippy::unwrap_used, clippy::panic)]

use libloading::Library;
use masklet_sim_cuda::support::{Control, run};
use std::ffi::{c_char, c_int, c_uint, c_void};

/// The driver with a current context.
struct Driver(Library);

impl Driver {
    fn open() -> Self {
        // SAFETY: the stand-in's initialisers do nothing.
        let driver = Self(unsafe { Library::new("libcuda.so.1") }.unwrap());
        let mut context = 0usize;
        // SAFETY: the driver's own signatures.
        unsafe {
            let init = driver.get::<unsafe extern "C" fn(c_uint) -> c_int>("cuInit");
            let retain = driver.get::<unsafe extern "C" fn(*mut usize, c_int) -> c_int>(
                "cuDevicePrimaryCtxRetain",
            );
            let current = driver.get::<unsafe extern "C" fn(usize) -> c_int>("cuCtxSetCurrent");
            assert_eq!(init(0), 0);
            assert_eq!(retain(&raw mut context, 0), 0);
            assert_eq!(current(context), 0);
        }
        driver
    }

    unsafe fn get<F: Copy>(&self, name: &str) -> F {
        // SAFETY: the caller names a function with its type.
        *unsafe { self.0.get::<F>(name.as_bytes()) }.unwrap()
    }

    fn allocate(&self, bytes: usize) -> u64 {
        let mut address = 0u64;
        // SAFETY: the driver's own signature.
        let code = unsafe {
            self.get::<unsafe extern "C" fn(*mut u64, usize) -> c_int>("cuMemAlloc_v2")(
                &raw mut address,
                bytes,
            )
        };
        assert_eq!(code, 0);
        address
    }

    fn stream(&self, flags: c_uint) -> usize {
        let mut stream = 0;
        // SAFETY: the driver's own signature.
        let code = unsafe {
            self.get::<unsafe extern "C" fn(*mut usize, c_uint) -> c_int>("cuStreamCreate")(
                &raw mut stream,
                flags,
            )
        };
        assert_eq!(code, 0);
        stream
    }

    fn fill(&self, address: u64, value: u8, bytes: usize, stream: usize) {
        type Fill = unsafe extern "C" fn(u64, u8, usize, usize) -> c_int;
        // SAFETY: the driver's own signature.
        assert_eq!(
            unsafe { self.get::<Fill>("cuMemsetD8Async")(address, value, bytes, stream) },
            0
        );
    }

    fn wait(&self, stream: usize) {
        // SAFETY: the driver's own signature.
        let code = unsafe {
            self.get::<unsafe extern "C" fn(usize) -> c_int>("cuStreamSynchronize")(stream)
        };
        assert_eq!(code, 0);
    }

    fn read(&self, address: u64) -> u8 {
        let mut byte = 0u8;
        type Read = unsafe extern "C" fn(*mut c_void, u64, usize) -> c_int;
        // SAFETY: the driver's own signature.
        let code =
            unsafe { self.get::<Read>("cuMemcpyDtoH_v2")((&raw mut byte).cast(), address, 1) };
        assert_eq!(code, 0);
        byte
    }
}

/// What a host function gets.
struct Call {
    translate: unsafe extern "C" fn(u64, u64) -> *mut u8,
    synchronize: unsafe extern "C" fn(usize) -> c_int,
    address: u64,
    answer: c_int,
}

unsafe extern "C" fn add_one(data: *mut c_void) {
    // SAFETY: the test passes a `Call` that lives until the stream is synchronised.
    unsafe {
        let call = &mut *data.cast::<Call>();
        let byte = (call.translate)(call.address, 1);
        *byte += 1;
        call.answer = (call.synchronize)(0);
    }
}

#[test]
fn host_functions_run_in_their_place_and_may_not_call_the_driver() {
    let name = "host_functions_run_in_their_place_and_may_not_call_the_driver";
    let report = run(name, &[], || {
        let driver = Driver::open();
        let address = driver.allocate(16);
        let stream = driver.stream(1);
        // SAFETY: the stand-in's own signatures.
        let mut call = unsafe {
            Call {
                translate: driver.get("sim_translate"),
                synchronize: driver.get("cuStreamSynchronize"),
                address,
                answer: -1,
            }
        };
        type Launch =
            unsafe extern "C" fn(usize, unsafe extern "C" fn(*mut c_void), *mut c_void) -> c_int;
        driver.fill(address, 6, 16, stream);
        // SAFETY: `call` lives until the stream is synchronised.
        let code = unsafe {
            driver.get::<Launch>("cuLaunchHostFunc")(stream, add_one, (&raw mut call).cast())
        };
        assert_eq!(code, 0);
        assert_eq!(call.answer, -1, "it ran before anybody waited");
        driver.wait(stream);
        assert_eq!(call.answer, 800);
        assert_eq!(driver.read(address), 7);
    });
    if let Some(report) = report.unwrap() {
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert!(report.problems[0].contains("inside a host function"));
        // Nothing was given back here: that is what the report is for.
        assert_eq!(report.leaks.len(), 3, "{:?}", report.leaks);
    }
}

#[test]
fn the_default_stream_waits_for_blocking_streams_and_they_for_it() {
    let name = "the_default_stream_waits_for_blocking_streams_and_they_for_it";
    let report = run(name, &[("SCHEDULE", "lazy")], || {
        let driver = Driver::open();
        let address = driver.allocate(3);
        let (blocking, free) = (driver.stream(0), driver.stream(1));
        driver.fill(address, 1, 3, 0);
        driver.wait(0);
        driver.fill(address, 2, 1, blocking);
        driver.fill(address + 1, 2, 1, free);
        // The copy is on the default stream: behind the blocking one, not behind the free one.
        assert_eq!(driver.read(address), 2);
        assert_eq!(driver.read(address + 1), 1);
        driver.fill(address + 2, 3, 1, 0);
        driver.fill(address + 2, 4, 1, blocking);
        driver.wait(blocking);
        driver.wait(free);
        assert_eq!(driver.read(address + 2), 4);
        assert_eq!(driver.read(address + 1), 2);
    });
    if let Some(report) = report.unwrap() {
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(report.pending, 0);
    }
}

#[test]
fn addresses_are_looked_behind_only_where_they_are_good() {
    let name = "addresses_are_looked_behind_only_where_they_are_good";
    let report = run(name, &[], || {
        let driver = Driver::open();
        let address = driver.allocate(100);
        // SAFETY: the stand-in's own signatures.
        unsafe {
            let translate =
                driver.get::<unsafe extern "C" fn(u64, u64) -> *mut u8>("sim_translate");
            let host = translate(address + 10, 90);
            assert!(!host.is_null() && host as u64 != address + 10);
            assert_eq!(*host, 0xFF, "new memory is poisoned");
            assert!(translate(address + 10, 91).is_null());
            let free = driver.get::<unsafe extern "C" fn(u64) -> c_int>("cuMemFree_v2");
            assert_eq!(free(address), 0);
            assert!(translate(address, 1).is_null());
            assert_eq!(free(address), 1, "freed twice");
            let problem = driver.get::<unsafe extern "C" fn(*const c_char)>("sim_cuda_problem");
            problem(c"noted by somebody else".as_ptr());
        }
        let report = Control::open().unwrap().report().unwrap();
        assert_eq!(report.problems.len(), 4, "{:?}", report.problems);
        assert_eq!(report.used_bytes, 0);
    });
    if let Some(report) = report.unwrap() {
        assert!(report.problems[2].contains("cuMemFree"));
        assert_eq!(report.leaks, ["hold on the primary context"]);
    }
}

#[test]
fn calls_without_a_context_are_refused() {
    let report = run("calls_without_a_context_are_refused", &[], || {
        let driver = Driver::open();
        let code = std::thread::scope(|scope| {
            let thread =
                scope.spawn(|| {
                    let mut stream = 0usize;
                    // SAFETY: the driver's own signature.
                    unsafe {
                        driver.get::<unsafe extern "C" fn(*mut usize, c_uint) -> c_int>(
                            "cuStreamCreate",
                        )(&raw mut stream, 0)
                    }
                });
            thread.join().unwrap()
        });
        assert_eq!(code, 201);
    });
    if let Some(report) = report.unwrap() {
        assert!(report.problems[0].contains("without a current context"));
    }
}
