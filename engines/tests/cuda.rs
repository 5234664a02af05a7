//! The device layer on the simulated driver: fallbacks, sentences, counts, order of work.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use masklet_engines::cuda::kernels::{Frame, MaskBits, Normalization, ResizeTables, Vision};
use masklet_engines::cuda::{
    BlockStrategy, CaptureError, CudaError, Device, DeviceBlock, Event, GraphExec, PinnedBlock,
    PinnedKind, Stream, availability, counter,
};
use masklet_sim_cuda::support::{Control, Report, c_compiler, command, on_real_device, run};
use std::process::Command;
use std::sync::Arc;

/// Runs a test body on the simulated device; nothing may be wrong or left over afterwards.
fn simulated(
    test: &str,
    settings: &[(&str, &str)],
    body: impl FnOnce(Arc<Device>),
) -> Option<Report> {
    let report = run(test, settings, || body(Device::open(0).unwrap())).unwrap()?;
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.leaks, Vec::<String>::new());
    Some(report)
}

fn block(device: &Arc<Device>, bytes: u64) -> DeviceBlock {
    DeviceBlock::allocate(device, bytes, "a test").unwrap()
}

fn pinned(device: &Arc<Device>, bytes: usize) -> PinnedBlock {
    PinnedBlock::allocate(device, bytes, PinnedKind::ReadBack, "a test").unwrap()
}

#[test]
fn a_machine_without_a_driver_says_so() {
    // In this process there is what the machine has: either it works or it says why not.
    if let Err(error) = availability() {
        assert_eq!(Device::open(0).unwrap_err(), error);
        let text = error.to_string();
        assert!(text.contains("libcuda") || text.contains("CUDA"), "{text}");
    }
}

/// Starts this program again for one test, with `setup` done to the command; true in that process.
fn in_child(test: &str, setup: impl FnOnce(&mut Command)) -> bool {
    if std::env::var("MASKLET_TEST_CHILD").is_ok_and(|child| child == test) {
        return true;
    }
    let mut command = command(std::env::current_exe().unwrap()).unwrap();
    command
        .args([test, "--exact", "--nocapture"])
        .env("MASKLET_TEST_CHILD", test);
    setup(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
    false
}

#[test]
fn a_library_that_is_not_the_driver_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libcuda.so.1");
    let name = "a_library_that_is_not_the_driver_is_refused";
    let in_child = in_child(name, |command| {
        let source = folder.path().join("empty.c");
        std::fs::write(&source, "int masklet_empty;\n").unwrap();
        let built = c_compiler()
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(built.unwrap().success());
        std::os::unix::fs::symlink(&library, folder.path().join("libcuda.so")).unwrap();
        command.env("LD_LIBRARY_PATH", folder.path());
    });
    if in_child {
        let error = availability().unwrap_err();
        assert!(matches!(error, CudaError::MissingSymbol { .. }), "{error}");
        assert!(error.to_string().contains("too old"), "{error}");
    }
}

#[test]
fn a_driver_without_a_device_says_what_to_check() {
    let name = "a_driver_without_a_device_says_what_to_check";
    let in_child = in_child(name, |command| {
        command.env("MASKLET_SIM_CUDA_INIT", "100");
    });
    if in_child {
        let text = Device::open(0).unwrap_err().to_string();
        assert!(text.contains("CUDA_ERROR_NO_DEVICE (100)"), "{text}");
        assert!(text.contains("CUDA_VISIBLE_DEVICES"), "{text}");
    }
}

#[test]
fn the_device_says_what_it_is() {
    simulated("the_device_says_what_it_is", &[], |device| {
        let info = device.info();
        if on_real_device() {
            assert!(
                !info.simulated && info.compute_capability >= (7, 5),
                "{info:?}"
            );
            let free = device.memory().unwrap().free_bytes;
            assert!(0 < free && free < info.total_bytes, "{free} of {info:?}");
            return device.check_err().unwrap();
        }
        assert!(info.simulated && info.integrated && info.can_map_host);
        assert_eq!(info.compute_capability, (8, 7));
        assert_eq!(info.total_bytes, 8 << 30);
        assert_eq!(device.memory().unwrap().free_bytes, 8 << 30);
        let missing = CudaError::Ordinal {
            ordinal: 1,
            count: 1,
        };
        assert_eq!(Device::open(1).unwrap_err(), missing);
        device.check_err().unwrap();
    });
}

