//! The table as it is printed.

use super::*;
use crate::record::{samples, summarise};
use crate::render::{Style, terminal};

fn rendered(summary: &Summary, style: Style) -> String {
    terminal(&of_summary(summary), style)
}

fn plain(summary: &Summary) -> String {
    rendered(summary, Style::PLAIN)
}

#[test]
fn one_model_with_random_weights() {
    let mut row = samples::row("v", "1", "edgetam_mini_points");
    row.random_init_seed = Some(7);
    let text = plain(&summarise(&[row]));
    let expected = "\
NOTE: the weights of edgetam_mini_points are a random initialisation (seed 7):
its speed and memory are meaningful, its scores are not.

model                   edgetam_mini_points
-------------------------------------------
J&F (official)                      62.50 %
J (official)                        75.00 %
F (official)                        50.00 %
J&F (upstream)                      70.00 %
FPS end to end                        16.00
objects per frame                      1.00
objects x FPS                         16.00
FPS, networks alone                   25.00
frame p50, end to end               62.5 ms
frame p95                           62.5 ms
frame p99                           62.5 ms
p95 upper bound            needs 130 frames
p99 upper bound            needs 662 frames
stability                too short to judge
warm-up frames                            2
peak arena                         48.0 MiB
driver allocations          0 after warm-up
peak RSS                          120.0 MiB
RSS slope per video        needs two videos
RSS slope per frame                       -
memory over videos           too few videos
frames                                   18
objects tracked                           1
objects failed                            0
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
        let style = Style {
            width,
            ..Style::PLAIN
        };
        let text = rendered(&summary, style);
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
fn failures_and_memory_that_stayed_come_first() {
    let mut kept = samples::row("v", "1", "m");
    let arena = kept.memory.as_mut().unwrap().arena.as_mut().unwrap();
    arena.after_bytes += 1;
    let rows = [kept, samples::row("v", "2", "m").failed("broken")];
    let text = plain(&summarise(&rows));
    assert!(text.starts_with("NOTE: 1 of 2 objects failed"), "{text}");
    assert!(text.contains("had not returned"), "{text}");
    let failed = text.lines().find(|line| line.starts_with("objects failed"));
    assert!(failed.unwrap().ends_with(" 1"), "{text}");
}

#[test]
fn nothing_run_and_only_failures_still_make_a_table() {
    assert_eq!(plain(&summarise(&[])), "No object was run.\n");
    let text = plain(&summarise(&[samples::row("v", "1", "m").failed("broken")]));
    let line = text.lines().find(|l| l.starts_with("FPS, networks alone"));
    assert!(line.unwrap().ends_with('-'), "{text}");
}

#[test]
fn colour_only_when_asked_for() {
    let summary = summarise(&[samples::row("v", "1", "m")]);
    assert!(!plain(&summary).contains('\u{1b}'));
    let style = Style {
        colour: true,
        ..Style::PLAIN
    };
    assert!(rendered(&summary, style).contains('\u{1b}'));
}
