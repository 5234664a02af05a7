//! The whole TensorRT path, from `masklet build` to masks, on the simulated device: stand-ins for
//! the CUDA driver and for TensorRT over host memory, whose streams run late and in shuffled order.
//!
//! The masks must be the CPU backend's to the bit (both compute with the same CPU runtime and the
//! kernels around it are exact), nothing may be allocated after warm-up, nothing may be left, and
//! every refused allocation must end in a sentence. Nothing here is a measurement.

use crate::support::{
    ROOT, Ran, Run, copy_tree, fixture, has_cuda, joined, json, masklet, over, program, rows,
    small, stand_ins, synthetic, tree,
};
use masklet_sim_cuda::support::Report;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A split and engines for it.
struct Bench {
    libraries: std::ffi::OsString,
    split: tempfile::TempDir,
}

impl Bench {
    fn new(split: tempfile::TempDir) -> Option<Self> {
        let libraries = joined(stand_ins()?);
        let made = fixture("engines", |folder| {
            let mut build = program();
            build.env("LD_LIBRARY_PATH", &libraries);
            build.args(["build", "--engines"]).arg(folder).ran().ok();
        });
        let bench = Self { libraries, split };
        copy_tree(&made, &bench.path("engines"));
        Some(bench)
    }

    /// One object in one small video of so many frames.
    fn one_object(frames: usize) -> Option<Self> {
        Self::new(small(1, frames, 1))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.split.path().join(name)
    }

    fn engines(&self) -> String {
        self.path("engines").display().to_string()
    }

    /// Runs the program on the simulated device; what it printed, and what it did to the device.
    fn simulated(&self, args: &[&str], settings: &[(&str, &str)]) -> (Ran, Option<Report>) {
        let report = self.path("report.json");
        let _ = fs::remove_file(&report);
        let mut command = program();
        command
            .args(args)
            .env("LD_LIBRARY_PATH", &self.libraries)
            .env("MASKLET_SIM_CUDA_REPORT", &report);
        for (name, value) in settings {
            let of = if name.starts_with("NV") { "" } else { "CUDA_" };
            command.env(format!("MASKLET_SIM_{of}{name}"), value);
        }
        let ran = command.ran();
        let report = fs::read(&report)
            .ok()
            .map(|text| serde_json::from_slice(&text).unwrap());
        (ran, report)
    }

    fn run(&self, out: &str, more: &[&str], settings: &[(&str, &str)]) -> (Ran, Report) {
        let (split, out, engines) = (
            self.split.path().display().to_string(),
            self.path(out).display().to_string(),
            self.engines(),
        );
        let mut args = vec!["run", "--split-dir", &split, "--out-dir", &out];
        args.extend(["--engines", &engines, "--backend", "tensorrt"]);
        args.extend(["--save-masks", "all", "--force"]);
        args.extend(more);
        let (ran, report) = self.simulated(&args, settings);
        (ran, report.expect("the stand-in leaves a report"))
    }

    /// The CPU backend's masks.
    fn reference(&self, more: &[&str]) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
        let out = self.path("cpu");
        let mut command = over(self.split.path(), &out);
        command.args(["--save-masks", "all", "--force"]);
        command.args(more).ran().ok();
        tree(&out.join("masks"))
    }
}

/// Nothing wrong, nothing left.
fn clean(report: &Report) {
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(report.leaks.is_empty(), "{:?}", report.leaks);
    assert_eq!((report.used_bytes, report.pinned_bytes), (0, 0));
}

#[test]
fn the_slab_is_taken_as_it_is_asked_for() {
    let Some(bench) = Bench::one_object(3) else {
        return;
    };
    let taken = || {
        let run = json(&bench.path("block/run.json"));
        run["noted"]["arena-block-taken.edgetam_small"].clone()
    };
    let (ran, report) = bench.run("block", &[], &[]);
    assert_eq!((ran.code, taken()), (0, Value::from("plain")), "{ran:?}");
    clean(&report);
    let (ran, report) = bench.run("block", &["--arena-block", "chunks"], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        taken()["mapped"]["chunks"].as_u64() > Some(0),
        "{}",
        taken()
    );
    clean(&report);
    // Where the driver refuses a large plain block, there is no other way but the one asked for.
    let (ran, report) = bench.run(
        "block",
        &["--arena-block", "plain"],
        &[("PLAIN_LIMIT", "4000000")],
    );
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("Mapped chunks: not tried"), "{ran:?}");
    clean(&report);
}

