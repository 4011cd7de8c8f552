"""Biases that a node of their own adds to a product: part of it, as those are that the product itself holds."""

from collections.abc import Sequence
from typing import Any

from cimbo.workloads.onnx.matrix_products import MATRIX_PRODUCTS
from cimbo.workloads.onnx.quantised import rescales
from cimbo.workloads.onnx.tensors import Tensor

# Operators that may stand between a product and the addition of its bias.
_CONVERSION_OPERATORS = frozenset({"Cast", "DequantizeLinear", "QuantizeLinear"})
# Numbers of the two inputs that are added, by operator.
_ADDED_INPUTS = {"Add": (0, 1), "QLinearAdd": (0, 3)}


def is_weighted_sum(node: Any, inputs: Sequence[Tensor | None]) -> bool:
    """Tells whether what a node makes is the result of a matrix product with weights, so that a bias may follow.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        True for such a product, and for a conversion or a rescaling of its result.
    """
    present = [tensor for tensor in inputs if tensor is not None]
    if node.op_type in MATRIX_PRODUCTS:
        return any(tensor.constant and len(tensor.shape or ()) > 1 for tensor in present)
    if node.op_type in _CONVERSION_OPERATORS:
        return bool(present) and present[0].weighted_sum
    return rescales(node, inputs) and any(tensor.weighted_sum for tensor in present)


def adds_bias(node: Any, inputs: Sequence[Tensor | None]) -> bool:
    """Tells whether a node adds a constant vector to the result of a product with weights.

    Such a bias costs the vector unit nothing further, as that of Conv or Gemm does not.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        True where a sum with such a vector is all that the node computes.
    """
    numbers = _ADDED_INPUTS.get(node.op_type)
    if numbers is None or len(inputs) <= max(numbers):
        return False
    product, bias = inputs[numbers[0]], inputs[numbers[1]]
    if product is None or bias is None:
        return False
    if product.constant:  # the bias may stand first
        product, bias = bias, product
    return product.weighted_sum and bias.constant and _is_vector(bias)


def _is_vector(tensor: Tensor) -> bool:
    """Tells whether all sizes but one are 1, as of a bias (channels,) or (1, channels, 1, 1)."""
    sizes = tensor.known_shape
    return sizes is not None and sum(size > 1 for size in sizes) <= 1
