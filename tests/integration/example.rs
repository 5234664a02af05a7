//! The example of the library runs, and what it prints is what the command line finds.

use crate::support::*;

#[path = "../../tools/examples/benchmark.rs"]
mod benchmark;

#[test]
fn the_example_scores_as_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    let jf = benchmark::run(folder.path()).unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let ran = masklet(&["run", "--split-dir", &at("split"), "--out-dir", &at("cli")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let read = |name: &str| -> serde_json::Value {
        let text = std::fs::read(folder.path().join(name).join("summary.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let percent = |name: &str| read(name)["models"][0]["official_percent"].clone();
    assert_eq!(percent("run"), percent("cli"));
    assert_eq!(percent("run")["JF"], jf);
    assert!(jf > 50.0, "{jf}");
}
