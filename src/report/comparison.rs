//! Runs beside each other as one document, for the terminal, Markdown and HTML alike.

use super::date;
use crate::figures::catalogue::{Area, Better, Method, Unit, find};
use crate::figures::compare::{
    Against, Change, Comparison, Coverage, ModelComparison, Row, Source, Verdict,
};
use crate::render::plot::{Axis, Chart, Colour, Mark, Shape};
use crate::render::{
    Block, Card, Cell, Document, Item, Key, Plot, Sample, Section, Table, Tone, counted,
};
use std::collections::BTreeMap;

/// Objects whose scores changed most that are listed.
const LISTED: usize = 10;
/// Failed rows that are listed by name.
const FAILED: usize = 5;
/// Fewer videos than this make intervals that are rough.
const FEW_VIDEOS: usize = 10;

/// The document of a comparison.
pub fn of_comparison(comparison: &Comparison) -> Document {
    let letters: Vec<&str> = comparison
        .sources
        .iter()
        .map(|s| s.label.as_str())
        .collect();
    let mut sections = vec![runs(&comparison.sources), in_short(comparison)];
    for (number, against) in comparison.against.iter().enumerate() {
        sections.push(of_pair(number, comparison, against));
    }
    if comparison.against.iter().any(|against| !against.withheld) {
        let text = format!(
            "Rates and durations: geometric means over pairs, ratio of the two. Scores: means, difference \
             in points. Memory: maxima, ratio of the two. Interval: 95 % percentile bootstrap over videos \
             ({} resamples, seed {}).",
            comparison.bootstrap.resamples, comparison.bootstrap.seed
        );
        let blocks = vec![Block::Paragraph(text)];
        sections.push(Section::new("method", "Method", "Method", "", blocks));
    }
    let first = letters.first().copied().unwrap_or_default();
    Document {
        title: format!("Comparison of runs {}", letters.join(", ")),
        about: format!("Run {first} is the reference for all others, object by object."),
        small: format!(
            "A benchmark of video object segmentation, compared by masklet {}.",
            env!("CARGO_PKG_VERSION")
        ),
        sections,
    }
}

/// What is known of each run.
fn runs(sources: &[Source]) -> Section {
    let card = |source: &Source| {
        let facts = &source.facts;
        let backends: Vec<&str> = facts.backends.iter().map(String::as_str).collect();
        let known = [
            ("source", Some(source.kind.text().to_owned())),
            ("program", facts.program.clone()),
            (
                "backend",
                (!backends.is_empty()).then(|| backends.join(", ")),
            ),
            ("device", facts.device.clone()),
            ("power mode", facts.power.clone()),
            ("started", facts.started.as_deref().map(date)),
            ("rows", Some(counted(source.rows.len(), "row"))),
        ];
        let pair = |(name, value): (&str, Option<String>)| {
            let cell = value.map_or_else(|| Cell::missing("not recorded"), Cell::text);
            (name.to_owned(), cell)
        };
        Card {
            heading: format!("{}: {}", source.label, source.path),
            pairs: known.map(pair).into(),
            data: vec![("run", source.label.clone())],
            ..Card::default()
        }
    };
    let notes = sources.iter().flat_map(|source| {
        let note = move |note| format!("{}: {note}", source.label);
        source.notes.iter().map(note)
    });
    let notes = Block::Notes(notes.collect());
    let cards = Block::Cards(sources.iter().map(card).collect());
    Section::new("runs", "Runs", "Runs", "", vec![cards, notes])
}

/// What makes figures not comparable, and what is merely worth knowing. The same words about
/// several models are given once.
fn differences(against: &Against) -> (Vec<String>, Vec<String>) {
    let mut unlike: Vec<String> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for difference in &against.differences {
        let areas: Vec<&str> = difference.areas.iter().map(area).collect();
        let (list, text) = if difference.blocks {
            let text = format!("{} [not comparable: {}]", difference.text, areas.join(", "));
            (&mut unlike, text)
        } else {
            (&mut notes, difference.text.clone())
        };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    (unlike, notes)
}

fn area(area: &Area) -> &'static str {
    match area {
        Area::Scores => "scores",
        Area::Memory => "memory",
        _ => "speed",
    }
}

