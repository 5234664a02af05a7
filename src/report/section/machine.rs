//! Power, temperature, clocks and load over time, and when the machine slowed itself down.

use super::super::record::RunRecord;
use super::super::telemetry::TelemetrySeries;
use super::headline::no_power;
use crate::machine::ThrottleEvent;
use crate::render::plot::{Axis, Chart, Colour, Mark, thin};
use crate::render::{Block, Cell, Item, Key, Plot, Sample, Section, Table, Tone, counted};

/// Points of a line that are drawn.
const MOST_POINTS: usize = 450;
/// Throttling that is listed.
const LISTED: usize = 12;
/// Between two sessions, as part of the whole time.
const GAP: f64 = 0.02;

/// The section.
pub(in crate::report) fn machine(record: &RunRecord) -> Section {
    let heading = "Power, temperature and clocks";
    let lead = "What the machine's sensors reported during the run. A clock that falls or a \
                temperature that keeps rising explains frames that get slower.";
    let section = |blocks| Section::new("machine", "Power and temperature", heading, lead, blocks);
    let series = match &record.telemetry {
        Err(why) => return section(vec![Block::nothing(why)]),
        Ok(series) => series,
    };
    let samples: usize = series.iter().map(|session| session.times_s.len()).sum();
    if samples == 0 {
        let why = if record.manifest["telemetry"].is_null() {
            "There are no samples: telemetry was off in this run."
        } else {
            "There are no samples: the run was too short for one."
        };
        return section(vec![Block::nothing(why)]);
    }
    let time = Time::over(series);
    let mut blocks = Vec::new();
    for panel in panels(series) {
        blocks.push(if panel.columns.is_empty() {
            let why = reason(record, &panel);
            Block::nothing(format!("{}: not shown, {why}.", panel.heading))
        } else {
            Block::Plot(Box::new(drawn(series, &time, &panel)))
        });
    }
    blocks.extend(throttling(record));
    section(blocks)
}

/// One plot.
struct Panel {
    id: &'static str,
    heading: &'static str,
    caption: &'static str,
    axis: &'static str,
    /// The column that says why there is none.
    main: &'static str,
    /// Column and words.
    columns: Vec<(String, String)>,
    from_zero: bool,
}

/// The plots and their columns, as far as they have values.
fn panels(series: &[TelemetrySeries]) -> Vec<Panel> {
    let mut names: Vec<&str> = Vec::new();
    for session in series {
        for (name, _) in &session.columns {
            if !names.contains(&name.as_str()) && session.column(name).is_some() {
                names.push(name);
            }
        }
    }
    let has = |name: &str| names.contains(&name);
    let one = |name: &str, words: &str| -> Vec<(String, String)> {
        let column = || (name.to_owned(), words.to_owned());
        has(name).then(column).into_iter().collect()
    };
    let between = |from: &str, to: &str| -> Vec<(String, String)> {
        let inner = |name: &&str| {
            let inner = name.strip_prefix(from)?.strip_suffix(to)?;
            (*name != "power_total_w").then(|| ((*name).to_owned(), inner.to_owned()))
        };
        names.iter().filter_map(inner).collect()
    };
    let mut power = one("power_total_w", "total");
    power.extend(between("power_", "_w"));
    vec![
        Panel {
            id: "power",
            heading: "Power",
            caption: "Lower is better. The total, and the supply rails it is made of or measured beside.",
            axis: "watts",
            main: "power_total_w",
            columns: power,
            from_zero: true,
        },
        Panel {
            id: "temperature",
            heading: "Temperature",
            caption: "Lower is better; a line that levels off has found its balance.",
            axis: "degrees Celsius",
            main: "temperature",
            columns: between("temperature_", "_c"),
            from_zero: false,
        },
        Panel {
            id: "gpu-clock",
            heading: "GPU clock",
            caption: "Level is good: a clock that falls under load is throttling.",
            axis: "MHz",
            main: "gpu_clock_mhz",
            columns: one("gpu_clock_mhz", "GPU clock"),
            from_zero: true,
        },
        Panel {
            id: "gpu-load",
            heading: "GPU load",
            caption: "Near 100 % the GPU is the limit; far below it something else is.",
            axis: "percent",
            main: "gpu_load_percent",
            columns: one("gpu_load_percent", "GPU load"),
            from_zero: true,
        },
        Panel {
            id: "available",
            heading: "Available memory of the system",
            caption: "What the system could still give to programs. Level is good.",
            axis: "MiB",
            main: "available_bytes",
            columns: one("available_bytes", "available"),
            from_zero: true,
        },
    ]
}

