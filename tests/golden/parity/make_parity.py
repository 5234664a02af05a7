"""Regenerates the parity goldens beside this file. See README.md for the layout.

    PYTHONPATH=tools/export python tests/golden/parity/make_parity.py

Rebuilds the default bundle's model from the seed in its manifest (or from --weights, the file that
``masklet_export --keep-weights`` writes), runs transformers' own session on a small clip, runs the
components on formula-made inputs, and stores what came out. Before writing, the component outputs are
compared with the bundle's graphs in ONNX Runtime: goldens of other weights are refused.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tools" / "export"))

from masklet_export.bundle_model import NoWeights, load_bundle_model  # noqa: E402
from masklet_export.check import mask_iou  # noqa: E402
from masklet_export.clip import Prompt, make_clip  # noqa: E402
from masklet_export.components import COMPONENTS, build_components, signature  # noqa: E402
from masklet_export.config import IMAGE_MEAN, IMAGE_STD, MODELS  # noqa: E402
from masklet_export.manifest import read_manifest  # noqa: E402
from masklet_export.reference import Reference, pixel_values, video_mask  # noqa: E402
from masklet_export.tracker import Runner, Tracker  # noqa: E402

FRAMES, WIDTH, HEIGHT = 8, 96, 72


def load_model(manifest: dict, weights: Path | None):
    """The model whose weights the bundle holds, RepViT folded and rounded to fp16 like the bundle."""
    try:
        return load_bundle_model(manifest, weights), MODELS[manifest["name"]]
    except NoWeights as error:
        sys.exit(str(error))


def hashed(shape: tuple[int, ...], seed: int, scale: float) -> np.ndarray:
    """Uniform values in [-scale, scale) from element index and seed; integer arithmetic modulo 2**32."""
    h = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(seed * 0x9E3779B9 & 0xFFFFFFFF)
    mask = np.uint64(0xFFFFFFFF)
    h &= mask
    h ^= h >> np.uint64(16)
    h = (h * np.uint64(0x7FEB352D)) & mask
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(0x846CA68B)) & mask
    h ^= h >> np.uint64(16)
    unit = h.astype(np.float64) / 2147483648.0 - 1.0
    return (unit * scale).astype(np.float32).reshape(shape)


def clip_prompts(clip) -> dict[str, dict[int, Prompt]]:
    """run name -> object -> prompt."""
    runs = {kind: {obj: clip.prompt(obj, kind) for obj in (1, 2)} for kind in ("click", "box", "mask")}
    runs["late_click"] = {2: clip.prompt(2, "click", frame=2)}
    x, y, _ = clip.prompt(1, "click").points[0]
    other = clip.prompt(2, "click").points[0]
    runs["two_clicks"] = {1: Prompt(0, points=[(x, y, 1), (other[0], other[1], 0)])}
    return runs


def save_mask(mask: np.ndarray, path: Path) -> None:
    """0 and 255, 8-bit grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255).save(path, optimize=True)


