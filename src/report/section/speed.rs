//! Speed against accuracy, and where the time of a frame goes.

use super::super::record::RunRecord;
use super::coloured;
use crate::figures::stats::{self, LatencySummary, Samples};
use crate::record::{Stage, stage_samples};
use crate::render::plot::{Axis, Chart, Colour, Mark, Shape};
use crate::render::{Block, Cell, Key, Plot, Sample, Section, Table};

/// Objects of a model that are drawn.
const MOST_DOTS: usize = 300;

/// The section of the scatter plot.
pub(in crate::report) fn accuracy_and_speed(record: &RunRecord) -> Section {
    let heading = "Accuracy against speed";
    let section = |block| Section::new("accuracy", heading, heading, "", vec![block]);
    let mut dots = Vec::new();
    let mut means = Vec::new();
    let mut thinned = false;
    for (at, (model, colour)) in coloured(record).enumerate() {
        let of_objects: Vec<(f64, f64)> = record
            .summary
            .objects
            .iter()
            .filter(|object| object.key.model == model.model)
            .filter_map(|object| {
                let score = object.row.scores?.official?;
                Some((object.fps_end_to_end?, score.jf() * 100.0))
            })
            .collect();
        let step = of_objects.len().div_ceil(MOST_DOTS).max(1);
        thinned |= step > 1;
        let shape = Shape::of_series(at);
        let kept: Vec<_> = of_objects.into_iter().step_by(step).collect();
        dots.push((kept, colour, shape));
        if let (Some(fps), Some(score)) = (model.speed.fps_end_to_end, model.official_percent) {
            means.push(((fps, score.jf), colour, shape, model.model.as_str()));
        }
    }
    if means.is_empty() {
        return section(Block::nothing(
            "No plot: no object has both a score and a speed.",
        ));
    }
    let all = || {
        let of_objects = dots.iter().flat_map(|(points, ..)| points.iter().copied());
        of_objects.chain(means.iter().map(|(point, ..)| *point))
    };
    let mut marks: Vec<Mark> = dots
        .iter()
        .map(|(points, colour, shape)| Mark::dots(points.clone(), *colour, 3, 0.45).shaped(*shape))
        .collect();
    for (point, colour, shape, _) in &means {
        marks.push(Mark::dots(vec![*point], *colour, 9, 1.0).shaped(*shape));
        marks.push(Mark::Dots {
            points: vec![*point],
            colour: Colour::Ink,
            radius: 9,
            alpha: 1.0,
            hollow: true,
            shape: *shape,
        });
    }
    let mut y = Axis::linear("J&F, official protocol (%)", all().map(|(_, y)| y), false);
    y.from = y.from.max(0.0);
    y.to = y.to.min(103.0);
    let chart = Chart {
        name: "J&F against frames per second".to_owned(),
        x: Axis::linear(
            "frames per second, end to end",
            all().map(|(x, _)| x),
            false,
        ),
        y,
        marks,
        heights: [340, 300],
    };
    let legend = means
        .iter()
        .map(|(_, colour, shape, name)| Key::new(colour.css(), *name, Sample::Dot(*shape)))
        .collect();
    let mut caption = "Small marks are single objects, the large ones the models over all of their \
                       objects. Up is more accurate, to the right is faster: the upper right corner \
                       is best."
        .to_owned();
    if thinned {
        caption.push_str(" Only some of the objects are drawn.");
    }
    section(Block::Plot(Box::new(Plot {
        id: "scatter".to_owned(),
        heading: "J&F and frames per second".to_owned(),
        caption,
        legend,
        chart,
    })))
}

/// Series of the distribution in the order of the work.
fn series() -> Vec<(&'static str, &'static str)> {
    let words = |stage: Stage| match stage {
        Stage::Decode => "decode",
        Stage::Preprocess => "preprocess",
        Stage::Encode => "encode",
        Stage::Prompt => "prompt",
        Stage::Track => "track",
        Stage::Postprocess => "postprocess",
        Stage::Copy => "copy",
        Stage::EndToEnd => "end to end",
    };
    let mut all: Vec<_> = Stage::ALL
        .into_iter()
        .map(|s| (s.name(), words(s)))
        .collect();
    let last = all.len() - 1;
    all.insert(last, ("model", "networks"));
    all
}

/// The section of the stages.
pub(in crate::report) fn stages(record: &RunRecord) -> Section {
    let heading = "Where the time goes";
    let lead = "How long each stage of a frame takes. Decoding runs ahead on threads of its own, so \
                stages do not add up to the end-to-end time.";
    let samples: Vec<_> = coloured(record)
        .map(|(model, colour)| (model, colour, stage_samples(&record.rows, &model.model)))
        .collect();
    let present: Vec<_> = series()
        .into_iter()
        .filter(|(name, _)| {
            samples
                .iter()
                .any(|(_, _, of)| of.get(*name).is_some_and(|s| !s.is_empty()))
        })
        .collect();
    let section = |blocks| Section::new("stages", "Stages", heading, lead, blocks);
    if present.is_empty() {
        return section(vec![Block::nothing("No plot: no frame was measured.")]);
    }
    let lanes: Vec<Vec<(&Samples, Colour)>> = present
        .iter()
        .map(|(name, _)| {
            let of = samples
                .iter()
                .filter_map(|(_, colour, of)| Some((of.get(*name)?, *colour)));
            of.collect()
        })
        .collect();
    let names = present
        .iter()
        .map(|(_, words)| (*words).to_owned())
        .collect();
    let chart = distribution(names, &lanes);
    let colours = samples
        .iter()
        .map(|(model, colour, _)| Key::new(colour.css(), &model.model, Sample::Box));
    let legend = colours
        .chain([
            Key::new(Colour::Ink.css(), "median", Sample::Line),
            Key::new(
                Colour::Bad.css(),
                "p99: 1 frame in 100 takes longer",
                Sample::Line,
            ),
        ])
        .collect();
    let caption = "The higher a hill, the more frames took that long; a narrow hill is a steady \
                   stage. To the left is faster. The scale is logarithmic: each step to the next power \
                   of ten is ten times as long.";
    let plot = Plot {
        id: "distribution".to_owned(),
        heading: "Distribution of the time per stage".to_owned(),
        caption: caption.to_owned(),
        legend,
        chart,
    };
    let numbers = numbers(record, &present);
    section(vec![Block::Plot(Box::new(plot)), Block::Table(numbers)])
}

