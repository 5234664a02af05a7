//! The example of the library runs, and what it prints is what the command line finds.

use crate::support::{json, run};

#[path = "../../tools/examples/benchmark.rs"]
mod benchmark;

#[test]
fn the_example_scores_as_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    let jf = benchmark::run(folder.path()).unwrap();
    let at = |name: &str| folder.path().join(name);
    run(&at("split"), &at("cli"), &[]).ok();
    let read = |name: &str| json(&at(name).join("summary.json"));
    let percent = |name: &str| read(name)["models"][0]["official_percent"].clone();
    assert_eq!(percent("run"), percent("cli"));
    assert_eq!(percent("run")["JF"], jf);
    assert!(jf > 50.0, "{jf}");
}
