//! Worked examples of the accounting rules.

use super::*;

fn object() -> Mask {
    Mask::from_fn(40, 50, |y, x| {
        (10..30).contains(&y) && (10..30).contains(&x)
    })
}

fn nothing() -> Mask {
    Mask::empty(40, 50)
}

/// Pushes frames between an uncounted first and last one and gives the official outcome.
fn official(inner: &[(Mask, Mask)]) -> Outcome {
    let mut scorer = Scorer::new();
    let mut both = BothProtocols::new(inner.len() + 2);
    let ends = (nothing(), object());
    let frames = std::iter::once(&ends).chain(inner).chain([&ends]);
    for (position, (gt, pred)) in frames.enumerate() {
        let scores = both.push(&mut scorer, position, gt, Some(pred)).unwrap();
        let is_end = position == 0 || position == inner.len() + 1;
        assert!(!is_end || scores.official.is_none());
    }
    both.official()
}

fn scored(score: f64, frames: usize) -> Outcome {
    Outcome::Scored(ObjectScore {
        j: score,
        f: score,
        frames,
    })
}

#[test]
fn frames_before_the_object_was_seen_do_not_count() {
    let absent = (nothing(), nothing());
    let hit = (object(), object());
    let false_alarm = (nothing(), object());
    assert_eq!(official(&[absent.clone(), hit.clone()]), scored(100.0, 1));
    assert_eq!(
        official(&[false_alarm.clone(), hit.clone()]),
        scored(50.0, 2)
    );
    assert_eq!(official(&[hit.clone(), absent.clone()]), scored(100.0, 2));
    assert_eq!(
        official(&[absent.clone(), absent.clone()]),
        Outcome::NeverInGroundTruth
    );
    assert_eq!(
        official(&[absent, false_alarm]),
        Outcome::NeverInGroundTruth
    );
    assert_eq!(official(&[]), Outcome::NeverInGroundTruth);
}

#[test]
fn first_and_last_count_only_when_asked_for() {
    let rule = FrameRule::new(Protocol::Official, 4);
    let included = |rule: FrameRule| (0..6).filter(|&i| rule.includes(i)).collect::<Vec<_>>();
    assert_eq!(included(rule), [1, 2]);
    assert_eq!(included(rule.with_first_and_last()), [0, 1, 2, 3]);
    assert_eq!(
        included(FrameRule::new(Protocol::Upstream, 4)),
        [0, 1, 2, 3]
    );
    for few in 0..=2 {
        assert!(included(FrameRule::new(Protocol::Official, few)).is_empty());
    }
}

#[test]
fn upstream_counts_from_the_prompt_frame_and_missing_predictions_as_zero() {
    let mut scorer = Scorer::new();
    let mut both = BothProtocols::new(4);
    let (object, nothing) = (object(), nothing());
    let frames = [
        (&nothing, Some(&object)),
        (&object, Some(&object)),
        (&object, None),
        (&nothing, Some(&nothing)),
    ];
    for (position, (gt, pred)) in frames.into_iter().enumerate() {
        both.push(&mut scorer, position, gt, pred).unwrap();
    }
    let score = both.upstream().score().unwrap();
    assert_eq!(score.frames, 3);
    assert!((score.j - 200.0 / 3.0).abs() < 1e-12);
    assert_eq!(both.official(), Outcome::MissingPredictions(1));
}

#[test]
fn a_prediction_missing_where_it_does_not_count_does_no_harm() {
    let mut scorer = Scorer::new();
    let mut both = BothProtocols::new(3);
    let object = object();
    for (position, pred) in [None, Some(&object), None].into_iter().enumerate() {
        both.push(&mut scorer, position, &object, pred).unwrap();
    }
    assert_eq!(both.official(), scored(100.0, 1));
}

#[test]
fn a_mask_of_another_size_is_refused_and_not_counted() {
    let mut scorer = Scorer::new();
    let mut both = BothProtocols::new(1).with_first_and_last();
    let wrong = Mask::empty(50, 40);
    let error = both
        .push(&mut scorer, 0, &object(), Some(&wrong))
        .unwrap_err();
    assert_eq!((error.gt_height, error.pred_height), (40, 50));
    assert_eq!(both.official(), Outcome::NeverInGroundTruth);
}

#[test]
fn the_set_is_the_flat_mean_over_objects() {
    let object = |j, f| ObjectScore { j, f, frames: 7 };
    let global = GlobalScore::of([object(90.0, 80.0), object(60.0, 70.0), object(30.0, 0.0)]);
    assert_eq!(
        global,
        Some(GlobalScore {
            j: 60.0,
            f: 50.0,
            jf: 55.0
        })
    );
    assert_eq!(GlobalScore::of([]), None);
}