#[test]
fn a_block_is_mapped_where_a_plain_one_is_refused() {
    let name = "a_block_is_mapped_where_a_plain_one_is_refused";
    let settings = [("PLAIN_LIMIT", "134217728"), ("POISON", "0")];
    simulated(name, &settings, |device| {
        let before = counter::snapshot();
        let small = block(&device, 1 << 20);
        assert_eq!(small.strategy(), BlockStrategy::Plain);
        let large = block(&device, (200 << 20) + 1);
        assert_eq!(large.strategy(), BlockStrategy::Mapped { chunks: 4 });
        let counted = counter::snapshot().since(&before);
        assert_eq!((counted.device, counted.vmm, counted.total()), (1, 4, 5));

        // It is one range: a copy across the border of two chunks works.
        let stream = Stream::new(&device).unwrap();
        let border = large.address() + (64 << 20) - 8;
        let (mut back, sent) = ([0u8; 16], *b"0123456789abcdef");
        // SAFETY: the ranges are alive and in bounds until the stream is synchronised.
        unsafe {
            stream.copy_to_device(border, sent.as_ptr(), 16).unwrap();
            stream.copy_to_host(back.as_mut_ptr(), border, 16).unwrap();
        }
        stream.synchronize().unwrap();
        assert_eq!(back, sent);
        let slab = large.into_slab().unwrap();
        assert_eq!(slab.bytes(), (200 << 20) + 1);
        drop((slab, small));
        assert_eq!(device.memory().unwrap().free_bytes, 8 << 30);
        device.check_err().unwrap();
    });
}

#[test]
fn chunks_shrink_where_large_ones_are_refused() {
    let name = "chunks_shrink_where_large_ones_are_refused";
    let settings = [
        ("PLAIN_LIMIT", "0"),
        ("CHUNK_LIMIT", "16777216"),
        ("POISON", "0"),
    ];
    simulated(name, &settings, |device| {
        let block = block(&device, 66 << 20);
        assert_eq!(block.strategy(), BlockStrategy::Mapped { chunks: 5 });
    });
}

/// MemAvailable of this machine in bytes.
fn host_available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn out_of_memory_names_request_free_cause_and_cure() {
    let name = "out_of_memory_names_request_free_cause_and_cure";
    let settings = [("CAPACITY", "67108864"), ("POISON", "0")];
    simulated(name, &settings, |device| {
        let held = block(&device, 32 << 20);
        // More than this machine has, or the advice is another; in reach of the address range.
        let bytes = (host_available() + (4 << 30)).next_multiple_of(2 << 20);
        let error = DeviceBlock::allocate(&device, bytes, "the arena").unwrap_err();
        let text = error.to_string();
        for part in [
            &format!("the arena needs one block of {bytes} bytes"),
            "33554432 free of 67108864",
            "CUDA_ERROR_OUT_OF_MEMORY (2)",
            "cuMemCreate failed",
            "masklet plan",
        ] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
        // Chunks that were had before the last one was refused are back.
        assert_eq!(device.memory().unwrap().free_bytes, 32 << 20);
        drop(held);
        device.check_err().unwrap();
    });
}

#[test]
fn memory_that_is_free_and_refused_names_nvmap() {
    let name = "memory_that_is_free_and_refused_names_nvmap";
    let settings = [("PLAIN_LIMIT", "1048576"), ("CAN_MAP_CHUNKS", "0")];
    simulated(name, &settings, |device| {
        let error = DeviceBlock::allocate(&device, 2 << 20, "the arena").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("NvMap") && text.contains("error 12"),
            "{text}"
        );
        assert!(text.contains("not possible on this device"), "{text}");
    });
}

/// A small program that uses everything once, so that each of its allocations can be refused.
fn everything_once(device: &Arc<Device>) -> Result<(), String> {
    let text = |error: CudaError| error.to_string();
    let block = DeviceBlock::allocate(device, 4 << 20, "the arena").map_err(text)?;
    let kind = PinnedKind::ReadBack;
    let pinned = PinnedBlock::allocate(device, 4096, kind, "staging").map_err(text)?;
    let stream = Stream::new(device).map_err(text)?;
    let event = Event::new(device, true).map_err(text)?;
    let vision = Vision::load(device).map_err(text)?;
    let graph = GraphExec::capture(&stream, |stream| {
        // SAFETY: the block outlives the graph's work, which is waited for below.
        unsafe {
            stream.copy_to_device(block.address(), pinned.pointer(), 4096)?;
            vision.round_bf16(stream, block.address(), block.address(), 1024)
        }
    });
    let graph = graph.map_err(|error: CaptureError<CudaError>| error.to_string())?;
    // SAFETY: as above.
    unsafe { graph.launch(&stream).map_err(text)? };
    event.record(&stream).map_err(text)?;
    event.synchronize().map_err(text)
}

