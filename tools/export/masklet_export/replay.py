"""PyTorch's side of ``masklet parity``: recorded calls of components, and a clip.

    python -m masklet_export.replay --manifest M.json --inputs IN.safetensors --outputs OUT.safetensors
    python -m masklet_export.replay --manifest M.json --clip CLIP.json

Tensors are named ``<call>.<component>.<tensor>``. Components are the exporter's modules over the
model's parameters, in fp32 without TF32. The clip runs through transformers' own session
(reference.py); CLIP.json lists videos with frames, prompts and the mask files to write.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from .bundle_model import NoWeights, load_bundle_model
from .clip import Prompt
from .components import build_components, signature
from .reference import Reference, video_mask


def runtime(device: torch.device) -> str:
    """Version and device, for the report."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"PyTorch {torch.__version__} on {where}"


@torch.no_grad()
def components(model, manifest: dict, inputs: Path, outputs: Path, device: torch.device) -> None:
    """Computes every call of ``inputs``."""
    modules, dims = build_components(model, manifest["family"], manifest["objects_per_batch"])
    wanted, made = signature(dims), {}
    modules = {name: module.to(device).eval() for name, module in modules.items()}
    with safe_open(inputs, "pt") as file:
        calls = sorted({tuple(key.split(".")[:2]) for key in file.keys()}, key=lambda c: int(c[0]))
        for index, name in calls:
            given, results = wanted[name]
            feed = [file.get_tensor(f"{index}.{name}.{spec[0]}").to(device) for spec in given]
            out = modules[name](*feed)
            out = out if isinstance(out, (tuple, list)) else (out,)
            for spec, value in zip(results, out, strict=True):
                label = spec[0] if isinstance(spec, (tuple, list)) else spec
                made[f"{index}.{name}.{label}"] = value.float().contiguous().cpu()
    save_file(made, outputs, metadata={"runtime": runtime(device)})


def prompt(row: dict) -> Prompt:
    """A prompt of CLIP.json, in pixels of the video."""
    mask = None
    if row.get("mask"):
        mask = np.asarray(Image.open(row["mask"])) > 0
    box = tuple(row["box"]) if row.get("box") else None
    return Prompt(row["frame"], [tuple(p) for p in row.get("points") or []], box, mask)


@torch.no_grad()
def clip(model, path: Path) -> None:
    """Tracks every video of CLIP.json and writes the masks it asks for."""
    for video in json.loads(path.read_text()):
        frames = [np.asarray(Image.open(f).convert("RGB")) for f in video["frames"]]
        height, width = frames[0].shape[:2]
        reference = Reference(model, frames)
        for row in video["objects"]:
            states = reference.run({1: prompt(row)})[1]
            for frame, file in row["files"].items():
                drawn = video_mask(states[int(frame)].mask, height, width)
                Path(file).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(drawn.astype(np.uint8) * 255).save(file)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    p = argparse.ArgumentParser(prog="masklet_export.replay", description="PyTorch's side of `masklet parity`.")
    p.add_argument("--manifest", type=Path, required=True, help="the bundle's manifest as JSON")
    p.add_argument("--weights", type=Path, help="safetensors file of the weights")
    p.add_argument("--inputs", type=Path)
    p.add_argument("--outputs", type=Path)
    p.add_argument("--clip", type=Path)
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    args = p.parse_args(argv)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = torch.device(args.device)
    manifest = json.loads(args.manifest.read_text())
    try:
        model = load_bundle_model(manifest, args.weights)
    except NoWeights as error:
        print(error, file=sys.stderr)
        return 2
    if args.inputs:
        components(model, manifest, args.inputs, args.outputs, device)
    if args.clip:
        clip(model.cpu(), args.clip)
    return 0


if __name__ == "__main__":
    sys.exit(main())