/// What differs, all runs in one table, and in one plot.
fn in_short(comparison: &Comparison) -> Section {
    let mut blocks = Vec::new();
    for against in &comparison.against {
        let (unlike, _) = differences(against);
        if !unlike.is_empty() {
            let figures = if against.withheld {
                "; figures are withheld, --anyway shows them"
            } else {
                ""
            };
            let (a, b) = (&against.a, &against.b);
            blocks.push(Block::heading(format!(
                "{a} and {b} are not comparable{figures}"
            )));
            blocks.push(Block::List(toned(unlike, Tone::Warning)));
        }
    }
    blocks.push(Block::Table(overview(comparison)));
    blocks.push(scatter(comparison));
    Section::new("short", "In short", "In short", "", blocks)
}

fn toned(items: Vec<String>, tone: Tone) -> Vec<Item> {
    items.into_iter().map(|text| Item { text, tone }).collect()
}

/// The figures of the overview: the first of each that was measured.
const OVERVIEW: [(&str, &[&str]); 4] = [
    ("FPS", &["fps_end_to_end", "fps"]),
    ("p99", &["p99"]),
    ("J&F", &["jf", "jf_upstream"]),
    ("peak RSS", &["rss"]),
];

/// One row per run and model.
fn overview(comparison: &Comparison) -> Table {
    let mut head = vec![Cell::text("run"), Cell::text("model")];
    for (label, _) in OVERVIEW {
        head.extend([Cell::number(label), Cell::number("change")]);
    }
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for against in &comparison.against {
        for model in against
            .models
            .iter()
            .filter(|model| !model.figures.is_empty())
        {
            let other = model.other_model.as_ref().unwrap_or(&model.model);
            let mut of_a = vec![Cell::text(&against.a), Cell::text(&model.model)];
            let mut of_b = vec![Cell::text(&against.b), Cell::text(other)];
            for (_, names) in OVERVIEW {
                match measured(&model.figures, names) {
                    Some(change) => {
                        of_a.extend([Cell::number(change.unit.text(change.a)), Cell::number("")]);
                        let changed = Cell::number(changed(change)).toned(tone(change));
                        of_b.extend([Cell::number(change.unit.text(change.b)), changed]);
                    }
                    None => {
                        let none = || Cell::missing("");
                        of_a.extend([none(), Cell::number("")]);
                        of_b.extend([none(), none()]);
                    }
                }
            }
            if !rows.contains(&of_a) {
                rows.push(of_a);
            }
            rows.push(of_b);
        }
    }
    Table::new("overview", head).with_rows(rows)
}

fn measured<'f>(figures: &'f [Change], names: &[&str]) -> Option<&'f Change> {
    names
        .iter()
        .find_map(|name| figures.iter().find(|figure| figure.name == *name))
}

/// Speed against accuracy of every run and model, with the Pareto front.
fn scatter(comparison: &Comparison) -> Block {
    /// A point, whether it is comparable, and its name.
    type Point = ((f64, f64), bool, String);
    let mut points: Vec<Point> = Vec::new();
    for against in &comparison.against {
        for model in &against.models {
            let speed = measured(&model.figures, &["fps_end_to_end", "fps"]);
            let score = measured(&model.figures, &["jf", "jf_upstream"]);
            let (Some(speed), Some(score)) = (speed, score) else {
                continue;
            };
            let unlike = speed.unlike || score.unlike;
            let other = model.other_model.as_ref().unwrap_or(&model.model);
            let of_a = format!("{}: {}", against.a, model.model);
            if !points.iter().any(|(.., known)| *known == of_a) {
                points.push(((speed.a, score.a), false, of_a));
            }
            let star = if unlike { " *" } else { "" };
            let of_b = format!("{}: {other}{star}", against.b);
            points.push(((speed.b, score.b), unlike, of_b));
        }
    }
    if points.is_empty() {
        return Block::nothing("No plot: no two runs have both speed and scores to compare.");
    }
    let values = || points.iter().map(|(point, ..)| *point);
    let mut marks = Vec::new();
    let front = pareto(values());
    if front.len() > 1 {
        marks.push(Mark::dashed(front, Colour::Muted));
    }
    let mut legend = Vec::new();
    for (at, (point, unlike, words)) in points.iter().enumerate() {
        let (colour, shape) = (Colour::Series(at), Shape::of_series(at));
        marks.push(Mark::Dots {
            points: vec![*point],
            colour,
            radius: 8,
            alpha: 0.9,
            hollow: *unlike,
            shape,
        });
        legend.push(Key::new(colour.css(), words, Sample::Dot(shape)));
    }
    if marks.len() > points.len() {
        let words = "Pareto front: no run is both faster and more accurate";
        legend.push(Key::new(Colour::Muted.css(), words, Sample::Dashed));
    }
    let mut y = Axis::linear("J&F (%)", values().map(|point| point.1), false);
    y.from = y.from.max(0.0);
    y.to = y.to.min(103.0);
    let x = Axis::linear("frames per second", values().map(|point| point.0), true);
    let caption = "Each mark is a model in a run, over the objects that the runs have in common. Up is \
                   more accurate, to the right is faster: the upper right corner is best. Hollow marks \
                   (*) are not comparable.";
    Block::Plot(Box::new(Plot {
        id: "scatter".to_owned(),
        heading: "Accuracy against speed".to_owned(),
        caption: caption.to_owned(),
        legend,
        chart: Chart {
            name: "J&F against frames per second of all runs".to_owned(),
            x,
            y,
            marks,
            heights: [300, 280],
        },
    }))
}