#[test]
fn parity_with_the_cpu_is_exact_on_the_simulated_device() {
    let Some(bench) = Bench::one_object(5) else {
        return;
    };
    let page = bench.path("parity.json");
    let engines = bench.engines();
    let mut args = vec!["parity", "--backend", "tensorrt", "--engines", &engines];
    args.extend(["--frames", "5", "--json", page.to_str().unwrap()]);
    let (ran, report) = bench.simulated(&args, &[("SCHEDULE", "random")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("SIMULATED"), "{}", ran.stdout);
    clean(&report.unwrap());
    let found = json(&page);
    let rows = found["components"].as_array().unwrap();
    assert!(
        rows.len() >= 17,
        "every output of every component: {rows:?}"
    );
    for row in rows {
        assert_eq!(
            row["max_abs"], 0.0,
            "both compute with the same CPU runtime: {row}"
        );
    }
    // The device resizes frames by its own kernel, which is the host's to the bit.
    for row in found["clip"].as_array().unwrap() {
        assert_eq!(row["first_different"], Value::Null, "{row}");
    }
}

#[test]
fn a_forgotten_wait_gives_wrong_masks_here() {
    let Some(bench) = Bench::one_object(6) else {
        return;
    };
    let expected = bench.reference(&[]);
    // The same schedule gives the right masks when waits are kept, so they alone make the difference.
    for (waits, right) in [("1", true), ("0", false)] {
        let settings = [("SCHEDULE", "lazy"), ("WAITS", waits)];
        // A frame that is copied is waited for; one that is read in place is not.
        let (ran, _) = bench.run("sim", &["--frame-staging", "copy"], &settings);
        assert_eq!(ran.code, 0, "waits {waits}: {ran:?}");
        let same = tree(&bench.path("sim").join("masks")) == expected;
        assert_eq!(same, right, "waits {waits}: masks are the CPU's: {same}");
    }
}

#[test]
fn a_plan_needs_no_device_once_engines_have_been_measured() {
    let Some(bench) = Bench::one_object(5) else {
        return;
    };
    let engines = bench.engines();
    let plan = [
        "plan",
        "--backend",
        "tensorrt",
        "--engines",
        &engines,
        "--size",
        "64x48",
    ];
    let ran = masklet(&plan);
    if has_cuda() {
        return;
    }
    assert_eq!(ran.code, 3, "nothing has been measured yet: {ran:?}");
    assert!(ran.stderr.contains("masklet build"), "{ran:?}");
    assert_eq!(bench.run("sim", &[], &[]).0.code, 0);
    let ran = masklet(&plan);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("scratch of all engines"), "{ran:?}");
    assert!(
        ran.stdout.replace('\n', " ").contains("pinned host memory"),
        "{ran:?}"
    );
}

#[test]
fn without_a_device_tensorrt_says_what_is_missing_and_auto_takes_the_cpu() {
    if has_cuda() {
        return;
    }
    let split = small(1, 5, 1);
    let path = split.path().display().to_string();
    let out = split.path().join("run").display().to_string();
    let ran = masklet(&[
        "run",
        "--split-dir",
        &path,
        "--out-dir",
        &out,
        "--backend",
        "tensorrt",
    ]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("TensorRT cannot run here") && ran.stderr.contains("libcuda"),
        "{ran:?}"
    );
    let ran = masklet(&["run", "--split-dir", &path, "--out-dir", &out]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("backend cpu") && ran.stderr.contains("not taken: TensorRT cannot run"),
        "{ran:?}"
    );
    // A device that is named is not replaced by the CPU, and rten runs on no other.
    let ran = masklet(&["run", "--split-dir", &path, "--device", "0"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let ran = masklet(&[
        "run",
        "--split-dir",
        &path,
        "--device",
        "0",
        "--runtime",
        "rten",
    ]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("only on cpu"), "{ran:?}");
}

#[test]
fn an_engine_that_is_not_there_is_named() {
    let Some(libraries) = stand_ins().map(joined) else {
        return;
    };
    let bench = Bench {
        libraries,
        split: small(1, 5, 1),
    };
    let (ran, _) = bench.run("sim", &[], &[]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("masklet build"), "{ran:?}");
}

#[test]
fn auto_takes_a_device_with_engines_and_says_when_it_leaves_one_unused() {
    let Some(bench) = Bench::one_object(5) else {
        return;
    };
    let run = |engines: &Path| {
        let (split, out) = (
            bench.split.path().display().to_string(),
            bench.path("auto").display().to_string(),
        );
        let engines = engines.display().to_string();
        let args = [
            "run",
            "--split-dir",
            &split,
            "--out-dir",
            &out,
            "--engines",
            &engines,
            "--force",
        ];
        let ran = bench.simulated(&args, &[]).0;
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stderr
    };
    let told = run(&bench.path("engines"));
    assert!(
        told.contains("backend tensorrt") && !told.contains("WARN"),
        "{told}"
    );
    let told = run(&bench.path("nothing"));
    assert!(told.contains("backend cpu"), "{told}");
    assert!(
        told.contains("this run is on the CPU") && told.contains("masklet build"),
        "{told}"
    );
}

/// Compiles the stand-in for NVML into a folder; `None` (and a line) without a C compiler.
fn nvml(folder: &Path) -> Option<()> {
    fs::create_dir_all(folder).unwrap();
    let source = Path::new(ROOT).join("tests/support/nvml.c");
    let compiled = masklet_sim_cuda::support::c_compiler()
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .arg(folder.join("libnvidia-ml.so.1"))
        .arg(source)
        .output();
    match compiled {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}");
            Some(())
        }
        Err(error) => {
            println!("skipped: no C compiler ({error})");
            None
        }
    }
}

