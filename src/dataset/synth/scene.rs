//! One video's scene: shapes on their paths, and how they look at a frame.

use super::texture::{Pattern, Rgb, blend, cloud, hash};
use super::{ANNOTATION_STRIDE, Recipe};
use crate::mask::Mask;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::f32::consts::TAU;

/// What an object does over the video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// There from the first frame to the last.
    Steady,
    /// Appears after a third of the video.
    Late,
    /// Gone after two thirds of the video.
    Vanishing,
    /// Away in the middle third.
    Returning,
}

impl Role {
    fn of(object: usize) -> Self {
        [Self::Steady, Self::Late, Self::Vanishing, Self::Returning][object % 4]
    }

    /// How much of its full size an object has at frame `t` of `frames`; it grows and shrinks over
    /// three frames.
    fn presence(self, t: usize, frames: usize) -> f32 {
        let (third, two_thirds) = ((frames / 3).max(1), (2 * frames / 3).max(1));
        let rising = |from: usize| ((t as f32 - from as f32 + 1.0) / 3.0).clamp(0.0, 1.0);
        let falling = |until: usize| ((until as f32 - t as f32) / 3.0).clamp(0.0, 1.0);
        match self {
            Self::Steady => 1.0,
            Self::Late => rising(third),
            Self::Vanishing => falling(two_thirds),
            Self::Returning => falling(third).max(rising(two_thirds)),
        }
    }
}

/// A closed outline around the origin: radius as a sum of harmonics of the angle.
#[derive(Clone, Debug)]
struct Outline {
    /// (harmonic, amplitude, phase, speed of the phase per frame).
    waves: Vec<(f32, f32, f32, f32)>,
    stretch: f32,
    centre: (f32, f32),
    size: f32,
}

impl Outline {
    /// Signed distance from the outline in units of the shape, positive inside, near the outline.
    fn inside(&self, x: f32, y: f32, t: f32) -> f32 {
        let (x, y) = (
            (x - self.centre.0) / (self.size * self.stretch),
            (y - self.centre.1) * self.stretch / self.size,
        );
        let angle = y.atan2(x);
        let radius: f32 = 1.0
            + self
                .waves
                .iter()
                .map(|(k, a, phase, speed)| a * (k * angle + phase + speed * t).cos())
                .sum::<f32>();
        (radius - x.hypot(y)) * self.size
    }
}

#[derive(Clone, Debug)]
struct Shape {
    role: Role,
    /// One or two outlines: their union is the shape.
    parts: Vec<Outline>,
    /// Radius in pixels.
    size: f32,
    from: (f32, f32),
    to: (f32, f32),
    sway: (f32, f32, f32),
    spin: f32,
    tilt: f32,
    breathe: (f32, f32),
    colours: [Rgb; 2],
    pattern: Pattern,
    seed: u32,
}

/// Where a shape is at a frame.
struct Pose {
    x: f32,
    y: f32,
    scale: f32,
    sin: f32,
    cos: f32,
}

impl Shape {
    fn pose(&self, t: usize, frames: usize) -> Pose {
        let progress = t as f32 / (frames.max(2) - 1) as f32;
        let t = t as f32;
        let (amplitude, period, phase) = self.sway;
        let sway = amplitude * (TAU * t / period + phase).sin();
        let angle = self.tilt + self.spin * t;
        Pose {
            x: self.from.0 + (self.to.0 - self.from.0) * progress + sway,
            y: self.from.1 + (self.to.1 - self.from.1) * progress - 0.6 * sway,
            scale: self.size
                * self.role.presence(t as usize, frames)
                * (1.0 + self.breathe.0 * (TAU * t / self.breathe.1).sin()),
            sin: angle.sin(),
            cos: angle.cos(),
        }
    }
}

/// A video to be.
pub(super) struct Scene {
    width: usize,
    height: usize,
    frames: usize,
    shapes: Vec<Shape>,
    ground: [Rgb; 3],
    ground_seed: u32,
    drift: (f32, f32, f32),
    light: (f32, f32),
    grain: f32,
}

/// One frame: pixels, and for every pixel the object that shows there.
pub(super) struct Rendered {
    /// Height * width * 3 bytes.
    pub rgb: Vec<u8>,
    owner: Vec<u8>,
    width: usize,
    height: usize,
}

/// What a shape covers: pixel, coverage 0 to 1, and the point in the shape's own coordinates.
type Layer = Vec<(usize, f32, f32, f32)>;

/// No object.
const GROUND: u8 = u8::MAX;

impl Rendered {
    /// The visible part of an object.
    pub(super) fn mask(&self, object: usize) -> Mask {
        Mask::from_fn(self.height, self.width, |y, x| {
            usize::from(self.owner[y * self.width + x]) == object
        })
    }
}

