//! The parts that hold for any input; files are compared in `tests/compare.rs`.

use super::*;

/// A source of rows with these figures: (video, object, fps, official J&F in percent).
fn source(label: &str, rows: &[(&str, &str, f64, f64)]) -> Source {
    Source {
        label: label.to_owned(),
        path: label.to_lowercase(),
        kind: SourceKind::RunFolder,
        facts: Facts {
            device: Some("GPU".to_owned()),
            ..Facts::default()
        },
        notes: Vec::new(),
        rows: rows
            .iter()
            .map(|(video, object, fps, jf)| Row {
                video: (*video).to_owned(),
                object: (*object).to_owned(),
                model: "m_points".to_owned(),
                image_size: Some(1024),
                figures: [("fps", *fps), ("j", *jf), ("f", *jf), ("rss", fps * 1e6)].into(),
                ..Row::default()
            })
            .collect(),
    }
}

fn printed(comparison: &Comparison) -> String {
    use crate::render::{Style, sections};
    sections(
        &crate::report::of_comparison(comparison).sections,
        Style::PLAIN,
    )
}

fn figure<'a>(comparison: &'a Comparison, name: &str) -> &'a Change {
    let figures = &comparison.against[0].models[0].figures;
    figures.iter().find(|figure| figure.name == name).unwrap()
}

#[test]
fn means_ratios_and_maxima_of_a_worked_example() {
    let a = source(
        "A",
        &[
            ("u", "0", 10.0, 50.0),
            ("v", "000", 40.0, 70.0),
            ("w", "0", 1.0, 0.0),
        ],
    );
    // Object 0 of v was written 0 by a spreadsheet; w is only in A.
    let b = source("B", &[("v", "0", 40.0, 69.0), ("u", "0", 40.0, 52.0)]);
    let comparison = compare(vec![a, b], &CompareOptions::default()).unwrap();
    let fps = figure(&comparison, "fps");
    assert_eq!(fps.pairs, 2);
    for (found, expected) in [(fps.a, 20.0), (fps.b, 40.0), (fps.change, 2.0)] {
        assert!((found - expected).abs() < 1e-12, "{fps:?}");
    }
    let interval = fps.interval.unwrap();
    assert!((interval.low - 1.0).abs() < 1e-12 && (interval.high - 4.0).abs() < 1e-12);
    let jf = figure(&comparison, "jf");
    assert_eq!((jf.a, jf.b, jf.change), (60.0, 60.5, 0.5));
    assert_eq!(figure(&comparison, "rss").change, 1.0);
    let coverage = &comparison.against[0].models[0].coverage;
    assert_eq!(
        (coverage.only_in_a, coverage.only_in_b, coverage.videos),
        (1, 0, 2)
    );
}

#[test]
fn unlike_runs_have_no_figures_unless_asked_for() {
    let a = source("A", &[("u", "0", 10.0, 50.0)]);
    let mut b = source("B", &[("u", "0", 20.0, 50.0)]);
    b.rows[0].image_size = Some(512);
    let mut options = CompareOptions {
        thresholds: vec!["fps=0.9".parse().unwrap()],
        ..CompareOptions::default()
    };
    let comparison = compare(vec![a.clone(), b.clone()], &options).unwrap();
    assert_eq!(comparison.withheld(), 1);
    let text = printed(&comparison);
    assert!(text.contains("image size: 1024 in A, 512 in B"), "{text}");
    assert!(!text.contains("2.000x"), "{text}");
    options.anyway = true;
    let comparison = compare(vec![a, b], &options).unwrap();
    let text = printed(&comparison);
    let differences = text.find("image size: 1024 in A").unwrap();
    assert!(differences < text.find("2.000x").unwrap(), "{text}");
    assert!(text.contains(" * "), "{text}");
}

#[test]
fn every_kind_of_difference_is_named() {
    type Change = fn(&mut Source);
    let cases: [(&str, bool, Change); 14] = [
        ("data", false, |s| s.facts.data = Some("/davis".into())),
        ("precision", true, |s| {
            s.rows[0].precision = Some("bf16".into())
        }),
        ("frames of the object", true, |s| {
            s.rows[0].frames = Some(300)
        }),
        ("video size", true, |s| {
            s.rows[0].input_size = Some([720, 1280])
        }),
        ("objects per frame", true, |s| {
            s.rows[0].lockstep_objects = Some(3)
        }),
        ("frame stride", true, |s| s.rows[0].frame_stride = Some(6)),
        ("device", true, |s| {
            s.facts.device = Some("another GPU".into())
        }),
        ("device", true, |s| s.facts.device = None),
        ("power mode", true, |s| s.facts.power = Some("15W".into())),
        ("build", true, |s| {
            s.facts.build_profile = Some("debug".into())
        }),
        ("simulated device", true, |s| s.facts.simulated = true),
        ("unfinished run", false, |s| {
            s.facts.state = Some("interrupted".into())
        }),
        ("random weights", false, |s| {
            s.rows[0].random_init_seed = Some(7)
        }),
        ("model or prompt", true, |s| {
            s.rows[0].model = "m_bbox".into()
        }),
    ];
    let mut like = source("A", &[("u", "0", 10.0, 50.0)]);
    like.facts.power = Some("MAXN".into());
    like.facts.data = Some("/sav_val".into());
    like.facts.build_profile = Some("release".into());
    let row = &mut like.rows[0];
    row.precision = Some("fp32".into());
    (row.frames, row.input_size) = (Some(100), Some([480, 640]));
    (row.lockstep_objects, row.frame_stride) = (Some(1), Some(1));
    let alike = compare(vec![like.clone(), like.clone()], &CompareOptions::default()).unwrap();
    assert_eq!(alike.against[0].differences, []);
    for (what, blocks, change) in cases {
        let mut other = like.clone();
        other.label = "B".to_owned();
        change(&mut other);
        let found = compare(vec![like.clone(), other], &CompareOptions::default()).unwrap();
        let named = found.against[0].differences.iter().find(|d| d.what == what);
        assert_eq!(named.map(|d| d.blocks), Some(blocks), "{what}: {found:#?}");
    }
}

