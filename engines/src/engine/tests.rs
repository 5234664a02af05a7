use super::sidecar::BuildRecord;
use super::*;
use crate::bundle::{Bundle, Component, Precision};
use crate::tensorrt::{BuildOptions, DeviceIdentity, Flavour, ProfilingVerbosity, Target};
use std::path::Path;

fn orin() -> DeviceIdentity {
    DeviceIdentity {
        name: "Orin".to_owned(),
        compute_capability: (8, 7),
        multiprocessors: 16,
        memory_bytes: 65_795_194_880,
        l2_bytes: 4 << 20,
    }
}

fn jetpack() -> TensorRtFields {
    TensorRtFields {
        flavour: Flavour::TensorRt,
        version: "10.3.0.30".to_owned(),
    }
}

fn here() -> Device {
    Device {
        tensorrt: jetpack(),
        identity: orin(),
    }
}

fn options() -> BuildOptions {
    BuildOptions {
        workspace_bytes: 256 << 20,
        profiling: ProfilingVerbosity::LayerNames,
        optimization_level: None,
        tf32: false,
        target: Target::Current,
    }
}

fn fields(bundle: &Bundle) -> KeyFields {
    KeyFields::new(
        bundle.component(Component::TrackStep),
        bundle.manifest().precision,
        &options(),
        jetpack(),
        Some(&orin()),
    )
}

fn record(finished_unix_s: u64) -> BuildRecord {
    BuildRecord {
        seconds: 1.5,
        finished_unix_s,
        masklet: "0".to_owned(),
        network_layers: 3,
        activation_bytes: Some(1 << 20),
        weight_bytes: None,
        tactics_skipped: 0,
        mem_available_bytes: None,
        warnings: Vec::new(),
        machine: std::collections::BTreeMap::new(),
    }
}

fn put(store: &EngineStore, bundle: &Bundle, fields: KeyFields, plan: &[u8]) -> StoredEngine {
    store
        .put(bundle.manifest(), "track_step", fields, plan, record(1))
        .unwrap()
}

fn find(
    store: &EngineStore,
    bundle: &Bundle,
    device: &Device,
) -> Result<StoredEngine, EngineError> {
    store.find(
        Wanted {
            bundle,
            component: Component::TrackStep,
        },
        device,
        None,
    )
}

#[test]
fn every_field_decides_the_key() {
    let bundle = Bundle::embedded().unwrap();
    let base = fields(&bundle);
    let mut keys = vec![("base", base.key())];
    let mut changed = |what, change: &dyn Fn(&mut KeyFields)| {
        let mut fields = base.clone();
        change(&mut fields);
        keys.push((what, fields.key()));
    };
    changed("onnx", &|f| f.onnx_sha256 = "0".repeat(64));
    changed("precision", &|f| f.precision = Precision::Bf16);
    changed("input shape", &|f| f.inputs[0].shape[0] = 2);
    changed("output shape", &|f| f.outputs[0].shape[0] = 2);
    changed("workspace", &|f| f.options.workspace_bytes += 1);
    changed("profiling", &|f| {
        f.options.profiling = ProfilingVerbosity::Detailed;
    });
    changed("optimisation", &|f| f.options.optimization_level = Some(5));
    changed("tf32", &|f| f.options.tf32 = true);
    changed("flavour", &|f| f.tensorrt.flavour = Flavour::Rtx);
    changed("version", &|f| f.tensorrt.version = "10.3.0.31".to_owned());
    changed("capability", &|f| {
        f.target.compute_capabilities = vec!["8.6".to_owned()];
    });
    let device = |change: &dyn Fn(&mut DeviceFields), f: &mut KeyFields| {
        change(f.target.device.as_mut().unwrap());
    };
    changed("device", &|f| device(&|d| d.name = "Xavier".to_owned(), f));
    changed("multiprocessors", &|f| {
        device(&|d| d.multiprocessors = 8, f);
    });
    changed("memory", &|f| device(&|d| d.memory_gib = 8, f));
    changed("L2", &|f| device(&|d| d.l2_bytes = 2 << 20, f));
    for (i, (what, key)) in keys.iter().enumerate() {
        for (other, same) in &keys[..i] {
            assert_ne!(key, same, "{what} gives the key of {other}");
        }
    }
    assert_eq!(base.key(), fields(&bundle).key(), "the same is the same");
}

