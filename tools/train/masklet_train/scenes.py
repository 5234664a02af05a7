"""Procedural video: textured shapes over textured ground, with exact masks, drawn in numpy.

The same kind of scene as ``masklet synth`` makes (outlines of harmonics, clouds, stripes and checks,
drifting camera, changing light, objects that vanish and come back), with wider ranges: more colours
of low contrast, faster motion, distractors, blur and stronger noise. Drawn at the model's S x S
directly, as if a video of some aspect ratio had been stretched to it. A clip follows from its seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

TAU = 2 * np.pi
GROUND = 255
_ANGLES = 256
_SKIN = 128  # side of a shape's texture, which covers -2.2..2.2 of its own coordinates
_REACH = 2.2


@dataclass
class Scene:
    """frames (T, S, S, 3) uint8; owner (T, S, S) uint8: the object that shows, or GROUND."""

    frames: np.ndarray
    owner: np.ndarray
    objects: int


def _lattice_noise(rng: np.random.Generator, size: int, cell: float) -> np.ndarray:
    """Smooth noise in 0..1 with features ``cell`` pixels apart: (size, size)."""
    count = int(np.ceil(size / cell)) + 2
    grid = rng.random((count, count), dtype=np.float32)
    at = np.arange(size, dtype=np.float32) / cell + np.float32(rng.random())
    low = at.astype(np.int64)
    t = at - low
    t = t * t * (3 - 2 * t)
    low = np.minimum(low, count - 2)
    rows = grid[low] * (1 - t)[:, None] + grid[low + 1] * t[:, None]
    return rows[:, low] * (1 - t)[None] + rows[:, low + 1] * t[None]


def _cloud(rng: np.random.Generator, size: int, cell: float) -> np.ndarray:
    return (4 * _lattice_noise(rng, size, cell) + 2 * _lattice_noise(rng, size, max(cell / 2.1, 1.5))
            + _lattice_noise(rng, size, max(cell / 4.3, 1.5))) / 7


def _colour(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.25:  # dull
        return np.clip(rng.uniform(30, 220) + rng.uniform(-45, 45, 3), 0, 255)
    channels = np.array([rng.uniform(170, 250), rng.uniform(10, 90), rng.uniform(20, 230)])
    return rng.permutation(channels)


def _skin(rng: np.random.Generator) -> np.ndarray:
    """A shape's texture: (_SKIN, _SKIN, 3) float32."""
    first = _colour(rng)
    second = _colour(rng) * 0.75 + first * 0.25
    unit = _SKIN / (2 * _REACH)  # pixels per unit of the shape
    y, x = (np.mgrid[0:_SKIN, 0:_SKIN].astype(np.float32) + 0.5) / unit - _REACH
    kind = rng.integers(4)
    scale = rng.uniform(0.7, 1.5)
    if kind == 0:
        mix = _cloud(rng, _SKIN, unit / (3 * scale))
    elif kind == 1:
        phase = 4 * scale * x + 0.6 * _lattice_noise(rng, _SKIN, unit / 2)
        mix = np.clip(5 * np.abs(phase - np.floor(phase) - 0.5) - 0.75, 0, 1)
    elif kind == 2:
        odd = (np.floor(3 * scale * x) + np.floor(3 * scale * y)).astype(np.int64) & 1
        mix = 0.85 * odd + 0.15 * _cloud(rng, _SKIN, unit / 4)
    else:
        mix = 0.25 * _cloud(rng, _SKIN, unit / 3)
    paint = first + (second - first) * mix[..., None]
    return (paint * (1 - 0.18 * np.clip(x + y, -1, 1))[..., None]).astype(np.float32)


