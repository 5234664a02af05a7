//! A client compiled from NVIDIA's headers goes from ONNX to outputs through the stand-in, on the
//! components of the embedded bundle; and every refusal says what it should.
//!
//! Each scenario is a process of its own (`client.cpp`) beside a driver that is just large enough
//! (`fake_cuda.c`). What must come out is what the CPU runtime computes when it is called directly.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

use masklet_sim_nvinfer::graph::{ElementType, Graph};
use masklet_sim_nvinfer::support;
use rten::{ModelOptions, Value, ValueOrView};
use rten_onnx::onnx::{self, AttributeProto, ModelProto};
use rten_tensor::AsView;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const COMPONENTS: [&str; 5] = [
    "image_encoder",
    "prompt_decoder",
    "memory_encoder",
    "mask_prompt",
    "track_step",
];

/// A folder with the client and the three libraries under their real names, `None` without headers.
fn stage() -> Option<&'static Path> {
    static STAGE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    STAGE
        .get_or_init(|| {
            let Some(headers) = masklet_sim_nvinfer::HEADERS else {
                println!("skipped: the stand-in was built without TensorRT headers");
                return None;
            };
            Some(make_stage(Path::new(headers)))
        })
        .as_ref()
        .map(tempfile::TempDir::path)
}

fn make_stage(headers: &Path) -> tempfile::TempDir {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let libraries = support::library_folder().unwrap().unwrap();
    for name in support::NAMES {
        std::os::unix::fs::symlink(libraries.join(name), folder.path().join(name)).unwrap();
    }
    let compile = |command: &mut Command| {
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
    };
    compile(
        masklet_sim_cuda::support::c_compiler()
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"])
            .arg(folder.path().join("libcuda.so.1"))
            .arg(package.join("tests/fake_cuda.c")),
    );
    compile(
        masklet_sim_cuda::support::cxx_compiler()
            .args(["-std=c++17", "-O1", "-Wno-deprecated-declarations", "-I"])
            .arg(package.join("cxx/cuda"))
            .arg("-isystem")
            .arg(headers)
            .arg("-o")
            .arg(folder.path().join("client"))
            .arg(package.join("tests/client.cpp"))
            .arg("-ldl"),
    );
    folder
}

/// What a client printed and how it ended.
struct Ran {
    code: Option<i32>,
    out: String,
}

impl Ran {
    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        assert!(self.out.contains(text), "no '{text}' in:\n{}", self.out);
        self
    }

    #[track_caller]
    fn lacks(&self, text: &str) -> &Self {
        assert!(!self.out.contains(text), "'{text}' in:\n{}", self.out);
        self
    }

    #[track_caller]
    fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.out);
        self
    }

    fn values(&self, key: &str) -> Vec<&str> {
        self.out
            .lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .collect()
    }
}

fn client(stage: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = Command::new(stage.join("client"))
        .args(arguments)
        .env("LD_LIBRARY_PATH", stage)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        out: format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

fn bundle(component: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../engines/bundles/edgetam_small")
        .join(format!("{component}.onnx"))
}

/// One model with inputs, and a place for its plan and outputs.
struct Case {
    folder: tempfile::TempDir,
    stage: &'static Path,
    graph: Graph,
}

impl Case {
    fn new(onnx: &[u8]) -> Option<Self> {
        let stage = stage()?;
        let folder = tempfile::tempdir().unwrap();
        let graph = Graph::parse(onnx).unwrap();
        fs::write(folder.path().join("model.onnx"), onnx).unwrap();
        let bytes = inputs(&graph).concat().into_iter().flatten();
        fs::write(folder.path().join("inputs"), bytes.collect::<Vec<_>>()).unwrap();
        Some(Self {
            folder,
            stage,
            graph,
        })
    }

    fn component(name: &str) -> Option<Self> {
        Self::new(&fs::read(bundle(name)).unwrap())
    }

    /// A component whose plan is there.
    fn built(name: &str) -> Option<Self> {
        let case = Self::component(name)?;
        case.build(&[]).ends(0);
        Some(case)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn build(&self, options: &[&str]) -> Ran {
        self.build_in(options, &[])
    }

    fn build_in(&self, options: &[&str], environment: &[(&str, &str)]) -> Ran {
        let (model, plan) = (self.path("model.onnx"), self.path("plan"));
        let arguments = [&["build", &model, &plan], options].concat();
        client(self.stage, &arguments, environment)
    }

    fn run(&self, options: &[&str]) -> Ran {
        self.run_in(options, &[])
    }

    fn run_in(&self, options: &[&str], environment: &[(&str, &str)]) -> Ran {
        let [plan, inputs, outputs] = ["plan", "inputs", "outputs"].map(|name| self.path(name));
        let arguments = [&["run", &plan, &inputs, &outputs], options].concat();
        client(self.stage, &arguments, environment)
    }

    /// The outputs of the last run, one after another.
    fn outputs(&self) -> Vec<f32> {
        let bytes = fs::read(self.path("outputs")).unwrap();
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|value| f32::from_ne_bytes(*value))
            .collect()
    }

    #[track_caller]
    fn expect_outputs(&self) {
        let (found, expected) = (self.outputs(), expected(&self.graph));
        assert_eq!(found.len(), expected.len());
        assert!(expected.iter().all(|value| value.is_finite()));
        assert!(expected.iter().any(|value| *value != expected[0]));
        let same = found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "the outputs differ from the CPU runtime's");
    }

    #[track_caller]
    fn expect_nan(&self) {
        let found = self.outputs();
        assert!(!found.is_empty() && found.iter().all(|value| value.is_nan()));
    }
}

