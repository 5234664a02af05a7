"""Memory attention, the memory encoder, and EdgeTAM's perceiver that condenses a frame's memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import MASKED, ChannelNorm, NormedConv, PlainNormedConv, attend, frozen, sine_grid, to_tokens


@dataclass(frozen=True)
class Form:
    """How memory attention and the memory encoder are written; all forms compute the same function.

    folded: less work, in steps that no runtime fuses (see FoldedCrossAttention and NormedConv).
    parts: into how many parts the queries are cut.
    squares: whether norms may sum squares (NormedConv), which fp16 has no range for.
    """

    folded: bool = False
    parts: int = 1
    squares: bool = False

    @staticmethod
    def chosen(attention: str | None, precision: str, grid: int) -> "Form":
        """``attention`` is ``folded``, ``plain`` or None.

        None: folded in fp32, which is for CPUs; plain in low precision, which is for GPUs, whose
        compilers look for the plain pattern. Folded, about 1024 queries make a part.
        """
        folded = attention == "folded" or attention is None and precision == "fp32"
        return Form(True, max(1, grid * grid // 1024), precision == "fp32") if folded else Form()


def half_split(linear: nn.Linear) -> nn.Linear:
    """The same projection with its outputs reordered: even channels first, then odd ones.

    Rotary encoding turns channel pairs (2i, 2i+1). With queries and keys reordered alike, scores do
    not change, and the rotation needs two slices and one concatenation only.
    """
    rows = torch.cat([torch.arange(0, linear.out_features, 2), torch.arange(1, linear.out_features, 2)])
    out = nn.Linear(linear.in_features, linear.out_features)
    out.weight.data, out.bias.data = linear.weight.detach()[rows].clone(), linear.bias.detach()[rows].clone()
    return out


def merged(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """``second(first(x))`` as one projection."""
    out = nn.Linear(first.in_features, second.out_features)
    weight, bias = second.weight.detach().double(), second.bias.detach().double()
    out.weight.data = (weight @ first.weight.detach().double()).float()
    out.bias.data = (weight @ first.bias.detach().double() + bias).float()
    return out


def rotary_table(side: int, width: int, theta: float, stretch: int = 1) -> tuple[Tensor, Tensor]:
    """cos and sin (side*side, width/2) of the axial rotary encoding: columns first, then rows."""
    quarter = 1.0 / (theta ** (torch.arange(0, width // 2, 2, dtype=torch.float32) / (width // 2)))
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angle = torch.cat([x.flatten()[:, None].float() * quarter, y.flatten()[:, None].float() * quarter], dim=1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary encoding of half-split channels: x (..., n, c), cos and sin (n, c/2)."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def attend_in_parts(parts: int, q: Tensor, scores_of, values: Tensor) -> Tensor:
    """Softmax attention of ``q`` (b, n, c), a few queries at a time: (b, n, width of the values).

    Queries do not depend on each other, so the result is the same; smaller score matrices stay
    nearer the caches of a CPU. ``scores_of`` maps a part of the queries to its scores.
    """
    step = -(-q.shape[1] // parts)
    mixed = [torch.matmul(torch.softmax(scores_of(part), dim=-1), values) for part in q.split(step, dim=1)]
    return mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=1)


class Query(nn.Module):
    """A query projection that carries the attention's scale, reordered for ``rotate``.

    A power of two goes into the weights, where it rounds nothing.
    """

    def __init__(self, linear: nn.Linear, scale: float):
        super().__init__()
        self.linear = half_split(linear)
        self.scale = None if math.frexp(scale)[0] == 0.5 else scale
        if self.scale is None:
            self.linear.weight.data *= scale
            self.linear.bias.data *= scale

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        return y if self.scale is None else y * self.scale


class CrossAttention(nn.Module):
    """Attention of the image to the memory, all C channels of keys and values written out.

    This is the form that runtimes recognise as one attention operator.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.q, self.k = Query(module.q_proj, module.scaling), half_split(module.k_proj)
        self.v, self.o = module.v_proj, module.o_proj

    def forward(self, x: Tensor, table, bank: "Bank") -> Tensor:
        q, k = rotate(self.q(x), *table), bank.rotate_first(self.k(bank.keys))
        scores = torch.matmul(q, k.transpose(-1, -2)) + bank.bias
        return self.o(torch.matmul(torch.softmax(scores, dim=-1), self.v(bank.values)))


