//! `masklet parity` as a user runs it: against transformers' model in PyTorch, and where there is
//! nothing to compare. The comparison on a device is in `simulated.rs`.

use crate::support::{Ran, masklet};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Python with the exporter's packages; `None` (and a line) where there is none.
fn python() -> Option<PathBuf> {
    let path = std::env::var_os("MASKLET_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"),
        PathBuf::from,
    );
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: no {} (tools/setup --python)", path.display());
    None
}

fn against_pytorch(python: &Path, more: &[&str]) -> Ran {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tools");
    let python = python.display().to_string();
    let mut args = vec!["parity"];
    args.extend(more);
    args.extend(["--against", "pytorch", "--python", &python]);
    args.extend(["--tools", tools, "--backend", "cpu", "--frames", "4"]);
    masklet(&args)
}

#[test]
fn the_embedded_bundle_computes_what_transformers_computes() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("parity.json").display().to_string();
    let more = ["--json", json.as_str()];
    let ran = against_pytorch(&python, &more);
    assert_eq!(ran.code, 0, "{ran:?}");
    for word in [
        "image encoder",
        "memory attention + decoder",
        "Both sides agree",
    ] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    let found: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let components = found["components"].as_array().unwrap();
    let names: std::collections::BTreeSet<_> = components
        .iter()
        .map(|row| row["component"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 5, "every component ran: {names:?}");
    // Two runtimes never agree to the bit: zeros everywhere would mean that nothing was compared.
    assert!(
        components
            .iter()
            .any(|row| row["max_abs"].as_f64().unwrap() > 0.0)
    );
    assert_eq!(
        found["clip"].as_array().unwrap().len(),
        6,
        "two objects, three prompts"
    );
    assert_eq!(found["failures"], Value::Array(Vec::new()));
}

#[test]
fn other_weights_are_found_out() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/bundles/edgetam_small");
    for entry in fs::read_dir(embedded).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, bundle.join(path.file_name().unwrap())).unwrap();
        }
    }
    let manifest = bundle.join("bundle.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let start = text.find("[weights]").unwrap();
    let end = start + text[start..].find("[exporter]").unwrap();
    let wrong = "[weights]\nsource = \"random-init\"\nseed = 44\n\n";
    fs::write(&manifest, [&text[..start], wrong, &text[end..]].concat()).unwrap();
    let ran = against_pytorch(&python, &[&bundle.display().to_string()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("They do NOT agree"), "{}", ran.stdout);
    assert!(ran.stdout.contains("of its spread"), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_compared_is_said_in_a_sentence() {
    let ran = masklet(&["parity", "--backend", "cpu"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--reference"), "{ran:?}");
    // One that is not there, and one that ends without a word.
    for python in ["/nowhere/python", "/bin/false"] {
        let ran = masklet(&[
            "parity",
            "--backend",
            "cpu",
            "--against",
            "pytorch",
            "--python",
            python,
        ]);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains("MASKLET_PYTHON"), "{ran:?}");
    }
}
