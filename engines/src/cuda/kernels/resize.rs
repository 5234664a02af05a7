//! Tap tables of the 8-bit antialiased bilinear resize, made once per video size.
//!
//! The arithmetic is Pillow's 8-bit resampling with 16-bit weights, as torchvision (`antialias=True`
//! on uint8) and the `fast_image_resize` crate do it: a triangle filter stretched to the scale,
//! weights normalised in 64-bit floats, then rounded to as many fractional bits as keep the largest
//! one below 2^15; sums are rounded once per pass, columns first and rows second.

use crate::cuda::error::CudaError;

/// Fractional bits that leave room for 8 bits and two guard bits in 32.
const MAX_PRECISION: u32 = 32 - 8 - 2;

/// Taps of one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisTables {
    /// First source sample of every output sample.
    pub starts: Vec<u32>,
    /// Number of taps of every output sample.
    pub counts: Vec<u32>,
    /// Fixed-point weights, `window` for every output sample, zero behind its taps.
    pub weights: Vec<i16>,
    /// Row length of `weights`.
    pub window: u32,
    /// Fractional bits of the weights.
    pub precision: u32,
}

impl AxisTables {
    /// For a stretch from `from` to `to` samples, both above 0.
    fn new(from: u32, to: u32) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let radius = scale.max(1.0);
        let stretch = 1.0 / radius;
        let window = radius.ceil() as u32 * 2 + 1;
        let mut starts = Vec::with_capacity(to as usize);
        let mut exact: Vec<Vec<f64>> = Vec::with_capacity(to as usize);
        for sample in 0..to {
            let centre = (f64::from(sample) + 0.5) * scale;
            let first = (centre - radius).floor().max(0.0) as u32;
            let end = (centre + radius).ceil().min(f64::from(from)) as u32;
            let mut start = first;
            let mut weights = Vec::with_capacity(window as usize);
            for x in first..end {
                let distance = ((f64::from(x) - (centre - 0.5)) * stretch).abs();
                let weight = if distance < 1.0 { 1.0 - distance } else { 0.0 };
                if weight == 0.0 && weights.is_empty() {
                    start += 1;
                } else {
                    weights.push(weight);
                }
            }
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                for weight in &mut weights {
                    *weight /= sum;
                }
            }
            while weights.last() == Some(&0.0) {
                weights.pop();
            }
            starts.push(start);
            exact.push(weights);
        }
        let largest = exact.iter().flatten().copied().fold(0.0, f64::max);
        let mut precision = 0;
        for bits in 0..MAX_PRECISION {
            precision = bits;
            if (largest * f64::from(1u32 << (bits + 1))).round() >= f64::from(1u32 << 15) {
                break;
            }
        }
        let one = f64::from(1u32 << precision);
        let counts = exact.iter().map(|weights| weights.len() as u32).collect();
        let mut weights = vec![0i16; to as usize * window as usize];
        for (row, exact) in weights.chunks_exact_mut(window as usize).zip(&exact) {
            for (weight, exact) in row.iter_mut().zip(exact) {
                *weight = (exact * one).round() as i16;
            }
        }
        Self {
            starts,
            counts,
            weights,
            window,
            precision,
        }
    }
}

/// Tables for the resize of one frame size to the model's square, and their place in one block of
/// device memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResizeTables {
    height: u32,
    width: u32,
    size: u32,
    columns: AxisTables,
    rows: AxisTables,
}

/// Largest side of a frame or of the model's square.
const MAX_SIDE: usize = 1 << 16;

impl ResizeTables {
    /// For frames of `height` x `width` to a square of `size` x `size`.
    ///
    /// # Errors
    /// [`CudaError::Shape`] when a side is 0 or above 65536.
    pub fn new(height: usize, width: usize, size: usize) -> Result<Self, CudaError> {
        let side = |name: &str, value: usize| match u32::try_from(value) {
            Ok(side) if value > 0 && value <= MAX_SIDE => Ok(side),
            _ => Err(CudaError::Shape {
                kernel: "preprocess",
                reason: format!("{name} is {value}; 1 to {MAX_SIDE} is possible"),
            }),
        };
        let (height, width) = (side("the height", height)?, side("the width", width)?);
        let size = side("the size of the square", size)?;
        Ok(Self {
            height,
            width,
            size,
            columns: AxisTables::new(width, size),
            rows: AxisTables::new(height, size),
        })
    }

    /// Height of the frames.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Width of the frames.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Side of the square.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Taps of the output columns.
    pub fn columns(&self) -> &AxisTables {
        &self.columns
    }

    /// Taps of the output rows.
    pub fn rows(&self) -> &AxisTables {
        &self.rows
    }

    /// Bytes of one frame: `height * width * 3`.
    pub fn frame_bytes(&self) -> usize {
        self.height as usize * self.width as usize * 3
    }

    /// Bytes of scratch memory between the two passes: `height * size * 3`.
    pub fn scratch_bytes(&self) -> usize {
        self.height as usize * self.size as usize * 3
    }

    /// Bytes of the normalised tensor: `3 * size * size * 4`.
    pub fn output_bytes(&self) -> usize {
        3 * self.size as usize * self.size as usize * 4
    }

    /// The tables as they lie in device memory, to be uploaded once. 4-byte alignment is enough.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes());
        for axis in [&self.columns, &self.rows] {
            for value in axis.starts.iter().chain(&axis.counts) {
                bytes.extend_from_slice(&value.to_ne_bytes());
            }
            for weight in &axis.weights {
                bytes.extend_from_slice(&weight.to_ne_bytes());
            }
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// Length of [`ResizeTables::to_bytes`].
    pub fn bytes(&self) -> usize {
        self.axis_bytes(&self.columns) + self.axis_bytes(&self.rows)
    }

    fn axis_bytes(&self, axis: &AxisTables) -> usize {
        self.size as usize * 8 + (axis.weights.len() * 2).next_multiple_of(4)
    }

    /// Addresses of starts, counts and weights of columns and rows in a block at `base`.
    pub(super) fn addresses(&self, base: u64) -> [[u64; 3]; 2] {
        let side = u64::from(self.size) * 4;
        let rows = base + self.axis_bytes(&self.columns) as u64;
        [base, rows].map(|at| [at, at + side, at + 2 * side])
    }
}
