"""The transformers model whose weights a bundle holds, from the bundle's manifest."""

from __future__ import annotations

from pathlib import Path

import torch

from .checkpoint import load_hf_folder
from .config import MODELS
from .weights import new_model, random_init, reparameterise, round_weights


# What tools/train keeps of the model that this project trained.
TRAINED = Path(__file__).resolve().parents[2] / "train" / "checkpoint" / "model.safetensors"


def trained_weights(manifest: dict) -> Path | None:
    """The weights of the project's own trained model, where the bundle is of that."""
    own = manifest["name"] == "edgetam_small" and manifest["weights"]["source"] == "trained"
    return TRAINED if own and TRAINED.is_file() else None


class NoWeights(ValueError):
    """The manifest does not say how to come by the weights, and no file was given."""


def load_bundle_model(manifest: dict, weights: Path | None = None) -> torch.nn.Module:
    """The model, RepViT folded, rounded as the bundle stores it. ``weights``: the safetensors file
    that ``masklet_export --keep-weights`` writes, or a Hugging Face folder; without it the weights must
    be of a random seed, or those that this project trained.
    """
    spec = MODELS[manifest["name"]]
    weights = weights or trained_weights(manifest)
    if weights is not None and weights.is_dir():
        model, _ = load_hf_folder(weights, spec, manifest["image_size"])
        reparameterise(model, spec)
        return _rounded(model, manifest)
    model = new_model(spec, manifest["image_size"])
    if weights is None:
        if manifest["weights"]["source"] != "random-init":
            raise NoWeights(f"the weights of {manifest['name']} come from {manifest['weights'].get('file', 'a checkpoint')}: "
                            "export with --keep-weights, or give the file with --weights")
        random_init(model, manifest["weights"]["seed"])
    reparameterise(model, spec)
    if weights is not None:
        from safetensors.torch import load_file

        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(weights).items()}
        model.load_state_dict(state)
    return _rounded(model, manifest)


def _rounded(model: torch.nn.Module, manifest: dict) -> torch.nn.Module:
    """The weights as the bundle stores them."""
    if manifest.get("weight_storage") == "fp16":
        round_weights(model, torch.float16)
    return model
