use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::error::{Classified, ErrorClass};
use crate::mask::Mask;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/resize")
        .join(name)
}

/// A scene with sharp coloured edges, gradients and fine texture, the hard parts for chroma.
fn scene(width: usize, height: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let noise = (state % 33) as i32 - 16;
            let base = match ((x / 11) + (y / 9)) % 5 {
                0 => [230, 20, 30],
                1 => [20, 40, 220],
                2 => [(x * 255 / width) as i32, 128, (y * 255 / height) as i32],
                3 => [250, 250, 20],
                _ => [10, 200, 60],
            };
            data.extend(base.map(|v| (v + noise).clamp(0, 255) as u8));
        }
    }
    data
}

fn write_jpeg(
    path: &Path,
    width: usize,
    height: usize,
    seed: u32,
    sampling: jpeg_encoder::SamplingFactor,
    progressive: bool,
) {
    let mut encoder = jpeg_encoder::Encoder::new_file(path, 90).unwrap();
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(progressive);
    let rgb = scene(width, height, seed);
    encoder
        .encode(
            &rgb,
            width as u16,
            height as u16,
            jpeg_encoder::ColorType::Rgb,
        )
        .unwrap();
}

fn jpeg(path: &Path, width: usize, height: usize) {
    write_jpeg(
        path,
        width,
        height,
        7,
        jpeg_encoder::SamplingFactor::F_2_2,
        false,
    );
}

#[test]
fn resized_frames_are_torchvisions_to_the_bit() {
    for (input, output, size) in [
        ("frame_a.png", "frame_a_to32.png", 32),
        ("frame_a.png", "frame_a_to96.png", 96),
        ("frame_b.png", "frame_b_to64.png", 64),
        ("frame_c.png", "frame_c_to48.png", 48),
    ] {
        let source = decode_rgb(&golden(input)).unwrap();
        let expected = decode_rgb(&golden(output)).unwrap();
        let mut resizer = Resizer::new(size);
        let mut out = vec![0; resizer.output_len()];
        resizer
            .resize(&source.data, source.width, source.height, &mut out)
            .unwrap();
        let (worst, differing) = difference(&out, &expected.data);
        println!("{output}: largest difference {worst}, {differing} values differ");
        assert_eq!(differing, 0, "{output}: {worst}");
    }
}

fn difference(a: &[u8], b: &[u8]) -> (u8, usize) {
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max();
    let differing = a.iter().zip(b).filter(|(a, b)| a != b).count();
    (worst.unwrap_or(0), differing)
}

#[test]
fn resized_masks_are_the_references_exactly() {
    for (name, sizes) in [
        ("halved", &[32][..]),
        ("ellipse", &[16, 64, 128]),
        ("noise", &[20, 33]),
        ("stripes", &[40]),
        ("same", &[32]),
    ] {
        let mask = read_mask_png(&golden(&format!("mask_{name}.png"))).unwrap();
        for &size in sizes {
            let expected = read_mask_png(&golden(&format!("mask_{name}_to{size}.png"))).unwrap();
            let out = resize_mask_to_square(&mask, size);
            let wrong = out
                .iter()
                .zip(expected.as_slice())
                .filter(|(v, e)| **v != f32::from(**e))
                .count();
            assert_eq!(wrong, 0, "{name} to {size}");
        }
    }
}

#[test]
fn masks_without_pixels_resize_to_nothing() {
    assert_eq!(resize_mask_to_square(&Mask::empty(0, 5), 4), vec![0.0; 16]);
    assert!(resize_mask_to_square(&Mask::empty(3, 5), 0).is_empty());
}

#[test]
fn normalising_is_planar_and_in_the_references_arithmetic() {
    let mean = [0.485, 0.456, 0.406];
    let std = [0.229, 0.224, 0.225];
    let rgb = [0, 10, 255, 128, 64, 1, 7, 8, 9, 200, 100, 50];
    let mut out = [0.0; 12];
    to_chw_normalized(&rgb, 2, mean, std, &mut out).unwrap();
    for pixel in 0..4 {
        for channel in 0..3 {
            let x = f32::from(rgb[pixel * 3 + channel]);
            let expected = (x / 255.0 - mean[channel]) / std[channel];
            assert!((out[channel * 4 + pixel] - expected).abs() < 1e-6);
        }
    }
    // torch: ((255 - mean*255) / (std*255)) in float32 for the blue of the first pixel.
    assert_eq!(out[8], 2.64f32);
    let error = to_chw_normalized(&rgb, 3, mean, std, &mut out).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("needs 27 values but the buffer holds 12")
    );
}

