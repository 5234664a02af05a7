"""``bundle.toml``: written from the exported graphs, and checked against them.

Keys and their meaning are in docs/bundle-format.md.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import onnx
from onnx import TensorProto

from . import EXPORTER_VERSION
from .components import COMPONENTS, Dims, signature
from .config import IMAGE_MEAN, IMAGE_STD, ExportError, ModelSpec

FORMAT = 2
DTYPES = {TensorProto.FLOAT: "f32", TensorProto.INT32: "i32", TensorProto.FLOAT16: "f16", TensorProto.BFLOAT16: "bf16"}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def graph_tensors(values) -> list[dict]:
    """Name, dtype and shape of graph inputs or outputs."""
    rows = []
    for value in values:
        kind = value.type.tensor_type
        rows.append({"name": value.name, "dtype": DTYPES.get(kind.elem_type, f"onnx-{kind.elem_type}"),
                     "shape": [d.dim_value for d in kind.shape.dim]})
    return rows


def check_signature(name: str, graph: onnx.ModelProto, dims: Dims) -> None:
    """Raises when a graph's inputs or outputs are not those of the contract."""
    inputs, outputs = signature(dims)[name]
    for what, wanted, values in (("inputs", inputs, graph.graph.input), ("outputs", outputs, graph.graph.output)):
        expected = [{"name": n, "dtype": t, "shape": list(s)} for n, t, s in wanted]
        found = graph_tensors(values)
        if found != expected:
            raise ExportError(f"{name}: {what} are {found}, the bundle format asks for {expected}")


def build_manifest(spec: ModelSpec, dims: Dims, precision: str, storage: str, weights: dict,
                   check: dict | None, folder: Path) -> dict:
    """The manifest of the ONNX files that lie in ``folder``, as a nested dictionary."""
    import torch
    import transformers

    components = []
    for name in COMPONENTS:
        path = folder / f"{name}.onnx"
        graph = onnx.load(path)
        check_signature(name, graph, dims)
        components.append({"name": name, "file": path.name, "sha256": file_sha256(path),
                           "inputs": graph_tensors(graph.graph.input), "outputs": graph_tensors(graph.graph.output)})
    manifest = {
        "format": FORMAT, "name": spec.name, "family": spec.family, "variant": spec.variant,
        "image_size": dims.size, "precision": precision, "weight_storage": storage,
        "objects_per_batch": dims.objects,
        "preprocess": {"color_order": "rgb", "mean": list(IMAGE_MEAN), "std": list(IMAGE_STD),
                       "resize": "stretch", "interpolation": "bilinear-antialias"},
        "dims": {"hidden": dims.hidden, "memory": dims.memory, "tokens_per_memory": dims.tokens,
                 "memory_slots": dims.memory_slots, "pointer_slots": dims.pointer_slots,
                 "prompt_slots": dims.prompt_slots},
        "memory": {"stored_as": "bf16" if spec.family == "sam2" else "fp32"},
        "weights": weights,
        "exporter": {"version": EXPORTER_VERSION, "torch": torch.__version__.split("+")[0],
                     "transformers": transformers.__version__, "onnx": onnx.__version__},
    }
    if check is not None:
        manifest["check"] = check
    manifest["component"] = components
    return manifest


def _toml_value(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        if value and isinstance(value[0], dict):
            return "[\n" + "".join(f"  {_toml_value(v)},\n" for v in value) + "]"
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, float):
        text = repr(value)
        return text if any(mark in text for mark in ".en") else text + ".0"
    return str(value)


def write_manifest(manifest: dict, path: Path) -> None:
    """Writes TOML: plain keys, then one table per section, then one ``[[component]]`` per graph."""
    lines = [f"{k} = {_toml_value(v)}" for k, v in manifest.items() if not isinstance(v, (dict, list))]
    for key, section in manifest.items():
        if isinstance(section, dict):
            lines += ["", f"[{key}]", *(f"{k} = {_toml_value(v)}" for k, v in section.items())]
    for component in manifest["component"]:
        lines += ["", "[[component]]", *(f"{k} = {_toml_value(v)}" for k, v in component.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_manifest(path: Path) -> dict:
    """Reads a manifest back."""
    with open(path, "rb") as stream:
        return tomllib.load(stream)