fn colour(rng: &mut ChaCha8Rng) -> Rgb {
    // Saturated colours: one channel high, one low, one anywhere.
    let mut channels = [
        rng.random_range(170.0..250.0),
        rng.random_range(10.0..90.0),
        rng.random_range(20.0..230.0),
    ];
    channels.rotate_left(rng.random_range(0..3));
    if rng.random_bool(0.5) {
        channels.swap(0, 1);
    }
    channels
}

impl Scene {
    /// The scene of video `index`. Scenes in which some object is never annotated are thrown away
    /// and drawn again.
    pub(super) fn new(recipe: &Recipe, index: usize, objects: usize) -> Self {
        let draw = |attempt: u64| {
            let seed = recipe
                .seed
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add((index as u64) << 16)
                .wrapping_add(attempt);
            Self::draw(recipe, objects, &mut ChaCha8Rng::seed_from_u64(seed))
        };
        (0..40)
            .map(draw)
            .find(Self::shows_every_object)
            .unwrap_or_else(|| draw(0))
    }

    /// Whether every object shows on some annotated frame, not counting the last one if there are
    /// more, and shows a part worth prompting.
    fn shows_every_object(&self) -> bool {
        let least = (self.width * self.height / 400).max(9);
        let last = (self.frames - 1) / ANNOTATION_STRIDE * ANNOTATION_STRIDE;
        let mut best = vec![0usize; self.shapes.len()];
        for t in (0..self.frames).step_by(ANNOTATION_STRIDE) {
            if t == last && t > 0 && self.frames > 2 * ANNOTATION_STRIDE {
                continue;
            }
            let (owner, _) = self.owners(t);
            for (object, best) in best.iter_mut().enumerate() {
                let area = owner.iter().filter(|&&o| usize::from(o) == object).count();
                *best = (*best).max(area);
            }
        }
        best.iter().all(|&area| area >= least)
    }

    fn draw(recipe: &Recipe, objects: usize, rng: &mut ChaCha8Rng) -> Self {
        let (width, height) = (recipe.width as f32, recipe.height as f32);
        let small = width.min(height);
        let ground: [Rgb; 3] = std::array::from_fn(|_| {
            let grey = rng.random_range(50.0..180.0);
            std::array::from_fn(|_| grey + rng.random_range(-35.0..35.0))
        });
        // More objects are smaller, so that they do not hide each other for good.
        let crowd = 1.0 / (1.0 + 0.12 * objects as f32);
        let shapes = (0..objects)
            .map(|object| Self::draw_shape(object, (width, height), small * crowd, rng))
            .collect();
        Self {
            width: recipe.width,
            height: recipe.height,
            frames: recipe.frames,
            shapes,
            ground,
            ground_seed: rng.random(),
            drift: (
                rng.random_range(-0.5..0.5),
                rng.random_range(-0.3..0.3),
                rng.random_range(0.02..0.06) * small,
            ),
            light: (rng.random_range(0.04..0.14), rng.random_range(30.0..70.0)),
            grain: rng.random_range(2.0..6.0),
        }
    }

    fn draw_shape(
        object: usize,
        (width, height): (f32, f32),
        small: f32,
        rng: &mut ChaCha8Rng,
    ) -> Shape {
        let outline = |centre: (f32, f32), size: f32, rng: &mut ChaCha8Rng| Outline {
            waves: (2..=4)
                .map(|k| {
                    let k = k as f32;
                    (
                        k,
                        rng.random_range(0.03..0.28) / k,
                        rng.random_range(0.0..TAU),
                        rng.random_range(-0.08..0.08),
                    )
                })
                .collect(),
            stretch: rng.random_range(0.8..1.25),
            centre,
            size,
        };
        let mut parts = vec![outline((0.0, 0.0), 1.0, rng)];
        if rng.random_bool(0.4) {
            let angle: f32 = rng.random_range(0.0..TAU);
            let size = rng.random_range(0.4..0.7);
            parts.push(outline((0.9 * angle.cos(), 0.9 * angle.sin()), size, rng));
        }
        let place = |rng: &mut ChaCha8Rng| {
            (
                rng.random_range(0.15..0.85) * width,
                rng.random_range(0.2..0.8) * height,
            )
        };
        let first = colour(rng);
        let second = blend(colour(rng), first, 0.25);
        Shape {
            role: Role::of(object),
            parts,
            size: small * rng.random_range(0.13..0.24),
            from: place(rng),
            to: place(rng),
            sway: (
                small * rng.random_range(0.02..0.1),
                rng.random_range(18.0..50.0),
                rng.random_range(0.0..TAU),
            ),
            spin: rng.random_range(-0.07..0.07),
            tilt: rng.random_range(0.0..TAU),
            breathe: (rng.random_range(0.03..0.18), rng.random_range(20.0..60.0)),
            colours: [first, second],
            pattern: [Pattern::Cloud, Pattern::Stripes, Pattern::Checks][rng.random_range(0..3)],
            seed: rng.random(),
        }
    }

