//! What the clocks ran over, and on what, with what and how the run was made.

use serde_json::Value;

use super::super::html::{Cell, escape, missing, nothing, section, table};
use super::super::record::RunRecord;
use crate::figures::stats;

/// The section of the timed regions.
pub(in crate::report) fn timed(record: &RunRecord) -> String {
    let regions = record.manifest["timed_region"].as_array();
    let rows: Vec<Vec<Cell>> = regions
        .into_iter()
        .flatten()
        .map(|region| {
            let counts: Vec<&str> = region["counts_in"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            vec![
                Cell::text(region["name"].as_str().unwrap_or_default()),
                Cell::text(region["inside"].as_str().unwrap_or_default()).classed("long"),
                Cell::text(&counts.join(", ")),
            ]
        })
        .collect();
    let body = match rows.is_empty() {
        true => nothing("There is no run.json, which would say it."),
        false => table(
            "timed-regions",
            &["clock", "what runs while it runs", "counts in"].map(Cell::text),
            &rows,
        ),
    };
    let lead = "Which work each clock measures. Every model is timed alike.";
    section("timed", "What was timed", lead, &body)
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
pub(in crate::report) fn environment(record: &RunRecord) -> String {
    let run = &record.manifest;
    let lead = "Machine, programs, models and options, as run.json has them.";
    if run.is_null() {
        let why = "There is no run.json, which would say it.";
        return section("environment", "Environment", lead, &nothing(why));
    }
    let machine = ENVIRONMENT.iter().map(|(place, words)| {
        let found = run.pointer(place).unwrap_or(&Value::Null);
        (*words, entry(place, found))
    });
    let mut body = pairs(machine);
    let bundles: Vec<Vec<Cell>> = run["bundles"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|bundle| {
            let hash = bundle["sha256"].as_str().unwrap_or_default();
            vec![
                Cell::text(bundle["name"].as_str().unwrap_or_default()),
                Cell::text(&format!("{} pixels", plain(&bundle["image_size"]))),
                Cell::text(bundle["precision"].as_str().unwrap_or_default()),
                Cell::text(&weights(&bundle["weights"])).classed("long"),
                Cell::text(&hash.chars().take(12).collect::<String>()),
            ]
        })
        .collect();
    if !bundles.is_empty() {
        let head = ["model", "image side", "precision", "weights", "SHA-256"].map(Cell::text);
        body.push_str("<h3>Models</h3>");
        body.push_str(&table("bundles", &head, &bundles));
    }
    for (name, heading) in [
        ("options", "Options that decide what comes out"),
        ("free_options", "Options that do not"),
    ] {
        let options = run[name].as_object().into_iter().flatten();
        let shown: Vec<(&str, String)> = options
            .map(|(name, value)| (name.as_str(), escape(&plain(value))))
            .collect();
        if !shown.is_empty() {
            body.push_str(&format!("<h3>{heading}</h3>"));
            body.push_str(&pairs(shown.into_iter()));
        }
    }
    section("environment", "Environment", lead, &body)
}

/// Names and their values, which are HTML.
fn pairs<'a>(entries: impl Iterator<Item = (&'a str, String)>) -> String {
    let items: String = entries
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{value}</dd></div>", escape(name)))
        .collect();
    format!("<dl class=\"pairs\">{items}</dl>\n")
}

/// A value that may be a reading (`{"value": …}` or `{"value": null, "reason": …}`), as HTML.
fn entry(place: &str, found: &Value) -> String {
    let value = match found {
        Value::Object(reading) => reading.get("value").unwrap_or(&Value::Null),
        other => other,
    };
    if value.is_null() {
        let why = found.get("reason").and_then(Value::as_str);
        return missing(why.unwrap_or("not recorded"));
    }
    let text = match (place, value.as_f64()) {
        ("/environment/memory_total_bytes", Some(bytes)) => stats::bytes(bytes as u64),
        ("/environment/uptime_s", Some(seconds)) => {
            format!("{:.1} hours before the run", seconds / 3600.0)
        }
        _ => plain(value),
    };
    escape(&text)
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
        assert_eq!(entry(path, &json!({"value": 2147483648_u64})), "2.00 GiB");
        let none = entry("/x", &json!({"value": null, "reason": "no <sensor>"}));
        assert!(
            none.contains("&ndash;") && none.contains("no &lt;sensor&gt;"),
            "{none}"
        );
        assert!(entry("/x", &Value::Null).contains("not recorded"));
        assert_eq!(entry("/x", &json!("a&b")), "a&amp;b");
        assert_eq!(plain(&json!(["a", 2, true])), "a, 2, yes");
        assert_eq!(
            weights(&json!({"source": "random-init", "seed": 7})),
            "random initialisation, seed 7"
        );
    }
}