#[test]
fn every_refused_allocation_is_an_error_and_leaks_nothing() {
    let name = "every_refused_allocation_is_an_error_and_leaks_nothing";
    let report = simulated(name, &[("PLAIN_LIMIT", "0")], |device| {
        let control = Control::open().unwrap();
        let start = control.allocations().unwrap();
        everything_once(&device).unwrap();
        let calls = control.allocations().unwrap() - start;
        assert!(calls >= 7, "{calls}");
        let free = device.memory().unwrap().free_bytes;
        for call in 1..=calls {
            // From the n-th on: no fallback can save it.
            control.set("fail", &format!("{call}+")).unwrap();
            let error = everything_once(&device).unwrap_err();
            assert!(error.contains("OUT_OF_MEMORY"), "call {call}: {error}");
            control.set("fail", "").unwrap();
            assert_eq!(device.memory().unwrap().free_bytes, free, "call {call}");
            device.check_err().unwrap();
        }
        everything_once(&device).unwrap();
    });
    if let Some(report) = report {
        assert!(report.allocations.iter().filter(|a| a.refused).count() >= 7);
    }
}

#[test]
fn work_in_a_loop_allocates_nothing() {
    simulated("work_in_a_loop_allocates_nothing", &[], |device| {
        let control = (!on_real_device()).then(|| Control::open().unwrap());
        let taken = || {
            control
                .as_ref()
                .map(|control| control.allocations().unwrap())
        };
        let block = block(&device, 1 << 20);
        let stream = Stream::new(&device).unwrap();
        let event = Event::new(&device, false).unwrap();
        let (ours, theirs) = (counter::snapshot(), taken());
        for _ in 0..100 {
            // SAFETY: the block is alive until the stream is synchronised.
            unsafe { stream.fill_zero(block.address(), 4096).unwrap() };
            event.record(&stream).unwrap();
            event.synchronize().unwrap();
        }
        assert_eq!(counter::snapshot(), ours);
        assert_eq!(taken(), theirs);
    });
}

/// Two streams, as a run has them: one brings frames up, the other works on them. Returns what the
/// second one saw of each frame. `waits` says which of the two waits are there.
fn two_streams(device: &Arc<Device>, frames: u8, waits: [bool; 2]) -> Vec<u8> {
    let bytes = 4096;
    let memory = block(device, 2 * bytes as u64);
    let (staging, work) = (memory.address(), memory.address() + bytes as u64);
    let mut up: Vec<PinnedBlock> = (0..frames).map(|_| pinned(device, bytes)).collect();
    let down = pinned(device, frames.into());
    let copy = Stream::new(device).unwrap();
    let compute = Stream::new(device).unwrap();
    let there = Event::new(device, false).unwrap();
    let used = Event::new(device, false).unwrap();
    for (frame, up) in (0..frames).zip(&mut up) {
        // SAFETY: all blocks live to the end; the order is the waits' business, which is the test.
        unsafe {
            up.as_mut_slice().fill(frame + 1);
            // The last frame was read from the staging memory before this one is written there.
            if waits[0] {
                copy.wait(&used).unwrap();
            }
            copy.copy_to_device(staging, up.pointer(), bytes).unwrap();
            there.record(&copy).unwrap();
            if waits[1] {
                compute.wait(&there).unwrap();
            }
            compute.copy_device(work, staging, bytes).unwrap();
            used.record(&compute).unwrap();
            let to = down.pointer().add(frame.into());
            compute.copy_to_host(to, work + 7, 1).unwrap();
        }
    }
    compute.synchronize().unwrap();
    // SAFETY: the stream that writes it is done.
    unsafe { down.as_slice().to_vec() }
}

