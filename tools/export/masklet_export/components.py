"""The five components of a bundle, each one ``nn.Module`` with the inputs and outputs of its graph.

See docs/bundle-format.md for names and shapes. Names of tensors are in ``COMPONENTS``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MEMORY_SLOTS, POINTER_SLOTS, PROMPT_SLOTS, ExportError
from .decoder import MaskDecoder, MaskEmbedding, PointEmbedding
from .encoder import build_image_encoder
from .layers import frozen, to_tokens
from .memory import Form, MemoryAttention, MemoryEncoder

COMPONENTS = ("image_encoder", "prompt_decoder", "memory_encoder", "mask_prompt", "track_step")
STEP_OUTPUTS = ("mask", "iou", "obj_ptr", "obj_score")


@dataclass(frozen=True)
class Dims:
    """Sizes that decide every shape (letters as in docs/bundle-format.md)."""

    size: int  # S
    hidden: int  # C
    memory: int  # D
    tokens: int  # T
    objects: int  # B
    memory_slots: int = MEMORY_SLOTS  # M
    pointer_slots: int = POINTER_SLOTS  # P
    prompt_slots: int = PROMPT_SLOTS  # N

    @property
    def grid(self) -> int:
        """g = S/16."""
        return self.size // 16


def model_dims(model: nn.Module, family: str, objects: int = 1) -> Dims:
    """Reads the sizes off a ``transformers`` video model."""
    c = model.config
    if c.num_maskmem != MEMORY_SLOTS or c.max_object_pointers_in_encoder != POINTER_SLOTS:
        raise ExportError(f"the bundle format holds {MEMORY_SLOTS} memories and {POINTER_SLOTS} pointers, the model "
                          f"has {c.num_maskmem} and {c.max_object_pointers_in_encoder}")
    grid = c.image_size // 16
    tokens = grid * grid
    if family == "edgetam":
        tokens = c.perceiver_resampler_num_latents + c.perceiver_resampler_num_latents_2d
    return Dims(c.image_size, model.hidden_dim, model.mem_dim, tokens, objects)


def signature(dims: Dims) -> dict[str, tuple[list, list]]:
    """Inputs and outputs of every component: lists of (name, dtype, shape)."""
    d, g = dims, dims.grid
    b, c = d.objects, d.hidden
    feats = [("feat_s0", "f32", (1, c // 8, 4 * g, 4 * g)), ("feat_s1", "f32", (1, c // 4, 2 * g, 2 * g)),
             ("feat", "f32", (1, c, g, g)), ("feat_attended", "f32", (1, g * g, c))]
    first = [feats[2], feats[0], feats[1]]
    mask, iou = ("mask", "f32", (b, 1, 4 * g, 4 * g)), ("iou", "f32", (b, 1))
    ptr, score = ("obj_ptr", "f32", (b, c)), ("obj_score", "f32", (b, 1))
    mem = ("mem_out", "f32", (b, d.tokens, d.memory))
    return {
        "image_encoder": ([("image", "f32", (1, 3, d.size, d.size))], feats),
        "prompt_decoder": (first + [("points", "f32", (b, d.prompt_slots, 2)), ("labels", "i32", (b, d.prompt_slots)),
                                    ("multimask", "f32", (b,))], [mask, iou, ptr, score]),
        "memory_encoder": ([feats[2], mask, score, ("from_prompt", "f32", (b,))], [mem]),
        "mask_prompt": ([feats[2], ("mask_input", "f32", (b, 1, d.size, d.size))], [mask, iou, ptr, score, mem]),
        "track_step": (first + [feats[3], ("mem", "f32", (b, d.memory_slots, d.tokens, d.memory)),
                                ("mem_tpos", "i32", (b, d.memory_slots)), ("mem_valid", "f32", (b, d.memory_slots)),
                                ("ptr", "f32", (b, d.pointer_slots, c)), ("ptr_tpos", "f32", (b, d.pointer_slots)),
                                ("ptr_valid", "f32", (b, d.pointer_slots))], [mask, iou, ptr, score, mem]),
    }


class PromptDecoder(nn.Module):
    """First frame of an object prompted by points or a box."""

    def __init__(self, model: nn.Module, dims: Dims):
        super().__init__()
        self.points = PointEmbedding(model, dims.size)
        self.decoder = MaskDecoder(model, dims.grid)
        # On a first frame the image carries "no memory", and every frame without a mask "no mask".
        self.no_memory = nn.Parameter(frozen(model.no_memory_embedding), requires_grad=False)
        self.no_mask = nn.Parameter(frozen(model.prompt_encoder.no_mask_embed.weight)[None], requires_grad=False)

    def forward(self, feat, feat_s0, feat_s1, points, labels, multimask):
        tokens, bias = self.points(points, labels)
        keys = to_tokens(feat) + self.no_memory + self.no_mask
        return self.decoder.either(keys, tokens, bias, feat_s0, feat_s1, multimask)


class MemoryStep(nn.Module):
    """Low-resolution logits of a decoded frame -> its memory. ``from_prompt`` is per object (B)."""

    def __init__(self, model: nn.Module, dims: Dims, edgetam: bool, form: Form = Form()):
        super().__init__()
        self.encoder = MemoryEncoder(model, edgetam, form)
        self.size = dims.size
        self.scale = float(model.config.sigmoid_scale_for_mem_enc)
        self.offset = float(model.config.sigmoid_bias_for_mem_enc)

    def _enlarge(self, mask: Tensor) -> Tensor:
        return F.interpolate(mask, scale_factor=4.0, mode="bilinear", align_corners=False)

    def from_tracking(self, feat, mask, obj_score):
        soft = torch.sigmoid(self._enlarge(mask))
        return self.encoder(feat, soft * self.scale + self.offset, obj_score)

    def from_binary(self, feat, mask, obj_score):
        """mask (B, 1, S, S) of 0 and 1."""
        return self.encoder(feat, mask * self.scale + self.offset, obj_score)

    def forward(self, feat, mask, obj_score, from_prompt):
        large = self._enlarge(mask)
        hard = from_prompt[:, None, None, None]
        value = hard * (large > 0).to(large.dtype) + (1 - hard) * torch.sigmoid(large)
        return self.encoder(feat, value * self.scale + self.offset, obj_score)


class Shrink4(nn.Module):
    """Antialiased bilinear reduction by 4, as ``interpolate(antialias=True)``: (B, 1, S, S) -> S/4.

    The triangle filter of half-width 4 is an 8x8 kernel of eighths, exact in every float format. At
    the rim the filter loses weight to the outside; dividing by what is left restores it.
    """

    def __init__(self, size: int):
        super().__init__()
        taps = torch.tensor([1.0, 3, 5, 7, 7, 5, 3, 1]) / 32
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None])
        inside = F.conv1d(torch.ones(1, 1, size), taps[None, None], stride=4, padding=2)[0, 0]
        self.register_buffer("gain", torch.outer(1 / inside, 1 / inside)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, stride=4, padding=2) * self.gain


class MaskPrompt(nn.Module):
    """First frame of an object prompted by a mask: the mask is the result; only its pointer is decoded."""

    def __init__(self, model: nn.Module, dims: Dims, edgetam: bool, form: Form = Form()):
        super().__init__()
        self.embed = MaskEmbedding(model)
        self.decoder = MaskDecoder(model, dims.grid)
        self.memory = MemoryStep(model, dims, edgetam, form)
        self.shrink = Shrink4(dims.size)
        blank = frozen(model.prompt_encoder.not_a_point_embed.weight)[None]
        self.blank = nn.Parameter(blank.expand(1, 2, -1).contiguous(), requires_grad=False)
        self.no_pointer = nn.Parameter(frozen(model.no_object_pointer), requires_grad=False)

    def forward(self, feat, mask_input):
        b = mask_input.shape[0]
        keys = to_tokens(feat) + self.embed(mask_input)  # raw features: no "no memory" here
        seen = torch.amax(mask_input, dim=(1, 2, 3)).reshape(b, 1)
        seen = (seen > 0).to(mask_input.dtype)
        score = seen * 20.0 - 10.0
        pointer = self.decoder.pointer_only(keys, self.blank.expand(b, -1, -1))
        pointer = seen * pointer + (1 - seen) * self.no_pointer
        mask = self.shrink(mask_input) * 20.0 - 10.0
        mem = self.memory.from_binary(feat, (mask_input > 0).to(mask_input.dtype), score)
        # The prompt counts as perfect: 1, written as a function of the score (+-10) because runtimes
        # are not happy with a constant for an output.
        return mask, torch.clamp(score.abs(), max=1.0), pointer, score, mem


class TrackStep(nn.Module):
    """Every later frame: memory attention, mask decoder and memory encoder in one graph."""

    def __init__(self, model: nn.Module, dims: Dims, edgetam: bool, form: Form = Form()):
        super().__init__()
        self.attention = MemoryAttention(model, dims.grid, dims.tokens, edgetam, form)
        self.decoder = MaskDecoder(model, dims.grid)
        self.memory = MemoryStep(model, dims, edgetam, form)
        blank = frozen(model.prompt_encoder.not_a_point_embed.weight)[None]
        self.blank = nn.Parameter(blank.expand(1, 2, -1).contiguous(), requires_grad=False)
        self.no_mask = nn.Parameter(frozen(model.prompt_encoder.no_mask_embed.weight)[None], requires_grad=False)

    def forward(self, feat, feat_s0, feat_s1, feat_attended, mem, mem_tpos, mem_valid, ptr, ptr_tpos, ptr_valid):
        x = self.attention(feat_attended, mem, mem_tpos, mem_valid, ptr, ptr_tpos, ptr_valid)
        mask, iou, pointer, score = self.decoder.best_of_three(x + self.no_mask, self.blank, feat_s0, feat_s1)
        return mask, iou, pointer, score, self.memory.from_tracking(feat, mask, score)


def build_components(model: nn.Module, family: str, objects: int = 1, form: Form = Form()) -> tuple[dict[str, nn.Module], Dims]:
    """The five modules of a prepared model, in evaluation mode."""
    dims, edgetam = model_dims(model, family, objects), family == "edgetam"
    modules = {
        "image_encoder": build_image_encoder(model, family, dims.size, form),
        "prompt_decoder": PromptDecoder(model, dims),
        "memory_encoder": MemoryStep(model, dims, edgetam, form),
        "mask_prompt": MaskPrompt(model, dims, edgetam, form),
        "track_step": TrackStep(model, dims, edgetam, form),
    }
    return {name: module.eval().requires_grad_(False) for name, module in modules.items()}, dims


def example_inputs(dims: Dims, seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """Plausible inputs for every component: standard normal tensors, valid indices and labels."""
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, dict[str, Tensor]] = {}
    for name, (inputs, _) in signature(dims).items():
        made[name] = {}
        for tensor, _, shape in inputs:
            made[name][tensor] = _example(tensor, shape, dims, generator)
    return made


def _example(name: str, shape: tuple[int, ...], dims: Dims, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(shape, generator=generator)
    if name == "points":
        return uniform * (dims.size - 1)
    if name == "labels":
        row = torch.tensor([1, -1] + [-10] * (dims.prompt_slots - 2), dtype=torch.int32)
        return row.expand(shape).contiguous()
    if name == "multimask":
        return torch.ones(shape)
    if name == "from_prompt":
        return torch.zeros(shape)
    if name == "obj_score":
        return torch.ones(shape)
    if name == "mem_tpos":
        return torch.arange(dims.memory_slots, dtype=torch.int32).expand(shape).contiguous()
    if name == "mem_valid":
        return torch.ones(shape)
    if name == "ptr_valid":
        return (uniform > 0.2).float()
    if name == "ptr_tpos":
        return torch.arange(1, dims.pointer_slots + 1).float().expand(shape).contiguous() / (dims.pointer_slots - 1)
    if name == "mask_input":
        y, x = torch.meshgrid(torch.arange(dims.size), torch.arange(dims.size), indexing="ij")
        disc = ((x - dims.size * 0.4) ** 2 + (y - dims.size * 0.55) ** 2) < (dims.size * 0.23) ** 2
        return disc.float().expand(shape).contiguous()
    return torch.randn(shape, generator=generator)
