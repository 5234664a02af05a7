"""masklet beside PyTorch in one run: the embedded bundle and EdgeTAM, one and four objects, and memory over clip length.

    MASKLET_PYTHON=.venv/bin/python python tools/bench/baseline.py --masklet target/release/masklet \\
        --exports exports --json OUT.json

``speed``: for every bundle and number of objects, `masklet run --baseline upstream,best`: object frames per
second (a frame counts once for every object on it) end to end, over the region that the Python benchmark
times, and over the networks alone; ratios of masklet's to the baselines'; least mask IoU over every frame.
Rounds alternate nothing within a run: ours comes first, the baselines after it, as the command has it. The
median over the rounds counts. On a machine with other work only ratios mean anything, and those roughly; the
CPU time that other processes had is stored with every round.

``memory``: clips of growing length up to ``--memory-frames``, one object, every length in processes of its own:
the slope of the peak resident set over frames, of masklet, of both manners. `upstream` keeps every frame of the
clip as fp32 and every memory, so its slope is what a longer video costs.

EdgeTAM is exported with random weights when ``--exports`` has none (``--edgetam none`` leaves it out).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from flatness import slope
from run_vs_pytorch import CpuMeter, machine

ROOT = Path(__file__).resolve().parents[2]
MODES = ("upstream", "best")
FIGURES = ("fps_end_to_end", "fps_upstream", "fps_model")


def call(command: list, **more) -> None:
    """Runs a command; ends with its last words when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{command[0]} {command[1]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")


def run(args, bundle: dict, split: Path, out: Path, objects: int, frames: int, masks: str) -> dict:
    """One run with both baselines into ``out``; returns the CPU that others had meanwhile."""
    command = [args.masklet.resolve(), "run", "--split-dir", split, "--out-dir", out, "--backend", "cpu", "--threads",
               args.threads, "--limit-objects", objects, "--max-clip-frames", frames, "--warmup", args.warmup,
               "--save-masks", masks, "--models", f"{bundle['name']}_points", "--precision", "fp32", "--quiet",
               "--baseline", ",".join(MODES), "--baseline-python", args.python, "--baseline-device", "cpu"]
    if bundle["size"]:
        command += ["--exports", args.exports, "--imgsz", bundle["size"]]
    with CpuMeter() as meter:
        call(command)
    return meter.row()


def summary(folder: Path) -> dict:
    """The one model of a run folder; a failed object ends the benchmark."""
    found = json.loads((folder / "summary.json").read_text())
    if found["counts"]["failed"] or not found["counts"]["ok"]:
        sys.exit(f"{folder}: {found['counts']}")
    return found["models"][0]


def speeds(model: dict) -> dict[str, float]:
    """Object frames per second of each figure."""
    objects = model["speed"]["object_frames"] / model["speed"]["frames"]
    return {name: model["speed"][name] * objects for name in FIGURES}


def least_iou(ours: Path, theirs: Path) -> tuple[float, int]:
    """Least IoU over all masks of a run, and how many there were."""
    least, files = 1.0, sorted((ours / "masks").rglob("*.png"))
    for path in files:
        a, b = (np.array(Image.open(p)) > 0 for p in (path, theirs / "masks" / path.relative_to(ours / "masks")))
        union = (a | b).sum()
        least = min(least, float((a & b).sum() / union)) if union else least
    return least, len(files)


def measure_speed(args, bundle: dict, split: Path, objects: int, folder: Path) -> dict:
    """All rounds for one bundle and number of objects."""
    rounds = []
    for index in range(args.rounds):
        out = folder / f"{bundle['name']}-{objects}-{index}"
        load = run(args, bundle, split, out, objects, args.frames, "all" if index == 0 else "annotated")
        row = {"load": load, "masklet": speeds(summary(out))}
        for mode in MODES:
            theirs = out / f"baseline-{mode}"
            row[mode] = speeds(summary(theirs))
            if index == 0:
                row[f"{mode}_least_iou"], row["masks"] = least_iou(out, theirs)
        rounds.append(row)
    result = {"bundle": bundle, "objects": objects, "frames": args.frames, "rounds": rounds}
    for mode in MODES:
        result[mode] = {name: statistics.median(r["masklet"][name] / r[mode][name] for r in rounds) for name in FIGURES}
        result[mode]["least_iou"] = rounds[0][f"{mode}_least_iou"]
        print(f"{bundle['name']:>13} {objects} objects, masklet over {mode:>8}: " + ", ".join(
            f"{name[4:]} {result[mode][name]:.2f}x" for name in FIGURES)
            + f"; least IoU {result[mode]['least_iou']:.5f} over {rounds[0]['masks']} masks", flush=True)
    return result


def measure_memory(args, bundle: dict, split: Path, folder: Path) -> dict:
    """Peak resident set over clip length, one object, of all three."""
    lengths = sorted({max(args.memory_frames * part // 4, 20) for part in (1, 2, 3, 4)})
    peaks: dict[str, list] = {name: [] for name in ("masklet", *MODES)}
    within = {}
    for frames in lengths:
        out = folder / f"memory-{bundle['name']}-{frames}"
        run(args, bundle, split, out, 1, frames, "none")
        for name in peaks:
            memory = summary(out if name == "masklet" else out / f"baseline-{name}")["memory"]
            peaks[name].append((frames, memory["peak_rss_bytes"]))
            within[name] = (memory["rss_slope_per_frame"] or {}).get("per_step")  # the longest clip's stays
    result = {"bundle": bundle, "frames": lengths, "peak_rss_bytes": peaks, "within_clip_bytes_per_frame": within,
              "slope_MiB_per_frame": {}}
    for name, points in peaks.items():
        rise, error = slope(points) if len(points) > 2 else (
            (points[-1][1] - points[0][1]) / max(points[-1][0] - points[0][0], 1), float("nan"))
        result["slope_MiB_per_frame"][name] = rise / 2**20
        print(f"{bundle['name']:>13} {name:>9}: peak RSS at {lengths[-1]} frames {points[-1][1] / 2**20:8.1f} MiB, "
              f"{rise / 2**20:+.4f} ± {error / 2**20:.4f} MiB per frame of the clip; within the longest clip "
              f"{(within[name] or 0) / 2**20:+.4f} MiB per frame", flush=True)
    return result


def export_edgetam(args, size: int) -> None:
    """EdgeTAM with random weights of seed 7, in fp32, where it is not there yet."""
    out = args.exports / f"edgetam-{size}-fp32"
    if not (out / "bundle.toml").is_file():
        call([args.python, "-m", "masklet_export", "--model", "edgetam", "--random-init", 7, "--imgsz", size,
              "--skip-check", "--out", out], env={**os.environ, "PYTHONPATH": str(ROOT / "tools" / "export")})


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--masklet", required=True, type=Path, help="the masklet binary, built for release")
    options.add_argument("--python", default=os.environ.get("MASKLET_PYTHON", sys.executable), help="interpreter with PyTorch")
    options.add_argument("--exports", type=Path, default=ROOT / "exports", help="folder of bundles; EdgeTAM is exported into it")
    options.add_argument("--edgetam", default="512", help="image side of EdgeTAM, or none")
    options.add_argument("--objects", default="1,4", help="numbers of objects, separated by commas; none leaves speed out")
    options.add_argument("--frames", type=int, default=24, help="frames of a clip for speed")
    options.add_argument("--memory-frames", type=int, default=600, help="longest clip for memory; 0 for none")
    options.add_argument("--size", default="640x360", help="size of the made-up videos")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--warmup", type=int, default=2)
    options.add_argument("--json", type=Path, help="raw results")
    args = options.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    bundles = [{"name": "edgetam_small", "size": None}]
    if args.edgetam != "none":
        args.exports.mkdir(parents=True, exist_ok=True)
        export_edgetam(args, int(args.edgetam))
        bundles.append({"name": "edgetam", "size": int(args.edgetam)})
    counts = [int(n) for n in args.objects.split(",")] if args.objects != "none" else []
    results = {"benchmark": "baseline", "date": time.strftime("%Y-%m-%d"), "machine": machine(),
               "settings": {k: str(v) for k, v in vars(args).items() if k not in ("json", "masklet", "python", "exports")},
               "speed": [], "memory": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        split, long_split = folder / "split", folder / "long"
        # Objects that appear late would shorten their clips: some frames more than are asked for.
        call([args.masklet.resolve(), "synth", split, "--videos", 1, "--frames", args.frames + 16, "--size", args.size,
              "--objects", max(counts, default=1)])
        for bundle in bundles:
            results["speed"] += [measure_speed(args, bundle, split, objects, folder) for objects in counts]
            save(args, results)
        if args.memory_frames:
            call([args.masklet.resolve(), "synth", long_split, "--videos", 1, "--frames", args.memory_frames + 16,
                  "--size", args.size, "--objects", 1])
            for bundle in bundles:
                results["memory"].append(measure_memory(args, bundle, long_split, folder))
                save(args, results)
    return 0


def save(args, results: dict) -> None:
    """Writes what there is so far."""
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
