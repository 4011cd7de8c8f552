"""Shapes of the operators of onnxruntime's domain ``com.microsoft``, which onnx itself has no inference for.

Source of each rule: the operators' schemas in onnxruntime's docs/ContribOperators.md (inputs are numbered as there).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cimbo.workloads.onnx.attributes import integer, integers
from cimbo.workloads.onnx.tensors import BOOL_TYPE, FLOAT_TYPE, UINT8_TYPE, Made, Tensor

Inputs = Sequence[Tensor | None]
Sizes = tuple[int | None, ...]
Rule = Callable[[Any, Inputs], list[Made]]


def _shape_of(inputs: Inputs, index: int) -> Sizes:
    """The shape of an input; TypeError where its rank is unknown, which ends the inference of the node."""
    tensor = inputs[index]
    if tensor is None or tensor.shape is None:
        raise TypeError("its shape is unknown")
    return tensor.shape


def _type_of(inputs: Inputs, index: int) -> int:
    """The element type of an input; float where it is left out."""
    tensor = inputs[index] if index < len(inputs) else None
    if tensor is None:
        return FLOAT_TYPE
    return tensor.element_type


def _padded(node: Any, first: list[Made]) -> list[Made]:
    """One entry for each of the node's outputs: what is known of the ``first`` ones, and nothing of the others."""
    n_outputs = len(node.output)
    unknown = [Made(None, 0)] * max(n_outputs - len(first), 0)
    return [*first[:n_outputs], *unknown]


def _same(node: Any, inputs: Inputs) -> list[Made]:
    """Every output as the first input."""
    return [Made(_shape_of(inputs, 0), _type_of(inputs, 0))] * len(node.output)


def _first_same(node: Any, inputs: Inputs) -> list[Made]:
    """The first output as the first input, in shape and type; of others nothing is known."""
    return _padded(node, [Made(_shape_of(inputs, 0), _type_of(inputs, 0))])


def _float_same(node: Any, inputs: Inputs) -> list[Made]:
    """The first output in the shape of the first input, as floats."""
    return _padded(node, [Made(_shape_of(inputs, 0), FLOAT_TYPE)])


def _quantised(node: Any, inputs: Inputs) -> list[Made]:
    """QuantizeLinear: the type of the zero point, uint8 where there is none."""
    if len(inputs) > 2:
        element_type = _type_of(inputs, 2)
    else:
        element_type = UINT8_TYPE
    return [Made(_shape_of(inputs, 0), element_type)]


def _broadcast_of(first: int, second: int) -> Rule:
    """The rule of an operator on two tensors element by element, the inputs with these numbers."""

    def rule(node: Any, inputs: Inputs) -> list[Made]:
        """The shape that both inputs are broadcast to, of the first one's type."""
        left, right = _all_known(_shape_of(inputs, first)), _all_known(_shape_of(inputs, second))
        return [Made(np.broadcast_shapes(left, right), _type_of(inputs, first))]

    return rule


def product_shape(left: Sizes, right: Sizes) -> Sizes:
    """Computes the shape of NumPy's matmul.

    Args:
        left: Sizes of the left operand.
        right: Sizes of the right operand.

    Returns:
        Sizes of the product.

    Raises:
        TypeError: When a leading size is unknown.
        ValueError: When the leading sizes do not fit.
    """
    batch = np.broadcast_shapes(_all_known(left[:-2]), _all_known(right[:-2]))
    rows = left[-2:-1]  # none where the left operand is a vector
    if len(right) > 1:
        return (*batch, *rows, right[-1])
    return (*batch, *rows)


def _all_known(sizes: Sizes) -> tuple[int, ...]:
    """The same sizes; TypeError where one is unknown, which ends the inference of the node."""
    known = tuple(size for size in sizes if size is not None)
    if len(known) != len(sizes):
        raise TypeError("a size is unknown")
    return known


def transposed_shape(shape: Sizes, transposed: int) -> Sizes:
    """Exchanges the last two sizes of a shape where an operand is transposed.

    Args:
        shape: The sizes, at least two where it is transposed.
        transposed: The node's attribute; 0: leave the shape as it is.

    Returns:
        The sizes.
    """
    if transposed:
        return *shape[:-2], shape[-1], shape[-2]
    return shape


