"""The exporter's components, trainable: the training step runs the very code that is exported.

The exporter's modules borrow most weights from the ``transformers`` model and copy a few (constants,
reordered projections, merged convolutions). ``TrainableModel`` replaces the copies by expressions of
the model's own parameters, computed anew by ``refresh``, so that gradients reach them.

RepViT is trained in its folded form (plain convolutions, no batch norm): a third of the time per
image. Batch statistics of real images are folded in first, so it starts well scaled; ``unfold`` writes
folded weights back into the branches that ``transformers`` expects.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "export"))

from masklet_export.components import MaskPrompt, MemoryStep, PromptDecoder, TrackStep, model_dims  # noqa: E402
from masklet_export.config import MODELS  # noqa: E402
from masklet_export.decoder import MaskDecoder  # noqa: E402
from masklet_export.encoder import build_image_encoder  # noqa: E402
from masklet_export.layers import to_tokens  # noqa: E402
from masklet_export.memory import MemoryEncoder  # noqa: E402
from masklet_export.weights import new_model, random_init, reparameterise, tie_position_matrix  # noqa: E402

SPEC = MODELS["edgetam_small"]
SIZE = SPEC.default_size


def initial_model(seed: int) -> nn.Module:
    """A model to start training from, batch norm not yet calibrated.

    Three departures from plain scaled normal weights, without which training does not get going:
    the decoder's cross-attentions start with equal query and key projections, so that a point finds
    its place in the image; the memory cross-attention starts with constant queries and keys in the
    faster rotary channels, so that a cell first reads the memory at its own place; layer scales,
    norms and biases are neutral.
    """
    model = new_model(SPEC, SIZE)
    random_init(model, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for module in model.modules():
            norm = isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)) or type(module).__name__.endswith("LayerNorm")
            if norm:
                module.weight.fill_(1.0)
            if getattr(module, "bias", None) is not None and isinstance(module.bias, Tensor):
                module.bias.zero_()
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        decoder = model.mask_decoder
        crossings = [decoder.transformer.final_attn_token_to_image]
        for layer in decoder.transformer.layers:
            crossings += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
        for attention in crossings:
            weight = attention.q_proj.weight
            weight.copy_(torch.randn(weight.shape, generator=generator) * 2 / weight.shape[1] ** 0.5)
            attention.k_proj.weight.copy_(weight)
            # What attention brings arrives in the basis that the next query is taken from.
            value = attention.v_proj.weight
            value.copy_(torch.randn(value.shape, generator=generator) / value.shape[1] ** 0.5)
            attention.o_proj.weight.copy_(2 * value.T)
        for layer in model.memory_attention.layers:
            crossing = layer.cross_attn_image
            width = crossing.q_proj.weight.shape[0]
            for projection in (crossing.q_proj, crossing.k_proj):
                projection.weight.mul_(0.4)
                for first in (0, width // 2):  # columns, then rows; pairs of channels, fastest first
                    projection.bias[first : first + 16 : 2] = 2.4
        # Quiet branches: what a residual stream holds (a point's place, an object's mark) outlasts them.
        for name, module in model.named_modules():
            decoding = name.startswith("mask_decoder.transformer") and name.endswith(("self_attn.o_proj", ".mlp.proj_out"))
            attending = name.startswith("memory_attention") and name.endswith(("self_attn.o_proj", ".mlp.down_proj"))
            if decoding or attending:
                module.weight.mul_(0.3)
        # Features that are small beside the position encoding, so that at first places decide.
        for index in (0, 1):
            model.vision_encoder.neck.convs[index].weight.mul_(0.4)
        for block in model.memory_encoder.memory_fuser.layers:
            block.scale.fill_(0.3)
    tie_position_matrix(model)
    return model


@torch.no_grad()
def fold(model: nn.Module, images: Tensor) -> None:
    """Calibrates RepViT's batch norms on ``images`` (n, 3, S, S), then folds them, in place."""
    backbone = model.vision_encoder.backbone.timm_model
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain average
    backbone.train()
    backbone(images)
    backbone.eval()
    reparameterise(model, SPEC)


