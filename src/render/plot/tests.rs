//! What is drawn where, read back from the SVG.

use super::axis::{Scale, Tick};
use super::*;

fn texts(ticks: &[Tick]) -> Vec<&str> {
    ticks.iter().map(|tick| tick.text.as_str()).collect()
}

fn chart(marks: Vec<Mark>) -> Chart {
    Chart {
        name: "a <plot>".to_owned(),
        x: Axis::exact("seconds", 0.0, 10.0),
        y: Axis::exact("watts", 0.0, 4.0),
        marks,
        heights: [200, 180],
    }
}

#[test]
fn ticks_are_round_and_not_too_many() {
    let axis = Axis::exact("", 0.0, 103.0);
    assert_eq!(texts(&axis.ticks(6)), ["0", "20", "40", "60", "80", "100"]);
    assert_eq!(
        texts(&Axis::exact("", 0.0, 0.25).ticks(5)),
        ["0.00", "0.05", "0.10", "0.15", "0.20", "0.25"]
    );
    assert_eq!(
        texts(&Axis::exact("", -5.0, 5.0).ticks(3)),
        ["\u{2212}5", "0", "5"]
    );
    assert_eq!(texts(&Axis::count("", 3.0).ticks(9)), ["1", "2", "3"]);
    let large = Axis::exact("", 0.0, 12_500.0).ticks(3);
    assert_eq!(texts(&large), ["0", "5000", "10\u{202f}000"]);
    let log = Axis {
        from: 0.02,
        to: 250.0,
        scale: Scale::Log,
        ..Axis::exact("", 0.0, 1.0)
    };
    assert_eq!(texts(&log.ticks(8)), ["0.1", "1", "10", "100"]);
    assert_eq!(
        texts(
            &Axis {
                from: 0.8,
                to: 30.0,
                ..log
            }
            .ticks(8)
        ),
        ["1", "2", "5", "10", "20"]
    );
    for most in 1..20 {
        for (from, to) in [(0.0, 1e-9), (0.0, 1e12), (-3.0, 1e5), (41.0, 41.5)] {
            let count = Axis::exact("", from, to).ticks(most).len();
            assert!(count <= most + 1, "{from} {to} {most}: {count}");
        }
    }
}

#[test]
fn axes_hold_their_values_whatever_they_are() {
    let axis = Axis::linear("", [41.0, 45.0], false);
    assert!(axis.from < 41.0 && axis.from > 40.0 && axis.to > 45.0);
    assert_eq!(
        Axis::linear("", [1.0, 45.0], false).from,
        0.0,
        "zero is near"
    );
    assert_eq!(Axis::linear("", [41.0, 45.0], true).from, 0.0);
    for odd in [vec![], vec![0.0], vec![f64::NAN, f64::INFINITY], vec![7.0]] {
        let axis = Axis::linear("", odd.clone(), false);
        assert!(
            axis.to > axis.from && axis.to.is_finite(),
            "{odd:?} {axis:?}"
        );
        let axis = Axis::log("", odd.clone());
        assert!(axis.to > axis.from && axis.from > 0.0, "{odd:?} {axis:?}");
    }
}

