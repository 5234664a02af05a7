"""Runs `masklet run` and transformers' PyTorch on one clip, alternately, and prints speed ratios and mask IoU.

    python run_vs_pytorch.py --masklet target/release/masklet --exports EXPORTS --split-dir SPLIT --json OUT

Both sides take the same weights (the bundle's own ``weights.safetensors``, or its seed), frames,
centroid clicks, cores and fp32. The PyTorch side works as the Python benchmark does: one predictor
(inference session) per object, one object after the other, nothing shared between objects, every
object decoding and preprocessing the clip anew. masklet runs as a process of its own, all objects
together.

Two regions are compared, for the same frames:
  tracking    networks, upsampling to the video's size and threshold, mask in host memory;
              decode and preprocessing excluded on both sides
  end to end  the same with decode and preprocessing; on masklet's side decode runs ahead on
              threads of its own, on the same cores
Both sides warm up first (a prompt frame and ``--warmup`` tracked frames), in no figure. Of every
frame the median over the rounds counts, so that a burst of other work in one round carries no
weight. How much CPU other processes had meanwhile is measured and stored with every run. With
``--wait`` a run starts when other processes leave the cores alone, and one that they disturb is
stopped and begun again, on either side, until that time is spent. After that runs count as they
come; those disturbed by more than ``--max-other`` are left out where there are others.

Needs the packages of tools/export/requirements.txt, and scipy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "export"))

FULL_BANK = 7  # from this frame after the prompt on, PyTorch attends to all seven memories too
TARGETS = {1: 1.3, 4: 1.6}
IOU_TARGET = 0.999


class Disturbed(Exception):
    """Other processes took CPU while a run was being timed."""


class CpuMeter:
    """Wall time and the CPU time that other processes had inside the ``with`` block."""

    child = 0  # process id of a running child whose CPU time is this side's own

    @staticmethod
    def _busy() -> float:
        with open("/proc/stat") as stat:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    def __enter__(self) -> "CpuMeter":
        self.load = os.getloadavg()[0]
        self.wall, self.busy, self.own = time.perf_counter(), self._busy(), self._own()
        return self

    def __exit__(self, *_) -> None:
        self.wall = time.perf_counter() - self.wall
        self.busy, self.own = self._busy() - self.busy, self._own() - self.own

    def others(self) -> float:
        """CPUs' worth of other processes' work since the start, while the meter runs."""
        wall = time.perf_counter() - self.wall
        children = self.child_cpu() if self.child else 0.0
        return max(self._busy() - self.busy - (self._own() - self.own) - children, 0.0) / wall

    def child_cpu(self) -> float:
        """CPU seconds of a child that still runs; nothing once it has ended."""
        try:
            with open(f"/proc/{self.child}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check(self, most: float | None) -> None:
        """Raises Disturbed when others had more than ``most`` CPUs; the first seconds say too little."""
        if most is not None and time.perf_counter() - self.wall > 4 and self.others() > most:
            raise Disturbed

    def row(self) -> dict:
        """Wall seconds, CPUs' worth of work of this side and of others, load average at the start."""
        return {"wall_s": round(self.wall, 3), "own_cpus": round(self.own / self.wall, 3),
                "other_cpus": round(max(self.busy - self.own, 0.0) / self.wall, 3),
                "load_1min_before": round(self.load, 2)}


class Patience:
    """Waits for quiet cores and runs again what was disturbed, for so many seconds altogether."""

    def __init__(self, seconds: float, most: float):
        self.until, self.most = time.monotonic() + seconds, most

    def run(self, side):
        """Calls ``side`` with the CPUs that others may have, at last with None: no limit."""
        began_again = 0
        while time.monotonic() < self.until:
            with CpuMeter() as meter:
                time.sleep(2)
            if meter.row()["other_cpus"] > self.most:
                continue
            try:
                row, masks = side(self.most)
                return {**row, "began_again": began_again}, masks
            except Disturbed:
                began_again += 1
        row, masks = side(None)
        return {**row, "began_again": began_again}, masks


