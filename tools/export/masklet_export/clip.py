"""The short synthetic clip that exports are checked on, with its prompts.

Two textured shapes move over a textured ground: object 1 (a disc) stays in sight, object 2 (a
rectangle) is covered by a bar for some frames. Everything follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

PROMPT_KINDS = ("click", "box", "mask")


@dataclass
class Prompt:
    """What the user marks on one frame, in pixels of the video.

    points: (x, y, label) with label 1 or 0. box: (x0, y0, x1, y1). mask: (H, W) bool.
    """

    frame: int = 0
    points: list[tuple[float, float, int]] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None
    mask: np.ndarray | None = None


@dataclass
class Clip:
    """frames (H, W, 3) uint8; truth[object][frame] (H, W) bool: the visible part of each object."""

    frames: list[np.ndarray]
    truth: dict[int, list[np.ndarray]]

    def prompt(self, obj: int, kind: str, frame: int = 0) -> Prompt:
        """A click on the middle of the object, its tight box, or its mask."""
        mask = self.truth[obj][frame]
        ys, xs = np.nonzero(mask)
        if kind == "mask":
            return Prompt(frame, mask=mask)
        if kind == "box":
            return Prompt(frame, box=(float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())))
        return Prompt(frame, points=[(float(round(xs.mean())), float(round(ys.mean())), 1)])


def _texture(rng: np.random.Generator, height: int, width: int, colour: np.ndarray, cell: int) -> np.ndarray:
    """Blocky noise around a colour: (height, width, 3) float."""
    coarse = rng.normal(0, 28, (height // cell + 2, width // cell + 2, 3))
    fine = np.kron(coarse, np.ones((cell, cell, 1)))[:height, :width]
    return colour + fine + rng.normal(0, 6, (height, width, 3))


def make_clip(count: int = 10, width: int = 320, height: int = 240, seed: int = 3) -> Clip:
    """``count`` frames; object 2 is hidden while the bar passes, about frames 4 to 6 of 10."""
    rng = np.random.default_rng(seed)
    ground = _texture(rng, height, width, np.array([90.0, 110.0, 100.0]), 8)
    skins = {1: _texture(rng, height, width, np.array([190.0, 70.0, 50.0]), 5),
             2: _texture(rng, height, width, np.array([60.0, 80.0, 200.0]), 4)}
    bar_skin = _texture(rng, height, width, np.array([150.0, 150.0, 140.0]), 3)
    y, x = np.mgrid[0:height, 0:width]
    frames, truth = [], {1: [], 2: []}
    for t in range(count):
        s = t / max(count - 1, 1)
        cx, cy, r = width * (0.25 + 0.25 * s), height * (0.35 + 0.15 * s), height * 0.16
        disc = (x - cx) ** 2 + ((y - cy) * (1 + 0.2 * s)) ** 2 < r * r
        rx, ry = width * (0.68 - 0.06 * s), height * (0.60 - 0.05 * s)
        box = (abs(x - rx) < width * 0.11) & (abs(y - ry) < height * 0.15)
        middle = width * (1.50 - 1.70 * s)
        bar = abs(x - middle) < width * 0.13
        frame = ground.copy()
        for obj, shape in ((1, disc), (2, box)):
            frame[shape] = np.roll(skins[obj], (2 * t, 3 * t), (0, 1))[shape]
        frame[bar] = bar_skin[bar]
        frames.append(np.clip(frame, 0, 255).round().astype(np.uint8))
        truth[1].append(disc & ~box & ~bar)
        truth[2].append(box & ~bar)
    return Clip(frames, truth)
