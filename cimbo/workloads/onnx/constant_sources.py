"""Which stored tensors a constant of a graph is made of."""

from __future__ import annotations

from typing import Any

from cimbo.workloads.onnx.quantised import stored_scales
from cimbo.workloads.onnx.tensors import INT64_TYPE, Tensor, names

# Operators whose first input alone gives the elements of what they make, and those of which none does.
_OF_FIRST = names(
    "DequantizeLinear Reshape Expand Slice Pad Tile Squeeze Unsqueeze Split Gather GatherElements GatherND"
)
_OF_SHAPES = names("ConstantOfShape Shape Size Range EyeLike RandomNormalLike RandomUniformLike")


def sources_of(node: Any, inputs: tuple[Tensor | None, ...]) -> frozenset[str]:
    """Finds the stored tensors that a constant is made of.

    Only those count whose elements it has: not scales and zero points of quantised tensors, and not axes, indices or
    shapes that an operator reads beside them.

    Args:
        node: The node that makes the constant.
        inputs: What it reads; None where an optional input is left out.

    Returns:
        Names of the stored tensors.
    """
    if node.op_type in _OF_SHAPES:
        return frozenset()
    if node.op_type in _OF_FIRST:
        read = inputs[:1]
    else:
        read = inputs
    scales = stored_scales(node, inputs)
    sources: frozenset[str] = frozenset()
    for index, tensor in enumerate(read):
        if tensor is None or index in scales:
            continue
        if index > 0 and _is_index(tensor, read[0]):
            continue
        sources |= tensor.sources
    return sources


def _is_index(tensor: Tensor, first: Tensor | None) -> bool:
    """Tells whether an input after the ``first`` holds axes or indices: int64 beside elements of another type."""
    first_differs = first is None or first.element_type != INT64_TYPE
    return tensor.element_type == INT64_TYPE and first_differs
