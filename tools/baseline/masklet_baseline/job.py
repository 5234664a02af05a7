"""The job: what to run, written by ``masklet baseline`` so that both sides have the same prompts and frames.

Nothing is worked out here a second time: which videos, which frames, which prompts and where an object
ends all stand in the file (``docs/user-guide.md`` has its fields; ``src/reference/baseline/job.rs`` writes it).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

SCHEMA = 1
MODES = ("upstream", "best")
PRECISIONS = ("fp32", "bf16", "fp16")


class BaselineError(Exception):
    """Something the user can put right: one sentence, shown without a traceback."""


@dataclass(frozen=True)
class Prompt:
    """One object's prompt in pixels of the video: points with labels, a box, or the mask's file."""

    points: list[list[float]] | None = None
    labels: list[int] | None = None
    box: list[float] | None = None
    mask: Path | None = None
    mask_label: int | None = None  # the object's value in a label map; None where the file is its alone


@dataclass(frozen=True)
class Object:
    """One object of a clip: prompted on ``start``, processed up to before ``end``; ``index`` counts from 1."""

    id: str
    index: int
    start: int
    end: int
    prompt: Prompt
    masks: dict[int, str]  # file name of the mask of a frame, for the frames whose masks are written


@dataclass(frozen=True)
class Clip:
    """Objects of one video under one model tag, in the order of the run."""

    model: int
    tag: str
    video: str
    size: tuple[int, int]  # height, width
    frames: list[Path]  # every frame of the video; a frame's index is its place
    objects: list[Object]


@dataclass(frozen=True)
class Job:
    """The whole of it. ``total`` counts rows: objects times tags."""

    mode: str
    device: str
    precision: str | None  # None: each bundle's own
    compile: bool
    tf32: bool
    threads: int
    decode_threads: int
    warmup: int
    supervised: bool
    masks_dir: Path
    log: Path
    models: list[dict]
    clips: list[Clip]
    total: int


def _prompt(value: dict) -> Prompt:
    mask = value.get("mask")
    return Prompt(value.get("points"), value.get("labels"), value.get("box"),
                  Path(mask) if mask else None, value.get("mask_label"))


def read_job(path: Path) -> Job:
    """Reads a job, from standard input for ``-``; raises BaselineError for one that is not whole."""
    try:
        value = json.loads(sys.stdin.read() if path == Path("-") else path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaselineError(f"{path} cannot be read as a job: {error}; `masklet baseline` writes jobs") from error
    if value.get("schema") != SCHEMA:
        raise BaselineError(f"{path} has schema {value.get('schema')}, this program reads {SCHEMA}")
    if value.get("mode") not in MODES:
        raise BaselineError(f"{path}: mode {value.get('mode')!r} is neither of {', '.join(MODES)}")
    if value.get("precision") not in (None, *PRECISIONS):
        raise BaselineError(f"{path}: precision {value['precision']!r} is none of {', '.join(PRECISIONS)}")
    try:
        clips, total = [], 0
        for item in value["clips"]:
            video = value["videos"][item["video"]]
            objects = []
            for entry in item["objects"]:
                total += 1
                objects.append(Object(entry["id"], total, entry["start"], entry["end"], _prompt(entry["prompt"]),
                                      {int(frame): name for frame, name in entry["masks"].items()}))
            clips.append(Clip(item["model"], item["tag"], video["id"], (video["height"], video["width"]),
                              [Path(frame) for frame in video["frames"]], objects))
        return Job(value["mode"], value["device"], value["precision"], value["compile"], value["tf32"],
                   value["threads"], value["decode_threads"], value["warmup"], value["supervised"],
                   Path(value["masks_dir"]), Path(value["log"]), value["models"], clips, total)
    except (KeyError, TypeError, IndexError) as error:
        raise BaselineError(f"{path} is not a whole job: {error!r}") from error
