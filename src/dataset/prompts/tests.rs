use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::interior::farthest;
use super::*;
use crate::error::{Classified, ErrorClass};

fn golden() -> serde_json::Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/prompts/prompts.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn mask_of(entry: &Value) -> Mask {
    let rows: Vec<&str> = entry["mask"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r.as_str().unwrap())
        .collect();
    Mask::from_fn(rows.len(), rows[0].len(), |y, x| {
        rows[y].as_bytes()[x] == b'#'
    })
}

fn numbers(value: &Value) -> Option<Vec<f32>> {
    let list = value.as_array()?;
    Some(list.iter().map(|v| v.as_f64().unwrap() as f32).collect())
}

#[test]
fn prompts_are_scipys() {
    let cases = golden();
    assert_eq!(cases.len(), 12);
    for (name, entry) in &cases {
        let mask = mask_of(entry);
        let components = Components::of(&mask).len();
        assert_eq!(entry["components"], components, "{name}");
        for (kind, key) in [
            (PromptKind::Points, "points"),
            (PromptKind::PointsInterior, "interior"),
        ] {
            let expected = numbers(&entry[key]).map(|p| Prompt::Points {
                points: vec![(p[0], p[1])],
                labels: vec![1],
            });
            assert_eq!(Prompt::from_mask(kind, &mask), expected, "{name} {kind}");
        }
        let expected = numbers(&entry["bbox"]).map(|b| Prompt::Box {
            x_min: b[0],
            y_min: b[1],
            x_max: b[2],
            y_max: b[3],
        });
        assert_eq!(
            Prompt::from_mask(PromptKind::Bbox, &mask),
            expected,
            "{name}"
        );
        let distance = farthest(&mask).map(|(_, _, d)| d);
        assert_eq!(
            distance,
            entry["interior_distance_squared"].as_i64(),
            "{name}"
        );
    }
}

#[test]
fn a_mask_prompt_is_the_mask_unless_it_is_empty() {
    let mask = Mask::from_fn(4, 5, |y, x| y == x);
    assert_eq!(
        Prompt::from_mask(PromptKind::Mask, &mask),
        Some(Prompt::Mask(mask))
    );
    for kind in PromptKind::ALL {
        assert_eq!(Prompt::from_mask(kind, &Mask::empty(4, 5)), None);
        assert_eq!(Prompt::from_mask(kind, &Mask::empty(0, 0)), None);
    }
}

#[test]
fn the_centroid_click_may_lie_beside_the_object_and_the_interior_click_never_does() {
    // A U: its centroid falls into the gap.
    let mask = Mask::from_fn(20, 20, |y, x| y > 15 || !(4..16).contains(&x));
    let Some(Prompt::Points { points, .. }) = Prompt::from_mask(PromptKind::Points, &mask) else {
        panic!("no click");
    };
    assert!(!mask.get(points[0].1 as usize, points[0].0 as usize));
    let (x, y) = interior_point(&mask).unwrap();
    assert!(mask.get(y, x));
}

#[test]
fn model_pixels_are_scaled_without_a_shift() {
    let click = Prompt::click((959, 270));
    // torch: torch.tensor([959., 270.]) * (1024 / 960), * (1024 / 540)
    assert_eq!(
        click.to_model_pixels(960, 540, 1024),
        Prompt::Points {
            points: vec![(1_022.933_4, 512.0)],
            labels: vec![1]
        }
    );
    let whole = Prompt::Box {
        x_min: 0.0,
        y_min: 3.0,
        x_max: 319.0,
        y_max: 239.0,
    };
    assert_eq!(
        whole.to_model_pixels(320, 240, 256),
        Prompt::Box {
            x_min: 0.0,
            y_min: 3.200_000_3,
            x_max: 255.2,
            y_max: 254.933_35
        }
    );
}

#[test]
fn tags_come_apart_at_the_longest_kind() {
    for (text, model, prompt) in [
        ("edgetam_points", "edgetam", PromptKind::Points),
        ("sam2_base_bbox", "sam2_base", PromptKind::Bbox),
        ("sam2_tiny_mask", "sam2_tiny", PromptKind::Mask),
        (
            "my_model_points_interior",
            "my_model",
            PromptKind::PointsInterior,
        ),
        ("a_points_points", "a_points", PromptKind::Points),
        (
            "x_points_points_interior",
            "x_points",
            PromptKind::PointsInterior,
        ),
    ] {
        let tag: ModelTag = text.parse().unwrap();
        assert_eq!((tag.model.as_str(), tag.prompt), (model, prompt));
        assert_eq!(tag.to_string(), text);
    }
}

#[test]
fn bad_tags_say_what_to_write() {
    for (text, message) in [
        (
            "edgetam",
            "model tag 'edgetam' does not end in a prompt kind",
        ),
        ("edgetam_point", "does not end in a prompt kind"),
        ("mypoints", "does not end in a prompt kind"),
        ("_points", "'_points' names no model: write <model>_points"),
        ("points", "'_points' names no model"),
        ("points_interior", "'_points_interior' names no model"),
        ("", "model tag '' does not end"),
    ] {
        let error = text.parse::<ModelTag>().unwrap_err();
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert_eq!(error.class(), ErrorClass::Usage);
    }
    let error = "clicks".parse::<PromptKind>().unwrap_err();
    assert!(error.to_string().contains("'clicks' is not a prompt kind"));
}

proptest! {
    #[test]
    fn the_interior_point_is_the_farthest_by_brute_force(
        (height, width, pixels) in (1usize..14, 1usize..14).prop_flat_map(|(h, w)| {
            (Just(h), Just(w), proptest::collection::vec(prop::bool::weighted(0.8), h * w))
        })
    ) {
        let mask = Mask::from_fn(height, width, |y, x| pixels[y * width + x]);
        let components = Components::of(&mask);
        let Some((index, _)) = components.largest() else {
            prop_assert_eq!(farthest(&mask), None);
            return Ok(());
        };
        let (h, w) = (height as i64, width as i64);
        let outside = |y: i64, x: i64| {
            y < 0 || x < 0 || y >= h || x >= w || !components.contains(index, y as usize, x as usize)
        };
        let mut best: Option<(usize, usize, i64)> = None;
        for y in 0..h {
            for x in 0..w {
                let nearest = (-1..=h)
                    .flat_map(|v| (-1..=w).map(move |u| (v, u)))
                    .filter(|&(v, u)| outside(v, u))
                    .map(|(v, u)| (y - v).pow(2) + (x - u).pow(2))
                    .min()
                    .unwrap();
                if nearest > best.map_or(0, |b| b.2) {
                    best = Some((x as usize, y as usize, nearest));
                }
            }
        }
        prop_assert_eq!(farthest(&mask), best);
    }
}
