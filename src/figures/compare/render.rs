//! A comparison as text for the terminal and as Markdown.

use std::fmt::Write;

use super::pairs::{Change, Coverage};
use super::source::Source;
use super::threshold::Verdict;
use super::{Against, Comparison, ModelComparison};
use crate::figures::catalogue::{Area, Method, find};

/// Fewer videos than this make intervals that are rough.
const FEW_VIDEOS: usize = 10;

/// Failed rows that are listed by name.
const LISTED: usize = 5;

/// The comparison for a terminal of so many columns.
pub fn render_text(comparison: &Comparison, width: usize) -> String {
    render(comparison, &Text { width })
}

/// The comparison in Markdown.
pub fn render_markdown(comparison: &Comparison) -> String {
    render(comparison, &Markdown)
}

/// How the parts are written down.
trait Form {
    fn heading(&self, text: &str) -> String;
    fn items(&self, items: &[String]) -> String;
    fn paragraph(&self, text: &str) -> String;
    fn table(&self, head: &[String; 5], rows: &[[String; 5]]) -> String;
}

struct Text {
    width: usize,
}

struct Markdown;

impl Form for Text {
    fn heading(&self, text: &str) -> String {
        format!("{text}\n")
    }

    fn items(&self, items: &[String]) -> String {
        items
            .iter()
            .map(|item| wrapped(item, self.width, "  "))
            .collect()
    }

    fn paragraph(&self, text: &str) -> String {
        wrapped(text, self.width, "")
    }

    fn table(&self, head: &[String; 5], rows: &[[String; 5]]) -> String {
        let mut widths = [0; 5];
        for row in std::iter::once(head).chain(rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |row: &[String; 5]| {
            let mut text = String::new();
            for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
                let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
                match at {
                    0 => text.push_str(&format!("{cell}{pad}")),
                    _ => text.push_str(&format!("  {pad}{cell}")),
                }
            }
            format!("{}\n", text.trim_end())
        };
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * 4);
        let body: String = rows.iter().map(line).collect();
        format!("{}{rule}\n{body}", line(head))
    }
}

impl Form for Markdown {
    fn heading(&self, text: &str) -> String {
        format!("### {}\n\n", escaped(text))
    }

    fn items(&self, items: &[String]) -> String {
        let lines: String = items
            .iter()
            .map(|item| format!("- {}\n", escaped(item)))
            .collect();
        format!("{lines}\n")
    }

    fn paragraph(&self, text: &str) -> String {
        format!("{}\n\n", escaped(text))
    }

    fn table(&self, head: &[String; 5], rows: &[[String; 5]]) -> String {
        let line = |row: &[String; 5]| {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let body: String = rows.iter().map(line).collect();
        format!("{}|---|---:|---:|---:|---:|\n{body}\n", line(head))
    }
}

/// Text that Markdown takes as it stands.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '<' | '`' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn render(comparison: &Comparison, form: &dyn Form) -> String {
    let sources: Vec<String> = comparison.sources.iter().map(describe).collect();
    let mut out: String = sources
        .iter()
        .map(|source| form.paragraph(source))
        .collect();
    for against in &comparison.against {
        out.push('\n');
        if comparison.against.len() > 1 {
            out.push_str(
                &form.heading(&format!("===== {} against {} =====", against.b, against.a)),
            );
        }
        differences(&mut out, form, against);
        for model in &against.models {
            out.push('\n');
            of_model(&mut out, form, against, model);
        }
        verdicts(&mut out, form, against);
    }
    if comparison.against.iter().any(|against| !against.withheld) {
        out.push('\n');
        out.push_str(&form.paragraph(&method(comparison)));
    }
    out
}

/// How the figures were made, in words.
pub(crate) fn method(comparison: &Comparison) -> String {
    format!(
        "Rates and durations: geometric means over pairs, ratio of the two. Scores: means, difference in \
             points. Memory: maxima, ratio of the two. Interval: 95 % percentile bootstrap over videos \
             ({} resamples, seed {}).",
        comparison.bootstrap.resamples, comparison.bootstrap.seed
    )
}