/// Hills of durations, one row per stage, one lane per model in it.
fn distribution(names: Vec<String>, rows: &[Vec<(&Samples, Colour)>]) -> Chart {
    const BINS: usize = 72;
    /// The shortest duration that is told apart.
    const LEAST_MS: f64 = 0.001;
    let all = || {
        rows.iter()
            .flatten()
            .flat_map(|(samples, _)| samples.as_slice())
            .map(|ms| ms.max(LEAST_MS))
    };
    let x = Axis::log("milliseconds (logarithmic)", all());
    let (low, high) = (x.from.ln(), x.to.ln());
    let edge = |bin: usize| (low + (high - low) * bin as f64 / BINS as f64).exp();
    let mut marks = Vec::new();
    let lane_count = rows.iter().map(Vec::len).max().unwrap_or(1).max(1) as f64;
    // Names stand in the upper part of a row on narrow pages.
    let (bottom, top) = (-0.44, 0.14);
    let height = (top - bottom) / lane_count;
    for (row, lanes) in rows.iter().enumerate() {
        for (lane, (samples, colour)) in lanes.iter().enumerate() {
            let base = -(row as f64) + top - height * (lane as f64 + 1.0);
            let mut counts = [0_usize; BINS];
            for ms in samples.as_slice() {
                let share = (ms.max(LEAST_MS).ln() - low) / (high - low);
                let bin = (share * BINS as f64) as usize;
                if let Some(count) = counts.get_mut(bin.min(BINS - 1)) {
                    *count += 1;
                }
            }
            let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
            let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
            let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
            let mut hill = vec![(edge(first), base)];
            for bin in first..=last {
                let up = base + 0.92 * height * counts.get(bin).copied().unwrap_or(0) as f64 / most;
                hill.extend([(edge(bin), up), (edge(bin + 1), up)]);
            }
            hill.push((edge(last + 1), base));
            marks.push(Mark::Area {
                points: hill,
                colour: *colour,
                alpha: 0.75,
            });
            if let Some(summary) = samples.summary() {
                let tick = |ms: f64, colour: Colour| {
                    let ms = ms.max(LEAST_MS);
                    Mark::line(vec![(ms, base), (ms, base + 0.92 * height)], colour)
                };
                marks.push(tick(summary.p50_ms, Colour::Ink));
                marks.push(tick(summary.p99_ms, Colour::Bad));
            }
        }
        if row > 0 {
            let y = 0.5 - row as f64;
            marks.push(Mark::Line {
                points: vec![(x.from, y), (x.to, y)],
                colour: Colour::Grid,
                width: 1,
                dashed: false,
            });
        }
    }
    let per_row = [26 + 22 * lane_count as u32, 34 + 20 * lane_count as u32];
    Chart {
        name: "Distribution of the time per stage in milliseconds".to_owned(),
        x,
        y: Axis::names(names),
        marks,
        heights: per_row.map(|height| height * rows.len() as u32 + 60),
    }
}

/// A column of the table of stages: its heading and its figure.
type Column = (&'static str, fn(&LatencySummary) -> f64);

fn numbers(record: &RunRecord, present: &[(&str, &str)]) -> Table {
    let inside = |name: &str| -> String {
        let regions = record.manifest["timed_region"].as_array();
        let region = regions.and_then(|all| all.iter().find(|region| region["name"] == name));
        match region.and_then(|region| region["inside"].as_str()) {
            Some(words) => words.to_owned(),
            None if name == "model" => "encode, prompt and track of a frame together".to_owned(),
            None => String::new(),
        }
    };
    let columns: [Column; 5] = [
        ("median", |l| l.p50_ms),
        ("p90", |l| l.p90_ms),
        ("p95", |l| l.p95_ms),
        ("p99", |l| l.p99_ms),
        ("longest", |l| l.max_ms),
    ];
    let several = record.summary.models.len() > 1;
    let mut head = vec![Cell::text("stage")];
    if several {
        head.push(Cell::text("model"));
    }
    head.push(Cell::number("samples"));
    head.extend(columns.iter().map(|(words, _)| Cell::number(*words)));
    let mut rows = Vec::new();
    for (name, words) in present {
        let mut first = true;
        for model in &record.summary.models {
            let Some(latency) = model.latency_ms.counted.get(*name) else {
                continue;
            };
            let mut row = vec![if first {
                Cell::text(*words).hint(inside(name))
            } else {
                Cell::text("")
            }];
            first = false;
            if several {
                row.push(Cell::text(&model.model));
            }
            row.push(Cell::number(latency.n.to_string()));
            row.extend(columns.iter().map(|(words, value)| {
                Cell::number(stats::milliseconds(value(latency)))
                    .valued(words, Some(value(latency)))
                    .with("stage", name)
                    .with("model", &model.model)
            }));
            rows.push(row);
        }
    }
    Table::new("stage-times", head).with_rows(rows)
}