fn reason(record: &RunRecord, panel: &Panel) -> String {
    let why = match panel.main {
        "power_total_w" => no_power(record),
        main => {
            let missing = record.manifest["telemetry"]["missing"].as_object();
            let of_main = missing.and_then(|all| {
                let found = all.iter().find(|(name, _)| name.starts_with(main));
                found.and_then(|(_, why)| why.as_str())
            });
            let notes = record.manifest["telemetry"]["notes"].as_array();
            let noted = notes.and_then(|all| {
                let about = |note: &&str| main == "temperature" && note.contains("thermal");
                all.iter().filter_map(|note| note.as_str()).find(about)
            });
            of_main
                .or(noted)
                .unwrap_or("this machine has no such sensor")
                .to_owned()
        }
    };
    why.trim_end_matches('.').to_owned()
}

/// The sessions' clocks, one behind the other.
struct Time {
    /// What is added to the seconds of each session.
    offsets: Vec<f64>,
    end_s: f64,
    unit: &'static str,
    divisor: f64,
}

impl Time {
    fn over(series: &[TelemetrySeries]) -> Self {
        let whole: f64 = series.iter().map(TelemetrySeries::span_s).sum();
        let mut end_s = 0.0;
        let mut offsets = Vec::new();
        for session in series {
            let first = session.times_s.first().copied().unwrap_or(0.0);
            let begin = if offsets.is_empty() {
                0.0
            } else {
                end_s + whole * GAP
            };
            offsets.push(begin - first);
            end_s = begin + session.span_s();
        }
        let (unit, divisor) = match end_s {
            s if s >= 7200.0 => ("hours", 3600.0),
            s if s >= 180.0 => ("minutes", 60.0),
            _ => ("seconds", 1.0),
        };
        Self {
            offsets,
            end_s,
            unit,
            divisor,
        }
    }
}

