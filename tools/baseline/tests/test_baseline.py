"""The baseline on a real model: both manners track alike, rows are the journal's, failures stay failures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tools" / "baseline"), str(ROOT / "tools" / "export")]

from masklet_baseline import run  # noqa: E402
from masklet_baseline.cli import main  # noqa: E402
from masklet_baseline.clock import Times  # noqa: E402
from masklet_baseline.job import BaselineError, read_job  # noqa: E402
from masklet_baseline.memory import NO_CUDA  # noqa: E402
from masklet_baseline.model import build_model, weights_file  # noqa: E402

SIZE = (48, 64)
FRAMES = 20  # more than the outputs that `best` keeps
MANIFEST = {"name": "edgetam_mini", "image_size": 128, "precision": "fp32", "weight_storage": "fp16",
            "weights": {"source": "random-init", "seed": 43}}


def write_frames(folder: Path) -> list[str]:
    """A textured disc that moves over noise."""
    rng = np.random.default_rng(5)
    ground = rng.integers(0, 255, (*SIZE, 3), np.uint8)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    folder.mkdir(parents=True)
    paths = []
    for index in range(FRAMES):
        frame = ground.copy()
        frame[(x - 15 - index) ** 2 + (y - 24) ** 2 < 120] = (220, 40, 60 + index)
        paths.append(str(folder / f"{index:05d}.png"))
        Image.fromarray(frame).save(paths[-1])
    return paths


def write_job(folder: Path, mode: str, **more) -> Path:
    """Two objects: a click on frame 0 and a box on frame 2."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = write_frames(folder / "frames")
    objects = [
        {"id": "1", "start": 0, "end": FRAMES, "prompt": {"points": [[15, 24]], "labels": [1]}},
        {"id": "2", "start": 2, "end": FRAMES, "prompt": {"box": [7, 14, 28, 34]}},
    ]
    for one in objects:
        one["masks"] = {str(i): f"{i:05d}.png" for i in range(one["start"], one["end"])}
    job = {"schema": 1, "mode": mode, "device": "cpu", "precision": None, "compile": False, "tf32": False,
           "threads": 1, "decode_threads": 1, "warmup": 1, "supervised": False, "masks_dir": str(folder / "masks"),
           "log": str(folder / "pytorch.jsonl"),
           "models": [{"manifest": MANIFEST, "bundle_dir": None, "weights_path": None}],
           "videos": [{"id": "v", "height": SIZE[0], "width": SIZE[1], "frames": frames}],
           "clips": [{"model": 0, "tag": "edgetam_mini_points", "video": 0, "objects": objects}], **more}
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return path


def record(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "pytorch.jsonl").read_text().splitlines()]


def masks(folder: Path) -> dict[str, np.ndarray]:
    files = sorted((folder / "masks").rglob("*.png"))
    return {str(path.relative_to(folder / "masks")): np.array(Image.open(path)) > 0 for path in files}


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> dict[str, Path]:
    """The same job in both manners, done."""
    root = tmp_path_factory.mktemp("baseline")
    for mode in ("upstream", "best"):
        assert main([str(write_job(root / mode, mode))]) == 0
    return {mode: root / mode for mode in ("upstream", "best")}


def test_both_manners_give_the_same_masks(both):
    theirs, ours = masks(both["upstream"]), masks(both["best"])
    assert theirs.keys() == ours.keys() and len(theirs) == 2 * FRAMES - 2
    for name, mask in theirs.items():
        union = (mask | ours[name]).sum()
        assert union == 0 or (mask & ours[name]).sum() / union >= 0.999, name
    shares = [mask.mean() for mask in theirs.values()]
    assert 0.01 < np.mean(shares) < 0.99, "all or nothing would agree anyhow"


def test_rows_hold_what_the_journal_asks_for(both):
    for mode, folder in both.items():
        lines = record(folder)
        assert [*lines[0]] == ["hello"] and lines[0]["hello"]["torch"] == torch.__version__
        assert [*lines[-1]] == ["done"]
        rows = {line["object"]["object"]: line["object"] for line in lines if "object" in line}
        assert {name: row["status"] for name, row in rows.items()} == {"1": "ok", "2": "ok"}
        for name, row in rows.items():
            frames, stages = FRAMES - row["prompt_frame"], row["timing"]["stages"]
            assert row["frames"] == frames and row["prompt_frame"] == (0 if name == "1" else 2)
            assert len(stages["track"]["ms"]) == frames - 1 and stages["track"]["first"] == 1
            for stage in ("decode", "preprocess", "encode", "postprocess", "end_to_end"):
                assert len(stages[stage]["ms"]) == frames, (mode, stage)
                assert stages[stage]["shared"] == (mode == "best")
            whole = sum(stages["end_to_end"]["ms"])
            inside = sum(sum(s["ms"]) for key, s in stages.items() if key not in ("end_to_end", "decode"))
            assert inside <= whole * 1.001 or mode == "best" and name == "2"
            assert len(row["memory"]["rss_by_frame_bytes"]) >= frames
            assert row["memory"]["allocator"]["reserved_peak_bytes"] == {"value": None, "reason": NO_CUDA}
            assert row["memory"]["rss_peak_bytes"]["value"] >= row["memory"]["rss_before_bytes"]["value"]
        states = [line["state"] for line in lines if "state" in line]
        assert (states[0]["index"], states[0]["total"]) == (1, 2) and states[0]["rss_bytes"] > 0


