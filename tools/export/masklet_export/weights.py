"""Models and their weights: random initialisation, rounding, and the form that is exported."""

from __future__ import annotations

import fnmatch
import math

import torch
from torch import Tensor, nn

from .config import ModelSpec, hf_config


def new_model(spec: ModelSpec, size: int, config=None) -> nn.Module:
    """A ``transformers`` video model with unset weights, in evaluation mode."""
    from transformers import EdgeTamVideoModel, Sam2VideoModel

    config = config or hf_config(spec, size)
    cls = EdgeTamVideoModel if spec.family == "edgetam" else Sam2VideoModel
    return cls(config).eval().requires_grad_(False)


def weight_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer of the model by name, in a fixed order."""
    return dict(sorted(model.state_dict().items()))


def random_init(model: nn.Module, seed: int) -> None:
    """Draws every parameter and persistent buffer from ``seed``, in place and in a fixed order.

    ``transformers`` leaves layer scales and the no-memory, temporal and occlusion embeddings at zero,
    where a wrong use of them would go unnoticed; here nothing is zero. Scales are chosen so that masks
    have both signs and most object scores are positive.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in weight_tensors(model).items():
        if name.endswith("num_batches_tracked"):
            continue
        with torch.no_grad():
            tensor.copy_(random_value(name, tuple(tensor.shape), generator))
    tie_position_matrix(model)


def random_value(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A tensor of the scale that suits the parameter or buffer ``name`` of a transformers model."""

    def normal(std, mean=0.0):
        return torch.randn(shape, generator=generator) * std + mean

    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return torch.rand(shape, generator=generator) * 0.5 + 0.75
    if leaf == "running_mean":
        return normal(0.1)
    if leaf == "positional_embedding":
        return normal(1.0)
    if "latents" in leaf:
        return normal(1.0)
    if leaf == "scale":  # layer scale of the memory fuser
        return normal(0.05, 0.3)
    if name.endswith("pred_obj_score_head.proj_out.bias"):
        return normal(0.1, 2.5)
    if "token" in name or "embed" in leaf or "embed." in name and len(shape) == 2 or len(shape) == 0 \
            or "pointer" in leaf or "encoding" in leaf or "embedding" in leaf:
        return normal(0.5)
    if leaf == "weight" and len(shape) == 1:  # normalisation
        return normal(0.1, 1.0)
    if len(shape) <= 1:
        value = normal(0.05)
    else:
        fan_in = math.prod(shape[1:])
        if "upscale_conv" in name:  # transposed convolution: (in, out, k, k), kernel = stride
            fan_in = shape[0]
        value = normal(_gain(name) / math.sqrt(fan_in))
    if "output_hypernetworks_mlps" in name and ".proj_out." in name:
        # Mask = product with GELU outputs, whose mean is positive: coefficients that sum to zero
        # keep masks from being all object or all background.
        value = value - value.mean(dim=0, keepdim=True)
    return value


# Plain scaling would leave attention nearly uniform and the memory without effect on the masks, so
# that a wrong memory bank would pass a comparison. These make prompt, memory and pointers matter.
# RepViT's blocks add up three branches, so plain scaling would let features grow by 1.7 a block.
_GAINS = (
    ("*.token_mixer.conv*.c", 0.25),
    ("*.channel_mixer.conv2.c", 0.35),
    ("vision_encoder.neck.convs.*", 0.5),
    ("memory_attention.layers.*.cross_attn_image.[qk]_proj", 1.5),
    ("memory_attention.layers.*.cross_attn_image.[vo]_proj", 1.5),
    ("mask_decoder.transformer.*cross_attn*.[qk]_proj", 1.5),
    ("mask_decoder.transformer.*cross_attn*.[vo]_proj", 1.25),
    ("mask_decoder.transformer.final_attn*.[qk]_proj", 1.5),
    ("mask_decoder.conv_s[01]", 2.0),
    ("memory_encoder.mask_downsampler.final_conv", 1.5),
    ("mask_decoder.pred_obj_score_head.proj_out", 3.0),
)


def _gain(name: str) -> float:
    for pattern, gain in _GAINS:
        if fnmatch.fnmatchcase(name, pattern + ".weight"):
            return gain
    return 1.0


def tie_position_matrix(model: nn.Module) -> None:
    """The image-wide and the prompt encoding use one matrix, which transformers stores twice."""
    with torch.no_grad():
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(
            model.shared_image_embedding.positional_embedding)


def reparameterise(model: nn.Module, spec: ModelSpec) -> None:
    """Folds RepViT's training-time branches and batch norms into plain convolutions, in place."""
    if spec.family == "edgetam":
        from timm.utils.model import reparameterize_model

        backbone = model.vision_encoder.backbone
        backbone.timm_model = reparameterize_model(backbone.timm_model).eval().requires_grad_(False)


def round_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Rounds every floating-point weight to ``dtype`` and back, in place.

    A bundle that stores its weights in fp16 is exported from a model that holds exactly those
    values, so that storage loses nothing and the reference runs on the same numbers.
    """
    with torch.no_grad():
        for tensor in weight_tensors(model).values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.to(dtype).to(tensor.dtype))