class FoldedCrossAttention(nn.Module):
    """The same attention with fewer multiplications: memories have D channels, a quarter of C.

    Values are projected after they are mixed, as weights sum to one:
    ``A (m Wv + bv) Wo + bo = (A m) (Wv Wo) + (bv Wo + bo)``. Keys that are not rotated meet queries
    that went through the key projection backwards, ``q . (Wk m + bk) = (q Wk) . m + q . bk``; the last
    term is taken off all keys alike, which softmax does not see. Only rotated keys need C channels.
    """

    def __init__(self, module: nn.Module, split_keys: bool, parts: int):
        super().__init__()
        self.q, self.k = Query(module.q_proj, module.scaling), half_split(module.k_proj)
        self.back = nn.Parameter(self.k.weight.detach().clone(), requires_grad=False)  # (C, D)
        self.vo = merged(module.v_proj, module.o_proj)
        self.split_keys, self.parts = split_keys, parts

    def forward(self, x: Tensor, table, bank: "Bank") -> Tensor:
        q, n = rotate(self.q(x), *table), bank.rotated
        if self.split_keys:
            far = bank.rotate_first(self.k(bank.keys[:, :n])) - self.k.bias
            far, near = far.transpose(-1, -2), bank.keys[:, n:].transpose(-1, -2)

            def scores(part):
                plain = torch.matmul(torch.matmul(part, self.back), near)
                return torch.cat([torch.matmul(part, far), plain], dim=-1) + bank.bias
        else:
            k = bank.rotate_first(self.k(bank.keys)).transpose(-1, -2)

            def scores(part):
                return torch.matmul(part, k) + bank.bias

        return self.vo(attend_in_parts(self.parts, q, scores, bank.values))


@dataclass
class Bank:
    """The memory bank as cross-attention reads it: rotated tokens first, then the others.

    keys, values (b, n, D); bias (b, 1, n). The ``rotated`` first tokens are a whole number of memories,
    whose positions ``table`` has: cos and sin (tokens of one memory, C/2).
    """

    keys: Tensor
    values: Tensor
    bias: Tensor
    rotated: int
    table: tuple[Tensor, Tensor]

    def rotate_first(self, k: Tensor) -> Tensor:
        """Rotates the first tokens of projected keys (b, n, C) and leaves the others."""
        b, n, c = k.shape
        first = k[:, : self.rotated].reshape(b, -1, self.table[0].shape[0], c)
        first = rotate(first, *self.table).reshape(b, self.rotated, c)
        return first if n == self.rotated else torch.cat([first, k[:, self.rotated :]], dim=1)


class SelfAttention(nn.Module):
    """Attention of the image to itself, normalised before and added after: (b, n, C) -> the same."""

    def __init__(self, norm: nn.Module, module: nn.Module, form: Form):
        super().__init__()
        if module.num_attention_heads != 1:
            raise ValueError("memory attention with more than one head is not supported")
        self.norm = norm
        self.q, self.k = Query(module.q_proj, module.scaling), half_split(module.k_proj)
        # As weights sum to one, values may be projected twice before they are mixed.
        v, o = module.v_proj, module.o_proj
        self.v, self.o = (merged(v, o), nn.Identity()) if form.folded else (v, o)
        self.parts = form.parts

    def forward(self, x: Tensor, table) -> Tensor:
        """``table``: cos and sin (n, C/2) of the image tokens."""
        y = self.norm(x)
        q, k = rotate(self.q(y), *table), rotate(self.k(y), *table).transpose(-1, -2)
        return x + self.o(attend_in_parts(self.parts, q, lambda part: torch.matmul(part, k), self.v(y)))