def the_clip(split: Path, video: str | None, objects: int, frames: int):
    """Frame paths from the prompt frame on, prompt masks of the first objects, and the video's name."""
    videos = sorted(p.name for p in (split / "JPEGImages_24fps").iterdir() if p.is_dir())
    video = video or videos[0]
    paths = sorted((split / "JPEGImages_24fps" / video).iterdir())
    folders = sorted((split / "Annotations_6fps" / video).iterdir())[:objects]
    if len(folders) < objects:
        sys.exit(f"{video} has {len(folders)} objects, {objects} are asked for")
    prompts, starts = {}, set()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            mask = np.array(Image.open(path)) > 0
            if mask.any():
                prompts[folder.name] = mask
                starts.add(int(path.stem))
                break
    if len(starts) != 1 or len(prompts) != objects:
        sys.exit(f"all objects of {video} must be prompted on one frame, not on {sorted(starts)}")
    start = starts.pop()
    return video, start, paths[start : start + frames if frames else None], prompts


def centroid_click(mask: np.ndarray) -> tuple[float, float]:
    """The `points` prompt: centroid of the first 4-connected component in scan order, truncated."""
    from scipy.ndimage import label

    first = label(mask)[0] == 1
    ys, xs = np.nonzero(first)
    return float(int(xs.mean())), float(int(ys.mean()))


class PyTorch:
    """transformers' model and processor on the weights of a bundle."""

    def __init__(self, bundle: Path, threads: int):
        import torch
        from masklet_export.config import MODELS, hf_config
        from masklet_export.manifest import read_manifest
        from masklet_export.reference import make_processor
        from masklet_export.weights import new_model, random_init, reparameterise
        from safetensors.torch import load_file

        torch.set_num_threads(threads)
        self.torch = torch
        manifest = read_manifest(bundle / "bundle.toml")
        if manifest["precision"] != "fp32" or manifest["weight_storage"] != "fp32":
            sys.exit(f"{bundle} is not fp32 throughout: the two sides would not hold the same weights")
        spec, weights = MODELS[manifest["name"]], bundle / "weights.safetensors"
        config = hf_config(spec, manifest["image_size"])
        if weights.is_file():
            values = load_file(weights)
            if spec.family == "edgetam":  # as these weights were exported, whatever the default is now
                config.enable_occlusion_spatial_embedding = "occlusion_spatial_embedding_parameter" in values
                config.enable_temporal_pos_encoding_for_object_pointers = any(
                    name.startswith("temporal_positional_encoding_projection_layer") for name in values)
            self.model = new_model(spec, manifest["image_size"], config)
            reparameterise(self.model, spec)
            self.model.load_state_dict(values)
        elif manifest["weights"]["source"] == "random-init":
            self.model = new_model(spec, manifest["image_size"], config)
            random_init(self.model, manifest["weights"]["seed"])
            reparameterise(self.model, spec)
        else:
            sys.exit(f"{bundle} has no weights.safetensors; export it with --keep-weights")
        self.processor = make_processor(manifest["image_size"])
        self.manifest = manifest

    def track(self, paths: list[Path], click: tuple[float, float], scale: float = 1.0, check=lambda: None) -> dict:
        """One object through the clip in a session of its own; times in ms, masks (n, H, W) bool.

        ``check`` is called between frames and may raise.
        """
        torch, clock = self.torch, time.perf_counter
        with torch.inference_mode():
            began = clock()
            frames = np.stack([np.array(Image.open(path).convert("RGB")) for path in paths])
            decoded = clock()
            session = self.processor.init_video_session(video=[frames], dtype=torch.float32)
            preprocessed = clock()
            if scale != 1.0:
                session.processed_frames = {k: v * scale for k, v in session.processed_frames.items()}
            self.processor.add_inputs_to_inference_session(
                inference_session=session, frame_idx=0, obj_ids=1,
                input_points=[[[[*click]]]], input_labels=[[[1]]])
            size = [[session.video_height, session.video_width]]
            per_frame, masks = [], []
            last = clock()
            for output in self.model.propagate_in_video_iterator(session, start_frame_idx=0):
                logits = self.processor.post_process_masks([output.pred_masks], size, binarize=True)[0]
                masks.append(logits[0, 0].numpy())
                now = clock()
                per_frame.append(1e3 * (now - last))
                check()
                last = clock()
        return {"decode_ms": 1e3 * (decoded - began), "preprocess_ms": 1e3 * (preprocessed - decoded),
                "frames_ms": per_frame, "masks": np.stack(masks)}

    def clip(self, paths: list[Path], clicks: dict, warmup: int, patience: Patience) -> tuple[dict, dict]:
        """All objects one after the other; returns a row of times per frame, and the masks.

        Objects share nothing, so one that was disturbed is tracked again without the others.
        """
        def one(click, most):
            with CpuMeter() as meter:
                track = self.track(paths, click, check=lambda: meter.check(most))
            return {**meter.row(), **{k: v for k, v in track.items() if k != "masks"}}, track["masks"]

        if warmup:
            self.track(paths[: warmup + 1], next(iter(clicks.values())))
        tracks = {name: patience.run(lambda most, click=click: one(click, most)) for name, click in clicks.items()}
        rows, masks = [row for row, _ in tracks.values()], {name: m for name, (_, m) in tracks.items()}
        decode, preprocess = (sum(row[key] for row in rows) / len(paths) for key in ("decode_ms", "preprocess_ms"))
        tracking = np.sum([row["frames_ms"] for row in rows], axis=0)
        return {"wall_s": round(sum(row["wall_s"] for row in rows), 3),
                "own_cpus": min(row["own_cpus"] for row in rows), "other_cpus": max(row["other_cpus"] for row in rows),
                "load_1min_before": rows[0]["load_1min_before"], "began_again": sum(row["began_again"] for row in rows),
                "tracking_ms": tracking.round(3).tolist(),
                "tracking_ms_by_object": [np.round(row["frames_ms"], 3).tolist() for row in rows],
                "end_to_end_ms": (tracking + decode + preprocess).round(3).tolist(),
                "decode_ms_per_frame": round(decode, 3), "preprocess_ms_per_frame": round(preprocess, 3)}, masks


