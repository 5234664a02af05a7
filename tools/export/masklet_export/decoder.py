"""The mask decoder and the prompt embeddings in front of it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import NO_OBJECT_LOGIT
from .layers import MASKED, Attention, ChannelNorm, Mlp, frozen, normalise, to_tokens

NOT_A_POINT, UNUSED = -1.0, -10.0


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the image, then the image to the tokens."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.skip_pe = module.skip_first_layer_pe
        self.self_attn = Attention(module.self_attn)
        self.to_image = Attention(module.cross_attn_token_to_image)
        self.to_tokens = Attention(module.cross_attn_image_to_token)
        self.mlp = Mlp(module.mlp)
        self.norm1, self.norm2 = module.layer_norm1, module.layer_norm2
        self.norm3, self.norm4 = module.layer_norm3, module.layer_norm4

    def forward(self, queries, keys, tokens, positions, bias):
        """queries, tokens (b, n, c); keys, positions (b|1, g*g, c); bias (b, 1, 1, n) or None."""
        if self.skip_pe:
            queries = self.self_attn(queries, queries, queries, bias)
        else:
            with_pe = queries + tokens
            queries = queries + self.self_attn(with_pe, with_pe, queries, bias)
        queries = self.norm1(queries)
        queries = self.norm2(queries + self.to_image(queries + tokens, keys + positions, keys))
        queries = self.norm3(queries + self.mlp(queries))
        with_pe = queries + tokens
        keys = self.norm4(keys + self.to_tokens(keys + positions, with_pe, queries, bias))
        return queries, keys


class PixelShuffleUp(nn.Module):
    """ConvTranspose2d(kernel 2, stride 2) as one matrix product: (b, n, c) -> (b, n, 4, c').

    The four sub-pixels stay a separate axis (row, then column), so that nothing large is transposed.
    """

    def __init__(self, module: nn.ConvTranspose2d):
        super().__init__()
        c, out = module.in_channels, module.out_channels
        weight = module.weight.detach().permute(0, 2, 3, 1).reshape(c, 4 * out)
        self.weight = nn.Parameter(weight.contiguous().clone(), requires_grad=False)
        self.bias = module.bias
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        y = torch.matmul(x, self.weight)
        return y.reshape(*x.shape[:-1], 4, self.out) + self.bias


class MaskDecoder(nn.Module):
    """Masks, predicted IoU, object score and object pointer of B objects.

    ``run`` takes keys (b|1, g*g, C), the image with its dense prompt; prompt tokens (b|1, n, C);
    bias over the prompt tokens (b, 1, 1, n) or None; the two fine feature maps.
    """

    def __init__(self, model: nn.Module, grid: int):
        super().__init__()
        d = model.mask_decoder
        self.grid = grid
        self.blocks = nn.ModuleList([TwoWayBlock(layer) for layer in d.transformer.layers])
        self.final = Attention(d.transformer.final_attn_token_to_image)
        self.final_norm = d.transformer.layer_norm_final_attn
        self.up1, self.up2 = PixelShuffleUp(d.upscale_conv1), PixelShuffleUp(d.upscale_conv2)
        self.up_norm = d.upscale_layer_norm
        self.hyper = nn.ModuleList([Mlp(mlp) for mlp in d.output_hypernetworks_mlps])
        self.iou_head, self.score_head = Mlp(d.iou_prediction_head), Mlp(d.pred_obj_score_head)
        self.pointer = Mlp(model.object_pointer_proj)
        self.no_pointer = nn.Parameter(frozen(model.no_object_pointer), requires_grad=False)
        own = torch.cat([d.obj_score_token.weight, d.iou_token.weight, d.mask_tokens.weight])
        self.own_tokens = nn.Parameter(frozen(own)[None], requires_grad=False)  # (1, 6, C)
        self.register_buffer("positions", frozen(to_tokens(model.get_image_wide_positional_embeddings())))
        self.delta = float(d.dynamic_multimask_stability_delta)
        self.threshold = float(d.dynamic_multimask_stability_thresh)

    def _subpixels(self, feat: Tensor, levels: int) -> Tensor:
        """(1, c, side, side) -> (1, g*g, 4 ** levels, c): the axis order that the upscaling leaves.

        Channels go last first; then whole pixels move, which runtimes do several times faster than
        single numbers.
        """
        g, c = self.grid, feat.shape[1]
        x = feat.permute(0, 2, 3, 1)
        if levels == 1:
            x = x.reshape(g, 2, g, 2, c).permute(0, 2, 1, 3, 4)
        else:
            x = x.reshape(g, 2, 2, g, 2, 2, c).permute(0, 3, 1, 4, 2, 5, 6)
        return x.reshape(1, g * g, 4**levels, c)

    def _picture(self, mask: Tensor) -> Tensor:
        """(b, g*g*16, 1) sub-pixel logits -> (b, 1, 4g, 4g)."""
        g = self.grid
        x = mask.reshape(-1, g, g, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4, 6)
        return x.reshape(-1, 1, 4 * g, 4 * g)

    def _transform(self, keys, prompt, bias):
        """Returns tokens (b, 6 + n, C) and image (b, g*g, C) after the two-way transformer."""
        own = self.own_tokens.expand(prompt.shape[0], -1, -1)
        tokens = torch.cat([own, prompt], dim=1)
        if bias is not None:
            bias = F.pad(bias, (own.shape[1], 0))
        queries = tokens
        for block in self.blocks:
            queries, keys = block(queries, keys, tokens, self.positions, bias)
        out = self.final(queries + tokens, keys + self.positions, keys)
        return self.final_norm(queries + out), keys

    def _upscaled(self, image: Tensor, feat_s0: Tensor, feat_s1: Tensor) -> Tensor:
        """(b, g*g, C) -> (b, g*g*16, C/8)."""
        x = F.gelu(normalise(self.up_norm, self.up1(image) + self._subpixels(feat_s1, 1)))
        x = self.up2(x)  # (b, g*g, 4, 4, C/8)
        x = x.reshape(x.shape[0], x.shape[1], 16, x.shape[-1])
        x = F.gelu(x + self._subpixels(feat_s0, 2))
        return x.reshape(x.shape[0], -1, x.shape[-1])

    @staticmethod
    def _best(iou: Tensor) -> Tensor:
        """One-hot (b, 3, 1) of the best of masks 1 to 3; a product, since gathers export badly."""
        best = torch.argmax(iou[:, 1:], dim=1, keepdim=True)
        return (best == torch.arange(3, device=iou.device)[None]).to(iou.dtype)[..., None]

    def _heads(self, tokens: Tensor):
        iou = self.iou_head(tokens[:, 1])  # (b, 4)
        score = self.score_head(tokens[:, 0])  # (b, 1)
        return iou, score

    def _finish(self, mask: Tensor, token: Tensor, score: Tensor):
        """Object-absent handling: mask (b, n, 1) -> picture, token (b, C) -> pointer."""
        seen = (score > 0).to(score.dtype)
        picture = self._picture(mask)
        picture = torch.where((score > 0)[:, :, None, None], picture, NO_OBJECT_LOGIT)
        pointer = seen * self.pointer(token) + (1 - seen) * self.no_pointer
        return picture, pointer

    def best_of_three(self, keys, prompt, feat_s0, feat_s1):
        """The multimask path: -> mask (b, 1, 4g, 4g), iou (b, 1), obj_ptr (b, C), obj_score (b, 1)."""
        tokens, image = self._transform(keys, prompt, None)
        iou, score = self._heads(tokens)
        pick = self._best(iou)
        token = (tokens[:, 3:6] * pick).sum(1)
        hyper = torch.stack([self.hyper[i](tokens[:, 2 + i]) for i in (1, 2, 3)], dim=1)
        hyper = (hyper * pick).sum(1)[:, :, None]  # (b, C/8, 1)
        mask = torch.matmul(self._upscaled(image, feat_s0, feat_s1), hyper)
        picture, pointer = self._finish(mask, token, score)
        return picture, (iou[:, 1:] * pick[..., 0]).sum(1, keepdim=True), pointer, score

    def pointer_only(self, keys, prompt):
        """The pointer of the multimask path without drawing the masks: (b, C)."""
        tokens, _ = self._transform(keys, prompt, None)
        iou, score = self._heads(tokens)
        token = (tokens[:, 3:6] * self._best(iou)).sum(1)
        seen = (score > 0).to(score.dtype)
        return seen * self.pointer(token) + (1 - seen) * self.no_pointer

    def either(self, keys, prompt, bias, feat_s0, feat_s1, multimask):
        """Multimask (b,) 1: best of three. 0: mask 0, or the best of three where mask 0 is unstable."""
        tokens, image = self._transform(keys, prompt, bias)
        iou, score = self._heads(tokens)
        pick = self._best(iou)
        hyper = torch.stack([self.hyper[i](tokens[:, 2 + i]) for i in range(4)], dim=1)
        best = (hyper[:, 1:] * pick).sum(1)
        masks = torch.matmul(self._upscaled(image, feat_s0, feat_s1),
                             torch.stack([hyper[:, 0], best], dim=2))  # (b, n, 2)
        single, several = masks[:, :, 0:1], masks[:, :, 1:2]
        inner = (single > self.delta).to(torch.float32).sum(1)  # (b, 1) pixel counts
        outer = (single > -self.delta).to(torch.float32).sum(1)
        ratio = torch.where(outer > 0, inner / torch.clamp(outer, min=1.0), 1.0)  # no pixel at all: stable
        unstable = ratio < self.threshold
        many = multimask[:, None] > 0.5  # (b, 1)
        use_best = many | unstable
        mask = torch.where(use_best[:, :, None], several, single)
        best_iou = (iou[:, 1:] * pick[..., 0]).sum(1, keepdim=True)
        iou_out = torch.where(use_best, best_iou, iou[:, 0:1])
        token = torch.where(many, (tokens[:, 3:6] * pick).sum(1), tokens[:, 2])
        picture, pointer = self._finish(mask, token, score)
        return picture, iou_out, pointer, score


class PointEmbedding(nn.Module):
    """points (b, n, 2) in pixels, labels (b, n) -> tokens (b, n, C) and their attention bias.

    Coordinates are combined by multiplication and addition rather than by a product with the
    2 x C/2 matrix, which a GPU might run in a reduced precision that a position cannot bear.
    """

    def __init__(self, model: nn.Module, size: int):
        super().__init__()
        encoder = model.prompt_encoder
        self.size = float(size)
        gauss = encoder.shared_embedding.positional_embedding
        self.gauss = nn.Parameter(frozen(gauss), requires_grad=False)  # (2, C/2)
        rows = torch.cat([encoder.not_a_point_embed.weight, encoder.point_embed.weight])
        self.table = nn.Parameter(frozen(rows)[None, None], requires_grad=False)  # (1, 1, 5, C)
        kinds = torch.tensor([NOT_A_POINT, 0.0, 1.0, 2.0, 3.0])
        self.register_buffer("kinds", kinds)

    def forward(self, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        kind = labels.to(torch.float32)[..., None]  # (b, n, 1)
        place = 2 * ((points + 0.5) / self.size) - 1
        angle = (place[..., 0:1] * self.gauss[0] + place[..., 1:2] * self.gauss[1]) * (2 * math.pi)
        wave = torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)
        picked = (kind == self.kinds).to(torch.float32)[..., None]  # (b, n, 5, 1)
        tokens = wave * (kind >= 0).to(torch.float32) + (picked * self.table).sum(2)
        unused = (kind < UNUSED / 2).to(torch.float32)[..., 0]
        return tokens, (unused * MASKED)[:, None, None, :]


class MaskEmbedding(nn.Module):
    """mask (b, 1, S, S) in 0..1 -> dense prompt tokens (b, g*g, C)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        embed = model.prompt_encoder.mask_embed
        self.down = model.mask_downsample
        self.conv1, self.conv2, self.conv3 = embed.conv1, embed.conv2, embed.conv3
        self.norm1, self.norm2 = ChannelNorm(embed.layer_norm1), ChannelNorm(embed.layer_norm2)
        self.activation = embed.activation

    def forward(self, mask: Tensor) -> Tensor:
        x = self.activation(self.norm1(self.conv1(self.down(mask)))).permute(0, 3, 1, 2)
        x = self.activation(self.norm2(self.conv2(x))).permute(0, 3, 1, 2)
        return to_tokens(self.conv3(x))