def test_an_object_that_fails_is_a_failed_row_and_the_others_go_on(tmp_path):
    path = write_job(tmp_path, "upstream")
    job = json.loads(path.read_text())
    job["videos"].append({**job["videos"][0], "id": "w", "frames": job["videos"][0]["frames"][:3] + ["/no/such.png"]})
    first = {**job["clips"][0]["objects"][0], "end": 4}
    job["clips"] = [{**job["clips"][0], "video": 1, "objects": [first]},
                    {**job["clips"][0], "objects": [{**first, "end": 3}]}]
    path.write_text(json.dumps(job))
    assert main([str(path)]) == 0
    rows = [line["object"] for line in record(tmp_path) if "object" in line]
    assert [row["status"] for row in rows] == ["failed", "ok"]
    assert "/no/such.png" in rows[0]["reason"] and rows[0]["timing"] is None and rows[0]["memory"] is None


def test_weights_cast_once_are_what_autocast_would_have_cast(tmp_path, monkeypatch):
    """`best` casts weights once; the masks must be autocast's own, to the bit."""
    for folder in (tmp_path / "cast", tmp_path / "autocast"):
        if folder.name == "autocast":
            monkeypatch.setattr(run, "cast_weights", lambda net, dtype: None)
        assert main([str(write_job(folder, "best", precision="bf16"))]) == 0
    once, every = masks(tmp_path / "cast"), masks(tmp_path / "autocast")
    assert len(once) == 2 * FRAMES - 2 and any(mask.any() for mask in once.values())
    assert once.keys() == every.keys() and all((once[name] == every[name]).all() for name in once)


def test_durations_are_cut_out_per_object():
    times = Times()
    for frame in range(10, 14):
        times.add(frame, "encode", float(frame))
        if frame > 10:
            times.add(frame, "track", 100.0 + frame)
        if frame in (10, 12):
            times.add(frame, "prompt", 200.0 + frame)
    late = times.of_object(12, 14, True, 5.0)
    assert late["stages"]["encode"]["ms"] == [12.0, 13.0]
    assert late["stages"]["prompt"]["ms"] == [212.0]
    assert late["stages"]["track"] == {"shared": True, "first": 1, "ms": [113.0]}
    assert late["setup_ms"] == 5.0 and late["bank_fill_frames"] == 2


def test_weights_that_are_not_to_be_had_are_refused_with_the_way_out(tmp_path):
    def entry(weights: dict, path=None) -> dict:
        return {"manifest": {**MANIFEST, "weights": weights}, "bundle_dir": None, "weights_path": path}

    checkpoint = {"source": "checkpoint", "file": "edgetam.pt", "sha256": "00" * 32}
    with pytest.raises(BaselineError, match="edgetam.pt.*--baseline-weights.*--keep-weights"):
        weights_file(entry(checkpoint))
    other = tmp_path / "edgetam.pt"
    other.write_bytes(b"something else")
    with pytest.raises(BaselineError, match="is not what the bundle edgetam_mini was exported from"):
        weights_file(entry(checkpoint, str(other)))
    with pytest.raises(BaselineError, match="no such file"):
        weights_file(entry(checkpoint, str(tmp_path / "missing.pt")))
    with pytest.raises(BaselineError, match="follow from a seed"):
        weights_file(entry(MANIFEST["weights"], str(other)))
    with pytest.raises(BaselineError, match="no PyTorch model for the bundle sam9"):
        build_model({**entry(MANIFEST["weights"]), "manifest": {**MANIFEST, "name": "sam9"}}, fold=True)


def test_kept_weights_are_the_ones_of_the_seed(tmp_path):
    from masklet_export.bundle import save_weights

    entry = {"manifest": MANIFEST, "bundle_dir": None, "weights_path": None}
    drawn = build_model(entry, fold=True)
    save_weights(drawn, tmp_path / "weights.safetensors")
    kept = build_model({**entry, "bundle_dir": str(tmp_path)}, fold=True)
    values = drawn.state_dict()
    assert values.keys() == kept.state_dict().keys()
    assert all(torch.equal(values[name], value) for name, value in kept.state_dict().items())


@pytest.mark.parametrize("change, said", [
    ({"schema": 9}, "schema 9"), ({"mode": "worst"}, "'worst'"), ({"precision": "fp8"}, "'fp8'"),
    ({"clips": [{}]}, "not a whole job")])
def test_jobs_that_are_none_are_refused(tmp_path, change, said):
    path = write_job(tmp_path, "upstream")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BaselineError, match=said):
        read_job(path)


def test_check_says_what_is_missing_in_one_line(tmp_path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tools/baseline"), str(ROOT / "tools/export")])}
    run = lambda path: subprocess.run(  # noqa: E731
        [sys.executable, "-m", "masklet_baseline", "-", "--check"], input=path.read_text(), env=env,
        capture_output=True, text=True)
    good = run(write_job(tmp_path / "a", "best"))
    assert good.returncode == 0 and json.loads(good.stdout)["device"] == "cpu"
    models = [{"manifest": {**MANIFEST, "weights": {"source": "trained"}}, "bundle_dir": None, "weights_path": None}]
    bad = run(write_job(tmp_path / "b", "best", models=models))
    assert bad.returncode == 3 and bad.stderr.count("\n") == 1 and "--keep-weights" in bad.stderr, bad.stderr
    if not torch.cuda.is_available():
        no_cuda = run(write_job(tmp_path / "c", "best", device="cuda"))
        assert no_cuda.returncode == 3 and "sees no CUDA device" in no_cuda.stderr