@torch.no_grad()
def unfold(folded: nn.Module) -> nn.Module:
    """A model in the form ``transformers`` saves and loads, equal to the folded one."""
    model = new_model(SPEC, SIZE)
    own = folded.state_dict()
    prefix = "vision_encoder.backbone.timm_model."
    rest = {k: v for k, v in own.items() if not k.startswith(prefix)}
    model.load_state_dict(rest, strict=False)

    def write(branch: nn.Module, weight: Tensor, bias: Tensor) -> None:
        branch.c.weight.copy_(weight)
        branch.bn.reset_running_stats()
        branch.bn.weight.fill_((1 + branch.bn.eps) ** 0.5)
        branch.bn.bias.copy_(bias)

    for name, module in model.vision_encoder.backbone.timm_model.named_modules():
        key = prefix + name
        if type(module).__name__ == "RepVggDw":
            weight, bias = own[key + ".weight"].clone(), own[key + ".bias"]
            weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2] -= 1  # the identity branch
            write(module.conv, weight, bias)
            single = module.conv1.c if module.legacy else module.conv1
            single.weight.zero_()
            if module.legacy:
                module.conv1.bn.bias.zero_()
            else:
                single.bias.zero_()
                module.bn.reset_running_stats()
                module.bn.weight.fill_((1 + module.bn.eps) ** 0.5)
                module.bn.bias.zero_()
        elif type(module).__name__ == "ConvNorm" and ".token_mixer." not in "." + name:
            write(module, own[key + ".weight"], own[key + ".bias"])
        elif type(module).__name__ in ("SEModule", "SqueezeExcite"):
            for inner, value in module.state_dict().items():
                value.copy_(own[f"{key}.{inner}"])
    return model


def _subpixels(self: MaskDecoder, feat: Tensor, levels: int) -> Tensor:
    """As the exporter's, for features that differ by row: (b, c, side, side)."""
    g, (b, c) = self.grid, feat.shape[:2]
    if levels == 1:
        x = feat.reshape(b, c, g, 2, g, 2).permute(0, 2, 4, 3, 5, 1)
    else:
        x = feat.reshape(b, c, g, 2, 2, g, 2, 2).permute(0, 2, 5, 3, 6, 4, 7, 1)
    return x.reshape(b, g * g, 4**levels, c)


class _BatchedDecoder(MaskDecoder):
    _subpixels = _subpixels


class _PlanarMemoryEncoder(MemoryEncoder):
    """The same values with the mask kept in (b, c, h, w): several times faster to train on a CPU."""

    def forward(self, feat: Tensor, mask: Tensor, obj_score: Tensor) -> Tensor:
        x = mask
        for layer in self.down:
            norm = layer.norm.norm
            x = layer.conv(x)
            x = x - x.mean(1, keepdim=True)
            x = x * torch.rsqrt((x * x).mean(1, keepdim=True) + norm.eps)
            x = self.down_activation(x * norm.weight[:, None, None] + norm.bias[:, None, None])
        x = self.project_image(feat) + self.down_out(x)
        for block in self.fuser:
            x = block(x).contiguous()
        x = self.project_out(x)
        absent = 1 - (obj_score > 0).to(x.dtype)
        tokens = to_tokens(x) + absent[:, :, None] * self.occluded[:, None]
        return self.perceiver(tokens, x.shape[-1])


