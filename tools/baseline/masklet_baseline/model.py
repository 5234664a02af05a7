"""A bundle's model in PyTorch: the same weights, from the same place, loaded by the exporter's own code."""

from __future__ import annotations

from pathlib import Path

import torch

from masklet_export.bundle_model import trained_weights
from masklet_export.checkpoint import load_hf_folder, load_original
from masklet_export.config import MODELS, ExportError, check_image_size, hf_config
from masklet_export.manifest import file_sha256
from masklet_export.weights import new_model, random_init, reparameterise, round_weights

from .job import BaselineError


def weights_file(entry: dict) -> Path | None:
    """Where the weights of a bundle are to be read from; None where they follow from a seed.

    Raises BaselineError with the way out where they are not to be had, and where a file is not the one the
    bundle was exported from.
    """
    manifest = entry["manifest"]
    weights, given = manifest["weights"], entry.get("weights_path")
    if given is not None:
        path = Path(given)
        if not path.exists():
            raise BaselineError(f"{path}: no such file or folder; it was given as the weights of {manifest['name']}")
        _check_hash(path, manifest)
        return path
    if entry.get("bundle_dir") and (kept := Path(entry["bundle_dir"]) / "weights.safetensors").is_file():
        return kept
    if weights["source"] == "random-init":
        return None
    if (own := trained_weights(manifest)) is not None:
        return own
    origin = weights.get("file") or "a checkpoint that it does not name"
    raise BaselineError(
        f"the weights of the bundle {manifest['name']} ({weights['source']}: {origin}) are not here, so PyTorch "
        f"cannot compute the same function; give the checkpoint with --baseline-weights, or export the bundle "
        f"again with --keep-weights")


def _check_hash(path: Path, manifest: dict) -> None:
    """Refuses a checkpoint that is not the bundle's. Weights kept by the exporter carry no recorded hash."""
    wanted = manifest["weights"].get("sha256")
    if path.name == "weights.safetensors":
        return
    if wanted is None:
        if manifest["weights"]["source"] == "random-init":
            raise BaselineError(f"the weights of the bundle {manifest['name']} follow from a seed, not from {path}; "
                                f"leave --baseline-weights out")
        return
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin")) if path.is_dir() else [path]
    found = file_sha256(files[0]) if files else "no file"
    if found != wanted:
        raise BaselineError(f"{path} is not what the bundle {manifest['name']} was exported from: SHA-256 {found}, "
                            f"the bundle says {wanted}")


def build_model(entry: dict, fold: bool) -> torch.nn.Module:
    """The model on the CPU in fp32, in evaluation mode.

    ``fold`` folds RepViT's training-time branches, as the bundle has them. Without it they stay as in the
    checkpoint, except where the bundle's weights were rounded or kept in the folded form.
    """
    manifest = entry["manifest"]
    spec, size = MODELS.get(manifest["name"]), manifest["image_size"]
    if spec is None:
        raise BaselineError(f"there is no PyTorch model for the bundle {manifest['name']}; known are {', '.join(MODELS)}")
    path = weights_file(entry)
    rounded = manifest["precision"] == "fp32" and manifest["weight_storage"] == "fp16"
    try:
        check_image_size(spec, size)
        if path is None:
            model = new_model(spec, size)
            random_init(model, manifest["weights"]["seed"])
        elif path.is_dir():
            model, _ = load_hf_folder(path, spec, size)
        elif path.suffix == ".safetensors":
            model = _kept(path, spec, size)
            if rounded:  # changes nothing in what the exporter kept, and is needed for a training checkpoint
                round_weights(model, torch.float16)
            return model
        else:
            model, _ = load_original(path, spec, size)
    except ExportError as error:
        raise BaselineError(str(error)) from error
    if fold or rounded:
        reparameterise(model, spec)
    if rounded:
        round_weights(model, torch.float16)
    return model


def _kept(path: Path, spec, size: int) -> torch.nn.Module:
    """The exact weights that the exporter kept: folded, and rounded where the bundle's are."""
    from safetensors.torch import load_file

    values = load_file(path)
    config = hf_config(spec, size)
    if spec.family == "edgetam":  # as these weights were exported, whatever the default is
        config.enable_occlusion_spatial_embedding = "occlusion_spatial_embedding_parameter" in values
        config.enable_temporal_pos_encoding_for_object_pointers = any(
            name.startswith("temporal_positional_encoding_projection_layer") for name in values)
    model = new_model(spec, size, config)
    reparameterise(model, spec)
    try:
        model.load_state_dict(values)
    except RuntimeError as error:
        raise BaselineError(f"{path} does not fit {spec.name}: {str(error).splitlines()[0]}") from error
    return model