#[test]
fn a_discrete_gpu_is_watched_through_nvml_and_the_doctor_knows_it() {
    let Some(mut bench) = Bench::one_object(6) else {
        return;
    };
    let folder = bench.path("nvml");
    if nvml(&folder).is_none() {
        return;
    }
    let mut folders: Vec<PathBuf> = std::env::split_paths(&bench.libraries).collect();
    folders.push(folder);
    bench.libraries = std::env::join_paths(folders).unwrap();
    let (ran, report) = bench.run("sim", &["--telemetry-hz", "10"], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    clean(&report);
    let out = bench.path("sim");
    let run = json(&out.join("run.json"));
    if run["telemetry"]["missing"]["gpu_clock_mhz"].is_null()
        && run["telemetry"]["columns"][5]["source"] != "NVML, Stand-in 1"
    {
        println!("skipped: this machine has a GPU of its own that is shown first");
        return;
    }
    for row in rows(&out) {
        let sensors = &row["telemetry"]["clip"]["sensors"];
        // The second GPU, by its PCI address: 250 W.
        assert_eq!(sensors["power_total_w"]["mean"], 250.0, "{row}");
        assert_eq!(sensors["gpu_clock_mhz"]["min"], 1980.0);
        assert_eq!(sensors["emc_clock_mhz"]["max"], 2619.0);
        assert_eq!(
            sensors["gpu_memory_used_bytes"]["max"],
            (3_u64 << 30) as f64
        );
        assert_eq!(sensors["temperature_nvml_gpu_c"]["max"], 61.0);
        let energy = row["telemetry"]["frames_energy_j"]["value"]
            .as_f64()
            .unwrap();
        let seconds = row["telemetry"]["frames_s"].as_f64().unwrap();
        assert!((energy - 250.0 * seconds).abs() < 1e-6, "{row}");
        let throttle = row["telemetry"]["clip"]["throttle"].as_array().unwrap();
        assert_eq!(throttle.len(), 1, "{row}");
        assert_eq!(throttle[0]["kind"], "power_cap");
    }
    let engines = bench.engines();
    let args = ["doctor", "--json", "--engines", &engines];
    let ran = bench.simulated(&args, &[]).0;
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let found = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        format!("{}: {}", check["outcome"], check["found"])
    };
    assert!(found("CUDA driver").contains("SIMULATED"), "{report:#}");
    assert!(found("TensorRT").starts_with("\"ok\""), "{report:#}");
    assert!(
        found("engines").contains("all that the bundles need here"),
        "{report:#}"
    );
    assert_eq!(found("backends"), "\"ok\": \"tensorrt, cpu\"");
    let others = found("other GPU programs");
    assert!(
        others.contains("1 hold 2.00 GiB") && others.contains("(pid 4194304)"),
        "{others}"
    );
}

/// Run by `make gate` only.
mod long {
    use super::*;

