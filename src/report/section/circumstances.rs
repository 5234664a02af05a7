//! What the clocks ran over, and on what, with what and how the run was made.

use serde_json::Value;

use super::super::record::RunRecord;
use crate::figures::stats;
use crate::render::{Block, Cell, Section, Table};

const NO_MANIFEST: &str = "There is no run.json, which would contain it.";

fn strings(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// The section of the timed regions.
pub(in crate::report) fn timed(record: &RunRecord) -> Section {
    let regions = record.manifest["timed_region"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows: Vec<[Cell; 3]> = regions
        .into_iter()
        .flatten()
        .map(|region| {
            [
                Cell::text(text(&region["name"])),
                Cell::long(text(&region["inside"])),
                Cell::text(strings(&region["counts_in"]).join(", ")),
            ]
        })
        .collect();
    let body = if rows.is_empty() {
        Block::nothing(NO_MANIFEST)
    } else {
        let head = ["clock", "what runs while it runs", "counts in"].map(Cell::text);
        Block::Table(Table::new("timed-regions", head).with_rows(rows))
    };
    let lead = "Which work each clock measures. Every model is timed alike.";
    Section::new(
        "timed",
        "What was timed",
        "What was timed",
        lead,
        vec![body],
    )
}

/// Entries of the environment: place in `run.json`, and words.
const ENVIRONMENT: [(&str, &str); 17] = [
    ("/backend/device", "device"),
    ("/backend/runtime", "runtime"),
    ("/backend/kind", "backend"),
    ("/backend/threads", "threads of the backend"),
    ("/environment/jetson_model", "Jetson"),
    ("/environment/l4t_release", "L4T release"),
    ("/environment/power_mode", "power mode"),
    ("/environment/clocks_fixed", "clocks fixed (jetson_clocks)"),
    ("/environment/cpu_model", "CPU"),
    ("/environment/cores", "CPU cores for this process"),
    ("/environment/memory_total_bytes", "memory of the system"),
    ("/environment/os", "operating system"),
    ("/environment/kernel", "kernel"),
    ("/environment/uptime_s", "up since"),
    ("/environment/masklet_version", "masklet"),
    ("/environment/git_describe", "sources"),
    ("/environment/build_profile", "build"),
];

/// The section of the environment, models and options.
pub(in crate::report) fn environment(record: &RunRecord) -> Section {
    let run = &record.manifest;
    let section = |blocks| {
        let lead = "Machine, programs, models and options, from run.json.";
        Section::new("environment", "Environment", "Environment", lead, blocks)
    };
    if run.is_null() {
        return section(vec![Block::nothing(NO_MANIFEST)]);
    }
    let machine = ENVIRONMENT.iter().map(|(place, words)| {
        let found = run.pointer(place).unwrap_or(&Value::Null);
        ((*words).to_owned(), entry(place, found))
    });
    let mut blocks = vec![Block::Pairs(machine.collect())];
    let bundles: Vec<[Cell; 5]> = run["bundles"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|bundle| {
            let text = |name: &str| bundle[name].as_str().unwrap_or_default();
            [
                Cell::text(text("name")),
                Cell::text(format!("{} pixels", plain(&bundle["image_size"]))),
                Cell::text(text("precision")),
                Cell::long(weights(&bundle["weights"])),
                Cell::text(text("sha256").chars().take(12).collect::<String>()),
            ]
        })
        .collect();
    if !bundles.is_empty() {
        let head = ["model", "image side", "precision", "weights", "SHA-256"].map(Cell::text);
        blocks.push(Block::heading("Models"));
        blocks.push(Block::Table(Table::new("bundles", head).with_rows(bundles)));
    }
    for (name, heading) in [
        ("options", "Options that decide the results"),
        ("free_options", "Other options"),
    ] {
        let options = run[name].as_object().into_iter().flatten();
        let shown: Vec<(String, Cell)> = options
            .map(|(name, value)| (name.clone(), Cell::text(plain(value))))
            .collect();
        if !shown.is_empty() {
            blocks.push(Block::heading(heading));
            blocks.push(Block::Pairs(shown));
        }
    }
    section(blocks)
}

/// A value that may be a reading (`{"value": …}` or `{"value": null, "reason": …}`).
fn entry(place: &str, found: &Value) -> Cell {
    let value = match found {
        Value::Object(reading) => reading.get("value").unwrap_or(&Value::Null),
        other => other,
    };
    if value.is_null() {
        let why = found.get("reason").and_then(Value::as_str);
        return Cell::missing(why.unwrap_or("not recorded"));
    }
    Cell::text(match (place, value.as_f64()) {
        ("/environment/memory_total_bytes", Some(bytes)) => stats::bytes(bytes as u64),
        ("/environment/uptime_s", Some(seconds)) => {
            format!("{:.1} hours before the run", seconds / 3600.0)
        }
        _ => plain(value),
    })
}

/// A JSON value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "\u{2013}".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) if items.is_empty() => "\u{2013}".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn weights(weights: &Value) -> String {
    let text = |name: &str| plain(&weights[name]);
    match weights["source"].as_str() {
        Some("random-init") => format!("random initialisation, seed {}", text("seed")),
        Some("checkpoint") => format!("checkpoint {}", text("file")),
        Some("trained") => text("note"),
        _ => "\u{2013}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn readings_are_values_or_a_dash_with_the_reason() {
        let path = "/environment/memory_total_bytes";
        assert_eq!(
            entry(path, &json!({"value": 2147483648_u64})).text,
            "2.00 GiB"
        );
        let none = entry("/x", &json!({"value": null, "reason": "no <sensor>"}));
        assert_eq!((none.missing, none.hint.as_str()), (true, "no <sensor>"));
        assert_eq!(entry("/x", &Value::Null).hint, "not recorded");
        assert_eq!(entry("/x", &json!("a&b")).text, "a&b");
        assert_eq!(plain(&json!(["a", 2, true])), "a, 2, yes");
        assert_eq!(
            weights(&json!({"source": "random-init", "seed": 7})),
            "random initialisation, seed 7"
        );
    }
}
