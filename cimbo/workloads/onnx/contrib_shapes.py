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


def _of(inputs: Inputs, index: int) -> Sizes:
    tensor = inputs[index]
    if tensor is None or tensor.shape is None:
        raise TypeError("its shape is unknown")
    return tensor.shape


def _type(inputs: Inputs, index: int) -> int:
    tensor = inputs[index] if index < len(inputs) else None
    if tensor is None:
        return FLOAT_TYPE
    return tensor.element_type


def _padded(node: Any, first: list[Made]) -> list[Made]:
    """``first``, and nothing known of the node's other outputs."""
    missing = len(node.output) - len(first)
    return [*first[: len(node.output)], *[Made(None, 0)] * max(missing, 0)]


def _same(node: Any, inputs: Inputs) -> list[Made]:
    """Every output as the first input."""
    return [Made(_of(inputs, 0), _type(inputs, 0))] * len(node.output)


def _first_same(node: Any, inputs: Inputs) -> list[Made]:
    return _padded(node, [Made(_of(inputs, 0), _type(inputs, 0))])


def _float_same(node: Any, inputs: Inputs) -> list[Made]:
    return _padded(node, [Made(_of(inputs, 0), FLOAT_TYPE)])


def _quantised(node: Any, inputs: Inputs) -> list[Made]:
    """QuantizeLinear: the type of the zero point, uint8 where there is none."""
    if len(inputs) > 2:
        made = _type(inputs, 2)
    else:
        made = UINT8_TYPE
    return [Made(_of(inputs, 0), made)]


def _broadcast_of(first: int, second: int) -> Rule:
    def rule(node: Any, inputs: Inputs) -> list[Made]:
        """The shape that both inputs are broadcast to, of the first one's type."""
        left, right = _numbers(_of(inputs, first)), _numbers(_of(inputs, second))
        return [Made(np.broadcast_shapes(left, right), _type(inputs, first))]

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
    batch = np.broadcast_shapes(_numbers(left[:-2]), _numbers(right[:-2]))
    if len(right) > 1:
        return (*batch, *left[-2:-1], right[-1])
    return (*batch, *left[-2:-1])


def _numbers(sizes: Sizes) -> tuple[int, ...]:
    numbers = tuple(size for size in sizes if size is not None)
    if len(numbers) != len(sizes):
        raise TypeError("a size is unknown")
    return numbers


def turned(shape: Sizes, transposed: int) -> Sizes:
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


def _product_of(first: int, second: int, *, integer_out: bool = False) -> Rule:
    def rule(node: Any, inputs: Inputs) -> list[Made]:
        """The shape of the product of both inputs, each transposed where the node says so."""
        left = turned(_of(inputs, first), integer(node, "transA"))
        right = turned(_of(inputs, second), integer(node, "transB"))
        if integer_out:
            made = _type(inputs, first)
        else:
            made = FLOAT_TYPE
        return [Made(product_shape(left, right), made)]

    return rule


def _blockwise_product(node: Any, inputs: Inputs) -> list[Made]:
    return [Made((*_of(inputs, 0)[:-1], integer(node, "N")), _type(inputs, 0))]


def _attention(node: Any, inputs: Inputs) -> list[Made]:
    """Attention and QAttention: input (batch, tokens, width), weights (width, queries + keys + values)."""
    sizes = integers(node, "qkv_hidden_sizes")
    packed = _of(inputs, 1)[1]
    width = sizes[2] if sizes else (packed or 0) // 3
    return _padded(node, [Made((*_of(inputs, 0)[:2], width), _type(inputs, 2))])


def _multi_head(node: Any, inputs: Inputs) -> list[Made]:
    query, value = _of(inputs, 0), inputs[2] if len(inputs) > 2 else None
    if len(query) == 5:  # packed: batch, tokens, heads, 3, head size
        width = int(query[2] or 0) * int(query[4] or 0)
    elif value is not None and value.shape is not None and len(value.shape) == 3:
        width = int(value.shape[2] or 0)
    else:
        width = int(query[2] or 0)
    return _padded(node, [Made((*query[:2], width), _type(inputs, 0))])


def _grouped_query(node: Any, inputs: Inputs) -> list[Made]:
    query = _of(inputs, 0)
    heads, shared = integer(node, "num_heads"), integer(node, "kv_num_heads")
    key = inputs[1] if len(inputs) > 1 else None
    packed = heads + 2 * shared if key is None else heads
    size = int(query[2] or 0) // packed
    tokens = key_tokens(node, inputs)
    cache = Made((query[0], shared, tokens, size), _type(inputs, 0))
    return _padded(node, [Made((*query[:2], heads * size), _type(inputs, 0)), cache, cache])


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
    new = _of(inputs, 0)[1]
    if past is None or past.shape is None:
        return new
    if new is None or past.shape[2] is None:
        return None
    return past.shape[2] + new


def _pool(node: Any, inputs: Inputs) -> list[Made]:
    batch, *rest = _of(inputs, 0)
    last = integer(node, "channels_last")
    channels = rest[-1] if last else rest[0]
    ones: list[int | None] = [1] * (len(rest) - 1)
    if last:
        shape = (batch, *ones, channels)
    else:
        shape = (batch, channels, *ones)
    return [Made(shape, _type(inputs, 0))]


def _joined(node: Any, inputs: Inputs) -> list[Made]:
    """QLinearConcat: scale, zero point, then (tensor, scale, zero point) of each part."""
    parts = [_of(inputs, index) for index in range(2, len(inputs), 3)]
    axis = integer(node, "axis") % len(parts[0])
    shape = list(parts[0])
    shape[axis] = sum(_numbers(tuple(part[axis] for part in parts)))
    return [Made(tuple(shape), _type(inputs, 2))]


def _embedding(node: Any, inputs: Inputs) -> list[Made]:
    """EmbedLayerNormalization: ids (batch, tokens), segments, then the table of words."""
    return _padded(node, [Made((*_of(inputs, 0), _of(inputs, 2)[1]), FLOAT_TYPE)])


def _block_lookup(node: Any, inputs: Inputs) -> list[Made]:
    """GatherBlockQuantized: data, indices, scales; packs several elements a byte where the data are bytes."""
    bits = integer(node, "bits", 4)
    packing = 8 // bits if _type(inputs, 0) == 2 else 1
    width = int(_of(inputs, 0)[-1] or 0) * packing
    return [Made((*_of(inputs, 1), width), _type(inputs, 2))]


def _compared(node: Any, inputs: Inputs) -> list[Made]:
    """A comparison of two tensors, element by element."""
    made = _broadcast_of(0, 1)(node, inputs)
    return [Made(made[0].shape, BOOL_TYPE)]


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
    "FusedMatMul": _product_of(0, 1, integer_out=True),
    "GatherBlockQuantized": _block_lookup,
    "Gelu": _same,
    "GroupQueryAttention": _grouped_query,
    "MatMulBnb4": _blockwise_product,
    "MatMulIntegerToFloat": _product_of(0, 1),
    "MatMulNBits": _blockwise_product,
    "MultiHeadAttention": _multi_head,
    "QAttention": _attention,
    "QGemm": _product_of(0, 3, integer_out=True),
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