    #[test]
    fn every_refused_allocation_ends_in_a_sentence_and_leaves_nothing() {
        let Some(bench) = Bench::one_object(5) else {
            return;
        };
        let expected = bench.reference(&[]);
        // The first run measures the engines, each with memory of its own; later ones know.
        let (ran, first) = bench.run("sim", &[], &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let (ran, report) = bench.run("sim", &[], &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let count = |kind: &str| report.allocations.iter().filter(|a| a.kind == kind).count();
        let refuse = |kind: &str, number: usize| {
            let number = number.to_string();
            let settings = [("FAIL_KIND", kind), ("FAIL", number.as_str())];
            let (ran, report) = bench.run("sim", &[], &settings);
            let what = format!("{kind} {number}: {ran:?}");
            assert!(report.allocations.iter().any(|a| a.refused), "{what}");
            assert!(!ran.stderr.contains("panicked"), "{what}");
            clean(&report);
            if ran.code == 0 {
                // The driver was asked in another way, or a graph was done without.
                assert!(tree(&bench.path("sim").join("masks")) == expected, "{what}");
            } else {
                assert_eq!(ran.code, 3, "{what}");
                let error = ran.stderr.lines().filter(|l| l.starts_with("Error: "));
                assert_eq!(error.count(), 1, "{what}");
            }
        };
        for kind in ["device", "pinned", "stream", "module", "graph", "event"] {
            let all = count(kind);
            assert!(all > 0, "no {kind} was ever asked for");
            // Events are a thousand alike.
            let step = if kind == "event" { all.div_ceil(4) } else { 1 };
            for number in (1..=all).step_by(step) {
                refuse(kind, number);
            }
        }
        let measuring = first.allocations.iter().filter(|a| a.kind == "device");
        assert!(measuring.clone().count() > count("device"));
        for number in (1..=measuring.count()).step_by(3) {
            let forced = ["build", "--engines", &bench.engines(), "--force"];
            assert_eq!(bench.simulated(&forced, &[]).0.code, 0);
            refuse("device", number);
        }
        let (ran, _) = bench.run("sim", &[], &[("CAPACITY", "2000000")]);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(
            ran.stderr.contains("the arena") || ran.stderr.contains("weights"),
            "{ran:?}"
        );
        let (ran, _) = bench.run("sim", &["--memory-budget", "1MiB"], &[]);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains("--memory-budget"), "{ran:?}");
        assert_eq!(bench.run("sim", &[], &[]).0.code, 0, "the next run is fine");
    }

    #[test]
    fn the_device_gives_the_masks_of_the_cpu_and_allocates_nothing_after_warm_up() {
        // Five objects a video, one of them late, as the synthetic split has it.
        let Some(bench) = Bench::new(synthetic(&[
            "--videos",
            "3",
            "--frames",
            "9",
            "--size",
            "97x64",
            "--objects",
            "5",
        ])) else {
            return;
        };
        let models = ["--models", "edgetam_small_points,edgetam_small_mask"];
        let expected = bench.reference(&models);
        let orders: [(&str, &[(&str, &str)]); 4] = [
            ("copy", &[("SCHEDULE", "lazy")]),
            ("in-place", &[("SCHEDULE", "random"), ("SEED", "7")]),
            // A driver that refuses large plain blocks, as L4T 36.4.7 does.
            (
                "auto",
                &[("SCHEDULE", "others"), ("PLAIN_LIMIT", "4000000")],
            ),
            // As on a GPU without TensorRT: the stand-in sees device memory through copies alone.
            (
                "copy",
                &[
                    ("SCHEDULE", "random"),
                    ("SEED", "11"),
                    ("NVINFER_STAGED", "1"),
                ],
            ),
        ];
        for (staging, settings) in orders {
            let args = [&models[..], &["--frame-staging", staging]].concat();
            let (ran, report) = bench.run("sim", &args, settings);
            assert_eq!(ran.code, 0, "{settings:?} {ran:?}");
            assert!(ran.stderr.contains("SIMULATED"), "{}", ran.stderr);
            assert!(ran.stdout.contains("0 after warm-up"), "{}", ran.stdout);
            clean(&report);
            let out = bench.path("sim");
            assert!(
                tree(&out.join("masks")) == expected,
                "other masks than the CPU's with {settings:?}"
            );
            let mut free = Vec::new();
            for row in rows(&out) {
                assert_eq!(row["status"], "ok", "{row}");
                assert_eq!(row["backend"], "tensorrt (simulated)");
                let arena = &row["memory"]["arena"];
                assert_eq!(arena["on_device"], true);
                assert_eq!(arena["outside_allocations"], 0, "{row}");
                assert_eq!(arena["before_bytes"], arena["after_bytes"]);
                assert!(arena["before_bytes"].as_u64().unwrap() > 0, "engines stay");
                // The driver's own word: the slab was taken after the first reading, and from then on
                // free memory is the same before and after every object.
                let device = &row["memory"]["device"];
                let bytes = |name: &str| device[name].as_u64().unwrap();
                assert_eq!(
                    bytes("free_before_bytes"),
                    bytes("free_after_bytes"),
                    "{row}"
                );
                let slab = arena["slab_bytes"].as_u64().unwrap();
                assert!(bytes("free_before_run_bytes") >= bytes("free_before_bytes") + slab);
                assert!(bytes("total_bytes") >= bytes("free_before_run_bytes"));
                free.push(bytes("free_after_bytes"));
            }
            free.dedup();
            assert_eq!(free.len(), 1, "free memory of the device moved: {free:?}");
            let summary = json(&out.join("summary.json"));
            let least = &summary["models"][0]["memory"]["min_device_free_bytes"];
            assert_eq!(least.as_u64(), Some(free[0]));
            let run = json(&out.join("run.json"));
            assert_eq!(run["backend"]["simulated"], true);
            // The stand-in's device is integrated, so there is something to choose from.
            let ways = &run["noted"]["frame-staging-measured.edgetam_small"];
            let [way] = ways.as_array().unwrap().as_slice() else {
                panic!("one size, so one way: {ways}");
            };
            assert_eq!((&way["width"], &way["height"]), (&97.into(), &64.into()));
            match (way["copy_ms"].as_f64(), way["in_place_ms"].as_f64()) {
                (Some(copy), Some(in_place)) => {
                    assert_eq!(
                        (staging, &way["in_place"]),
                        ("auto", &(in_place < copy).into())
                    );
                }
                measured => {
                    assert_eq!(measured, (None, None));
                    assert_eq!(way["in_place"], staging == "in-place");
                    assert_ne!(staging, "auto");
                }
            }
            let mapped = report.allocations.iter().any(|a| a.kind == "chunk");
            assert_eq!(mapped, settings.len() > 1 && settings[1].0 == "PLAIN_LIMIT");
        }
        // Without graphs, one object at a time, and with holes filled on the host.
        let more = [
            &models[..],
            &["--objects", "isolated", "--cuda-graph", "off"],
        ]
        .concat();
        let (ran, report) = bench.run("sim", &more, &[("SCHEDULE", "random")]);
        assert_eq!(ran.code, 0, "{ran:?}");
        clean(&report);
        assert!(report.allocations.iter().all(|a| a.kind != "graph"));
        assert!(tree(&bench.path("sim").join("masks")) == expected);
        let holes = [&models[..], &["--fill-holes", "8"]].concat();
        let expected = bench.reference(&holes);
        assert_eq!(bench.run("sim", &holes, &[]).0.code, 0);
        assert!(tree(&bench.path("sim").join("masks")) == expected);
    }

    #[test]
    fn nvjpeg_decodes_ahead_and_allocates_nothing_after_warm_up() {
        let Some(bench) = Bench::new(synthetic(&[
            "--videos",
            "2",
            "--frames",
            "9",
            "--size",
            "97x64",
            "--objects",
            "2",
        ])) else {
            return;
        };
        let expected = bench.reference(&[]);
        // A frame that nvJPEG leaves to the CPU: it is grey.
        let frame = bench.path("JPEGImages_24fps/synth_000001/00005.jpg");
        let grey = vec![90; 97 * 64];
        let mut file = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut file, 90);
        encoder
            .encode(&grey, 97, 64, jpeg_encoder::ColorType::Luma)
            .unwrap();
        let whole = fs::read(&frame).unwrap();
        for (grey, schedule) in [(false, "lazy"), (true, "random")] {
            fs::write(&frame, if grey { &file } else { &whole }).unwrap();
            let expected = if grey {
                &bench.reference(&[])
            } else {
                &expected
            };
            let args = ["--jpeg-decoder", "nvjpeg", "--decode-threads", "3"];
            let log = bench.path("nvjpeg.log");
            let _ = fs::remove_file(&log);
            let settings = [
                ("SCHEDULE", schedule),
                ("NVJPEG_LOG", log.to_str().unwrap()),
            ];
            let (ran, report) = bench.run("nvjpeg", &args, &settings);
            assert_eq!(ran.code, 0, "{ran:?}");
            // Each of three lanes once before the first frame, then every frame of both videos.
            let decoded = fs::read_to_string(&log).unwrap().lines().count();
            assert_eq!(decoded, 3 + 2 * 9 - usize::from(grey));
            assert!(ran.stdout.contains("0 after warm-up"), "{}", ran.stdout);
            clean(&report);
            let out = bench.path("nvjpeg");
            assert!(tree(&out.join("masks")) == *expected, "other masks");
            let run = json(&out.join("run.json"));
            assert_eq!(run["options"]["jpeg-decoder"], "nvjpeg");
            assert_eq!(run["noted"]["nvjpeg-version.edgetam_small"], "12.3.1");
        }
        // On the CPU there is none.
        let split = bench.split.path().display().to_string();
        let ran = masklet(&[
            "run",
            "--split-dir",
            &split,
            "--backend",
            "cpu",
            "--jpeg-decoder",
            "nvjpeg",
        ]);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}