#[test]
fn what_was_put_is_found_by_key_and_by_device() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let fields = fields(&bundle);
    let key = fields.key();
    assert!(store.get(bundle.manifest(), "track_step", &key).is_none());
    put(&store, &bundle, fields.clone(), b"a plan");
    let engine = store.get(bundle.manifest(), "track_step", &key).unwrap();
    assert_eq!(engine.plan().unwrap(), b"a plan");
    assert_eq!(engine.sidecar.fields, fields);
    let mut engine = find(&store, &bundle, &here()).unwrap();
    let measured = Measured {
        weights_bytes: 1,
        persistent_bytes: 2,
        scratch_bytes: 3,
    };
    engine.record(measured).unwrap();
    let again = find(&store, &bundle, &here()).unwrap();
    assert_eq!(again.sidecar.measured, Some(measured));
    let verified = store.verify().unwrap();
    assert!(verified.whole == 1 && verified.problems.is_empty());
}

/// Every Orin module has the same name and compute capability.
#[test]
fn engines_of_another_module_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let engine = put(&store, &bundle, fields(&bundle), b"a plan");
    // What the driver reports for one module differs a little between system releases.
    let mut same = here();
    same.identity.memory_bytes -= 1 << 30;
    engine.fits(&same).unwrap();
    let state = |device: &Device| {
        readiness(&store, bundle.manifest(), device, None, true)
            .unwrap()
            .into_iter()
            .find(|state| state.component == "track_step")
            .unwrap()
    };
    assert_eq!(state(&same).state, EngineState::Ready);
    let mut nano = here();
    nano.identity.multiprocessors = 8;
    nano.identity.memory_bytes = 7 << 30;
    for device in [&nano, &{
        let mut smaller = here();
        smaller.identity.multiprocessors = 8;
        smaller
    }] {
        let text = engine.fits(device).unwrap_err().to_string();
        assert!(text.contains("16 SMs") && text.contains("8 SMs"), "{text}");
        assert!(find(&store, &bundle, device).is_err());
        assert_eq!(state(device).state, EngineState::OtherModule);
    }
    assert_ne!(
        super::store::timing_cache_name(&here()),
        super::store::timing_cache_name(&nano)
    );
}

#[test]
fn options_decide_between_engines_that_fit_and_the_clock_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let choose = |options: Option<&str>| {
        let wanted = Wanted {
            bundle: &bundle,
            component: Component::TrackStep,
        };
        store.find(wanted, &here(), options)
    };
    let add = |seconds: u64, change: &dyn Fn(&mut OptionFields)| {
        let mut fields = fields(&bundle);
        change(&mut fields.options);
        let record = record(seconds);
        store
            .put(bundle.manifest(), "track_step", fields, b"a plan", record)
            .unwrap()
    };
    let tf32 = add(2_000_000_000, &|o| o.tf32 = true);
    assert_eq!(
        choose(None).unwrap().sidecar.key,
        tf32.sidecar.key,
        "the only one"
    );
    let level = add(2_000_000_001, &|o| o.optimization_level = Some(5));
    let text = choose(None).unwrap_err().to_string();
    assert!(text.contains("workspace=256MiB,tf32"), "{text}");
    assert!(text.contains("--engine-options"), "{text}");
    // The default options win, although the board's clock was at 1970 when it was built.
    let default = add(0, &|_| {});
    assert_eq!(choose(None).unwrap().sidecar.key, default.sidecar.key);
    let named = choose(Some("workspace=256MiB,level=5")).unwrap();
    assert_eq!(named.sidecar.key, level.sidecar.key);
    let text = choose(Some("workspace=1MiB")).unwrap_err().to_string();
    assert!(text.contains("workspace=256MiB,tf32"), "{text}");
}

