"""Does the export compute what the model computes? Measured before a bundle is written.

Two comparisons against transformers' own session (reference.py) on a synthetic clip with two
objects, one of which is covered for some frames, prompted by a click, a box and a mask:

- *components*: every graph gets the inputs that the session used, taken from the session's own
  state, so that errors cannot accumulate. Measured as the largest difference over the spread (standard
  deviation) of the reference output. One-number outputs (iou, obj_score) are compared over the larger
  of their spread and their mean size, for a spread over a handful of numbers says little.
- *clip*: the graphs run the whole clip with their own memory (tracker.py). Measured as the
  intersection over union of the masks at video size, the worst of all frames, objects and prompts.
  A thresholded mask feeds the memory, so rounding grows over a clip; where the IoU falls short, the
  reference is run again on inputs scaled by 1 +- 1e-6 and 1 +- 2e-6, and its own worst IoU under
  these changes is the bar.

  The mask of a prompted frame is binarised at 0 before it is encoded, where a logit within rounding
  of 0 turns a whole pixel over. That one step is taken out: on prompted frames both sides encode the
  reference's logits (the encoder itself is compared under *components*).

Low precision cannot meet the first bar and is judged by masks: on identical inputs every mask has to
reach a floor. The decoder chooses one of several masks; where the reference's choice hung on less than
the precision resolves, the call is left out and counted. The free-running clip is judged by its mean
IoU, and only for real weights: a random network carries any rounding on until a choice falls otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from .clip import PROMPT_KINDS, Clip, make_clip
from .components import COMPONENTS, Dims
from .precision import emulate_bf16
from .reference import FrameState, Reference, pixel_values, prompt_mask, video_mask
from .tracker import Entry, Runner, Tracker, memory_inputs, ort_session, prompt_inputs

OBJECTS = (1, 2)


@dataclass(frozen=True)
class Tolerance:
    """What each precision has to reach.

    component: largest difference over spread. forced: least mask IoU on identical inputs. clip: least
    IoU of a frame (fp32), or mean IoU of a clip. tie: margins of the mask choice below this are left out.
    """

    component: float
    forced: float
    clip: float
    tie: float


# In low precision the component bounds only catch gross faults, such as an island that was not kept.
TOLERANCES = {"fp32": Tolerance(1e-3, 0.99, 0.999, 0.0), "fp16": Tolerance(0.25, 0.95, 0.90, 2e-3),
              "bf16": Tolerance(2.5, 0.80, 0.80, 1e-2)}


@dataclass
class Report:
    """What was measured. ``components``: (component, output, largest relative difference)."""

    precision: str
    frames: int
    emulated: bool
    judge_clip: bool = True
    components: list[tuple[str, str, float]] = field(default_factory=list)
    forced: list[tuple[str, float]] = field(default_factory=list)  # component, least mask IoU on identical inputs
    ties: int = 0
    calls: int = 0
    clips: list[tuple[str, int, float, float]] = field(default_factory=list)  # kind, object, worst IoU, mean IoU
    spread_iou: float | None = None

    @property
    def worst_component(self) -> float:
        return max(row[2] for row in self.components)

    @property
    def worst_iou(self) -> float:
        return min(row[2] for row in self.clips)

    def failures(self) -> list[str]:
        """One line for everything out of tolerance."""
        limit = TOLERANCES[self.precision]
        lines = [f"{name}.{output} differs by {value:.2e} of its spread, {limit.component:.0e} is allowed"
                 for name, output, value in self.components if not value <= limit.component]
        lines += [f"{name}: worst mask IoU {iou:.5f} on identical inputs, at least {limit.forced} is asked for"
                  for name, iou in self.forced if not iou >= limit.forced]
        if not self.judge_clip:
            return lines
        if self.precision == "fp32":
            bar = limit.clip if self.spread_iou is None else min(limit.clip, self.spread_iou)
            lines += [f"{kind} on object {obj}: worst mask IoU {worst:.5f}, at least {bar:.5f} is asked for"
                      for kind, obj, worst, _ in self.clips if not worst >= bar]
        else:
            lines += [f"{kind} on object {obj}: mean mask IoU {mean:.5f}, at least {limit.clip} is asked for"
                      for kind, obj, _, mean in self.clips if not mean >= limit.clip]
        return lines

    def table(self) -> str:
        """For people."""
        limit = TOLERANCES[self.precision]
        how = ("ONNX Runtime, bf16 emulated: f32 arithmetic, every result rounded to bf16" if self.emulated
               else "ONNX Runtime")
        lines = [f"check: {self.precision} graphs in {how}, against transformers in fp32, {self.frames} frames",
                 f"  components, identical inputs (at most {limit.component:.0e} of the spread)"]
        for name in COMPONENTS:
            cells = [f"{output} {value:.1e}" for component, output, value in self.components if component == name]
            lines.append(f"    {name:<15} " + "  ".join(cells))
        lines.append(f"    mask IoU (at least {limit.forced}): " + "  ".join(f"{n} {v:.5f}" for n, v in self.forced)
                     + (f"  ({self.ties} of {self.calls} calls left out: the choice of mask was a tie)" if self.ties else ""))
        asked = f"at least {limit.clip}" + ("" if self.precision == "fp32" else " on average")
        lines.append(f"  clip, mask IoU ({asked if self.judge_clip else 'not judged: random weights, low precision'})")
        for kind, obj, worst, mean in self.clips:
            lines.append(f"    {kind:<6} object {obj}: worst {worst:.5f}  mean {mean:.5f}")
        if self.spread_iou is not None:
            lines.append(f"    transformers against itself, input scaled by 1 +- 1e-6, 1 +- 2e-6: worst {self.spread_iou:.5f}")
        failures = self.failures()
        lines.append("  passed" if not failures else "  FAILED\n    " + "\n    ".join(failures))
        return "\n".join(lines)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks; two empty masks agree."""
    union = int((a | b).sum())
    return 1.0 if union == 0 else int((a & b).sum()) / union


