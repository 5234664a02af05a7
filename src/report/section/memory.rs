//! The planned memory by region beside its plan, and the process's memory from video to video.

use super::super::record::RunRecord;
use super::{coloured, rows_of};
use crate::figures::stats::{self, Flatness};
use crate::record::{ArenaMarks, ModelSummary, ObjectRow, rss_after_videos};
use crate::render::plot::{Axis, Chart, Colour, Mark, Shape};
use crate::render::{Block, Key, Plot, Sample, Section};

/// Regions' colours begin here: the first ones are the models'.
const COLOURS: usize = 3;
/// Steps that are drawn; where there are more, several share one with their maximum.
const MOST_STEPS: usize = 240;

/// The section.
pub(in crate::report) fn memory(record: &RunRecord) -> Section {
    let lead = "Memory for tensors is planned, taken once as one block before the first frame, and \
                handed out by moving a pointer. What it holds must stay below the plan, and go back \
                to the same level after every object.";
    let mut blocks = Vec::new();
    for (number, (model, _)) in coloured(record).enumerate() {
        let rows = rows_of(record, &model.model);
        blocks.push(regions(&format!("regions-{number}"), model, &rows));
    }
    blocks.push(resident(record));
    Section::new("memory", "Memory", "Memory", lead, blocks)
}

/// The arena's books of each clip: objects that advanced together share one.
fn clips<'r>(rows: &[&'r ObjectRow]) -> Vec<&'r ArenaMarks> {
    let mut found = Vec::new();
    let mut last: Option<(&str, u32)> = None;
    for row in rows {
        let Some(arena) = row.memory.as_ref().and_then(|m| m.arena.as_ref()) else {
            continue;
        };
        let clip = (row.key.video.as_str(), row.session);
        let together = row.lockstep_objects > 1 && last == Some(clip);
        last = Some(clip);
        if !together {
            found.push(arena);
        }
    }
    found
}

fn regions(id: &str, model: &ModelSummary, rows: &[&ObjectRow]) -> Block {
    let clips = clips(rows);
    let heading = format!("{}: planned memory by region", model.model);
    let Some(first) = clips.first() else {
        return Block::nothing(format!(
            "{}: no plot of planned memory: this backend has none, or every object failed.",
            model.model
        ));
    };
    let names: Vec<&str> = first
        .regions
        .iter()
        .map(|region| region.name.as_str())
        .collect();
    let plan = clips
        .iter()
        .map(|arena| arena.slab_bytes)
        .max()
        .unwrap_or(0);
    let (unit, divisor) = unit(plan);
    let peak = |arena: &ArenaMarks, name: &str| {
        let region = arena.regions.iter().find(|region| region.name == name);
        region.map_or(0, |region| region.peak_bytes) as f64 / divisor
    };
    let size = clips.len().div_ceil(MOST_STEPS);
    // Per step and region: the largest of its clips.
    let steps: Vec<Vec<f64>> = clips
        .chunks(size)
        .map(|clips| {
            let most = |name: &&str| {
                clips
                    .iter()
                    .map(|arena| peak(arena, name))
                    .fold(0.0, f64::max)
            };
            names.iter().map(most).collect()
        })
        .collect();
    let mut marks = Vec::new();
    let mut below = vec![0.0; steps.len()];
    let edge = |step: usize| ((step * size).min(clips.len())) as f64 + 0.5;
    for at in 0..names.len() {
        let above: Vec<f64> = steps
            .iter()
            .zip(&below)
            .map(|(step, below)| below + step.get(at).copied().unwrap_or(0.0))
            .collect();
        let mut outline = Vec::new();
        for (step, y) in above.iter().enumerate() {
            outline.extend([(edge(step), *y), (edge(step + 1), *y)]);
        }
        for (step, y) in below.iter().enumerate().rev() {
            outline.extend([(edge(step + 1), *y), (edge(step), *y)]);
        }
        marks.push(Mark::Area {
            points: outline,
            colour: Colour::Series(COLOURS + at),
            alpha: 0.8,
        });
        below = above;
    }
    let line = plan as f64 / divisor;
    let together = rows.iter().any(|row| row.lockstep_objects > 1);
    let thing = if together { "video" } else { "object" };
    let x = Axis::count(&format!("{thing} number in the run"), clips.len() as f64);
    let y = Axis::linear(
        &format!("{unit} in use at most"),
        below.iter().copied().chain([line * 1.06]),
        true,
    );
    marks.push(Mark::dashed(
        vec![(x.from, line), (x.to, line)],
        Colour::Ink,
    ));
    marks.push(Mark::Text {
        at: (x.to, line),
        words: format!("plan: {}", stats::bytes(plan)),
        colour: Colour::Ink,
        moved: (-4, -9),
    });
    let chart = Chart {
        name: heading.clone(),
        x,
        y,
        marks,
        heights: [240, 230],
    };
    let held = |at: usize| {
        steps
            .iter()
            .any(|step| step.get(at).is_some_and(|most| *most > 0.0))
    };
    let legend = names
        .iter()
        .enumerate()
        .filter(|(at, _)| held(*at))
        .map(|(at, name)| {
            let colour = Colour::Series(COLOURS + at).css();
            Key::new(colour, region_words(name), Sample::Box)
        })
        .chain([Key::new(Colour::Ink.css(), "plan", Sample::Dashed)])
        .collect();
    let returned = match model.memory.arena_rows_not_returned {
        Some(0) => "After every object it was back at its baseline, to the byte.".to_owned(),
        Some(rows) => format!("After {rows} objects it was NOT back at its baseline."),
        None => String::new(),
    };
    let whose = match together {
        true => "a video (its objects advance together and share the memory)",
        false => "an object",
    };
    let caption = format!(
        "The most that each region held during {whose}, stacked. Below the plan is good. {returned}"
    );
    Block::Plot(Box::new(Plot {
        id: id.to_owned(),
        heading,
        caption,
        legend,
        chart,
    }))
}

