//! Building a bundle's engines with the real TensorRT-RTX: cache, lock, interruption, limits.

mod support;

use masklet_engines::bundle::{Bundle, Component};
use masklet_engines::engine::{
    BuildHost, BuildPlan, BuildSettings, BuildWatch, EngineError, EngineStore, build_bundle,
};
use masklet_engines::tensorrt::{BuildProgress, Target, TensorRtError};
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
    fn component(&self, _: &str, _: usize, _: usize) {
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
    assert!(store.verify().is_empty());
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
        matches!(
            error,
            EngineError::TensorRt(TensorRtError::Interrupted { .. })
        ),
        "{error}"
    );
    assert_eq!(plans(dir.path()), [""; 0]);
}

#[test]
fn a_limit_just_under_the_need_is_refused_with_component_need_and_limit() {
    let Some(host) = host() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let with = |workspace_bytes| BuildSettings {
        workspace_bytes,
        ..settings()
    };
    let error = build_bundle(&store, &host, &bundle, &with(4096), &Watch::default()).unwrap_err();
    println!("{error}");
    let EngineError::TensorRt(TensorRtError::Workspace {
        graph,
        limit_bytes,
        needed_bytes,
    }) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(*limit_bytes, 4096);
    let text = error.to_string();
    assert!(graph.contains(" of edgetam_mini"), "{text}");
    assert!(text.contains(&needed_bytes.to_string()), "{text}");
    assert!(text.contains("--workspace"), "{text}");
}
