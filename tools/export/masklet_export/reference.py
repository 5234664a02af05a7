"""The reference: transformers' own video session, run on a clip and prompts.

Nothing is re-implemented here. The processor resizes frames and prompts, the model keeps its own
memory; this module only hands things over and collects what the session stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .clip import Prompt
from .config import IMAGE_MEAN, IMAGE_STD


@dataclass
class FrameState:
    """What the session holds of one object on one frame.

    mask (1, 1, 4g, 4g), iou (1, 1), obj_score (1, 1), obj_ptr (1, C), mem_out (1, T, D) as computed
    and ``stored`` (1, T, D) as kept: SAM 2's session rounds it to bf16. ``margin``: how far the choice
    of a mask was from falling differently: between the two best predicted IoUs, or between stability
    and its threshold. ``attended`` (1, g*g, C): the image as it meets the memory, None on the first frame.
    """

    mask: torch.Tensor
    iou: torch.Tensor
    obj_score: torch.Tensor
    obj_ptr: torch.Tensor
    mem_out: torch.Tensor
    stored: torch.Tensor
    margin: float
    attended: torch.Tensor | None


def make_processor(size: int):
    """transformers' processor for frames of image side ``size``, built without any download."""
    from transformers import Sam2ImageProcessor, Sam2VideoProcessor
    from transformers.models.sam2_video.video_processing_sam2_video import Sam2VideoVideoProcessor

    side = {"height": size, "width": size}
    common = dict(size=side, image_mean=list(IMAGE_MEAN), image_std=list(IMAGE_STD))
    image = Sam2ImageProcessor(**common, mask_size={"height": size // 4, "width": size // 4})
    return Sam2VideoProcessor(image, Sam2VideoVideoProcessor(**common), target_size=size)


def pixel_values(frames: list[np.ndarray], size: int) -> torch.Tensor:
    """Frames (H, W, 3) uint8 -> (n, 3, S, S), preprocessed by transformers' video processor."""
    processed = make_processor(size).video_processor(videos=[np.stack(frames)], return_tensors="pt")
    return processed.pixel_values_videos[0]


class Reference:
    """A model with a clip: image features are computed once and shared by all sessions."""

    def __init__(self, model: torch.nn.Module, frames: list[np.ndarray], scale: float = 1.0):
        """``scale`` multiplies the preprocessed input, to measure how far rounding alone carries."""
        self.model = model
        self.size = model.config.image_size
        self.frames = frames
        self.scale = scale
        self.processor = make_processor(self.size)
        self._cache = None

    def _session(self):
        session = self.processor.init_video_session(
            video=[np.stack(self.frames)], dtype=torch.float32, max_vision_features_cache_size=len(self.frames))
        if self.scale != 1.0:
            session.processed_frames = {k: v * self.scale for k, v in session.processed_frames.items()}
        if self._cache is None:
            self._cache = session.cache
        session.cache = self._cache
        return session

    def run(self, prompts: dict[int, Prompt]) -> dict[int, dict[int, FrameState]]:
        """Tracks all objects forward in one session; returns states[object][frame].

        All prompts must be on the same frame. Objects are independent in the session.
        """
        session = self._session()
        start = {p.frame for p in prompts.values()}
        if len(start) != 1:
            raise ValueError("prompts of one session must be on one frame")
        frame = start.pop()
        for obj, prompt in prompts.items():
            self._add(session, obj, prompt)
        session.obj_with_new_inputs = list(prompts)
        # The session keeps neither the predicted IoU nor the memory before rounding. It goes through the
        # frames, and through the objects in each; memories it may encode for all objects at once.
        ious, margins, memories, attended = [], [], [], []
        decoder = self.model.mask_decoder
        threshold = decoder.dynamic_multimask_stability_thresh
        stability = []
        measure = decoder._get_stability_scores

        def measured(logits):
            scores = measure(logits)
            stability.append(abs(float(scores) - threshold))
            return scores

        def decoded(_module, _inputs, out):
            best = out[1].flatten().sort(descending=True).values
            ious.append(best[0].reshape(1, 1))
            margins.append(float(best[0] - best[1]) if len(best) > 1 else stability.pop())

        # The first norm behind the first self-attention gets what no memory has reached yet.
        meeting = self.model.memory_attention.layers[0].layer_norm2
        hooks = [decoder.register_forward_hook(decoded),
                 meeting.register_forward_pre_hook(lambda _m, i: attended.append(i[0].reshape(1, -1, i[0].shape[-1]))),
                 self.model.memory_encoder.register_forward_hook(lambda _m, _i, out: memories.extend(out[0].split(1)))]
        decoder._get_stability_scores = measured
        try:
            for _ in self.model.propagate_in_video_iterator(session, start_frame_idx=frame):
                pass
        finally:
            del decoder._get_stability_scores
            for hook in hooks:
                hook.remove()
        states = {}
        for row, (obj, prompt) in enumerate(prompts.items()):
            own = slice(row, None, len(prompts))
            states[obj] = self._states(session, session.obj_id_to_idx(obj), ious[own], memories[own], margins[own],
                                       [None, *attended[own]])
            if prompt.mask is not None:
                states[obj][frame].iou = torch.ones(1, 1)
        return states

    def _add(self, session, obj: int, prompt: Prompt) -> None:
        kwargs = dict(inference_session=session, frame_idx=prompt.frame, obj_ids=obj)
        if prompt.mask is not None:
            kwargs["input_masks"] = torch.from_numpy(np.ascontiguousarray(prompt.mask))
        if prompt.points:
            kwargs["input_points"] = [[[[x, y] for x, y, _ in prompt.points]]]
            kwargs["input_labels"] = [[[label for _, _, label in prompt.points]]]
        if prompt.box is not None:
            kwargs["input_boxes"] = [[list(prompt.box)]]
        self.processor.add_inputs_to_inference_session(**kwargs)

    def _states(self, session, index: int, ious: list, memories: list, margins: list, attended: list,
                ) -> dict[int, FrameState]:
        stored = session.output_dict_per_obj[index]
        merged = {**stored["cond_frame_outputs"], **stored["non_cond_frame_outputs"]}
        states = {}
        for (frame, out), iou, memory, margin, met in zip(sorted(merged.items()), ious, memories, margins, attended,
                                                          strict=True):
            kept = out["maskmem_features"].float()
            if self.model.config.model_type == "sam2_video":
                kept = kept.permute(1, 0, 2)  # stored as (g*g, 1, D)
                memory = memory.flatten(2).transpose(1, 2)
            else:
                memory = kept  # EdgeTAM condenses after the memory encoder, and keeps f32
            mask = out["pred_masks"]
            states[frame] = FrameState(mask.reshape(1, 1, *mask.shape[-2:]), iou,
                                       out["object_score_logits"].reshape(1, 1),
                                       out["object_pointer"].reshape(1, -1), memory, kept, margin, met)
        return states

    def features(self, frame: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The session's own image features: feat_s0, feat_s1, feat as the bundle format has them."""
        cached = self._cache.get_vision_features(frame)
        grid = self.size // 16
        sides = (4 * grid, 2 * grid, grid)
        return tuple(x.permute(1, 2, 0).reshape(1, x.shape[2], side, side)
                     for x, side in zip(cached["vision_feats"], sides))

    def image(self, frame: int) -> torch.Tensor:
        """(1, 3, S, S): the preprocessed frame that the session saw."""
        return pixel_values([self.frames[frame]], self.size) * self.scale


def video_mask(logits: torch.Tensor, height: int, width: int) -> np.ndarray:
    """Low-resolution logits (1, 1, h, w) -> (H, W) bool, as transformers' post-processing does it."""
    return (F.interpolate(logits.float(), (height, width), mode="bilinear", align_corners=False)[0, 0] > 0).numpy()


def prompt_mask(mask: np.ndarray, size: int) -> torch.Tensor:
    """A video-size mask -> the model's mask input (1, 1, S, S) of 0 and 1."""
    value = torch.from_numpy(np.ascontiguousarray(mask)).float()[None, None]
    if value.shape[-2:] != (size, size):
        value = F.interpolate(value, (size, size), mode="bilinear", align_corners=False, antialias=True)
        value = (value >= 0.5).float()
    return value
