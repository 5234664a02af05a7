"""Tracks what a job asks for, in one of two manners, timed as masklet times itself.

``upstream``: as the Python benchmark works. A model built anew for every object, one object at a time,
nothing shared; every frame of the clip decoded, preprocessed and kept as fp32 on the device before the
first is tracked; logits at the video's size copied to the host and thresholded there; no memory ever
dropped, masks kept to the clip's end; ``gc`` and ``empty_cache`` between objects.

``best``: what PyTorch can do with transformers' model as it is. The model is kept, all objects of a video
advance together in one session and share a frame's features, weights are cast to a lower precision once,
frames are decoded ahead by threads and dropped when done, outputs that no later frame attends to are dropped, masks are thresholded on the device.
transformers runs the decoder for one object after the other; there is no batching over objects in it.
"""

from __future__ import annotations

import contextlib
import gc
import time
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from masklet_export.reference import make_processor

from .clock import Clock, Times
from .frames import Frames, decode, decoded_ahead, preprocess
from .job import Clip, Job, Object, Prompt
from .memory import Watch, now
from .model import build_model
from .record import Record

KEPT_OUTPUTS = 16  # frames of outputs that later frames look at: object pointers reach back the farthest
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Group:
    """Objects with one prompt frame: one session, whose objects have the indices of ``objects``."""

    objects: list[Object]
    session: object

    @property
    def start(self) -> int:
        return self.objects[0].start

    @property
    def end(self) -> int:
        return self.objects[0].end


class Model:
    """A model on its device, with the spans that its image encoder ran in."""

    def __init__(self, job: Job, entry: dict, device: torch.device, clock: Clock):
        self.manifest = entry["manifest"]
        self.processor = make_processor(self.manifest["image_size"])
        self.net = build_model(entry, fold=job.mode == "best").to(device)
        dtype = DTYPES.get(job.precision or self.manifest["precision"])
        if dtype is not None and job.mode == "best":
            cast_weights(self.net, dtype)
        if job.compile and job.mode == "best":
            self.net.vision_encoder = torch.compile(self.net.vision_encoder)
        self.encodes: list[tuple] = []
        features = self.net.get_image_features

        def timed(*args, **kwargs):
            began = clock.stamp()
            out = features(*args, **kwargs)
            self.encodes.append((began, clock.stamp()))
            return out

        self.net.get_image_features = timed


def cast_weights(net: torch.nn.Module, dtype: torch.dtype) -> None:
    """Casts once what autocast would cast at every call: it keeps no casts in inference mode, which
    transformers' models run in. The arithmetic stays autocast's."""
    for module in net.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            module.to(dtype)


