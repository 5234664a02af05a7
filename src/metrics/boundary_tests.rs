//! Worked examples of the boundary measure, and its definitions taken literally.

use super::*;
use crate::metrics::{FrameScore, region};
use proptest::prelude::*;

fn packed(mask: &Mask) -> BitImage {
    let mut image = BitImage::default();
    image.pack(mask.height(), mask.width(), mask.as_slice(), |p| p);
    image
}

fn outline(mask: &Mask) -> Vec<(usize, usize)> {
    let mut out = BitImage::default();
    martin_outline(&packed(mask), &mut out);
    pixels(&out)
}

fn pixels(image: &BitImage) -> Vec<(usize, usize)> {
    let (height, width) = (image.height(), image.width());
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (y, x)))
        .filter(|&(y, x)| image.row(y)[x / WORD] >> (x % WORD) & 1 == 1)
        .collect()
}

fn single(y: usize, x: usize) -> Mask {
    Mask::from_fn(100, 120, |r, c| (r, c) == (y, x))
}

#[test]
fn outlines_of_single_pixels() {
    assert_eq!(
        outline(&single(50, 60)),
        [(49, 59), (49, 60), (50, 59), (50, 60)]
    );
    assert_eq!(outline(&single(0, 0)), [(0, 0)]);
    assert_eq!(outline(&single(99, 119)), [(98, 118), (98, 119), (99, 118)]);
    assert_eq!(
        outline(&single(99, 60)),
        [(98, 59), (98, 60), (99, 59), (99, 60)]
    );
    assert_eq!(
        outline(&single(50, 119)),
        [(49, 118), (49, 119), (50, 118), (50, 119)]
    );
}

#[test]
fn outlines_of_regions() {
    let square = Mask::from_fn(100, 120, |y, x| {
        (30..70).contains(&y) && (40..80).contains(&x)
    });
    assert_eq!(outline(&square).len(), 160);
    let strip = Mask::from_fn(100, 120, |_, x| x < 5);
    assert_eq!(outline(&strip).len(), 100);
    assert!(outline(&Mask::from_fn(100, 120, |_, _| true)).is_empty());
    assert!(outline(&Mask::empty(100, 120)).is_empty());
    assert!(outline(&Mask::empty(0, 0)).is_empty());
}

#[test]
fn radii_of_usual_sizes() {
    for (height, width, radius) in [
        (240, 427, 4),
        (360, 640, 6),
        (480, 640, 7),
        (480, 854, 8),
        (480, 910, 9),
        (720, 1280, 12),
        (1080, 1920, 18),
    ] {
        assert_eq!(
            tolerance_radius(height, width, Protocol::Official),
            radius,
            "{height}x{width}"
        );
    }
}

/// 3-4-5 sizes have an integral 0.008 * diagonal, which must not be rounded up.
#[test]
fn integral_radii_stay() {
    for k in 1..=16 {
        assert_eq!(tolerance_radius(75 * k, 100 * k, Protocol::Official), k);
    }
}

#[test]
fn upstream_rounds_half_to_even_and_never_below_one() {
    let radius = |h, w| tolerance_radius(h, w, Protocol::Upstream);
    assert_eq!(radius(1080, 1920), 18);
    assert_eq!(radius(480, 854), 8);
    assert_eq!(radius(10, 10), 1);
    // Diagonals 312.5 and 562.5 do not occur; 187.5 * 5 / 3 does: 0.008 * 1562.5 = 12.5.
    assert_eq!(radius(937, 1250), 12);
}

#[test]
fn a_mask_matches_itself() {
    let mask = Mask::from_fn(120, 90, |y, x| (y * y + 2 * x * x) % 977 < 300);
    assert_eq!(f_measure(&mask, &mask), Ok(1.0));
    assert_eq!(region::jaccard(&mask, &mask), Ok(1.0));
}

