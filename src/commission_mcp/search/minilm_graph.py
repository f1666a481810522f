"""The computation of all-MiniLM-L6-v2 as an ONNX graph: BERT (Devlin et al. 2018), mean pooling, unit length.

The graph names the weights and does not hold them: whoever runs it hands them over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

HIDDEN = 384
_LAYERS = 6
_HEADS = 12
_HEAD_SIZE = HIDDEN // _HEADS
_NORM_EPSILON = 1e-12
_MASKED = -10_000.0  # added to the attention to padding; exp of it is 0 in float32
_OPSET = 20  # the first with Gelu
_IR_VERSION = 10

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass
class _Graph:
    """Nodes under construction; every value is known by its name."""

    weights: Weights
    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    constants: list[TensorProto] = field(default_factory=list[TensorProto])
    used: list[str] = field(default_factory=list[str])

    def add(self, operation: str, inputs: Sequence[str], output: str, **attributes: float | list[int]) -> str:
        self.nodes.append(helper.make_node(operation, inputs, [output], None, None, None, None, **attributes))
        return output

    def constant(self, name: str, value: npt.ArrayLike, kind: type[np.generic] = np.int64) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def weight(self, name: str) -> str:
        self.used.append(name)
        return name

    def norm(self, values: str, layer: str, output: str) -> str:
        parts = [values, self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")]
        return self.add("LayerNormalization", parts, output, axis=-1, epsilon=_NORM_EPSILON)

    def linear(self, values: str, layer: str, output: str) -> str:
        turned = self.add("Transpose", [self.weight(f"{layer}.weight")], f"{output}.weight", perm=[1, 0])
        product = self.add("MatMul", [values, turned], f"{output}.product")
        return self.add("Add", [product, self.weight(f"{layer}.bias")], output)


def build_graph(weights: Weights) -> tuple[bytes, list[str]]:
    """The serialised model and the names of the weights that it wants.

    Inputs ``ids`` and ``mask``: int64 (texts, tokens), 1 where a token is and 0 at padding. Output ``vectors``: float32
    (texts, 384), of unit length.
    """
    graph = _Graph(weights)
    _shared_constants(graph)
    values = _embeddings(graph)
    for number in range(_LAYERS):
        values = _layer(graph, values, number)
    _pooling(graph, values)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in ("ids", "mask")]
    output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", HIDDEN])
    given = [_by_name(name, weights[name]) for name in graph.used]
    made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, [output], [*graph.constants, *given])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    return model.SerializeToString(), graph.used


def _shared_constants(graph: _Graph) -> None:
    graph.constant("zero", 0)
    graph.constant("one", 1)
    graph.constant("tokens_axis", [1])
    graph.constant("last_axis", [2])
    graph.constant("middle_axes", [1, 2])
    graph.constant("into_heads", [0, 0, _HEADS, _HEAD_SIZE])
    graph.constant("out_of_heads", [0, 0, HIDDEN])
    graph.constant("one.float", 1, np.float32)
    graph.constant("masked", _MASKED, np.float32)
    graph.constant("head_scale", _HEAD_SIZE**0.5, np.float32)


def _embeddings(graph: _Graph) -> str:
    """Words, positions and the first segment, summed and normed; and what attention adds for padding."""
    graph.add("Shape", ["ids"], "shape")
    graph.add("Gather", ["shape", "one"], "length", axis=0)
    graph.add("Range", ["zero", "length", "one"], "positions")
    words = graph.add("Gather", [graph.weight("embeddings.word_embeddings.weight"), "ids"], "words")
    places = graph.add("Gather", [graph.weight("embeddings.position_embeddings.weight"), "positions"], "places")
    segment = graph.add("Gather", [graph.weight("embeddings.token_type_embeddings.weight"), "zero"], "segment")
    graph.add("Add", [places, segment], "places_and_segment")
    graph.add("Add", [words, "places_and_segment"], "embedded")
    graph.add("Cast", ["mask"], "mask.float", to=TensorProto.FLOAT)
    graph.add("Sub", ["one.float", "mask.float"], "padding")
    graph.add("Mul", ["padding", "masked"], "penalty")
    graph.add("Unsqueeze", ["penalty", "middle_axes"], "attention_penalty")
    return graph.norm("embedded", "embeddings.LayerNorm", "layer.start")


def _layer(graph: _Graph, values: str, number: int) -> str:
    """Self-attention and the feed-forward network, each with its residual and norm."""
    names = f"encoder.layer.{number}."
    mixed = _attention(graph, values, names)
    projected = graph.linear(mixed, names + "attention.output.dense", f"{names}attended")
    graph.add("Add", [projected, values], f"{names}attended.sum")
    attended = graph.norm(f"{names}attended.sum", names + "attention.output.LayerNorm", f"{names}attended.normed")
    widened = graph.linear(attended, names + "intermediate.dense", f"{names}wide")
    graph.add("Gelu", [widened], f"{names}wide.gelu")  # the exact form, by erf
    narrowed = graph.linear(f"{names}wide.gelu", names + "output.dense", f"{names}narrow")
    graph.add("Add", [narrowed, attended], f"{names}narrow.sum")
    return graph.norm(f"{names}narrow.sum", names + "output.LayerNorm", f"{names}out")


def _attention(graph: _Graph, values: str, names: str) -> str:
    """softmax(Q K' / sqrt(d) + penalty) V over twelve heads."""
    heads: dict[str, str] = {}
    for part, turn in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        made = graph.linear(values, f"{names}attention.self.{part}", names + part)
        graph.add("Reshape", [made, "into_heads"], f"{made}.split")
        heads[part] = graph.add("Transpose", [f"{made}.split"], f"{made}.heads", perm=turn)
    graph.add("MatMul", [heads["query"], heads["key"]], f"{names}scores")
    graph.add("Div", [f"{names}scores", "head_scale"], f"{names}scores.scaled")
    graph.add("Add", [f"{names}scores.scaled", "attention_penalty"], f"{names}scores.masked")
    graph.add("Softmax", [f"{names}scores.masked"], f"{names}attention", axis=-1)
    graph.add("MatMul", [f"{names}attention", heads["value"]], f"{names}context")
    graph.add("Transpose", [f"{names}context"], f"{names}context.turned", perm=[0, 2, 1, 3])
    return graph.add("Reshape", [f"{names}context.turned", "out_of_heads"], f"{names}context.joined")


def _pooling(graph: _Graph, values: str) -> None:
    """The mean over the tokens that are no padding, brought to unit length."""
    graph.add("Unsqueeze", ["mask.float", "last_axis"], "mask.wide")
    graph.add("Mul", [values, "mask.wide"], "kept")
    graph.add("ReduceSum", ["kept", "tokens_axis"], "sum", keepdims=0)
    graph.add("ReduceSum", ["mask.float", "tokens_axis"], "count", keepdims=1)
    graph.add("Div", ["sum", "count"], "mean")
    graph.add("LpNormalization", ["mean"], "vectors", axis=1, p=2)


def _by_name(name: str, weight: npt.NDArray[np.float32]) -> TensorProto:
    """A weight that is handed over when the graph is loaded."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend(weight.shape)
    for key, value in (("location", "handed over"), ("offset", "0"), ("length", str(weight.nbytes))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor
