//! The table that a run ends with.

use std::io::IsTerminal;

use super::{ModelSummary, RealtimeSummary, Stage, Summary, TelemetrySummary};
use crate::figures::stats::{self, Flatness, Slope};

/// How a table is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStyle {
    /// Whether to use ANSI colours.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl TableStyle {
    /// Plain text, 80 columns.
    pub const PLAIN: Self = Self {
        colour: false,
        width: 80,
    };

    /// For standard output: colours on a terminal unless `NO_COLOR` is set to anything
    /// (no-color.org) or `TERM` is `dumb`; as wide as `COLUMNS` says, 60 to 120.
    pub fn for_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = std::env::var("COLUMNS").ok().and_then(|w| w.parse().ok());
        Self {
            colour: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
            width: width.unwrap_or(Self::PLAIN.width).clamp(60, 120),
        }
    }
}

/// The table in plain text, 80 columns wide.
pub fn render_table(summary: &Summary) -> String {
    render_table_styled(summary, TableStyle::PLAIN)
}

/// The table: one column per model tag, as many beside each other as fit; what a reader must
/// know first (random weights, failures) stands first, in words.
pub fn render_table_styled(summary: &Summary, style: TableStyle) -> String {
    let mut out = String::new();
    for note in notes(summary) {
        let note = wrap(&note, style.width);
        out.push_str(&paint(&note, "33", style));
        out.push('\n');
    }
    if summary.models.is_empty() {
        out.push_str("No object was run.\n");
        return out;
    }
    let rows = rows_for(summary);
    let label_width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let columns: Vec<Vec<String>> = summary
        .models
        .iter()
        .map(|model| rows.iter().map(|(_, cell, _)| cell(model)).collect())
        .collect();
    let width_of = |column: &[String]| column.iter().map(|c| c.chars().count()).max().unwrap_or(0);
    let mut at = 0;
    while at < columns.len() {
        // At least one model per block, however narrow the terminal is.
        let mut used = label_width;
        let mut end = at;
        while let Some(column) = columns.get(end) {
            used += GAP + width_of(column);
            if end > at && used > style.width {
                break;
            }
            end += 1;
        }
        let block = columns.get(at..end).unwrap_or(&[]);
        out.push('\n');
        for (line, (label, _, kind)) in rows.iter().copied().enumerate() {
            let mut text = format!("{label:<label_width$}");
            for column in block {
                let cell = column.get(line).map_or("", String::as_str);
                let space = width_of(column).saturating_sub(cell.chars().count()) + GAP;
                text.push_str(&" ".repeat(space));
                text.push_str(cell);
            }
            let text = text.trim_end();
            out.push_str(&match kind {
                Kind::Head => paint(text, "1", style),
                Kind::Plain => text.to_owned(),
            });
            out.push('\n');
            if matches!(kind, Kind::Head) {
                let widths: usize = block.iter().map(|c| width_of(c) + GAP).sum();
                out.push_str(&"-".repeat(label_width + widths));
                out.push('\n');
            }
        }
        at = end;
    }
    out
}

/// Spaces between columns.
const GAP: usize = 3;

enum Kind {
    Head,
    Plain,
}

type Row = (&'static str, fn(&ModelSummary) -> String, Kind);

/// Rows that stand at the end when a model has something to show in them.
const TELEMETRY_ROWS: [Row; 5] = [
    (
        "mean power",
        |m| telemetry(m, |t| watts(t.power_mean_w)),
        Kind::Plain,
    ),
    (
        "energy per frame",
        |m| telemetry(m, |t| t.energy_per_frame_j.map(|j| format!("{j:.3} J"))),
        Kind::Plain,
    ),
    (
        "GPU clock, mean (min)",
        |m| {
            telemetry(m, |t| {
                let clock = t.gpu_clock_mhz?;
                Some(format!("{:.0} ({:.0}) MHz", clock.mean, clock.min))
            })
        },
        Kind::Plain,
    ),
    (
        "hottest",
        |m| {
            telemetry(m, |t| {
                let hottest = t.hottest.as_ref()?;
                Some(format!("{:.1} °C ({})", hottest.celsius, hottest.sensor))
            })
        },
        Kind::Plain,
    ),
    (
        "throttling",
        |m| {
            telemetry(m, |t| {
                // Without a clock or an event there is nothing that could have told.
                let known = t.gpu_clock_mhz.is_some() || t.throttle_events > 0;
                known.then(|| match t.throttle_events {
                    0 => "none seen".to_owned(),
                    1 => "1 event".to_owned(),
                    n => format!("{n} events"),
                })
            })
        },
        Kind::Plain,
    ),
];

/// Rows of frames that came at a rate.
const LIVE_ROWS: [Row; 6] = [
    ("frames came at", |m| live(m, rates), Kind::Plain),
    (
        "deadline misses",
        |m| live(m, |l| share(l.late_frames, l.due_frames)),
        Kind::Plain,
    ),
    (
        "dropped frames",
        |m| live(m, |l| share(l.dropped_frames, l.due_frames)),
        Kind::Plain,
    ),
    (
        "result after due, p50",
        |m| from_due(m, |l| l.p50_ms),
        Kind::Plain,
    ),
    (
        "result after due, p99",
        |m| from_due(m, |l| l.p99_ms),
        Kind::Plain,
    ),
    ("highest sustained rate", found_rate, Kind::Plain),
];

/// The rows to draw for these models.
fn rows_for(summary: &Summary) -> Vec<&'static Row> {
    let shown = |row: &&'static Row| summary.models.iter().any(|model| row.1(model) != NONE);
    let extra = LIVE_ROWS.iter().chain(&TELEMETRY_ROWS).filter(shown);
    ROWS.iter().chain(extra).collect()
}

