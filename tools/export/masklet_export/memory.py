"""Memory attention, the memory encoder, and EdgeTAM's perceiver that condenses a frame's memory."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import MASKED, ChannelNorm, attend, frozen, sine_grid, to_tokens


def half_split(linear: nn.Linear) -> nn.Linear:
    """The same projection with its outputs reordered: even channels first, then odd ones.

    Rotary encoding turns channel pairs (2i, 2i+1). With queries and keys reordered alike, scores do
    not change, and the rotation needs two slices and one concatenation only.
    """
    rows = torch.cat([torch.arange(0, linear.out_features, 2), torch.arange(1, linear.out_features, 2)])
    out = nn.Linear(linear.in_features, linear.out_features)
    out.weight.data, out.bias.data = linear.weight.detach()[rows].clone(), linear.bias.detach()[rows].clone()
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


class MemoryLayer(nn.Module):
    """Self-attention over the image, cross-attention to the memory, feed-forward."""

    def __init__(self, module: nn.Module):
        super().__init__()
        own, cross = module.self_attn, module.cross_attn_image
        if own.num_attention_heads != 1 or cross.num_attention_heads != 1:
            raise ValueError("memory attention with more than one head is not supported")
        self.own_q, self.own_k = half_split(own.q_proj), half_split(own.k_proj)
        self.own_v, self.own_o = own.v_proj, own.o_proj
        self.q, self.k = half_split(cross.q_proj), half_split(cross.k_proj)
        self.v, self.o = cross.v_proj, cross.o_proj
        self.own_scale, self.scale = own.scaling, cross.scaling
        self.norm1, self.norm2, self.norm3 = module.layer_norm1, module.layer_norm2, module.layer_norm3
        if hasattr(module, "mlp"):  # EdgeTAM
            self.up, self.down, self.activation = module.mlp.up_proj, module.mlp.down_proj, module.mlp.act_fn
        else:  # SAM 2
            self.up, self.down, self.activation = module.linear1, module.linear2, module.activation

    def forward(self, x, keys, values, bias, table, spatial_tables, memory_shape):
        """x (b|1, n, C); keys, values (b, M*T + 4P, D); bias (b, 1, M*T + 4P).

        ``table`` rotates the image tokens; ``spatial_tables`` (T, C/2) the tokens of one memory, of
        which there are M: ``memory_shape`` is (M, T). Pointer tokens are not rotated.
        """
        y = self.norm1(x)
        q, k = rotate(self.own_q(y), *table), rotate(self.own_k(y), *table)
        x = x + self.own_o(attend(q, k, self.own_v(y), self.own_scale))

        slots, tokens = memory_shape
        q = rotate(self.q(self.norm2(x)), *table)
        k = self.k(keys)
        spatial = k[:, : slots * tokens].reshape(k.shape[0], slots, tokens, k.shape[2])
        spatial = rotate(spatial, *spatial_tables).reshape(k.shape[0], slots * tokens, k.shape[2])
        k = torch.cat([spatial, k[:, slots * tokens :]], dim=1)
        x = x + self.o(attend(q, k, self.v(values), self.scale, bias))
        return x + self.down(self.activation(self.up(self.norm3(x))))


class MemoryAttention(nn.Module):
    """Conditions the image on the memory bank.

    feat (1, C, g, g), mem (B, M, T, D), mem_tpos (B, M) i32, mem_valid (B, M), ptr (B, P, C),
    ptr_tpos (B, P), ptr_valid (B, P) -> (B, g*g, C).
    """

    def __init__(self, model: nn.Module, grid: int, tokens: int, edgetam: bool):
        super().__init__()
        module, config = model.memory_attention, model.config
        width = config.memory_attention_hidden_size
        theta = float(config.rope_parameters["rope_theta"])
        self.layers = nn.ModuleList([MemoryLayer(layer) for layer in module.layers])
        self.norm = module.layer_norm
        self.tokens = tokens
        cos, sin = rotary_table(grid, width, theta)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)
        if edgetam:
            # 1-D latents first: no position and no rotation (cos 1, sin 0 leave them as they are).
            side = config.memory_attention_rope_k_sizes[0]
            cos, sin = rotary_table(side, width, theta)
            plain = tokens - side * side
            cos = torch.cat([torch.ones(plain, cos.shape[1]), cos])
            sin = torch.cat([torch.zeros(plain, sin.shape[1]), sin])
            place = to_tokens(sine_grid(model.mem_dim, side))
            place = torch.cat([torch.zeros(1, plain, model.mem_dim), place], dim=1)
        else:
            place = to_tokens(sine_grid(model.mem_dim, grid))
        self.register_buffer("memory_cos", cos)
        self.register_buffer("memory_sin", sin)
        self.register_buffer("memory_place", place[:, None])  # (1, 1, T, D)
        self.register_buffer("image_place", 0.1 * to_tokens(sine_grid(width, grid)))
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

    def forward(self, feat, mem, mem_tpos, mem_valid, ptr, ptr_tpos, ptr_valid):
        b, slots, tokens, width = mem.shape
        pointers = ptr.shape[1]
        splits = ptr.shape[2] // width
        time = F.embedding(mem_tpos, self.time_table)[:, :, None]  # (b, M, 1, D)
        place = (self.memory_place + time).reshape(b, slots * tokens, width)
        angle = ptr_tpos[..., None] / self.periods
        wave = torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)
        ptr_place = self.pointer_time(wave)[:, :, None].expand(b, pointers, splits, width)
        values = torch.cat([mem.reshape(b, slots * tokens, width),
                            ptr.reshape(b, pointers * splits, width)], dim=1)
        keys = values + torch.cat([place, ptr_place.reshape(b, pointers * splits, width)], dim=1)
        mem_bias = ((1 - mem_valid) * MASKED)[:, :, None].expand(b, slots, tokens)
        ptr_bias = ((1 - ptr_valid) * MASKED)[:, :, None].expand(b, pointers, splits)
        bias = torch.cat([mem_bias.reshape(b, 1, -1), ptr_bias.reshape(b, 1, -1)], dim=2)

        # Up to the first cross-attention all objects share the image: that part runs once.
        x = to_tokens(feat) + self.image_place
        for layer in self.layers:
            x = layer(x, keys, values, bias, (self.cos, self.sin),
                      (self.memory_cos, self.memory_sin), (slots, tokens))
        return self.norm(x)


class MemoryEncoder(nn.Module):
    """Raw image features and a scaled full-size mask -> memory tokens.

    feat (1, C, g, g), mask (B, 1, S, S) already times 20 minus 10, obj_score (B, 1) -> (B, T, D).
    """

    def __init__(self, model: nn.Module, edgetam: bool):
        super().__init__()
        encoder = model.memory_encoder
        self.down = nn.ModuleList([layer.conv for layer in encoder.mask_downsampler.layers])
        self.down_norms = nn.ModuleList([ChannelNorm(layer.layer_norm) for layer in encoder.mask_downsampler.layers])
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
        for conv, norm in zip(self.down, self.down_norms):
            mask = self.down_activation(norm(conv(mask))).permute(0, 3, 1, 2)
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
        place = to_tokens(sine_grid(width, grid))
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