fn region_words(name: &str) -> String {
    match name {
        "process" => "process: weights and constants, for the whole run".to_owned(),
        "video" => "video: decoded frames and features".to_owned(),
        "object batch" | "object_batch" | "objects" => "objects: memory banks".to_owned(),
        "frame" => "frame: what the networks put out".to_owned(),
        other => other.to_owned(),
    }
}

fn unit(bytes: u64) -> (&'static str, f64) {
    const MIB: f64 = 1024.0 * 1024.0;
    match bytes as f64 {
        b if b >= 4096.0 * MIB => ("GiB", 1024.0 * MIB),
        b if b >= MIB => ("MiB", MIB),
        _ => ("KiB", 1024.0),
    }
}

/// The process's resident set after each video with the fitted slope.
fn resident(record: &RunRecord) -> Block {
    let heading = "Resident set of the process after each video";
    let models: Vec<_> = coloured(record)
        .map(|(model, colour)| {
            let rows = rows_of(record, &model.model);
            (model, colour, rss_after_videos(&rows))
        })
        .filter(|(_, _, sessions)| !sessions.is_empty())
        .collect();
    let most = models
        .iter()
        .flat_map(|(_, _, sessions)| sessions.iter().flat_map(|(_, points)| points))
        .fold(0.0_f64, |most, point| most.max(point.1));
    if models.is_empty() {
        return Block::nothing("No plot of the resident set: it was not read.");
    }
    let (unit, divisor) = unit(most as u64);
    let mut marks = Vec::new();
    let mut all = Vec::new();
    let mut legend = Vec::new();
    for (at, (model, colour, sessions)) in models.iter().enumerate() {
        let shape = Shape::of_series(at);
        for (_, points) in sessions {
            let points: Vec<(f64, f64)> =
                points.iter().map(|(x, y)| (x + 1.0, y / divisor)).collect();
            all.extend(points.iter().copied());
            if let Some(slope) = model.memory.rss_slope_per_video
                && points.len() > 1
            {
                let count = points.len() as f64;
                let middle_x = points.iter().map(|p| p.0).sum::<f64>() / count;
                let middle_y = points.iter().map(|p| p.1).sum::<f64>() / count;
                let at = |x: f64| (x, middle_y + slope.per_step / divisor * (x - middle_x));
                let ends = [points.first(), points.last()].into_iter().flatten();
                marks.push(Mark::dashed(ends.map(|p| at(p.0)).collect(), *colour));
            }
            marks.push(Mark::dots(points, *colour, 3, 0.9).shaped(shape));
        }
        let flat = match model.memory.rss_flatness {
            Some(Flatness::Flat) => "flat",
            Some(Flatness::Growing) => "growing",
            Some(Flatness::TooFew) | None => "too few videos to judge",
        };
        let words = match &model.memory.rss_slope_per_video {
            Some(slope) => format!("{}: {} per video, {}", model.model, slope.text(), flat),
            None => format!("{}: one video, no slope", model.model),
        };
        legend.push(Key::new(colour.css(), words, Sample::Dot(shape)));
    }
    let last = all.iter().fold(1.0_f64, |most, point| most.max(point.0));
    let chart = Chart {
        name: heading.to_owned(),
        x: Axis::count("video number in the run", last),
        y: Axis::linear(
            &format!("resident set, {unit}"),
            all.iter().map(|p| p.1),
            true,
        ),
        marks,
        heights: [240, 230],
    };
    let caption = "What the system holds for the whole process, the planned block included where it is \
                   in the same memory. Level is good. Dashed: the straight line through the dots, whose \
                   slope with its 95 % interval is in the legend.";
    Block::Plot(Box::new(Plot {
        id: "resident".to_owned(),
        heading: heading.to_owned(),
        caption: caption.to_owned(),
        legend,
        chart,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples;

    #[test]
    fn objects_that_advance_together_are_one_clip() {
        let mut rows = vec![
            samples::row("a", "1", "m"),
            samples::row("a", "2", "m"),
            samples::row("b", "1", "m"),
            samples::row("b", "2", "m"),
        ];
        let alone: Vec<&ObjectRow> = rows.iter().collect();
        assert_eq!(clips(&alone).len(), 4);
        for row in &mut rows {
            row.lockstep_objects = 2;
        }
        rows.push(samples::row("c", "1", "m").failed("no"));
        let together: Vec<&ObjectRow> = rows.iter().collect();
        assert_eq!(clips(&together).len(), 2);
    }
}