#[test]
fn a_removed_wait_is_seen_and_the_right_ones_hold() {
    let name = "a_removed_wait_is_seen_and_the_right_ones_hold";
    simulated(name, &[("SEED", "1")], |device| {
        let control = Control::open().unwrap();
        let right: Vec<u8> = (1..=6).collect();
        for seed in 0..50 {
            control.set("seed", &seed.to_string()).unwrap();
            assert_eq!(two_streams(&device, 6, [true, true]), right, "seed {seed}");
        }
        // With one wait missing, some legal order gives a wrong frame.
        for waits in [[false, true], [true, false]] {
            let caught = (0..50)
                .filter(|seed| {
                    control.set("seed", &seed.to_string()).unwrap();
                    two_streams(&device, 6, waits) != right
                })
                .count();
            assert!(caught >= 10, "{waits:?} was seen with {caught} of 50 seeds");
        }
        // Each fixed schedule is sure to see one of them.
        for (schedule, waits) in [("lazy", [true, false]), ("others", [false, true])] {
            control.set("schedule", schedule).unwrap();
            assert_eq!(two_streams(&device, 6, [true, true]), right, "{schedule}");
            assert_ne!(two_streams(&device, 6, waits), right, "{schedule}");
        }
    });
}

#[test]
fn pinned_memory_is_read_when_the_copy_runs() {
    let name = "pinned_memory_is_read_when_the_copy_runs";
    simulated(name, &[], |device| {
        let block = block(&device, 512);
        let mut pinned = pinned(&device, 1);
        let stream = Stream::new(&device).unwrap();
        let mut plain = [1u8];
        let mut back = [0u8; 2];
        let to = block.address();
        // SAFETY: the mistake of this test is to write the pinned byte too early; the rest is alive
        // until the stream is synchronised.
        unsafe {
            pinned.as_mut_slice()[0] = 1;
            stream.copy_to_device(to, pinned.pointer(), 1).unwrap();
            stream.copy_to_device(to + 1, plain.as_ptr(), 1).unwrap();
            pinned.as_mut_slice()[0] = 2;
            plain[0] = 2;
            stream.copy_to_host(back.as_mut_ptr(), to, 2).unwrap();
        }
        stream.synchronize().unwrap();
        if !on_real_device() {
            // The stand-in works when it has to, which is late; a GPU when it likes.
            assert_eq!(back[0], 2);
        }
        assert_eq!((back[1], plain), (1, [2]));
    });
}

#[test]
fn a_graph_does_its_work_again_on_new_content() {
    let name = "a_graph_does_its_work_again_on_new_content";
    simulated(name, &[], |device| {
        let block = block(&device, 8192);
        let mut pinned = pinned(&device, 4096);
        let vision = Vision::load(&device).unwrap();
        let stream = Stream::new(&device).unwrap();
        let (from, to) = (block.address(), block.address() + 4096);
        let before = counter::snapshot();
        let graph = GraphExec::capture(&stream, |stream| {
            // SAFETY: blocks and graph live to the end of the test.
            unsafe {
                stream.copy_to_device(from, pinned.pointer(), 4096)?;
                vision.round_bf16(stream, to, from, 1024)?;
                stream.copy_to_host(pinned.pointer(), to, 4096)
            }
        })
        .unwrap_or_else(|error: CaptureError<CudaError>| panic!("{error}"));
        assert_eq!(counter::snapshot().since(&before).graphs, 1);
        for value in [1.003_906_3f32, 3.000_000_2, f32::INFINITY] {
            // SAFETY: the stream is synchronised before and after the block is touched.
            unsafe {
                for bytes in pinned.as_mut_slice().chunks_exact_mut(4) {
                    bytes.copy_from_slice(&value.to_ne_bytes());
                }
                graph.launch(&stream).unwrap();
                stream.synchronize().unwrap();
                let want = half::bf16::from_f32(value).to_f32();
                for bytes in pinned.as_slice().chunks_exact(4) {
                    assert_eq!(bytes, want.to_ne_bytes());
                }
            }
        }
        // What cannot be recorded is refused, and the stream is usable again.
        let refused = GraphExec::capture(&stream, Stream::synchronize);
        assert!(matches!(refused, Err(CaptureError::Work(_))));
        stream.synchronize().unwrap();
    });
}

#[test]
fn events_keep_time_in_order() {
    simulated("events_keep_time_in_order", &[], |device| {
        let block = block(&device, 1 << 20);
        let stream = Stream::new(&device).unwrap();
        let marks: Vec<Event> = (0..2).map(|_| Event::new(&device, true).unwrap()).collect();
        marks[0].record(&stream).unwrap();
        // SAFETY: alive until the stream is synchronised.
        unsafe { stream.fill_zero(block.address(), 1 << 20).unwrap() };
        marks[1].record(&stream).unwrap();
        if !on_real_device() {
            // The stand-in works when it has to; a GPU may be done already.
            assert!(Event::elapsed(&marks[0], &marks[1]).is_err());
        }
        while !marks[1].is_done().unwrap() {}
        let time = Event::elapsed(&marks[0], &marks[1]).unwrap();
        assert!(time > std::time::Duration::ZERO);
        let untimed = Event::new(&device, false).unwrap();
        let refused = Event::elapsed(&untimed, &marks[1]);
        assert_eq!(refused, Err(CudaError::NoTiming));
        assert!(stream.is_done().unwrap());
    });
}

