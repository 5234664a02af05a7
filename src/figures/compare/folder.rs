//! Reads a run folder: `run.json` for the circumstances, the journal for the figures.
//!
//! `run.json` is read leniently: a folder made by another version, or by the PyTorch baseline, may
//! lack an entry, which then counts as not recorded.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::source::{Facts, Row, Source, SourceKind};
use crate::error::{Context, Error, ErrorClass, Result, WithClass};
use crate::figures::catalogue::{Figure, compared};
use crate::record::{ObjectSummary, Status, read_journal, summarise};

/// Options that decide what is timed and scored, and must be the same; with their words in tables.
pub(super) const OPTIONS: [(&str, &str); 10] = [
    ("max-clip-frames", "frame cap"),
    ("objects", "way of tracking objects"),
    ("fill-holes", "hole filling"),
    ("threads", "threads"),
    ("cuda-graph", "CUDA graphs"),
    ("jpeg-decoder", "JPEG decoder"),
    ("limit-objects", "objects per video at most"),
    ("warmup", "warm-up rounds"),
    ("no-memory", "tracking without memory"),
    (REALTIME, "frames at a rate"),
];

/// The option that stands in `run.json` only where it was given.
const REALTIME: &str = "realtime";

/// Whether a folder holds a run.
pub(super) fn is_run(path: &Path) -> bool {
    path.join("journal.jsonl").is_file()
}

/// Reads it.
pub(super) fn read(path: &Path, label: String) -> Result<Source> {
    let journal = read_journal(&path.join("journal.jsonl")).map_err(|error| {
        // The texts of a damaged journal are about resuming; its class is what matters here.
        let class = match error.class() {
            ErrorClass::Usage | ErrorClass::Run => ErrorClass::Data,
            class => class,
        };
        Error::new(class, "").with_source(error)
    })?;
    let manifest = read_manifest(&path.join("run.json"))?;
    let mut facts = facts(&manifest);
    facts.started = facts.started.or(journal.started);
    let summary = summarise(&journal.rows);
    let rows: Vec<Row> = summary.objects.iter().map(row).collect();
    let baseline = baseline(path);
    facts.device = device(&manifest, &baseline, &summary.objects);
    if let Some(torch) = text(&baseline["torch"]) {
        facts.program = Some(format!("PyTorch {torch}"));
        // How masklet was built says nothing about a process that is PyTorch.
        facts.build_profile = None;
    }
    facts.backends = rows.iter().filter_map(|row| row.backend.clone()).collect();
    facts.simulated |= summary
        .objects
        .iter()
        .any(|object| object.row.backend.contains("simulated"));
    Ok(Source {
        label,
        path: path.display().to_string(),
        kind: SourceKind::RunFolder,
        facts,
        notes: journal.warning.into_iter().collect(),
        rows,
    })
}

fn read_manifest(path: &Path) -> Result<Value> {
    if !path.exists() {
        return Ok(Value::Null);
    }
    let text = std::fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).data(|| {
        format!(
            "{} is not JSON; restore it, or compare the folder's summary.csv",
            path.display()
        )
    })
}

/// What a PyTorch baseline said of itself when it began; null for other runs, and for one that said
/// nothing that can be read.
fn baseline(path: &Path) -> Value {
    let text = std::fs::read_to_string(path.join(crate::reference::baseline::record::FILE))
        .unwrap_or_default();
    let mut lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .find_map(|mut line| line.get_mut("hello").map(Value::take))
        .unwrap_or(Value::Null)
}

/// A string of an entry, which may be a reading (`{"value": …}`).
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => text(map.get("value")?),
        Value::Array(_) => Some(value.to_string()),
        other => Some(other.to_string()),
    }
}

fn facts(run: &Value) -> Facts {
    let environment = &run["environment"];
    let clocks = match &environment["clocks_fixed"]["value"] {
        Value::Bool(true) => Some("clocks fixed"),
        Value::Bool(false) => Some("clocks not fixed"),
        _ => None,
    };
    let power = [text(&environment["power_mode"]), clocks.map(str::to_owned)];
    let power: Vec<String> = power.into_iter().flatten().collect();
    let options = OPTIONS.iter().filter_map(|(name, _)| {
        let value = match run["options"].get(*name) {
            Some(value) => text(value)?,
            None if *name == REALTIME => "off".to_owned(),
            None => return None,
        };
        Some(((*name).to_owned(), value))
    });
    let bundles = run["bundles"].as_array().cloned().unwrap_or_default();
    let weights = bundles.iter().filter_map(|bundle| {
        let weights = bundle["weights"].to_string();
        Some((text(&bundle["name"])?, weights))
    });
    Facts {
        program: text(&environment["masklet_version"]).map(|version| format!("masklet {version}")),
        started: text(&run["started"]),
        state: text(&run["state"]),
        device: None,
        data: text(&run["options"]["split-dir"]),
        backends: BTreeSet::new(),
        power: (!power.is_empty()).then(|| power.join(", ")),
        simulated: run["backend"]["simulated"] == Value::Bool(true)
            || environment["stand_in"] == Value::Bool(true),
        build_profile: text(&environment["build_profile"]),
        options: options.collect(),
        weights: weights.collect(),
    }
}

fn rows_say_cpu(objects: &[ObjectSummary]) -> bool {
    objects
        .iter()
        .any(|object| object.row.backend.to_lowercase().contains("cpu"))
}

/// What the networks ran on. A CPU is named by its model, or two machines would look alike.
fn device(run: &Value, baseline: &Value, objects: &[ObjectSummary]) -> Option<String> {
    let environment = &run["environment"];
    let machine = text(&environment["jetson_model"]).or(text(&environment["cpu_model"]));
    let named = text(&run["backend"]["device"]).or(text(&baseline["device_name"]));
    if rows_say_cpu(objects)
        || named
            .as_deref()
            .is_some_and(|n| n.eq_ignore_ascii_case("cpu"))
    {
        return machine.map(|machine| format!("CPU of {machine}"));
    }
    match text(&environment["jetson_model"]) {
        // A Jetson's GPU calls itself Orin whatever the module.
        Some(jetson) => Some(jetson),
        None => named,
    }
}

fn row(object: &ObjectSummary) -> Row {
    let row = &object.row;
    let value = |figure: &'static Figure| {
        let value = figure.of_object?(object).number?;
        Some((figure.name, value))
    };
    Row {
        video: object.key.video.clone(),
        object: object.key.object.clone(),
        model: object.key.model.clone(),
        line: None,
        backend: Some(row.backend.clone()),
        failed: match &object.status {
            Status::Ok => None,
            Status::Failed { reason } => Some(reason.clone()),
        },
        image_size: Some(row.image_size),
        precision: Some(row.precision.clone()),
        frames: row.is_ok().then_some(row.frames),
        video_frames: Some(row.video_frames),
        input_size: Some(row.input_size),
        lockstep_objects: Some(row.lockstep_objects),
        frame_stride: Some(1),
        random_init_seed: row.random_init_seed,
        j_equals_f: false,
        figures: compared().filter_map(value).collect(),
    }
}