#[test]
fn sizes_come_from_headers() {
    let dir = tempfile::tempdir().unwrap();
    for (width, height, progressive) in [(64, 48, false), (33, 101, true)] {
        let path = dir.path().join("a.jpg");
        write_jpeg(
            &path,
            width,
            height,
            1,
            jpeg_encoder::SamplingFactor::F_2_2,
            progressive,
        );
        assert_eq!(probe_size(&path).unwrap(), (width, height));
    }
    assert_eq!(probe_size(&golden("frame_c.png")).unwrap(), (128, 24));
}

#[test]
fn a_cut_jpeg_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.jpg");
    let path = dir.path().join("00004.jpg");
    for progressive in [false, true] {
        write_jpeg(
            &whole,
            96,
            64,
            3,
            jpeg_encoder::SamplingFactor::F_2_2,
            progressive,
        );
        let bytes = fs::read(&whole).unwrap();
        let mut refused = 0;
        for keep in 0..bytes.len() {
            fs::write(&path, &bytes[..keep]).unwrap();
            let mut out = vec![0; 96 * 64 * 3];
            for decoder in decoders() {
                let error = decoder.decode_into(&path, 96, 64, &mut out).unwrap_err();
                assert!(error.to_string().contains("00004.jpg"), "{error}");
                assert_eq!(error.class(), ErrorClass::Data);
                refused += 1;
            }
            if keep < 20 {
                assert!(probe_size(&path).is_err());
            }
        }
        assert_eq!(refused, bytes.len() * decoders().len());
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = decode_rgb(&path).unwrap_err().to_string();
        assert!(error.contains("is truncated: after"), "{error}");
        assert!(error.contains("copy or extract it again"), "{error}");
    }
}

fn decoders() -> Vec<Decoder> {
    vec![
        #[cfg(feature = "opencv")]
        Decoder::OpenCv,
        Decoder::PureRust,
    ]
}

#[test]
fn a_cut_png_is_an_error_in_every_decoder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00008.png");
    let bytes = fs::read(golden("frame_a.png")).unwrap();
    for keep in [0, 4, 12, 30, 60, bytes.len() / 2, bytes.len() - 30] {
        fs::write(&path, &bytes[..keep]).unwrap();
        let mut out = vec![0; 53 * 37 * 3];
        for decoder in decoders() {
            let error = decoder.decode_into(&path, 53, 37, &mut out).unwrap_err();
            assert!(error.to_string().contains("00008.png"), "{keep}: {error}");
        }
        assert!(read_label_png(&path).is_err());
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jpg");
    jpeg(&path, 40, 40);
    let mask = fs::read(golden("mask_ellipse.png")).unwrap();
    let good = fs::read(&path).unwrap();
    let mut state = 99u32;
    let mut tried = 0;
    for source in [&good, &mask] {
        for _ in 0..300 {
            let mut bytes = source.clone();
            for _ in 0..4 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = state as usize % bytes.len();
                bytes[at] = (state >> 24) as u8;
            }
            fs::write(&path, &bytes).unwrap();
            if let Ok((width, height)) = probe_size(&path)
                && width * height < 1 << 22
            {
                let mut out = vec![0; width * height * 3];
                for decoder in decoders() {
                    let _ = decoder.decode_into(&path, width, height, &mut out);
                }
            }
            let _ = read_mask_png(&path);
            tried += 1;
        }
    }
    assert_eq!(tried, 600);
}

#[test]
fn a_frame_of_another_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00012.jpg");
    jpeg(&path, 64, 48);
    for decoder in decoders() {
        let mut out = vec![0; 64 * 40 * 3];
        let error = decoder.decode_into(&path, 64, 40, &mut out).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("00012.jpg is 64x48 but 64x40 is expected"),
            "{text}"
        );
        assert_eq!(error.class(), ErrorClass::Data);
    }
}

#[test]
fn files_that_are_no_images_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.jpg");
    fs::write(&path, "hello").unwrap();
    let error = decode_rgb(&path).unwrap_err().to_string();
    assert!(error.contains("notes.jpg is neither JPEG nor PNG: it starts with 68 65 6c 6c"));
    let error = decode_rgb(&dir.path().join("none.jpg")).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
    assert_eq!(error.class(), ErrorClass::Data);
}

