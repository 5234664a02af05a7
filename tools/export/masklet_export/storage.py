"""Weight storage: half-size files for graphs that compute in f32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 256  # elements; below this a Cast node costs more than it saves


def fp16_lossless(values: np.ndarray) -> bool:
    """Whether every value survives a trip through fp16 unchanged."""
    if values.size == 0 or np.abs(values).max() > 65504:
        return False
    return np.array_equal(values.astype(np.float16).astype(np.float32), values)


def store_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores large f32 initialisers as fp16 behind a Cast, in place; computation stays f32.

    Only initialisers that lose nothing are stored so. The weights of the model have been rounded
    beforehand (``weights.round_weights``), so they qualify; tables of sines and merged convolutions
    do not and stay f32. Graph and results are therefore exactly the same.
    """
    graph = model.graph
    casts, stored = [], []
    for init in graph.initializer:
        values = numpy_helper.to_array(init)
        if init.data_type != TensorProto.FLOAT or values.size < SMALLEST or not fp16_lossless(values):
            stored.append(init)
            continue
        half = f"{init.name}.fp16"
        stored.append(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [init.name], name=f"widen/{init.name}", to=TensorProto.FLOAT))
    del graph.initializer[:]
    graph.initializer.extend(stored)
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    onnx.checker.check_model(model)
    return model
