"""Building blocks that every component shares, in forms that ONNX runtimes and TensorRT take whole.

Each block borrows the weights of the ``transformers`` module it stands for; nothing is copied or
retrained. Shapes: b batch, n tokens, c channels, h heads.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to attention scores of padded tokens. exp() of it is exactly 0 in f32, bf16 and fp16, and
# unlike -inf it survives fp16 and cannot make NaN.
MASKED = -1e4


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(b, n, c) -> (b, h, n, c/h)."""
    b, n, c = x.shape
    return x.reshape(b, n, heads, c // heads).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    """Softmax attention over the last two axes; leading axes broadcast.

    The scale goes on the queries, which are smaller than the scores.
    """
    scores = torch.matmul(q * scale, k.transpose(-1, -2))
    if bias is not None:
        scores = scores + bias
    return torch.matmul(torch.softmax(scores, dim=-1), v)


class Attention(nn.Module):
    """Multi-head attention of the two-way transformer (``*VideoAttention`` in transformers).

    query (b|1, nq, c), key and value (b|1, nk, c) -> (b, nq, c). ``bias`` (b, 1, 1, nk) or None.
    Batches of 1 broadcast, so what all objects share is projected once.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.q, self.k, self.v, self.o = module.q_proj, module.k_proj, module.v_proj, module.o_proj
        self.heads = module.num_attention_heads
        self.scale = module.scaling

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        q = split_heads(self.q(query), self.heads)
        k = split_heads(self.k(key), self.heads)
        v = split_heads(self.v(value), self.heads)
        out = attend(q, k, v, self.scale, bias).transpose(1, 2)
        return self.o(out.reshape(out.shape[0], out.shape[1], -1))


class Mlp(nn.Module):
    """``*FeedForward`` of transformers: proj_in, hidden layers, proj_out with one activation."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList([module.proj_in, *module.layers, module.proj_out])
        self.activation = module.activation
        self.sigmoid = module.sigmoid_output

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        x = self.layers[-1](x)
        return torch.sigmoid(x) if self.sigmoid else x


def normalise(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Layer norm over the last axis, whatever axis the module itself would take."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (b, c, h, w), result in (b, h, w, c)."""

    def __init__(self, module: nn.LayerNorm):
        super().__init__()
        self.norm = module

    def forward(self, x: Tensor) -> Tensor:
        return normalise(self.norm, x.permute(0, 2, 3, 1))


class PlainNormedConv(nn.Module):
    """A convolution and a layer norm over its channels: (b, c, h, w) -> (b, c', h', w')."""

    def __init__(self, conv: nn.Conv2d, norm: nn.LayerNorm):
        super().__init__()
        self.conv, self.norm = conv, ChannelNorm(norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).permute(0, 3, 1, 2)


class NormedConv(nn.Module):
    """A convolution and a layer norm over its channels: (b, c, h, w) -> (b, c', h', w'), for CPUs.

    The mean is taken off the convolution's weights, so that its output has none, and the squares are
    summed as a convolution: nothing is transposed, and rows of few channels do not become rows of few
    numbers. Squares need the range of f32.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.LayerNorm):
        super().__init__()
        c = conv.out_channels
        self.conv = nn.Conv2d(conv.in_channels, c, conv.kernel_size, conv.stride, conv.padding)
        for ours, theirs in ((self.conv.weight, conv.weight), (self.conv.bias, conv.bias)):
            exact = theirs.detach().double()
            ours.data = (exact - exact.mean(dim=0, keepdim=True)).float()
        self.mean = nn.Parameter(torch.full((1, c, 1, 1), 1 / c), requires_grad=False)
        self.scale = nn.Parameter(frozen(norm.weight)[:, None, None], requires_grad=False)
        self.shift = nn.Parameter(frozen(norm.bias)[:, None, None], requires_grad=False)
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        deviation = torch.sqrt(F.conv2d(x * x, self.mean) + self.eps)
        return x * (1 / deviation) * self.scale + self.shift


def to_tokens(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, h*w, c)."""
    return x.flatten(2).transpose(1, 2)


def to_map(x: Tensor, side: int) -> Tensor:
    """(b, side*side, c) -> (b, c, side, side)."""
    return x.transpose(1, 2).reshape(x.shape[0], -1, side, side)


def sine_grid(channels: int, side: int) -> Tensor:
    """Two-dimensional sine encoding, normalised to 2 pi: (1, channels, side, side).

    The table that ``*PositionEmbeddingSine(channels // 2, normalize=True)`` builds.
    """
    half = channels // 2
    ramp = torch.arange(1, side + 1, dtype=torch.float32) / (side + 1e-6) * (2 * math.pi)
    index = torch.arange(half, dtype=torch.int64).to(torch.float32)
    period = 10000 ** (2 * torch.div(index, 2, rounding_mode="floor") / half)
    angle = ramp[:, None] / period  # (side, half)
    wave = torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)
    rows = wave[:, None, :].expand(side, side, half)
    columns = wave[None, :, :].expand(side, side, half)
    return torch.cat((rows, columns), dim=2).permute(2, 0, 1)[None].contiguous()


def frozen(value: Tensor) -> Tensor:
    """A detached, contiguous f32 copy, for constants that are baked into a graph."""
    return value.detach().to(torch.float32).contiguous().clone()
