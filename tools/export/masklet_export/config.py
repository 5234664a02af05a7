"""The models that can be exported: names, architecture settings, image sizes they accept.

Architecture numbers come from the public configurations of EdgeTAM and SAM 2.1 and from the
classes of ``transformers`` that implement them (``EdgeTamVideoModel``, ``Sam2VideoModel``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

MEMORY_SLOTS = 7
POINTER_SLOTS = 16
PROMPT_SLOTS = 9
NO_OBJECT_LOGIT = -1024.0
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


class ExportError(Exception):
    """Something the user can put right: one sentence, shown without a traceback."""


@dataclass(frozen=True)
class ModelSpec:
    """What tells one exportable model from another."""

    name: str
    family: str  # edgetam | sam2
    variant: str  # the manifest's word
    default_size: int
    hiera: dict = field(default_factory=dict)  # SAM 2: arguments of the Hiera backbone


# Window position sizes, block counts and global attention blocks: the four public SAM 2.1 configs.
MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec("edgetam", "edgetam", "edgetam", 1024),
        ModelSpec("edgetam_mini", "edgetam", "mini", 256),
        # What tools/train trains, and the program holds. The mini model is for tests: it takes 128 pixels.
        ModelSpec("edgetam_small", "edgetam", "mini", 256),
        ModelSpec("sam2_tiny", "sam2", "tiny", 1024, dict(
            hidden_size=96, blocks_per_stage=[1, 2, 7, 2], embed_dim_per_stage=[96, 192, 384, 768],
            num_attention_heads_per_stage=[1, 2, 4, 8], num_attention_heads=1,
            window_size_per_stage=[8, 4, 14, 7], global_attention_blocks=[5, 7, 9],
            window_positional_embedding_background_size=[7, 7])),
        ModelSpec("sam2_small", "sam2", "small", 1024, dict(
            hidden_size=96, blocks_per_stage=[1, 2, 11, 2], embed_dim_per_stage=[96, 192, 384, 768],
            num_attention_heads_per_stage=[1, 2, 4, 8], num_attention_heads=1,
            window_size_per_stage=[8, 4, 14, 7], global_attention_blocks=[7, 10, 13],
            window_positional_embedding_background_size=[7, 7])),
        ModelSpec("sam2_base", "sam2", "base_plus", 1024, dict(
            hidden_size=112, blocks_per_stage=[2, 3, 16, 3], embed_dim_per_stage=[112, 224, 448, 896],
            num_attention_heads_per_stage=[2, 4, 8, 16], num_attention_heads=2,
            window_size_per_stage=[8, 4, 14, 7], global_attention_blocks=[12, 16, 20],
            window_positional_embedding_background_size=[14, 14])),
        ModelSpec("sam2_large", "sam2", "large", 1024, dict(
            hidden_size=144, blocks_per_stage=[2, 6, 36, 4], embed_dim_per_stage=[144, 288, 576, 1152],
            num_attention_heads_per_stage=[2, 4, 8, 16], num_attention_heads=2,
            window_size_per_stage=[8, 4, 16, 8], global_attention_blocks=[23, 33, 43],
            window_positional_embedding_background_size=[7, 7])),
    )
}

# EdgeTAM condenses a frame's memory to a square grid of 2-D latents, so g = S/16 must be a multiple
# of that grid's side: 16 in the released model and the small one, 8 in the mini model.
# SAM 2's Hiera tiles an 8x8 position window over the S/4 grid, and its FPN doubles the S/32 grid to
# meet the S/16 grid: both ask for multiples of 32. Smaller grids than 4x4 at S/32 are of no use.
_SIZE_RULES = {"edgetam": (256, 256, 2048), "edgetam_mini": (128, 128, 1024), "sam2": (32, 128, 2048)}


def check_image_size(spec: ModelSpec, size: int) -> None:
    """Raises ExportError naming the sizes the model takes when ``size`` is not one of them."""
    step, low, high = _SIZE_RULES.get(spec.name) or _SIZE_RULES[spec.family]
    if size % step == 0 and low <= size <= high:
        return
    examples = ", ".join(str(s) for s in range(low, high + 1, step)) if (high - low) // step < 10 else (
        f"{low}, {low + step}, {low + 2 * step}, … {high}")
    raise ExportError(f"{spec.name} cannot take an image size of {size}: "
                      f"it must be a multiple of {step} from {low} to {high} ({examples})")


def hf_config(spec: ModelSpec, size: int):
    """The ``transformers`` configuration of ``spec`` at image side ``size``."""
    check_image_size(spec, size)
    return _edgetam_config(spec, size) if spec.family == "edgetam" else _sam2_config(spec, size)


def resize_config(config, size: int):
    """Sets every size-dependent entry of a loaded configuration to image side ``size`` (in place)."""
    grid = size // 16
    config.image_size = size
    config.memory_attention_rope_feat_sizes = [grid, grid]
    config.prompt_encoder_config.image_size = size
    config.vision_config.backbone_feature_sizes = [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2]
    return config


def _edgetam_config(spec: ModelSpec, size: int):
    from transformers import EdgeTamVideoConfig, EdgeTamVisionConfig, TimmWrapperConfig

    timm_args = dict(in_chans=3, features_only=True, out_indices=[0, 1, 2, 3])
    if spec.name == "edgetam":
        # The default of EdgeTamVisionConfig names no usable backbone, so it is always passed.
        backbone = TimmWrapperConfig(architecture="repvit_m1", model_args=timm_args)
        vision = EdgeTamVisionConfig(backbone_config=backbone)
        # As released: pointers carry no temporal encoding and absent objects leave no mark in the
        # memory. The classes' defaults say otherwise.
        config = EdgeTamVideoConfig(vision_config=vision, enable_occlusion_spatial_embedding=False,
                                    enable_temporal_pos_encoding_for_object_pointers=False)
    else:
        # Keeps the temporal encoding of pointers and the occlusion embedding (SAM 2.1 has both), so
        # that these models exercise every input. At 256 the small one has one 2-D latent per cell, so
        # that queries and memories lie on one rotary grid.
        width = 128
        side, latents, layers = (8, 64, 2) if spec.name == "edgetam_mini" else (16, 32, 1)
        backbone = TimmWrapperConfig(
            architecture="repvit_m0_9",
            model_args=dict(timm_args, embed_dim=(16, 32, 64, 96), depth=(1, 1, 3, 1)))
        vision = EdgeTamVisionConfig(backbone_config=backbone, backbone_channel_list=[96, 64, 32, 16],
                                     fpn_hidden_size=width)
        config = EdgeTamVideoConfig(
            vision_config=vision,
            prompt_encoder_config=dict(hidden_size=width),
            mask_decoder_config=dict(hidden_size=width, mlp_dim=128, num_attention_heads=2,
                                     attention_downsample_rate=4, iou_head_hidden_dim=64),
            memory_attention_hidden_size=width, memory_attention_mlp_hidden_size=128,
            memory_attention_rope_k_sizes=[side, side],
            memory_encoder_hidden_size=width, mask_downsampler_embed_dim=width,
            memory_fuser_embed_dim=width, memory_fuser_intermediate_dim=64,
            perceiver_resampler_num_latents=latents, perceiver_resampler_num_latents_2d=side * side,
            perceiver_resampler_num_layers=layers, perceiver_resampler_mlp_intermediate_size=64)
    return resize_config(config, size)


def _sam2_config(spec: ModelSpec, size: int):
    from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VisionConfig

    backbone = Sam2HieraDetConfig(**spec.hiera)
    vision = Sam2VisionConfig(backbone_config=backbone,
                              backbone_channel_list=list(reversed(spec.hiera["embed_dim_per_stage"])))
    return resize_config(Sam2VideoConfig(vision_config=vision), size)