#[test]
fn thresholds_hold_fail_and_say_how_sure() {
    let a = source(
        "A",
        &[
            ("u", "0", 10.0, 50.0),
            ("v", "0", 10.0, 60.0),
            ("w", "0", 10.0, 70.0),
        ],
    );
    let mut b = source(
        "B",
        &[
            ("u", "0", 9.0, 49.0),
            ("v", "0", 10.0, 60.0),
            ("w", "0", 11.0, 70.0),
        ],
    );
    let judged = |b: &Source, thresholds: &[&str]| {
        let options = CompareOptions {
            thresholds: thresholds.iter().map(|t| t.parse().unwrap()).collect(),
            ..CompareOptions::default()
        };
        compare(vec![a.clone(), b.clone()], &options)
    };
    let found = judged(
        &b,
        &["fps=0.95", "fps=0.5", "jf=-0.5", "jf=-0.2", "rss=1.05"],
    )
    .unwrap();
    let verdicts: Vec<_> = found.against[0]
        .verdicts
        .iter()
        .map(|v| (v.holds, v.sure))
        .collect();
    assert_eq!(
        verdicts,
        [
            (true, Some(false)),
            (true, Some(true)),
            (true, Some(false)),
            (false, Some(false)),
            (false, None)
        ]
    );
    assert!(!found.passes());
    assert!(judged(&b, &["fps=0.95"]).unwrap().passes());
    // What no longer works is a regression whatever the others say.
    b.rows[0].failed = Some("out of memory".to_owned());
    assert!(!judged(&b, &["fps=0.95"]).unwrap().passes());
    let error = judged(&b, &["setup=1.1"]).unwrap_err().to_string();
    assert!(
        error.contains("always be open") && error.contains("fps"),
        "{error}"
    );
    for (text, says) in [
        ("fps", "NAME=LIMIT"),
        ("speed=1", "there are "),
        ("fps=fast", "not a number"),
        ("fps=-5", "loss of 5 %"),
        ("jf=nan", "not a number"),
    ] {
        let error = text.parse::<Threshold>().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn labels_do_not_end_with_the_alphabet() {
    assert_eq!(
        (label(0), label(25), label(26)),
        ("A".into(), "Z".into(), "27".into())
    );
}

#[test]
fn pytorchs_allocator_stands_beside_the_arena_of_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, row: &crate::record::ObjectRow| {
        let manifest = crate::record::samples::manifest();
        let opened = crate::record::RunFolder::create(
            folder.path(),
            name,
            &manifest,
            crate::spec::OpenMode::New,
        );
        let mut run = opened.unwrap().folder;
        run.append(std::slice::from_ref(row)).unwrap();
        run.finish(crate::record::RunState::Finished).unwrap();
        read_source(&folder.path().join(name), name.to_owned()).unwrap()
    };
    let mut row = crate::record::samples::row("v", "1", "edgetam_points");
    let memory = row.memory.as_mut().unwrap();
    memory.arena.as_mut().unwrap().on_device = true;
    let ours = write("ours", &row);
    let memory = row.memory.as_mut().unwrap();
    memory.arena = None;
    let of = crate::machine::Reading::of;
    memory.allocator = Some(crate::record::AllocatorMarks {
        allocated_peak_bytes: of(96 << 20),
        reserved_peak_bytes: of(128 << 20),
        inactive_split_peak_bytes: of(0),
        alloc_retries: of(0),
        ooms: of(0),
        driver_used_peak_bytes: of(0),
    });
    let theirs = write("theirs", &row);
    let options = CompareOptions {
        anyway: true,
        ..CompareOptions::default()
    };
    let comparison = compare(vec![ours, theirs], &options).unwrap();
    assert_eq!(figure(&comparison, "gpu_alloc").change, 2.0);
    assert_eq!(figure(&comparison, "gpu_reserved").change, 2.0);
}