fn telemetry(model: &ModelSummary, text: impl Fn(&TelemetrySummary) -> Option<String>) -> String {
    model
        .telemetry
        .as_ref()
        .and_then(text)
        .unwrap_or_else(|| NONE.to_owned())
}

fn live(model: &ModelSummary, text: impl Fn(&RealtimeSummary) -> String) -> String {
    model.realtime.as_ref().map_or(NONE.to_owned(), text)
}

fn found_rate(model: &ModelSummary) -> String {
    match &model.found_rate {
        None => NONE.to_owned(),
        Some(found) => found.sustained_fps.map_or("none found".to_owned(), |fps| {
            format!("{} fps", stats::rate(fps))
        }),
    }
}

fn rates(live: &RealtimeSummary) -> String {
    let each: Vec<String> = live.fps.iter().map(|fps| stats::rate(*fps)).collect();
    format!("{} fps", each.join(", "))
}

fn share(frames: usize, of: usize) -> String {
    let percent = 100.0 * frames as f64 / of.max(1) as f64;
    format!("{frames} of {of} ({percent:.1} %)")
}

fn from_due(model: &ModelSummary, value: fn(&stats::LatencySummary) -> f64) -> String {
    let latency = model.realtime.as_ref().and_then(|l| l.latency_ms.as_ref());
    latency.map_or(NONE.to_owned(), |l| stats::milliseconds(value(l)))
}

fn watts(value: Option<f64>) -> Option<String> {
    value.map(|watts| format!("{watts:.2} W"))
}

const ROWS: [Row; 22] = [
    ("model", |m| m.model.clone(), Kind::Head),
    ("J (official, %)", |m| official(m, |s| s.j), Kind::Plain),
    ("F (official, %)", |m| official(m, |s| s.f), Kind::Plain),
    ("J&F (official, %)", |m| official(m, |s| s.jf), Kind::Plain),
    (
        "J&F (upstream formula)",
        |m| scored(m, m.upstream.map(|s| s.jf), 4),
        Kind::Plain,
    ),
    (
        "FPS end to end",
        |m| number(m.speed.fps_end_to_end, 2),
        Kind::Plain,
    ),
    (
        "FPS model only",
        |m| number(m.speed.fps_model, 2),
        Kind::Plain,
    ),
    (
        "frame p50, end to end",
        |m| latency(m, |l| l.p50_ms),
        Kind::Plain,
    ),
    ("frame p95", |m| latency(m, |l| l.p95_ms), Kind::Plain),
    ("frame p99", |m| latency(m, |l| l.p99_ms), Kind::Plain),
    (
        "p95 at most (99% sure)",
        |m| bound(m, 95.0, |l| l.p95_bound_ms),
        Kind::Plain,
    ),
    (
        "p99 at most (99% sure)",
        |m| bound(m, 99.0, |l| l.p99_bound_ms),
        Kind::Plain,
    ),
    ("measurement", |m| m.stability.text(), Kind::Plain),
    (
        "peak arena",
        |m| bytes(m.memory.arena_peak_bytes),
        Kind::Plain,
    ),
    ("peak RSS", |m| bytes(m.memory.peak_rss_bytes), Kind::Plain),
    ("driver allocations", allocations, Kind::Plain),
    ("RSS slope per video", slope, Kind::Plain),
    ("RSS slope per frame", slope_per_frame, Kind::Plain),
    (
        "memory over videos",
        |m| flatness(m).to_owned(),
        Kind::Plain,
    ),
    ("frames (warm-up left out)", frames, Kind::Plain),
    ("objects per frame", objects_per_frame, Kind::Plain),
    ("objects ok / failed", objects, Kind::Plain),
];