#[test]
fn mistakes_on_the_device_are_seen() {
    if on_real_device() {
        println!("skipped: a GPU does not check before it touches memory");
        return;
    }
    let report = run("mistakes_on_the_device_are_seen", &[], || {
        let device = Device::open(0).unwrap();
        let stream = Stream::new(&device).unwrap();
        let block = block(&device, 1000);
        let address = block.address();
        let bytes = [0u8; 16];
        let from = bytes.as_ptr();
        // SAFETY: wrong on purpose; the simulated device checks before it touches anything.
        unsafe {
            assert!(stream.copy_to_device(address + 990, from, 16).is_err());
            drop(block);
            assert!(stream.copy_to_device(address, from, 16).is_err());
            assert!(stream.fill_zero(0x1000, 16).is_err());
            // A kernel's addresses are looked at when it runs: then the device is broken.
            let vision = Vision::load(&device).unwrap();
            vision.round_bf16(&stream, address, address, 4).unwrap();
            let text = stream.synchronize().unwrap_err().to_string();
            assert!(text.contains("ILLEGAL_ADDRESS"), "{text}");
            drop(vision);
        }
        // What could not be unloaded from the broken device is told here.
        assert!(device.check_err().is_err());
    });
    if let Some(report) = report.unwrap() {
        let text = report.problems.join("\n");
        for part in [
            "run out of the block of 1000 bytes",
            "that was freed",
            "never allocated",
            "masklet_round_bf16",
        ] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
}

#[test]
fn kernels_refuse_sizes_they_cannot_work_on() {
    simulated("kernels_refuse_sizes_they_cannot_work_on", &[], |device| {
        assert!(ResizeTables::new(0, 10, 10).is_err());
        assert!(ResizeTables::new(10, 1 << 20, 10).is_err());
        let stream = Stream::new(&device).unwrap();
        let vision = Vision::load(&device).unwrap();
        let mask = MaskBits {
            height: 0,
            width: 5,
        };
        // SAFETY: refused before any address is used.
        let refused = unsafe { vision.postprocess(&stream, 1, 4, 0, mask, 0, 0) };
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("the height is 0"), "{text}");
    });
}

#[test]
fn a_frame_goes_up_as_bytes_and_arrives_normalised() {
    let name = "a_frame_goes_up_as_bytes_and_arrives_normalised";
    simulated(name, &[], |device| {
        // Of one colour, so that the resize changes nothing and the value is known.
        let tables = ResizeTables::new(6, 10, 4).unwrap();
        let bytes = tables.to_bytes();
        assert_eq!(bytes.len(), tables.bytes());
        assert!(bytes.len() <= 768 && tables.scratch_bytes() <= 3072);
        let block = block(&device, 8192);
        let at = [0, 256, 1024, 4096].map(|offset| block.address() + offset);
        let stream = Stream::new(&device).unwrap();
        let vision = Vision::load(&device).unwrap();
        let pixels: Vec<u8> = [10u8, 20, 30].repeat(60);
        let normalization = Normalization {
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        };
        let frame = Frame {
            pixels: at[0],
            tables: at[1],
            scratch: at[2],
            tensor: at[3],
        };
        let mut tensor = vec![0f32; 48];
        // SAFETY: ranges are alive and apart, and the stream is synchronised before they are read.
        unsafe {
            let (p, t) = (pixels.as_ptr(), bytes.as_ptr());
            stream.copy_to_device(at[0], p, pixels.len()).unwrap();
            stream.copy_to_device(at[1], t, bytes.len()).unwrap();
            vision
                .preprocess(&stream, &tables, &normalization, frame)
                .unwrap();
            let back = tensor.as_mut_ptr().cast();
            stream.copy_to_host(back, at[3], 192).unwrap();
        }
        stream.synchronize().unwrap();
        for (channel, plane) in tensor.chunks_exact(16).enumerate() {
            let value = (channel as f32 + 1.0) * 10.0;
            let (mean, std) = (normalization.mean[channel], normalization.std[channel]);
            let want = (value - mean * 255.0) / (std * 255.0);
            assert!(plane.iter().all(|v| *v == want), "{channel}: {plane:?}");
        }
    });
}