def _product_of(first: int, second: int, *, keeps_type: bool = False) -> Rule:
    """The rule of a matrix product of the inputs with these numbers, of the first one's type or of floats."""

    def rule(node: Any, inputs: Inputs) -> list[Made]:
        """The shape of the product of both inputs, each transposed where the node says so."""
        left = transposed_shape(_shape_of(inputs, first), integer(node, "transA"))
        right = transposed_shape(_shape_of(inputs, second), integer(node, "transB"))
        if keeps_type:
            element_type = _type_of(inputs, first)
        else:
            element_type = FLOAT_TYPE
        return [Made(product_shape(left, right), element_type)]

    return rule


def _blockwise_product(node: Any, inputs: Inputs) -> list[Made]:
    """MatMulNBits and MatMulBnb4: input (..., K) by packed weights (K x N) gives (..., N)."""
    return [Made((*_shape_of(inputs, 0)[:-1], integer(node, "N")), _type_of(inputs, 0))]


def _attention(node: Any, inputs: Inputs) -> list[Made]:
    """Attention and QAttention: input (batch, tokens, width), weights (width, queries + keys + values)."""
    # Widths of queries, keys and values; empty where all three are equal
    widths = integers(node, "qkv_hidden_sizes")
    packed_width = _shape_of(inputs, 1)[1]
    value_width = widths[2] if widths else (packed_width or 0) // 3
    batch_and_tokens = _shape_of(inputs, 0)[:2]
    return _padded(node, [Made((*batch_and_tokens, value_width), _type_of(inputs, 2))])


def _multi_head(node: Any, inputs: Inputs) -> list[Made]:
    """MultiHeadAttention: (batch, tokens, width of the values); inputs are queries, keys and values."""
    query, value = _shape_of(inputs, 0), inputs[2] if len(inputs) > 2 else None
    if len(query) == 5:  # packed: batch, tokens, heads, 3, head size
        width = int(query[2] or 0) * int(query[4] or 0)
    elif value is not None and value.shape is not None and len(value.shape) == 3:
        width = int(value.shape[2] or 0)
    else:  # values as heads, (batch, heads, tokens, head size): as wide as the queries
        width = int(query[2] or 0)
    return _padded(node, [Made((*query[:2], width), _type_of(inputs, 0))])


def _grouped_query(node: Any, inputs: Inputs) -> list[Made]:
    """GroupQueryAttention: the result (batch, tokens, heads x size), then the caches of keys and of values."""
    query = _shape_of(inputs, 0)
    heads, shared = integer(node, "num_heads"), integer(node, "kv_num_heads")
    key = inputs[1] if len(inputs) > 1 else None
    # Without an input of keys, the first input holds queries, keys and values.
    heads_in_first = heads + 2 * shared if key is None else heads
    size = int(query[2] or 0) // heads_in_first
    tokens = key_tokens(node, inputs)
    cache = Made((query[0], shared, tokens, size), _type_of(inputs, 0))
    return _padded(node, [Made((*query[:2], heads * size), _type_of(inputs, 0)), cache, cache])


def key_tokens(node: Any, inputs: Inputs) -> int | None:
    """Counts the keys that each query of GroupQueryAttention is compared with.

    It is the total length where that is known (input 6), else the length of the cache (input 3) and
    the new tokens.

    Args:
        node: A NodeProto.
        inputs: What is known of its inputs.

    Returns:
        How many; None where a length is unknown.

    Raises:
        TypeError: When the shape of the first input is unknown.
    """
    total = inputs[6] if len(inputs) > 6 else None
    if total is not None and total.value is not None:
        return int(total.value.ravel()[0])
    past = inputs[3] if len(inputs) > 3 else None
    new_tokens = _shape_of(inputs, 0)[1]
    if past is None or past.shape is None:
        return new_tokens
    past_tokens = past.shape[2]  # the cache is (batch, heads, tokens, size)
    if new_tokens is None or past_tokens is None:
        return None
    return past_tokens + new_tokens


