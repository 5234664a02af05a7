//! What most readers want: a few large figures per model, then the table.

use super::super::html::{Cell, counted, escape, notes, section, table};
use super::super::record::RunRecord;
use super::{coloured, rows_of};
use crate::figures::stats::{self, Flatness, LatencySummary, Slope};
use crate::machine::Reading;
use crate::record::{MemoryMarks, ModelSummary, Stage};

/// A figure of a model: its text and its value in full, or why there is none.
struct Figure {
    text: Result<String, String>,
    value: Option<f64>,
}

impl Figure {
    fn of(value: Option<f64>, text: impl Fn(f64) -> String, why: impl Into<String>) -> Self {
        Self {
            text: value.map(text).ok_or_else(|| why.into()),
            value,
        }
    }

    fn cell(self, metric: &str) -> Cell {
        match self.text {
            Ok(text) => Cell::number(&text),
            Err(why) => Cell::missing(&why),
        }
        .valued(metric, self.value)
    }
}

type FigureOf = fn(&RunRecord, &ModelSummary) -> Figure;

/// A row of the table.
enum Line {
    Group(&'static str),
    /// Its name in `data-metric`, in words, what it means, and the figure.
    Row(&'static str, &'static str, &'static str, FigureOf),
}

const LINES: [Line; 36] = [
    Line::Group("Accuracy"),
    Line::Row(
        "jf",
        "J&F",
        "official SA-V protocol; higher is better",
        |_, m| official(m, |s| s.jf),
    ),
    Line::Row("j", "J", "overlap of regions; higher is better", |_, m| {
        official(m, |s| s.j)
    }),
    Line::Row(
        "f",
        "F",
        "agreement of boundaries; higher is better",
        |_, m| official(m, |s| s.f),
    ),
    Line::Row(
        "jf_upstream",
        "J&F by the Python benchmark's formula",
        "0 to 1; for comparing with its old tables",
        |_, m| {
            let jf = m.upstream.map(|s| s.jf);
            Figure::of(jf, |v| format!("{v:.4}"), UNSCORED)
        },
    ),
    Line::Group("Speed"),
    Line::Row(
        "fps_end_to_end",
        "Frames per second, end to end",
        "waiting for the decoder included; higher is better",
        |_, m| fps(m.speed.fps_end_to_end),
    ),
    Line::Row(
        "fps_model",
        "Frames per second, networks alone",
        "higher is better",
        |_, m| fps(m.speed.fps_model),
    ),
    Line::Row(
        "fps",
        "Frames per second, networks and masks",
        "the region that the Python benchmark times",
        |_, m| fps(m.speed.fps_upstream),
    ),
    Line::Row(
        "p50",
        "Frame time, median (p50)",
        "lower is better",
        |_, m| wall(m, |l| l.p50_ms),
    ),
    Line::Row(
        "p90",
        "Frame time, p90",
        "9 of 10 frames are at most this long",
        |_, m| wall(m, |l| l.p90_ms),
    ),
    Line::Row("p95", "Frame time, p95", "19 of 20", |_, m| {
        wall(m, |l| l.p95_ms)
    }),
    Line::Row("p99", "Frame time, p99", "99 of 100", |_, m| {
        wall(m, |l| l.p99_ms)
    }),
    Line::Row("max", "Longest frame", "", |_, m| wall(m, |l| l.max_ms)),
    Line::Row(
        "p99_bound",
        "p99 at most",
        "with 99 % confidence",
        |_, m| {
            let bound = latency(m).and_then(|l| l.p99_bound_ms);
            let needed = stats::tail_samples_needed(99.0).unwrap_or(0);
            Figure::of(bound, stats::milliseconds, format!("needs {needed} frames"))
        },
    ),
    Line::Row("stability", "Did the times settle?", "", |_, m| Figure {
        text: Ok(m.stability.text()),
        value: None,
    }),
    Line::Group("Memory (do not add these up)"),
    Line::Row(
        "arena_plan",
        "Planned memory",
        "the one block taken before the first frame",
        |_, m| bytes(m.memory.arena_slab_bytes, NO_ARENA),
    ),
    Line::Row(
        "arena_peak",
        "Used of it, at most",
        "lower is better",
        |_, m| bytes(m.memory.arena_peak_bytes, NO_ARENA),
    ),
    Line::Row(
        "arena_left",
        "Objects after which it was not back at its baseline",
        "0 is what is promised",
        |_, m| {
            let rows = m.memory.arena_rows_not_returned.map(|rows| rows as f64);
            Figure::of(rows, |v| format!("{v:.0}"), NO_ARENA)
        },
    ),
    Line::Row(
        "outside_allocations",
        "Allocations of the device's driver after warm-up",
        "0 is what is promised",
        |_, m| {
            let count = m.memory.outside_allocations.map(|count| count as f64);
            Figure::of(count, |v| format!("{v:.0}"), "no device driver was in use")
        },
    ),
    Line::Row(
        "rss_peak",
        "Largest resident set of the process",
        "lower is better",
        |r, m| {
            let why = reason(r, m, |memory| &memory.rss_peak_bytes);
            bytes(m.memory.peak_rss_bytes, &why)
        },
    ),
    Line::Row(
        "pss_peak",
        "Largest proportional set",
        "shared pages counted in part",
        |r, m| {
            let why = reason(r, m, |memory| &memory.pss_after_bytes);
            bytes(m.memory.peak_pss_bytes, &why)
        },
    ),
    Line::Row(
        "available_min",
        "Least available memory of the system",
        "higher is better",
        |r, m| {
            let why = reason(r, m, |memory| &memory.available_after_bytes);
            bytes(m.memory.min_available_bytes, &why)
        },
    ),
    Line::Row(
        "rss_slope_video",
        "Growth of the resident set per video",
        "± 95 % interval",
        |_, m| slope(m.memory.rss_slope_per_video, "needs two videos"),
    ),
    Line::Row(
        "rss_slope_frame",
        "Growth of the resident set per frame",
        "± 95 % interval",
        |_, m| {
            slope(
                m.memory.rss_slope_per_frame,
                "needs longer videos: 16 frames fill the memory bank",
            )
        },
    ),
    Line::Row("rss_flatness", "Is memory flat over videos?", "", |_, m| {
        Figure {
            text: Ok(flatness(m).to_owned()),
            value: None,
        }
    }),
    Line::Group("Power"),
    Line::Row(
        "energy_per_frame",
        "Energy per frame",
        "lower is better",
        |r, m| {
            let energy = m.telemetry.as_ref().and_then(|t| t.energy_per_frame_j);
            Figure::of(energy, |v| format!("{v:.3} J"), no_power(r))
        },
    ),
    Line::Row("power_mean", "Mean power", "over measured time", |r, m| {
        let watts = m.telemetry.as_ref().and_then(|t| t.power_mean_w);
        Figure::of(watts, |v| format!("{v:.2} W"), no_power(r))
    }),
    Line::Group("How much was measured"),
    Line::Row("objects_ok", "Objects tracked", "", |_, m| {
        count(m.counts.ok)
    }),
    Line::Row(
        "objects_failed",
        "Objects that failed",
        "left out of every mean",
        |_, m| count(m.counts.failed),
    ),
    Line::Row("videos", "Videos", "", |_, m| count(m.counts.videos)),
    Line::Row("frames", "Frames", "warm-up left out", |_, m| {
        count(m.speed.frames)
    }),
    Line::Row("warmup_frames", "Warm-up frames", "", |_, m| {
        count(m.speed.warmup_frames)
    }),
];

const UNSCORED: &str = "no object was scored";
const NO_ARENA: &str = "no planned memory was in use";

/// The section.
pub(in crate::report) fn headline(record: &RunRecord) -> String {
    let body = match record.summary.models.is_empty() {
        true => super::super::html::nothing("No object has been finished yet."),
        false => format!("{}{}", tiles(record), figures(record)),
    };
    section(
        "summary",
        "Summary",
        "",
        &format!("{}{body}", notes(&warnings(record))),
    )
}

/// What must be known before any figure is looked at.
fn warnings(record: &RunRecord) -> Vec<String> {
    let environment = &record.manifest["environment"];
    let mut found = Vec::new();
    if record.manifest["backend"]["simulated"] == true {
        found.push(
            "The device or TensorRT was a stand-in for tests: nothing here is a measurement of a GPU."
                .to_owned(),
        );
    }
    if environment["stand_in"] == true {
        found.push(
            "Sensors, memory figures and environment were read from a stand-in tree: they are not \
             this machine's."
                .to_owned(),
        );
    }
    if environment["build_profile"] == "debug" {
        found.push("The program was a debug build: its times say nothing about speed.".to_owned());
    }
    match record.manifest["state"].as_str() {
        Some("finished") => {}
        None => found.push("There is no run.json: circumstances are not known.".to_owned()),
        Some(state) => found.push(format!(
            "The run is {state}: what follows covers the objects that were finished."
        )),
    }
    found.extend(crate::figures::tables::notes(&record.summary));
    found.extend(record.warnings.iter().cloned());
    found
}

fn tiles(record: &RunRecord) -> String {
    let cards: String = coloured(record)
        .map(|(model, colour)| {
            let tile = |words: &str, figure: Figure| {
                let text = match figure.text {
                    Ok(text) => escape(&text),
                    Err(why) => super::super::html::missing(&why),
                };
                format!("<div><dt>{}</dt><dd>{text}</dd></div>", escape(words))
            };
            let memory = match model.memory.arena_on_device {
                Some(true) => "planned GPU memory used, lower is better",
                _ => "planned memory used, lower is better",
            };
            let tiles = [
                tile("J&F, higher is better", official(model, |s| s.jf)),
                tile(
                    "frames per second (FPS), end to end, higher is better",
                    fps(model.speed.fps_end_to_end),
                ),
                tile("p99 frame time, lower is better", wall(model, |l| l.p99_ms)),
                tile(memory, bytes(model.memory.arena_peak_bytes, NO_ARENA)),
            ];
            format!(
                "<div class=\"model\" style=\"--key:{}\"><h3>{}</h3><p><small>{}</small></p><dl class=\"tiles\">{}</dl></div>",
                colour.css(),
                escape(&model.model),
                escape(&described(model)),
                tiles.concat()
            )
        })
        .collect();
    format!("<div class=\"models\">{cards}</div>\n")
}

/// Image side, precision, backend, objects.
fn described(model: &ModelSummary) -> String {
    let sizes: Vec<String> = model
        .image_sizes
        .iter()
        .map(|side| format!("{side} × {side} pixels"))
        .collect();
    format!(
        "{}; {}; {}; {} in {}",
        sizes.join(", "),
        model.precisions.join(", "),
        model.backends.join(", "),
        counted(model.counts.ok, "object"),
        counted(model.counts.videos, "video")
    )
}

fn figures(record: &RunRecord) -> String {
    let models = &record.summary.models;
    let mut head = vec![Cell::text("")];
    head.extend(models.iter().map(|model| {
        Cell::text(&model.model)
            .classed("number")
            .with("model", &model.model)
    }));
    let rows: Vec<Vec<Cell>> = LINES
        .iter()
        .map(|line| match line {
            Line::Group(words) => vec![Cell::text(words)],
            Line::Row(metric, words, hint, figure) => {
                let hint = match *hint {
                    "" => String::new(),
                    hint => format!("<small>{}</small>", escape(hint)),
                };
                let mut row = vec![Cell::html(format!("{}{hint}", escape(words)))];
                row.extend(models.iter().map(|model| {
                    figure(record, model)
                        .cell(metric)
                        .with("model", &model.model)
                }));
                row
            }
        })
        .collect();
    table("figures", &head, &rows)
}

const UNMEASURED: &str = "no frame was measured";

fn official(model: &ModelSummary, value: fn(crate::record::ScoreSummary) -> f64) -> Figure {
    let percent = model.official_percent.map(value);
    Figure::of(percent, |v| format!("{v:.2} %"), UNSCORED)
}

fn fps(value: Option<f64>) -> Figure {
    Figure::of(value, |v| format!("{v:.2} FPS"), UNMEASURED)
}

fn latency(model: &ModelSummary) -> Option<&LatencySummary> {
    model.latency_ms.counted.get(Stage::EndToEnd.name())
}

fn wall(model: &ModelSummary, value: fn(&LatencySummary) -> f64) -> Figure {
    Figure::of(latency(model).map(value), stats::milliseconds, UNMEASURED)
}

fn bytes(value: Option<u64>, why: &str) -> Figure {
    Figure::of(value.map(|v| v as f64), |v| stats::bytes(v as u64), why)
}

fn count(value: usize) -> Figure {
    Figure::of(Some(value as f64), |v| format!("{v:.0}"), "")
}

/// A slope with its interval.
pub(super) fn slope_text(slope: &Slope) -> String {
    let change = stats::signed_bytes(slope.per_step);
    match slope.half_width_95() {
        Some(half) => {
            let half = stats::signed_bytes(half);
            format!("{change} ± {}", half.trim_start_matches('+'))
        }
        None => change,
    }
}

fn slope(slope: Option<Slope>, why: &str) -> Figure {
    Figure {
        text: slope
            .map(|slope| slope_text(&slope))
            .ok_or_else(|| why.to_owned()),
        value: slope.map(|slope| slope.per_step),
    }
}

/// The verdict on a model's memory in words.
pub(super) fn flatness(model: &ModelSummary) -> &'static str {
    match model.memory.rss_flatness {
        Some(Flatness::Flat) => "flat",
        Some(Flatness::Growing) => "growing",
        Some(Flatness::TooFew) | None => "too few videos to tell",
    }
}

/// Why a reading of memory is missing in all rows of a model.
fn reason(
    record: &RunRecord,
    model: &ModelSummary,
    which: fn(&MemoryMarks) -> &Reading<u64>,
) -> String {
    rows_of(record, &model.model)
        .iter()
        .find_map(|row| which(row.memory.as_ref()?).reason.clone())
        .unwrap_or_else(|| "not recorded".to_owned())
}

/// Why there is no power.
pub(super) fn no_power(record: &RunRecord) -> String {
    match record.missing_sensor("power_total_w") {
        Some(why) => why.to_owned(),
        None if record.manifest["telemetry"].is_null() => "telemetry was off".to_owned(),
        None => "too few samples".to_owned(),
    }
}
