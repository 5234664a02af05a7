//! What one frame's scores cost on one core. The aim is F below 3 ms at 1920x1080 for an object of
//! 5% of the frame. `tools/bench/score_vs_official.py` compares whole folders with the official
//! evaluator.

use divan::Bencher;
use masklet::mask::Mask;
use masklet::metrics::protocol::Protocol;
use masklet::metrics::{Scorer, boundary, region};

const HEIGHT: usize = 1080;
const WIDTH: usize = 1920;

fn main() {
    divan::main();
}

/// Pairs of 1080p masks, the prediction a few pixels off.
#[derive(Clone, Copy, Debug)]
enum Object {
    /// An ellipse of 5% of the frame.
    FivePercent,
    /// As many pixels with a ragged outline.
    Ragged,
    /// A band through the whole frame, half of its pixels.
    Half,
    /// The same ellipse with a pixel in 200 flipped all over the frame.
    Noisy,
}

const OBJECTS: [Object; 4] = [
    Object::FivePercent,
    Object::Ragged,
    Object::Half,
    Object::Noisy,
];

impl Object {
    fn mask(self, shift: i64) -> Mask {
        Mask::from_fn(HEIGHT, WIDTH, |y, x| {
            let (y, x) = (y as i64 - 500 - shift, x as i64 - 900 + 2 * shift);
            let ellipse = |growth: i64| {
                let (ry, rx) = (160 + growth, 206 + growth);
                y * y * rx * rx + x * x * ry * ry <= ry * ry * rx * rx
            };
            match self {
                Self::FivePercent => ellipse(0),
                Self::Ragged => ellipse((x * 37 + y * 91).rem_euclid(24) - 12),
                Self::Half => (x + y).rem_euclid(WIDTH as i64) < WIDTH as i64 / 2,
                Self::Noisy => ellipse(0) != ((x * 7919 + y * 104_729).rem_euclid(200) == 0),
            }
        })
    }

    fn pair(self) -> (Mask, Mask) {
        (self.mask(0), self.mask(3))
    }
}

/// F alone, new scratch memory every time.
#[divan::bench(args = OBJECTS)]
fn f_measure(bencher: Bencher, object: Object) {
    let (gt, pred) = object.pair();
    bencher.bench_local(|| boundary::f_measure(&gt, &pred));
}

#[divan::bench(args = OBJECTS)]
fn jaccard(bencher: Bencher, object: Object) {
    let (gt, pred) = object.pair();
    bencher.bench_local(|| region::jaccard(&gt, &pred));
}

/// J and F as a running tracker gets them, scratch memory kept.
#[divan::bench(args = OBJECTS)]
fn official_frame(bencher: Bencher, object: Object) {
    let (gt, pred) = object.pair();
    let mut scorer = Scorer::new();
    bencher.bench_local(|| scorer.frame_score(&gt, &pred, Protocol::Official));
}

#[divan::bench(args = OBJECTS)]
fn upstream_frame(bencher: Bencher, object: Object) {
    let (gt, pred) = object.pair();
    let mut scorer = Scorer::new();
    bencher.bench_local(|| scorer.frame_score(&gt, &pred, Protocol::Upstream));
}