class TrainableModel(nn.Module):
    """Owns a folded model and the components that share its parameters.

    ``image_encoder``, ``prompt``, ``mask_prompt``, ``track`` take one image per row where the exported
    graphs take one image for all rows; apart from that they are the exported modules.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model.requires_grad_(True)
        self.dims = model_dims(model, "edgetam")
        model.prompt_encoder.shared_embedding.positional_embedding.requires_grad_(False)
        model.shared_image_embedding.positional_embedding.requires_grad_(False)
        parts = {"image_encoder": build_image_encoder(model, "edgetam", SIZE), "prompt": PromptDecoder(model, self.dims),
                 "mask_prompt": MaskPrompt(model, self.dims, True), "track": TrackStep(model, self.dims, True),
                 "memory": MemoryStep(model, self.dims, True)}
        # Not registered: their parameters are the model's.
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_live", [])
        for part in parts.values():
            for module in part.modules():
                if isinstance(module, MaskDecoder):
                    module.__class__ = _BatchedDecoder
                if isinstance(module, MemoryEncoder):
                    module.__class__ = _PlanarMemoryEncoder
        self._connect()
        self.refresh()

    def __getattr__(self, name):
        parts = self.__dict__.get("_parts", {})
        return parts[name] if name in parts else super().__getattr__(name)

    def _bind(self, module: nn.Module, name: str, value) -> None:
        module._parameters.pop(name, None)
        self._live.append((module, name, value))

    def _connect(self) -> None:
        m, parts = self.model, self._parts
        blank = lambda: m.prompt_encoder.not_a_point_embed.weight[None].expand(1, 2, -1)
        no_mask = lambda: m.prompt_encoder.no_mask_embed.weight[None]
        neck, d = m.vision_encoder.neck, m.mask_decoder
        for merged, first, second in ((parts["image_encoder"].fine1, neck.convs[2], d.conv_s1),
                                      (parts["image_encoder"].fine0, neck.convs[3], d.conv_s0)):
            self._bind(merged, "weight", lambda a=first, b=second: (b.weight[:, :, 0, 0] @ a.weight[:, :, 0, 0])[..., None, None])
            self._bind(merged, "bias", lambda a=first, b=second: b.weight[:, :, 0, 0] @ a.bias + b.bias)
        self._bind(parts["prompt"], "no_memory", lambda: m.no_memory_embedding)
        self._bind(parts["prompt"], "no_mask", no_mask)
        self._bind(parts["prompt"].points, "table", lambda: torch.cat(
            [m.prompt_encoder.not_a_point_embed.weight, m.prompt_encoder.point_embed.weight])[None, None])
        self._bind(parts["mask_prompt"], "blank", blank)
        self._bind(parts["mask_prompt"], "no_pointer", lambda: m.no_object_pointer)
        self._bind(parts["track"], "blank", blank)
        self._bind(parts["track"], "no_mask", no_mask)
        for decoder in (parts["prompt"].decoder, parts["mask_prompt"].decoder, parts["track"].decoder):
            self._bind(decoder, "no_pointer", lambda: m.no_object_pointer)
            self._bind(decoder, "own_tokens", lambda: torch.cat(
                [d.obj_score_token.weight, d.iou_token.weight, d.mask_tokens.weight])[None])
            for up, conv in ((decoder.up1, d.upscale_conv1), (decoder.up2, d.upscale_conv2)):
                self._bind(up, "weight", lambda c=conv: c.weight.permute(0, 2, 3, 1).reshape(c.in_channels, -1))
        for memory in (parts["mask_prompt"].memory, parts["track"].memory, parts["memory"]):
            self._bind(memory.encoder, "occluded", lambda: m.occlusion_spatial_embedding_parameter)
            resampler, source = memory.encoder.perceiver, m.spatial_perceiver
            self._bind(resampler, "latents_1d", lambda s=source: s.latents_1d[None])
            self._bind(resampler, "latents_2d", lambda s=source: s.latents_2d[None, :, None])
        attention = parts["track"].attention
        self._bind(attention, "time_table", lambda: m.memory_temporal_positional_encoding[:, 0, 0])
        first = parts["image_encoder"].attention.own
        for layer, source in zip(attention.layers, m.memory_attention.layers):
            for made, of in ((layer.own or first, source.self_attn), (layer.cross, source.cross_attn_image)):
                # The exporter puts a scale that is a power of two into the query's weights.
                scale = of.scaling if made.q.scale is None else 1.0
                self._bind_half_split(made.q.linear, of.q_proj, scale)
                self._bind_half_split(made.k, of.k_proj)

    def _bind_half_split(self, copied: nn.Module, linear: nn.Linear, scale: float = 1.0) -> None:
        """Even outputs first, then odd ones, as the exporter's rotation wants them."""
        n = linear.out_features
        rows = torch.cat([torch.arange(0, n, 2), torch.arange(1, n, 2)])
        self._bind(copied, "weight", lambda: linear.weight[rows] * scale)
        self._bind(copied, "bias", lambda: linear.bias[rows] * scale)

    def refresh(self) -> None:
        """Recomputes what the components derive from the parameters; call once per step."""
        for module, name, value in self._live:
            module.__dict__[name] = value()

    def folded_copy(self) -> nn.Module:
        """The folded model, detached."""
        return copy.deepcopy(self.model).requires_grad_(False).eval()
