"""Frames of a video: files to pixels, pixels to the model's input, ahead of time or as they are needed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .job import Clip

AHEAD = 4  # frames decoded ahead, as masklet's ring holds them


class Frames(dict):
    """Preprocessed frames by index, of which not all need be there. Its length is the video's.

    The session takes the length for the number of frames in the video, which bounds how many object
    pointers it looks at.
    """

    def __init__(self, total: int):
        super().__init__()
        self.total = total

    def __len__(self) -> int:
        return self.total


def decode(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """(H, W, 3) uint8 and the milliseconds it took."""
    began = time.perf_counter()
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"))
    if pixels.shape[:2] != size:
        raise ValueError(f"{path} is {pixels.shape[1]}x{pixels.shape[0]}, its video is {size[1]}x{size[0]}")
    return pixels, 1e3 * (time.perf_counter() - began)


def preprocess(processor, pixels: np.ndarray, processing: torch.device, storage: torch.device) -> torch.Tensor:
    """(3, S, S) fp32 by transformers' own video processor."""
    done = processor.video_processor(videos=[pixels[None]], device=processing, return_tensors="pt")
    return done.pixel_values_videos[0][0].to(storage, dtype=torch.float32)


def decoded_ahead(clip: Clip, first: int, end: int, threads: int) -> Iterator[tuple[np.ndarray, float]]:
    """Frames ``first`` to before ``end`` in order, decoded by threads of their own a few frames ahead."""
    with ThreadPoolExecutor(threads, "decode") as pool:
        pending: deque = deque()
        wanted = iter(range(first, end))
        for _ in range(first, end):
            while len(pending) < AHEAD and (index := next(wanted, None)) is not None:
                pending.append(pool.submit(decode, clip.frames[index], clip.size))
            yield pending.popleft().result()
