"""A host for the five graphs: the tracking loop that docs/bundle-format.md describes.

It exists to check exports, and as the plainest statement of what an engine has to do. All tensors
are numpy arrays; graphs run in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import torch

from .clip import Prompt
from .components import Dims, signature
from .reference import prompt_mask

CONDITIONING_TPOS = 6


def ort_session(graph: onnx.ModelProto, optimise: bool = True, threads: int = 2):
    """An ONNX Runtime CPU session of a graph in memory."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Runner:
    """Calls components by name: ``runner("track_step", feat=…, …)`` -> {output name: array}."""

    def __init__(self, graphs: dict[str, onnx.ModelProto], dims: Dims,
                 session: Callable[[onnx.ModelProto], object] = ort_session):
        self.dims = dims
        self.signature = signature(dims)
        self.sessions = {name: session(graph) for name, graph in graphs.items()}

    def __call__(self, component: str, **inputs) -> dict[str, np.ndarray]:
        wanted, outputs = self.signature[component]
        feed = {name: np.ascontiguousarray(np.asarray(inputs[name]), dtype=np.int32 if kind == "i32" else np.float32)
                for name, kind, _ in wanted}
        names = [name for name, _, _ in outputs]
        return dict(zip(names, self.sessions[component].run(names, feed)))


@dataclass
class Entry:
    """What is kept of one object on one frame."""

    frame: int
    memory: np.ndarray  # (T, D)
    pointer: np.ndarray  # (C,)


def memory_inputs(dims: Dims, frame: int, frames_in_video: int, banks: list[tuple[Entry, dict[int, Entry]]],
                  junk: float = 0.5) -> dict[str, np.ndarray]:
    """The memory bank inputs of ``track_step`` for B objects.

    ``banks``: per object its conditioning entry and its tracked entries by frame. Invalid slots are
    filled with ``junk``: what lies there must not matter.
    """
    d, b = dims, dims.objects
    made = {
        "mem": np.full((b, d.memory_slots, d.tokens, d.memory), junk, np.float32),
        "mem_tpos": np.zeros((b, d.memory_slots), np.int32),
        "mem_valid": np.zeros((b, d.memory_slots), np.float32),
        "ptr": np.full((b, d.pointer_slots, d.hidden), junk, np.float32),
        "ptr_tpos": np.full((b, d.pointer_slots), junk, np.float32),
        "ptr_valid": np.zeros((b, d.pointer_slots), np.float32),
    }
    most = min(d.pointer_slots, frames_in_video)
    for row, (first, tracked) in enumerate(banks):
        memories = [(first, CONDITIONING_TPOS)]
        memories += [(tracked[frame - r], r - 1) for r in range(1, d.memory_slots) if frame - r in tracked]
        for entry, tpos in memories:
            # Ring: slot 0 for the conditioning frame, then by frame number. Order does not matter.
            slot = 0 if entry is first else 1 + entry.frame % (d.memory_slots - 1)
            made["mem"][row, slot] = entry.memory
            made["mem_tpos"][row, slot] = tpos
            made["mem_valid"][row, slot] = 1
        pointers = [(first, frame - first.frame)]
        pointers += [(tracked[frame - r], r) for r in range(1, most) if frame - r in tracked]
        for entry, age in pointers:
            slot = 0 if entry is first else 1 + entry.frame % (d.pointer_slots - 1)
            made["ptr"][row, slot] = entry.pointer
            made["ptr_tpos"][row, slot] = age / (most - 1)
            made["ptr_valid"][row, slot] = 1
    return made


