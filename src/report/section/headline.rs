//! What most readers want: how fast, how accurate, how large, and whether to trust it; then every
//! figure of the catalogue.

use super::super::record::RunRecord;
use super::coloured;
use crate::figures::catalogue::{Area, Better, Figure, Shown, Value, find, of_models};
use crate::figures::stats::Flatness;
use crate::figures::tables;
use crate::record::ModelSummary;
use crate::render::{Block, Card, Cell, Section, Table, Tone, counted};

/// The section.
pub(in crate::report) fn headline(record: &RunRecord) -> Section {
    let mut blocks = vec![Block::Notes(warnings(record))];
    if record.summary.models.is_empty() {
        blocks.push(Block::nothing("No object has been finished yet."));
    } else {
        blocks.push(Block::Cards(cards(record)));
        blocks.push(Block::Table(figures(record)));
    }
    Section::new("summary", "Summary", "Summary", "", blocks)
}

/// What must be known before any figure is looked at.
fn warnings(record: &RunRecord) -> Vec<String> {
    let environment = &record.manifest["environment"];
    let mut found = Vec::new();
    if record.manifest["backend"]["simulated"] == true {
        found.push(
            "The device or TensorRT was simulated: nothing here is a measurement of a GPU."
                .to_owned(),
        );
    }
    if environment["stand_in"] == true {
        found.push(
            "Sensors, memory figures and environment were read from a simulated tree: they are not \
             this machine's."
                .to_owned(),
        );
    }
    if environment["build_profile"] == "debug" {
        found.push("The program was a debug build: its times are not representative.".to_owned());
    }
    match record.manifest["state"].as_str() {
        Some("finished") => {}
        None => found.push("There is no run.json: circumstances are not known.".to_owned()),
        Some(state) => found.push(format!(
            "The run is {state}: what follows covers the objects that were finished."
        )),
    }
    found.extend(tables::notes(&record.summary));
    found.extend(record.warnings.iter().cloned());
    found
}

/// A model's value of a figure, with the most specific reason where it is missing.
fn value(
    record: &RunRecord,
    model: &ModelSummary,
    figure: &Figure,
    of: fn(&ModelSummary) -> Value,
) -> Value {
    let value = of(model);
    if figure.text(&value).is_ok() || !value.reason.is_empty() {
        return value;
    }
    if ["energy_per_frame", "power_mean"].contains(&figure.name) {
        return value.or(no_power(record));
    }
    let objects = record.summary.objects.iter();
    let own = objects.filter(|object| object.key.model == model.model);
    let reason = figure.of_object.and_then(|of_object| {
        own.map_while(|object| Some(of_object(object).reason))
            .find(|reason| !reason.is_empty())
    });
    value.or(reason.unwrap_or_default())
}

/// The value of a figure by its name, as a cell.
fn cell(record: &RunRecord, model: &ModelSummary, name: &str) -> Cell {
    let found = find(name).and_then(|figure| Some((figure, figure.of_model?.1)));
    found.map_or_else(Cell::default, |(figure, of)| {
        tables::cell(figure, &value(record, model, figure, of))
    })
}

fn text(record: &RunRecord, model: &ModelSummary, name: &str) -> String {
    let cell = cell(record, model, name);
    if cell.missing { cell.hint } else { cell.text }
}

fn cards(record: &RunRecord) -> Vec<Card> {
    let card = |(model, colour): (&ModelSummary, crate::render::plot::Colour)| {
        let of = |name: &str| text(record, model, name);
        let memory = match model.memory.arena_on_device {
            Some(true) => "GPU memory used by the arena",
            _ => "memory used by the arena",
        };
        let (verdict, doubts) = trust(record, model);
        let pairs = [
            (
                "how fast: FPS end to end",
                cell(record, model, "fps_end_to_end").hint(format!(
                    "{} objects per frame; p99 {}",
                    of("objects_per_frame"),
                    of("p99")
                )),
            ),
            (
                "how accurate: J&F, official",
                cell(record, model, "jf").hint(format!("J {}, F {}", of("j"), of("f"))),
            ),
            (
                "how large",
                cell(record, model, "arena").hint(format!("{memory}; peak RSS {}", of("rss"))),
            ),
            (
                "can it be trusted",
                verdict.hint(match doubts.as_slice() {
                    [] => "stable times, flat memory, no failures".to_owned(),
                    doubts => doubts.join("; "),
                }),
            ),
        ];
        // A figure that is missing has its reason in place of the hint.
        let pairs = pairs.map(|(words, shown)| {
            let shown = if shown.missing {
                let figure = match words {
                    words if words.contains("J&F") => "jf",
                    words if words.contains("FPS") => "fps_end_to_end",
                    _ => "arena",
                };
                cell(record, model, figure)
            } else {
                shown
            };
            let plain = Cell {
                data: Vec::new(),
                ..shown
            };
            (words.to_owned(), plain)
        });
        Card {
            heading: model.model.clone(),
            note: described(model),
            colour: colour.css(),
            large: true,
            pairs: pairs.into(),
            data: Vec::new(),
        }
    };
    coloured(record).map(card).collect()
}

