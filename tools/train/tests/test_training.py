"""The generator is deterministic, the step is the tracker's computation, and resuming changes nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from masklet_train.data import Batches, Plan, make_clip, to_model  # noqa: E402
from masklet_train.loop import Trainer  # noqa: E402
from masklet_train.model import SPEC, unfold  # noqa: E402
from masklet_train.scenes import GROUND, make_scene  # noqa: E402
from masklet_train.step import run_clip  # noqa: E402
from masklet_export.components import build_components  # noqa: E402
from masklet_export.tracker import Entry, memory_inputs  # noqa: E402
from masklet_export.weights import reparameterise  # noqa: E402


def test_a_scene_follows_from_its_seed_and_its_masks_are_where_the_paint_is():
    a, b, other = make_scene((3, 1), 4, 96), make_scene((3, 1), 4, 96), make_scene((3, 2), 4, 96)
    assert (a.frames == b.frames).all() and (a.owner == b.owner).all()
    assert a.frames.tobytes() != other.frames.tobytes()
    assert {int(v) for v in np.unique(a.owner)} <= {*range(a.objects), GROUND}
    assert len(np.unique(a.owner)) > 1, "nothing was drawn"


def test_prompts_lie_on_their_objects():
    for seed in range(6):
        _, masks, prompts, _, _ = make_clip((9, seed), Plan(1, 2))
        for mask, (points, labels, multimask) in zip(masks, prompts):
            for (x, y), label in zip(points, labels):
                if label == 1:
                    assert mask[0, int(y), int(x)]
            assert multimask == float((labels >= 0).sum() <= 1)


@pytest.fixture(scope="module")
def trainer():
    return Trainer(4)


def test_the_training_step_computes_what_the_exported_components_compute(trainer):
    model = unfold(trainer.net.folded_copy())
    reparameterise(model, SPEC)
    parts, dims = build_components(model, "edgetam")
    clip = to_model(Batches(5, lambda _: Plan(2, 4))[0])
    clip.age = 0
    with torch.no_grad():
        got = run_clip(trainer.net, clip).masks
        for row, index in enumerate(clip.clip.tolist()):
            feats = [parts["image_encoder"](clip.images[index, t : t + 1]) for t in range(4)]
            s0, s1, f, _ = feats[0]
            out = parts["prompt_decoder"](f, s0, s1, clip.points[row : row + 1], clip.labels[row : row + 1],
                                          clip.multimask[row : row + 1])
            if clip.by_mask[row]:
                full = parts["mask_prompt"](f, clip.masks[row : row + 1, :1])
                first, memory = (full[2], full[4]), full[4]
            else:
                memory = parts["memory_encoder"](f, out[0], out[3], torch.ones(1))
                first = (out[2], memory)
                wanted = out[0]
                assert torch.allclose(got[0][row], wanted[0], atol=1e-3), "first frame"
            entry, tracked = Entry(0, memory.numpy()[0], first[0].numpy()[0]), {}
            for t in range(1, 4):
                bank = memory_inputs(dims, t, 100, [(entry, tracked)])
                bank = {k: torch.from_numpy(v) for k, v in bank.items()}
                s0, s1, f, attended = feats[t]
                out = parts["track_step"](f, s0, s1, attended, **bank)
                assert torch.allclose(got[t][row], out[0][0], atol=2e-3, rtol=1e-3), f"row {row} frame {t}"
                tracked[t] = Entry(t, out[4].numpy()[0], out[2].numpy()[0])


def test_a_resumed_run_takes_the_same_step(trainer, tmp_path):
    clips = Batches(trainer.seed, lambda _: Plan(1, 2))
    trainer.advance(to_model(clips[0]), None, 100)
    trainer.save(tmp_path)
    again = Trainer.load(tmp_path)
    a = trainer.advance(to_model(clips[1]), None, 100).loss.item()
    b = again.advance(to_model(clips[1]), None, 100).loss.item()
    assert a == pytest.approx(b, rel=1e-5)
    for (name, p), q in zip(trainer.net.model.named_parameters(), again.net.model.parameters()):
        assert torch.allclose(p, q, atol=1e-5), name