fn describe(source: &Source) -> String {
    let facts = &source.facts;
    let backends: Vec<&str> = facts.backends.iter().map(String::as_str).collect();
    let known = [
        Some(source.kind.text().to_owned()),
        facts.program.clone(),
        (!backends.is_empty()).then(|| format!("backend {}", backends.join(", "))),
        facts.device.clone(),
        facts.power.clone(),
        facts.started.as_ref().map(|at| format!("begun {at}")),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    let notes: String = source
        .notes
        .iter()
        .map(|note| format!("; {note}"))
        .collect();
    format!(
        "{}: {} ({}{notes})",
        source.label,
        source.path,
        known.join("; ")
    )
}

/// What is not alike and makes figures not comparable, and what is merely worth knowing. The same
/// words about several models stand once.
pub(crate) fn listed_differences(against: &Against) -> (Vec<String>, Vec<String>) {
    let mut unlike: Vec<String> = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    for difference in &against.differences {
        let areas: Vec<&str> = difference.areas.iter().map(area).collect();
        let (list, text) = match difference.blocks {
            true => (
                &mut unlike,
                format!("{} [not comparable: {}]", difference.text, areas.join(", ")),
            ),
            false => (&mut notes, difference.text.clone()),
        };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    (unlike, notes)
}

fn differences(out: &mut String, form: &dyn Form, against: &Against) {
    let (unlike, notes) = listed_differences(against);
    if !unlike.is_empty() {
        out.push_str(&form.heading(&format!("{} and {} are not alike:", against.a, against.b)));
        out.push_str(&form.items(&unlike));
    }
    if !unlike.is_empty() && !notes.is_empty() {
        out.push('\n');
    }
    if !notes.is_empty() {
        out.push_str(&form.heading("Worth knowing:"));
        out.push_str(&form.items(&notes));
    }
}

fn area(area: &Area) -> &'static str {
    match area {
        Area::Scores => "scores",
        Area::Memory => "memory",
        _ => "speed",
    }
}

fn of_model(out: &mut String, form: &dyn Form, against: &Against, model: &ModelComparison) {
    let name = match &model.other_model {
        Some(other) => format!("{} against {other}", model.model),
        None => model.model.clone(),
    };
    out.push_str(&form.heading(&format!("{name}: {}", covered(against, &model.coverage))));
    let failed = failures(against, &model.coverage);
    if !failed.is_empty() {
        out.push_str(&form.items(&failed));
    }
    if model.figures.is_empty() {
        return;
    }
    let head = [
        String::new(),
        against.a.clone(),
        against.b.clone(),
        format!("{} against {}", against.b, against.a),
        "95 % interval".to_owned(),
    ];
    let rows: Vec<[String; 5]> = model.figures.iter().map(cells).collect();
    out.push_str(&form.table(&head, &rows));
    if model.figures.iter().any(|figure| figure.unlike) {
        out.push_str(
            &form.paragraph("* not comparable: see the differences above before using it"),
        );
    }
    if let Some(sentence) = headline(against, model) {
        out.push('\n');
        out.push_str(&form.paragraph(&sentence));
    }
}

/// How many rows are behind a model's figures.
pub(crate) fn covered(against: &Against, coverage: &Coverage) -> String {
    let plural = |n: usize, word: &str| match n {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    };
    let mut text = format!(
        "{} of {}",
        plural(coverage.pairs, "pair"),
        plural(coverage.videos, "video")
    );
    for (count, label) in [
        (coverage.only_in_a, &against.a),
        (coverage.only_in_b, &against.b),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} only in {label}");
        }
    }
    text
}

