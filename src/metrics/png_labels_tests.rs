//! Mask files of every pixel format, and damaged ones.

use super::*;

/// Encodes packed rows of a 4-pixel-wide, one-row image.
fn file(colour: ColorType, depth: BitDepth, data: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut encoder = png::Encoder::new(file.reopen().unwrap(), 4, 1);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(vec![9, 9, 9, 200, 0, 0, 0, 200, 0, 0, 0, 200]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    file
}

fn labels(colour: ColorType, depth: BitDepth, data: &[u8]) -> Result<Vec<u8>, MaskPngError> {
    let file = file(colour, depth, data);
    let mut out = LabelImage::default();
    MaskReader::default().read_labels(file.path(), &mut out)?;
    assert_eq!((out.height, out.width), (1, 4));
    Ok(out.pixels)
}

fn binary(colour: ColorType, depth: BitDepth, data: &[u8]) -> Result<Vec<bool>, MaskPngError> {
    let file = file(colour, depth, data);
    let mut out = LabelImage::default();
    MaskReader::default().read_binary(file.path(), &mut out)?;
    assert_eq!(out.pixels.len(), 4);
    Ok(out.pixels.iter().map(|&v| v > 0).collect())
}

#[test]
fn object_numbers_of_every_depth() {
    use BitDepth::*;
    use ColorType::*;
    let read = |colour, depth, data: &[u8]| labels(colour, depth, data).unwrap();
    assert_eq!(read(Indexed, Eight, &[0, 1, 2, 3]), [0, 1, 2, 3]);
    assert_eq!(read(Indexed, Four, &[0x01, 0x23]), [0, 1, 2, 3]);
    assert_eq!(read(Indexed, Two, &[0b0001_1011]), [0, 1, 2, 3]);
    assert_eq!(read(Indexed, One, &[0b0110_0000]), [0, 1, 1, 0]);
    assert_eq!(read(Grayscale, Eight, &[0, 7, 255, 3]), [0, 7, 255, 3]);
    assert_eq!(read(Grayscale, One, &[0b0110_0000]), [0, 1, 1, 0]);
    // Pillow scales grey levels of 2 and 4 bits to 8 bits.
    assert_eq!(read(Grayscale, Four, &[0x01, 0x2f]), [0, 17, 34, 255]);
    assert_eq!(read(Grayscale, Two, &[0b0001_1011]), [0, 85, 170, 255]);
    assert_eq!(
        read(Grayscale, Sixteen, &[0, 0, 0, 9, 0, 255, 0, 1]),
        [0, 9, 255, 1]
    );
}

#[test]
fn masks_of_every_colour_type() {
    use BitDepth::*;
    use ColorType::*;
    let read = |colour, depth, data: &[u8]| binary(colour, depth, data).unwrap();
    let expected = [false, true, true, false];
    assert_eq!(read(Grayscale, Eight, &[0, 255, 255, 0]), expected);
    assert_eq!(read(Grayscale, One, &[0b0110_0000]), expected);
    assert_eq!(
        read(Grayscale, Sixteen, &[0, 0, 1, 0, 1, 0, 0, 0]),
        expected
    );
    assert_eq!(read(Indexed, Eight, &[0, 2, 2, 0]), expected);
    assert_eq!(
        read(Rgb, Eight, &[0, 0, 0, 0, 0, 9, 9, 0, 0, 0, 0, 0]),
        expected
    );
    let rgba = [0, 0, 0, 255, 9, 9, 9, 255, 0, 9, 0, 255, 0, 0, 0, 9];
    assert_eq!(read(Rgba, Eight, &rgba), expected);
    assert_eq!(
        read(GrayscaleAlpha, Eight, &[0, 255, 5, 255, 5, 0, 0, 3]),
        expected
    );
    // Two values, neither of them 0: all of it is the object, as in the official evaluator.
    assert_eq!(read(Grayscale, Eight, &[1, 2, 2, 1]), [true; 4]);
}

#[test]
fn three_values_are_no_mask_of_one_object() {
    let cases: [(ColorType, BitDepth, &[u8], &str); 4] = [
        (
            ColorType::Grayscale,
            BitDepth::Eight,
            &[0, 1, 255, 1],
            "3 different values (0, 1, 255)",
        ),
        (
            ColorType::Indexed,
            BitDepth::Two,
            &[0b0001_1011],
            "4 different values (0, 1, 2, 3)",
        ),
        (
            ColorType::Grayscale,
            BitDepth::Sixteen,
            &[0, 1, 1, 0, 0, 0, 0, 0],
            "(0, 1, 256)",
        ),
        (
            ColorType::Rgb,
            BitDepth::Eight,
            &[0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "(0, 1, 2)",
        ),
    ];
    for (colour, depth, data, text) in cases {
        let error = binary(colour, depth, data).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn labels_that_cannot_be_object_numbers() {
    let wide = labels(
        ColorType::Grayscale,
        BitDepth::Sixteen,
        &[0, 0, 1, 44, 0, 0, 0, 0],
    );
    assert!(wide.unwrap_err().to_string().contains("object number 300"));
    let colour = labels(ColorType::Rgb, BitDepth::Eight, &[0; 12]);
    assert!(colour.unwrap_err().to_string().contains("colour or alpha"));
    let alpha = labels(ColorType::GrayscaleAlpha, BitDepth::Eight, &[0; 8]);
    assert!(alpha.unwrap_err().to_string().contains("colour or alpha"));
}

#[test]
fn damaged_files_are_named() {
    let whole = std::fs::read(file(ColorType::Grayscale, BitDepth::Eight, &[0, 1, 1, 0]).path());
    let whole = whole.unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    for length in 0..whole.len() - 12 {
        std::fs::write(cut.path(), &whole[..length]).unwrap();
        let error = MaskReader::default()
            .read_binary(cut.path(), &mut LabelImage::default())
            .unwrap_err();
        assert!(
            matches!(error, MaskPngError::Damaged { .. }),
            "{length}: {error}"
        );
        assert!(
            error
                .to_string()
                .contains(&cut.path().display().to_string())
        );
    }
}

/// A header of 65535 x 65535 pixels must not take 4 GiB.
#[test]
fn huge_headers_are_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut encoder = png::Encoder::new(file.reopen().unwrap(), 65535, 65535);
    encoder.set_color(ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(png::chunk::IDAT, &[0x78, 1]).unwrap();
    drop(writer);
    let error = MaskReader::default()
        .read_labels(file.path(), &mut LabelImage::default())
        .unwrap_err();
    assert!(error.to_string().contains("65535x65535"), "{error}");
}
