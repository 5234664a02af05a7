//! The page of runs beside each other: the comparison's own figures and words, with plots.

use std::collections::BTreeMap;

use super::ReportError;
use super::date;
use super::html::{
    Cell, Key, counted, escape, figure, legend, list, missing, notes, nothing, paragraph, section,
    table,
};
use super::page::page;
use super::plot::{Axis, Chart, Colour, Mark};
use crate::figures::catalogue::{Better, Method, find as find_figure};
use crate::figures::compare::render::{
    cells, covered, failures, headline, listed_differences, method, verdict,
};
use crate::figures::compare::{Against, Change, Comparison, ModelComparison, Row, Source};

/// Objects whose scores changed most that are listed.
const LISTED: usize = 10;

/// The page of a comparison.
///
/// # Errors
/// [`ReportError::Plot`] when a plot cannot be drawn.
pub fn render_comparison(comparison: &Comparison) -> Result<String, ReportError> {
    let letters: Vec<&str> = comparison
        .sources
        .iter()
        .map(|s| s.label.as_str())
        .collect();
    let title = format!("Comparison of runs {}", letters.join(", "));
    let first = letters.first().copied().unwrap_or_default();
    let header = format!(
        "<h1>{}</h1>\n<p>{}</p>\n<p><small>A benchmark of video object segmentation, compared by masklet {}.</small></p>\n",
        escape(&title),
        escape(&format!(
            "Every run is set against run {first}, object by object."
        )),
        escape(env!("CARGO_PKG_VERSION"))
    );
    let mut body = runs(&comparison.sources);
    body.push_str(&in_short(comparison)?);
    let mut contents = vec![
        ("runs".to_owned(), "Runs".to_owned()),
        ("short".to_owned(), "In short".to_owned()),
    ];
    for (number, against) in comparison.against.iter().enumerate() {
        let words = format!("{} against {}", against.b, against.a);
        let id = format!("against-{number}");
        body.push_str(&of_pair(&id, &words, comparison, against)?);
        contents.push((id, words));
    }
    if comparison.against.iter().any(|against| !against.withheld) {
        body.push_str(&section(
            "method",
            "How it was compared",
            "",
            &paragraph(&method(comparison)),
        ));
        contents.push(("method".to_owned(), "Method".to_owned()));
    }
    let contents: Vec<(&str, &str)> = contents
        .iter()
        .map(|(id, words)| (id.as_str(), words.as_str()))
        .collect();
    Ok(page(&title, &header, &contents, &body))
}

/// What is known of each run.
fn runs(sources: &[Source]) -> String {
    let card = |source: &Source| {
        let facts = &source.facts;
        let backends: Vec<&str> = facts.backends.iter().map(String::as_str).collect();
        let known = [
            ("what", Some(source.kind.text().to_owned())),
            ("program", facts.program.clone()),
            (
                "backend",
                (!backends.is_empty()).then(|| backends.join(", ")),
            ),
            ("device", facts.device.clone()),
            ("power mode", facts.power.clone()),
            ("begun", facts.started.as_deref().map(date)),
            ("objects times models", Some(source.rows.len().to_string())),
        ];
        let items: String = known
            .iter()
            .map(|(name, value)| {
                let value = value
                    .as_deref()
                    .map_or_else(|| missing("not recorded"), escape);
                format!("<div><dt>{name}</dt><dd>{value}</dd></div>")
            })
            .collect();
        format!(
            "<div class=\"model\" data-run=\"{}\"><h3>{}: {}</h3><dl class=\"pairs\">{items}</dl></div>",
            escape(&source.label),
            escape(&source.label),
            escape(&source.path)
        )
    };
    let cards: String = sources.iter().map(card).collect();
    let told: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            source
                .notes
                .iter()
                .map(move |note| format!("{}: {note}", source.label))
        })
        .collect();
    let body = format!("<div class=\"models\">{cards}</div>\n{}", notes(&told));
    section("runs", "Runs", "", &body)
}

/// Sentences that people quote, and all runs in one plot.
fn in_short(comparison: &Comparison) -> Result<String, ReportError> {
    let mut body = String::new();
    for against in &comparison.against {
        if against.withheld {
            body.push_str(&notes(&[format!(
                "{} and {} are not alike, so no figures are given: see below. With --anyway they are.",
                against.a, against.b
            )]));
        }
        for model in &against.models {
            if let Some(sentence) = headline(against, model) {
                body.push_str(&paragraph(&format!("{}: {sentence}", model.model)));
            }
        }
    }
    body.push_str(&scatter(comparison)?);
    Ok(section("short", "In short", "", &body))
}