class ImageAttention(nn.Module):
    """What memory attention does before it reads a memory: feat (1, C, g, g) -> (1, g*g, C).

    The first layer's self-attention sees the image alone, so it is the same for every object and is
    computed with the image's features, once a frame.
    """

    def __init__(self, model: nn.Module, grid: int, form: Form):
        super().__init__()
        module, config = model.memory_attention, model.config
        width = config.memory_attention_hidden_size
        cos, sin = rotary_table(grid, width, float(config.rope_parameters["rope_theta"]))
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)
        self.register_buffer("image_place", 0.1 * to_tokens(sine_grid(width, grid)))
        self.own = SelfAttention(module.layers[0].layer_norm1, module.layers[0].self_attn, form)

    def forward(self, feat: Tensor) -> Tensor:
        return self.own(to_tokens(feat) + self.image_place, (self.cos, self.sin))


class MemoryLayer(nn.Module):
    """Self-attention over the image (not in the first layer), cross-attention to the memory, feed-forward."""

    def __init__(self, module: nn.Module, form: Form, split_keys: bool, first: bool):
        super().__init__()
        cross = module.cross_attn_image
        if cross.num_attention_heads != 1:
            raise ValueError("memory attention with more than one head is not supported")
        # The first layer's is in ImageAttention.
        self.own = None if first else SelfAttention(module.layer_norm1, module.self_attn, form)
        self.cross = FoldedCrossAttention(cross, split_keys, form.parts) if form.folded else CrossAttention(cross)
        self.norm2, self.norm3 = module.layer_norm2, module.layer_norm3
        if hasattr(module, "mlp"):  # EdgeTAM
            self.up, self.down, self.activation = module.mlp.up_proj, module.mlp.down_proj, module.mlp.act_fn
        else:  # SAM 2
            self.up, self.down, self.activation = module.linear1, module.linear2, module.activation

    def forward(self, x: Tensor, table, bank: Bank) -> Tensor:
        """x (b|1, n, C); ``table`` cos and sin (n, C/2) of the image tokens."""
        if self.own is not None:
            x = self.own(x, table)
        x = x + self.cross(self.norm2(x), table, bank)
        return x + self.down(self.activation(self.up(self.norm3(x))))