/// The points that no other is right of and above, from right to left.
fn pareto(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(f64, f64)> = points.collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let mut front: Vec<(f64, f64)> = Vec::new();
    for point in sorted {
        if front.last().is_none_or(|last| point.1 > last.1) {
            front.push(point);
        }
    }
    front
}

/// One run against the first.
fn of_pair(number: usize, comparison: &Comparison, against: &Against) -> Section {
    let id = format!("against-{number}");
    let words = format!("{} against {}", against.b, against.a);
    let (_, known) = differences(against);
    let mut blocks = Vec::new();
    if !known.is_empty() {
        blocks.push(Block::heading("Worth knowing"));
        blocks.push(Block::list(known));
    }
    for (number, model) in against.models.iter().enumerate() {
        blocks.extend(of_model(
            &format!("{id}-{number}"),
            comparison,
            against,
            model,
        ));
    }
    if !against.verdicts.is_empty() {
        let verdict = |verdict: &Verdict| Item {
            text: judged(verdict),
            tone: if verdict.holds { Tone::Good } else { Tone::Bad },
        };
        let mut items: Vec<Item> = against.verdicts.iter().map(verdict).collect();
        let failed: usize = against.models.iter().map(|m| m.coverage.newly_failed).sum();
        if failed > 0 {
            items.push(Item {
                text: format!(
                    "FAILS: {} failed in {} that were ok in {}",
                    counted(failed, "object"),
                    against.b,
                    against.a
                ),
                tone: Tone::Bad,
            });
        }
        blocks.push(Block::heading(format!("Thresholds for {}", against.b)));
        blocks.push(Block::List(items));
    }
    Section::new(&id, &words, &words, "", blocks)
}

/// What a threshold's verdict is, in a sentence.
fn judged(verdict: &Verdict) -> String {
    let word = if verdict.holds { "holds" } else { "FAILS" };
    let sure = match verdict.sure {
        Some(false) => ", but the 95 % interval reaches across the limit",
        _ => "",
    };
    let change = match find(&verdict.name).map(|figure| figure.method()) {
        Some(Method::Difference) => format!("{:+.2} points", verdict.change),
        _ => format!("{}x", ratio(verdict.change)),
    };
    format!(
        "{word}: {} of {} is {change}, {} {} is required{sure}",
        verdict.name, verdict.model, verdict.bound, verdict.limit
    )
}

fn of_model(
    id: &str,
    comparison: &Comparison,
    against: &Against,
    model: &ModelComparison,
) -> Vec<Block> {
    let name = match &model.other_model {
        Some(other) => format!("{} against {other}", model.model),
        None => model.model.clone(),
    };
    let covered = covered(against, &model.coverage);
    let mut blocks = vec![
        Block::heading(format!("{name}: {covered}")),
        Block::list(failures(against, &model.coverage)),
    ];
    if model.figures.is_empty() {
        let why = "Figures are withheld: the runs are not comparable.";
        blocks.push(Block::nothing(why));
        return blocks;
    }
    let (scores, others): (Vec<&Change>, Vec<&Change>) = model
        .figures
        .iter()
        .partition(|f| f.method == Method::Difference);
    blocks.extend(ratios(id, against, model, &others));
    blocks.extend(score_differences(id, against, model, &scores));
    blocks.push(Block::Table(numbers(id, against, model)));
    if model.figures.iter().any(|figure| figure.unlike) {
        let text = "* not comparable: see the differences above before using it.";
        blocks.push(Block::nothing(text));
    }
    blocks.extend(headline(against, model).map(Block::Paragraph));
    blocks.extend(most_changed(id, comparison, against, model));
    blocks
}