#[test]
fn masks_survive_a_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.png");
    for (height, width) in [(1, 1), (5, 8), (17, 23), (40, 9)] {
        let mask = Mask::from_fn(height, width, |y, x| (x * 7 + y * 13) % 5 < 2);
        write_mask_png(&path, &mask).unwrap();
        assert_eq!(read_mask_png(&path).unwrap(), mask);
        assert_eq!(read_label_png(&path).unwrap().mask(None), mask);
    }
    let error = write_mask_png(&dir.path().join("no/m.png"), &Mask::empty(2, 2)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Environment);
    assert!(error.to_string().contains("cannot write"), "{error}");
}

/// Writes a PNG with the given colour type, depth and packed rows.
fn write_png(
    path: &Path,
    (width, height): (u32, u32),
    colour: png::ColorType,
    depth: png::BitDepth,
    packed: &[u8],
) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == png::ColorType::Indexed {
        encoder.set_palette(vec![0, 0, 0, 200, 0, 0, 0, 200, 0, 9, 9, 9]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(packed).unwrap();
}

#[test]
fn palettes_and_depths_are_read_by_raw_value() {
    use png::{BitDepth, ColorType};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l.png");
    // 3x2 labels 0 1 2 / 3 0 1, in every way a PNG can hold them.
    let labels = vec![0, 1, 2, 3, 0, 1];
    let sixteen: Vec<u8> = labels.iter().flat_map(|&v| [0, v]).collect();
    let rgb: Vec<u8> = labels.iter().flat_map(|&v| [v; 3]).collect();
    let grey_alpha: Vec<u8> = labels.iter().flat_map(|&v| [v, 255]).collect();
    let cases: [(ColorType, BitDepth, &[u8]); 9] = [
        (
            ColorType::Grayscale,
            BitDepth::Four,
            &[0x01, 0x20, 0x30, 0x10],
        ),
        (ColorType::Indexed, BitDepth::Eight, &labels),
        (ColorType::Grayscale, BitDepth::Eight, &labels),
        (
            ColorType::Indexed,
            BitDepth::Two,
            &[0b0001_1000, 0b1100_0100],
        ),
        (
            ColorType::Grayscale,
            BitDepth::Two,
            &[0b0001_1000, 0b1100_0100],
        ),
        (
            ColorType::Indexed,
            BitDepth::Four,
            &[0x01, 0x20, 0x30, 0x10],
        ),
        (ColorType::Grayscale, BitDepth::Sixteen, &sixteen),
        (ColorType::Rgb, BitDepth::Eight, &rgb),
        (ColorType::GrayscaleAlpha, BitDepth::Eight, &grey_alpha),
    ];
    for (colour, depth, packed) in cases {
        write_png(&path, (3, 2), colour, depth, packed);
        let read = read_label_png(&path).unwrap();
        let expected: Vec<u32> = labels.iter().map(|&v| u32::from(v)).collect();
        assert_eq!(read.data, expected, "{colour:?} {depth:?}");
        assert_eq!(read.labels(), [1, 2, 3].into());
        assert_eq!(read.mask(Some(1)).area(), 2);
    }
}

#[test]
fn a_mask_with_three_values_is_a_data_error_that_lists_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00020.png");
    let grey = (png::ColorType::Grayscale, png::BitDepth::Eight);
    write_png(&path, (3, 1), grey.0, grey.1, &[0, 1, 255]);
    let error = read_mask_png(&path).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Data);
    let text = error.to_string();
    assert!(
        text.contains("00020.png holds 3 different values (0, 1, 255)"),
        "{text}"
    );
    let many: Vec<u8> = (0..100).collect();
    write_png(&path, (10, 10), grey.0, grey.1, &many);
    let text = read_mask_png(&path).unwrap_err().to_string();
    assert!(text.contains("100 different values (0, 1, 2, 3, 4, 5, 6, 7, ...)"));
    // Two values, neither of them background: all object, as the official evaluator has it.
    write_png(&path, (2, 1), grey.0, grey.1, &[1, 255]);
    assert_eq!(read_mask_png(&path).unwrap().area(), 2);
}

