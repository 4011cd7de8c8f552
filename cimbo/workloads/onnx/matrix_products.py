"""Conv, MatMul, Gemm and their quantised and fused forms, as products."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.contrib_shapes import transposed_shape
from cimbo.workloads.onnx.einsum import einsum
from cimbo.workloads.onnx.products import Operation, Places, Product, Rule, bias_of


def convolution(op: Operation, places: Places) -> list[Product]:
    """Reads Conv and its quantised forms: weights (outputs, inputs / groups, *window).

    Args:
        op: The node.
        places: Which of its inputs are image, weights and biases.

    Returns:
        One product.

    Raises:
        BadInput: When a size is unknown, or channels and groups do not fit the weights.
    """
    # The image is (batch, channels, *spatial), or (batch, *spatial, channels) with channels_last.
    image, weights = op.shape(places.left), op.shape(places.right)
    groups = op.integer("group", 1)
    output = op.output_shape(len(weights))
    channels_last = op.integer("channels_last")
    if channels_last:
        channels = image[-1]
    elif len(image) > 1:
        channels = image[1]
    else:
        channels = 0
    _check_channels(op, (image, weights), channels, groups)
    spatial = output[1:-1] if channels_last else output[2:]
    is_square = len(weights) == 4 and weights[2] == weights[3]
    strides = attributes.integers(op.node, "strides")
    return [
        Product(
            kind="depthwise" if groups > 1 and weights[1] == 1 else "conv",
            groups=groups,
            positions=output[0] * math.prod(spatial),
            reduction=math.prod(weights[1:]),
            outputs=weights[0] // groups,
            moving=op.input(places.left),
            stationary=op.input(places.right),
            produced=math.prod(output),
            biases=bias_of(op, places),
            kernel=weights[2] if is_square else 1,
            stride=strides[0] if is_square and strides else 1,
            width=spatial[-1] if spatial else 1,
        )
    ]


def _check_channels(
    op: Operation, shapes: tuple[tuple[int, ...], tuple[int, ...]], channels: int, groups: int
) -> None:
    """Refuses a convolution whose image and weights (``shapes``), ``channels`` and ``groups`` do not fit."""
    image, weights = shapes
    channels_taken = weights[1] * groups
    if groups < 1 or len(image) != len(weights) or channels != channels_taken:
        raise op.wrong(
            f"its weights take {channels_taken} channels, and {channels or 'none'} come in"
        )
    if weights[0] % groups:
        raise op.wrong(f"its {weights[0]} outputs are not divisible by {groups} groups")


def transposed_convolution(op: Operation, places: Places) -> list[Product]:
    """Reads ConvTranspose.

    Each position of the image is multiplied with all weights (inputs, outputs / groups, *window); where windows
    overlap in the output, results are summed. So the image's positions are counted, not the output's.

    Args:
        op: The node.
        places: Which of its inputs are image, weights and biases.

    Returns:
        One product.

    Raises:
        BadInput: When a size is unknown, or channels and groups do not fit the weights.
    """
    image, weights = op.shape(places.left), op.shape(places.right)
    groups = op.integer("group", 1)
    if len(image) != len(weights) or image[1] != weights[0] or groups < 1 or weights[0] % groups:
        raise op.wrong(f"its weights take {weights[0]} channels, and {image[1:2]} come in")
    is_depthwise = groups > 1 and weights[0] == groups and weights[1] == 1
    return [
        Product(
            kind="depthwise" if is_depthwise else "conv",
            groups=groups,
            positions=image[0] * math.prod(image[2:]),
            reduction=weights[0] // groups,
            outputs=math.prod(weights[1:]),
            moving=op.input(places.left),
            stationary=op.input(places.right),
            produced=math.prod(op.output_shape(len(weights))),
            biases=bias_of(op, places),
            width=image[-1],
        )
    ]


def matrix_product(op: Operation, places: Places) -> list[Product]:
    """Reads MatMul, Gemm and their quantised and fused forms.

    A constant operand is the weight and stays in the array (``stationary``), on whichever side it stands. Of two
    activations, or two constants, the right one stays.

    Args:
        op: The node.
        places: Which of its inputs are the operands and the biases.

    Returns:
        One product.

    Raises:
        BadInput: When a size is unknown, or the operands do not fit.
    """
    left, right = op.input(places.left), op.input(places.right)
    left_shape = transposed_shape(op.shape(places.left), op.integer("transA"))
    right_shape = transposed_shape(op.shape(places.right), op.integer("transB"))
    if not left_shape or not right_shape:
        raise op.wrong(f"{left.name} or {right.name} is a single number")
    # A vector counts as a matrix of one row (left) or one column (right), as in NumPy's matmul.
    left_shape = (1, *left_shape) if len(left_shape) == 1 else left_shape
    right_shape = (*right_shape, 1) if len(right_shape) == 1 else right_shape
    rows, reduction = int(left_shape[-2] or 0), int(left_shape[-1] or 0)
    columns = int(right_shape[-1] or 0)
    if reduction != right_shape[-2]:
        raise op.wrong(
            f"{left.name} has {reduction} columns and {right.name} {right_shape[-2]} rows"
        )
    n_products = _n_broadcast_products(op, left_shape[:-2], right_shape[:-2])
    moving, stationary, stationary_batch = left, right, right_shape[:-2]
    if left.constant and not right.constant:
        moving, stationary, stationary_batch = right, left, left_shape[:-2]
        rows, columns = columns, rows
    # Products that share a stationary matrix are one group: their vectors go through it one after another.
    groups = math.prod(int(size or 0) for size in stationary_batch)
    return [
        Product(
            kind="linear" if stationary.constant else "attention",
            groups=groups,
            positions=n_products // groups * rows,
            reduction=reduction,
            outputs=columns,
            moving=moving,
            stationary=stationary,
            produced=n_products * rows * columns,
            biases=bias_of(op, places),
        )
    ]


def general_matrix_product(op: Operation, places: Places) -> list[Product]:
    """Reads Gemm: as MatMul, but of matrices only.

    Args:
        op: The node.
        places: Which of its inputs are the operands and the biases.

    Returns:
        One product.

    Raises:
        BadInput: When an operand is no matrix, and as `matrix_product` does.
    """
    for place in (places.left, places.right):
        if len(op.shape(place)) != 2:
            raise op.wrong(f"{op.input(place).name} is no matrix")
    return matrix_product(op, places)


def _n_broadcast_products(
    op: Operation, left_batch: Sequence[int | None], right_batch: Sequence[int | None]
) -> int:
    """Counts the matrix products of two stacks of matrices, broadcast as NumPy's matmul does.

    Args:
        op: The node, for the error.
        left_batch: Sizes before the last two of the left operand; an unknown one (None) counts as 0.
        right_batch: Those of the right operand.

    Returns:
        How many products there are.

    Raises:
        BadInput: When two sizes differ and neither is 1.
    """
    rank = max(len(left_batch), len(right_batch))
    padded = []  # both at the same rank: sizes of 1 are put in front of the shorter one
    for sizes in (left_batch, right_batch):
        known = [int(size or 0) for size in sizes]
        padded.append([1] * (rank - len(known)) + known)
    n_products = 1
    for left, right in zip(*padded, strict=True):
        if left != right and 1 not in (left, right):
            raise op.wrong(f"batches of {left} and {right} do not fit")
        n_products *= max(left, right)
    return n_products


def blockwise_product(op: Operation, places: Places) -> list[Product]:
    """Reads MatMulNBits and MatMulBnb4: weights are packed in bytes, so their sizes are attributes (K x N).

    Args:
        op: The node.
        places: Which of its inputs are the biases; the operands are the first two.

    Returns:
        One product.

    Raises:
        BadInput: When a size is unknown, or the input does not fit the weights.
    """
    activations = op.shape(0)  # (..., K)
    reduction, columns = op.integer("K"), op.integer("N")
    if min(reduction, columns) < 1 or activations[-1] != reduction:
        raise op.wrong(f"it multiplies {reduction} by {columns}, and {activations[-1]} come in")
    rows = math.prod(activations[:-1])
    return [
        Product(
            kind="linear",
            groups=1,
            positions=rows,
            reduction=reduction,
            outputs=columns,
            moving=op.input(0),
            stationary=op.input(1),
            produced=rows * columns,
            biases=bias_of(op, places),
            weight_bits=op.integer("bits", 4),
            weights=reduction * columns,
        )
    ]


def _at(
    rule: Callable[..., list[Product]],
    left: int = 0,
    right: int = 1,
    bias: int | None = 2,
) -> Rule:
    """``rule`` for an operator whose schema has its operands and its bias at these input numbers."""
    return partial(rule, places=Places(left, right, bias))


MATRIX_PRODUCTS: dict[str, Rule] = {
    "Conv": _at(convolution),
    "ConvInteger": _at(convolution, 0, 1, None),
    "ConvTranspose": _at(transposed_convolution),
    "DeformConv": _at(convolution, 0, 1, 3),
    "DynamicQuantizeMatMul": _at(matrix_product, 0, 1, 4),
    "Einsum": _at(einsum, 0, 1, None),
    "FusedConv": _at(convolution),
    "FusedGemm": _at(general_matrix_product),
    "FusedMatMul": _at(matrix_product, 0, 1, None),
    "Gemm": _at(general_matrix_product),
    "MatMul": _at(matrix_product, 0, 1, None),
    "MatMulBnb4": _at(blockwise_product, 0, 1, None),
    "MatMulInteger": _at(matrix_product, 0, 1, None),
    "MatMulIntegerToFloat": _at(matrix_product, 0, 1, 6),
    "MatMulNBits": _at(blockwise_product, 0, 1, 5),
    "QGemm": _at(matrix_product, 0, 3, 6),
    "QLinearConv": _at(convolution, 0, 3, 8),
    "QLinearMatMul": _at(matrix_product, 0, 3, None),
}