fn find<'f>(figures: &'f [Change], names: &[&str]) -> Option<&'f Change> {
    names
        .iter()
        .find_map(|name| figures.iter().find(|figure| figure.name == *name))
}

fn scatter(comparison: &Comparison) -> Result<String, ReportError> {
    let mut points: Vec<((f64, f64), String)> = Vec::new();
    for (number, against) in comparison.against.iter().enumerate() {
        for model in &against.models {
            let speed = find(&model.figures, &["fps_end_to_end", "fps"]);
            let score = find(&model.figures, &["jf", "jf_upstream"]);
            let (Some(speed), Some(score)) = (speed, score) else {
                continue;
            };
            let other = model.other_model.as_ref().unwrap_or(&model.model);
            if number == 0 {
                points.push((
                    (speed.a, score.a),
                    format!("{}: {}", against.a, model.model),
                ));
            }
            points.push(((speed.b, score.b), format!("{}: {other}", against.b)));
        }
    }
    if points.is_empty() {
        return Ok(nothing(
            "No plot: no two runs have both speed and scores to compare.",
        ));
    }
    let marks = points
        .iter()
        .enumerate()
        .map(|(at, (point, _))| Mark::dots(vec![*point], Colour::Series(at), 8, 0.9))
        .collect();
    let mut y = Axis::linear("J&F (%)", points.iter().map(|(point, _)| point.1), false);
    y.from = y.from.max(0.0);
    y.to = y.to.min(103.0);
    let chart = Chart {
        name: "J&F against frames per second of all runs".to_owned(),
        x: Axis::linear(
            "frames per second",
            points.iter().map(|(point, _)| point.0),
            true,
        ),
        y,
        marks,
        heights: [300, 280],
    };
    let keys = points
        .iter()
        .enumerate()
        .map(|(at, (_, words))| (Colour::Series(at).css(), words.as_str(), Key::Dot));
    let caption = "Each dot is a model in a run, over the objects that the runs have in common. Up is \
                   more accurate, to the right is faster: the upper right corner is best.";
    Ok(figure(
        "scatter",
        "Accuracy against speed",
        caption,
        &legend(keys),
        &chart.html()?,
    ))
}

/// One run against the first.
fn of_pair(
    id: &str,
    words: &str,
    comparison: &Comparison,
    against: &Against,
) -> Result<String, ReportError> {
    let mut body = String::new();
    let (unlike, known) = listed_differences(against);
    if !unlike.is_empty() {
        body.push_str(&format!(
            "<h3>{} and {} are not alike</h3>",
            escape(&against.a),
            escape(&against.b)
        ));
        body.push_str(&notes(&unlike));
    }
    if !known.is_empty() {
        body.push_str(&format!("<h3>Worth knowing</h3>{}", list(&known)));
    }
    for (number, model) in against.models.iter().enumerate() {
        body.push_str(&of_model(
            &format!("{id}-{number}"),
            comparison,
            against,
            model,
        )?);
    }
    if !against.verdicts.is_empty() {
        let items: String = against
            .verdicts
            .iter()
            .map(|threshold| {
                let class = if threshold.holds { "good" } else { "bad" };
                format!("<li class=\"{class}\">{}</li>", escape(&verdict(threshold)))
            })
            .collect();
        body.push_str(&format!("<h3>Thresholds</h3><ul>{items}</ul>"));
    }
    Ok(section(id, words, "", &body))
}

fn of_model(
    id: &str,
    comparison: &Comparison,
    against: &Against,
    model: &ModelComparison,
) -> Result<String, ReportError> {
    let name = match &model.other_model {
        Some(other) => format!("{} against {other}", model.model),
        None => model.model.clone(),
    };
    let mut body = format!(
        "<h3>{}</h3><p>{}</p>",
        escape(&name),
        escape(&covered(against, &model.coverage))
    );
    body.push_str(&list(&failures(against, &model.coverage)));
    if model.figures.is_empty() {
        body.push_str(&nothing(
            "No figures: they are withheld, for the runs are not alike.",
        ));
        return Ok(body);
    }
    body.push_str(&ratios(id, against, model)?);
    body.push_str(&differences(id, against, model)?);
    body.push_str(&numbers(id, against, model));
    body.push_str(&changed(id, comparison, against, model));
    Ok(body)
}