class Masklet:
    """`masklet run` as a process."""

    def __init__(self, args, video: str):
        self.args, self.video = args, video

    def clip(self, objects: int, frames: int, start: int, masks: bool, most: float | None) -> tuple[dict, dict]:
        """A whole run; returns a row of times per frame from the journal, and the masks where asked for."""
        args = self.args
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            command = [args.masklet.resolve(), "run", "--split-dir", args.split_dir, "--videos", self.video,
                       "--exports", args.exports, "--models", f"{args.model}_points", "--backend", "cpu",
                       "--precision", "fp32", "--threads", args.threads, "--limit-objects", objects,
                       "--max-clip-frames", frames, "--warmup", args.warmup, "--objects", args.objects_mode,
                       "--save-masks", "all" if masks else "none", "--out-dir", out, "--quiet"]
            if args.imgsz:
                command += ["--imgsz", args.imgsz]
            with CpuMeter() as meter:
                child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.PIPE, text=True)
                try:
                    errors = watch(child, meter, most)
                except BaseException:
                    child.kill()
                    child.wait()
                    raise
            if child.returncode:
                sys.exit(f"masklet ended with {child.returncode}: {errors.strip()}")
            with open(out / "journal.jsonl") as journal:
                rows = [line["object"] for line in map(json.loads, journal) if "object" in line]
            if len(rows) != objects or any(row["status"] != "ok" for row in rows):
                sys.exit(f"masklet tracked {[(row['object'], row['status']) for row in rows]}")
            row = {**meter.row(), **stage_times(rows, frames),
                   "rss_peak_bytes": max(r["memory"]["rss_peak_bytes"]["value"] for r in rows),
                   "arena_peak_bytes": max(r["memory"]["arena"]["peak_bytes"] for r in rows)}
            found = {}
            for item in rows if masks else []:
                at = out / "masks" / f"{args.model}_points" / self.video / item["object"]
                found[item["object"]] = np.stack(
                    [np.array(Image.open(at / f"{start + index:05d}.png")) > 0 for index in range(frames)])
        return row, found


def watch(child: subprocess.Popen, meter: CpuMeter, most: float | None) -> str:
    """Waits for the child, checking for other processes meanwhile; returns what it wrote to stderr."""
    meter.child = child.pid
    while True:
        try:
            errors = child.communicate(timeout=1)[1]
            meter.child = 0
            return errors
        except subprocess.TimeoutExpired:
            meter.check(most)


def stage_times(rows: list[dict], frames: int) -> dict:
    """Per-frame times of a run: in lockstep every object's row holds the same times, alone its own."""
    shared = rows[0]["timing"]["stages"]["encode"]["shared"]
    total = {name: np.zeros(frames) for name in ("encode", "decoders", "postprocess", "preprocess", "end_to_end")}
    for row in rows[:1] if shared else rows:
        stages = row["timing"]["stages"]
        for name in ("encode", "postprocess", "preprocess", "end_to_end"):
            total[name] += stages[name]["ms"]
        total["decoders"] += stages["prompt"]["ms"] + stages.get("track", {"ms": []})["ms"]
    tracking = total["encode"] + total["decoders"] + total["postprocess"]
    return {"tracking_ms": tracking.round(3).tolist(), "end_to_end_ms": total["end_to_end"].round(3).tolist(),
            "encode_ms": total["encode"].round(3).tolist(), "decoders_ms": total["decoders"].round(3).tolist()}