class Runner:
    """Goes through a job; every finished object is on disk before the next one begins."""

    def __init__(self, job: Job, device: torch.device, record: Record):
        self.job, self.device, self.record = job, device, record
        self.clock = Clock(device)
        self._kept: dict[int, Model] = {}
        self._warm: set[int] = set()

    def run(self) -> None:
        """All clips, in order."""
        for clip in self.job.clips:
            together = [clip.objects] if self.job.mode == "best" else [[one] for one in clip.objects]
            for objects in together:
                self._state(clip, objects, objects[0].start, at_once=True)
                for row in self._one(clip, objects):
                    self.record.write("object", row)
                if self.job.mode == "upstream":
                    self._collect()

    def _state(self, clip: Clip, objects: list[Object], frame: int, at_once: bool = False) -> None:
        self.record.state({"model": clip.tag, "video": clip.video, "objects": [o.id for o in objects],
                           "index": objects[0].index, "total": self.job.total, "frame": frame, **now(self.device)},
                          at_once)

    def _collect(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()

    def _precision(self, manifest: dict) -> str:
        return self.job.precision or manifest["precision"]

    def _arithmetic(self, manifest: dict):
        dtype = DTYPES.get(self._precision(manifest))
        return torch.autocast(self.device.type, dtype) if dtype else contextlib.nullcontext()

    def _model(self, index: int) -> Model:
        if self.job.mode == "upstream":
            return Model(self.job, self.job.models[index], self.device, self.clock)
        if index not in self._kept:
            self._kept = {index: Model(self.job, self.job.models[index], self.device, self.clock)}
        return self._kept[index]

    def _one(self, clip: Clip, objects: list[Object]) -> list[dict]:
        """Rows of objects that advance together. What fails in them is a failed row; the job goes on."""
        try:
            if clip.model not in self._warm and self.job.warmup:
                self._warm_up(clip)
            self._warm.add(clip.model)
            return self._track(clip, objects)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this object's result
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no text'}"
            return [{**self._row(clip, o, len(objects)), "frames": 0, "status": "failed", "reason": reason}
                    for o in objects]

    def _row(self, clip: Clip, one: Object, together: int) -> dict:
        manifest = self.job.models[clip.model]["manifest"]
        side = manifest["image_size"]
        seed = manifest["weights"].get("seed") if manifest["weights"]["source"] == "random-init" else None
        return {"video": clip.video, "object": one.id, "model": clip.tag, "status": "ok", "session": 0,
                "lockstep_objects": together, "image_size": side, "precision": self._precision(manifest),
                "backend": f"pytorch-{self.job.mode} ({self.device.type})", "random_init_seed": seed,
                "video_frames": len(clip.frames), "prompt_frame": one.start, "frames": one.end - one.start,
                "input_size": list(clip.size), "infer_size": [side, side], "overlay": None, "scores": None,
                "timing": None, "memory": None}

    def _groups(self, model: Model, clip: Clip, objects: list[Object], frames: Frames) -> list[Group]:
        """Sessions over the same frames, which compute a frame's features once between them."""
        groups: dict[tuple[int, int], Group] = {}
        for one in objects:
            key = (one.start, one.end)
            if key not in groups:
                session = model.processor.init_video_session(inference_device=self.device, dtype=torch.float32)
                session.processed_frames = frames
                session.video_height, session.video_width = clip.size
                if groups:
                    session.cache = next(iter(groups.values())).session.cache
                groups[key] = Group([], session)
            groups[key].objects.append(one)
        for group in groups.values():
            for number, one in enumerate(group.objects, 1):
                add_prompt(model.processor, group.session, number, one.start, one.prompt)
            group.session.obj_with_new_inputs = list(range(1, len(group.objects) + 1))
        return sorted(groups.values(), key=lambda group: group.start)

    def _warm_up(self, clip: Clip) -> None:
        """As many tracked frames as asked for, on grey, in no figure."""
        with torch.inference_mode():
            model = self._model(clip.model)
            height, width = clip.size
            grey = np.full((height, width, 3), 128, np.uint8)
            frames = Frames(self.job.warmup + 1)
            for index in range(len(frames)):
                frames[index] = preprocess(model.processor, grey, torch.device("cpu"), self.device)
            click = Prompt(points=[[width / 2, height / 2]], labels=[1])
            one = Object("warm-up", 0, 0, len(frames), click, {})
            for group in self._groups(model, clip, [one], frames):
                with self._arithmetic(model.manifest):
                    for index in range(len(frames)):
                        model.net(group.session, frame_idx=index)
        del model, frames, group
        if self.job.mode == "upstream":
            self._collect()

    def _track(self, clip: Clip, objects: list[Object]) -> list[dict]:
        upstream = self.job.mode == "upstream"
        watch = Watch(self.device)
        times = Times()
        began = time.perf_counter()
        with torch.inference_mode():
            model = self._model(clip.model)
            first, end = min(o.start for o in objects), max(o.end for o in objects)
            frames = Frames(len(clip.frames))
            setup_ms = 1e3 * (time.perf_counter() - began)
            if upstream:
                self._preload(model, clip, first, end, frames, times)
            began = time.perf_counter()
            groups = self._groups(model, clip, objects, frames)
            setup_ms += 1e3 * (time.perf_counter() - began)
            coming = None if upstream else decoded_ahead(clip, first, end, self.job.decode_threads)
            held: list[tuple[Object, int, np.ndarray]] = []
            for index in range(first, end):
                masks = self._frame(model, groups, clip, index, frames, coming, times)
                held += masks
                watch.sample()
                self._state(clip, objects, index)
                if not upstream:
                    frames.pop(index, None)
                    for group in groups:
                        forget(group.session, index - KEPT_OUTPUTS)
                    self._write(clip, held)
                    held = []
            self._write(clip, held)
        memory = watch.marks()
        shared = len(objects) > 1
        return [{**self._row(clip, one, len(objects)), "memory": memory,
                 "timing": times.of_object(one.start, one.end, shared, setup_ms)} for one in objects]

    def _preload(self, model: Model, clip: Clip, first: int, end: int, frames: Frames, times: Times) -> None:
        """Every frame of the clip, decoded and preprocessed one after the other and kept on the device."""
        for index in range(first, end):
            pixels, ms = decode(clip.frames[index], clip.size)
            began = time.perf_counter()
            frames[index] = preprocess(model.processor, pixels, torch.device("cpu"), self.device)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            spent = 1e3 * (time.perf_counter() - began)
            times.add(index, "decode", ms)
            times.add(index, "preprocess", spent)
            # Nothing runs beside it here, so it is part of the frame's wall clock.
            times.add(index, "end_to_end", ms + spent)

    def _frame(self, model: Model, groups: list[Group], clip: Clip, index: int, frames: Frames, coming,
               times: Times) -> list[tuple[Object, int, np.ndarray]]:
        """One frame of all objects; returns their masks. Spans of a device are read once it has caught up."""
        began, stamp = time.perf_counter(), self.clock.stamp
        spans: list[tuple[str, object, object]] = []
        model.encodes.clear()
        if coming is not None:
            pixels, ms = next(coming)
            times.add(index, "decode", ms)
            start = stamp()
            frames[index] = preprocess(model.processor, pixels, self.device, self.device)
            spans.append(("preprocess", start, stamp()))
        masks, forwards = [], []
        for group in groups:
            if not group.start <= index < group.end:
                continue
            start = stamp()
            with self._arithmetic(model.manifest):
                out = model.net(group.session, frame_idx=index)
            done = stamp()
            forwards.append(("prompt" if index == group.start else "track", start, done, len(model.encodes)))
            masks += [(one, index, mask) for one, mask in
                      zip(group.objects, self._masks(model, out.pred_masks, clip.size), strict=True)]
            spans.append(("postprocess", done, stamp()))
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        times.add(index, "end_to_end", 1e3 * (time.perf_counter() - began))
        encodes = [self.clock.ms(*span) for span in model.encodes]
        for stage, start, done in spans:
            times.add(index, stage, self.clock.ms(start, done))
        seen = 0
        for stage, start, done, upto in forwards:
            inside = sum(encodes[seen:upto])
            times.add(index, "encode", inside)
            times.add(index, stage, max(self.clock.ms(start, done) - inside, 0.0))
            seen = upto
        return masks

    def _masks(self, model: Model, logits: torch.Tensor, size: tuple[int, int]) -> list[np.ndarray]:
        """(H, W) bool per object at the video's size, in host memory."""
        logits = logits.float()
        if not bool(torch.isfinite(logits).all()):
            raise FloatingPointError("mask logits are not finite")
        upstream = self.job.mode == "upstream"
        large = model.processor.post_process_masks([logits], [list(size)], binarize=not upstream)[0]
        host = large.cpu().numpy()
        return [(mask[0] > 0 if upstream else mask[0]) for mask in host]

    def _write(self, clip: Clip, masks: list[tuple[Object, int, np.ndarray]]) -> None:
        """Masks in SA-V layout, off every clock."""
        for one, index, mask in masks:
            if (name := one.masks.get(index)) is None:
                continue
            folder = self.job.masks_dir / clip.tag / clip.video / one.id
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / name)


def add_prompt(processor, session, number: int, frame: int, prompt: Prompt) -> None:
    """Gives an object's prompt, in pixels of the video, to the session."""
    kwargs: dict = dict(inference_session=session, frame_idx=frame, obj_ids=number)
    if prompt.mask is not None:
        with Image.open(prompt.mask) as image:
            values = np.asarray(image)
        if values.ndim == 3:
            values = values[..., :3].max(-1)
        chosen = values > 0 if prompt.mask_label is None else values == prompt.mask_label
        kwargs["input_masks"] = torch.from_numpy(np.ascontiguousarray(chosen))
    if prompt.points:
        kwargs["input_points"], kwargs["input_labels"] = [[prompt.points]], [[prompt.labels]]
    if prompt.box:
        kwargs["input_boxes"] = [[prompt.box]]
    processor.add_inputs_to_inference_session(**kwargs)


def forget(session, frame: int) -> None:
    """Drops a frame's outputs, which no later frame looks at."""
    for outputs in session.output_dict_per_obj.values():
        outputs["non_cond_frame_outputs"].pop(frame, None)
