"""Biases that a node of their own adds to a product: part of it, as those are that the product itself holds."""

from collections.abc import Sequence
from typing import Any

from cimbo.workloads.onnx.matrix_products import MATRIX_PRODUCTS
from cimbo.workloads.onnx.quantised import rescales
from cimbo.workloads.onnx.tensors import Tensor

# Operators that may stand between a product and the addition of its bias.
_CONVERSION_OPERATORS = frozenset({"Cast", "DequantizeLinear", "QuantizeLinear"})
_ADDED_INPUTS = {"Add": (0, 1), "QLinearAdd": (0, 3)}


def is_weighted_sum(node: Any, inputs: Sequence[Tensor | None]) -> bool:
    """Tells whether a node leaves the result of a product with weights.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        True for such a product, and for a conversion of its result.
    """
    given = [tensor for tensor in inputs if tensor is not None]
    if node.op_type in MATRIX_PRODUCTS:
        return any(tensor.constant and len(tensor.shape or ()) > 1 for tensor in given)
    if node.op_type in _CONVERSION_OPERATORS:
        return bool(given) and given[0].weighted_sum
    return rescales(node, inputs) and any(tensor.weighted_sum for tensor in given)


def adds_bias(node: Any, inputs: Sequence[Tensor | None]) -> bool:
    """Tells whether a node adds a constant vector to the result of a product with weights.

    Such a bias costs the vector unit nothing further, as that of Conv or Gemm does not.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        True where it only does that.
    """
    places = _ADDED_INPUTS.get(node.op_type)
    if places is None or len(inputs) <= max(places):
        return False
    first, second = inputs[places[0]], inputs[places[1]]
    if first is None or second is None:
        return False
    if first.constant:
        first, second = second, first
    return first.weighted_sum and second.constant and _is_vector(second)


def _is_vector(tensor: Tensor) -> bool:
    sizes = tensor.known_shape
    return sizes is not None and sum(size > 1 for size in sizes) <= 1
