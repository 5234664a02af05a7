"""Loading checkpoints: Hugging Face folders, and the original files with their own key names."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from .config import ExportError, ModelSpec, hf_config, resize_config
from .manifest import file_sha256
from .original_keys import convert_state
from .weights import new_model


def load_original(path: Path, spec: ModelSpec, size: int) -> tuple[nn.Module, dict]:
    """``edgetam.pt`` or ``sam2.1_*.pt`` -> model and the manifest's [weights]."""
    if not path.is_file():
        raise ExportError(f"{path}: no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ExportError(f"{path} is not a checkpoint that torch can load: {str(error).splitlines()[0]}") from error
    state = state.get("model", state) if isinstance(state, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ExportError(f"{path} holds no state dict under 'model'")
    model = new_model(spec, size)
    load_strictly(model, convert_state(state, spec.family), path.name, spec)
    return model, {"source": "checkpoint", "file": path.name, "sha256": file_sha256(path)}


def load_strictly(model: nn.Module, state: dict[str, Tensor], origin: str, spec: ModelSpec) -> None:
    """Copies ``state`` into ``model``; names what is missing, unknown or of another shape."""
    own = model.state_dict()
    missing = sorted(k for k in own if k not in state and not k.endswith("num_batches_tracked"))
    unknown = sorted(k for k in state if k not in own)
    shapes = sorted(f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
                    for k in own if k in state and state[k].shape != own[k].shape)
    problems = [f"{what}: {_some(names)}" for what, names in
                (("missing", missing), ("unknown", unknown), ("of another shape", shapes)) if names]
    if problems:
        hint = ""
        if spec.family == "sam2" and set(missing) & {"occlusion_spatial_embedding_parameter"} and len(missing) <= 4:
            hint = " (a SAM 2.0 checkpoint? SAM 2.1 is needed)"
        raise ExportError(f"{origin} does not fit {spec.name}{hint}: " + "; ".join(problems))
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()}, strict=False)


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _fingerprint(config) -> dict:
    """The entries of a configuration that tell one exportable model from another."""
    backbone = config.vision_config.backbone_config
    found = {"type": config.model_type, "hidden size": config.vision_config.fpn_hidden_size,
             "memory attention layers": config.memory_attention_num_layers}
    if config.model_type == "sam2_video":
        found |= {"blocks per stage": list(backbone.blocks_per_stage), "backbone width": backbone.hidden_size}
    else:
        found |= {"backbone": backbone.architecture}
    return found


def load_hf_folder(folder: Path, spec: ModelSpec, size: int) -> tuple[nn.Module, dict]:
    """A folder with config.json and model.safetensors -> model and the manifest's [weights]."""
    from transformers import AutoConfig, EdgeTamVideoModel, Sam2VideoModel

    if not (folder / "config.json").is_file():
        raise ExportError(f"{folder} holds no config.json; give a Hugging Face checkpoint folder")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"{folder}/config.json cannot be read: {str(error).splitlines()[0]}") from error
    cls = EdgeTamVideoModel if spec.family == "edgetam" else Sam2VideoModel
    if config.model_type != cls.config_class.model_type:
        raise ExportError(f"{folder} holds a model of type {config.model_type}, "
                          f"{spec.name} is of type {cls.config_class.model_type}")
    found, wanted = _fingerprint(config), _fingerprint(hf_config(spec, size))
    wrong = [f"{k} {found[k]} instead of {wanted[k]}" for k in wanted if found[k] != wanted[k]]
    if wrong:
        raise ExportError(f"{folder} is not {spec.name}: " + ", ".join(wrong))
    try:
        model, info = cls.from_pretrained(folder, config=resize_config(config, size), dtype=torch.float32,
                                          local_files_only=True, output_loading_info=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ExportError(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    problems = [f"{what}: {_some(sorted(map(str, info[key])))}" for what, key in
                (("missing", "missing_keys"), ("unknown", "unexpected_keys"), ("of another shape", "mismatched_keys"))
                if info.get(key)]
    if problems:
        raise ExportError(f"{folder} does not fit {spec.name}: " + "; ".join(problems))
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    return model.eval().requires_grad_(False), {
        "source": "checkpoint", "file": files[0].name, "sha256": file_sha256(files[0])}
