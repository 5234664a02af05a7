"""Puts a bundle together: graphs, weight storage, precision, manifest. Writes all of it or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import onnx
import torch

from .components import COMPONENTS, Dims, build_components
from .config import ExportError, ModelSpec
from .graph import export_component
from .manifest import build_manifest, check_signature, write_manifest
from .memory import Form
from .storage import store_fp16


def export_graphs(model: torch.nn.Module, spec: ModelSpec, objects: int, form: Form = Form(), log=print) -> tuple[dict, Dims]:
    """The five f32 graphs of a prepared model, by component name."""
    modules, dims = build_components(model, spec.family, objects, form)
    graphs = {}
    for name in COMPONENTS:
        graphs[name] = export_component(name, modules[name], dims)
        check_signature(name, graphs[name], dims)
        log(f"exported {name}: {len(graphs[name].graph.node)} nodes, {graphs[name].ByteSize() / 1e6:.1f} MB")
    return graphs, dims


def save_graphs(graphs: dict[str, onnx.ModelProto], folder: Path) -> None:
    """One file per component."""
    for name, graph in graphs.items():
        onnx.save(graph, folder / f"{name}.onnx")


class Staging:
    """A temporary folder beside ``out`` that becomes ``out`` in one rename, or disappears."""

    def __init__(self, out: Path):
        self.out = Path(os.path.abspath(out))

    def __enter__(self) -> "Staging":
        if self.out.exists() and not self.out.is_dir():
            raise ExportError(f"{self.out} is not a folder")
        if self.out.is_dir() and any(self.out.iterdir()) and not (self.out / "bundle.toml").is_file():
            raise ExportError(f"{self.out} is not empty and holds no bundle; choose another --out")
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.", dir=self.out.parent))
        except OSError as error:
            raise ExportError(f"cannot write to {self.out.parent}: {error.strerror}") from error
        return self

    def commit(self) -> None:
        """Replaces an older bundle at ``out``."""
        self.folder.chmod(0o755)
        if self.out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.old.", dir=self.out.parent))
            os.rename(self.out, old / "bundle")
            os.rename(self.folder, self.out)
            shutil.rmtree(old)
        else:
            os.rename(self.folder, self.out)

    def __exit__(self, *_) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)


def finish_bundle(folder: Path, graphs: dict, spec: ModelSpec, dims: Dims, precision: str, storage: str,
                  weights: dict, check: dict | None) -> dict:
    """Saves final graphs and the manifest into ``folder``; returns the manifest."""
    save_graphs(graphs, folder)
    manifest = build_manifest(spec, dims, precision, storage, weights, check, folder)
    write_manifest(manifest, folder / "bundle.toml")
    return manifest


def apply_storage(graphs: dict, storage: str) -> dict:
    """Applies ``--weight-storage`` to f32 graphs."""
    return {name: store_fp16(graph) for name, graph in graphs.items()} if storage == "fp16" else graphs


def save_weights(model: torch.nn.Module, path: Path) -> None:
    """The state dict of the exported model (RepViT folded), for tools that rerun it in torch."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}, path)
