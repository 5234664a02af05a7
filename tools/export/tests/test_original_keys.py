"""Original checkpoints: every golden name finds its place, and what is cut differently is cut right.

The numbers against the original code are in ``original_parity.py``, which needs that code.
"""

import json
from pathlib import Path

import pytest
import torch

from masklet_export.checkpoint import load_original, load_strictly
from masklet_export.config import MODELS, ExportError
from masklet_export.original_keys import convert_state, rename
from masklet_export.weights import new_model

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("edgetam", "sam2_tiny", "sam2_small", "sam2_base", "sam2_large")


def golden(name: str) -> dict[str, list[int]]:
    return json.loads((GOLDEN / f"original_keys_{name}.json").read_text())


def random_state(name: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {key: torch.randn(shape, generator=generator) for key, shape in golden(name).items()}


@pytest.mark.parametrize("name", NAMES)
def test_golden_names_and_shapes_fill_the_model_exactly(name):
    spec = MODELS[name]
    with torch.device("meta"):  # names and shapes only: the large model has 224 million weights
        model = new_model(spec, spec.default_size)
    state = {key: torch.empty(shape, device="meta") for key, shape in golden(name).items()}
    load_strictly(model, convert_state(state, spec.family), name, spec)


@pytest.mark.parametrize("name", ["edgetam", "sam2_tiny"])
def test_a_saved_checkpoint_reaches_every_weight(name, tmp_path):
    spec, state = MODELS[name], random_state(name)
    torch.save({"model": state}, tmp_path / "original.pt")
    model, weights = load_original(tmp_path / "original.pt", spec, spec.default_size)
    assert weights["source"] == "checkpoint" and weights["file"] == "original.pt" and len(weights["sha256"]) == 64
    loaded, want = model.state_dict(), convert_state(state, spec.family)
    assert sorted(k for k in loaded if not k.endswith("num_batches_tracked")) == sorted(
        k for k in want if not k.endswith("num_batches_tracked"))
    for key, value in ((k, v) for k, v in want.items() if not k.endswith("num_batches_tracked")):
        assert torch.equal(loaded[key].float(), value), key
    # Nothing is lost or doubled on the way: apart from the position matrix, which is stored twice,
    # both sides hold the same numbers.
    twice = state["sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"].double().sum()
    total = sum(v.double().sum() for v in state.values()) + twice
    assert abs(sum(v.double().sum() for v in want.values()) - total) < 1e-6


def test_joint_key_value_projections_are_cut_keys_first():
    state = random_state("edgetam")
    converted = convert_state(state, "edgetam")
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(2))
    for layer in (0, 1):
        for old, new in (("attn", "cross_attention"), ("self_attn", "self_attention")):
            joint = state[f"spatial_perceiver.layers.{layer}.{old}.to_kv.weight"]
            keys, values = (x @ joint.T).chunk(2, dim=-1)  # as the original forward pass cuts them
            at = f"spatial_perceiver.layers.{layer}.{new}"
            assert torch.allclose(x @ converted[f"{at}.k_proj.weight"].T, keys)
            assert torch.allclose(x @ converted[f"{at}.v_proj.weight"].T, values)


@pytest.mark.parametrize("name", ["edgetam", "sam2_tiny"])
def test_point_embeddings_become_one_table_in_label_order(name):
    state = random_state(name)
    # The order of the keys in a file must not matter.
    converted = convert_state(dict(reversed(state.items())), MODELS[name].family)
    table = converted["prompt_encoder.point_embed.weight"]
    assert table.shape == (4, 256)
    for label in range(4):
        assert torch.equal(table[label], state[f"sam_prompt_encoder.point_embeddings.{label}.weight"][0])
    matrix = state["sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    assert torch.equal(converted["shared_image_embedding.positional_embedding"], matrix)
    assert torch.equal(converted["prompt_encoder.shared_embedding.positional_embedding"], matrix)


@pytest.mark.parametrize("family, old, new", [
    ("sam2", "image_encoder.trunk.blocks.3.mlp.layers.1.bias", "vision_encoder.backbone.blocks.3.mlp.proj_out.bias"),
    ("sam2", "memory_attention.layers.2.linear1.weight", "memory_attention.layers.2.linear1.weight"),
    ("edgetam", "memory_attention.layers.1.linear2.weight", "memory_attention.layers.1.mlp.down_proj.weight"),
    ("edgetam", "memory_encoder.mask_downsampler.encoder.4.weight",
     "memory_encoder.mask_downsampler.layers.1.layer_norm.weight"),
    ("edgetam", "memory_encoder.mask_downsampler.encoder.12.bias", "memory_encoder.mask_downsampler.final_conv.bias"),
    ("sam2", "sam_mask_decoder.output_hypernetworks_mlps.2.layers.1.weight",
     "mask_decoder.output_hypernetworks_mlps.2.layers.0.weight"),
    ("edgetam", "spatial_perceiver.layers.0.self_ff.3.weight", "spatial_perceiver.layers.0.self_mlp.down_proj.weight"),
])
def test_names(family, old, new):
    assert rename(old, family) == new


def refusal(name: str, state: dict) -> str:
    spec = MODELS[name]
    with torch.device("meta"):
        model = new_model(spec, spec.default_size)
    with pytest.raises(ExportError) as error:
        load_strictly(model, convert_state(state, spec.family), "file.pt", spec)
    return str(error.value)


def test_wrong_keys_are_named():
    state = {key: torch.empty(shape, device="meta") for key, shape in golden("edgetam").items()}
    del state["no_mem_embed"]
    state["surprise"] = torch.empty(1, device="meta")
    state["no_obj_ptr"] = torch.empty(1, 128, device="meta")
    message = refusal("edgetam", state)
    assert "file.pt does not fit edgetam" in message
    assert "missing: no_memory_embedding" in message and "unknown: surprise" in message
    assert "of another shape: no_object_pointer (1, 128) instead of (1, 256)" in message


def test_another_model_of_the_family_is_refused():
    state = {key: torch.empty(shape, device="meta") for key, shape in golden("sam2_small").items()}
    assert "does not fit sam2_tiny" in refusal("sam2_tiny", state)


def test_a_sam_2_0_checkpoint_is_recognised():
    state = {key: torch.empty(shape, device="meta") for key, shape in golden("sam2_tiny").items()
             if not key.startswith(("no_obj_embed_spatial", "obj_ptr_tpos_proj"))}
    assert "SAM 2.1 is needed" in refusal("sam2_tiny", state)