    /// The same ground, camera and light with nothing on it.
    #[cfg(test)]
    pub(super) fn without_objects(mut self) -> Self {
        self.shapes.clear();
        self
    }

    /// What an object does.
    pub(super) fn role(&self, object: usize) -> Role {
        self.shapes.get(object).map_or(Role::Steady, |s| s.role)
    }

    /// The camera's offset at a frame, in pixels.
    fn camera(&self, t: usize) -> (f32, f32) {
        let t = t as f32;
        let wobble = self.drift.2 * (TAU * t / 55.0).sin();
        (self.drift.0 * t + wobble, self.drift.1 * t - 0.5 * wobble)
    }

    /// For every pixel the object in front, and what every shape covers.
    fn owners(&self, t: usize) -> (Vec<u8>, Vec<Layer>) {
        let mut owner = vec![GROUND; self.width * self.height];
        let mut layers = Vec::with_capacity(self.shapes.len());
        let (cx, cy) = self.camera(t);
        for (object, shape) in self.shapes.iter().enumerate() {
            let pose = shape.pose(t, self.frames);
            let mut layer = Layer::new();
            let reach = 2.2 * pose.scale;
            if pose.scale > 0.5 {
                let (x, y) = (pose.x - cx, pose.y - cy);
                let range = |middle: f32, end: usize| {
                    let low = (middle - reach).floor().max(0.0) as usize;
                    let high = (middle + reach).ceil().clamp(0.0, end as f32) as usize;
                    low.min(end)..high
                };
                for py in range(y, self.height) {
                    for px in range(x, self.width) {
                        let (dx, dy) = (px as f32 + 0.5 - x, py as f32 + 0.5 - y);
                        // Into the shape's own, upright coordinates.
                        let u = (dx * pose.cos + dy * pose.sin) / pose.scale;
                        let v = (dy * pose.cos - dx * pose.sin) / pose.scale;
                        let distance = shape
                            .parts
                            .iter()
                            .map(|part| part.inside(u, v, t as f32))
                            .fold(f32::NEG_INFINITY, f32::max)
                            * pose.scale;
                        let coverage = (distance + 0.5).clamp(0.0, 1.0);
                        if coverage > 0.0 {
                            let pixel = py * self.width + px;
                            layer.push((pixel, coverage, u, v));
                            if coverage >= 0.5 {
                                owner[pixel] = object as u8;
                            }
                        }
                    }
                }
            }
            layers.push(layer);
        }
        (owner, layers)
    }

    /// Draws a frame; later objects are in front.
    pub(super) fn render(&self, t: usize) -> Rendered {
        let (owner, layers) = self.owners(t);
        let (cx, cy) = self.camera(t);
        let unit = self.width.min(self.height) as f32 / 6.0;
        let mut colours: Vec<Rgb> = Vec::with_capacity(self.width * self.height);
        for y in 0..self.height {
            for x in 0..self.width {
                let (wx, wy) = ((x as f32 + cx) / unit, (y as f32 + cy) / unit);
                let broad = cloud(wx + 31.0, wy + 17.0, self.ground_seed);
                let fine = cloud(5.0 * wx, 5.0 * wy, self.ground_seed ^ 0x55);
                let base = blend(
                    self.ground[0],
                    self.ground[1],
                    y as f32 / self.height as f32,
                );
                let tint = ((broad - 0.35) * 1.8).clamp(0.0, 1.0);
                let shaded = blend(base, self.ground[2], tint);
                colours.push(std::array::from_fn(|i| shaded[i] + 44.0 * (fine - 0.5)));
            }
        }
        for (shape, layer) in self.shapes.iter().zip(&layers) {
            for &(pixel, coverage, u, v) in layer {
                let mix = shape.pattern.mix(u, v, shape.seed);
                let paint = blend(shape.colours[0], shape.colours[1], mix);
                // A little shade towards the lower right makes it stand out from the ground.
                let shade = 1.0 - 0.18 * (u + v).clamp(-1.0, 1.0);
                let paint = paint.map(|c| c * shade);
                colours[pixel] = blend(colours[pixel], paint, coverage);
            }
        }
        let light = 1.0 + self.light.0 * (TAU * t as f32 / self.light.1).sin();
        let mut rgb = Vec::with_capacity(colours.len() * 3);
        for (pixel, colour) in colours.iter().enumerate() {
            let (x, y) = ((pixel % self.width) as i32, (pixel / self.width) as i32);
            let grain = self.grain * (hash(x, y, self.ground_seed ^ (t as u32) << 8) - 0.5);
            rgb.extend(colour.map(|c| (c * light + grain).round().clamp(0.0, 255.0) as u8));
        }
        Rendered {
            rgb,
            owner,
            width: self.width,
            height: self.height,
        }
    }
}
