"""Compares a bundle's graphs with transformers frame by frame on identical memories.

    python identical_memories.py --exports EXPORTS --split-dir SPLIT --objects 3 --frames 24 --json OUT

Over a clip, rounding feeds back through a thresholded mask, and a model that is chaotic ends anywhere.
Here it cannot: transformers' own session tracks each object, and ``track_step`` gets, for every frame,
the image features and the memories that this session had at that frame. What differs is this frame's
rounding alone. A wrong tracker would differ everywhere; a right one differs by what float32 allows.

With ``--nudges`` the session also tracks with its input scaled by 1 + n * 1e-6 for each number given:
the spread of the model itself, frame by frame, for the same clip.

Needs the packages of tools/export/requirements.txt, and scipy. Graphs run in ONNX Runtime.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "export"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from masklet_export.check import mask_iou  # noqa: E402
from masklet_export.clip import Prompt  # noqa: E402
from masklet_export.components import model_dims  # noqa: E402
from masklet_export.config import MODELS  # noqa: E402
from masklet_export.reference import Reference, video_mask  # noqa: E402
from masklet_export.tracker import Entry, Runner, memory_inputs, ort_session, prompt_inputs  # noqa: E402
from run_vs_pytorch import PyTorch, centroid_click, the_clip  # noqa: E402


def compare(run: Runner, reference: Reference, states: dict, prompt: Prompt, size) -> list[dict]:
    """One row per frame: mask IoU and the largest difference of the logits over their spread."""
    rows, last = [], max(states)
    entries = {f: Entry(f, s.stored.numpy()[0], s.obj_ptr.numpy()[0]) for f, s in states.items()}
    for frame, state in sorted(states.items()):
        feats = dict(zip(("feat_s0", "feat_s1", "feat"), reference.features(frame)))
        if frame == prompt.frame:
            inputs = {k: np.asarray(v)[None] for k, v in prompt_inputs(run.dims, prompt, *size).items()}
            got = run("prompt_decoder", **feats, **inputs)
        else:
            bank = (entries[prompt.frame], {f: e for f, e in entries.items() if prompt.frame < f < frame})
            feats["feat_attended"] = state.attended
            got = run("track_step", **feats, **memory_inputs(run.dims, frame, last + 1, [bank]))
        want = state.mask.numpy()
        rows.append({
            "frame": frame, "iou": mask_iou(video_mask(torch.from_numpy(got["mask"]), *size), video_mask(state.mask, *size)),
            "logits": float(np.abs(got["mask"] - want).max() / want.std()),
            "memory": None if frame == prompt.frame else
            float(np.abs(got["mem_out"] - state.mem_out.numpy()).max() / state.mem_out.std()),
            "covered": float(video_mask(state.mask, *size).mean())})
    return rows


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--exports", type=Path, required=True, help="a bundle, fp32 throughout, of one object per batch")
    p.add_argument("--split-dir", type=Path, required=True)
    p.add_argument("--video")
    p.add_argument("--objects", type=int, default=1)
    p.add_argument("--frames", type=int, default=24)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--nudges", type=float, nargs="*", default=[], help="in 1e-6")
    p.add_argument("--json", type=Path)
    args = p.parse_args()

    side = PyTorch(args.exports, args.threads)
    dims = model_dims(side.model, MODELS[side.manifest["name"]].family)
    graphs = {name: onnx.load(args.exports / f"{name}.onnx") for name in ("prompt_decoder", "track_step")}
    run = Runner(graphs, dims, lambda graph: ort_session(graph, threads=args.threads))
    _, _, paths, masks = the_clip(args.split_dir, args.video, args.objects, args.frames)
    frames = [np.array(Image.open(path).convert("RGB")) for path in paths]
    size = frames[0].shape[:2]
    prompts = {name: Prompt(points=[(*centroid_click(mask), 1)]) for name, mask in masks.items()}
    result = {"frames": len(frames), "threads": args.threads, "identical_memories": {}, "nudged": {}}
    reference = Reference(side.model, frames)
    own = {}
    for name, prompt in prompts.items():
        states = reference.run({1: prompt})[1]
        own[name] = {f: video_mask(s.mask, *size) for f, s in states.items()}
        rows = compare(run, reference, states, prompt, size)
        result["identical_memories"][name] = rows
        worst = min(rows, key=lambda row: row["iou"])
        print(f"object {name}, identical memories: worst IoU {worst['iou']:.5f} (frame {worst['frame']}), "
              f"median {np.median([r['iou'] for r in rows]):.5f}; logits differ by at most "
              f"{max(r['logits'] for r in rows):.1e} of their spread", flush=True)
        for row in rows:
            print(f"  frame {row['frame']:>3}  IoU {row['iou']:.5f}  logits {row['logits']:.1e}  "
                  f"object {row['covered']:.0%} of the frame", flush=True)
    for nudge in args.nudges:
        nudged = Reference(side.model, frames, scale=1 + nudge * 1e-6)
        for name, prompt in prompts.items():
            states = nudged.run({1: prompt})[1]
            ious = [mask_iou(video_mask(s.mask, *size), own[name][f]) for f, s in sorted(states.items())]
            result["nudged"].setdefault(name, {})[str(nudge)] = ious
            print(f"object {name}, transformers with its input * (1 {nudge:+g}e-6): first {ious[0]:.5f}  "
                  f"worst {min(ious):.4f} (frame {int(np.argmin(ious))})", flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