class MemoryAttention(nn.Module):
    """Conditions the image, as ImageAttention leaves it, on the memory bank.

    feat_attended (1, g*g, C), mem (B, M, T, D), mem_tpos (B, M) i32, mem_valid (B, M), ptr (B, P, C),
    ptr_tpos (B, P), ptr_valid (B, P) -> (B, g*g, C).
    """

    def __init__(self, model: nn.Module, grid: int, tokens: int, edgetam: bool, form: Form):
        super().__init__()
        module, config = model.memory_attention, model.config
        width = config.memory_attention_hidden_size
        theta = float(config.rope_parameters["rope_theta"])
        # A key that is not rotated is worth a score matrix of its own only where there are many.
        self.layers = nn.ModuleList([MemoryLayer(layer, form, split_keys=edgetam, first=index == 0)
                                     for index, layer in enumerate(module.layers)])
        self.norm = module.layer_norm
        cos, sin = rotary_table(grid, width, theta)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)
        # EdgeTAM: 1-D latents first, with no position and no rotation, then a grid of 2-D latents.
        side = config.memory_attention_rope_k_sizes[0] if edgetam else grid
        self.plain = tokens - side * side
        cos, sin = rotary_table(side, width, theta)
        self.register_buffer("memory_cos", cos)
        self.register_buffer("memory_sin", sin)
        self.register_buffer("memory_place", to_tokens(sine_grid(model.mem_dim, side))[:, None])  # (1, 1, side*side, D)
        table = frozen(model.memory_temporal_positional_encoding)[:, 0, 0]
        self.time_table = nn.Parameter(table, requires_grad=False)  # (7, D)
        self.pointer_time = model.temporal_positional_encoding_projection_layer
        half = model.hidden_dim // 2
        if not config.enable_temporal_pos_encoding_for_object_pointers:
            # Models without it add nothing. A projection of zeros keeps ``ptr_tpos`` an input that
            # leads to an output: TensorRT drops others, and the bundle format has one signature.
            self.pointer_time = nn.Linear(model.hidden_dim, model.mem_dim)
            nn.init.zeros_(self.pointer_time.weight)
            nn.init.zeros_(self.pointer_time.bias)
        index = torch.arange(half, dtype=torch.float32)
        self.register_buffer("periods", 10000 ** (2 * (index // 2) / half))

    def _bank(self, mem, mem_tpos, mem_valid, ptr, ptr_tpos, ptr_valid) -> Bank:
        b, slots, tokens, width = mem.shape
        pointers, plain = ptr.shape[1], self.plain
        splits = ptr.shape[2] // width
        time = F.embedding(mem_tpos, self.time_table)[:, :, None]  # (b, M, 1, D)
        angle = ptr_tpos[..., None] / self.periods
        wave = torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)
        age = self.pointer_time(wave)[:, :, None]  # (b, P, 1, D)
        pieces = [(mem[:, :, plain:], self.memory_place + time, mem_valid)]
        if plain:
            pieces.append((mem[:, :, :plain], time, mem_valid))
        pieces.append((ptr.reshape(b, pointers, splits, width), age, ptr_valid))
        values, keys, bias = [], [], []
        for value, place, valid in pieces:
            count = value.shape[1] * value.shape[2]
            values.append(value.reshape(b, count, width))
            keys.append((value + place).reshape(b, count, width))
            masked = ((1 - valid) * MASKED)[:, :, None].expand(b, value.shape[1], value.shape[2])
            bias.append(masked.reshape(b, 1, count))
        return Bank(torch.cat(keys, dim=1), torch.cat(values, dim=1), torch.cat(bias, dim=2),
                    slots * (tokens - plain), (self.memory_cos, self.memory_sin))

    def forward(self, feat_attended, mem, mem_tpos, mem_valid, ptr, ptr_tpos, ptr_valid):
        bank = self._bank(mem, mem_tpos, mem_valid, ptr, ptr_tpos, ptr_valid)
        x = feat_attended
        for layer in self.layers:
            x = layer(x, (self.cos, self.sin), bank)
        return self.norm(x)


class MemoryEncoder(nn.Module):
    """Raw image features and a scaled full-size mask -> memory tokens.

    feat (1, C, g, g), mask (B, 1, S, S) already times 20 minus 10, obj_score (B, 1) -> (B, T, D).
    """

    def __init__(self, model: nn.Module, edgetam: bool, form: Form):
        super().__init__()
        encoder = model.memory_encoder
        down = encoder.mask_downsampler.layers
        normed = NormedConv if form.squares else PlainNormedConv
        self.down = nn.ModuleList([normed(layer.conv, layer.layer_norm) for layer in down])
        self.down_activation = encoder.mask_downsampler.activation
        self.down_out = encoder.mask_downsampler.final_conv
        self.project_image = encoder.feature_projection
        self.fuser = nn.ModuleList([FuserBlock(block) for block in encoder.memory_fuser.layers])
        self.project_out = encoder.projection
        occluded = model.occlusion_spatial_embedding_parameter
        occluded = torch.zeros(1, model.mem_dim) if occluded is None else frozen(occluded)
        self.occluded = nn.Parameter(occluded, requires_grad=False)  # (1, D)
        self.perceiver = Perceiver(model.spatial_perceiver) if edgetam else None

    def forward(self, feat: Tensor, mask: Tensor, obj_score: Tensor) -> Tensor:
        for layer in self.down:
            mask = self.down_activation(layer(mask))
        x = self.project_image(feat) + self.down_out(mask)
        for block in self.fuser:
            x = block(x)
        x = self.project_out(x)  # (B, D, g, g)
        absent = 1 - (obj_score > 0).to(x.dtype)
        tokens = to_tokens(x) + absent[:, :, None] * self.occluded[:, None]
        return tokens if self.perceiver is None else self.perceiver(tokens, x.shape[-1])


class FuserBlock(nn.Module):
    """ConvNeXt block of the memory fuser: (B, C, g, g) -> the same."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.depthwise = module.depthwise_conv
        self.norm = ChannelNorm(module.layer_norm)
        self.up, self.down, self.activation = module.pointwise_conv1, module.pointwise_conv2, module.activation
        self.scale = module.scale

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x))
        y = self.scale * self.down(self.activation(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class Perceiver(nn.Module):
    """EdgeTAM's resampler: tokens (B, g*g, D) -> (B, L1 + L2, D), first the 1-D, then the 2-D latents."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.latents_1d = nn.Parameter(frozen(module.latents_1d)[None], requires_grad=False)
        self.latents_2d = nn.Parameter(frozen(module.latents_2d)[None, :, None], requires_grad=False)
        self.layers = nn.ModuleList([PerceiverLayer(layer) for layer in module.layers])
        self.norm = module.layer_norm
        self.side = math.isqrt(module.num_latents_2d)

    def forward(self, tokens: Tensor, grid: int) -> Tensor:
        b, _, width = tokens.shape
        place = to_tokens(sine_grid(width, grid)).to(tokens.device)
        whole = self.latents_1d
        for layer in self.layers:
            whole = layer(whole, tokens, place)

        window = grid // self.side
        cells = tokens.reshape(b, self.side, window, self.side, window, width)
        cells = cells.permute(0, 1, 3, 2, 4, 5).reshape(b, self.side**2, window**2, width)
        local = self.latents_2d  # (1, L2, 1, D): one latent per window
        for layer in self.layers:
            local = layer(local, cells, None)
        local = local.reshape(b, self.side**2, width)
        return torch.cat([self.norm(whole), self.norm(local)], dim=1)


class PerceiverLayer(nn.Module):
    """latents (b|1, …, l, D) attend to inputs (b, …, n, D), then to each other."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.cross, self.own = module.cross_attention, module.self_attention
        if self.cross.num_attention_heads != 1 or self.own.num_attention_heads != 1:
            raise ValueError("a perceiver with more than one head is not supported")
        self.norm_in, self.norm_latents = module.layer_norm_input, module.layer_norm_latents
        self.norm_own = module.layer_norm_self
        self.mlp, self.own_mlp = module.mlp, module.self_mlp

    @staticmethod
    def _feed(mlp: nn.Module, x: Tensor) -> Tensor:
        return mlp.down_proj(F.gelu(mlp.up_proj(mlp.layer_norm(x))))

    def forward(self, latents: Tensor, inputs: Tensor, place: Tensor | None) -> Tensor:
        c, s = self.cross, self.own
        x = self.norm_in(inputs)
        k, v = c.k_proj(x), c.v_proj(x)
        if place is not None:
            k, v = k + place, v + place
        q = c.q_proj(self.norm_latents(latents))
        latents = latents + c.o_proj(attend(q, k, v, c.scaling))
        latents = latents + self._feed(self.mlp, latents)
        y = self.norm_own(latents)
        if latents.shape[-2] == 1:
            mixed = s.v_proj(y)  # attention to a single token has weight 1
        else:
            mixed = attend(s.q_proj(y), s.k_proj(y), s.v_proj(y), s.scaling)
        latents = latents + s.o_proj(mixed)
        return latents + self._feed(self.own_mlp, latents)