fn drawn(series: &[TelemetrySeries], time: &Time, panel: &Panel) -> Plot {
    const MIB: f64 = 1024.0 * 1024.0;
    let scale = if panel.axis == "MiB" { MIB } else { 1.0 };
    let mut lines: Vec<(Colour, Vec<(f64, f64)>)> = Vec::new();
    let mut thinned = false;
    for (at, (name, _)) in panel.columns.iter().enumerate() {
        for (session, offset) in series.iter().zip(&time.offsets) {
            let values = session.column(name).unwrap_or_default();
            let points: Vec<(f64, f64)> = session
                .times_s
                .iter()
                .zip(values)
                .filter(|(_, value)| value.is_finite())
                .map(|(s, value)| ((s + offset) / time.divisor, value / scale))
                .collect();
            let short = thin(&points, MOST_POINTS);
            thinned |= short.is_thinned();
            lines.push((Colour::Series(at), short.points));
        }
    }
    let x = Axis::exact(
        &format!("{} since the run began", time.unit),
        0.0,
        time.end_s / time.divisor,
    );
    let values = || {
        lines
            .iter()
            .flat_map(|(_, points)| points.iter().map(|point| point.1))
    };
    let mut y = Axis::linear(panel.axis, values(), panel.from_zero);
    if panel.axis == "percent" {
        (y.from, y.to) = (0.0, 103.0);
    }
    if panel.axis == "degrees Celsius" {
        // A degree up or down does not matter.
        let middle = f64::midpoint(y.from, y.to);
        (y.from, y.to) = (y.from.min(middle - 5.0), y.to.max(middle + 5.0));
    }
    let mut marks = Vec::new();
    let mut slowed = false;
    for (session, offset) in series.iter().zip(&time.offsets) {
        for (from, to, _) in &session.throttled {
            slowed = true;
            let least = time.end_s / time.divisor / 400.0;
            let from = (from + offset) / time.divisor;
            let to = ((to + offset) / time.divisor).max(from + least);
            let corners = vec![(from, y.from), (to, y.from), (to, y.to), (from, y.to)];
            marks.push(Mark::Area {
                points: corners,
                colour: Colour::Bad,
                alpha: 0.16,
            });
        }
    }
    marks.extend(
        lines
            .into_iter()
            .map(|(colour, points)| match points.as_slice() {
                [only] => Mark::dots(vec![*only], colour, 3, 1.0),
                _ => Mark::line(points, colour),
            }),
    );
    let chart = Chart {
        name: format!("{} in {} over time", panel.heading, panel.axis),
        x,
        y,
        marks,
        heights: [210, 210],
    };
    let mut caption = panel.caption.to_owned();
    if series.len() > 1 {
        caption.push_str(&format!(
            " The run was resumed: gaps part its {}.",
            counted(series.len(), "session")
        ));
    }
    if thinned {
        caption.push_str(" Lines are thinned; lowest and highest values stay.");
    }
    let columns = panel.columns.iter().enumerate();
    let mut legend: Vec<Key> = columns
        .map(|(at, (_, words))| Key::new(Colour::Series(at).css(), words, Sample::Line))
        .collect();
    if slowed {
        let colour = "color-mix(in srgb, var(--bad) 30%, transparent)";
        legend.push(Key::new(colour, "slowed down", Sample::Box));
    }
    Plot {
        id: panel.id.to_owned(),
        heading: panel.heading.to_owned(),
        caption,
        legend,
        chart,
    }
}

fn throttling(record: &RunRecord) -> Vec<Block> {
    let mut events: Vec<(&str, &str, &ThrottleEvent)> = Vec::new();
    for row in &record.rows {
        let Some(marks) = &row.telemetry else {
            continue;
        };
        for event in &marks.clip.throttle {
            let known = |(video, _, other): &(&str, &str, &ThrottleEvent)| {
                *video == row.key.video && *other == event
            };
            if !events.iter().rev().take(64).any(known) {
                events.push((&row.key.video, &row.key.model, event));
            }
        }
    }
    if events.is_empty() {
        let known = record.summary.models.iter().any(|model| {
            model
                .telemetry
                .as_ref()
                .is_some_and(|t| t.gpu_clock_mhz.is_some())
        });
        return vec![if known {
            Block::List(vec![Item {
                text: "No throttling was seen.".to_owned(),
                tone: Tone::Good,
            }])
        } else {
            Block::nothing("Throttling: no sensor was there that could have shown it.")
        }];
    }
    let head = [
        Cell::text("video"),
        Cell::text("model"),
        Cell::number("from"),
        Cell::number("to"),
        Cell::text("what was seen"),
    ];
    let rows: Vec<Vec<Cell>> = events
        .iter()
        .take(LISTED)
        .map(|(video, model, event)| {
            let what = match event.what.as_str() {
                "" => event.kind.name().replace('_', " "),
                what => what.to_owned(),
            };
            vec![
                Cell::text(*video),
                Cell::text(*model),
                Cell::number(format!("{:.1} s", event.from_s)),
                Cell::number(format!("{:.1} s", event.to_s)),
                Cell::long(what),
            ]
        })
        .collect();
    let times = match events.len() {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let mut blocks = vec![
        Block::heading(format!("The machine slowed itself down: {times}")),
        Block::Table(Table::new("throttling", head).with_rows(rows)),
    ];
    if let more @ 1.. = events.len().saturating_sub(LISTED) {
        blocks.push(Block::nothing(format!(
            "{more} more are in the journal, as telemetry.clip.throttle."
        )));
    }
    blocks
}