def medians(rows: list[dict], key: str) -> np.ndarray:
    """Per frame, the median over the rounds."""
    return np.median([row[key] for row in rows], axis=0)


def undisturbed(rows: list[dict], most: float) -> list[dict]:
    """The rounds in which other processes had at most ``most`` CPUs; all where there is none."""
    return [row for row in rows if row["other_cpus"] <= most] or rows


def compare(all_ours: list[dict], all_theirs: list[dict], most: float) -> dict:
    """Frames per second of both sides and their ratio: whole clip, and once the memory bank is full."""
    ours, theirs = undisturbed(all_ours, most), undisturbed(all_theirs, most)
    result = {}
    for region in ("tracking", "end_to_end"):
        a, b = medians(ours, f"{region}_ms"), medians(theirs, f"{region}_ms")
        parts = {"clip": slice(0, None)}
        if len(a) > FULL_BANK:
            parts["full_bank"] = slice(FULL_BANK, None)
        for name, part in parts.items():
            result[f"{region}_{name}"] = {
                "masklet_fps": 1e3 / a[part].mean(), "pytorch_fps": 1e3 / b[part].mean(),
                "ratio": b[part].sum() / a[part].sum()}
        result[f"{region}_clip"]["ratio_by_round"] = [
            round(sum(t[f"{region}_ms"]) / sum(o[f"{region}_ms"]), 4) for o, t in zip(all_ours, all_theirs)]
        result[f"{region}_clip"]["rounds_used"] = [len(ours), len(theirs)]
    return result


def ious(ours: dict, theirs: dict) -> dict[str, list[float]]:
    """Mask IoU per object and frame; two empty masks agree."""
    result = {}
    for name in theirs:
        both = (ours[name] & theirs[name]).sum((1, 2))
        either = (ours[name] | theirs[name]).sum((1, 2))
        result[name] = [float(i / u) if u else 1.0 for i, u in zip(both, either)]
    return result


def worst(values: dict[str, list[float]]) -> tuple[float, str, int]:
    """The lowest IoU with its object and frame."""
    return min((value, name, frame) for name, row in values.items() for frame, value in enumerate(row))


def machine() -> dict:
    """What matters of the machine for speed."""
    with open("/proc/cpuinfo") as info:
        lines = info.read().splitlines()
    field = lambda key: next((l.split(":", 1)[1].strip() for l in lines if l.startswith(key)), "unknown")
    flags = set(field("flags").split())
    return {"cpu": field("model name"), "cores": len(os.sched_getaffinity(0)), "arch": platform.machine(),
            "simd": sorted(flags & {"avx", "avx2", "fma", "avx512f", "avx512_vnni", "amx_tile"})}


def measure(args, torch_side: PyTorch, objects: int, patience: Patience) -> dict:
    """All rounds for one number of objects, the side that goes first changing from round to round."""
    video, start, paths, prompts = the_clip(args.split_dir, args.video, objects, args.frames)
    clicks = {name: centroid_click(mask) for name, mask in prompts.items()}
    masklet = Masklet(args, video)
    ours, theirs, our_masks, their_masks = [], [], {}, {}
    for index in range(args.rounds):
        for side in ("masklet", "pytorch") if index % 2 == 0 else ("pytorch", "masklet"):
            if side == "masklet":
                row, masks = patience.run(lambda most: masklet.clip(objects, len(paths), start, index == 0, most))
                ours.append(row)
                our_masks = masks or our_masks
            else:
                row, their_masks = torch_side.clip(paths, clicks, args.warmup, patience)
                theirs.append(row)
            if args.json:  # complete results replace these
                Path(f"{args.json}.partial").write_text(json.dumps({"objects": objects, "masklet": ours, "pytorch": theirs}))
            print(f"  {objects} objects, round {index + 1}, {side:>7}: tracking "
                  f"{statistics.fmean(row['tracking_ms']):8.1f} ms a frame, end to end "
                  f"{statistics.fmean(row['end_to_end_ms']):8.1f}, other work {row['other_cpus']:.2f} CPUs", flush=True)
    agreement = ious(our_masks, their_masks)
    result = {"objects": objects, "frames": len(paths), "clicks": clicks, "masklet": ours, "pytorch": theirs,
              "speed": compare(ours, theirs, args.max_other), "iou": agreement,
              "mask_area_share": {n: [round(float(m.mean()), 5) for m in masks] for n, masks in their_masks.items()}}
    if args.spread:
        scaled = {name: torch_side.track(paths, click, 1 + 1e-6)["masks"] for name, click in clicks.items()}
        result["spread_iou"] = ious(scaled, their_masks)
    report(result)
    return result


