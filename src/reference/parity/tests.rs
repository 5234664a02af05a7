use super::*;
use masklet_engines::bundle::{Bundle, Component};

fn call(component: Component, outputs: Vec<Values>) -> Call {
    Call {
        component,
        inputs: Vec::new(),
        outputs,
    }
}

fn memory(values: &[f32]) -> Vec<Values> {
    vec![Values::F32(values.to_vec())]
}

#[test]
fn differences_are_what_the_formulas_say() {
    let bundle = Bundle::embedded().unwrap();
    let calls = [
        call(Component::MemoryEncoder, memory(&[1.0, 2.0, 3.0, 5.0])),
        call(Component::MemoryEncoder, memory(&[0.0, 0.0])),
    ];
    let reference = [memory(&[1.0, 2.0, 3.0, 4.0]), memory(&[0.0, 2.0])];
    let rows = Differences::of(bundle.manifest(), &calls, &reference).unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.output.as_str(), row.calls), ("mem_out", 2));
    assert_eq!(row.max_abs, 2.0);
    assert_eq!(row.mean_abs, 0.5);
    // numpy: std([1, 2, 3, 4, 0, 2]), and the cosine with [1, 2, 3, 5, 0, 0].
    assert!((row.spread - 1.290_994_448_735_805_6).abs() < 1e-12);
    assert!((row.of_spread - 2.0 / 1.290_994_448_735_805_6).abs() < 1e-12);
    assert!((row.cosine - 34.0 / (39f64.sqrt() * 34f64.sqrt())).abs() < 1e-12);
}

#[test]
fn a_value_that_is_not_finite_is_never_within_tolerance() {
    let bundle = Bundle::embedded().unwrap();
    let calls = [call(Component::MemoryEncoder, memory(&[f32::NAN, 1.0]))];
    let rows = Differences::of(bundle.manifest(), &calls, &[memory(&[0.0, 1.0])]).unwrap();
    assert_eq!(rows[0].of_spread, f64::INFINITY);
}

#[test]
fn calls_are_kept_evenly_however_many_there_are() {
    let recording = Recording::default();
    assert!(
        recording.kept_of(100).is_empty(),
        "nothing before it begins"
    );
    recording.begin(4);
    assert_eq!(recording.kept_of(3), [0, 1, 2]);
    recording.begin(4);
    assert_eq!(recording.kept_of(30), [0, 8, 16, 24]);
}
