//! The device's kernels against the CPU code they stand in for, bit for bit, through the launch
//! path. The simulated device runs the compiled kernel source itself; on a GPU the same source runs
//! as PTX.

use crate::this_test;
use masklet::mask::Mask;
use masklet::media::image::{Resizer, to_chw_normalized};
use masklet::track::Upsampler;
use masklet_engines::cuda::kernels::{Frame, MaskBits, Normalization, ResizeTables, Vision};
use masklet_engines::cuda::{Device, DeviceBlock, Stream};
use masklet_sim_cuda::support::run;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::process::Command;

/// A device with the kernels, and copies that wait.
struct Bench {
    stream: Stream,
    vision: Vision,
}

impl Bench {
    fn new() -> Self {
        let device = Device::open(0).unwrap();
        let stream = Stream::new(&device).unwrap();
        let vision = Vision::load(&device).unwrap();
        Self { stream, vision }
    }

    fn block(&self, bytes: usize) -> DeviceBlock {
        DeviceBlock::allocate(self.stream.device(), bytes as u64, "a test").unwrap()
    }

    fn up<T: Copy>(&self, values: &[T]) -> DeviceBlock {
        let bytes = size_of_val(values);
        let block = self.block(bytes);
        // SAFETY: both are alive; pageable memory is read at the call.
        let sent = unsafe {
            let from = values.as_ptr().cast();
            self.stream.copy_to_device(block.address(), from, bytes)
        };
        sent.unwrap();
        block
    }

    fn down<T: Copy + Default>(&self, block: &DeviceBlock) -> Vec<T> {
        let mut values = vec![T::default(); block.bytes() as usize / size_of::<T>()];
        let bytes = size_of_val(values.as_slice());
        // SAFETY: both are alive until the stream is synchronised.
        let got = unsafe {
            let to = values.as_mut_ptr().cast();
            self.stream.copy_to_host(to, block.address(), bytes)
        };
        got.unwrap();
        self.stream.synchronize().unwrap();
        values
    }
}

/// Runs on the simulated device, which must have nothing to complain of.
fn simulated(test: String, body: impl FnOnce(&Bench)) {
    if let Some(report) = run(&test, &[], || body(&Bench::new())).unwrap() {
        assert_eq!((report.problems, report.leaks), (vec![], vec![]));
    }
}

#[test]
fn frames_are_resized_and_normalised_as_on_the_cpu() {
    simulated(this_test!(), |bench| {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let normalization = Normalization {
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        };
        for (height, width, size) in [
            (1080, 1920, 1024),
            (1920, 1080, 512),
            (480, 854, 256),
            (720, 1280, 1024),
            (2160, 3840, 256),
            (256, 256, 256), // nothing to do
            (256, 300, 256), // only columns
            (301, 256, 256), // only rows
            (37, 53, 64),
            (1, 1, 16),
            (3, 1000, 33),
        ] {
            // Noise with hard edges: every rounding shows.
            let frame: Vec<u8> = (0..height * width * 3)
                .map(|i| if i % 7 == 0 { 255 } else { random.random() })
                .collect();
            let mut resizer = Resizer::new(size);
            let mut square = vec![0; resizer.output_len()];
            resizer.resize(&frame, width, height, &mut square).unwrap();
            let mut want = vec![0f32; square.len()];
            let (mean, std) = (normalization.mean, normalization.std);
            to_chw_normalized(&square, size, mean, std, &mut want).unwrap();

            let tables = ResizeTables::new(height, width, size).unwrap();
            let pixels = bench.up(&frame);
            let uploaded = bench.up(&tables.to_bytes());
            let scratch = bench.block(tables.scratch_bytes());
            let tensor = bench.block(tables.output_bytes());
            let places = Frame {
                pixels: pixels.address(),
                tables: uploaded.address(),
                scratch: scratch.address(),
                tensor: tensor.address(),
            };
            // SAFETY: four blocks of the sizes that the tables give.
            unsafe {
                bench
                    .vision
                    .preprocess(&bench.stream, &tables, &normalization, places)
                    .unwrap();
            }
            let got: Vec<f32> = bench.down(&tensor);
            let differ = got
                .iter()
                .zip(&want)
                .filter(|(got, want)| got.to_bits() != want.to_bits())
                .count();
            assert_eq!(differ, 0, "{height}x{width} to {size}");
        }
    });
}

#[test]
fn masks_are_upsampled_and_packed_as_on_the_cpu() {
    simulated(this_test!(), |bench| {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for (side, height, width, objects) in [
            (256, 1080, 1920, 2),
            (128, 480, 854, 1),
            (64, 37, 53, 3),
            (64, 64, 64, 1),
            (64, 16, 20, 2), // smaller than the logits
            (1, 5, 33, 1),
            (4, 1, 1, 1),
        ] {
            // Small values around zero: every pixel hangs on its neighbours' weights.
            let mut logits: Vec<f32> = (0..side * side * objects)
                .map(|_| random.random_range(-1e-3..1e-3))
                .collect();
            logits[0] = 0.0;
            let bits = MaskBits {
                height: height as u32,
                width: width as u32,
            };
            let up = bench.up(&logits);
            let packed = bench.block(bits.bytes() * objects);
            let flags = bench.block(4 * objects);
            // SAFETY: three blocks of the sizes that the kernel documents.
            unsafe {
                bench
                    .vision
                    .postprocess(
                        &bench.stream,
                        objects as u32,
                        side as u32,
                        up.address(),
                        bits,
                        packed.address(),
                        flags.address(),
                    )
                    .unwrap();
            }
            assert_eq!(bench.down::<u32>(&flags), vec![0; objects]);
            let words: Vec<u32> = bench.down(&packed);
            let per_row = bits.words_per_row();
            let mut upsampler = Upsampler::new(side, height, width);
            for (object, words) in words.chunks_exact(per_row * height).enumerate() {
                let plane = &logits[object * side * side..][..side * side];
                let want: Mask = upsampler.mask(plane);
                for (y, row) in words.chunks_exact(per_row).enumerate() {
                    for x in 0..per_row * 32 {
                        let got = row[x / 32] >> (x % 32) & 1 == 1;
                        let want = x < width && want.get(y, x);
                        assert_eq!(got, want, "{side} to {height}x{width}: ({y}, {x})");
                    }
                }
            }
        }
    });
}

