"""Regenerates prompts.json with scipy: what each prompt kind makes of small masks.

    python make.py > prompts.json

`points`: the Python benchmark's rule as described in its documentation of record (4-connected
labels; one component: truncated centroid of the mask; several: of component 1 in scan order).
`interior`: farthest pixel from the outside (the image border counts as outside) of the largest
component, first in scan order among equals. Written with numpy 2.4.6, scipy 1.17.1.
"""

import json

import numpy as np
from scipy import ndimage

rng = np.random.default_rng(5)


def ellipse(h, w, cy, cx, ry, rx):
    y, x = np.mgrid[:h, :w]
    return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1


cases = {
    "ellipse": ellipse(40, 60, 18.3, 31.7, 12.2, 20.9),
    "ring": ellipse(41, 41, 20, 20, 18, 18) & ~ellipse(41, 41, 20, 20, 11, 9),
    "two_parts": ellipse(50, 50, 12, 35, 6, 9) | ellipse(50, 50, 35, 15, 12, 10),
    "diagonal": np.eye(7, dtype=bool),
    "border": np.indices((20, 30)).sum(0) < 14,
    "full": np.ones((9, 16), bool),
    "pixel": np.pad(np.ones((1, 1), bool), ((3, 4), (5, 2))),
    "u_shape": np.pad(np.ones((12, 12), bool), 2) & ~np.pad(np.ones((9, 4), bool), ((0, 7), (6, 6))),
    "noise": ndimage.binary_opening(rng.random((48, 64)) < 0.7),
    "sparse": rng.random((33, 21)) < 0.1,
    "spiral": np.array([[(max(abs(y - 12), abs(x - 12)) % 3 < 2) ^ (y == 12 and x > 12) for x in range(25)] for y in range(25)]),
    "empty": np.zeros((5, 6), bool),
}


def centroid(mask):
    ys, xs = np.where(mask)
    return [int(xs.mean()), int(ys.mean())]


out = {}
for name, mask in cases.items():
    rows = ["".join(".#"[int(p)] for p in row) for row in mask]
    entry = {"mask": rows, "points": None, "bbox": None, "interior": None}
    labels, count = ndimage.label(mask)
    if count:
        entry["points"] = centroid(mask if count == 1 else labels == 1)
        ys, xs = np.where(mask)
        entry["bbox"] = [int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())]
        sizes = ndimage.sum_labels(mask, labels, range(1, count + 1))
        largest = labels == 1 + int(np.argmax(sizes))
        distance = ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(np.argmax(distance), distance.shape)
        entry["interior"] = [int(x), int(y)]
        entry["interior_distance_squared"] = int(round(distance.max() ** 2))
    entry["components"] = count
    out[name] = entry
print(json.dumps(out, indent=1))