/// A verdict on the measurement, and what speaks against it.
fn trust(record: &RunRecord, model: &ModelSummary) -> (Cell, Vec<String>) {
    let environment = &record.manifest["environment"];
    let stability = model.stability;
    let judged = stability.stable + stability.did_not_stabilise;
    let memory = &model.memory;
    let throttled = model.telemetry.as_ref().map_or(0, |t| t.throttle_events);
    let doubts = [
        (record.manifest["backend"]["simulated"] == true).then(|| "simulated device".to_owned()),
        (environment["build_profile"] == "debug").then(|| "debug build".to_owned()),
        model
            .random_init_seed
            .map(|_| "random weights: no meaningful scores".to_owned()),
        (model.counts.failed > 0)
            .then(|| format!("{} failed", counted(model.counts.failed, "object"))),
        (stability.did_not_stabilise > 0).then(|| {
            format!(
                "times did not stabilise in {} of {judged}",
                stability.did_not_stabilise
            )
        }),
        (judged == 0).then(|| "too short to judge stability".to_owned()),
        (judged > 0 && stability.too_short > 0).then(|| {
            format!(
                "stability judged in {judged} of {}",
                judged + stability.too_short
            )
        }),
        (throttled > 0).then(|| format!("the machine throttled ({throttled})")),
        (memory.rss_flatness == Some(Flatness::Growing))
            .then(|| "memory grows over videos".to_owned()),
        memory
            .arena_rows_not_returned
            .filter(|rows| *rows > 0)
            .map(|rows| format!("the arena kept memory after {}", counted(rows, "object"))),
    ];
    let doubts: Vec<String> = doubts.into_iter().flatten().collect();
    let verdict = match doubts.len() {
        0 => Cell::text("yes").toned(Tone::Good),
        n => Cell::text(counted(n, "reservation")).toned(Tone::Warning),
    };
    (verdict, doubts)
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

fn area(area: Area) -> &'static str {
    match area {
        Area::Scores => "Accuracy",
        Area::Speed => "Speed",
        Area::Memory => "Memory (views of the same bytes: do not add them)",
        Area::Realtime => "Real time",
        Area::Power => "Power",
        Area::Amount => "How much was measured",
        Area::Identity => "Run",
    }
}

fn figures(record: &RunRecord) -> Table {
    let models = &record.summary.models;
    let names = models
        .iter()
        .map(|model| Cell::number(&model.model).with("model", &model.model));
    let mut table = Table::new("figures", [Cell::text("")].into_iter().chain(names));
    let mut last = None;
    for (figure, shown, of) in of_models() {
        let known = |model| figure.text(&of(model)).is_ok();
        if shown == Shown::Known && !models.iter().any(known) {
            continue;
        }
        if last != Some(figure.area) {
            table.rows.push(vec![Cell::text(area(figure.area))]);
            last = Some(figure.area);
        }
        let better = match figure.better {
            Better::Higher => "; higher is better",
            Better::Lower => "; lower is better",
            Better::Neither => "",
        };
        let definition = figure.definition.replace('`', "");
        let label = Cell::text(figure.label).hint(format!("{definition}{better}"));
        let values = models.iter().map(|model| {
            let value = value(record, model, figure, of);
            tables::cell(figure, &value).with("model", &model.model)
        });
        table.rows.push([label].into_iter().chain(values).collect());
    }
    table
}

/// Why there is no power.
pub(super) fn no_power(record: &RunRecord) -> String {
    match record.missing_sensor("power_total_w") {
        Some(why) => why.to_owned(),
        None if record.manifest["telemetry"].is_null() => "telemetry was off".to_owned(),
        None => "too few samples".to_owned(),
    }
}