#[test]
fn colours_and_opacity_are_numbers_where_they_agree() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.png");
    use png::{BitDepth::Eight, ColorType};
    let read = |colour, pixels: &[u8]| {
        write_png(&path, (2, 1), colour, Eight, pixels);
        read_label_png(&path)
            .map(|map| map.data)
            .map_err(|e| e.to_string())
    };
    // Colours of DAVIS are their index, other colours numbered as Cutie does.
    assert_eq!(
        read(ColorType::Rgb, &[128, 0, 0, 0, 128, 0]),
        Ok(vec![1, 2])
    );
    assert_eq!(
        read(ColorType::Rgb, &[0, 0, 0, 224, 224, 192]),
        Ok(vec![0, 255])
    );
    assert_eq!(
        read(ColorType::Rgb, &[3, 0, 0, 1, 2, 3]),
        Ok(vec![3, 197_121])
    );
    assert_eq!(
        read(ColorType::Rgb, &[255, 255, 255, 0, 0, 0]),
        Ok(vec![255, 0])
    );
    assert_eq!(
        read(ColorType::Rgba, &[9, 9, 9, 255, 0, 0, 0, 0]),
        Ok(vec![9, 0])
    );
    assert_eq!(
        read(ColorType::GrayscaleAlpha, &[5, 255, 0, 0]),
        Ok(vec![5, 0])
    );
    // The mask in the alpha channel alone, and a soft edge.
    for pixels in [
        [255, 255, 255, 0, 255, 255, 255, 255],
        [9, 9, 9, 128, 0, 0, 0, 0],
    ] {
        let text = read(ColorType::Rgba, &pixels).unwrap_err();
        assert!(
            text.contains("colours and alpha channel show different masks"),
            "{text}"
        );
    }
    jpeg(&path, 8, 8);
    let text = read_mask_png(&path).unwrap_err().to_string();
    assert!(text.contains("it is a JPEG"), "{text}");
}

#[test]
fn label_maps_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.png");
    for data in [vec![0, 1, 255, 7, 64, 128], vec![0, 1, 300, 65535, 2, 0]] {
        let map = LabelMap {
            height: 2,
            width: 3,
            data,
        };
        write_label_png(&path, &map).unwrap();
        assert_eq!(read_label_png(&path).unwrap(), map);
    }
    // The palette is DAVIS's own: an RGB copy of a map is read as the map.
    let map = LabelMap {
        height: 1,
        width: 256,
        data: (0..256).collect(),
    };
    write_label_png(&path, &map).unwrap();
    let colours = decode_rgb(&path).unwrap();
    assert_eq!(
        &colours.data[..12],
        [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    );
    write_png(
        &path,
        (256, 1),
        png::ColorType::Rgb,
        png::BitDepth::Eight,
        &colours.data,
    );
    assert_eq!(read_label_png(&path).unwrap(), map);
}

