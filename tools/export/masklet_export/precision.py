"""Turns an f32 graph into a strongly typed fp16 or bf16 graph with f32 inputs and outputs.

TensorRT takes the precision from the types in the ONNX file, so every value gets one. What must not
be rounded stays f32 (an *island*):

- everything that leads to a sine or cosine: point coordinates and pointer ages, whose angles run to
  hundreds of radians;
- pixel counts, which pass 65504, and the ratio made of them;
- labels, which are compared for equality;
- the scales of Resize, which ONNX fixes as f32.

Casts stand where low precision meets an island, an input or an output.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LOW = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
BOOLEAN_OPS = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor"}
# Inputs that are not of the operator's value type, by position.
F32_OPERANDS = {"Resize": {1, 2}}


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every value in the graph."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=False).graph
    types = {i.name: i.data_type for i in graph.initializer}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        types[value.name] = value.type.tensor_type.elem_type
    return types


def constants_to_initialisers(model: onnx.ModelProto) -> None:
    """Replaces Constant nodes, so that there is one kind of constant to deal with."""
    kept = []
    for node in model.graph.node:
        if node.op_type == "Constant":
            array = numpy_helper.to_array(node.attribute[0].t)
            model.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def find_islands(model: onnx.ModelProto, types: dict[str, int]) -> set[int]:
    """Indices of nodes that stay in f32."""
    nodes = model.graph.node
    producer = {out: i for i, node in enumerate(nodes) for out in node.output}
    users = defaultdict(list)
    for i, node in enumerate(nodes):
        for name in node.input:
            users[name].append(i)
    islands: set[int] = set()

    def backwards(index: int) -> None:
        if index in islands:
            return
        islands.add(index)
        for name in nodes[index].input:
            if name in producer and types.get(name) == TensorProto.FLOAT:
                backwards(producer[name])

    def forwards(index: int) -> None:
        if index in islands:
            return
        islands.add(index)
        if nodes[index].op_type in BOOLEAN_OPS:
            return
        for out in nodes[index].output:
            if types.get(out) == TensorProto.FLOAT:
                for user in users[out]:
                    forwards(user)

    integer_inputs = {i.name for i in model.graph.input if i.type.tensor_type.elem_type != TensorProto.FLOAT}
    for i, node in enumerate(nodes):
        if node.op_type in ("Sin", "Cos"):
            backwards(i)
        elif node.op_type == "ReduceSum" and _counts_pixels(node, nodes, producer, types):
            islands.add(producer[node.input[0]])
            forwards(i)
        elif node.op_type == "Cast" and node.input[0] in integer_inputs:
            forwards(i)
    return islands


def _counts_pixels(node, nodes, producer, types) -> bool:
    """A sum over truth values of a whole mask."""
    source = producer.get(node.input[0])
    if source is None or nodes[source].op_type != "Cast" or types.get(nodes[source].input[0]) != TensorProto.BOOL:
        return False
    before = producer.get(nodes[source].input[0])
    return before is not None and nodes[before].op_type in ("Greater", "GreaterOrEqual")


def _low_constant(init: onnx.TensorProto, name: str, kind: int) -> onnx.TensorProto:
    values = numpy_helper.to_array(init).astype(np.float32)
    if kind == TensorProto.FLOAT16:
        return numpy_helper.from_array(values.astype(np.float16), name)
    import torch

    bits = torch.from_numpy(np.array(values)).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    return helper.make_tensor(name, TensorProto.BFLOAT16, list(init.dims), bits.tobytes(), raw=True)


def convert(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """A converted copy; ``precision`` is fp16 or bf16."""
    kind = LOW[precision]
    model = onnx.ModelProto.FromString(model.SerializeToString())
    constants_to_initialisers(model)
    types = element_types(model)
    islands = find_islands(model, types)
    graph = model.graph
    initialisers = {i.name: i for i in graph.initializer}
    low_values: set[str] = set()  # values that the new graph computes in low precision
    made: dict[str, str] = {}  # value -> name of its cast or low copy
    nodes, constants = [], {}

    def operand(name: str, want_low: bool) -> str:
        if types.get(name) != TensorProto.FLOAT:
            if name in initialisers:
                constants[name] = initialisers[name]
            return name
        if name in initialisers:
            if not want_low:
                constants[name] = initialisers[name]
                return name
            low = f"{name}.{precision}"
            constants.setdefault(low, _low_constant(initialisers[name], low, kind))
            return low
        if (name in low_values) == want_low:
            return name
        key = f"{name}.{precision if want_low else 'fp32'}"
        if key not in made:
            made[key] = key
            nodes.append(helper.make_node("Cast", [name], [key], name=f"cast/{key}",
                                          to=kind if want_low else TensorProto.FLOAT))
        return key

    for i, old in enumerate(graph.node):
        node = onnx.NodeProto.FromString(old.SerializeToString())
        low = i not in islands
        special = F32_OPERANDS.get(node.op_type, set())
        names = [operand(name, low and k not in special) if name else "" for k, name in enumerate(node.input)]
        del node.input[:]
        node.input.extend(names)
        if low:
            if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
                node.attribute[0].i = kind
            low_values.update(o for o in node.output if types.get(o) == TensorProto.FLOAT)
        nodes.append(node)

    for out in graph.output:
        if out.name in low_values:
            inner = f"{out.name}.{precision}"
            for node in nodes:
                node.output[:] = [inner if name == out.name else name for name in node.output]
                node.input[:] = [inner if name == out.name else name for name in node.input]
            nodes.append(helper.make_node("Cast", [inner], [out.name], name=f"cast/{out.name}", to=TensorProto.FLOAT))
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants.values())
    onnx.checker.check_model(model)
    element_types(model)  # strict type inference: every operator accepts the types it now gets
    return model


def emulate_bf16(model: onnx.ModelProto) -> onnx.ModelProto:
    """An f32 graph that rounds to bf16 wherever the bf16 graph ``model`` holds a bf16 value.

    ONNX Runtime has no bf16 kernels on CPUs. Here every operator computes in f32 and its result goes
    through bf16 and back, which is what a kernel with f32 accumulation does.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    types = element_types(model)
    graph = model.graph
    constants = []
    for init in graph.initializer:
        if init.data_type == TensorProto.BFLOAT16:
            values = np.frombuffer(init.raw_data, np.uint16).astype(np.uint32) << 16
            constants.append(numpy_helper.from_array(values.view(np.float32).reshape(tuple(init.dims)), init.name))
        else:
            constants.append(init)
    nodes = []
    for node in graph.node:
        rounded = [o for o in node.output if types.get(o) == TensorProto.BFLOAT16]
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.BFLOAT16:
            node.attribute[0].i = TensorProto.FLOAT
        nodes.append(node)
        for name in rounded:
            exact, narrow = f"{name}.exact", f"{name}.narrow"
            node.output[:] = [exact if o == name else o for o in node.output]
            nodes.append(helper.make_node("Cast", [exact], [narrow], to=TensorProto.BFLOAT16))
            nodes.append(helper.make_node("Cast", [narrow], [name], to=TensorProto.FLOAT))
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    onnx.checker.check_model(model)
    return model
