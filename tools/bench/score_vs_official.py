"""Runs the official SA-V evaluator and `masklet score` on one folder and prints the ratio of times.

    python score_vs_official.py --official SAM2/sav_dataset --masklet target/release/masklet

writes a folder of moving, ragged objects in SA-V layout, runs both tools on it alternately as
processes of their own on the same cores, compares every object's scores, and prints the best wall
time of each. Needs what the evaluator needs (numpy, opencv, Pillow, scikit-image, tqdm).
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def write_folders(root, videos, objects, frames, height, width):
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for v in range(videos):
        for o in range(objects):
            rng = np.random.default_rng(1000 * v + o)
            area = float(rng.choice([0.005, 0.02, 0.05, 0.1]))
            radius = np.sqrt(area * height * width / np.pi)
            cy, cx = rng.uniform(0.3, 0.7, 2) * (height, width)
            vy, vx = rng.uniform(-4, 4, 2)
            for t in range(frames):
                for side, off in (("gt", 0.0), ("pred", rng.uniform(0, 8))):
                    dy, dx = y - (cy + vy * t + off), x - (cx + vx * t - off)
                    ragged = 1 + 0.15 * np.sin(7 * np.arctan2(dy, dx) + 0.2 * t) + 0.02 * np.sin(0.9 * dy + 0.7 * dx)
                    mask = dy * dy + dx * dx <= (radius * ragged) ** 2
                    path = root / side / f"sav_{v:06}" / f"{o:03}" / f"{4 * t:05}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def timed(command, **kwargs):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **kwargs)
    return time.perf_counter() - start


def scores_of(csv_file):
    with open(csv_file) as file:
        return [[cell.strip() for cell in row] for row in csv.reader(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--official", required=True, type=Path, help="folder of sav_evaluator.py")
    parser.add_argument("--masklet", required=True, type=Path, help="the masklet binary")
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_folders(root, args.videos, args.objects, args.frames, args.height, args.width)
        gt, pred = root / "gt", root / "pred"
        ours = [args.masklet.resolve(), "score", "--gt", gt, "--pred", pred, "--threads", str(args.cores),
                "--quiet", "--json", root / "masklet.json", "--csv", root / "masklet.csv"]
        official = [sys.executable, "sav_evaluator.py", "--gt_root", gt, "--pred_root", pred,
                    "-n", str(args.cores), "--quiet"]
        cores = sorted(os.sched_getaffinity(0))[:args.cores]
        os.sched_setaffinity(0, cores)
        # OpenCV would otherwise start its own threads in each of the evaluator's processes.
        env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        times = {"official": [], "masklet": []}
        for _ in range(args.repeat):
            times["official"].append(timed(official, cwd=args.official, env=env))
            times["masklet"].append(timed(ours))
        same = scores_of(pred / "results.csv") == scores_of(root / "masklet.csv")
        count = args.videos * args.objects * (args.frames - 2)
        print(f"{count} scored masks of {args.width}x{args.height}, {args.cores} cores, best of {args.repeat}")
        for name, values in times.items():
            best = min(values)
            print(f"{name:>9}: {best:8.3f} s   {1000 * best / count:7.2f} ms per mask   all: "
                  + " ".join(f"{v:.3f}" for v in values))
        print(f"    ratio: {min(times['official']) / min(times['masklet']):.1f}x")
        print(f"results.csv: {'the same' if same else 'DIFFERENT'}; J&F {json.loads((root / 'masklet.json').read_text())['JF']:.4f}")
        return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