class Differences:
    """Collects pairs of outputs and reduces them to one number per component and output."""

    def __init__(self, tie: float):
        self._pairs: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
        self._ious: dict[str, list[float]] = {}
        self._tie = tie
        self.ties = self.calls = 0

    def add_state(self, component: str, got: dict[str, np.ndarray], state: FrameState, names, row: int) -> None:
        """Adds one object's outputs, unless the choice of its mask was a tie."""
        if component in ("prompt_decoder", "track_step"):
            self.calls += 1
            if state.margin < self._tie:
                self.ties += 1
                return
            self._ious.setdefault(component, []).append(mask_iou(got["mask"][row] > 0, state.mask[0].numpy() > 0))
        self.add(component, got, {name: getattr(state, name) for name in names}, row)

    def forced(self) -> list[tuple[str, float]]:
        return [(component, min(ious)) for component, ious in self._ious.items()]

    def add(self, component: str, got: dict[str, np.ndarray], want: dict[str, torch.Tensor], row: int = 0) -> None:
        for name, reference in want.items():
            value = got[name][row : row + 1] if got[name].shape[0] > 1 else got[name]
            self._pairs.setdefault((component, name), []).append((value, reference.numpy()))

    def rows(self) -> list[tuple[str, str, float]]:
        rows = []
        for (component, name), pairs in self._pairs.items():
            got = np.concatenate([np.ravel(g) for g, _ in pairs]).astype(np.float64)
            want = np.concatenate([np.ravel(w) for _, w in pairs]).astype(np.float64)
            spread = want.std()
            if name in ("iou", "obj_score"):
                spread = max(spread, np.abs(want).mean())
            value = np.abs(got - want).max() / max(spread, 1e-12) if np.isfinite(got).all() else np.inf
            rows.append((component, name, float(value)))
        return sorted(rows, key=lambda r: COMPONENTS.index(r[0]))