/// Numbers that look like features, validity flags and small indices, the same every time.
fn inputs(graph: &Graph) -> Vec<Vec<[u8; 4]>> {
    graph
        .inputs
        .iter()
        .map(|tensor| {
            let wave = |i: u64| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 2.0;
            let flag = tensor.name.to_string_lossy().contains("valid");
            (0..tensor.bytes() / 4)
                .map(|i| match tensor.element {
                    ElementType::Int32 => i32::try_from(i % 2).unwrap().to_ne_bytes(),
                    _ if flag => 1f32.to_ne_bytes(),
                    _ => wave(i).to_ne_bytes(),
                })
                .collect()
        })
        .collect()
}

/// What the CPU runtime makes of [`inputs`], loaded as masklet's CPU backend loads it.
fn expected(graph: &Graph) -> Vec<f32> {
    let model = ModelOptions::with_all_ops()
        .load(graph.onnx.clone())
        .unwrap();
    let id = |name: &std::ffi::CStr| model.node_id(name.to_str().unwrap()).unwrap();
    let values = graph.inputs.iter().zip(inputs(graph)).map(|(tensor, raw)| {
        let shape: Vec<usize> = tensor.dims.iter().map(|d| *d as usize).collect();
        let value = match tensor.element {
            ElementType::Int32 => {
                let data: Vec<i32> = raw.iter().map(|v| i32::from_ne_bytes(*v)).collect();
                Value::from_shape(&shape, data).unwrap()
            }
            _ => {
                let data: Vec<f32> = raw.iter().map(|v| f32::from_ne_bytes(*v)).collect();
                Value::from_shape(&shape, data).unwrap()
            }
        };
        (id(&tensor.name), ValueOrView::Value(value))
    });
    let outputs: Vec<_> = graph.outputs.iter().map(|t| id(&t.name)).collect();
    let results = model.run(values.collect(), &outputs, None).unwrap();
    results
        .iter()
        .flat_map(|value| match value {
            Value::FloatTensor(tensor) => tensor.to_vec(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn every_component_gives_the_cpu_runtimes_outputs() {
    for component in COMPONENTS {
        let Some(case) = Case::component(component) else {
            return;
        };
        let built = case.build(&[]);
        built.ends(0).says("version 101").lacks("logE");
        assert_eq!(built.values("input").len(), case.graph.inputs.len());
        assert_eq!(built.values("output").len(), case.graph.outputs.len());
        let ran = case.run(&["--rebind"]);
        ran.ends(0).says("engine component").says("enqueue 1");
        ran.lacks("untouched 0").lacks("logE").says("leaked 0 0");
        // Weights of the engine, persistent memory of the context: nothing else.
        assert_eq!(ran.values("allocate").len(), 2, "{}", ran.out);
        case.expect_outputs();
    }
}

#[test]
fn contexts_can_manage_their_memory_and_take_it_from_the_driver() {
    let Some(case) = Case::built("memory_encoder") else {
        return;
    };
    let ran = case.run(&["--static", "--twice", "--profile"]);
    ran.ends(0).lacks("logE").says("leaked 0 0");
    ran.says("layer simulated graph 1");
    assert_eq!(ran.values("allocate").len(), 3, "{}", ran.out);
    case.expect_outputs();
    let ran = case.run(&["--driver-memory"]);
    ran.ends(0).lacks("logE").says("leaked 0 0");
    assert!(ran.values("allocate").is_empty(), "{}", ran.out);
    case.expect_outputs();
}

#[test]
fn a_captured_run_happens_at_every_launch() {
    let Some(case) = Case::built("memory_encoder") else {
        return;
    };
    let ran = case.run(&["--capture"]);
    ran.ends(0).says("enqueue 1").says("leaked 0 0");
    ran.lacks("logE").lacks("untouched 0").says("changed 1");
    case.expect_outputs();
}

#[test]
fn a_refused_allocation_is_an_error_and_leaks_nothing() {
    let Some(case) = Case::built("memory_encoder") else {
        return;
    };
    for (number, deserialised) in [("1", "0"), ("2", "1"), ("3", "1")] {
        let ran = case.run(&["--static", "--refuse", number]);
        ran.ends(1).says("Error Code 2: OutOfMemory");
        ran.says(&format!("deserialised {deserialised}"));
        ran.says("leaked 0 0").lacks("wrongFree");
    }
}

#[test]
fn runs_without_enough_memory_or_addresses_are_refused() {
    let Some(case) = Case::built("memory_encoder") else {
        return;
    };
    for (option, message) in [
        ("--no-scratch", "Call setDeviceMemoryV2 before enqueue"),
        ("--short-scratch", "bytes aligned to 256 are needed"),
        ("--unbound", "Address is not set for tensor feat"),
        ("--misaligned", "setTensorAddress: Error Code 3"),
    ] {
        let ran = case.run(&[option]);
        ran.says("enqueue 0").says(message).says("leaked 0 0");
        assert!(case.outputs().iter().all(|value| *value == 0.0), "{option}");
    }
}

#[test]
fn overwritten_and_overlapping_memory_gives_nan_and_an_error() {
    let Some(case) = Case::built("prompt_decoder") else {
        return;
    };
    for (options, message) in [
        (
            &["--scribble", "weights"][..],
            "the engine's weights were overwritten at byte 96",
        ),
        (
            &["--scribble", "persistent"],
            "the context's persistent memory were overwritten at byte 96",
        ),
        (&["--overlap"], "tensor iou overlaps tensor mask"),
        (&["--early-destroy"], "destroyed before its work ran"),
    ] {
        let ran = case.run(options);
        ran.says("enqueue 1").says(message).says("leaked 0 0");
        case.expect_nan();
    }
    let ran = case.run(&["--early-destroy"]);
    ran.says("destroyed while 1 enqueued runs have not finished");
}

#[test]
fn plans_are_refused_when_cut_changed_or_of_another_version_or_device() {
    let Some(case) = Case::built("memory_encoder") else {
        return;
    };
    let whole = fs::read(case.path("plan")).unwrap();
    let refused = |bytes: &[u8], environment: &[(&str, &str)], message: &str| {
        fs::write(case.path("plan"), bytes).unwrap();
        let ran = case.run_in(&[], environment);
        ran.ends(1).says("deserialised 0").says(message);
        ran.says("logE IRuntime::deserializeCudaEngine: ");
        ran.says("leaked 0 0");
    };
    refused(&whole[..whole.len() / 2], &[], "The plan declares");
    refused(b"", &[], "Magic tag does not match");
    refused(
        b"ftrt, not of this library",
        &[],
        "Magic tag does not match",
    );
    let mut changed = whole.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    refused(&changed, &[], "The plan is corrupt");
    refused(
        &whole,
        &[("MASKLET_SIM_NVINFER_VERSION", "100300")],
        "expecting library version 10.3.0 got 10.",
    );
    refused(
        &whole,
        &[("FAKE_CUDA_NAME", "Simulated Nano")],
        "expecting Simulated Nano, compute 8.7 got Simulated test device, compute 8.7",
    );
}

#[test]
fn a_workspace_one_byte_too_small_is_refused_with_the_need() {
    let Some(case) = Case::component("track_step") else {
        return;
    };
    let need = case.graph.scratch_bytes();
    let short = (need - 1).to_string();
    case.build(&["--workspace", &short])
        .ends(1)
        .says(&format!("logV Exceeded mem budget of {short}. Need {need}"))
        .says("logE IBuilder::buildSerializedNetwork: Error Code 2: OutOfMemory");
    assert!(!Path::new(&case.path("plan")).exists());
    case.build(&["--workspace", &need.to_string()])
        .ends(0)
        .says(&format!("Total Activation Memory: {need} bytes"));
}

#[test]
fn the_builder_wants_strong_types_and_its_own_version() {
    let Some(case) = Case::component("memory_encoder") else {
        return;
    };
    case.build(&["--weak"]).ends(1).says("kSTRONGLY_TYPED");
    case.build(&["--fp16"])
        .ends(1)
        .says("precision flags are not allowed");
    case.build(&["--version", "110400"])
        .ends(1)
        .says("compiled for TensorRT 11.4, this library is 10.");
    let other = [("MASKLET_SIM_NVINFER_VERSION", "990000")];
    case.build_in(&[], &other).ends(0).says("version 990000");
}

#[test]
fn timing_caches_come_back_and_remember_what_was_built() {
    let Some(case) = Case::component("memory_encoder") else {
        return;
    };
    let cache = case.path("cache");
    case.build(&["--cache", &cache]).ends(0);
    let first = fs::read(&cache).unwrap();
    assert_eq!(first.len(), 16);
    case.build(&["--cache", &cache]).ends(0);
    assert_eq!(fs::read(&cache).unwrap(), first);
    fs::write(&cache, "something else").unwrap();
    case.build(&["--cache", &cache])
        .ends(1)
        .says("are not a timing cache");
}

#[test]
fn models_that_are_broken_or_unknown_give_parser_errors() {
    let Some(case) = Case::component("memory_encoder") else {
        return;
    };
    let parse = |onnx: &[u8]| {
        fs::write(case.path("model.onnx"), onnx).unwrap();
        case.build(&[])
    };
    for onnx in [&b""[..], b"this is not a model", &case.graph.onnx[..5000]] {
        parse(onnx).ends(1).says("parserError code=3 node=-1 name=");
    }
    let mut model = ModelProto::parse_buf(&case.graph.onnx).unwrap();
    let node = &mut model.graph.as_mut().unwrap().node[3];
    node.op_type = Some("Mystery".to_owned());
    let name = node.name.clone().unwrap();
    parse(&model.write_buf().unwrap()).ends(1).says(&format!(
        "parserError code=8 node=3 name={name} op=Mystery "
    ));
}

#[test]
fn bfloat16_builds_and_loads_but_says_that_it_cannot_run() {
    let Some(case) = Case::component("memory_encoder") else {
        return;
    };
    let mut model = ModelProto::parse_buf(&case.graph.onnx).unwrap();
    let nodes = &mut model.graph.as_mut().unwrap().node;
    let cast = |input: &str, output: &str, to: onnx::DataType| onnx::NodeProto {
        name: Some(format!("to {to}")),
        op_type: Some("Cast".to_owned()),
        input: vec![input.to_owned()],
        output: vec![output.to_owned()],
        attribute: vec![AttributeProto {
            name: Some("to".to_owned()),
            i: Some(i64::from(to.0)),
            r#type: Some(onnx::AttributeType::INT),
            ..Default::default()
        }],
        ..Default::default()
    };
    nodes.push(cast("feat", "unused", onnx::DataType::BFLOAT16));
    let case = Case::new(&model.write_buf().unwrap()).unwrap();
    case.build(&[]).ends(0).lacks("logE");
    let ran = case.run(&[]);
    ran.says("deserialised 1").says("enqueue 0");
    ran.says("it computes in bfloat16, which the CPU runtime lacks");
}

#[test]
fn functions_it_lacks_fail_and_say_so() {
    let Some(case) = Case::built("memory_encoder") else {
        return;
    };
    let ran = case.run(&["--unsupported"]);
    ran.ends(0).says("unsupported 1").says("budget 0");
    ran.says("ICudaEngine::createSerializationConfig: Error Code 10");
    ran.says("ICudaEngine::setWeightStreamingBudgetV2: Error Code 10");
    ran.says("unknownTensor -1");
    ran.says("Given invalid tensor name: no such tensor.");
    ran.says("inspect {\"Layers\":[\"");
    case.expect_outputs();
}

#[test]
fn there_is_no_runtime_without_a_simulated_device() {
    let Some(case) = Case::built("memory_encoder") else {
        return;
    };
    let real = [("FAKE_CUDA_NAME", "Orin")];
    case.run_in(&[], &real)
        .ends(1)
        .says("noRuntime")
        .says("'Orin' is not a simulated device");
    case.run_in(&[], &[("FAKE_CUDA_BROKEN", "1")])
        .ends(1)
        .says("noRuntime")
        .says("CUDA initialization failure with error: 999");
    let bare = tempfile::tempdir().unwrap();
    for name in [&["client"], &support::NAMES[..]].concat() {
        std::os::unix::fs::symlink(case.stage.join(name), bare.path().join(name)).unwrap();
    }
    let plan = case.path("plan");
    client(bare.path(), &["run", &plan, &plan, &plan], &[])
        .ends(1)
        .says("noRuntime")
        .says("libcuda.so.1 cannot be loaded");
}
