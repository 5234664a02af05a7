"""One training step: a clip, computed as the tracker computes it, and its losses.

Rows are objects; every row has its own image. Memories carry gradients from later frames back.
Differences to inference, all optional: the memory may be given the true mask instead of the
predicted one (``teacher``), old memories may be dropped, and every mask the decoder draws is scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .model import TrainableModel

ABSENT = -1024.0
FEATURE_PENALTY = 0.1


@dataclass
class Clip:
    """A batch of clips. Rows of the object tensors are objects, ``clip`` says of which clip.

    images (C, T, 3, S, S), preprocessed; masks (R, T, S, S) of 0 and 1; clip (R,); points (R, K, 2) in
    pixels of the S x S image; labels (R, K); multimask (R,); by_mask (R,): prompted with the mask.
    ``age``: frames by which the first frame is older than the clip says (for pointers only).
    """

    images: Tensor
    masks: Tensor
    clip: Tensor
    points: Tensor
    labels: Tensor
    multimask: Tensor
    by_mask: Tensor
    age: int = 0


@dataclass
class Decoded:
    """Everything the decoder drew: masks (R, 4, 4g, 4g), iou (R, 4), score (R, 1), tokens (R, n, C)."""

    masks: Tensor
    iou: Tensor
    score: Tensor
    tokens: Tensor

    def choose(self, single: Tensor) -> Tensor:
        """Index of the mask that counts (R,): the best of 1 to 3, or 0 where ``single``."""
        best = 1 + self.iou[:, 1:].argmax(1)
        return torch.where(single, torch.zeros_like(best), best)


def decode(decoder, keys, prompt, bias, s0, s1) -> Decoded:
    """All four masks instead of the chosen one."""
    tokens, image = decoder._transform(keys, prompt, bias)
    iou, score = decoder._heads(tokens)
    hyper = torch.stack([decoder.hyper[i](tokens[:, 2 + i]) for i in range(4)], dim=2)
    flat = decoder._upscaled(image, s0, s1) @ hyper  # (R, n, 4)
    masks = decoder._picture(flat.transpose(1, 2).reshape(-1, flat.shape[1], 1))
    return Decoded(masks.reshape(-1, 4, *masks.shape[-2:]), iou, score, tokens)


def settle(decoder, out: Decoded, pick: Tensor) -> tuple[Tensor, Tensor]:
    """Chosen mask (R, 1, 4g, 4g) and pointer (R, C), with the handling of absent objects."""
    rows = torch.arange(len(pick))
    seen = (out.score > 0).to(out.score.dtype)
    mask = torch.where((out.score > 0)[:, :, None, None], out.masks[rows, pick][:, None], ABSENT)
    pointer = seen * decoder.pointer(out.tokens[rows, 2 + pick]) + (1 - seen) * decoder.no_pointer
    return mask, pointer


def mask_losses(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy per area and Dice of logits (R, K, h, w) against coverage (R, h, w): (R, K)."""
    target = truth[:, None].expand_as(logits)
    area = truth.sum((1, 2))[:, None]
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum((2, 3))
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * target).sum((2, 3)) + 1) / (p.sum((2, 3)) + target.sum((2, 3)) + 1)
    return 0.5 * entropy / (area + 60) + dice


