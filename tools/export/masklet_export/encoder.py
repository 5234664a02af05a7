"""The image encoder: backbone, feature pyramid neck, the decoder's two lateral projections, and the part
of memory attention that sees the image alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import attend, frozen
from .memory import Form, ImageAttention


def merge_pointwise(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """One 1x1 convolution equal to ``second(first(x))``.

    The neck widens the two high-resolution levels to C channels only for the decoder to narrow them
    again; nothing lies between, so the wide tensors never need to exist. Multiplied out in f64.
    """
    a, b = first.weight.detach().double()[:, :, 0, 0], second.weight.detach().double()[:, :, 0, 0]
    merged = nn.Conv2d(first.in_channels, second.out_channels, 1)
    merged.weight.data = (b @ a).float()[:, :, None, None]
    merged.bias.data = (b @ first.bias.detach().double() + second.bias.detach().double()).float()
    return merged


class ImageEncoder(nn.Module):
    """All that depends on a frame alone, so that it is computed once whatever the number of objects.

    image (1, 3, S, S) -> feat_s0 (1, C/8, 4g, 4g), feat_s1 (1, C/4, 2g, 2g), feat (1, C, g, g),
    feat_attended (1, g*g, C).
    """

    def __init__(self, model: nn.Module, backbone: nn.Module, attention: ImageAttention):
        super().__init__()
        neck, decoder = model.vision_encoder.neck, model.mask_decoder
        if sorted(neck.fpn_top_down_levels) != [2, 3]:
            raise ValueError(f"expected top-down levels 2 and 3, the model has {neck.fpn_top_down_levels}")
        self.backbone, self.attention = backbone, attention
        coarse, middle, fine1, fine0 = neck.convs  # the neck lists its convolutions from stride 32 up
        self.coarse, self.middle = coarse, middle
        self.fine1 = merge_pointwise(fine1, decoder.conv_s1)
        self.fine0 = merge_pointwise(fine0, decoder.conv_s0)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x4, x8, x16, x32 = self.backbone(image)
        top = F.interpolate(self.coarse(x32), scale_factor=2.0, mode="nearest")
        feat = self.middle(x16) + top
        return self.fine0(x4), self.fine1(x8), feat, self.attention(feat)


class Hiera(nn.Module):
    """SAM 2's backbone with every size fixed: image (1, 3, S, S) -> four maps, strides 4 to 32."""

    def __init__(self, module: nn.Module, size: int):
        super().__init__()
        self.patch = module.patch_embed.projection
        self.register_buffer("positions", frozen(module._get_pos_embed((size // 4, size // 4))))
        self.blocks = nn.ModuleList([HieraBlock(block) for block in module.blocks])
        self.ends = set(module.stage_ends)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.patch(image).permute(0, 2, 3, 1) + self.positions
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.ends:
                maps.append(x.permute(0, 3, 1, 2))
        return maps


class HieraBlock(nn.Module):
    """One windowed or global attention block on (1, H, W, c), halving H and W where a stage begins."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.norm1, self.norm2 = module.layer_norm1, module.layer_norm2
        self.qkv, self.out = module.attn.qkv, module.attn.proj
        self.heads, self.scale = module.attn.num_attention_heads, module.attn.scale
        self.mlp_in, self.mlp_out = module.mlp.proj_in, module.mlp.proj_out
        self.activation = module.mlp.activation
        self.widen = module.proj if module.dim != module.dim_out else None
        self.window = int(module.window_size)
        self.stride = int(module.query_stride[0]) if module.query_stride else 1

    def _pool(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return x
        pooled = F.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=self.stride, stride=self.stride)
        return pooled.permute(0, 2, 3, 1)

    def _attention(self, x: Tensor) -> Tensor:
        """(w, a, b, c) windows -> (w, a/stride, b/stride, c_out)."""
        w, a, b, _ = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q = self._pool(q)
        rows, columns, width = q.shape[1], q.shape[2], q.shape[3]
        q, k, v = (t.reshape(w, -1, self.heads, width // self.heads).transpose(1, 2) for t in (q, k, v))
        mixed = attend(q, k, v, self.scale).transpose(1, 2).reshape(w, rows, columns, width)
        return self.out(mixed)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1], x.shape[2]
        shortcut, x = x, self.norm1(x)
        if self.widen is not None:
            shortcut = self._pool(self.widen(x))
        side = self.window
        if side:
            down, right = -height % side, -width % side
            if down or right:
                x = F.pad(x, (0, 0, 0, right, 0, down))
            ny, nx = (height + down) // side, (width + right) // side
            x = x.reshape(ny, side, nx, side, -1).permute(0, 2, 1, 3, 4).reshape(ny * nx, side, side, -1)
            x = self._attention(x)
            side //= self.stride
            x = x.reshape(ny, nx, side, side, -1).permute(0, 2, 1, 3, 4)
            x = x.reshape(1, ny * side, nx * side, -1)
            x = x[:, : height // self.stride, : width // self.stride]
        else:
            x = self._attention(x)
        x = shortcut + x
        return x + self.mlp_out(self.activation(self.mlp_in(self.norm2(x))))


def build_image_encoder(model: nn.Module, family: str, size: int, form: Form = Form()) -> ImageEncoder:
    """The encoder of a prepared model (RepViT already reparameterised, see checkpoint.py)."""
    backbone = model.vision_encoder.backbone
    backbone = backbone.timm_model if family == "edgetam" else Hiera(backbone, size)
    return ImageEncoder(model, backbone, ImageAttention(model, size // 16, form))