/// How many rows are behind a model's figures.
fn covered(against: &Against, coverage: &Coverage) -> String {
    let mut text = format!(
        "{} of {}",
        counted(coverage.pairs, "pair"),
        counted(coverage.videos, "video")
    );
    for (count, label) in [
        (coverage.only_in_a, &against.a),
        (coverage.only_in_b, &against.b),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} only in {label}"));
        }
    }
    text
}

/// Rows that failed, as far as they are listed.
fn failures(against: &Against, coverage: &Coverage) -> Vec<String> {
    let mut items = Vec::new();
    for (failed, label) in [
        (&coverage.failed_in_a, &against.a),
        (&coverage.failed_in_b, &against.b),
    ] {
        let line = |row: &dyn std::fmt::Display| format!("failed in {label}, left out: {row}");
        items.extend(failed.iter().take(FAILED).map(|row| line(row)));
        if failed.len() > FAILED {
            items.push(line(&format!("{} more", failed.len() - FAILED)));
        }
    }
    items
}

/// The one sentence that people quote.
fn headline(against: &Against, model: &ModelComparison) -> Option<String> {
    let (a, b) = (&against.a, &against.b);
    let figure = measured(&model.figures, &["fps_end_to_end", "fps"])?;
    let how = match figure.name {
        "fps_end_to_end" => "end to end",
        _ => "over networks and masks",
    };
    let certain = match figure.interval {
        None => "one video, so no interval".to_owned(),
        Some(i) => {
            let interval = format!("95 % interval {} to {}", ratio(i.low), ratio(i.high));
            if i.low > 1.0 || i.high < 1.0 {
                interval
            } else {
                format!("{interval}: no difference can be told")
            }
        }
    };
    let mark = if figure.unlike {
        " Not comparable: see the differences above."
    } else {
        ""
    };
    let few = match model.coverage.videos {
        n if n > 1 && n < FEW_VIDEOS => {
            format!(" Intervals from {n} videos are rough, and rather too narrow.")
        }
        _ => String::new(),
    };
    Some(format!(
        "{b} runs {} times as many frames per second as {a} {how} ({certain}).{mark}{few}",
        ratio(figure.change)
    ))
}

fn ratio(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.2}"),
        v if v >= 0.0995 => format!("{v:.3}"),
        v if v >= 0.000_995 => format!("{v:.4}"),
        v => format!("{v:.1e}"),
    }
}

/// The change of a figure, in words.
fn changed(change: &Change) -> String {
    match change.method {
        Method::Difference => format!("{:+.2} points", change.change),
        Method::Ratio | Method::RatioOfMaxima => format!("{}x", ratio(change.change)),
    }
}

/// Whether the second run is better: known where the whole interval is on one side.
fn better(change: &Change) -> Option<bool> {
    let higher = change.figure.better == Better::Higher;
    let even = if change.method == Method::Difference {
        0.0
    } else {
        1.0
    };
    let interval = change.interval?;
    match (interval.low > even, interval.high < even) {
        (true, _) => Some(higher),
        (_, true) => Some(!higher),
        _ => None,
    }
}

fn tone(change: &Change) -> Tone {
    match better(change).filter(|_| !change.unlike) {
        Some(true) => Tone::Good,
        Some(false) => Tone::Bad,
        None => Tone::Plain,
    }
}

fn colour(change: &Change) -> Colour {
    match better(change) {
        _ if change.unlike => Colour::Muted,
        Some(true) => Colour::Good,
        Some(false) => Colour::Bad,
        None => Colour::Ink,
    }
}