#[test]
fn conventions_for_empty_and_full() {
    let (empty, full) = (Mask::empty(100, 120), Mask::from_fn(100, 120, |_, _| true));
    let part = Mask::from_fn(100, 120, |y, x| {
        (30..70).contains(&y) && (40..80).contains(&x)
    });
    let mut scorer = Scorer::new();
    let mut both = |gt: &Mask, pred: &Mask, protocol| {
        let score = scorer.frame_score(gt, pred, protocol).unwrap();
        (score.j, score.f)
    };
    for protocol in [Protocol::Official, Protocol::Upstream] {
        assert_eq!(both(&empty, &empty, protocol), (1.0, 1.0));
        assert_eq!(both(&full, &full, protocol), (1.0, 1.0));
        assert_eq!(both(&empty, &part, protocol), (0.0, 0.0));
        assert_eq!(both(&part, &empty, protocol), (0.0, 0.0));
        // A full-frame mask has no outline.
        assert_eq!(both(&part, &full, protocol), (1600.0 / 12000.0, 0.0));
    }
    // No outline on either side: the official F is 1, upstream looks at the masks first.
    assert_eq!(both(&empty, &full, Protocol::Official), (0.0, 1.0));
    assert_eq!(both(&empty, &full, Protocol::Upstream), (0.0, 0.0));
}

#[test]
fn sizes_must_agree_in_the_official_protocol() {
    let (gt, pred) = (
        Mask::from_fn(4, 6, |_, x| x < 3),
        Mask::from_fn(8, 12, |_, x| x < 6),
    );
    let mut scorer = Scorer::new();
    let error = scorer
        .frame_score(&gt, &pred, Protocol::Official)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ground truth is 6x4 (width x height) but the prediction is 12x8; write predictions at \
         the size of the video"
    );
    assert_eq!(
        scorer.frame_score(&gt, &pred, Protocol::Upstream),
        Ok(FrameScore::PERFECT)
    );
}

/// The definitions, pixel by pixel.
mod literal {
    use super::*;

    pub fn jaccard(gt: &Mask, pred: &Mask) -> f64 {
        let pairs = || gt.as_slice().iter().zip(pred.as_slice());
        let union = pairs().filter(|&(&g, &p)| g || p).count();
        let common = pairs().filter(|&(&g, &p)| g && p).count();
        match union {
            0 => 1.0,
            _ => common as f64 / union as f64,
        }
    }

    fn martin(mask: &Mask) -> Vec<(usize, usize)> {
        let (h, w) = (mask.height(), mask.width());
        let mut out = Vec::new();
        for y in 0..h {
            for x in 0..w {
                let here = mask.get(y, x);
                let east = here != mask.get(y, x + 1);
                let south = here != mask.get(y + 1, x);
                let south_east = here != mask.get(y + 1, x + 1);
                let set = match (y + 1 == h, x + 1 == w) {
                    (true, true) => false,
                    (true, false) => east,
                    (false, true) => south,
                    (false, false) => east || south || south_east,
                };
                if set {
                    out.push((y, x));
                }
            }
        }
        out
    }

    fn gradient(mask: &Mask) -> Vec<(usize, usize)> {
        let (h, w) = (mask.height(), mask.width());
        let mut out = Vec::new();
        for y in 0..h {
            for x in 0..w {
                let (mut any, mut all) = (false, true);
                for r in y.saturating_sub(1)..(y + 2).min(h) {
                    for c in x.saturating_sub(1)..(x + 2).min(w) {
                        any |= mask.get(r, c);
                        all &= mask.get(r, c);
                    }
                }
                if any && !all {
                    out.push((y, x));
                }
            }
        }
        out
    }

    pub fn f_measure(gt: &Mask, pred: &Mask, protocol: Protocol) -> f64 {
        if protocol == Protocol::Upstream && gt.is_empty() != pred.is_empty() {
            return 0.0;
        }
        let outline = |mask| match protocol {
            Protocol::Official => martin(mask),
            Protocol::Upstream => gradient(mask),
        };
        let (g, p) = (outline(gt), outline(pred));
        if g.is_empty() && p.is_empty() {
            return 1.0;
        }
        if g.is_empty() || p.is_empty() {
            return 0.0;
        }
        let radius = tolerance_radius(gt.height(), gt.width(), protocol);
        let near = |of: &[(usize, usize)], to: &[(usize, usize)]| {
            let reached = |&&(y, x): &&(usize, usize)| {
                to.iter().any(|&(v, u)| {
                    let (dy, dx) = (y.abs_diff(v), x.abs_diff(u));
                    match protocol {
                        Protocol::Official => dy * dy + dx * dx <= radius * radius,
                        Protocol::Upstream => dy <= radius && dx <= radius,
                    }
                })
            };
            of.iter().filter(reached).count() as f64 / of.len() as f64
        };
        let (precision, recall) = (near(&p, &g), near(&g, &p));
        match precision + recall {
            0.0 => 0.0,
            sum => 2.0 * precision * recall / sum,
        }
    }
}