#[test]
fn both_drawings_have_the_marks_in_the_colours_of_the_page() {
    let marks = vec![
        Mark::line(vec![(0.0, 0.0), (10.0, 4.0)], Colour::Series(1)),
        Mark::dashed(vec![(0.0, 2.0), (10.0, 2.0)], Colour::Bad),
        Mark::dots(
            vec![(5.0, 2.0), (99.0, f64::NAN)],
            Colour::Series(9),
            3,
            0.5,
        ),
    ];
    let html = chart(marks).html().unwrap().into_string();
    assert_eq!(html.matches("<svg").count(), 2);
    assert_eq!(html.matches("</svg>").count(), 2);
    assert!(html.contains("class=\"wide\"") && html.contains("class=\"narrow\""));
    assert!(html.contains("aria-label=\"a &lt;plot&gt;\""));
    // The ninth series has the second's colour.
    assert_eq!(
        html.matches("stroke=\"var(--s1)\" stroke-width=\"4\"")
            .count(),
        2
    );
    assert_eq!(html.matches("fill=\"var(--s1)\"").count(), 4);
    assert_eq!(
        html.matches("stroke=\"var(--bad)\" stroke-dasharray")
            .count(),
        2
    );
    assert!(!html.contains("\"#"), "a colour has no role: {html}");
    for words in ["watts", "seconds", "\n10\n"] {
        assert_eq!(html.matches(words).count(), 2, "{words}");
    }
    // The line goes from the lower left corner of the plot to the upper right one.
    let line = html
        .split("stroke=\"var(--s1)\" stroke-width=\"4\" points=\"")
        .nth(1)
        .unwrap();
    let points: Vec<(i32, i32)> = line
        .split('"')
        .next()
        .unwrap()
        .split_whitespace()
        .map(|pair| {
            let (x, y) = pair.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .collect();
    assert_eq!(points.len(), 2);
    assert!(points[0].0 < 100 && points[1].0 > 1800, "{points:?}");
    assert!(points[0].1 > 300 && points[1].1 < 100, "{points:?}");
}

#[test]
fn words_in_plots_are_escaped() {
    let text = Mark::Text {
        at: (1.0, 1.0),
        words: "<script>\"&".to_owned(),
        colour: Colour::Ink,
        moved: (0, 0),
    };
    let mut plot = chart(vec![text]);
    plot.y = Axis::names(vec!["<b>".to_owned(), "c".to_owned()]);
    let html = plot.html().unwrap().into_string();
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    assert_eq!(html.matches("&lt;script&gt;").count(), 2);
    assert_eq!(html.matches("&lt;b&gt;").count(), 2);
}

#[test]
fn thinning_keeps_ends_and_extremes() {
    let points: Vec<(f64, f64)> = (0..10_000)
        .map(|x| {
            (
                f64::from(x),
                if x == 4321 { 900.0 } else { f64::from(x % 7) },
            )
        })
        .collect();
    let thinned = thin(&points, 200);
    assert!(thinned.is_thinned() && thinned.points.len() <= 202);
    assert_eq!(thinned.of, 10_000);
    assert!(thinned.points.contains(&(4321.0, 900.0)));
    assert_eq!(thinned.points.first(), points.first());
    assert_eq!(thinned.points.last(), points.last());
    assert!(thinned.points.is_sorted_by(|a, b| a.0 < b.0));
    let few = thin(&points[..150], 200);
    assert!(!few.is_thinned() && few.points == points[..150]);
    assert!(thin(&[], 10).points.is_empty());
}

/// Where the horizontal axis's labels end, and the width of the drawing: one pair per drawing.
fn ends_of_labels(html: &str) -> Vec<(f64, f64)> {
    let number = |text: &str, name: &str| -> f64 {
        let from = text.split_once(&format!(" {name}=\"")).unwrap().1;
        from.split('"').next().unwrap().parse().unwrap()
    };
    let drawings = html.split("viewBox=\"0 0 ").skip(1);
    drawings
        .map(|drawing| {
            let width = drawing.split(' ').next().unwrap().parse().unwrap();
            let labels = drawing.split("<text").skip(1);
            let middle = labels.filter(|label| label.contains("text-anchor=\"middle\""));
            let ends = middle.map(|label| {
                let words = label.split('\n').nth(1).unwrap().chars().count() as f64;
                number(label, "x") + words * 0.58 * number(label, "font-size") / 2.0
            });
            (ends.fold(0.0, f64::max), width)
        })
        .collect()
}

#[test]
fn a_long_label_at_the_end_stays_inside() {
    let axes = [
        Axis::exact("milliseconds", 0.0, 10_000.0),
        Axis {
            scale: Scale::Log,
            ..Axis::exact("milliseconds", 200.0, 10_000.0)
        },
        Axis::exact("seconds", 0.0, 10.0),
    ];
    for x in axes {
        let long = Chart { x, ..chart(vec![]) };
        let ends = ends_of_labels(&long.html().unwrap().into_string());
        assert_eq!(ends.len(), 2);
        for (end, width) in ends {
            assert!(0.9 * width < end && end <= width, "{end} of {width}");
        }
    }
}
