"""Does the check notice a wrong graph? Each test breaks one thing that a port could get wrong.

Every mutation leaves shapes and names intact, so that only the numbers can give it away.
"""

import copy

import pytest
import torch

from masklet_export import cli, decoder, memory
from masklet_export.check import run_check
from masklet_export.components import COMPONENTS, build_components
from masklet_export.graph import export_component
from masklet_export.memory import Form


@pytest.fixture(scope="module")
def graphs(mini):
    """The right graphs, whose check passes."""
    spec, model, folded = mini
    modules, dims = build_components(folded, spec.family, 1, Form(True, 2, True))
    made = {name: export_component(name, modules[name], dims) for name in COMPONENTS}
    report = run_check(made, dims, model, "fp32", frames=3)
    assert report.failures() == []
    return made, dims


def no_rotation(patch):
    patch.setattr(memory, "rotate", lambda x, cos, sin: x)


def late_memories(patch):
    forward = memory.F.embedding

    def late(index, table, *rest, **more):
        # The module is torch's own: the reference calls the function too, always with more arguments.
        ours = not rest and not more
        return forward((index + 1) % 7 if ours else index, table, *rest, **more)

    patch.setattr(memory.F, "embedding", late)


def no_padding(patch):
    patch.setattr(memory, "MASKED", 0.0)


def unused_prompts_count(patch):
    patch.setattr(decoder, "MASKED", 0.0)


def worst_mask(patch):
    best = decoder.MaskDecoder._best
    patch.setattr(decoder.MaskDecoder, "_best", staticmethod(lambda iou: best(-iou)))


def transposed_subpixels(patch):
    right = decoder.MaskDecoder._picture
    patch.setattr(decoder.MaskDecoder, "_picture", lambda self, mask: right(self, mask).transpose(-1, -2))


MUTATIONS = [
    (no_rotation, ["track_step"]), (late_memories, ["track_step"]), (no_padding, ["track_step"]),
    (unused_prompts_count, ["prompt_decoder"]), (worst_mask, ["track_step"]), (transposed_subpixels, ["track_step"]),
]


@pytest.mark.parametrize("mutation, components", MUTATIONS, ids=[m[0].__name__ for m in MUTATIONS])
def test_a_wrong_formula_is_refused(mini, graphs, monkeypatch, mutation, components):
    spec, model, folded = mini
    right, dims = graphs
    with monkeypatch.context() as patch:
        mutation(patch)
        modules, _ = build_components(folded, spec.family, 1, Form(True, 2, True))
        broken = {name: export_component(name, modules[name], dims) for name in components}
    refuses(run_check({**right, **broken}, dims, model, "fp32", frames=3), components)


def no_memory_embedding(model):
    model.no_memory_embedding.zero_()


def time_table_off_by_one(model):
    table = model.memory_temporal_positional_encoding
    table.copy_(table.roll(1, dims=0))



def pointer_ages_ignored(model):
    model.temporal_positional_encoding_projection_layer.weight.zero_()


WEIGHTS = [(no_memory_embedding, ["prompt_decoder"]), (time_table_off_by_one, ["track_step"]),
           (pointer_ages_ignored, ["track_step"])]


@pytest.mark.parametrize("mutation, components", WEIGHTS, ids=[m[0].__name__ for m in WEIGHTS])
def test_a_misplaced_weight_is_refused(mini, graphs, mutation, components):
    spec, model, folded = mini
    right, dims = graphs
    other = copy.deepcopy(folded)
    with torch.no_grad():
        mutation(other)
    modules, _ = build_components(other, spec.family, 1, Form(True, 2, True))
    broken = {name: export_component(name, modules[name], dims) for name in components}
    refuses(run_check({**right, **broken}, dims, model, "fp32", frames=3), components)


def refuses(report, components) -> None:
    failures = "\n".join(report.failures())
    for name in components:
        assert f"{name}." in failures
    assert "FAILED" in report.table()


def test_an_export_out_of_tolerance_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    late_memories(monkeypatch)
    code = cli.main(["--model", "edgetam_mini", "--imgsz", "128", "--frames", "3", "--random-init", "5",
                     "--out", str(tmp_path / "bundle")])
    assert code == 1
    assert "out of tolerance, so no bundle was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