def write_clip(folder: Path, model, spec, runner: Runner) -> None:
    """Frames, prompts, and the session's results; prints how the bundle's graphs compare."""
    clip = make_clip(FRAMES, WIDTH, HEIGHT, seed=5)
    (folder / "frames").mkdir(parents=True)
    for t, frame in enumerate(clip.frames):
        Image.fromarray(frame).save(folder / "frames" / f"{t:05d}.png", optimize=True)
    size = model.config.image_size
    pixels = pixel_values(clip.frames, size)
    mean, std = torch.tensor(IMAGE_MEAN)[:, None, None], torch.tensor(IMAGE_STD)[:, None, None]
    levels = (pixels[0] * std + mean) * 255
    resized = levels.round()
    assert float((levels - resized).abs().max()) < 1e-2, "the processor no longer resizes on 8-bit values"
    Image.fromarray(resized.byte().permute(1, 2, 0).numpy()).save(folder / "frame0_resized.png", optimize=True)

    reference = Reference(model, clip.frames)
    tracker = Tracker(runner, pixels, (HEIGHT, WIDTH), False)
    described = {"width": WIDTH, "height": HEIGHT, "frames": FRAMES, "image_size": size, "runs": {}}
    for name, prompts in clip_prompts(clip).items():
        described["runs"][name] = []
        for obj, states in reference.run(prompts).items():
            prompt, at = prompts[obj], folder / "clip" / name / str(obj)
            at.mkdir(parents=True)
            frames = sorted(states)
            np.save(at / "logits.npy", np.concatenate([states[f].mask[0].numpy() for f in frames]))
            np.save(at / "obj_score.npy", np.concatenate([states[f].obj_score[0].numpy() for f in frames]))
            for f in frames:
                save_mask(video_mask(states[f].mask, HEIGHT, WIDTH), at / "masks" / f"{f:05d}.png")
            row = {"object": obj, "frame": prompt.frame, "points": [[x, y] for x, y, _ in prompt.points],
                   "labels": [label for _, _, label in prompt.points]}
            if prompt.box is not None:
                row["box"] = list(prompt.box)
            if prompt.mask is not None:
                row["mask"] = f"prompts/mask_{obj}.png"
                save_mask(prompt.mask, folder / row["mask"])
            described["runs"][name].append(row)
            got = tracker.track([prompt])[0]
            worst = min(mask_iou(video_mask(torch.from_numpy(got[f]["mask"]), HEIGHT, WIDTH),
                                 video_mask(states[f].mask, HEIGHT, WIDTH)) for f in frames)
            area = [int(video_mask(states[f].mask, HEIGHT, WIDTH).sum()) for f in frames]
            print(f"{name} object {obj}: graphs' worst IoU {worst:.5f}, mask areas {area}")
    (folder / "clip.json").write_text(json.dumps(described, indent=1) + "\n")


def component_cases(dims) -> list[tuple[str, str, dict]]:
    """(case, component, special inputs); every other input is made by the formula."""
    n, p, m = dims.prompt_slots, dims.pointer_slots, dims.memory_slots

    def prompt(points, labels, multimask):
        full = np.zeros((1, n, 2), np.float32)
        full[0, : len(points)] = points
        kinds = np.full((1, n), -10, np.int32)
        kinds[0, : len(labels)] = labels
        return {"points": full, "labels": kinds, "multimask": np.array([multimask], np.float32)}

    def bank(memories, ages, most):
        valid, tpos = np.zeros((1, m), np.float32), np.zeros((1, m), np.int32)
        for slot, position in memories:
            valid[0, slot], tpos[0, slot] = 1, position
        ptr_valid, ptr_tpos = np.zeros((1, p), np.float32), np.full((1, p), 0.25, np.float32)
        for slot, age in ages:
            ptr_valid[0, slot], ptr_tpos[0, slot] = 1, age / (most - 1)
        return {"mem_valid": valid, "mem_tpos": tpos, "ptr_valid": ptr_valid, "ptr_tpos": ptr_tpos}

    y, x = np.mgrid[0 : dims.size, 0 : dims.size]
    disc = ((x - 0.4 * dims.size) ** 2 + (y - 0.55 * dims.size) ** 2 < (0.23 * dims.size) ** 2)
    one, absent = np.ones((1, 1), np.float32), -np.ones((1, 1), np.float32)
    yes, no = np.ones(1, np.float32), np.zeros(1, np.float32)
    return [
        ("image_encoder", "image_encoder", {}),
        ("prompt_click", "prompt_decoder", prompt([[100.25, 71.5]], [1, -1], 1)),
        ("prompt_box", "prompt_decoder", prompt([[40, 52], [170.5, 201]], [2, 3, -1], 0)),
        ("prompt_three", "prompt_decoder", prompt([[40, 52], [90, 101], [200.75, 30]], [1, 0, 1, -1], 0)),
        ("memory_prompted", "memory_encoder", {"obj_score": one, "from_prompt": yes}),
        ("memory_tracked", "memory_encoder", {"obj_score": one, "from_prompt": no}),
        ("memory_absent", "memory_encoder", {"obj_score": absent, "from_prompt": no}),
        ("mask_disc", "mask_prompt", {"mask_input": disc}),
        ("mask_empty", "mask_prompt", {"mask_input": np.zeros_like(disc)}),
        ("track_first", "track_step", bank([(0, 6)], [(0, 1)], 8)),
        ("track_partial", "track_step", bank([(5, 6), (1, 0), (2, 1), (4, 3)], [(3, 40), (0, 1), (7, 2), (9, 5)], 16)),
        ("track_full", "track_step", bank([(i, (i + 6) % 7) for i in range(7)],
                                          [(i, 90 if i == 0 else i) for i in range(16)], 16)),
    ]