/// Masks from nothing to noise: a few boxes and disks, flipped at a few random pixels.
fn any_mask(height: usize, width: usize) -> impl Strategy<Value = Mask> {
    let shape = (
        any::<bool>(),
        0..height,
        0..width,
        1..height.max(2),
        1..width.max(2),
    );
    let flips = prop::collection::vec((0..height, 0..width), 0..12);
    (prop::collection::vec(shape, 0..3), flips, 0u8..12).prop_map(move |(shapes, flips, kind)| {
        let mut mask = Mask::from_fn(height, width, |y, x| {
            kind == 0
                || shapes.iter().any(|&(round, cy, cx, a, b)| {
                    let (dy, dx) = (y.abs_diff(cy), x.abs_diff(cx));
                    if round {
                        4 * (dy * dy + dx * dx) < a * b
                    } else {
                        2 * dy < a && 2 * dx < b
                    }
                })
        });
        if kind > 1 {
            for (y, x) in flips {
                mask.set(y, x, !mask.get(y, x));
            }
        }
        mask
    })
}

fn any_pair() -> impl Strategy<Value = (Mask, Mask)> {
    // Up to four words wide; up to 120 rows, so that radii of 1 to 3 pixels occur.
    prop_oneof![(1usize..40, 1usize..60), (30usize..120, 50usize..230)]
        .prop_flat_map(|(h, w)| (any_mask(h, w), any_mask(h, w)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn scores_equal_the_literal_definitions((gt, pred) in any_pair()) {
        let mut scorer = Scorer::new();
        for protocol in [Protocol::Official, Protocol::Upstream] {
            let score = scorer.frame_score(&gt, &pred, protocol).unwrap();
            prop_assert_eq!(score.j.to_bits(), literal::jaccard(&gt, &pred).to_bits());
            let literal = literal::f_measure(&gt, &pred, protocol);
            prop_assert_eq!(score.f.to_bits(), literal.to_bits(), "{:?} {} {}", protocol, score.f, literal);
            let swapped = scorer.frame_score(&pred, &gt, protocol).unwrap();
            prop_assert_eq!(swapped.j, score.j);
            prop_assert!((swapped.f - score.f).abs() < 1e-12);
            prop_assert_eq!(scorer.frame_score(&gt, &gt, protocol), Ok(FrameScore::PERFECT));
        }
    }

    /// Radii beyond one word, as on frames above 8000 pixels of diagonal.
    #[test]
    fn wide_elements_reach_as_far_as_they_should(
        radius in 0usize..150,
        points in prop::collection::vec((0usize..90, 0usize..400), 0..25),
        field in prop::collection::vec((0usize..90, 0usize..400), 0..6),
        square in any::<bool>(),
    ) {
        let image = |pixels: &[(usize, usize)]| {
            packed(&Mask::from_fn(90, 400, |y, x| pixels.contains(&(y, x))))
        };
        let element = if square { Element::square(radius) } else { Element::disk(radius) };
        let (p, f) = (image(&points), image(&field));
        let expected = pixels(&p)
            .iter()
            .filter(|&&(y, x)| field.iter().any(|&(v, u)| {
                let (dy, dx) = (y.abs_diff(v), x.abs_diff(u));
                if square { dy <= radius && dx <= radius } else { dy * dy + dx * dx <= radius * radius }
            }))
            .count();
        prop_assert_eq!(Reach::default().count(&p, &f, &element), expected as u64);
    }
}
