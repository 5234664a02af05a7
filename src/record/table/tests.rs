//! The table as it stands on the screen.

use super::*;
use crate::record::{samples, summarise};

#[test]
fn one_model_with_random_weights() {
    let mut row = samples::row("v", "1", "edgetam_mini_points");
    row.random_init_seed = Some(7);
    let text = render_table(&summarise(&[row]));
    let expected = "\
NOTE: the weights of edgetam_mini_points are a random initialisation (seed 7):
its speed and memory mean something, its scores do not.

model                       edgetam_mini_points
-----------------------------------------------
J (official, %)                           75.00
F (official, %)                           50.00
J&F (official, %)                         62.50
J&F (upstream formula)                   0.7000
FPS end to end                            16.00
FPS model only                            25.00
frame p50, end to end                   62.5 ms
frame p95                               62.5 ms
frame p99                               62.5 ms
p95 at most (99% sure)         needs 130 frames
p99 at most (99% sure)         needs 662 frames
measurement                  too short to judge
peak arena                             48.0 MiB
peak RSS                              120.0 MiB
driver allocations              0 after warm-up
RSS slope per video                           -
RSS slope per frame                           -
memory over videos               too few videos
frames (warm-up left out)                18 (2)
objects per frame                          1.00
objects ok / failed                       1 / 0
";
    assert_eq!(text, expected);
}

#[test]
fn many_models_break_into_blocks_that_fit() {
    let rows: Vec<_> = [
        "sam2_base_points",
        "sam2_tiny_bbox",
        "edgetam_points",
        "edgetam_bbox",
    ]
    .into_iter()
    .flat_map(|tag| (0..4).map(move |v| samples::row(&format!("v{v}"), "1", tag)))
    .collect();
    let summary = summarise(&rows);
    for width in [10, 60, 80, 100, 120] {
        let style = TableStyle {
            colour: false,
            width,
        };
        let text = render_table_styled(&summary, style);
        for tag in summary.models.iter().map(|m| &m.model) {
            assert_eq!(text.matches(tag.as_str()).count(), 1, "{tag} at {width}");
        }
        if width >= 60 {
            let widest = text.lines().map(|l| l.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} columns at {width}\n{text}");
        }
        assert!(text.contains("flat"));
    }
}

#[test]
fn failures_and_memory_that_stayed_are_said_first() {
    let mut kept = samples::row("v", "1", "m");
    let arena = kept.memory.as_mut().unwrap().arena.as_mut().unwrap();
    arena.after_bytes += 1;
    let rows = [kept, samples::row("v", "2", "m").failed("broken")];
    let text = render_table(&summarise(&rows));
    assert!(text.starts_with("NOTE: 1 of 2 objects failed"), "{text}");
    assert!(text.contains("had not returned"), "{text}");
    assert!(text.contains("1 / 1"), "{text}");
}

#[test]
fn nothing_run_and_only_failures_still_make_a_table() {
    assert_eq!(render_table(&summarise(&[])), "No object was run.\n");
    let text = render_table(&summarise(&[samples::row("v", "1", "m").failed("broken")]));
    assert!(text.contains("objects ok / failed"), "{text}");
    assert!(
        text.lines()
            .any(|l| l.starts_with("FPS model only") && l.ends_with('-'))
    );
}

#[test]
fn colour_only_when_asked_for() {
    let summary = summarise(&[samples::row("v", "1", "m")]);
    assert!(!render_table(&summary).contains('\u{1b}'));
    let style = TableStyle {
        colour: true,
        width: 80,
    };
    assert!(render_table_styled(&summary, style).contains('\u{1b}'));
}