def _pool(node: Any, inputs: Inputs) -> list[Made]:
    """QLinearGlobalAveragePool: the image with every spatial size 1."""
    batch, *rest = _shape_of(inputs, 0)
    channels_last = integer(node, "channels_last")
    channels = rest[-1] if channels_last else rest[0]
    ones: list[int | None] = [1] * (len(rest) - 1)
    if channels_last:
        shape = (batch, *ones, channels)
    else:
        shape = (batch, channels, *ones)
    return [Made(shape, _type_of(inputs, 0))]


def _joined(node: Any, inputs: Inputs) -> list[Made]:
    """QLinearConcat: scale, zero point, then (tensor, scale, zero point) of each part."""
    parts = [_shape_of(inputs, index) for index in range(2, len(inputs), 3)]
    axis = integer(node, "axis") % len(parts[0])
    shape = list(parts[0])
    shape[axis] = sum(_all_known(tuple(part[axis] for part in parts)))
    return [Made(tuple(shape), _type_of(inputs, 2))]


def _embedding(node: Any, inputs: Inputs) -> list[Made]:
    """EmbedLayerNormalization: ids (batch, tokens), segments, then the table of words."""
    return _padded(node, [Made((*_shape_of(inputs, 0), _shape_of(inputs, 2)[1]), FLOAT_TYPE)])


def _block_lookup(node: Any, inputs: Inputs) -> list[Made]:
    """GatherBlockQuantized: data, indices, scales; packs several elements a byte where the data are bytes."""
    bits = integer(node, "bits", 4)
    elements_in_one = 8 // bits if _type_of(inputs, 0) == UINT8_TYPE else 1
    width = int(_shape_of(inputs, 0)[-1] or 0) * elements_in_one
    return [Made((*_shape_of(inputs, 1), width), _type_of(inputs, 2))]


def _compared(node: Any, inputs: Inputs) -> list[Made]:
    """A comparison of two tensors, element by element."""
    (broadcast,) = _broadcast_of(0, 1)(node, inputs)
    return [Made(broadcast.shape, BOOL_TYPE)]


# Standard operators that onnx defines by a function of others at some opsets, and infers no shape of there.
FUNCTION_SHAPES: dict[str, Rule] = {
    "Celu": _same,
    "Clip": _same,
    "Elu": _same,
    "GreaterOrEqual": _compared,
    "Gelu": _same,
    "GroupNormalization": _same,
    "HardSwish": _same,
    "LayerNormalization": _first_same,
    "LessOrEqual": _compared,
    "LogSoftmax": _same,
    "MeanVarianceNormalization": _same,
    "Mish": _same,
    "PRelu": _same,
    "RMSNormalization": _first_same,
    "RotaryEmbedding": _same,
    "Selu": _same,
    "Softmax": _same,
    "Softsign": _same,
    "Swish": _same,
    "ThresholdedRelu": _same,
}

CONTRIB_SHAPES: dict[str, Rule] = {
    "Attention": _attention,
    "BiasGelu": _first_same,
    "BiasSplitGelu": _first_same,
    "DecoderMaskedMultiHeadAttention": _multi_head,
    "DequantizeLinear": _float_same,
    "DynamicQuantizeMatMul": _product_of(0, 1),
    "EmbedLayerNormalization": _embedding,
    "FastGelu": _first_same,
    "FusedMatMul": _product_of(0, 1, keeps_type=True),
    "GatherBlockQuantized": _block_lookup,
    "Gelu": _same,
    "GroupQueryAttention": _grouped_query,
    "MatMulBnb4": _blockwise_product,
    "MatMulIntegerToFloat": _product_of(0, 1),
    "MatMulNBits": _blockwise_product,
    "MultiHeadAttention": _multi_head,
    "QAttention": _attention,
    "QGemm": _product_of(0, 3, keeps_type=True),
    "QLinearAdd": _broadcast_of(0, 3),
    "QLinearConcat": _joined,
    "QLinearGlobalAveragePool": _pool,
    "QLinearLeakyRelu": _same,
    "QLinearMul": _broadcast_of(0, 3),
    "QLinearSigmoid": _same,
    "QLinearSoftmax": _same,
    "QuickGelu": _same,
    "QuantizeLinear": _quantised,
    "RotaryEmbedding": _same,
    "SimplifiedLayerNormalization": _first_same,
    "SkipLayerNormalization": _first_same,
    "SkipSimplifiedLayerNormalization": _first_same,
}