def prompt_inputs(dims: Dims, prompt: Prompt, height: int, width: int) -> dict[str, np.ndarray]:
    """points (N, 2), labels (N,) and multimask of a click or box prompt given in video pixels."""
    spots: list[tuple[float, float, int]] = []
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        spots += [(x0, y0, 2), (x1, y1, 3)]
    spots += prompt.points
    if len(spots) + 1 > dims.prompt_slots:
        raise ValueError(f"{len(spots)} points do not fit {dims.prompt_slots} prompt slots")
    points = np.zeros((dims.prompt_slots, 2), np.float32)
    labels = np.full(dims.prompt_slots, -10, np.int32)
    for i, (x, y, label) in enumerate(spots):
        points[i] = (np.float32(x) * np.float32(dims.size / width), np.float32(y) * np.float32(dims.size / height))
        labels[i] = label
    labels[len(spots)] = -1
    return {"points": points, "labels": labels, "multimask": np.float32(len(spots) <= 1)}


def round_bf16(x: np.ndarray) -> np.ndarray:
    """Rounds f32 values to bf16 and back (SAM 2's reference stores memories so)."""
    return torch.from_numpy(x).to(torch.bfloat16).float().numpy()


class Tracker:
    """Tracks up to B objects, all prompted on the same frame, with one batch of graphs."""

    def __init__(self, runner: Runner, images: torch.Tensor, video_size: tuple[int, int], memory_bf16: bool):
        """images (n, 3, S, S): preprocessed frames; video_size: (height, width)."""
        self.run_graph, self.dims = runner, runner.dims
        self.images, self.video_size = images, video_size
        self.memory_bf16 = memory_bf16
        self._features: dict[int, dict] = {}

    def features(self, frame: int) -> dict[str, np.ndarray]:
        """Image features, computed once a frame whatever the number of runs."""
        if frame not in self._features:
            self._features[frame] = self.run_graph("image_encoder", image=self.images[frame : frame + 1])
        return self._features[frame]

    def first_frame(self, prompts: list[Prompt], encode: list[np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Outputs of the prompted frame for B objects: mask, iou, obj_ptr, obj_score, mem_out.

        ``encode``: logits to encode as memory in place of the decoded ones (see check.py).
        """
        feats = self.features(prompts[0].frame)
        height, width = self.video_size
        rows = prompts + [prompts[-1]] * (self.dims.objects - len(prompts))
        if rows[0].mask is not None:
            stacked = torch.cat([prompt_mask(p.mask, self.dims.size) for p in rows])
            return self.run_graph("mask_prompt", **feats, mask_input=stacked)
        inputs = [prompt_inputs(self.dims, p, height, width) for p in rows]
        batch = {key: np.stack([i[key] for i in inputs]) for key in inputs[0]}
        out = self.run_graph("prompt_decoder", **feats, **batch)
        mask = out["mask"]
        if encode is not None:
            mask = np.concatenate(encode + [encode[-1]] * (self.dims.objects - len(encode)))
        out |= self.run_graph("memory_encoder", feat=feats["feat"], mask=mask, obj_score=out["obj_score"],
                              from_prompt=np.ones(self.dims.objects))
        return out

    def track(self, prompts: list[Prompt], encode: list[np.ndarray] | None = None) -> list[dict[int, dict[str, np.ndarray]]]:
        """Per object: outputs by frame (each with a leading axis of 1). Prompts share kind and frame."""
        start, count = prompts[0].frame, len(self.images)
        out = self.first_frame(prompts, encode)
        results = [{start: _row(out, i)} for i in range(len(prompts))]
        used = list(range(len(prompts))) + [len(prompts) - 1] * (self.dims.objects - len(prompts))
        firsts = [self._entry(start, out, i) for i in used]
        tracked: list[dict[int, Entry]] = [{} for _ in used]
        for frame in range(start + 1, count):
            bank = memory_inputs(self.dims, frame, count, list(zip(firsts, tracked)))
            out = self.run_graph("track_step", **self.features(frame), **bank)
            for i in range(len(used)):
                tracked[i][frame] = self._entry(frame, out, i)
            for i in range(len(prompts)):
                results[i][frame] = _row(out, i)
        return results

    def _entry(self, frame: int, out: dict, row: int) -> Entry:
        memory = out["mem_out"][row]
        return Entry(frame, round_bf16(memory) if self.memory_bf16 else memory, out["obj_ptr"][row])


def _row(out: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    return {name: value[index : index + 1] for name, value in out.items()}