/// Whether the second run is better: known where the whole interval is on one side.
fn better(figure: &Change) -> Option<bool> {
    let higher = figure.figure.better == Better::Higher;
    let even = if figure.method == Method::Difference {
        0.0
    } else {
        1.0
    };
    let interval = figure.interval?;
    match (interval.low > even, interval.high < even) {
        (true, _) => Some(higher),
        (_, true) => Some(!higher),
        _ => None,
    }
}

fn colour(figure: &Change) -> Colour {
    match better(figure) {
        _ if figure.unlike => Colour::Muted,
        Some(true) => Colour::Good,
        Some(false) => Colour::Bad,
        None => Colour::Ink,
    }
}

/// Dots with their intervals, one row per figure.
fn forest(name: String, figures: &[&Change], x: Axis, even: f64) -> Chart {
    let rows = figures
        .iter()
        .map(|figure| {
            let arrow = match figure.figure.better {
                Better::Lower => "\u{2193}",
                _ => "\u{2191}",
            };
            let star = if figure.unlike { " *" } else { "" };
            format!("{} {arrow}{star}", figure.label)
        })
        .collect();
    let y = Axis::names(rows);
    let mut marks = vec![Mark::Line {
        points: vec![(even, y.from), (even, y.to)],
        colour: Colour::Ink,
        width: 1,
        dashed: false,
    }];
    for (row, figure) in figures.iter().enumerate() {
        let y = -(row as f64);
        if let Some(interval) = figure.interval {
            marks.push(Mark::Line {
                points: vec![(interval.low, y), (interval.high, y)],
                colour: colour(figure),
                width: 3,
                dashed: false,
            });
        }
        marks.push(Mark::Dots {
            points: vec![(figure.change, y)],
            colour: colour(figure),
            radius: 5,
            alpha: 1.0,
            hollow: figure.interval.is_none(),
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

fn keys(figures: &[&Change], against: &Against) -> String {
    let b = &against.b;
    let all = [
        (Colour::Good, format!("{b} is better"), Key::Dot, true),
        (Colour::Bad, format!("{b} is worse"), Key::Dot, true),
        (
            Colour::Ink,
            "no difference can be told".to_owned(),
            Key::Dot,
            true,
        ),
        (Colour::Ink, "no interval".to_owned(), Key::Ring, false),
        (
            Colour::Muted,
            "not comparable (*)".to_owned(),
            Key::Dot,
            true,
        ),
        (
            Colour::Muted,
            "not comparable (*), no interval".to_owned(),
            Key::Ring,
            false,
        ),
    ];
    let shown = all.iter().filter(|(of, _, _, with)| {
        figures
            .iter()
            .any(|figure| colour(figure) == *of && figure.interval.is_some() == *with)
    });
    legend(shown.map(|(colour, words, key, _)| (colour.css(), words.as_str(), *key)))
}

fn ratios(id: &str, against: &Against, model: &ModelComparison) -> Result<String, ReportError> {
    let figures: Vec<&Change> = model
        .figures
        .iter()
        .filter(|f| f.method != Method::Difference)
        .collect();
    if figures.is_empty() {
        return Ok(String::new());
    }
    let values = figures.iter().flat_map(|figure| {
        let ends = figure
            .interval
            .map_or([figure.change; 2], |i| [i.low, i.high]);
        [figure.change, ends[0], ends[1], 0.95, 1.05]
    });
    let (a, b) = (&against.a, &against.b);
    let x = Axis::log(
        &format!("{b} over {a} (logarithmic; 1 is no difference)"),
        values,
    );
    let name = format!(
        "Speed and memory of {b} as multiples of {a}, {}",
        model.model
    );
    let chart = forest(name, &figures, x, 1.0);
    let caption = format!(
        "How many times as much {b} has as {a}; the bar is the 95 % interval. For figures marked \
         \u{2191} more is better, for those marked \u{2193} less. Where the bar reaches across 1, no \
         difference can be told."
    );
    let heading = "Speed and memory";
    Ok(figure(
        &format!("{id}-ratios"),
        heading,
        &caption,
        &keys(&figures, against),
        &chart.html()?,
    ))
}

fn differences(
    id: &str,
    against: &Against,
    model: &ModelComparison,
) -> Result<String, ReportError> {
    let figures: Vec<&Change> = model
        .figures
        .iter()
        .filter(|f| f.method == Method::Difference)
        .collect();
    if figures.is_empty() {
        return Ok(String::new());
    }
    let values = figures.iter().flat_map(|figure| {
        let ends = figure
            .interval
            .map_or([figure.change; 2], |i| [i.low, i.high]);
        [figure.change, ends[0], ends[1], -0.5, 0.5]
    });
    let (a, b) = (&against.a, &against.b);
    let x = Axis::linear(
        &format!("points, {b} minus {a} (0 is no difference)"),
        values,
        false,
    );
    let name = format!("Scores of {b} minus those of {a}, {}", model.model);
    let chart = forest(name, &figures, x, 0.0);
    let caption = format!(
        "How many percentage points {b} scores above {a}, in the mean over objects; the bar is the \
         95 % interval. To the right is better."
    );
    Ok(figure(
        &format!("{id}-scores"),
        "Scores",
        &caption,
        &keys(&figures, against),
        &chart.html()?,
    ))
}

fn numbers(id: &str, against: &Against, model: &ModelComparison) -> String {
    let (a, b) = (&against.a, &against.b);
    let mut head = vec![Cell::text("")];
    for words in [
        a.clone(),
        b.clone(),
        format!("{b} against {a}"),
        "95 % interval".to_owned(),
    ] {
        head.push(Cell::text(&words).classed("number"));
    }
    let rows: Vec<Vec<Cell>> = model
        .figures
        .iter()
        .map(|figure| {
            let [label, of_a, of_b, change, interval] = cells(figure);
            let class = match better(figure).filter(|_| !figure.unlike) {
                Some(true) => "good",
                Some(false) => "bad",
                None => "number",
            };
            vec![
                Cell::text(&label),
                Cell::number(&of_a)
                    .valued(figure.name, Some(figure.a))
                    .with("run", a),
                Cell::number(&of_b)
                    .valued(figure.name, Some(figure.b))
                    .with("run", b),
                Cell::number(&match figure.method {
                    Method::Difference => format!("{change} points"),
                    _ => change,
                })
                .classed(class)
                .with("change", figure.change)
                .with("figure", figure.name),
                Cell::number(&interval),
            ]
        })
        .collect();
    let mut out = table(&format!("{id}-figures"), &head, &rows);
    if model.figures.iter().any(|figure| figure.unlike) {
        out.push_str(&nothing(
            "* not comparable: see the differences above before using it.",
        ));
    }
    out
}

/// Objects whose scores differ most between the runs.
fn changed(
    id: &str,
    comparison: &Comparison,
    against: &Against,
    model: &ModelComparison,
) -> String {
    let rows = |label: &str, tag: &str| -> BTreeMap<(String, String), f64> {
        let source = comparison
            .sources
            .iter()
            .find(|source| source.label == label);
        let rows = source.into_iter().flat_map(|source| &source.rows);
        let own = rows.filter(|row| row.model == tag && row.failed.is_none());
        own.filter_map(|row: &Row| {
            let jf = find_figure("jf")?.of_row(row)?;
            Some(((row.video.clone(), row.key().object), jf))
        })
        .collect()
    };
    let of_a = rows(&against.a, &model.model);
    let of_b = rows(
        &against.b,
        model.other_model.as_ref().unwrap_or(&model.model),
    );
    let mut changes: Vec<(f64, Vec<Cell>)> = of_a
        .iter()
        .filter_map(|(key, a)| {
            let b = of_b.get(key)?;
            let change = b - a;
            let class = if change > 0.0 { "good" } else { "bad" };
            let row = vec![
                Cell::text(&key.0),
                Cell::text(&key.1),
                Cell::number(&format!("{a:.2} %")),
                Cell::number(&format!("{b:.2} %")),
                Cell::number(&format!("{change:+.2} points")).classed(class),
            ];
            // A last digit of rounding is no change.
            (change.abs() >= 0.005).then_some((change, row))
        })
        .collect();
    if of_a.is_empty() || of_b.is_empty() {
        return String::new();
    }
    let heading = "<h3>Objects whose J&amp;F changed most</h3>";
    let all = changes.len();
    if all == 0 {
        return format!(
            "{heading}{}",
            nothing("The scores of all objects are the same.")
        );
    }
    changes.sort_by(|x, y| y.0.abs().total_cmp(&x.0.abs()));
    changes.truncate(LISTED);
    let mut head = vec![Cell::text("video"), Cell::text("object")];
    for words in [&against.a, &against.b, "change"] {
        head.push(Cell::text(words).classed("number"));
    }
    let rows: Vec<Vec<Cell>> = changes.into_iter().map(|(_, row)| row).collect();
    format!(
        "{heading}{}{}",
        paragraph(&format!(
            "{} of {} changed.",
            all,
            counted(of_a.len(), "object")
        )),
        table(&format!("{id}-changed"), &head, &rows)
    )
}