def report(result: dict) -> None:
    """The figures of one number of objects."""
    objects = result["objects"]
    for name, row in result["speed"].items():
        target = TARGETS.get(objects) if name == "tracking_clip" else None
        verdict = "" if target is None else f"   target {target}: {'met' if row['ratio'] >= target else 'MISSED'}"
        print(f"{objects} objects, {name:>20}: masklet {row['masklet_fps']:7.3f} fps, PyTorch "
              f"{row['pytorch_fps']:7.3f} fps, ratio {row['ratio']:.3f}{verdict}")
    value, name, frame = worst(result["iou"])
    first = min(row[0] for row in result["iou"].values())
    print(f"{objects} objects, mask IoU: worst {value:.6f} (object {name}, frame {frame}), first frame {first:.6f}")
    floor = IOU_TARGET
    if "spread_iou" in result:
        spread, name, frame = worst(result["spread_iou"])
        floor = min(floor, spread)
        print(f"{objects} objects, PyTorch's own spread under input * (1 + 1e-6): worst {spread:.6f} "
              f"(object {name}, frame {frame})")
    print(f"{objects} objects, masks {'match' if value >= floor else 'DIFFER'} (floor {floor:.6f})", flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--masklet", required=True, type=Path, help="the masklet binary, built for release")
    options.add_argument("--exports", required=True, type=Path, help="folder of the bundles")
    options.add_argument("--split-dir", required=True, type=Path, help="split in SA-V layout")
    options.add_argument("--video", help="its video; the first without it")
    options.add_argument("--bundle", default="edgetam_1024_fp32", help="folder of the bundle below --exports")
    options.add_argument("--model", default="edgetam", help="the bundle's name in masklet's model tags")
    options.add_argument("--imgsz", type=int, help="image side, where --exports holds bundles of several sizes")
    options.add_argument("--objects", default="1,4", help="numbers of objects, separated by commas")
    options.add_argument("--objects-mode", default="lockstep", choices=("lockstep", "isolated"))
    options.add_argument("--frames", type=int, default=0, help="frames of the clip from the prompt on; 0 for all")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--warmup", type=int, default=2, help="tracked frames before those that count")
    options.add_argument("--max-other", type=float, default=0.15, help="rounds in which other processes had more "
                         "CPUs than this count only where there is no quieter one")
    options.add_argument("--wait", type=float, default=0.0, help="seconds to spend on waiting for quiet cores and "
                         "on runs that were disturbed and begun again")
    options.add_argument("--spread", action="store_true", help="also PyTorch's own spread under a tiny input change")
    options.add_argument("--json", type=Path, help="raw results")
    args = options.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[: args.threads])
    torch_side = PyTorch(args.exports / args.bundle, args.threads)
    import transformers

    results = {"benchmark": "run_vs_pytorch", "date": time.strftime("%Y-%m-%d"), "machine": machine(),
               "versions": {"masklet": subprocess.run([args.masklet.resolve(), "--version"], capture_output=True,
                                                      text=True).stdout.strip(),
                            "torch": torch_side.torch.__version__, "transformers": transformers.__version__,
                            "attention": torch_side.model.config._attn_implementation},
               "bundle": {k: torch_side.manifest[k] for k in ("name", "image_size", "precision", "weights")},
               "settings": {k: getattr(args, k) for k in ("threads", "rounds", "warmup", "objects_mode", "max_other")}, "cases": []}
    patience = Patience(args.wait, args.max_other)
    for objects in map(int, args.objects.split(",")):
        results["cases"].append(measure(args, torch_side, objects, patience))
        if args.json:
            args.json.write_text(json.dumps(results) + "\n")
    missed = [c["objects"] for c in results["cases"]
              if c["speed"]["tracking_clip"]["ratio"] < TARGETS.get(c["objects"], 0.0)]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
