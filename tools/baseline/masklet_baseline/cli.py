"""The command line: ``python -m masklet_baseline JOB.json``, which ``masklet baseline`` calls."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from .job import BaselineError, Job, read_job

MISSING = 3


def parser() -> argparse.ArgumentParser:
    """The options; all that decides the outcome stands in the job."""
    p = argparse.ArgumentParser(
        prog="masklet_baseline", description="Runs transformers' EdgeTamVideo and Sam2Video models on a job of "
        "`masklet baseline --prepare RUN`: the same frames, prompts and weights as masklet's own run.")
    p.add_argument("job", type=Path, metavar="JOB", help="the job.json in the baseline's folder")
    p.add_argument("--check", action="store_true", help="only say whether it could run: packages, device, weights")
    return p


def die_with_parent(parent: int) -> None:
    """Linux ends this process when the one that watches it is gone, so that no baseline is left running."""
    import ctypes
    import signal

    PR_SET_PDEATHSIG = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        sys.exit("masklet is gone")


def hello(job: Job, device) -> dict:
    """Versions, device and settings, for run.json."""
    import torch
    import transformers

    found = {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__,
             "pid": os.getpid(), "mode": job.mode, "device": device.type, "device_name": None, "cuda": None,
             "threads": torch.get_num_threads(), "tf32": job.tf32, "compile": job.compile,
             "precision": job.precision, "allocator_settings": os.environ.get("PYTORCH_CUDA_ALLOC_CONF")}
    if device.type == "cuda":
        found |= {"device_name": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    return found


def choose_device(wanted: str):
    """The torch device; raises BaselineError where CUDA is asked for and not there."""
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise BaselineError(f"torch {torch.__version__} sees no CUDA device; use --baseline-device cpu, or a torch "
                            f"that is built for this machine")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def execute(job: Job, check: bool) -> None:
    """Runs the job, or only finds out whether it could be run."""
    import torch

    from .model import MODELS, weights_file
    from .record import Record
    from .run import Runner

    device = choose_device(job.device)
    for entry in job.models:
        if entry["manifest"]["name"] not in MODELS:
            raise BaselineError(f"there is no PyTorch model for the bundle {entry['manifest']['name']}; known are "
                                f"{', '.join(MODELS)}")
        weights_file(entry)
    if job.threads:
        torch.set_num_threads(job.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = job.tf32
    if check:
        print(json.dumps(hello(job, device)))
        return
    record = Record(job.log)
    record.write("hello", hello(job, device))
    Runner(job, device, record).run()
    record.write("done", {})


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 through (failed objects are rows), 3 it could not begin."""
    parent = os.getppid()
    args = parser().parse_args(argv)
    try:
        job = read_job(args.job)
        if job.supervised:
            die_with_parent(parent)
        execute(job, args.check)
    except ImportError as error:
        print(f"masklet_baseline: {error}; install tools/export/requirements.txt into {sys.executable}, or name "
              f"another interpreter with --baseline-python", file=sys.stderr)
        return MISSING
    except BaselineError as error:
        print(f"masklet_baseline: {error}", file=sys.stderr)
        return MISSING
    return 0
