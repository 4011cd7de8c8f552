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
    """Finds the stored tensors that a constant is made of: of what is quantised its integers, not their scales.

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
    others = stored_scales(node, inputs)
    found: frozenset[str] = frozenset()
    for index, tensor in enumerate(read):
        if tensor is None or index in others or (index and _is_index(tensor, read[0])):
            continue
        found |= tensor.sources
    return found


def _is_index(tensor: Tensor, first: Tensor | None) -> bool:
    """Tells whether an input beside the first one is a list of axes or indices."""
    of_another_type = first is None or first.element_type != INT64_TYPE
    return tensor.element_type == INT64_TYPE and of_another_type