/// What must not be overlooked.
pub(crate) fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    for model in &summary.models {
        if let Some(seed) = model.random_init_seed {
            notes.push(format!(
                "NOTE: the weights of {} are a random initialisation (seed {seed}): its speed and memory mean something, its scores do not.",
                model.model
            ));
        }
    }
    if summary.counts.failed > 0 {
        notes.push(format!(
            "NOTE: {} of {} objects failed; summary.csv gives the reasons. Means are over the others.",
            summary.counts.failed, summary.counts.rows
        ));
    }
    let mut warnings: Vec<&String> = Vec::new();
    for warning in summary.objects.iter().filter_map(|o| o.warning.as_ref()) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    notes.extend(warnings.iter().map(|warning| format!("NOTE: {warning}.")));
    for model in &summary.models {
        if let Some(found) = &model.found_rate {
            notes.push(format!("RATE of {}: {}.", model.model, found.describe()));
        }
    }
    for model in &summary.models {
        if let Some(rows @ 1..) = model.memory.arena_rows_not_returned {
            notes.push(format!(
                "NOTE: after {rows} objects of {} the arena had not returned to its baseline.",
                model.model
            ));
        }
    }
    notes
}

const NONE: &str = "-";

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or(NONE.to_owned(), |v| format!("{v:.decimals$}"))
}

fn official(model: &ModelSummary, value: fn(super::ScoreSummary) -> f64) -> String {
    scored(model, model.official_percent.map(value), 2)
}

/// A score, or why there is none.
fn scored(model: &ModelSummary, value: Option<f64>, decimals: usize) -> String {
    match (value, model.scores_missing.as_slice()) {
        (None, [reason]) => reason.clone(),
        (value, _) => number(value, decimals),
    }
}

fn latency(model: &ModelSummary, value: fn(&stats::LatencySummary) -> f64) -> String {
    let wall = model.latency_ms.counted.get(Stage::EndToEnd.name());
    wall.map_or(NONE.to_owned(), |l| stats::milliseconds(value(l)))
}

/// The bound of a percentile, or how many frames one needs.
fn bound(
    model: &ModelSummary,
    percent: f64,
    value: fn(&stats::LatencySummary) -> Option<f64>,
) -> String {
    let Some(wall) = model.latency_ms.counted.get(Stage::EndToEnd.name()) else {
        return NONE.to_owned();
    };
    match (value(wall), stats::tail_samples_needed(percent)) {
        (Some(ms), _) => stats::milliseconds(ms),
        (None, Some(needed)) => format!("needs {needed} frames"),
        (None, None) => NONE.to_owned(),
    }
}

fn bytes(count: Option<u64>) -> String {
    count.map_or(NONE.to_owned(), stats::bytes)
}

fn slope(model: &ModelSummary) -> String {
    with_half_width(model.memory.rss_slope_per_video)
}

fn slope_per_frame(model: &ModelSummary) -> String {
    with_half_width(model.memory.rss_slope_per_frame)
}

fn with_half_width(slope: Option<Slope>) -> String {
    let Some(slope) = slope else {
        return NONE.to_owned();
    };
    let change = stats::signed_bytes(slope.per_step);
    match slope.half_width_95() {
        Some(half) => {
            let half = stats::signed_bytes(half);
            format!("{change} ± {}", half.trim_start_matches('+'))
        }
        None => change,
    }
}

fn flatness(model: &ModelSummary) -> &'static str {
    match model.memory.rss_flatness {
        Some(Flatness::Flat) => "flat",
        Some(Flatness::Growing) => "growing",
        Some(Flatness::TooFew) | None => "too few videos",
    }
}

fn frames(model: &ModelSummary) -> String {
    format!("{} ({})", model.speed.frames, model.speed.warmup_frames)
}

fn objects_per_frame(model: &ModelSummary) -> String {
    let frames = model.speed.frames as f64;
    number(
        (frames > 0.0).then(|| model.speed.object_frames as f64 / frames),
        2,
    )
}

fn objects(model: &ModelSummary) -> String {
    format!("{} / {}", model.counts.ok, model.counts.failed)
}

fn paint(text: &str, code: &str, style: TableStyle) -> String {
    match style.colour {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    }
}

/// Breaks a sentence into lines at spaces.
fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}

#[cfg(test)]
mod tests;

/// Allocations of the device's driver since warm-up; there is no driver on the CPU.
fn allocations(model: &ModelSummary) -> String {
    match model.memory.outside_allocations {
        Some(count) => format!("{count} after warm-up"),
        None => "-".to_owned(),
    }
}
