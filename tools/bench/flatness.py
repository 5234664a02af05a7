"""Peak memory of `masklet run` over clips of growing length: it must not grow with them.

    python flatness.py --masklet target/release/masklet --frames ../shared/data/bedroom --json OUT

The small embedded bundle tracks the same objects through clips made by repeating the given frames,
each clip in a process of its own. The highest resident set is read from the journal, with the one
before the first frame and the arena's mark. Slopes over clip length are fitted by least squares: of
the peak, and of its growth since before the first frame, which leaves out how much set-up happened
to take in that process. One run per length says nothing about chance, so every length is run
``--rounds`` times, in turn.

The verdict: the arena's mark is one and the same, and the growth's slope is at most ``--allowance``
bytes a frame or twice its standard error. The allowance is for what has to be kept of every frame:
its raw durations, 8 bytes a stage.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run_vs_pytorch import machine
from split_of_frames import frames_of, write_split


def run(args, split: Path, out: Path) -> dict:
    """One run; bytes at the peak, from the journal."""
    command = [args.masklet.resolve(), "run", "--split-dir", split, "--models", args.model, "--backend", "cpu",
               "--threads", args.threads, "--save-masks", "none", "--out-dir", out, "--quiet"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"masklet ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    with open(out / "journal.jsonl") as journal:
        rows = [line["object"] for line in map(json.loads, journal) if "object" in line]
    if any(row["status"] != "ok" for row in rows):
        sys.exit(f"masklet tracked {[(row['object'], row['status']) for row in rows]}")
    memory = [row["memory"] for row in rows]
    return {"frames": rows[0]["frames"], "rss_peak_bytes": max(m["rss_peak_bytes"]["value"] for m in memory),
            "rss_before_bytes": max(m["rss_before_bytes"]["value"] for m in memory),
            "arena_peak_bytes": max(m["arena"]["peak_bytes"] for m in memory)}


def slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Least squares over (x, y): slope and its standard error."""
    n = len(points)
    mean_x, mean_y = (sum(p[i] for p in points) / n for i in (0, 1))
    sxx = sum((x - mean_x) ** 2 for x, _ in points)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points) / sxx
    left = sum((y - mean_y - rise * (x - mean_x)) ** 2 for x, y in points)
    return rise, math.sqrt(left / (n - 2) / sxx)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--masklet", required=True, type=Path, help="the masklet binary, built for release")
    options.add_argument("--frames", required=True, type=Path, help="folder of JPEG frames to repeat")
    options.add_argument("--model", default="edgetam_small_points", help="model tag; the embedded bundle's by default")
    options.add_argument("--lengths", default="24,150,300,600")
    options.add_argument("--objects", type=int, default=1)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--allowance", type=float, default=128.0, help="bytes a frame that do not count as a leak")
    options.add_argument("--json", type=Path, help="raw results")
    args = options.parse_args()
    frames, rows = frames_of(args.frames), []
    lengths = [int(length) for length in args.lengths.split(",")]
    if len(lengths) * args.rounds < 3 or len(set(lengths)) < 2:
        options.error("a slope needs two lengths and three runs")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for length in lengths:
            write_split(frames, root / f"split{length}", args.objects, length)
        for index in range(args.rounds):
            for length in lengths:
                row = run(args, root / f"split{length}", root / f"run{length}_{index}")
                rows.append(row)
                print(f"{row['frames']:5} frames: peak RSS {row['rss_peak_bytes'] / 2**20:8.2f} MiB, before the first "
                      f"frame {row['rss_before_bytes'] / 2**20:8.2f} MiB, arena {row['arena_peak_bytes']} bytes", flush=True)
    slopes = {"peak": slope([(row["frames"], row["rss_peak_bytes"]) for row in rows]),
              "growth": slope([(row["frames"], row["rss_peak_bytes"] - row["rss_before_bytes"]) for row in rows])}
    arenas = {row["arena_peak_bytes"] for row in rows}
    rise, error = slopes["growth"]
    flat = len(arenas) == 1 and rise <= max(args.allowance, 2 * error)
    for name, (rise, error) in slopes.items():
        print(f"slope of the {name}: {rise:.0f} +- {error:.0f} bytes a frame")
    print(f"arena: {len(arenas)} value(s); {'flat' if flat else 'NOT flat'}")
    if args.json:
        args.json.write_text(json.dumps({
            "benchmark": "flatness", "date": time.strftime("%Y-%m-%d"), "machine": machine(), "model": args.model,
            "objects": args.objects, "threads": args.threads, "runs": rows,
            "slope_bytes_per_frame_and_standard_error": slopes, "flat": flat}) + "\n")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
