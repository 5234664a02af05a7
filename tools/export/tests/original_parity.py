"""Proves the key mapping of original checkpoints: original code against converted model and exported graphs.

    git clone https://github.com/facebookresearch/sam2 ORIGINALS/sam2
    git clone https://github.com/facebookresearch/EdgeTAM ORIGINALS/edgetam
    pip install hydra-core iopath
    PYTHONPATH=tools/export python tools/export/tests/original_parity.py ORIGINALS/sam2 --model sam2_tiny --imgsz 512
    PYTHONPATH=tools/export python tools/export/tests/original_parity.py ORIGINALS/edgetam --model edgetam --imgsz 512

Builds the original model from its own configuration with random weights, saves its state dict as the
published files are laid out, converts that file, and tracks two objects from a click each with all
three: the original video predictor, transformers' session, and the exported graphs in ONNX Runtime.
Prints the largest difference over the spread of the original's values, and mask IoU. Not run by
pytest: the original code is not a dependency of this project. Needs no download and no GPU.

One thing is evened out: the original EdgeTAM predictor rounds stored memories to bf16, transformers
keeps f32; here both keep f32.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from masklet_export.bundle import export_graphs  # noqa: E402
from masklet_export.check import OBJECTS, mask_iou  # noqa: E402
from masklet_export.checkpoint import load_original  # noqa: E402
from masklet_export.clip import make_clip  # noqa: E402
from masklet_export.config import MODELS  # noqa: E402
from masklet_export.original_keys import rename  # noqa: E402
from masklet_export.reference import Reference, pixel_values, video_mask  # noqa: E402
from masklet_export.tracker import Runner, Tracker  # noqa: E402
from masklet_export.weights import random_value, reparameterise  # noqa: E402

CONFIGS = {"edgetam": "configs/edgetam.yaml", **{f"sam2_{name}": f"configs/sam2.1/sam2.1_hiera_{letter}.yaml"
           for name, letter in (("tiny", "t"), ("small", "s"), ("base", "b+"), ("large", "l"))}}
GOLDEN = Path(__file__).parent / "golden"


class KeepsF32:
    """Stands for the module ``torch`` inside the original predictor, whose bfloat16 is then float32."""

    bfloat16 = torch.float32

    def __getattr__(self, name):
        return getattr(torch, name)


def build_original(checkout: Path, name: str, size: int):
    """The original video predictor as its own builder makes it, hole filling apart."""
    sys.path.insert(0, str(checkout))
    import timm.models

    create = timm.models.create_model
    timm.models.create_model = lambda *a, **k: create(*a, **{**k, "pretrained": False})
    import sam2.sam2_video_predictor as predictor
    from hydra import compose
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    grid = size // 16
    overrides = ["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor",
                 f"++model.image_size={size}",
                 "++model.sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
                 "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.05",
                 "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.98",
                 "++model.binarize_mask_from_pts_for_mem_enc=true", "++model.fill_hole_area=0",
                 f"++model.memory_attention.layer.self_attention.feat_sizes=[{grid},{grid}]"]
    if name == "edgetam":
        overrides.append(f"++model.memory_attention.layer.cross_attention.q_sizes=[{grid},{grid}]")
        predictor.torch = KeepsF32()
    config = compose(config_name=CONFIGS[name], overrides=overrides)
    OmegaConf.resolve(config)
    return instantiate(config.model, _recursive_=True).eval(), predictor


def randomise(model, family: str, seed: int) -> None:
    """Draws every tensor of the original model from the seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, tensor in sorted(model.state_dict().items()):
            if tensor.is_floating_point():
                tensor.copy_(random_value(rename(key, family), tuple(tensor.shape), generator))


def track_original(model, predictor, images: torch.Tensor, video_size, prompts) -> dict:
    """results[object][frame]: low-resolution logits of the original predictor."""
    predictor.load_video_frames = lambda **_: (images, *video_size)
    results = {}
    for obj, prompt in prompts.items():  # the original EdgeTAM cannot take two objects in one session
        x, y, label = prompt.points[0]
        with torch.inference_mode():
            state = model.init_state("clip", offload_video_to_cpu=True)
            model.add_new_points_or_box(state, 0, obj, points=[[x, y]], labels=[label])
            for _ in model.propagate_in_video(state):
                pass
        stored = state["output_dict_per_obj"][0]
        frames = {**stored["cond_frame_outputs"], **stored["non_cond_frame_outputs"]}
        results[obj] = {frame: out["pred_masks"].float() for frame, out in sorted(frames.items())}
    return results


def relative(got, want) -> float:
    got, want = np.asarray(got, np.float64).ravel(), np.asarray(want, np.float64).ravel()
    return float(np.abs(got - want).max() / want.std())


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("checkout", type=Path)
    p.add_argument("--model", required=True, choices=list(CONFIGS))
    p.add_argument("--imgsz", type=int, default=512)
    p.add_argument("--frames", type=int, default=6)
    p.add_argument("--seed", type=int, default=7)
    args = p.parse_args()
    spec = MODELS[args.model]
    model, predictor = build_original(args.checkout, args.model, args.imgsz)
    randomise(model, spec.family, args.seed)

    golden = json.loads((GOLDEN / f"original_keys_{args.model}.json").read_text())
    own = {key: list(value.shape) for key, value in model.state_dict().items()}
    odd = sorted(key for key in golden.keys() | own.keys() if golden.get(key) != own.get(key))
    print(f"{args.model} at {args.imgsz}: {len(own)} tensors, names and shapes "
          + ("equal to the golden list" if not odd else f"NOT equal to the golden list: {odd[:5]}"))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "original.pt"
        torch.save({"model": model.state_dict()}, path)
        converted, _ = load_original(path, spec, args.imgsz)

    clip = make_clip(args.frames)
    size = clip.frames[0].shape[:2]
    prompts = {obj: clip.prompt(obj, "click") for obj in OBJECTS}
    images = pixel_values(clip.frames, args.imgsz)
    want = track_original(model, predictor, images, size, prompts)
    with torch.inference_mode():
        features = model.forward_image(images[:1])["backbone_fpn"]
    reference = Reference(converted, clip.frames)
    states = reference.run(prompts)
    first = reference.features(0)
    reparameterise(converted, spec)
    graphs, dims = export_graphs(converted, spec, 1, log=lambda *_: None)
    tracker = Tracker(Runner(graphs, dims), images, size, spec.family == "sam2")
    tracks = {obj: tracker.track([prompts[obj]])[0] for obj in OBJECTS}

    print("image features      transformers  graphs")
    for name, own, theirs in zip(("feat_s0", "feat_s1", "feat"), features, first):
        print(f"  {name:<16}  {relative(theirs, own):12.1e}  {relative(tracker.features(0)[name], own):6.1e}")
    print("mask logits         transformers (IoU)    graphs (IoU)")
    for obj in OBJECTS:
        for frame, logits in want[obj].items():
            mask = video_mask(logits.reshape(1, 1, *logits.shape[-2:]), *size)
            cells = []
            for value in (states[obj][frame].mask, torch.from_numpy(tracks[obj][frame]["mask"])):
                cells.append(f"{relative(value, logits):.1e} ({mask_iou(video_mask(value, *size), mask):.5f})")
            print(f"  object {obj} frame {frame}  {cells[0]:>20}  {cells[1]:>18}   object {mask.mean():.0%} of the frame")


if __name__ == "__main__":
    main()