/// Dots with their intervals, one row per figure.
fn forest(name: String, figures: &[&Change], x: Axis, even: f64) -> Chart {
    let rows = figures
        .iter()
        .map(|change| {
            let arrow = match change.figure.better {
                Better::Lower => "\u{2193}",
                _ => "\u{2191}",
            };
            let star = if change.unlike { " *" } else { "" };
            format!("{} {arrow}{star}", change.label)
        })
        .collect();
    let y = Axis::names(rows);
    let mut marks = vec![Mark::Line {
        points: vec![(even, y.from), (even, y.to)],
        colour: Colour::Ink,
        width: 1,
        dashed: false,
    }];
    for (row, change) in figures.iter().enumerate() {
        let y = -(row as f64);
        if let Some(interval) = change.interval {
            marks.push(Mark::Line {
                points: vec![(interval.low, y), (interval.high, y)],
                colour: colour(change),
                width: 3,
                dashed: false,
            });
        }
        marks.push(Mark::Dots {
            points: vec![(change.change, y)],
            colour: colour(change),
            radius: 5,
            alpha: 1.0,
            hollow: change.interval.is_none(),
            shape: match better(change) {
                _ if change.interval.is_none() => Shape::Circle,
                _ if change.unlike => Shape::Square,
                Some(true) => Shape::Triangle,
                Some(false) => Shape::Wedge,
                None => Shape::Circle,
            },
        });
    }
    Chart {
        name,
        x,
        y,
        marks,
        heights: [30, 46].map(|height| height * figures.len() as u32 + 64),
    }
}

fn keys(figures: &[&Change], against: &Against) -> Vec<Key> {
    let b = &against.b;
    let all = [
        (
            Colour::Good,
            format!("{b} is better"),
            Sample::Dot(Shape::Triangle),
            true,
        ),
        (
            Colour::Bad,
            format!("{b} is worse"),
            Sample::Dot(Shape::Wedge),
            true,
        ),
        (
            Colour::Ink,
            "no difference can be told".to_owned(),
            Sample::Dot(Shape::Circle),
            true,
        ),
        (Colour::Ink, "no interval".to_owned(), Sample::Ring, false),
        (
            Colour::Muted,
            "not comparable (*)".to_owned(),
            Sample::Dot(Shape::Square),
            true,
        ),
        (
            Colour::Muted,
            "not comparable (*), no interval".to_owned(),
            Sample::Ring,
            false,
        ),
    ];
    let shown = all.into_iter().filter(|(of, _, _, with)| {
        figures
            .iter()
            .any(|change| colour(change) == *of && change.interval.is_some() == *with)
    });
    shown
        .map(|(colour, words, sample, _)| Key::new(colour.css(), words, sample))
        .collect()
}

/// All ends of intervals and changes, with the values that the axis has to reach.
fn reach(figures: &[&Change], more: [f64; 2]) -> Vec<f64> {
    let of = |change: &&Change| {
        let ends = change
            .interval
            .map_or([change.change; 2], |i| [i.low, i.high]);
        [change.change, ends[0], ends[1]]
    };
    figures.iter().flat_map(of).chain(more).collect()
}

fn ratios(
    id: &str,
    against: &Against,
    model: &ModelComparison,
    figures: &[&Change],
) -> Option<Block> {
    let (a, b) = (&against.a, &against.b);
    let title = format!("{b} over {a} (logarithmic; 1 means no difference)");
    let x = Axis::log(&title, reach(figures, [0.95, 1.05]));
    let name = format!(
        "Speed and memory of {b} as multiples of {a}, {}",
        model.model
    );
    let caption = format!(
        "How many times as much {b} has as {a}; the bar is the 95 % interval. For figures marked \
         \u{2191} more is better, for those marked \u{2193} less. Where the bar reaches across 1, no \
         difference can be told."
    );
    (!figures.is_empty()).then(|| {
        Block::Plot(Box::new(Plot {
            id: format!("{id}-ratios"),
            heading: "Speed and memory".to_owned(),
            caption,
            legend: keys(figures, against),
            chart: forest(name, figures, x, 1.0),
        }))
    })
}

fn score_differences(
    id: &str,
    against: &Against,
    model: &ModelComparison,
    figures: &[&Change],
) -> Option<Block> {
    let (a, b) = (&against.a, &against.b);
    let title = format!("points, {b} minus {a} (0 means no difference)");
    let x = Axis::linear(&title, reach(figures, [-0.5, 0.5]), false);
    let name = format!("Scores of {b} minus those of {a}, {}", model.model);
    let caption = format!(
        "How many percentage points {b} scores above {a}, in the mean over objects; the bar is the \
         95 % interval. To the right is better."
    );
    (!figures.is_empty()).then(|| {
        Block::Plot(Box::new(Plot {
            id: format!("{id}-scores"),
            heading: "Scores".to_owned(),
            caption,
            legend: keys(figures, against),
            chart: forest(name, figures, x, 0.0),
        }))
    })
}

