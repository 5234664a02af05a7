//! Procedural textures: value noise and stripes, made of integer hashes so that they are the same
//! everywhere.

/// A colour, 0 to 255 per channel.
pub(super) type Rgb = [f32; 3];

/// A hash of a lattice point, uniform in 0..1.
pub(super) fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    h ^= h >> 15;
    (h >> 8) as f32 / (1 << 24) as f32
}

/// Smoothly interpolated noise in 0..1 with features one unit apart.
fn value_noise(x: f32, y: f32, seed: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - fx), smooth(y - fy));
    let at = |dx: i32, dy: i32| hash(ix.wrapping_add(dx), iy.wrapping_add(dy), seed);
    let top = at(0, 0) * (1.0 - u) + at(1, 0) * u;
    let bottom = at(0, 1) * (1.0 - u) + at(1, 1) * u;
    top * (1.0 - v) + bottom * v
}

/// Three octaves of [`value_noise`], in 0..1.
pub(super) fn cloud(x: f32, y: f32, seed: u32) -> f32 {
    (4.0 * value_noise(x, y, seed)
        + 2.0 * value_noise(2.1 * x, 2.1 * y, seed ^ 1)
        + value_noise(4.3 * x, 4.3 * y, seed ^ 2))
        / 7.0
}

/// What covers a shape, in the shape's own coordinates (about -1..1).
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    /// Soft patches.
    Cloud,
    /// Parallel stripes.
    Stripes,
    /// A chequered board.
    Checks,
}

impl Pattern {
    /// How much of the second colour is at a point, 0 to 1.
    pub(super) fn mix(self, x: f32, y: f32, seed: u32) -> f32 {
        match self {
            Self::Cloud => cloud(3.0 * x + 7.0, 3.0 * y + 7.0, seed),
            Self::Stripes => {
                let phase = 4.0 * x + 0.6 * cloud(2.0 * x, 2.0 * y, seed);
                (2.5 * (phase - phase.floor() - 0.5).abs() * 2.0 - 0.75).clamp(0.0, 1.0)
            }
            Self::Checks => {
                let odd = ((3.0 * x).floor() + (3.0 * y).floor()) as i32 & 1;
                0.85 * odd as f32 + 0.15 * cloud(4.0 * x, 4.0 * y, seed)
            }
        }
    }
}

/// Between two colours.
pub(super) fn blend(a: Rgb, b: Rgb, amount: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * amount)
}