/// Rows that failed, as far as they are listed.
pub(crate) fn failures(against: &Against, coverage: &Coverage) -> Vec<String> {
    let mut items = Vec::new();
    for (failed, label) in [
        (&coverage.failed_in_a, &against.a),
        (&coverage.failed_in_b, &against.b),
    ] {
        for row in failed.iter().take(LISTED) {
            items.push(format!("failed in {label}, left out: {row}"));
        }
        if failed.len() > LISTED {
            items.push(format!(
                "failed in {label}, left out: {} more",
                failed.len() - LISTED
            ));
        }
    }
    items
}

/// A figure as the cells of a table: its name, both values, the change and its interval.
pub(crate) fn cells(figure: &Change) -> [String; 5] {
    let change = match figure.method {
        Method::Difference => format!("{:+.2}", figure.change),
        Method::Ratio | Method::RatioOfMaxima => format!("{}x", ratio(figure.change)),
    };
    let interval = match (&figure.interval, figure.method) {
        (Some(i), Method::Difference) => format!("{:+.2} to {:+.2}", i.low, i.high),
        (Some(i), _) => format!("{} to {}", ratio(i.low), ratio(i.high)),
        (None, Method::RatioOfMaxima) => "-".to_owned(),
        (None, _) => "one video".to_owned(),
    };
    let mark = if figure.unlike { " *" } else { "" };
    [
        format!("{}{mark}", figure.label),
        figure.unit.text(figure.a),
        figure.unit.text(figure.b),
        change,
        interval,
    ]
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

/// The one sentence that people quote.
pub(crate) fn headline(against: &Against, model: &ModelComparison) -> Option<String> {
    let (a, b) = (&against.a, &against.b);
    let figure = model
        .figures
        .iter()
        .find(|figure| figure.name == "fps_end_to_end")
        .or_else(|| model.figures.iter().find(|figure| figure.name == "fps"))?;
    let how = match figure.name {
        "fps_end_to_end" => "end to end",
        _ => "over networks and masks",
    };
    let certain = match figure.interval {
        Some(i) if i.low > 1.0 || i.high < 1.0 => {
            format!("95 % interval {} to {}", ratio(i.low), ratio(i.high))
        }
        Some(i) => format!(
            "95 % interval {} to {}: no difference can be told",
            ratio(i.low),
            ratio(i.high)
        ),
        None => "one video, so no interval".to_owned(),
    };
    let mark = if figure.unlike {
        " Not comparable: see what is not alike."
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

fn verdicts(out: &mut String, form: &dyn Form, against: &Against) {
    if against.verdicts.is_empty() {
        return;
    }
    out.push('\n');
    out.push_str(&form.heading(&format!("Thresholds for {}:", against.b)));
    let mut items: Vec<String> = against.verdicts.iter().map(verdict).collect();
    let failed: usize = against.models.iter().map(|m| m.coverage.newly_failed).sum();
    if failed > 0 {
        items.push(format!(
            "FAILS: {failed} objects failed in {} that were ok in {}",
            against.b, against.a
        ));
    }
    out.push_str(&form.items(&items));
}

/// What a threshold says, in a sentence.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let word = if verdict.holds { "holds" } else { "FAILS" };
    let sure = match verdict.sure {
        Some(false) => ", but the 95 % interval reaches across the limit",
        _ => "",
    };
    format!(
        "{word}: {} of {} is {}, {} {} is asked for{sure}",
        verdict.name,
        verdict.model,
        ratio_or_points(&verdict.name, verdict.change),
        verdict.bound,
        verdict.limit
    )
}

fn ratio_or_points(name: &str, change: f64) -> String {
    match find(name).map(|figure| figure.method()) {
        Some(Method::Difference) => format!("{change:+.2} points"),
        _ => format!("{}x", ratio(change)),
    }
}

/// Breaks text at spaces; lines after the first are indented.
fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let mut out = String::from(indent);
    let mut used = indent.len();
    for (at, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if at > 0 && used + 1 + length > width {
            let _ = write!(out, "\n{indent}  ");
            used = indent.len() + 2;
        } else if at > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out.push('\n');
    out
}