/// What is there at any moment of a killed or running build.
#[test]
fn remains_of_killed_processes_are_no_engines_and_no_problems() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let fields = fields(&bundle);
    let engine = put(&store, &bundle, fields.clone(), b"a plan");
    let folder = engine.plan_path().parent().unwrap().to_owned();
    let left = [
        dir.path().join(".unfinished-1-timing-x.cache"),
        folder.join(".unfinished-1-x.json"),
        folder.join("track_step-0000-00000000.plan"),
        folder.join("track_step-1111.json"),
    ];
    for path in &left {
        std::fs::write(path, b"").unwrap();
    }
    assert_eq!(store.list().unwrap().len(), 1);
    let verified = store.verify().unwrap();
    assert_eq!(verified.whole, 1);
    // The record that is empty was damaged after it was written.
    assert_eq!(verified.problems.len(), 1);
    assert_eq!(verified.problems[0].path, left[3]);
    let mut remains = store.remains().unwrap();
    remains.sort();
    let mut expected = left.to_vec();
    expected.sort();
    assert_eq!(remains, expected);
    // Killed between the plan and the record of a second build of the same engine: the first stays.
    let second = folder.join(format!("track_step-{}-ffffffff.plan", fields.key().short()));
    std::fs::write(&second, b"a new plan").unwrap();
    let key = fields.key();
    assert!(store.get(bundle.manifest(), "track_step", &key).is_some());
    let again = put(&store, &bundle, fields, b"a newer plan");
    assert!(!engine.plan_path().exists());
    assert_eq!(again.plan().unwrap(), b"a newer plan");
    store.prune(false, None, |_| true).unwrap();
    assert!(left.iter().all(|path| !path.exists()) && !second.exists());
    assert!(store.verify().unwrap().problems.is_empty());
}

#[test]
fn a_record_of_an_earlier_version_is_stale_and_not_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let engine = put(&store, &bundle, fields(&bundle), b"a plan");
    let text = std::fs::read_to_string(engine.sidecar_path()).unwrap();
    let old = text.replacen("\"format\": 2", "\"format\": 1", 1);
    assert_ne!(text, old);
    std::fs::write(engine.sidecar_path(), old).unwrap();
    assert!(store.verify().unwrap().problems.is_empty());
    assert!(store.remains().unwrap().is_empty());
    let states = readiness(&store, bundle.manifest(), &here(), None, false).unwrap();
    let state = states.iter().find(|s| s.component == "track_step").unwrap();
    assert_eq!(state.state, EngineState::Stale);
    store.prune(false, None, |_| true).unwrap();
    assert!(!engine.plan_path().exists() && !engine.sidecar_path().exists());
}

#[test]
fn another_version_or_device_is_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let engine = put(&store, &bundle, fields(&bundle), b"a plan");

    let mut newer = here();
    newer.tensorrt.version = "10.7.0.23".to_owned();
    let text = engine.fits(&newer).unwrap_err().to_string();
    assert!(
        text.contains("TensorRT 10.3.0.30") && text.contains("TensorRT 10.7.0.23"),
        "{text}"
    );
    let text = find(&store, &bundle, &newer).unwrap_err().to_string();
    assert!(
        text.contains("masklet build") && text.contains("10.3.0.30"),
        "{text}"
    );

    let mut other = here();
    other.identity = DeviceIdentity {
        name: "NVIDIA Thor".to_owned(),
        compute_capability: (11, 0),
        ..orin()
    };
    let text = engine.fits(&other).unwrap_err().to_string();
    assert!(
        text.contains("Orin") && text.contains("NVIDIA Thor"),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
    let text = find(&store, &bundle, &other).unwrap_err().to_string();
    assert!(text.contains("track_step of edgetam_small"), "{text}");
    assert!(text.contains("one for Orin, 16 SMs, 64 GiB"), "{text}");
}

#[test]
fn cut_off_and_changed_plans_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let fields = fields(&bundle);
    let engine = put(&store, &bundle, fields.clone(), b"a plan");
    let path = engine.plan_path();

    std::fs::write(&path, b"a pl").unwrap();
    let text = engine.plan().unwrap_err().to_string();
    assert!(text.contains("has 4 bytes, it had 6"), "{text}");
    // A build does not take a cut-off plan for one that is there.
    assert!(
        store
            .get(bundle.manifest(), "track_step", &fields.key())
            .is_none()
    );

    std::fs::write(&path, b"a PLAN").unwrap();
    let text = engine.plan().unwrap_err().to_string();
    assert!(text.contains("SHA-256"), "{text}");
    // Nor one that was changed at equal length.
    assert!(
        store
            .get(bundle.manifest(), "track_step", &fields.key())
            .is_none()
    );
    let state = |deep| {
        readiness(&store, bundle.manifest(), &here(), None, deep)
            .unwrap()
            .into_iter()
            .find(|state| state.component == "track_step")
            .unwrap()
            .state
    };
    assert_eq!(state(false), EngineState::Ready);
    assert_eq!(state(true), EngineState::Damaged);
    assert_eq!(store.verify().unwrap().problems.len(), 1);

    std::fs::write(engine.sidecar_path(), b"{ not json").unwrap();
    assert!(matches!(
        store.verify().unwrap().problems[0].error,
        EngineError::Sidecar { .. }
    ));
    assert!(find(&store, &bundle, &here()).is_err());
}

