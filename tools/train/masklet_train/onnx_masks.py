"""Masks of a bundle over a split, through ONNX Runtime: for precisions that the CPU backend does not run.

    python -m masklet_train.onnx_masks BUNDLE SPLIT OUT --prompt points|bbox [--limit-videos N]

Writes OUT/<video>/<object>/<frame>.png for annotated frames, to be scored by ``masklet score``. The
loop is the exporter's plain host of the graphs (``masklet_export.tracker``). bf16 is emulated: f32
arithmetic, every result rounded to bf16. fp16 is ONNX Runtime's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

from . import model as _model  # noqa: F401  (puts tools/export on the path)
from masklet_export.clip import Prompt
from masklet_export.components import COMPONENTS, Dims
from masklet_export.manifest import read_manifest
from masklet_export.precision import emulate_bf16
from masklet_export.reference import pixel_values, video_mask
from masklet_export.tracker import Runner, Tracker, ort_session

CHUNK = 16  # frames preprocessed at a time


def load_runner(folder: Path) -> tuple[Runner, dict]:
    """The bundle's graphs, ready to run."""
    manifest = read_manifest(folder / "bundle.toml")
    d = manifest["dims"]
    dims = Dims(manifest["image_size"], d["hidden"], d["memory"], d["tokens_per_memory"], manifest["objects_per_batch"])
    graphs = {name: onnx.load(folder / f"{name}.onnx") for name in COMPONENTS}
    if manifest["precision"] == "bf16":
        return Runner({k: emulate_bf16(g) for k, g in graphs.items()}, dims, lambda g: ort_session(g, optimise=False)), manifest
    return Runner(graphs, dims), manifest


def make_prompt(mask: np.ndarray, frame: int, kind: str) -> Prompt:
    """The prompts of ``masklet run``: one click at the truncated centroid, or the tight box."""
    ys, xs = np.nonzero(mask)
    if kind == "bbox":
        return Prompt(frame, box=(float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())))
    return Prompt(frame, points=[(float(int(xs.mean())), float(int(ys.mean())), 1)])


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    p = argparse.ArgumentParser(prog="masklet_train.onnx_masks")
    p.add_argument("bundle", type=Path)
    p.add_argument("split", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--prompt", choices=("points", "bbox"), default="bbox")
    p.add_argument("--limit-videos", type=int, default=0, metavar="N")
    args = p.parse_args(argv)
    runner, manifest = load_runner(args.bundle)
    videos = sorted((args.split / "Annotations_6fps").iterdir())
    for video in videos[: args.limit_videos or None]:
        files = sorted((args.split / "JPEGImages_24fps" / video.name).glob("*.jpg"))
        frames = [np.asarray(Image.open(f).convert("RGB")) for f in files]
        images = torch.cat([pixel_values(frames[i : i + CHUNK], manifest["image_size"]) for i in range(0, len(frames), CHUNK)])
        size = frames[0].shape[:2]
        tracker = Tracker(runner, images, size, manifest["memory"]["stored_as"] == "bf16")
        for folder in sorted(video.iterdir()):
            truth = {int(f.stem): f for f in sorted(folder.glob("*.png"))}
            masks = ((n, np.asarray(Image.open(f)) > 0) for n, f in truth.items())
            first = next(((n, m) for n, m in masks if m.any()), None)
            if first is None:
                continue
            track = tracker.track([make_prompt(first[1], first[0], args.prompt)])[0]
            at = args.out / video.name / folder.name
            at.mkdir(parents=True, exist_ok=True)
            for number, file in truth.items():
                out = track.get(number)
                drawn = np.zeros(size, bool) if out is None else video_mask(torch.from_numpy(out["mask"]), *size)
                Image.fromarray(drawn.astype(np.uint8) * 255).save(at / file.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