def write_components(folder: Path, model, spec, runner: Runner) -> None:
    """Inputs and outputs of every component for a few calls."""
    modules, dims = build_components(model, spec.family)
    at = folder / "components"
    at.mkdir(parents=True)
    listed, features = [], {}
    for case, component, special in component_cases(dims):
        wanted, outputs = signature(dims)[component]
        feed, rows = {}, []
        for index, (name, dtype, shape) in enumerate(wanted):
            row = {"name": name, "dtype": dtype, "shape": list(shape)}
            if name == "image":
                frame = np.asarray(Image.open(folder / "frame0_resized.png"), np.float32) / 255
                normal = (frame - np.float32(IMAGE_MEAN)) / np.float32(IMAGE_STD)
                feed[name], row["from"] = normal.transpose(2, 0, 1)[None].astype(np.float32), "frame0_resized.png"
            elif name in features:
                feed[name], row["from"] = features[name], "image_encoder"
            elif name == "mask_input":
                feed[name], row["from"] = special[name].astype(np.float32)[None, None], f"components/{case}.{name}.png"
                save_mask(special[name], folder / row["from"])
            elif name in special:
                feed[name], row["from"] = special[name], f"components/{case}.{name}.npy"
                np.save(folder / row["from"], special[name])
            else:
                scale = {"mask": 3.0, "ptr": 0.8, "mem": 1.7}[name]  # the spreads of real use
                feed[name] = hashed(shape, index + 1, scale)
                row["hash"], row["scale"] = index + 1, scale
            rows.append(row)
        made = modules[component](*(torch.from_numpy(feed[name]) for name, _, _ in wanted))
        made = made if isinstance(made, tuple) else (made,)
        graphs = runner(component, **feed)
        if component == "image_encoder":
            features = {name: value.numpy() for (name, _, _), value in zip(outputs, made)}
        results = []
        for (name, _, shape), value in zip(outputs, made):
            value = value.numpy()
            spread = max(float(value.std()), float(np.abs(value).mean()), 1e-6)
            worst = float(np.abs(graphs[name] - value).max()) / spread
            print(case, name, f"{worst:.1e}"); assert worst < 1e-2, f"{case}.{name}: graphs differ by {worst:.1e}; is this the bundle's model?"
            stride = 1 if value.size <= 4096 else 7
            np.save(at / f"{case}.{name}.npy", np.ascontiguousarray(value.ravel()[::stride]))
            results.append({"name": name, "shape": list(shape), "stride": stride, "file": f"components/{case}.{name}.npy",
                            "spread": round(spread, 6)})
        print(f"{case}: " + ", ".join(f"{r['name']} spread {r['spread']}" for r in results))
        listed.append({"case": case, "component": component, "inputs": rows, "outputs": results})
    (folder / "components.json").write_text(json.dumps(listed, indent=1) + "\n")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--bundle", type=Path, default=ROOT / "engines" / "bundles" / "edgetam_small")
    options.add_argument("--weights", type=Path, help="weights.safetensors of a bundle that is not random")
    args = options.parse_args()
    torch.set_num_threads(2)
    manifest = read_manifest(args.bundle / "bundle.toml")
    model, spec = load_model(manifest, args.weights)
    _, dims = build_components(model, spec.family)
    runner = Runner({name: onnx.load(args.bundle / f"{name}.onnx") for name in COMPONENTS}, dims)
    for old in ("frames", "prompts", "clip", "components"):
        shutil.rmtree(HERE / old, ignore_errors=True)
    with torch.inference_mode():
        write_clip(HERE, model, spec, runner)
        write_components(HERE, model, spec, runner)
    hashes = {c["name"]: c["sha256"] for c in manifest["component"]}
    (HERE / "bundle.json").write_text(json.dumps(hashes, indent=1) + "\n")
    total = sum(f.stat().st_size for f in HERE.rglob("*") if f.is_file())
    print(f"{total / 1e6:.2f} MB of goldens")


if __name__ == "__main__":
    main()