#[test]
fn a_sidecar_whose_fields_were_edited_does_not_vouch() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let engine = put(&store, &bundle, fields(&bundle), b"a plan");
    let text = std::fs::read_to_string(engine.sidecar_path()).unwrap();
    let edited = text.replace("10.3.0.30", "10.7.0.23");
    assert_ne!(text, edited);
    std::fs::write(engine.sidecar_path(), edited).unwrap();
    let text = Sidecar::read(engine.sidecar_path())
        .unwrap_err()
        .to_string();
    assert!(text.contains("not the hash of its fields"), "{text}");
}

#[test]
fn prune_removes_what_nobody_wants_and_what_killed_builds_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = EngineStore::open(Some(dir.path()));
    let bundle = Bundle::embedded().unwrap();
    let keep = put(&store, &bundle, fields(&bundle), b"keep");
    let mut other = fields(&bundle);
    other.tensorrt.version = "10.7.0.23".to_owned();
    let gone = put(&store, &bundle, other, b"gone");
    let folder = gone.plan_path().parent().unwrap().to_owned();
    let orphan = folder.join("track_step-0000.plan");
    let unfinished = folder.join(".unfinished-1-x.plan");
    std::fs::write(&orphan, b"x").unwrap();
    std::fs::write(&unfinished, b"x").unwrap();

    let wanted = |engine: &StoredEngine| engine.fits(&here()).is_ok();
    let would = store.prune(true, None, wanted).unwrap();
    assert!(would.contains(&gone.plan_path()) && gone.plan_path().exists());
    store.prune(false, None, wanted).unwrap();
    assert!(keep.plan_path().exists() && keep.sidecar_path().exists());
    for path in [
        gone.plan_path(),
        gone.sidecar_path().to_owned(),
        orphan,
        unfinished,
    ] {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn a_failed_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("there");
    // A folder in the plan's place makes the rename fail.
    std::fs::create_dir(&target).unwrap();
    assert!(atomic::write(&target, b"x").is_err());
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["there"]);
}

#[test]
fn the_lock_lets_one_in_at_a_time_and_waits_have_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let first = atomic::Lock::take(dir.path(), &atomic::Wait::NONE).unwrap();
    let refused = atomic::Lock::take(dir.path(), &atomic::Wait::NONE).err();
    assert!(matches!(refused, Some(EngineError::Locked { .. })));
    // The first signal ends the wait.
    let told = std::cell::Cell::new(0);
    let wait = atomic::Wait {
        limit: None,
        waiting: &|| told.set(told.get() + 1),
        cancelled: &|| told.get() > 0,
    };
    let ended = atomic::Lock::take(dir.path(), &wait).err();
    assert!(matches!(ended, Some(EngineError::Interrupted { .. })));
    let folder = dir.path().to_owned();
    let (told, waiting) = std::sync::mpsc::channel();
    let second = std::thread::spawn(move || {
        let wait = atomic::Wait {
            limit: None,
            waiting: &|| told.send(()).unwrap(),
            cancelled: &|| false,
        };
        atomic::Lock::take(&folder, &wait).unwrap();
    });
    waiting.recv().unwrap();
    drop(first);
    second.join().unwrap();
}

#[test]
fn capabilities_parse_or_say_how() {
    assert_eq!(
        parse_compute_capabilities("8.6, 8.9").unwrap(),
        [(8, 6), (8, 9)]
    );
    let all = parse_compute_capabilities("all").unwrap();
    assert!(all.contains(&(8, 9)) && !all.contains(&(7, 5)), "{all:?}");
    for text in ["", "89", "8.x", "8.10", "ampere"] {
        let error = parse_compute_capabilities(text).unwrap_err().to_string();
        assert!(error.contains("write 8.9"), "{error}");
    }
}

#[test]
fn a_named_folder_is_the_only_one() {
    let named = Path::new("/somewhere/engines");
    assert_eq!(search_folders(Some(named)), [named]);
}
