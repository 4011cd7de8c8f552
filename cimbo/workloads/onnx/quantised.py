"""What quantisation leaves in a file: scales and zero points, which are no parameters, and the bits of stored tensors."""

from collections.abc import Sequence
from typing import Any

from cimbo.workloads.onnx.tensors import Made, Tensor, bits_of
from cimbo.workloads.onnx.vector import SAME_ELEMENTS

# Inputs that hold scales, zero points and group indices, by operator.
SCALE_INPUTS: dict[str, tuple[int, ...]] = {
    "ConvInteger": (2, 3),
    "DequantizeLinear": (1, 2),
    "DynamicQuantizeLSTM": (8, 9, 10, 11),
    "DynamicQuantizeMatMul": (2, 3),
    "GatherBlockQuantized": (2, 3),
    "MatMulBnb4": (2,),
    "MatMulInteger": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "MatMulNBits": (2, 3, 4),
    "QAttention": (3, 4, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2),
}
# Inputs that hold a bias in 32 bits, or what may be one, by operator.
WIDE_BIAS_INPUTS = {"DequantizeLinear": 0, "QGemm": 6, "QLinearConv": 8}
# Operators with a scale and a zero point of the result first, then (tensor, scale, zero point) of each part.
_PACKED_SCALES = ("QLinearConcat",)
_INTEGER_PRODUCTS = frozenset({"ConvInteger", "MatMulInteger"})
# Inputs that hold running means and variances, by operator.
STATISTICS_INPUTS = {"BatchNormalization": (3, 4)}


def not_parameters(node: Any, inputs: Sequence[Tensor | None]) -> set[int]:
    """Finds the inputs that are stored but not trained: scales, zero points, running statistics.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        Numbers of such inputs, some of which the node may lack.
    """
    if node.op_type == "Mul" and any(tensor is not None and tensor.is_scale for tensor in inputs):
        return set(range(len(inputs)))
    return stored_scales(node, inputs)


def stored_scales(node: Any, inputs: Sequence[Tensor | None]) -> set[int]:
    """Finds the inputs that hold scales, zero points or running statistics by their place.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        Numbers of such inputs, some of which the node may lack.
    """
    name = node.op_type
    numbers = {*SCALE_INPUTS.get(name, ()), *STATISTICS_INPUTS.get(name, ())}
    if name.startswith("QLinear") and name not in SCALE_INPUTS:
        numbers |= {1, 2, 3, 4}  # one operand: its scale and zero point, and those of the result
    if name in _PACKED_SCALES:
        # The parts' tensors are inputs 2, 5, 8, ...; all other inputs are scales and zero points.
        numbers = {index for index in range(len(inputs)) if index < 2 or index % 3 != 2}
    return numbers


def rescales(node: Any, inputs: Sequence[Tensor | None]) -> bool:
    """Tells whether a node is a Mul that only scales an integer sum, or computes the scale for one.

    Its work is part of the requantisation that is counted with each product, so it costs nothing further.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        True where it does only that.
    """
    present = [tensor for tensor in inputs if tensor is not None]
    return node.op_type == "Mul" and any(each.integer_sum or each.is_scale for each in present)


def stored_bits(node: Any, inputs: Sequence[Tensor | None], made: Made) -> int:
    """Finds the bits of an output's elements as they are stored.

    Where the node dequantises its first input, or only moves or converts elements, they are that input's bits: a
    weight stays as wide as it was stored.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.
        made: The output, as inferred.

    Returns:
        Bits of an element; 0 where its type is unknown.
    """
    first = inputs[0] if inputs else None
    if first is not None and first.bits:
        if node.op_type == "DequantizeLinear" or node.op_type in SAME_ELEMENTS:
            return first.bits
        if first.constant and first.sources and node.op_type in ("Cast", "Mul", "Sub"):
            return first.bits
    return bits_of(made.element_type)


def is_integer_sum(node: Any, inputs: Sequence[Tensor | None]) -> bool:
    """Tells whether a node leaves an accumulator that still has to be scaled.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        True for a product of integers, and for a Cast of such a sum.
    """
    first = inputs[0] if inputs else None
    cast = node.op_type == "Cast" and first is not None and first.integer_sum
    return cast or node.op_type in _INTEGER_PRODUCTS


def is_running_scale(node: Any, inputs: Sequence[Tensor | None], output: int) -> bool:
    """Tells whether an output is a scale that is found while running.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.
        output: Number of the output.

    Returns:
        True for the scale that DynamicQuantizeLinear makes (its output 1), and for the product of such a scale
        with another factor, unless that factor is a sum of integers.
    """
    if node.op_type == "DynamicQuantizeLinear":
        return output == 1
    present = [tensor for tensor in inputs if tensor is not None]
    scales_a_sum = any(each.integer_sum for each in present)
    return node.op_type == "Mul" and not scales_a_sum and any(each.is_scale for each in present)
