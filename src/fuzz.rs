//! Damaged files against every reader: no panic, no abort, no allocation beyond the limits.
//!
//! The same seeds each time; `MASKLET_FUZZ=N` makes N cases per reader instead of the short run
//! (`MASKLET_FUZZ=40000 cargo test --release fuzz -- --nocapture` prints the figures).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::figures::compare::read_source;
use crate::mask::Mask;
use crate::media::image::{decode_rgb, read_label_png, read_mask_png, write_mask_png};
use crate::media::limits::MOST_PIXELS;
use crate::record::{RunFolder, read_journal, samples};
use crate::spec::OpenMode;

/// Notes the largest block that a thread asked for.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // A thread that ends has no cell any more; its blocks are of no interest.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Damages a file in one to four places.
fn damage(good: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    const WORDS: [&[u8]; 8] = [
        &[0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0],
        b"18446744073709551615",
        b"-1e308",
        b"NaN",
        b"[[[[[[[[[[[[[[[[",
        b"\"\xff\xfe\n",
    ];
    let mut bytes = good.to_vec();
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..5) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes.truncate(at),
            3 => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                let end = (at + word.len()).min(bytes.len());
                bytes.splice(at..end, word.iter().copied());
            }
            _ => {
                let end = random.random_range(at..bytes.len().min(at + 200));
                let copy = bytes[at..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, copy);
            }
        }
    }
    bytes
}

/// Damaged copies of the file at `path` through `read`; prints how many were accepted and the
/// largest block that was asked for.
fn reader(name: &str, path: &Path, limit: usize, read: impl Fn(&Path) -> bool) {
    let cases = std::env::var("MASKLET_FUZZ").ok();
    let cases = cases.and_then(|n| n.parse().ok()).unwrap_or(400);
    let good = fs::read(path).unwrap();
    assert!(read(path), "{name}: the undamaged file is refused");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut accepted, mut largest) = (0, 0);
    for _ in 0..cases {
        fs::write(path, damage(&good, &mut random)).unwrap();
        LARGEST.set(0);
        accepted += usize::from(read(path));
        largest = largest.max(LARGEST.get());
    }
    fs::write(path, &good).unwrap();
    println!("{name}: {cases} cases, {accepted} accepted, largest block {largest} bytes");
    assert!(largest <= limit, "{name}: {largest} bytes in one block");
}

/// Bytes of the largest image that is read, 16-bit RGBA.
const IMAGE: usize = 8 * MOST_PIXELS as usize;
/// A text file gives blocks of its own order of size.
const TEXT: usize = 16 << 20;

#[test]
fn damaged_masks_and_frames() {
    let dir = tempfile::tempdir().unwrap();
    let mask = dir.path().join("mask.png");
    write_mask_png(&mask, &Mask::from_fn(48, 64, |y, x| x / 3 > y)).unwrap();
    reader("mask PNG", &mask, IMAGE, |path| read_mask_png(path).is_ok());
    reader("label PNG", &mask, IMAGE, |path| {
        read_label_png(path).is_ok()
    });
    let frame = dir.path().join("frame.jpg");
    let pixels: Vec<u8> = (0..64 * 48 * 3).map(|n| (n * 7 % 251) as u8).collect();
    let mut file = Vec::new();
    jpeg_encoder::Encoder::new(&mut file, 90)
        .encode(&pixels, 64, 48, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    fs::write(&frame, file).unwrap();
    // As a run reads frames: a decoder that panics is caught.
    reader("JPEG", &frame, IMAGE, |path| {
        std::panic::catch_unwind(|| decode_rgb(path)).is_ok_and(|frame| frame.is_ok())
    });
}

#[test]
fn damaged_journals_manifests_and_tables() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = samples::manifest();
    let mut opened = RunFolder::create(dir.path(), "run", &manifest, OpenMode::New).unwrap();
    let rows = ["1", "2"].map(|object| samples::row("v", object, "m_points"));
    opened.folder.append(&rows).unwrap();
    opened
        .folder
        .finish(crate::record::RunState::Finished)
        .unwrap();
    let run = opened.folder.path().to_owned();
    drop(opened);
    let accepts = |path: &Path| read_source(path, "A".to_owned()).is_ok();
    let journal = run.join("journal.jsonl");
    reader("journal", &journal, TEXT, |path| read_journal(path).is_ok());
    reader("run.json", &run.join("run.json"), TEXT, |path| {
        accepts(path.parent().unwrap())
    });
    reader("summary.csv", &run.join("summary.csv"), TEXT, accepts);
}