#[test]
fn pixels_at_the_edge_of_rounding_fall_as_on_the_cpu() {
    simulated(this_test!(), |bench| {
        let (side, height, width) = (64usize, 16usize, 1000usize);
        let mut random = ChaCha8Rng::seed_from_u64(3);
        // Pairs of neighbours with opposite signs, so that one pixel between them is zero but for
        // rounding. Rows are alike: what columns decide, rows do not change.
        let scale = side as f32 / width as f32;
        let mut row = vec![0f32; side];
        let mut sensitive = 0;
        for pair in (0..side - 1).step_by(2) {
            let pixel = (pair as f32 + 1.0) / scale + random.random_range(-5.0..5.0);
            let position = scale * (pixel.round() + 0.5) - 0.5;
            let weight = position - pair as f32;
            let low = -random.random_range(0.5f32..2.0);
            let high = -low * (1.0 - weight) / weight;
            row[pair] = low;
            row[pair + 1] = high;
            let reference = low * (1.0 - weight) + high * weight > 0.0;
            let other = low + (high - low) * weight > 0.0;
            let fused = high.mul_add(weight, low * (1.0 - weight)) > 0.0;
            sensitive += usize::from(reference != other || reference != fused);
        }
        assert!(
            sensitive >= 5,
            "only {sensitive} pixels tell one rounding from another"
        );
        let logits = row.repeat(side);
        let bits = MaskBits {
            height: height as u32,
            width: width as u32,
        };
        let (up, flags) = (bench.up(&logits), bench.block(4));
        let packed = bench.block(bits.bytes());
        // SAFETY: three blocks of the sizes that the kernel documents.
        unsafe {
            bench
                .vision
                .postprocess(
                    &bench.stream,
                    1,
                    side as u32,
                    up.address(),
                    bits,
                    packed.address(),
                    flags.address(),
                )
                .unwrap();
        }
        let words: Vec<u32> = bench.down(&packed);
        let want = Upsampler::new(side, height, width).mask(&logits);
        for (y, row) in words.chunks_exact(bits.words_per_row()).enumerate() {
            for x in 0..width {
                let got = row[x / 32] >> (x % 32) & 1 == 1;
                assert_eq!(got, want.get(y, x), "({y}, {x})");
            }
        }
    });
}

#[test]
fn a_logit_that_is_not_finite_is_reported_for_its_object() {
    simulated(this_test!(), |bench| {
        // The mask is far smaller than the logits: most of them are never sampled.
        let (side, objects) = (32, 4);
        let bits = MaskBits {
            height: 2,
            width: 2,
        };
        let mut logits = vec![f32::MAX; side * side * objects];
        logits[side * side + 5] = f32::NAN;
        logits[3 * side * side - 1] = f32::NEG_INFINITY;
        let up = bench.up(&logits);
        let packed = bench.block(bits.bytes() * objects);
        let flags = bench.up(&[7u32; 4]);
        // SAFETY: three blocks of the sizes that the kernel documents.
        unsafe {
            bench
                .vision
                .postprocess(
                    &bench.stream,
                    objects as u32,
                    side as u32,
                    up.address(),
                    bits,
                    packed.address(),
                    flags.address(),
                )
                .unwrap();
        }
        assert_eq!(bench.down::<u32>(&flags), [0, 1, 1, 0]);
    });
}

#[test]
fn bfloat16_rounding_is_that_of_the_half_crate() {
    simulated(this_test!(), |bench| {
        // Every exponent and sign with mantissas around the rounding points.
        let values: Vec<f32> = (0..=0xffffu32)
            .flat_map(|high| [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|low| high << 16 | low))
            .map(f32::from_bits)
            .collect();
        let from = bench.up(&values);
        let to = bench.block(values.len() * 4);
        let count = values.len() as u64;
        // SAFETY: two blocks of `count` floats.
        unsafe {
            bench
                .vision
                .round_bf16(&bench.stream, to.address(), from.address(), count)
                .unwrap();
        }
        for (value, got) in values.iter().zip(bench.down::<f32>(&to)) {
            let want = half::bf16::from_f32(*value).to_f32();
            assert_eq!(got.to_bits(), want.to_bits(), "{:#x}", value.to_bits());
        }
    });
}

#[test]
fn the_committed_ptx_is_what_the_source_compiles_to() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/kernels");
    let output = match Command::new("python3").args([script, "--check"]).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: no python3 to run tools/kernels with: {error}");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        println!("skipped: {text}");
        return;
    }
    assert!(output.status.success(), "{text}");
}
