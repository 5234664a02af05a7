//! Building a bundle's engines with the real TensorRT-RTX: cache, lock, interruption, limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use masklet_engines::bundle::{Bundle, Component};
use masklet_engines::engine::{
    BuildHost, BuildPlan, BuildSettings, BuildWatch, EngineError, EngineStore, build_bundle,
    parse_compute_capabilities,
};
use masklet_engines::tensorrt::{BuildProgress, ErrorKind, Target};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts components and stops when told to.
#[derive(Default)]
struct Watch {
    components: AtomicU32,
    waits: AtomicU32,
    steps: AtomicU32,
    stop_after_steps: Option<u32>,
}

impl BuildProgress for Watch {
    fn start(&self, _: &str, _: &str, _: u32) {}
    fn step(&self, _: &str, _: u32) -> bool {
        let done = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        self.stop_after_steps.is_none_or(|most| done < most)
    }
    fn finish(&self, _: &str) {}
}

impl BuildWatch for Watch {
    fn waiting(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }
    fn component(&self, _: &str, _: usize, _: usize, _: Option<f64>) {
        self.components.fetch_add(1, Ordering::Relaxed);
    }
}

fn host() -> Option<BuildHost> {
    let library = support::rtx()?;
    Some(BuildHost::new(
        library,
        None,
        Target::Capabilities(vec![(8, 9)]),
    ))
}

/// The lowest level: what is tested here is not how good the engines are.
fn settings() -> BuildSettings {
    BuildSettings {
        optimization_level: Some(0),
        ..BuildSettings::default()
    }
}

fn plans(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for inner in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(inner.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            names.push(file.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

#[test]
fn all_means_every_gpu_that_fp32_can_be_built_for_and_others_are_refused() {
    let Some(library) = support::rtx() else {
        return;
    };
    library.runs_on("an RTX 4090", (8, 9)).unwrap();
    let hopper = library.runs_on("NVIDIA H200", (9, 0)).unwrap_err();
    let text = hopper.to_string();
    assert!(text.contains("does not run on NVIDIA H200 (9.0)"), "{text}");
    let all = parse_compute_capabilities("all").unwrap();
    let host = BuildHost::new(library, None, Target::Capabilities(all));
    let folder = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(folder.path()));
    let bundle = Bundle::embedded().unwrap();
    let built = build_bundle(&store, &host, &bundle, &settings(), &Watch::default()).unwrap();
    assert_eq!(built.len(), Component::ALL.len());
}

#[test]
fn two_builds_at_once_build_everything_once_and_the_next_is_a_no_op() {
    let Some(host) = host() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let (a, b) = (Watch::default(), Watch::default());
    std::thread::scope(|scope| {
        for watch in [&a, &b] {
            let (store, host, bundle) = (&store, &host, &bundle);
            scope.spawn(move || {
                let built = build_bundle(store, host, bundle, &settings(), watch).unwrap();
                assert_eq!(built.len(), Component::ALL.len());
            });
        }
    });
    let built = a.components.into_inner() + b.components.into_inner();
    assert_eq!(built as usize, Component::ALL.len());
    assert!(store.verify().unwrap().problems.is_empty());
    let files = plans(dir.path());
    assert_eq!(files.len(), 2 * Component::ALL.len(), "{files:?}");

    let watch = Watch::default();
    let again = build_bundle(&store, &host, &bundle, &settings(), &watch).unwrap();
    assert!(again.iter().all(|built| !built.new));
    assert_eq!(watch.components.into_inner(), 0);
    assert_eq!(files, plans(dir.path()));

    // Another option is another engine; --force builds what is there.
    let missing = |settings: &BuildSettings| {
        BuildPlan::new(&store, &host, &bundle, settings)
            .missing
            .len()
    };
    assert_eq!(missing(&settings()), 0);
    let all = Component::ALL.len();
    let other = BuildSettings {
        workspace_bytes: 1 << 30,
        ..settings()
    };
    assert_eq!(missing(&other), all);
    let forced = BuildSettings {
        force: true,
        ..settings()
    };
    assert_eq!(missing(&forced), all);
}

#[test]
fn an_interrupted_build_leaves_no_half_plan() {
    let Some(host) = host() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let watch = Watch {
        stop_after_steps: Some(3),
        ..Watch::default()
    };
    let error = build_bundle(&store, &host, &bundle, &settings(), &watch).unwrap_err();
    assert!(
        matches!(&error, EngineError::TensorRt(e) if *e.kind() == ErrorKind::Cancelled),
        "{error}"
    );
    assert_eq!(plans(dir.path()), [""; 0]);
}

#[test]
fn a_limit_just_under_the_need_is_refused_with_component_need_and_limit() {
    let Some(host) = host() else { return };
    let bundle = Bundle::embedded().unwrap();
    let build = |workspace_bytes: u64| {
        let dir = tempfile::tempdir().unwrap();
        let store = EngineStore::open(Some(dir.path()));
        let settings = BuildSettings {
            workspace_bytes,
            ..settings()
        };
        // The image encoder is the first component.
        let watch = FirstOnly::default();
        let built = build_bundle(&store, &host, &bundle, &settings, &watch);
        let first = store
            .list()
            .unwrap()
            .into_iter()
            .find(|e| e.sidecar.component == "image_encoder");
        (first, built.err())
    };
    // TensorRT allows a little more than it is told; a mebibyte below is below.
    let (engine, _) = build(256 << 20);
    let taken = engine.unwrap().sidecar.build.activation_bytes.unwrap();
    let limit = taken - (1 << 20);
    let (engine, error) = build(limit);
    assert!(engine.is_none());
    let error = error.unwrap();
    let text = error.to_string();
    println!("{text}");
    let EngineError::TensorRt(error) = error else {
        panic!("{error:?}");
    };
    let ErrorKind::Workspace {
        needed_bytes: Some(needed),
    } = *error.kind()
    else {
        panic!("{error:?}");
    };
    assert!(text.contains("raise --workspace to at least"), "{text}");
    // Given plenty, it may take more than it needs.
    assert!(
        limit < needed && needed <= taken,
        "{limit} {needed} {taken}"
    );
    let (engine, _) = build(needed);
    assert!(engine.is_some(), "what is said to be needed is enough");
    assert!(text.contains("image_encoder of edgetam_small"), "{text}");
    assert!(text.contains(&needed.to_string()), "{text}");
    assert!(text.contains(&limit.to_string()), "{text}");

    // Far below TensorRT does not say what it needs, and neither do we.
    let (_, error) = build(4096);
    let text = error.unwrap().to_string();
    assert!(
        text.contains("image_encoder of edgetam_small") && text.contains("4096"),
        "{text}"
    );
}

/// Ends the build when the second component begins.
#[derive(Default)]
struct FirstOnly {
    second: std::sync::atomic::AtomicBool,
}

impl BuildProgress for FirstOnly {
    fn start(&self, _: &str, _: &str, _: u32) {}
    fn step(&self, _: &str, _: u32) -> bool {
        !self.second.load(Ordering::Relaxed)
    }
    fn finish(&self, _: &str) {}
}

impl BuildWatch for FirstOnly {
    fn waiting(&self) {}
    fn component(&self, _: &str, index: usize, _: usize, _: Option<f64>) {
        self.second.store(index > 0, Ordering::Relaxed);
    }
}