fn numbers(id: &str, against: &Against, model: &ModelComparison) -> Table {
    let (a, b) = (&against.a, &against.b);
    let head = [
        Cell::text("figure"),
        Cell::number(a),
        Cell::number(b),
        Cell::number(format!("{b} against {a}")),
        Cell::number("95 % interval"),
    ];
    let row = |change: &Change| {
        let interval = match (&change.interval, change.method) {
            (Some(i), Method::Difference) => format!("{:+.2} to {:+.2}", i.low, i.high),
            (Some(i), _) => format!("{} to {}", ratio(i.low), ratio(i.high)),
            (None, Method::RatioOfMaxima) => "-".to_owned(),
            (None, _) => "one video".to_owned(),
        };
        let mark = if change.unlike { " *" } else { "" };
        let value = |run: &str, value: f64| {
            Cell::number(change.unit.text(value))
                .valued(change.name, Some(value))
                .with("run", run)
        };
        [
            Cell::text(format!("{}{mark}", change.label)),
            value(a, change.a),
            value(b, change.b),
            Cell::number(changed(change))
                .toned(tone(change))
                .with("change", change.change)
                .with("figure", change.name),
            Cell::number(interval),
        ]
    };
    Table::new(format!("{id}-figures"), head).with_rows(model.figures.iter().map(row))
}

/// Objects whose scores differ most between the runs.
fn most_changed(
    id: &str,
    comparison: &Comparison,
    against: &Against,
    model: &ModelComparison,
) -> Vec<Block> {
    let rows = |label: &str, tag: &str| -> BTreeMap<(String, String), f64> {
        let source = comparison
            .sources
            .iter()
            .find(|source| source.label == label);
        let rows = source.into_iter().flat_map(|source| &source.rows);
        let own = rows.filter(|row| row.model == tag && row.failed.is_none());
        own.filter_map(|row: &Row| {
            let jf = find("jf")?.of_row(row)?;
            Some(((row.video.clone(), row.key().object), jf))
        })
        .collect()
    };
    let of_a = rows(&against.a, &model.model);
    let of_b = rows(
        &against.b,
        model.other_model.as_ref().unwrap_or(&model.model),
    );
    let percent = |value: f64| Cell::number(Unit::Percent.text(value));
    let mut changes: Vec<(f64, Vec<Cell>)> = of_a
        .iter()
        .filter_map(|(key, a)| {
            let b = of_b.get(key)?;
            let change = b - a;
            let tone = if change > 0.0 { Tone::Good } else { Tone::Bad };
            let row = vec![
                Cell::text(&key.0),
                Cell::text(&key.1),
                percent(*a),
                percent(*b),
                Cell::number(format!("{change:+.2} points")).toned(tone),
            ];
            // A last digit of rounding is not a change.
            (change.abs() >= 0.005).then_some((change, row))
        })
        .collect();
    if of_a.is_empty() || of_b.is_empty() {
        return Vec::new();
    }
    let heading = Block::heading("Objects whose J&F changed most");
    let all = changes.len();
    if all == 0 {
        let why = "The scores of all objects are the same.";
        return vec![heading, Block::nothing(why)];
    }
    changes.sort_by(|x, y| y.0.abs().total_cmp(&x.0.abs()));
    changes.truncate(LISTED);
    let head = [
        Cell::text("video"),
        Cell::text("object"),
        Cell::number(&against.a),
        Cell::number(&against.b),
        Cell::number("change"),
    ];
    let rows = changes.into_iter().map(|(_, row)| row);
    vec![
        heading,
        Block::Paragraph(format!(
            "{all} of {} changed.",
            counted(of_a.len(), "object")
        )),
        Block::Table(Table::new(format!("{id}-changed"), head).with_rows(rows)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_of_runs_that_none_beats_in_both() {
        let points = [
            (10.0, 50.0),
            (20.0, 40.0),
            (15.0, 30.0),
            (5.0, 60.0),
            (5.0, 55.0),
        ];
        let front = pareto(points.into_iter());
        assert_eq!(front, [(20.0, 40.0), (10.0, 50.0), (5.0, 60.0)]);
    }
}