/// A JPEG with an EXIF segment behind its first marker.
fn with_orientation(jpeg: &[u8], little: bool, value: u16) -> Vec<u8> {
    let short = |v: u16| {
        if little {
            v.to_le_bytes()
        } else {
            v.to_be_bytes()
        }
    };
    let long = |v: u32| {
        if little {
            v.to_le_bytes()
        } else {
            v.to_be_bytes()
        }
    };
    let mut exif = b"Exif\0\0".to_vec();
    exif.extend(if little { b"II" } else { b"MM" });
    exif.extend(short(42));
    exif.extend(long(8));
    exif.extend(short(2));
    for (tag, value) in [(0x010f, 7), (0x0112, value)] {
        exif.extend([short(tag), short(3)].concat());
        exif.extend(long(1));
        exif.extend([short(value), [0; 2]].concat());
    }
    exif.extend(long(0));
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn frames_that_ask_to_be_turned_are_refused_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jpg");
    jpeg(&path, 16, 8);
    let plain = std::fs::read(&path).unwrap();
    for little in [true, false] {
        for value in 0..=9 {
            std::fs::write(&path, with_orientation(&plain, little, value)).unwrap();
            let mut out = vec![0; 16 * 8 * 3];
            let results = [
                probe_size(&path).map(|size| assert_eq!(size, (16, 8))),
                decode_into(&path, 16, 8, &mut out),
                decode_jpeg_with(&path, 16, 8, &mut out, |_, _| Ok::<_, String>(true)),
            ];
            for result in results {
                match result {
                    Ok(()) => assert!(!(2..=8).contains(&value), "{value}"),
                    Err(error) => {
                        let text = error.to_string();
                        assert!((2..=8).contains(&value), "{text}");
                        assert!(
                            text.contains(&format!("EXIF orientation {value} ")),
                            "{text}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_image_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jpg");
    for (bytes, words) in [
        (
            &b"version https://git-lfs.github.com/spec/v1\noid sha256:8eb7\n"[..],
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"\n<html><body>", "a web page"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP image"),
        (b"BM\x10\0\0\0", "a BMP image"),
        (b"GIF89a", "a GIF image"),
        (b"\0\0\0\x1cftypavif", "an AVIF image"),
        (b"\0\0\0\x1cftypheic", "a HEIC image"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        for error in [
            probe_size(&path).unwrap_err(),
            read_mask_png(&path).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains(words), "{text}");
        }
    }
}

#[test]
fn png_frames_of_every_kind_become_rgb() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.png");
    let eight = png::BitDepth::Eight;
    for decoder in decoders() {
        let mut out = [0; 6];
        write_png(&path, (2, 1), png::ColorType::Grayscale, eight, &[3, 200]);
        decoder.decode_into(&path, 2, 1, &mut out).unwrap();
        assert_eq!(out, [3, 3, 3, 200, 200, 200]);
        write_png(&path, (2, 1), png::ColorType::Indexed, eight, &[1, 2]);
        decoder.decode_into(&path, 2, 1, &mut out).unwrap();
        assert_eq!(out, [200, 0, 0, 0, 200, 0]);
        let rgba = [1, 2, 3, 255, 4, 5, 6, 0];
        write_png(&path, (2, 1), png::ColorType::Rgba, eight, &rgba);
        decoder.decode_into(&path, 2, 1, &mut out).unwrap();
        assert_eq!(out, [1, 2, 3, 4, 5, 6]);
        let error = decoder.decode_into(&path, 2, 1, &mut [0; 5]).unwrap_err();
        assert!(error.to_string().contains("needs 6 values"), "{error}");
    }
}

#[cfg(feature = "opencv")]
mod both_decoders {
    use super::*;

    /// Largest difference and root mean square, first as decoded, then at `size`.
    fn compare(path: &Path, sizes: &[usize]) -> (u8, Vec<u8>) {
        let (width, height) = probe_size(path).unwrap();
        let mut images = [vec![0; width * height * 3], vec![0; width * height * 3]];
        for (decoder, out) in decoders().into_iter().zip(&mut images) {
            decoder.decode_into(path, width, height, out).unwrap();
        }
        let (decoded, _) = difference(&images[0], &images[1]);
        let resized = sizes.iter().map(|&size| {
            let mut resizer = Resizer::new(size);
            let [a, b] = images.each_ref().map(|image| {
                let mut out = vec![0; resizer.output_len()];
                resizer.resize(image, width, height, &mut out).unwrap();
                out
            });
            difference(&a, &b).0
        });
        (decoded, resized.collect())
    }

    #[test]
    fn agree_on_synthetic_jpegs() {
        use jpeg_encoder::SamplingFactor::*;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.jpg");
        for (width, height) in [(96, 64), (97, 65), (320, 240), (61, 143), (16, 16), (5, 3)] {
            for sampling in [F_1_1, F_2_1, F_2_2, F_1_2] {
                for progressive in [false, true] {
                    write_jpeg(&path, width, height, 5, sampling, progressive);
                    let (decoded, resized) = compare(&path, &[64, 256]);
                    println!(
                        "{width}x{height} {sampling:?} progressive {progressive}: \
                         decoded {decoded}, resized {resized:?}"
                    );
                    assert!(
                        resized.iter().all(|&d| d <= 2),
                        "{width}x{height} {sampling:?} {progressive}: {resized:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn agree_on_real_frames() {
        let Some(shared) = shared_data() else {
            println!("skipped: no shared test data");
            return;
        };
        let mut worst = (0, 0);
        for index in (0..24).step_by(4) {
            let path = shared.join(format!("bedroom/{:05}.jpg", index * 4));
            let (decoded, resized) = compare(&path, &[256, 1024]);
            worst.0 = worst.0.max(decoded);
            worst.1 = worst.1.max(*resized.iter().max().unwrap());
        }
        println!("decoded {}, resized {}", worst.0, worst.1);
        assert!(worst.1 <= 2, "{worst:?}");
    }

    fn shared_data() -> Option<PathBuf> {
        let named = std::env::var_os("MASKLET_SHARED_DATA").map(PathBuf::from);
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
        [named, Some(beside)]
            .into_iter()
            .flatten()
            .find(|dir| dir.join("bedroom").is_dir())
    }
}
