"""Regenerates the golden files of this folder with torchvision and PyTorch (CPU).

    python make.py

frame_*.png are inputs, frame_*_to<S>.png what torchvision's resize (bilinear, antialias) makes of
them on 8-bit values; mask_*.png are inputs, mask_*_to<S>.png what transformers' Sam2VideoProcessor
makes of a mask prompt. Written with torch 2.11.0, torchvision 0.26.0, numpy 2.4.6, pillow 13.0.0.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tvF

here = Path(__file__).parent
rng = np.random.default_rng(20)


def frame(h, w):
    y, x = np.mgrid[:h, :w]
    base = np.stack([x * 255 / w, y * 255 / h, 127 + 127 * np.sin(x / 5 + y / 7)], -1)
    base[h // 4 : h // 2, w // 4 : w // 2] = (255, 255, 0)
    noise = rng.integers(-40, 41, (h, w, 3))
    return np.clip(base + noise, 0, 255).astype(np.uint8)


for name, (h, w), sizes in [("a", (37, 53), (32, 96)), ("b", (90, 51), (64,)), ("c", (24, 128), (48,))]:
    image = frame(h, w)
    Image.fromarray(image).save(here / f"frame_{name}.png")
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    for size in sizes:
        out = tvF.resize(tensor, [size, size], interpolation=tvF.InterpolationMode.BILINEAR, antialias=True)
        Image.fromarray(out[0].permute(1, 2, 0).numpy()).save(here / f"frame_{name}_to{size}.png")


def ellipse(h, w):
    y, x = np.mgrid[:h, :w]
    return ((y - h * 0.45) / (h * 0.3)) ** 2 + ((x - w * 0.55) / (w * 0.4)) ** 2 < 1


masks = {
    # Halving: sums land on 0.5 exactly.
    "halved": (rng.random((64, 64)) < 0.5, (32,)),
    "ellipse": (ellipse(96, 54), (16, 64, 128)),
    # Windows of more than five taps, where the order of the sum shows.
    "noise": (rng.random((151, 203)) < 0.5, (20, 33)),
    "stripes": (np.indices((90, 60)).sum(0) % 3 == 0, (40,)),
    "same": (ellipse(32, 32), (32,)),
}
for name, (mask, sizes) in masks.items():
    Image.fromarray(mask).save(here / f"mask_{name}.png")
    for size in sizes:
        tensor = torch.from_numpy(mask).float()[None, None]
        if tensor.shape[-2:] != (size, size):
            tensor = torch.nn.functional.interpolate(
                tensor, size=(size, size), align_corners=False, mode="bilinear", antialias=True
            )
            tensor = (tensor >= 0.5).float()
        Image.fromarray(tensor[0, 0].numpy() > 0).save(here / f"mask_{name}_to{size}.png")