@dataclass
class _Shape:
    parts: list = field(default_factory=list)
    skin: np.ndarray | None = None
    rest: tuple = ()

    @staticmethod
    def draw(rng: np.random.Generator, width: float, height: float, small: float, tempo: float) -> "_Shape":
        def outline(centre, size):
            waves = [(k, rng.uniform(0.03, 0.3) / k, rng.uniform(0, TAU), rng.uniform(-0.09, 0.09)) for k in (2, 3, 4)]
            return waves, rng.uniform(0.75, 1.33), centre, size

        parts = [outline((0.0, 0.0), 1.0)]
        if rng.random() < 0.4:
            a = rng.uniform(0, TAU)
            parts.append(outline((0.9 * np.cos(a), 0.9 * np.sin(a)), rng.uniform(0.4, 0.7)))
        place = lambda: (rng.uniform(0.1, 0.9) * width, rng.uniform(0.12, 0.88) * height)
        role = rng.choice(4, p=[0.55, 0.1, 0.15, 0.2])
        rest = dict(role=int(role), size=small * rng.uniform(0.11, 0.26), start=place(), end=place(),
                    sway=(small * rng.uniform(0.02, 0.11), rng.uniform(18, 50), rng.uniform(0, TAU)),
                    spin=rng.uniform(-0.08, 0.08), tilt=rng.uniform(0, TAU),
                    breathe=(rng.uniform(0.03, 0.2), rng.uniform(20, 60)), tempo=tempo)
        return _Shape(parts, _skin(rng), rest)

    def presence(self, t: float, length: float) -> float:
        third, two = length / 3, 2 * length / 3
        rising = lambda start: np.clip((t - start + 1) / 3, 0, 1)
        falling = lambda until: np.clip((until - t) / 3, 0, 1)
        return float([1.0, rising(third), falling(two), max(falling(third), rising(two))][self.rest["role"]])

    def pose(self, t: float, length: float):
        r = self.rest
        progress = t / (length - 1)
        amplitude, period, phase = r["sway"]
        sway = amplitude * np.sin(TAU * t / period + phase)
        (x0, y0), (x1, y1) = r["start"], r["end"]
        angle = r["tilt"] + r["spin"] * t
        scale = r["size"] * self.presence(t, length) * (1 + r["breathe"][0] * np.sin(TAU * t / r["breathe"][1]))
        return x0 + (x1 - x0) * progress + sway, y0 + (y1 - y0) * progress - 0.6 * sway, scale, angle

    def cover(self, size: int, stretch, camera, t: float, length: float):
        """Window (y0, y1, x0, x1), coverage 0..1 and texture index of every pixel in it; None if away."""
        x, y, scale, angle = self.pose(t, length)
        if scale <= 0.5:
            return None
        sx, sy = stretch
        x, y = x - camera[0], y - camera[1]
        reach = _REACH * scale
        x0, x1 = max(int((x - reach) * sx), 0), min(int((x + reach) * sx) + 1, size)
        y0, y1 = max(int((y - reach) * sy), 0), min(int((y + reach) * sy) + 1, size)
        if x0 >= x1 or y0 >= y1:
            return None
        dx = ((np.arange(x0, x1, dtype=np.float32) + 0.5) / sx - x)[None]
        dy = ((np.arange(y0, y1, dtype=np.float32) + 0.5) / sy - y)[:, None]
        cos, sin = np.float32(np.cos(angle) / scale), np.float32(np.sin(angle) / scale)
        u, v = dx * cos + dy * sin, dy * cos - dx * sin
        inside = None
        turns = np.arange(_ANGLES, dtype=np.float32) * (TAU / _ANGLES) - np.pi
        for waves, ratio, (cx, cy), part in self.parts:
            radius = np.ones(_ANGLES, np.float32)
            for k, a, phase, speed in waves:
                radius += np.float32(a) * np.cos(k * turns + np.float32(phase + speed * t))
            pu, pv = (u - np.float32(cx)) / np.float32(part * ratio), (v - np.float32(cy)) * np.float32(ratio / part)
            index = ((np.arctan2(pv, pu) + np.float32(np.pi)) * np.float32(_ANGLES / TAU)).astype(np.int64) % _ANGLES
            distance = (radius[index] - np.hypot(pu, pv)) * np.float32(part)
            inside = distance if inside is None else np.maximum(inside, distance)
        coverage = np.clip(inside * np.float32(scale * (sx + sy) / 2) + 0.5, 0, 1)
        unit = np.float32(_SKIN / (2 * _REACH))
        row = np.clip(((v + _REACH) * unit).astype(np.int64), 0, _SKIN - 1)
        column = np.clip(((u + _REACH) * unit).astype(np.int64), 0, _SKIN - 1)
        return (y0, y1, x0, x1), coverage, row * _SKIN + column


def _blur(frame: np.ndarray, amount: float) -> np.ndarray:
    """Three-tap blur in both directions."""
    for axis in (0, 1):
        frame = (1 - amount) * frame + (amount / 2) * (np.roll(frame, 1, axis) + np.roll(frame, -1, axis))
    return frame


