//! What a user of many machines does: shares of a run, joined; the sample files of docs/fleet, run
//! on one machine as their schedulers would.

use crate::support::{
    PROGRAM, ROOT, Ran, Run, csv, json, masklet, program, rows_by_key, run, small, synthetic, tree,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The options of [`crate::support::over`], for a script that runs masklet.
const QUICK: [&str; 4] = ["--warmup", "0", "--backend", "cpu"];

fn merge(parts: &[&Path], out: &Path, more: &[&str]) -> Ran {
    let mut command = program();
    command.args(["merge", "--out"]).arg(out);
    command.args(parts).args(more).ran()
}

/// A journal's rows without times, memory and the process that wrote them.
fn rows(run: &Path) -> BTreeMap<String, Value> {
    rows_by_key(run, |row| {
        let mut row = row.clone();
        for name in ["timing", "memory", "telemetry", "session"] {
            row.as_object_mut().unwrap().remove(name);
        }
        row
    })
}

/// The joined run and the run in one are the same but for times and memory.
fn assert_same(joined: &Path, whole: &Path) {
    assert_eq!(rows(joined), rows(whole));
    assert_eq!(tree(&joined.join("masks")), tree(&whole.join("masks")));
    let scores = |run: &Path| {
        let mut rows = csv(&run.join("summary.csv"));
        let kept = "video object model frames J F official_JF status";
        let kept: Vec<_> = kept.split(' ').collect();
        for row in &mut rows {
            row.retain(|name, _| kept.contains(&name.as_str()));
            assert_eq!(row.len(), kept.len());
        }
        rows
    };
    assert_eq!(scores(joined), scores(whole));
    for of in ["counts", "official_percent", "upstream"] {
        let of_model = |run: &Path| json(&run.join("summary.json"))["models"][0][of].clone();
        assert_eq!(of_model(joined), of_model(whole), "{of}");
    }
    // A shard knows the split by its videos as well as by its path.
    assert!(json(&joined.join("run.json"))["split_sha256"].is_string());
    let options = |run: &Path| json(&run.join("run.json"))["options"].clone();
    assert_eq!(options(joined), options(whole));
    assert_eq!(json(&joined.join("run.json"))["state"], "finished");
    // Why there is no power on this machine, say, is known of the whole too.
    let sensors = |run: &Path| json(&run.join("run.json"))["telemetry"]["missing"].clone();
    assert_eq!(sensors(joined), sensors(whole));
    assert!(sensors(whole).is_object());
}

#[test]
fn two_shards_joined_are_the_run_in_one() {
    let split = small(3, 5, 2);
    let at = |name: &str| split.path().join(name);
    let (whole, one, two, joined) = (at("whole"), at("one"), at("two"), at("joined"));
    for (out, more) in [
        (&whole, &[][..]),
        (&one, &["--shard", "1/2"]),
        (&two, &["--shard", "2/2"]),
    ] {
        let ran = run(split.path(), out, more);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    assert!(!rows(&one).is_empty() && !rows(&two).is_empty());

    // What does not belong together is refused, by name, and leaves nothing behind.
    let other = at("other");
    let ran = run(
        split.path(),
        &other,
        &["--shard", "2/2", "--max-clip-frames", "4"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let strange = at("strange");
    fs::create_dir(&strange).unwrap();
    let refused: [(&[&Path], &str); 6] = [
        (&[&one], "shard 2/2 is missing"),
        (&[&one, &one, &two], "shard 1/2 is in both"),
        (
            &[&one, &other],
            "max-clip-frames is 0 in the first, 4 in the second",
        ),
        (
            &[&whole, &two],
            "shard is none in the first, 2/2 in the second",
        ),
        (&[&whole, &whole], "is in both"),
        (&[&one, &strange], "is not a run folder"),
    ];
    for (parts, words) in refused {
        let ran = merge(parts, &joined, &[]);
        assert_eq!(ran.code, 4, "{words}: {ran:?}");
        assert!(ran.stderr.contains(words), "no '{words}' in {}", ran.stderr);
        assert!(!joined.exists() && !at("joined.part").exists());
    }
    // A shard that did not finish, and one that was on another device.
    let manifest = two.join("run.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"finished\",", "\"interrupted\",")).unwrap();
    let ran = merge(&[&one, &two], &joined, &[]);
    assert!(
        ran.code == 4 && ran.stderr.contains("interrupted, not finished"),
        "{ran:?}"
    );
    let mut run_file: Value = serde_json::from_str(&text).unwrap();
    run_file["environment"]["cpu_model"] = serde_json::json!({"value": "another"});
    fs::write(&manifest, run_file.to_string()).unwrap();
    let ran = merge(&[&one, &two], &joined, &[]);
    assert!(
        ran.code == 4 && ran.stderr.contains("different devices"),
        "{ran:?}"
    );
    fs::write(&manifest, text).unwrap();

    // In any order.
    let ran = merge(&[&two, &one], &joined, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("objects tracked"), "{ran:?}");
    assert_same(&joined, &whole);
    assert!(joined.join("shards/1-of-2/run.json").is_file());
    let again = merge(&[&one, &two], &joined, &[]);
    assert!(
        again.code == 2 && again.stderr.contains("already exists"),
        "{again:?}"
    );

    // A part of it, when asked for.
    let partial = at("partial");
    let ran = merge(&[&two], &partial, &["--partial"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("shard 1/2 is missing"), "{ran:?}");
    assert_eq!(rows(&partial), rows(&two));
    // The joined run is a run like others.
    let paths = [joined.display().to_string(), whole.display().to_string()];
    let ran = masklet(&["compare", &paths[0], &paths[1]]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // A shard is resumed as that shard only.
    let ran = run(split.path(), &one, &["--shard", "1/3", "--resume"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("shard was \"1/2\", now \"1/3\""),
        "{ran:?}"
    );
    let ran = run(split.path(), &at("none"), &["--shard", "auto"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("SLURM_ARRAY_TASK_ID"),
        "{ran:?}"
    );
    // More shards than videos: the last has nothing to do, and says so.
    let ran = run(split.path(), &at("empty"), &["--shard", "4/4"]);
    assert!(
        ran.code == 0 && ran.stdout.contains("No object was run"),
        "{ran:?}"
    );
}

fn sample(name: &str) -> PathBuf {
    Path::new(ROOT).join("docs/fleet").join(name)
}

/// A command that finds the masklet under test first.
fn scheduled(program: &str) -> Command {
    let folder = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.env("PATH", path).env_remove("MASKLET_SHARD_COUNT");
    command
}

#[test]
fn the_slurm_samples_run_every_share_and_join_them() {
    let split = synthetic(&["--videos", "2", "--frames", "9", "--size", "64x48"]);
    let runs = split.path().join("runs");
    for name in ["slurm.sbatch", "slurm-merge.sbatch"] {
        Command::new("bash").arg("-n").arg(sample(name)).ran().ok();
    }
    let text = fs::read_to_string(sample("slurm.sbatch")).unwrap();
    let array = text
        .lines()
        .find_map(|line| line.strip_prefix("#SBATCH --array="))
        .unwrap();
    let (first, last) = array.split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    for task in first..=last {
        scheduled("bash")
            .arg(sample("slurm.sbatch"))
            .args(QUICK)
            .env("MASKLET_SPLIT", split.path())
            .env("MASKLET_RUNS", &runs)
            .env("SLURM_ARRAY_JOB_ID", "17")
            .env("SLURM_ARRAY_TASK_ID", task.to_string())
            .env("SLURM_ARRAY_TASK_MIN", first.to_string())
            .env("SLURM_ARRAY_TASK_MAX", last.to_string())
            .env("SLURM_ARRAY_TASK_STEP", "1")
            .env("SLURM_ARRAY_TASK_COUNT", (last - first + 1).to_string())
            .ran()
            .ok();
    }
    scheduled("bash")
        .arg(sample("slurm-merge.sbatch"))
        .env("MASKLET_RUNS", &runs)
        .env("MASKLET_JOB", "17")
        .ran()
        .ok();
    let whole = split.path().join("whole");
    let ran = run(split.path(), &whole, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_same(&runs.join("17/all"), &whole);
}

#[test]
fn the_kubernetes_sample_is_an_indexed_job_whose_pods_run_every_share() {
    let text = fs::read_to_string(sample("kubernetes-job.yaml")).unwrap();
    let job: Value = serde_yaml_ng::from_str(&text).unwrap();
    assert_eq!(
        (&job["apiVersion"], &job["kind"]),
        (&"batch/v1".into(), &"Job".into())
    );
    assert_eq!(job["spec"]["completionMode"], "Indexed");
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let words = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let variables: BTreeMap<String, String> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["name"].as_str().unwrap().into(),
                entry["value"].as_str().unwrap().into(),
            )
        })
        .collect();
    let completions = job["spec"]["completions"].as_u64().unwrap();
    assert_eq!(variables["MASKLET_SHARD_COUNT"], completions.to_string());
    // Every folder that the variables name lies in a volume that is mounted, and every mount is one.
    let volumes: Vec<&Value> = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v["name"])
        .collect();
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| volumes.contains(&&mount["name"])));
    for name in ["MASKLET_SPLIT", "MASKLET_RUNS"] {
        let inside =
            |mount: &Value| variables[name].starts_with(mount["mountPath"].as_str().unwrap());
        assert!(mounts.iter().any(inside), "{name}");
    }

    // These clips end before an object of theirs appears: it fails, and its pod does not.
    let split = synthetic(&["--videos", "2", "--frames", "4", "--size", "64x48"]);
    let runs = split.path().join("runs");
    fs::create_dir(&runs).unwrap();
    let command = [words(&container["command"]), words(&container["args"])].concat();
    for index in 0..completions {
        let mut pod = scheduled(&command[0]);
        pod.args(&command[1..]).envs(&variables);
        pod.env("MASKLET_SPLIT", split.path())
            .env("MASKLET_RUNS", &runs);
        pod.env("JOB_COMPLETION_INDEX", index.to_string());
        pod.ran().ok();
    }
    let folders: Vec<PathBuf> = (0..completions)
        .map(|index| runs.join(format!("shard-{index}")))
        .collect();
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    let all = runs.join("all");
    let ran = merge(&folders, &all, &[]);
    assert_eq!(ran.code, 1, "as the run in one: {ran:?}");
    let whole = split.path().join("whole");
    let paths = [split.path(), &whole].map(|path| path.display().to_string());
    let ran = masklet(&["run", "--split-dir", &paths[0], "--out-dir", &paths[1]]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_same(&all, &whole);
}
