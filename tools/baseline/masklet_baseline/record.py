"""What the process leaves behind as it goes: one JSON object a line, on disk before the next thing begins.

``{"hello": …}`` once, ``{"state": …}`` at every object and every few seconds, ``{"object": …}`` for every
finished object (the journal's row, without scores), ``{"done": …}`` at the end. A process that was killed
has left all but the line it was writing.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

HEARTBEAT_S = 5.0


def utc_now() -> str:
    """The present moment as 2025-11-21T08:09:10Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Record:
    """An append-only file of lines."""

    def __init__(self, path: Path):
        self._file = open(path, "ab", buffering=0)
        self._last_state = 0.0

    def write(self, kind: str, value: dict) -> None:
        """Writes a line and waits until it is on disk. A number that is none is refused here."""
        text = json.dumps({kind: value}, ensure_ascii=False, allow_nan=False)
        self._file.write(text.encode() + b"\n")
        os.fsync(self._file.fileno())

    def state(self, value: dict, now: bool = False) -> None:
        """A sign of life: at once, or when the last one is some seconds old."""
        if now or time.monotonic() - self._last_state >= HEARTBEAT_S:
            self.write("state", {"at": utc_now(), **value})
            self._last_state = time.monotonic()