def _check_components(run: Runner, reference: Reference, clip: Clip, runs: dict, tie: float) -> Differences:
    """runs[kind][object][frame]: the states of the reference."""
    dims: Dims = run.dims
    height, width = clip.frames[0].shape[:2]
    last = len(clip.frames) - 1
    used = sorted({1, (1 + last) // 2, last})
    differences = Differences(tie)
    rows = [OBJECTS[i % len(OBJECTS)] for i in range(dims.objects)]
    batches = [rows] if dims.objects > 1 else [[obj] for obj in OBJECTS]
    feats = {}
    for frame in sorted({0, *used}):
        s0, s1, feat = reference.features(frame)
        feats[frame] = {"feat_s0": s0, "feat_s1": s1, "feat": feat}
        met = runs[PROMPT_KINDS[0]][OBJECTS[0]][frame].attended
        if met is not None:
            feats[frame]["feat_attended"] = met
    for frame in (0, last):
        got = run("image_encoder", image=reference.image(frame))
        differences.add("image_encoder", got, feats[frame])

    def stack(values):
        return np.concatenate([np.asarray(v) for v in values])

    for kind, states in runs.items():
        for batch in batches:
            prompts = [clip.prompt(obj, kind) for obj in batch]
            first = [states[obj][0] for obj in batch]
            names = ("mask", "iou", "obj_ptr", "obj_score")
            if kind == "mask":
                inputs = stack([prompt_mask(p.mask, dims.size) for p in prompts])
                got, where, names = run("mask_prompt", **feats[0], mask_input=inputs), "mask_prompt", (*names, "mem_out")
            else:
                inputs = [prompt_inputs(dims, p, height, width) for p in prompts]
                inputs = {key: np.stack([i[key] for i in inputs]) for key in inputs[0]}
                got, where = run("prompt_decoder", **feats[0], **inputs), "prompt_decoder"
            for i, state in enumerate(first):
                differences.add_state(where, got, state, names, i)
            cases = [(f, 0.0) for f in used[:1]] + ([(0, 1.0)] if kind != "mask" else [])
            for frame, prompted in cases:
                at = [states[obj][frame] for obj in batch]
                got = run("memory_encoder", feat=feats[frame]["feat"], mask=stack([s.mask for s in at]),
                          obj_score=stack([s.obj_score for s in at]), from_prompt=np.full(dims.objects, prompted))
                for i, state in enumerate(at):
                    differences.add_state("memory_encoder", got, state, ("mem_out",), i)
            for frame in used:
                banks = []
                for obj in batch:
                    entries = {f: Entry(f, s.stored.numpy()[0], s.obj_ptr.numpy()[0]) for f, s in states[obj].items()}
                    first_entry = entries.pop(0)
                    banks.append((first_entry, {f: e for f, e in entries.items() if f < frame}))
                got = run("track_step", **feats[frame], **memory_inputs(dims, frame, last + 1, banks))
                for i, obj in enumerate(batch):
                    names = ("mask", "iou", "obj_ptr", "obj_score", "mem_out")
                    differences.add_state("track_step", got, states[obj][frame], names, i)
    return differences


def _video_masks(states: dict[int, FrameState], size: tuple[int, int]) -> dict[int, np.ndarray]:
    return {frame: video_mask(state.mask, *size) for frame, state in states.items()}


def run_check(graphs: dict, dims: Dims, model: torch.nn.Module, precision: str, frames: int = 10,
              random_weights: bool = False) -> Report:
    """Compares ``graphs`` with ``model`` (an untouched transformers video model in fp32)."""
    emulated = precision == "bf16"
    if emulated:
        runner = Runner({k: emulate_bf16(g) for k, g in graphs.items()}, dims,
                        lambda graph: ort_session(graph, optimise=False))
    else:
        runner = Runner(graphs, dims)
    clip = make_clip(frames)
    size = clip.frames[0].shape[:2]
    prompts = {kind: {obj: clip.prompt(obj, kind) for obj in OBJECTS} for kind in PROMPT_KINDS}
    report = Report(precision, frames, emulated, judge_clip=precision == "fp32" or not random_weights)

    reference = Reference(model, clip.frames)
    runs = {kind: reference.run(prompts[kind]) for kind in PROMPT_KINDS}
    differences = _check_components(runner, reference, clip, runs, TOLERANCES[precision].tie)
    report.components, report.forced, report.ties = differences.rows(), differences.forced(), differences.ties
    report.calls = differences.calls

    tracker = Tracker(runner, pixel_values(clip.frames, dims.size), size, model.config.model_type == "sam2_video")
    for kind in PROMPT_KINDS:
        groups = [list(OBJECTS)] if dims.objects > 1 else [[obj] for obj in OBJECTS]
        tracks = []
        for group in groups:
            tracks += tracker.track([prompts[kind][obj] for obj in group],
                                    [runs[kind][obj][0].mask.numpy() for obj in group])
        for obj, track in zip(OBJECTS, tracks):
            want = _video_masks(runs[kind][obj], size)
            ious = [mask_iou(video_mask(torch.from_numpy(out["mask"]), *size), want[frame])
                    for frame, out in track.items()]
            report.clips.append((kind, obj, min(ious), sum(ious) / len(ious)))
    if precision == "fp32" and report.worst_iou < TOLERANCES["fp32"].clip:
        report.spread_iou = _own_spread(model, clip, prompts, runs, size)
    return report


def _own_spread(model, clip: Clip, prompts: dict, runs: dict, size: tuple[int, int]) -> float:
    """The worst IoU of the reference with itself when its input is scaled by 1 +- 1e-6 and 1 +- 2e-6."""
    worst = 1.0
    for nudge in (1e-6, -1e-6, 2e-6, -2e-6):
        nudged = Reference(model, clip.frames, scale=1 + nudge)
        for kind in PROMPT_KINDS:
            for obj, states in nudged.run(prompts[kind]).items():
                want = _video_masks(runs[kind][obj], size)
                got = _video_masks(states, size)
                worst = min(worst, *(mask_iou(got[f], want[f]) for f in want))
    return worst