@torch.no_grad()
def overlaps(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU of logits (R, K, h, w) > 0 with coverage > 0.5: (R, K)."""
    a, b = logits > 0, (truth > 0.5)[:, None]
    both, either = (a & b).sum((2, 3)).float(), (a | b).sum((2, 3)).float()
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(either))


def decoded_loss(out: Decoded, truth: Tensor, area: Tensor, single: Tensor | None) -> tuple[Tensor, Tensor]:
    """Loss per row (R,) and IoU of every mask (R, 4). ``area`` (R,): visible pixels at S x S.

    ``single`` (R,) bool: rows in which mask 0 counts; None on tracked frames, where it is not drawn.
    """
    big = (area >= 24).float()
    known = ((area == 0) | (area >= 24)).float()
    losses, ious = mask_losses(out.masks, truth), overlaps(out.masks, truth)
    three = losses[:, 1:]
    masks = three.min(1).values + 0.05 * three.mean(1)
    quality = (out.iou - ious).abs()
    guess = quality[:, 1:].mean(1)
    if single is not None:
        masks = masks + torch.where(single, losses[:, 0], 0.3 * losses[:, 0])
        guess = guess + 0.3 * quality[:, 0]
    present = F.binary_cross_entropy_with_logits(out.score[:, 0], (area > 0).float(), reduction="none")
    # Absent objects are the fewer, and a missed absence costs a whole frame's score.
    weight = torch.where(area == 0, 1.5, 0.6)
    return big * (masks + 0.5 * guess) + weight * known * present, ious


@dataclass
class Outcome:
    """loss; per frame the mean IoU of the chosen masks over rows where the object shows."""

    loss: Tensor
    ious: list[float]
    masks: list[Tensor]
    presence: float


def run_clip(net: TrainableModel, clip: Clip, teacher: float = 0.0, generator: torch.Generator | None = None,
             drop: float = 0.0, prompts_later: bool = False, memory: bool = True) -> Outcome:
    """Tracks the clip. ``prompts_later``: the later frames are also decoded from their own prompts.

    ``memory`` False: later frames are decoded with an empty memory bank.
    """
    net.refresh()
    dims, step = net.dims, net.track
    count, frames = clip.images.shape[:2]
    rows = len(clip.clip)
    s0, s1, feat, attended = (x.reshape(count, frames, *x.shape[1:])
                              for x in net.image_encoder(clip.images.flatten(0, 1)))
    # Nothing else bounds the features of the folded backbone; where they outgrow the position encoding
    # and the prompt embeddings, prompts and memories are no longer seen.
    excess = sum(F.relu(x.square().mean() - 1) + 0.02 * x.square().mean() for x in (s0, s1, feat))
    area = clip.masks.sum((2, 3))
    truth = F.avg_pool2d(clip.masks, 4)
    chance = lambda p: torch.rand((), generator=generator).item() < p
    take = lambda x, t: x[:, t][clip.clip]
    total, weight = torch.zeros(()), 0.0
    ious, drawn, hits = [], [], []
    entries: list[tuple[int, Tensor, Tensor]] = []

    from masklet_export.layers import to_tokens

    for t in range(frames):
        f0, f1, f = take(s0, t), take(s1, t), take(feat, t)
        if t == 0:
            single = clip.multimask < 0.5
            prompt, bias = net.prompt.points(clip.points, clip.labels)
            keys = to_tokens(f) + net.prompt.no_memory + net.prompt.no_mask
            out = decode(net.prompt.decoder, keys, prompt, bias, f0, f1)
            loss, scored = decoded_loss(out, truth[:, 0], area[:, 0], single)
            pick = out.choose(single)
            mask, pointer = settle(net.prompt.decoder, out, pick)
        else:
            kept = entries if drop == 0 else [e for e in entries if e[0] == t - 1 or not chance(drop)] or entries[:1]
            bank = _bank(kept, t, rows, clip.age)
            if not memory:
                # All masked alike is attention to all of it, so the contents have to go as well.
                bank |= {name: torch.zeros_like(bank[name]) for name in ("mem", "ptr", "mem_valid", "ptr_valid")}
            x = step.attention(take(attended, t), **bank)
            out = decode(step.decoder, x + step.no_mask, step.blank.expand(rows, -1, -1), None, f0, f1)
            loss, scored = decoded_loss(out, truth[:, t], area[:, t], None)
            pick = out.choose(torch.zeros(rows, dtype=torch.bool))
            mask, pointer = settle(step.decoder, out, pick)
        total, weight = total + loss.mean(), weight + 1
        chosen = scored[torch.arange(rows), pick] * (out.score[:, 0] > 0)
        shown = area[:, t] >= 24
        ious.append(float(chosen[shown].mean()) if shown.any() else float("nan"))
        hits.append(((out.score[:, 0] > 0) == (area[:, t] > 0)).float().mean().item())
        drawn.append(mask)
        if t == frames - 1 and not prompts_later:
            break
        if teacher and chance(teacher):
            score = (area[:, t : t + 1] > 0).float() * 2 - 1
            stored = step.memory.from_binary(f, clip.masks[:, t : t + 1], score)
        elif t == 0:
            stored = net.memory(f, mask, out.score, torch.ones(rows))
        else:
            stored = step.memory.from_tracking(f, mask, out.score)
        if t == 0 and clip.by_mask.any():
            given = clip.by_mask.nonzero()[:, 0]
            dense = net.mask_prompt.embed(clip.masks[given, :1])
            blank = net.mask_prompt.blank.expand(len(given), -1, -1)
            ptr = net.mask_prompt.decoder.pointer_only(to_tokens(f[given]) + dense, blank)
            exact = step.memory.from_binary(f[given], clip.masks[given, :1], torch.ones(len(given), 1))
            pointer, stored = pointer.index_copy(0, given, ptr), stored.index_copy(0, given, exact)
        entries.append((t, stored, pointer))
    return Outcome(total / weight + FEATURE_PENALTY * excess, ious, drawn, sum(hits) / len(hits))


def _bank(entries, t: int, rows: int, age: int) -> dict[str, Tensor]:
    """The memory inputs of ``track_step``, valid slots only (the tracker's ``memory_inputs``)."""
    near = [(e, t - e[0] - 1) for e in entries if e[0] > 0 and t - e[0] <= 6]
    memories = [(entries[0], 6)] * (entries[0][0] == 0) + near
    if not memories:
        memories = [(entries[-1], 0)]
    points = [(e, t - e[0] + (age if e[0] == 0 else 0)) for e in entries]
    return {
        "mem": torch.stack([e[1] for e, _ in memories], dim=1),
        "mem_tpos": torch.tensor([p for _, p in memories]).expand(rows, -1),
        "mem_valid": torch.ones(rows, len(memories)),
        "ptr": torch.stack([e[2] for e, _ in points], dim=1),
        "ptr_tpos": torch.tensor([a / 15 for _, a in points]).expand(rows, -1),
        "ptr_valid": torch.ones(rows, len(points)),
    }