def make_scene(seed: tuple[int, ...], frames: int, size: int = 256, stride: int | None = None) -> Scene:
    """``frames`` frames, ``stride`` frames of a 24 fps video apart (drawn from the seed if None)."""
    rng = np.random.default_rng(seed)
    width, height = [(320.0, 240.0), (320.0, 180.0), (240.0, 320.0), (256.0, 256.0)][rng.choice(4, p=[0.6, 0.2, 0.1, 0.1])]
    stretch = (size / width, size / height)
    small = min(width, height)
    count = int(rng.integers(1, 6))
    stride = stride or int(rng.choice([1, 2, 3, 4, 6], p=[0.3, 0.25, 0.2, 0.15, 0.1]))
    length = float(max(rng.uniform(36, 60), frames * stride))
    crowd = 1 / (1 + 0.1 * count)
    shapes = [_Shape.draw(rng, width, height, small * crowd, 1.0) for _ in range(count)]
    # Sometimes two objects look alike.
    if count > 1 and rng.random() < 0.15:
        shapes[1].skin = shapes[0].skin

    margin = 72
    world = size + 2 * margin
    grounds = [rng.uniform(40, 190) + rng.uniform(-38, 38, 3) for _ in range(3)]
    unit = size / 6 * rng.uniform(0.7, 1.3)
    broad = np.clip((_cloud(rng, world, unit) - 0.35) * 1.8, 0, 1)[..., None]
    fine = _cloud(rng, world, max(unit / 5, 3))[..., None] - 0.5
    slope = (np.arange(world, dtype=np.float32) / world)[:, None, None]
    base = grounds[0] + (grounds[1] - grounds[0]) * slope
    ground = (base + (grounds[2] - base) * broad + rng.uniform(20, 60) * fine).astype(np.float32)

    drift = rng.uniform(-0.6, 0.6), rng.uniform(-0.4, 0.4), rng.uniform(0.02, 0.07) * small
    light, period = rng.uniform(0.03, 0.16), rng.uniform(30, 70)
    grain, blur = rng.uniform(1, 8), (rng.uniform(0.1, 0.6) if rng.random() < 0.3 else 0.0)
    noise = rng.random((size + 64, size + 64, 3), dtype=np.float32) - 0.5
    start = rng.uniform(0, length - 1 - (frames - 1) * stride) if frames > 1 else rng.uniform(0, length - 1)
    camera = lambda t: (drift[0] * t + drift[2] * np.sin(TAU * t / 55), drift[1] * t - 0.5 * drift[2] * np.sin(TAU * t / 55))
    origin = camera(start)

    images = np.empty((frames, size, size, 3), np.uint8)
    owners = np.full((frames, size, size), GROUND, np.uint8)
    for index in range(frames):
        t = start + index * stride
        cx, cy = camera(t)
        ox = np.clip((cx - origin[0]) * stretch[0] + margin, 0, 2 * margin - 1.01)
        oy = np.clip((cy - origin[1]) * stretch[1] + margin, 0, 2 * margin - 1.01)
        ix, iy = int(ox), int(oy)
        fx, fy = np.float32(ox - ix), np.float32(oy - iy)
        rows = ground[iy : iy + size + 1, ix : ix + size + 1]
        rows = rows[:-1] * (1 - fy) + rows[1:] * fy
        frame = rows[:, :-1] * (1 - fx) + rows[:, 1:] * fx
        for obj, shape in enumerate(shapes):
            covered = shape.cover(size, stretch, (cx, cy), t, length)
            if covered is None:
                continue
            (y0, y1, x0, x1), coverage, texel = covered
            paint = shape.skin.reshape(-1, 3)[texel]
            window = frame[y0:y1, x0:x1]
            window += (paint - window) * coverage[..., None]
            owners[index, y0:y1, x0:x1][coverage >= 0.5] = obj
        if blur:
            frame = _blur(frame, np.float32(blur))
        top, left = rng.integers(64, size=2)
        frame = frame * np.float32(1 + light * np.sin(TAU * t / period)) + np.float32(grain) * noise[top : top + size, left : left + size]
        images[index] = np.clip(np.rint(frame), 0, 255)
    return Scene(images, owners, count)
