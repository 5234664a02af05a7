"""The command line: ``python -m masklet_export --model edgetam --random-init 7 --out DIR``."""

from __future__ import annotations

import argparse
import copy
import sys
import time
from pathlib import Path

from .config import MODELS, ExportError


def parser() -> argparse.ArgumentParser:
    """The options. Values are validated where they are used."""
    p = argparse.ArgumentParser(
        prog="masklet_export", description="Exports a video segmentation model to a masklet bundle (five ONNX graphs "
        "and bundle.toml). Every export is checked against transformers before it is written.")
    p.add_argument("--model", required=True, choices=list(MODELS), help="which model")
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument("--hf-dir", type=Path, metavar="DIR", help="a Hugging Face checkpoint folder (config.json, model.safetensors)")
    source.add_argument("--checkpoint", type=Path, metavar="FILE", help="an original checkpoint: edgetam.pt, sam2.1_*.pt")
    source.add_argument("--random-init", type=int, metavar="SEED", help="random weights from this seed")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the bundle; an older bundle there is replaced")
    p.add_argument("--imgsz", type=int, metavar="S", help="image side (default: the model's own)")
    p.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32", help="what the graphs compute in")
    p.add_argument("--weight-storage", choices=["fp32", "fp16"], help="what an fp32 bundle stores (default: fp32); "
                   "fp16 rounds the weights first and halves the files")
    p.add_argument("--objects", type=int, default=1, metavar="B", help="objects per batch (default: 1)")
    p.add_argument("--attention", choices=["folded", "plain"], help="how memory attention is written: folded needs fewer "
                   "multiplications, plain is what compilers for GPUs recognise (default: folded in fp32, else plain)")
    p.add_argument("--frames", type=int, default=10, metavar="N", help="frames of the check's clip (default: 10)")
    p.add_argument("--skip-check", action="store_true", help="write without checking; the manifest then has no [check]")
    p.add_argument("--trained", action="store_true", help="record the weights as trained by this project (with --hf-dir)")
    p.add_argument("--keep-weights", action="store_true", help="also write the exact weights as weights.safetensors")
    return p


def export(args: argparse.Namespace, log=print) -> dict:
    """Runs one export; returns the manifest."""
    import torch

    from .bundle import Staging, apply_storage, export_graphs, finish_bundle, save_weights
    from .check import run_check
    from .checkpoint import load_hf_folder, load_original
    from .config import check_image_size
    from .memory import Form
    from .precision import convert
    from .weights import new_model, random_init, reparameterise, round_weights

    spec = MODELS[args.model]
    size = args.imgsz or spec.default_size
    check_image_size(spec, size)
    if args.objects < 1:
        raise ExportError(f"--objects {args.objects}: at least 1")
    if args.frames < 3:
        raise ExportError(f"--frames {args.frames}: at least 3")
    storage = args.weight_storage or "fp32"
    if args.precision != "fp32":
        if args.weight_storage not in (None, args.precision):
            raise ExportError(f"--weight-storage {args.weight_storage} goes with --precision fp32 only: "
                              f"{args.precision} graphs store {args.precision}")
        storage = args.precision
    if args.trained and args.hf_dir is None:
        raise ExportError("--trained goes with --hf-dir")

    with Staging(args.out) as staging:
        started = time.monotonic()
        if args.random_init is not None:
            model = new_model(spec, size)
            random_init(model, args.random_init)
            weights = {"source": "random-init", "seed": args.random_init}
        elif args.hf_dir is not None:
            model, weights = load_hf_folder(args.hf_dir, spec, size)
            if args.trained:
                weights = {"source": "trained"}
        else:
            model, weights = load_original(args.checkpoint, spec, size)
        # The reference keeps the model as it was loaded. Where weights are rounded for storage, the
        # reference has to hold the rounded ones, in the folded form that is stored.
        exact = not (args.precision == "fp32" and storage == "fp16")
        reference = copy.deepcopy(model) if exact and spec.family == "edgetam" else model
        reparameterise(model, spec)
        if not exact:
            round_weights(model, torch.float16)
        log(f"{spec.name} at {size}: model ready in {time.monotonic() - started:.1f} s")

        graphs, dims = export_graphs(model, spec, args.objects,
                                     Form.chosen(args.attention, args.precision, size // 16), log)
        if args.precision != "fp32":
            graphs = {name: convert(graph, args.precision) for name, graph in graphs.items()}
        else:
            graphs = apply_storage(graphs, storage)
        log(f"graphs ready in {time.monotonic() - started:.1f} s")

        measured = None
        if not args.skip_check:
            report = run_check(graphs, dims, reference, args.precision, args.frames,
                               random_weights=args.random_init is not None)
            log(report.table())
            if report.failures():
                raise ExportError("the export is out of tolerance, so no bundle was written")
            measured = {"components_max_rel": float(f"{report.worst_component:.3e}"),
                        "clip_min_iou": round(report.worst_iou, 6), "frames": args.frames}
        manifest = finish_bundle(staging.folder, graphs, spec, dims, args.precision, storage, weights, measured)
        if args.keep_weights:
            save_weights(model, staging.folder / "weights.safetensors")
        staging.commit()
        total = sum(graph.ByteSize() for graph in graphs.values())
        log(f"wrote {args.out}: {total / 1e6:.1f} MB of graphs in {time.monotonic() - started:.1f} s"
            + (", unchecked" if measured is None else ""))
        return manifest


def main(argv: list[str] | None = None) -> int:
    """Exit codes: 0 written, 1 out of tolerance or bad input, 2 usage."""
    args = parser().parse_args(argv)
    try:
        export(args)
    except ExportError as error:
        print(f"masklet_export: {error}", file=sys.stderr)
        return 1
    return 0
