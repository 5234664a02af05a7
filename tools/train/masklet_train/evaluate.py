"""Scores a checkpoint on held-out clips: per frame IoU of the prompted and of the tracked frames.

    python -m masklet_train.evaluate CHECKPOINT [--clips 16] [--frames 16] [--stride 2]

Beside it stand copying the first true mask and tracking with the memory bank switched off. The clips
come from seeds that training does not use. This is a check while training; the scores of a release
are ``masklet run`` and ``masklet score`` on a split of ``masklet synth``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .data import Batches, Plan, to_model
from .loop import Trainer
from .step import overlaps, run_clip

HELD_OUT = 9_000_001


def copied(clip) -> float:
    """Mean IoU of the first true mask with later ones, over frames on which the object shows."""
    values = []
    for t in range(1, clip.masks.shape[1]):
        first, now = clip.masks[:, 0] > 0.5, clip.masks[:, t] > 0.5
        both, either = (first & now).sum((1, 2)), (first | now).sum((1, 2))
        values += (both / either.clamp(min=1))[now.sum((1, 2)) >= 24].tolist()
    return sum(values) / max(len(values), 1)


def tracked(clip, masks) -> tuple[float, float]:
    """IoU on the first frame, and on later frames on which the object shows."""
    first, later = [], []
    for t, mask in enumerate(masks):
        truth = torch.nn.functional.avg_pool2d(clip.masks[:, t : t + 1], 4)[:, 0]
        values = overlaps(mask, truth)[:, 0][clip.masks[:, t].sum((1, 2)) >= 24].tolist()
        (first if t == 0 else later).extend(values)
    return sum(first) / max(len(first), 1), sum(later) / max(len(later), 1)


@torch.no_grad()
def main(argv: list[str] | None = None) -> int:
    """Prints one line per way of tracking."""
    p = argparse.ArgumentParser(prog="masklet_train.evaluate")
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--clips", type=int, default=16)
    p.add_argument("--frames", type=int, default=16)
    p.add_argument("--stride", type=int, default=2)
    args = p.parse_args(argv)
    torch.set_num_threads(1)
    trainer = Trainer.load(args.checkpoint)
    batches = Batches(HELD_OUT, lambda _: Plan(1, args.frames, args.stride))
    sums = torch.zeros(5)
    for i in range(args.clips):
        clip = to_model(batches[i])
        clip.age = 0
        on = tracked(clip, run_clip(trainer.net, clip).masks)
        off = tracked(clip, run_clip(trainer.net, clip, memory=False).masks)
        sums += torch.tensor([on[0], on[1], off[1], copied(clip), 1.0])
    first, later, without, copy, _ = (sums / sums[-1]).tolist()
    print(f"step {trainer.step}, {args.clips} clips of {args.frames} frames, mean IoU over clips")
    print(f"  first frame {first:.3f}  later frames {later:.3f}  without memory {without:.3f}  first mask copied {copy:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
