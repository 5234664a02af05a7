//! `masklet parity` as a user runs it: against transformers' model in PyTorch, and where there is
//! nothing to compare. The comparison on a device is in `simulated.rs`.

use crate::support::{ROOT, Ran, Run, copy_tree, embedded_bundle, json, masklet, program, python};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn against_pytorch(python: &Path, more: &[&str]) -> Ran {
    let mut command = program();
    command.arg("parity").args(more);
    command.args(["--against", "pytorch", "--backend", "cpu", "--frames", "4"]);
    command.arg("--python").arg(python);
    command.arg("--tools").arg(Path::new(ROOT).join("tools"));
    command.ran()
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

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn the_embedded_bundle_computes_what_transformers_computes() {
        let Some(python) = python() else { return };
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("parity.json");
        let more = ["--json", page.to_str().unwrap()];
        let ran = against_pytorch(&python, &more);
        assert_eq!(ran.code, 0, "{ran:?}");
        for word in [
            "image encoder",
            "memory attention + decoder",
            "Both sides agree",
        ] {
            assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
        }
        let found = json(&page);
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
        copy_tree(&embedded_bundle(), &bundle);
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
}
