"""Any ONNX file as a workload: products become layers, everything else vector work of the layer before it.

Needs the extra ``cimbo[onnx]``. Shapes must be static (a free batch dimension counts as 1).
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.workloads.layers import Layer, Workload, vector_work

# Vector function of each operator, counted on its output elements ("pool": on its input elements).
_VECTOR = {
    "Relu": "relu",
    "Clip": "relu",
    "LeakyRelu": "relu",
    "PRelu": "relu",
    "Max": "relu",
    "Min": "relu",
    "Add": "add",
    "Sub": "add",
    "Sum": "add",
    "Mul": "scale",
    "Div": "scale",
    "Pow": "scale",
    "Sqrt": "scale",
    "Neg": "scale",
    "Abs": "scale",
    "Reciprocal": "scale",
    "Resize": "scale",
    "Exp": "tanh",
    "Log": "tanh",
    "Elu": "tanh",
    "Softplus": "tanh",
    "InstanceNormalization": "layernorm",
    "GroupNormalization": "layernorm",
    "ArgMax": "pool",
    "Sigmoid": "hsigmoid",
    "HardSigmoid": "hsigmoid",
    "HardSwish": "hswish",
    "Erf": "gelu",
    "Gelu": "gelu",
    "Tanh": "tanh",
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "LayerNormalization": "layernorm",
    "LRN": "layernorm",
    "BatchNormalization": "requantise",
    "MaxPool": "pool",
    "AveragePool": "pool",
    "GlobalAveragePool": "pool",
    "GlobalMaxPool": "pool",
    "ReduceMean": "pool",
    "ReduceSum": "pool",
    "ReduceMax": "pool",
}
_FREE = frozenset(
    (
        "Reshape",
        "Flatten",
        "Transpose",
        "Identity",
        "Dropout",
        "Squeeze",
        "Unsqueeze",
        "Concat",
        "Split",
        "Slice",
        "Gather",
    )
    + ("Shape", "Constant", "Cast", "Expand", "ConstantOfShape", "Pad", "Where", "Equal", "Range")
    + ("QuantizeLinear", "DequantizeLinear")
)
Sizes = dict[str, list[int]]


def from_onnx(file: str | Path) -> Workload:
    """The workload of an ONNX file.

    Raises BadInput when ``onnx`` is not installed, the file cannot be read, a shape is unknown, or a node has an
    operator we do not know, naming the node.
    """
    graph, sizes = _load(Path(file))
    constants = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    constants |= {node.output[0]: 0 for node in graph.node if node.op_type == "Constant"}
    layers: list[Layer] = []
    for index, node in enumerate(graph.node):
        where = f"{file}: node {node.name or index} ({node.op_type})"
        if node.op_type not in _FREE and (
            len(node.input) < 1 + (node.op_type in _LAYERS) or not node.output
        ):
            raise BadInput(where, "lacks an input or an output", "export the network again")
        if node.op_type in _LAYERS:
            layers.append(_LAYERS[node.op_type](where, node, (sizes, constants)))
        elif node.op_type in _VECTOR:
            _add_work(layers, _work(where, node, sizes))
        elif node.op_type not in _FREE:
            known = ", ".join(sorted((*_LAYERS, *_VECTOR)))
            raise BadInput(where, "is an operator we do not know", f"replace it by one of {known}")
    weights = sum(layer.stationary for layer in layers if not layer.dynamic)
    if not layers:
        raise BadInput(
            file,
            "holds no product of matrices",
            "give a network with a convolution or a linear layer",
        )
    return Workload(Path(file).stem, tuple(layers), max(sum(constants.values()) - weights, 0))


def _load(file: Path) -> tuple[Any, Sizes]:
    try:
        import onnx  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise BadInput(file, "needs the onnx package", "pip install 'cimbo[onnx]'") from None
    try:
        model = onnx.load(str(file), load_external_data=False)  # shapes are enough
    except Exception as error:  # its parsers raise their own kinds
        raise BadInput(
            file, f"cannot be read as ONNX ({type(error).__name__})", "give a valid .onnx file"
        ) from None
    with suppress(Exception):  # a file that breaks a rule of its version may still carry its shapes
        model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    sizes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        # A free leading dimension is the batch; any other free one stays 0 and is refused where it matters.
        found = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        sizes.setdefault(value.name, [found[0] or 1, *found[1:]] if found else found)
    return graph, sizes


def _size(where: str, sizes: Sizes, name: str) -> list[int]:
    found = sizes.get(name)
    if not found or min(found) <= 0:
        raise BadInput(
            where,
            f"the shape of {name} is {found or 'unknown'}",
            "export the file with static shapes",
        )
    return found


def _attribute(node: Any, name: str, default: list[int]) -> list[int]:
    for attribute in node.attribute:
        if attribute.name == name:
            return list(attribute.ints) or [attribute.i]
    return default


def _conv(where: str, node: Any, tables: tuple[Sizes, dict[str, int]]) -> Layer:
    sizes, _ = tables
    weight, output = _size(where, sizes, node.input[1]), _size(where, sizes, node.output[0])
    given = _size(where, sizes, node.input[0])
    groups, stride = _attribute(node, "group", [1])[0], _attribute(node, "strides", [1])[0]
    if len(given) != len(weight) or given[1] != weight[1] * groups:
        wrong = f"its weights take {weight[1] * groups} channels, and {given[1] if given[1:] else 'none'} come in"
        raise BadInput(where, wrong, "export the network again")
    square = (
        len(weight) == 4 and weight[2] == weight[3]
    )  # any other window counts as a product that reads it whole
    px, elements = math.prod(output[2:]), math.prod(output[1:])
    return Layer(
        node.name or node.output[0],
        "depthwise" if groups > 1 and weight[1] == 1 else "conv",
        px,
        math.prod(weight[1:]),
        weight[0] // groups,
        groups,
        vector_ops=vector_work(requantise=elements),
        inputs=math.prod(given[1:]),
        outputs=elements,
        kernel=weight[2] if square else 1,
        stride=stride if square else 1,
        width=output[-1],
    )


def _product(where: str, node: Any, tables: tuple[Sizes, dict[str, int]]) -> Layer:
    """MatMul and Gemm: a constant second operand is a weight, any other an activation (attention)."""
    sizes, constants = tables
    left, right = _size(where, sizes, node.input[0]), _size(where, sizes, node.input[1])
    output = _size(where, sizes, node.output[0])
    dynamic = node.input[1] not in constants
    groups = math.prod(right[:-2]) if dynamic else 1
    elements = math.prod(output)
    return Layer(
        node.name or node.output[0],
        "attention" if dynamic else "linear",
        elements // output[-1] // groups,
        math.prod(right[-2:]) // output[-1],
        output[-1],
        groups,
        dynamic=dynamic,
        inputs=math.prod(left),
        outputs=elements,
        vector_ops=vector_work(requantise=elements),
    )


_LAYERS: dict[str, Callable[[str, Any, tuple[Sizes, dict[str, int]]], Layer]] = {
    "Conv": _conv,
    "Gemm": _product,
    "MatMul": _product,
}


def _work(where: str, node: Any, sizes: Sizes) -> int:
    function = _VECTOR[node.op_type]
    tensor = node.input[0] if function == "pool" else node.output[0]
    return vector_work(**{function: math.prod(_size(where, sizes, tensor))})


def _add_work(layers: list[Layer], operations: int) -> None:
    """Vector work follows the layer before it; what comes before the first product is preparation of the input."""
    if layers:
        layers[-1] = replace(layers[-1], vector_ops=layers[-1].vector_ops + operations)
