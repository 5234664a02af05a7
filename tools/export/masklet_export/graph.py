"""From a torch module to a checked, simplified ONNX file."""

from __future__ import annotations

import io
import warnings

import onnx
import torch
from torch import nn

from .components import Dims, example_inputs, signature

# 20 is the first opset with Gelu as one operator. The tracing exporter and the dynamo exporter give
# the same graphs for these modules, since nothing in them depends on values; tracing takes a third of
# the time.
OPSET = 20


def export_component(name: str, module: nn.Module, dims: Dims) -> onnx.ModelProto:
    """Traces one component with static shapes and the contract's tensor names."""
    inputs, outputs = signature(dims)[name]
    example = tuple(example_inputs(dims)[name][tensor] for tensor, _, _ in inputs)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, example, stream, dynamo=False, opset_version=OPSET, do_constant_folding=True,
            input_names=[i[0] for i in inputs], output_names=[o[0] for o in outputs])
    return tidy(onnx.load_from_string(stream.getvalue()), name)


def tidy(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Folds constants, drops exporter metadata that would leak local paths, names the graph."""
    import onnxslim

    model = onnxslim.slim(model)
    graph = model.graph
    graph.name = name
    graph.doc_string = ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    del model.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        if node.op_type == "Resize":
            _plain_half_pixel(node)
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.doc_string = ""
        if hasattr(value, "metadata_props"):
            del value.metadata_props[:]
    model.producer_name, model.producer_version, model.doc_string = "masklet_export", "", ""
    onnx.checker.check_model(model)
    return model


def _plain_half_pixel(node: onnx.NodeProto) -> None:
    """``pytorch_half_pixel`` differs from ``half_pixel`` only for outputs of one pixel; fewer
    runtimes know it."""
    for attribute in node.attribute:
        if attribute.name == "coordinate_transformation_mode" and attribute.s == b"pytorch_half_pixel":
            attribute.s = b"half_pixel"


def operators(model: onnx.ModelProto) -> dict[str, int]:
    """How often each operator occurs."""
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
