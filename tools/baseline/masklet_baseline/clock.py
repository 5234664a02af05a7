"""Clocks: the host's on the CPU, the device's own events on CUDA, where work is only queued."""

from __future__ import annotations

import time

import torch

BANK_FILL_FRAMES = 16
STAGES = ("decode", "preprocess", "encode", "prompt", "track", "postprocess", "end_to_end")


class Clock:
    """Stamps and the milliseconds between them. A stamp of a device is worth something after a synchronise."""

    def __init__(self, device: torch.device):
        self._cuda = device.type == "cuda"

    def stamp(self):
        """The present point of the work."""
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def ms(self, start, end) -> float:
        """Milliseconds between two stamps."""
        return start.elapsed_time(end) if self._cuda else 1e3 * (end - start)


class Times:
    """Durations of the frames of a clip by stage, cut out per object afterwards."""

    def __init__(self):
        self._frames: dict[int, dict[str, float]] = {}

    def add(self, frame: int, stage: str, ms: float) -> None:
        """Adds to a stage's duration in a frame."""
        stages = self._frames.setdefault(frame, {})
        stages[stage] = stages.get(stage, 0.0) + ms

    def of_object(self, start: int, end: int, shared: bool, setup_ms: float) -> dict:
        """The journal's ``timing`` of an object prompted at ``start``, processed up to before ``end``.

        Prompting is an event of its own first frame; tracking begins after it, even where another object
        was already being tracked in that frame.
        """
        stages = {}
        for stage in STAGES:
            first, last = {"prompt": (start, start + 1), "track": (start + 1, end)}.get(stage, (start, end))
            ms = [round(self._frames[f][stage], 3) for f in range(first, last) if stage in self._frames.get(f, {})]
            if ms:
                stages[stage] = {"shared": shared, "first": first - start, "ms": ms}
        return {"setup_ms": setup_ms, "warmup_frames": 0, "bank_fill_frames": min(BANK_FILL_FRAMES, end - start),
                "stages": stages}
