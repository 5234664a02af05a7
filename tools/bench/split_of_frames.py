"""Makes a split in SA-V layout of a folder of frames, with ellipses as ground truth, for benchmarks.

    python split_of_frames.py --frames FOLDER --out SPLIT --objects 4 --count 150

The clip has ``--count`` frames: the folder's frames, played forwards and backwards until there are
enough, so that the picture never jumps. Frames are linked, not copied. The ellipses are where prompts
are taken from; they follow no object, so scores of such a split mean nothing.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

# Centre and half axes of each object's ellipse, in parts of width and height.
ELLIPSES = (
    (0.375, 0.509, 0.062, 0.231),
    (0.604, 0.537, 0.062, 0.241),
    (0.182, 0.722, 0.078, 0.167),
    (0.800, 0.300, 0.080, 0.150),
)
ANNOTATION_STEP = 4


def frames_of(folder: Path) -> list[Path]:
    """The folder's JPEG frames in order of their names."""
    frames = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
    if not frames:
        raise SystemExit(f"no JPEG frames in {folder}")
    return frames


def ellipse(width: int, height: int, index: int, shift: float) -> np.ndarray:
    """(height, width) uint8, 255 inside the ellipse of object ``index``, ``shift`` pixels to the right."""
    x, y, a, b = ELLIPSES[index]
    ys, xs = np.mgrid[:height, :width]
    inside = ((xs - x * width - shift) / (a * width)) ** 2 + ((ys - y * height) / (b * height)) ** 2 < 1
    return inside.astype(np.uint8) * 255


def write_split(frames: list[Path], out: Path, objects: int, count: int, video: str = "clip") -> None:
    """Writes ``JPEGImages_24fps`` and ``Annotations_6fps`` below ``out``, which must not hold them yet."""
    if not 1 <= objects <= len(ELLIPSES):
        raise SystemExit(f"--objects must be 1 to {len(ELLIPSES)}, not {objects}")
    images = out / "JPEGImages_24fps" / video
    images.mkdir(parents=True)
    there_and_back = frames + frames[-2:0:-1]
    for index in range(count):
        source = there_and_back[index % len(there_and_back)]
        os.symlink(source.resolve(), images / f"{index:05d}.jpg")
    width, height = Image.open(frames[0]).size
    for number in range(objects):
        folder = out / "Annotations_6fps" / video / f"{number:03d}"
        folder.mkdir(parents=True)
        for index in range(0, count, ANNOTATION_STEP):
            mask = ellipse(width, height, number, index % len(there_and_back))
            Image.fromarray(mask).save(folder / f"{index:05d}.png")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--frames", required=True, type=Path, help="folder of JPEG frames")
    options.add_argument("--out", required=True, type=Path)
    options.add_argument("--objects", type=int, default=4)
    options.add_argument("--count", type=int, default=0, help="frames of the clip; 0 for those of the folder")
    args = options.parse_args()
    frames = frames_of(args.frames)
    write_split(frames, args.out, args.objects, args.count or len(frames))


if __name__ == "__main__":
    main()
