"""The training loop: phases, optimiser, checkpoints, the curve. ``python -m masklet_train --out DIR``."""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .data import Batches, Plan, stream, to_model
from .model import SPEC, TrainableModel, fold, initial_model
from .step import run_clip

WARMUP = 60
BACKBONE_RATE = 0.3


@dataclass(frozen=True)
class Phase:
    """``steps`` steps of one plan. ``teacher``: how often a memory is made of the true mask."""

    steps: int
    plan: Plan
    teacher: float
    drop: float = 0.0


# Prompts and the step from one frame to the next, then longer clips with the model's own memories.
PHASES = (
    Phase(4000, Plan(6, 1), 0.0),
    Phase(500, Plan(4, 2, 1), 0.9),
    Phase(900, Plan(3, 3), 0.5),
    Phase(800, Plan(2, 5), 0.15, 0.15),
    Phase(10**9, Plan(2, 8), 0.1, 0.15),
)


def phase_at(step: int) -> Phase:
    """The phase that ``step`` belongs to."""
    for phase in PHASES:
        if step < phase.steps:
            return phase
        step -= phase.steps
    return PHASES[-1]


def learning_rate(step: int, peak: float, decay_from: int | None, steps: int) -> float:
    """Warm-up, constant, then linear to a fiftieth from ``decay_from`` to ``steps``."""
    rate = peak * min(1.0, (step + 1) / WARMUP)
    if decay_from is not None and step >= decay_from:
        rate *= max(0.02, 1 - (step - decay_from) / max(steps - decay_from, 1))
    return rate


def backbone_parameters(model):
    """In the model's order; they learn at a fraction of the rate (BACKBONE_RATE), being without norms."""
    return [p for p in model.vision_encoder.backbone.parameters() if p.requires_grad]


class Trainer:
    """Model and optimiser at a step; ``advance`` takes one."""

    def __init__(self, seed: int, peak: float = 1e-3):
        self.seed, self.peak, self.step = seed, peak, 0
        model = initial_model(seed)
        fold(model, to_model(Batches(seed + 1, lambda _: Plan(12, 1))[0]).images.flatten(0, 1))
        self.net = TrainableModel(model)
        self._optimiser()

    def _optimiser(self) -> None:
        backbone = set(backbone_parameters(self.net.model))
        params = [p for p in self.net.model.parameters() if p.requires_grad and p not in backbone]
        self.optimiser = torch.optim.AdamW(
            [{"params": [p for p in params if p.ndim > 1], "weight_decay": 0.02},
             {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
             {"params": list(backbone_parameters(self.net.model)), "weight_decay": 0.02}], lr=self.peak, betas=(0.9, 0.98))

    def advance(self, clip, decay_from: int | None, steps: int):
        """One step on ``clip``; returns its outcome."""
        phase = phase_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.peak, decay_from, steps)
        self.optimiser.param_groups[-1]["lr"] *= BACKBONE_RATE
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        out = run_clip(self.net, clip, phase.teacher, generator, phase.drop)
        self.optimiser.zero_grad(set_to_none=True)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return out

    def save(self, folder: Path) -> None:
        """model.safetensors, optimizer.pt, state.json; the folder is complete or absent."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.contiguous().clone() for k, v in self.net.model.state_dict().items()}
        save_file(weights, folder / "model.safetensors.tmp")
        torch.save(self.optimiser.state_dict(), folder / "optimizer.pt.tmp")
        (folder / "state.json.tmp").write_text(json.dumps({"step": self.step, "seed": self.seed, "peak": self.peak}) + "\n")
        for name in ("model.safetensors", "optimizer.pt", "state.json"):
            os.replace(folder / f"{name}.tmp", folder / name)

    @staticmethod
    def load(folder: Path) -> "Trainer":
        """Continues a checkpoint; without optimizer.pt the optimiser starts afresh."""
        state = json.loads((folder / "state.json").read_text())
        trainer = Trainer(state["seed"], state["peak"])
        weights = {k: v.float() if v.is_floating_point() else v for k, v in load_file(folder / "model.safetensors").items()}
        trainer.net.model.load_state_dict(weights)
        if (folder / "optimizer.pt").is_file():
            trainer.optimiser.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
        trainer.step = state["step"]
        trainer.net.refresh()
        return trainer


def options() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="masklet_train", description="Trains the small reference model from scratch.")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="curve and checkpoint; continues the checkpoint that is there")
    p.add_argument("--start", type=Path, metavar="DIR", help="a checkpoint to start from when --out holds none")
    p.add_argument("--steps", type=int, default=5000, metavar="N", help="train up to this step (default: 5000)")
    p.add_argument("--decay-from", type=int, metavar="N", help="step from which the learning rate falls (default: 70 %% of --steps)")
    p.add_argument("--seed", type=int, default=20, help="seed of weights and video (default: 20)")
    p.add_argument("--lr", type=float, default=1e-3, help="peak learning rate (default: 1e-3)")
    p.add_argument("--threads", type=int, default=2, help="threads of the training step (default: 2)")
    p.add_argument("--workers", type=int, default=1, help="processes that make video (default: 1)")
    p.add_argument("--every", type=int, default=150, metavar="N", help="steps from checkpoint to checkpoint (default: 150)")
    return p


def main(argv: list[str] | None = None) -> int:
    """Trains; interrupt at will and run the same command again."""
    args = options().parse_args(argv)
    torch.set_num_threads(args.threads)
    source = next((d for d in (args.out / "checkpoint", args.start) if d and (d / "state.json").is_file()), None)
    trainer = Trainer.load(source) if source else Trainer(args.seed, args.lr)
    trainer.peak = args.lr
    decay_from = args.decay_from if args.decay_from is not None else int(0.7 * args.steps)
    args.out.mkdir(parents=True, exist_ok=True)
    curve = args.out / "curve.csv"
    if not curve.exists():
        curve.write_text("step,seconds,frames,teacher,rate,loss,first,later,last,presence\n")
    print(f"{SPEC.name}: from step {trainer.step} to {args.steps}", flush=True)
    started, rows = time.monotonic(), []
    for clip in stream(trainer.seed, lambda s: phase_at(s).plan, trainer.step, args.workers):
        if trainer.step >= args.steps:
            break
        phase = phase_at(trainer.step)
        out = trainer.advance(clip, decay_from, args.steps)
        rows.append((out.loss.item(), out.ious[0], sum(out.ious[1:]) / max(len(out.ious) - 1, 1), out.ious[-1], out.presence))
        if trainer.step % 25 == 0:
            table = torch.tensor(rows, dtype=torch.float64)
            means = table.nanmean(0).tolist()
            rate = trainer.optimiser.param_groups[0]["lr"]
            line = [trainer.step, f"{time.monotonic() - started:.0f}", phase.plan.frames, phase.teacher, f"{rate:.2e}",
                    *(f"{m:.4f}" for m in means)]
            with curve.open("a", newline="") as file:
                csv.writer(file).writerow(line)
            print(*line, flush=True)
            rows.clear()
        if trainer.step % args.every == 0 or trainer.step == args.steps:
            trainer.save(args.out / "checkpoint")
    return 0
