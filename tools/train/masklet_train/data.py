"""Batches of clips: scenes with prompts, made ahead by worker processes, the same for the same seed."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from .model import SIZE
from .scenes import Scene, make_scene
from .step import Clip

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
POINTS = 4  # prompt slots in training
ROWS = 3  # objects of one clip at most
LEAST_AREA = 120  # pixels an object must show to be prompted


@dataclass(frozen=True)
class Plan:
    """What a training step is made of."""

    clips: int
    frames: int
    stride: int | None = None
    still: bool = False


def preprocess(frames: np.ndarray) -> torch.Tensor:
    """(…, S, S, 3) uint8 -> (…, 3, S, S), normalised."""
    x = torch.from_numpy(frames).float().movedim(-1, -3) / 255
    return (x - MEAN) / STD


def sample_prompt(rng: np.random.Generator, mask: np.ndarray, kind: str):
    """points (POINTS, 2), labels (POINTS,), multimask of a click, several clicks or a box on a mask."""
    ys, xs = np.nonzero(mask)
    points, labels = np.zeros((POINTS, 2), np.float32), np.full(POINTS, -10, np.int64)
    spots: list[tuple[float, float, int]] = []
    if kind == "box":
        jitter = rng.uniform(-2, 2, 4) if rng.random() < 0.5 else np.zeros(4)
        spots = [(xs.min() + jitter[0], ys.min() + jitter[1], 2), (xs.max() + jitter[2], ys.max() + jitter[3], 3)]
    elif kind == "clicks":
        for at in rng.choice(len(xs), 2):
            spots.append((xs[at], ys[at], 1))
        if rng.random() < 0.5:
            away = rng.integers(0, SIZE, 2)
            if not mask[away[1], away[0]]:
                spots.append((away[0], away[1], 0))
    elif rng.random() < 0.5 and mask[round(ys.mean()), round(xs.mean())]:
        spots = [(round(xs.mean()), round(ys.mean()), 1)]
    else:
        at = rng.integers(len(xs))
        spots = [(xs[at], ys[at], 1)]
    for i, (x, y, label) in enumerate(spots):
        points[i], labels[i] = (x, y), label
    labels[len(spots)] = -1
    return points, labels, float(len(spots) <= 1)


def make_clip(seed: tuple[int, ...], plan: Plan):
    """One clip: frames, masks (R, T, S, S), prompts. Scenes with nothing to prompt are drawn again."""
    return make_clips(seed, plan, plan.frames, plan.stride)[0]


def make_clips(seed: tuple[int, ...], plan: Plan, frames: int, stride: int | None):
    """Cuts a scene of ``frames`` frames into clips of ``plan.frames``; leaves out those with nothing to prompt."""
    attempt = 0
    while True:
        scene = make_scene((*seed, attempt), frames, SIZE, stride)
        if plan.still:
            scene.frames[:], scene.owner[:] = scene.frames[:1].copy(), scene.owner[:1].copy()
        rng = np.random.default_rng((*seed, attempt, 1))
        clips = [clip for start in range(0, frames, plan.frames)
                 if (clip := _cut(scene, slice(start, start + plan.frames), rng)) is not None]
        if clips:
            return clips
        attempt += 1


def _cut(scene: Scene, part: slice, rng: np.random.Generator):
    """Frames, masks and prompts of a part of a scene; None if its first frame shows nothing to prompt."""
    frames, owner = scene.frames[part], scene.owner[part]
    able = [o for o in range(scene.objects) if (owner[0] == o).sum() >= LEAST_AREA]
    if not able:
        return None
    chosen = rng.permutation(able)[:ROWS]
    masks = np.stack([owner == o for o in chosen])
    kinds = [str(rng.choice(["click", "box", "clicks", "mask"], p=[0.4, 0.35, 0.1, 0.15])) for _ in chosen]
    made = [sample_prompt(rng, m[0], "click" if k == "mask" else k) for m, k in zip(masks, kinds)]
    age = int(rng.integers(0, 50)) if rng.random() < 0.5 else 0
    return frames, masks, made, [k == "mask" for k in kinds], age


class Batches(Dataset):
    """Item i is the batch of training step i."""

    def __init__(self, seed: int, plan_of):
        self.seed, self.plan_of = seed, plan_of

    def __len__(self):
        return 10**9

    def __getitem__(self, step: int) -> Clip:
        plan = self.plan_of(step)
        if plan.frames > 1:
            return collate([make_clip((self.seed, step, i), plan) for i in range(plan.clips)])
        # Single frames: three of every scene, far apart, since a scene costs more than a frame.
        scenes = [make_clips((self.seed, step, i), plan, 3, 9) for i in range(-(-plan.clips // 3))]
        return collate([clip for scene in scenes for clip in scene])


def collate(clips) -> Clip:
    """Puts clips of equal length into one batch."""
    made = [p for clip in clips for p in clip[2]]
    return Clip(
        torch.from_numpy(np.stack([c[0] for c in clips])),
        torch.from_numpy(np.concatenate([c[1] for c in clips])),
        torch.tensor([i for i, c in enumerate(clips) for _ in c[2]]),
        torch.from_numpy(np.stack([p[0] for p in made])), torch.from_numpy(np.stack([p[1] for p in made])),
        torch.tensor([p[2] for p in made]), torch.tensor([float(b) for c in clips for b in c[3]]), clips[0][4])


def to_model(clip: Clip) -> Clip:
    """Frames are passed between processes as bytes; this makes them what the model takes."""
    clip.images = preprocess(clip.images.numpy())
    clip.masks = clip.masks.float()
    return clip


def _quiet_worker(_index: int) -> None:
    os.nice(5)
    torch.set_num_threads(1)


def stream(seed: int, plan_of, first: int, workers: int):
    """Batches of steps ``first``, ``first + 1``, ..."""
    loader = DataLoader(Batches(seed, plan_of), batch_size=None, sampler=range(first, 10**9), num_workers=workers,
                        prefetch_factor=4 if workers else None, worker_init_fn=_quiet_worker)
    return map(to_model, iter(loader))
