"""Writes synthetic.json and sav_000001.json: scenes and their scores by the official evaluator.

README.md beside this file says what the scenes mean.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SQUARE = np.ones((3, 3), np.uint8)

SYNTHETIC = [
    # Objects that appear late, vanish, leave the image and come back; ids as SA-V has them.
    dict(video="drift", layout="sav", height=96, width=128, frames=9, objects=[
        dict(object="000", shapes=[[40, 30, 17, 21, 2, 5, 0, 99]], ops=[["shift", 1, -2]]),
        dict(object="001", shapes=[[70, 90, 12, 9, -3, 1, 4, 99]], ops=[["dilate", 1], ["box", 5, 5, 20, 25, 2, 4]]),
        dict(object="002", shapes=[[10, 10, 14, 14, 8, 14, 0, 6], [50, 64, 5, 5, 0, 0, 7, 99]], ops=[["erode", 2]]),
    ]),
    # A 3-4-5 image, whose radius is integral; noise; a prediction without any object in some frames.
    dict(video="noisy", layout="sav", height=75, width=100, frames=8, objects=[
        dict(object="000", shapes=[[37, 50, 30, 40, 0, 0, 0, 99]], ops=[["noise", 97]]),
        dict(object="007", shapes=[[37, 50, 20, 10, 1, 3, 0, 99]], ops=[["drop", 3, 1], ["lag", 1]]),
        dict(object="011", shapes=[[0, 0, 40, 25, 3, 4, 0, 99]], ops=[["fill", 4, 2], ["shift", -3, 4]]),
    ]),
    # Taller than wide, more than two words wide, touching every edge.
    dict(video="portrait", layout="sav", height=211, width=139, frames=7, objects=[
        dict(object="000", shapes=[[105, 69, 130, 60, 5, 0, 0, 99]], ops=[["erode", 3], ["noise", 1009]]),
        dict(object="001", shapes=[[0, 138, 30, 20, 20, -10, 1, 99], [210, 0, 15, 25, -9, 11, 0, 99]], ops=[["lag", 2]]),
    ]),
    # Palette images with several objects, one of them only predicted, one late, one numbered 255.
    dict(video="parade", layout="davis", height=90, width=150, frames=8, objects=[
        dict(object="1", shapes=[[30, 40, 20, 25, 1, 6, 0, 99]], ops=[["shift", 2, 1]]),
        dict(object="3", shapes=[[60, 80, 18, 30, -1, -4, 3, 99]], ops=[["dilate", 2], ["box", 60, 10, 70, 30, 1, 3]]),
        dict(object="6", shapes=[], ops=[["box", 70, 100, 85, 140, 2, 5]]),
        dict(object="255", shapes=[[15, 130, 10, 12, 5, -3, 0, 5]], ops=[["lag", 1], ["erode", 1]]),
    ]),
    dict(video="solo", layout="davis", height=64, width=64, frames=6, objects=[
        dict(object="1", shapes=[[32, 32, 12, 12, 2, 2, 0, 99]], ops=[["noise", 211]]),
    ]),
]

# The five real masklets (portrait, gaps, late appearance), each disturbed in three ways.
REAL_OPS = {
    "mild": [
        [["shift", 1, 1]],
        [["erode", 2]],
        [["dilate", 1]],
        [["shift", -2, 0], ["box", 10, 20, 60, 50, 100, 104]],
        [["lag", 1]],
    ],
    "rough": [
        [["dilate", 5], ["shift", 6, -9]],
        [["noise", 1009]],
        [["drop", 4, 1], ["erode", 1]],
        [["box", 0, 0, 40, 480, 3, 9], ["dilate", 3]],
        [["lag", 3], ["shift", 0, 12]],
    ],
    "wild": [
        [["fill", 17, 5], ["noise", 211]],
        [["shift", 200, 90], ["drop", 9, 0]],
        [["box", 300, 100, 500, 300, 0, 121]],
        [],
        [["erode", 4], ["fill", 10, 3], ["drop", 7, 2]],
    ],
}


def real_scenes():
    return [
        dict(video=name, layout="sav", height=848, width=480, frames=121, objects=[
            dict(object=f"{i:03}", masklet=i, ops=ops) for i, ops in enumerate(per_object)
        ])
        for name, per_object in REAL_OPS.items()
    ]


def ground_truth(scene, obj, masklets):
    h, w = scene["height"], scene["width"]
    if "masklet" in obj:
        from pycocotools import mask as coco

        return [coco.decode(frame[obj["masklet"]]).astype(bool) for frame in masklets]
    y, x = np.mgrid[0:h, 0:w].astype(np.int64)
    frames = []
    for t in range(scene["frames"]):
        mask = np.zeros((h, w), bool)
        for cy, cx, ry, rx, vy, vx, start, end in obj["shapes"]:
            if start <= t < end:
                dy, dx = y - cy - vy * t, x - cx - vx * t
                mask |= dy * dy * rx * rx + dx * dx * ry * ry <= (ry * rx) ** 2
        frames.append(mask)
    return frames


def disturbed(masks, ops):
    masks = [m.copy() for m in masks]
    for name, *args in ops:
        if name == "lag":
            masks = [masks[max(t - args[0], 0)].copy() for t in range(len(masks))]
            continue
        for t, mask in enumerate(masks):
            h, w = mask.shape
            if name == "shift":
                dy, dx = args
                out = np.zeros_like(mask)
                out[max(dy, 0):h + min(dy, 0), max(dx, 0):w + min(dx, 0)] = \
                    mask[max(-dy, 0):h + min(-dy, 0), max(-dx, 0):w + min(-dx, 0)]
                mask = out
            elif name == "dilate":
                mask = cv2.dilate(mask.astype(np.uint8), SQUARE, iterations=args[0]) > 0
            elif name == "erode":
                mask = cv2.erode(mask.astype(np.uint8), SQUARE, iterations=args[0]) > 0
            elif name == "noise":
                y, x = np.mgrid[0:h, 0:w].astype(np.int64)
                mask = mask ^ ((7919 * y + 104729 * x + 1299709 * t) % args[0] == 0)
            elif name == "box":
                y0, x0, y1, x1, start, end = args
                if start <= t < end:
                    mask[y0:y1, x0:x1] = True
            elif name == "drop":
                if t % args[0] == args[1]:
                    mask = np.zeros_like(mask)
            elif name == "fill":
                if t % args[0] == args[1]:
                    mask = np.ones_like(mask)
            else:
                raise ValueError(name)
            masks[t] = mask
    return masks


def rendered(scenes, masklets):
    """(scene, object, ground truth, prediction) of every object, DAVIS objects painted over."""
    for scene in scenes:
        sides = []
        for obj in scene["objects"]:
            gt = ground_truth(scene, obj, masklets)
            sides.append((obj["object"], gt, disturbed(gt, obj["ops"])))
        if scene["layout"] == "davis":
            for side in (1, 2):
                for t in range(scene["frames"]):
                    for i, lower in enumerate(sides):
                        for upper in sides[i + 1:]:
                            lower[side][t] &= ~upper[side][t]
        yield scene, sides


def write(scenes, masklets, root):
    for scene, sides in rendered(scenes, masklets):
        for side, folder in ((1, "gt"), (2, "pred")):
            video = root / folder / scene["video"]
            for t in range(scene["frames"]):
                if scene["layout"] == "sav":
                    for name, *masks in sides:
                        path = video / name / f"{4 * t:05}.png"
                        path.parent.mkdir(parents=True, exist_ok=True)
                        Image.fromarray(masks[side - 1][t].astype(np.uint8) * 255).save(path, compress_level=1)
                else:
                    labels = np.zeros((scene["height"], scene["width"]), np.uint8)
                    for name, *masks in sides:
                        labels[masks[side - 1][t]] = int(name)
                    image = Image.fromarray(labels).convert("P")
                    image.putdata(labels.ravel().tolist())
                    image.putpalette(list(np.random.default_rng(0).integers(0, 256, 768)))
                    video.mkdir(parents=True, exist_ok=True)
                    image.save(video / f"{4 * t:05}.png")


def official(root, skip):
    from sav_benchmark import benchmark

    with contextlib.redirect_stdout(io.StringIO()):
        jf, j, f, objects = benchmark(
            [str(root / "gt")], [str(root / "pred")], True, 2, verbose=False, skip_first_and_last=skip)
    listed = [
        dict(video=video, object=str(name), J=float(js[name]), F=float(fs[name]))
        for video, (js, fs) in objects[0].items() for name in js
    ]
    return dict(J=float(j[0]), F=float(f[0]), JF=float(jf[0]), objects=listed)


def upstream_frame(gt, pred):
    union = (gt | pred).sum()
    j = (gt & pred).sum() / union if union else 1.0
    if not gt.any() or not pred.any():
        return j, float(gt.any() == pred.any())
    edges = [cv2.morphologyEx(m.astype(np.uint8), cv2.MORPH_GRADIENT, SQUARE) for m in (gt, pred)]
    if not edges[0].any() or not edges[1].any():
        return j, float(edges[0].any() == edges[1].any())
    radius = max(1, round(0.008 * float(np.hypot(*map(float, gt.shape)))))
    reach = [cv2.dilate(e, np.ones((2 * radius + 1,) * 2, np.uint8)) for e in edges]
    recall = (edges[0] & reach[1]).sum() / edges[0].sum()
    precision = (edges[1] & reach[0]).sum() / edges[1].sum()
    total = precision + recall
    return j, 2 * precision * recall / total if total else 0.0


def upstream(scenes, masklets):
    """Every annotated frame from the first one with the object on."""
    listed = []
    for scene, sides in sorted(rendered(scenes, masklets), key=lambda s: s[0]["video"]):
        for name, gt, pred in sides:
            first = next((t for t, mask in enumerate(gt) if mask.any()), None)
            if first is None:
                continue
            scores = np.array([upstream_frame(g, p) for g, p in zip(gt[first:], pred[first:])])
            j, f = scores.mean(axis=0) * 100
            listed.append(dict(video=scene["video"], object=name, J=float(j), F=float(f), frames=len(scores)))
    j, f = (float(np.mean([o[k] for o in listed])) for k in "JF")
    return dict(J=j, F=f, JF=(j + f) / 2, objects=listed)


def golden(path, scenes, masklets):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(scenes, masklets, root)
        result = dict(scenes=scenes, official_all_frames=official(root, False), official=official(root, True))
        result["results_csv"] = (root / "pred" / "results.csv").read_text()
        result["upstream"] = upstream(scenes, masklets)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(path, result["results_csv"], sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", required=True, type=Path, help="folder of sav_benchmark.py")
    parser.add_argument("--sav-json", type=Path, help="sav_000001_manual.json")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    sys.path.insert(0, str(args.official))
    golden(args.out / "synthetic.json", SYNTHETIC, None)
    if args.sav_json:
        masklets = json.loads(args.sav_json.read_text())["masklet"]
        golden(args.out / "sav_000001.json", real_scenes(), masklets)


if __name__ == "__main__":
    main()
