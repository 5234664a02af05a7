mod support;
use masklet_engines::bundle::{Bundle, Component};
use masklet_engines::tensorrt::*;
#[test]
fn scratch() {
    let library = support::rtx().unwrap();
    let bundle = match std::env::var("B") {
        Ok(b) => Bundle::open(b.as_ref()).unwrap(),
        _ => Bundle::embedded().unwrap(),
    };
    let limits: Vec<u64> = std::env::var("LIMITS")
        .unwrap()
        .split(',')
        .map(|x| x.parse().unwrap())
        .collect();
    for component in Component::ALL {
        if std::env::var("C").is_ok_and(|c| c != component.name()) {
            continue;
        }
        for &limit in &limits {
            let mut b = Builder::new(&library).unwrap();
            let o = BuildOptions {
                workspace_bytes: limit,
                profiling: ProfilingVerbosity::LayerNames,
                optimization_level: None,
                tf32: false,
                target: Target::Capabilities(vec![(8, 9)]),
            };
            eprintln!("=== {} limit {limit}", component.name());
            match b.build(
                component.name(),
                &bundle.graph(component).unwrap(),
                &o,
                &Unwatched,
            ) {
                Ok(p) => eprintln!(
                    "ok {} {:?} act {:?} w {:?} skipped {} warn {:?}",
                    p.bytes.len(),
                    p.took,
                    p.facts.activation_bytes,
                    p.facts.weight_bytes,
                    p.facts.tactics_skipped,
                    p.facts.warnings
                ),
                Err(e) => eprintln!("ERR {e}"),
            }
        }
    }
}
