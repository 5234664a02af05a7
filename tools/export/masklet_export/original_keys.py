"""Names of the original checkpoints (``edgetam.pt``, ``sam2.1_*.pt``) in the terms of transformers.

The two code bases build the same layers under different names. Three tensors are also cut
differently: the four point embeddings are one table in transformers, EdgeTAM's joint key-value
projections are two, and the position matrix is stored twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# (pattern, replacement), each applied in turn; a name may match several.
_COMMON = [
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    (r"^obj_ptr_proj\.", "object_pointer_proj."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"^(mask_decoder\.transformer\..*|memory_attention\..*)\.out_proj\.", r"\1.o_proj."),
    (r"^(mask_decoder\.transformer\.)norm_final_attn\.", r"\1layer_norm_final_attn."),
    (r"^((?:mask_decoder\.transformer|memory_attention)\.layers\.\d+\.)norm(\d)\.", r"\1layer_norm\2."),
    (r"^memory_attention\.norm\.", "memory_attention.layer_norm."),
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"^memory_encoder\.mask_downsampler\.encoder\.12\.", "memory_encoder.mask_downsampler.final_conv."),
    (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
    (r"^(memory_encoder\.memory_fuser\.layers\.\d+)\.gamma$", r"\1.scale"),
    (r"^(memory_encoder\.memory_fuser\.layers\.\d+)\.dwconv\.", r"\1.depthwise_conv."),
    (r"^(memory_encoder\.memory_fuser\.layers\.\d+)\.norm\.", r"\1.layer_norm."),
    (r"^(memory_encoder\.memory_fuser\.layers\.\d+)\.pwconv(\d)\.", r"\1.pointwise_conv\2."),
    # Two-layer and three-layer perceptrons.
    (r"^(mask_decoder\.transformer\.layers\.\d+\.mlp|image_encoder\.trunk\.blocks\.\d+\.mlp)\.layers\.0\.", r"\1.proj_in."),
    (r"^(mask_decoder\.transformer\.layers\.\d+\.mlp|image_encoder\.trunk\.blocks\.\d+\.mlp)\.layers\.1\.", r"\1.proj_out."),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head)|object_pointer_proj)"
     r"\.layers\.0\.", r"\1.proj_in."),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head)|object_pointer_proj)"
     r"\.layers\.1\.", r"\1.layers.0."),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head)|object_pointer_proj)"
     r"\.layers\.2\.", r"\1.proj_out."),
]
_FAMILY = {
    "edgetam": [
        (r"^image_encoder\.trunk\.body\.", "vision_encoder.backbone.timm_model."),
        (r"^(memory_attention\.layers\.\d+)\.linear1\.", r"\1.mlp.up_proj."),
        (r"^(memory_attention\.layers\.\d+)\.linear2\.", r"\1.mlp.down_proj."),
        (r"^spatial_perceiver\.latents$", "spatial_perceiver.latents_1d"),
        (r"^spatial_perceiver\.norm\.", "spatial_perceiver.layer_norm."),
        (r"^(spatial_perceiver\.layers\.\d+)\.attn\.norm_x\.", r"\1.layer_norm_input."),
        (r"^(spatial_perceiver\.layers\.\d+)\.attn\.norm_latents\.", r"\1.layer_norm_latents."),
        (r"^(spatial_perceiver\.layers\.\d+)\.self_attn\.norm\.", r"\1.layer_norm_self."),
        (r"^(spatial_perceiver\.layers\.\d+)\.attn\.", r"\1.cross_attention."),
        (r"^(spatial_perceiver\.layers\.\d+)\.self_attn\.", r"\1.self_attention."),
        (r"^(spatial_perceiver\.layers\.\d+\.\w+_attention|spatial_perceiver\.layers\.\d+\.cross_attention)\.to_q\.", r"\1.q_proj."),
        (r"^(spatial_perceiver\.layers\.\d+\.\w+)\.to_out\.", r"\1.o_proj."),
        (r"^(spatial_perceiver\.layers\.\d+)\.ff\.", r"\1.mlp."),
        (r"^(spatial_perceiver\.layers\.\d+)\.self_ff\.", r"\1.self_mlp."),
        (r"^(spatial_perceiver\.layers\.\d+\.(?:self_)?mlp)\.0\.", r"\1.layer_norm."),
        (r"^(spatial_perceiver\.layers\.\d+\.(?:self_)?mlp)\.1\.", r"\1.up_proj."),
        (r"^(spatial_perceiver\.layers\.\d+\.(?:self_)?mlp)\.3\.", r"\1.down_proj."),
    ],
    "sam2": [
        (r"^(image_encoder\.trunk\.blocks\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
        (r"^image_encoder\.trunk\.patch_embed\.proj\.", "image_encoder.trunk.patch_embed.projection."),
        (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    ],
}


def rename(key: str, family: str) -> str:
    """The name in transformers of an original key that is neither cut nor joined."""
    match = re.match(r"^memory_encoder\.mask_downsampler\.encoder\.(\d+)\.(.*)$", key)
    if match and int(match[1]) < 12:
        layer, place = divmod(int(match[1]), 3)
        return f"memory_encoder.mask_downsampler.layers.{layer}.{('conv', 'layer_norm')[place]}.{match[2]}"
    for pattern, replacement in _COMMON + _FAMILY[family]:
        key = re.sub(pattern, replacement, key)
    return key


def convert_state(state: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """An original state dict under transformers' names. Unknown names pass through, renamed or not."""
    out: dict[str, Tensor] = {}
    points: dict[int, Tensor] = {}
    for key, value in state.items():
        point = re.match(r"^sam_prompt_encoder\.point_embeddings\.(\d+)\.weight$", key)
        if point:
            points[int(point[1])] = value
        elif key == "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix":
            out["shared_image_embedding.positional_embedding"] = value
            out["prompt_encoder.shared_embedding.positional_embedding"] = value.clone()
        elif re.match(r"^spatial_perceiver\.layers\.\d+\.(self_)?attn\.to_kv\.weight$", key):
            base = rename(key.replace("to_kv", "to_q"), family)
            out[base.replace("q_proj", "k_proj")], out[base.replace("q_proj", "v_proj")] = value.chunk(2, dim=0)
        else:
            out[rename(key, family)] = value
    if points:
        out["prompt_encoder.point_embed.weight"] = torch.cat([points[i] for i in sorted(points)])
    return out
