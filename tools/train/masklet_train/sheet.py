"""A sheet of held-out videos for people to look at: frames over time, predicted masks, true contours.

    python -m masklet_train.sheet SPLIT MASKS OUT.png [--videos 6] [--columns 6]

A row per video; every object has a colour, filled where it is predicted, with a white line around the
truth. The first column is the prompted frame of the first object.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = np.array([(235, 80, 60), (60, 150, 240), (250, 190, 40), (110, 200, 90)], float)
TILE = 220  # pixels


def edge(mask: np.ndarray) -> np.ndarray:
    """Pixels of the mask with a neighbour outside it."""
    inside = np.pad(mask, 1)
    all_in = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    return mask & ~all_in


def tile(frame: np.ndarray, predicted: list, truth: list) -> Image.Image:
    """One picture with its masks."""
    out = frame.astype(float)
    for mask, colour in zip(predicted, COLOURS):
        if mask is not None:
            out[mask] = 0.5 * out[mask] + 0.5 * colour
    for mask in truth:
        if mask is not None:
            out[edge(mask)] = 255
    picture = Image.fromarray(out.round().clip(0, 255).astype(np.uint8))
    return picture.resize((TILE, round(TILE * frame.shape[0] / frame.shape[1])), Image.LANCZOS)


def read(path: Path) -> np.ndarray | None:
    """A mask, or None."""
    return np.asarray(Image.open(path)) > 0 if path.is_file() else None


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    p = argparse.ArgumentParser(prog="masklet_train.sheet")
    p.add_argument("split", type=Path)
    p.add_argument("masks", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--videos", type=int, default=6)
    p.add_argument("--columns", type=int, default=6)
    args = p.parse_args(argv)
    rows = []
    for video in sorted((args.split / "Annotations_6fps").iterdir())[: args.videos]:
        objects = sorted(d.name for d in video.iterdir())[: len(COLOURS)]
        stems = sorted({f.stem for o in objects for f in (video / o).glob("*.png")})
        chosen = [stems[round(i * (len(stems) - 1) / (args.columns - 1))] for i in range(args.columns)]
        tiles = []
        for stem in chosen:
            frame = np.asarray(Image.open(args.split / "JPEGImages_24fps" / video.name / f"{stem}.jpg").convert("RGB"))
            predicted = [read(args.masks / video.name / o / f"{stem}.png") for o in objects]
            truth = [read(video / o / f"{stem}.png") for o in objects]
            picture = tile(frame, predicted, truth)
            ImageDraw.Draw(picture).text((4, 2), f"{video.name}  frame {int(stem)}", fill="white", stroke_width=1, stroke_fill="black")
            tiles.append(picture)
        rows.append(tiles)
    height = max(t.height for row in rows for t in row)
    sheet = Image.new("RGB", (args.columns * (TILE + 4), len(rows) * (height + 4)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture, (x * (TILE + 4), y * (height + 4)))
    sheet.save(args.out, optimize=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
