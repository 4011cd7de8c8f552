"""Conv, MatMul, Gemm and their quantised and fused forms, as products."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.contrib_shapes import turned
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
    moving, weight = op.input(places.left), op.input(places.right)
    given, window = op.shape(places.left), op.shape(places.right)
    groups = op.integer("group", 1)
    made = op.output_shape(len(window))
    last = op.integer("channels_last")
    if last:
        channels = given[-1]
    elif len(given) > 1:
        channels = given[1]
    else:
        channels = 0
    _check_channels(op, (given, window), channels, groups)
    spatial = made[1:-1] if last else made[2:]
    square = len(window) == 4 and window[2] == window[3]
    strides = attributes.integers(op.node, "strides")
    return [
        Product(
            "depthwise" if groups > 1 and window[1] == 1 else "conv",
            groups,
            made[0] * math.prod(spatial),
            math.prod(window[1:]),
            window[0] // groups,
            moving,
            weight,
            math.prod(made),
            bias_of(op, places),
            kernel=window[2] if square else 1,
            stride=strides[0] if square and strides else 1,
            width=spatial[-1] if spatial else 1,
        )
    ]


def _check_channels(
    op: Operation, shapes: tuple[tuple[int, ...], tuple[int, ...]], channels: int, groups: int
) -> None:
    given, window = shapes
    if groups < 1 or len(given) != len(window) or channels != window[1] * groups:
        came = channels or "none"
        raise op.wrong(f"its weights take {window[1] * groups} channels, and {came} come in")
    if window[0] % groups:
        raise op.wrong(f"its {window[0]} outputs are not divisible by {groups} groups")


def transposed_convolution(op: Operation, places: Places) -> list[Product]:
    """Reads ConvTranspose.

    Each input position meets all weights (inputs, outputs / groups, *window); results are summed.

    Args:
        op: The node.
        places: Which of its inputs are image, weights and biases.

    Returns:
        One product.

    Raises:
        BadInput: When a size is unknown, or channels and groups do not fit the weights.
    """
    given, window = op.shape(places.left), op.shape(places.right)
    groups = op.integer("group", 1)
    if len(given) != len(window) or given[1] != window[0] or groups < 1 or window[0] % groups:
        raise op.wrong(f"its weights take {window[0]} channels, and {given[1:2]} come in")
    made = op.output_shape(len(window))
    return [
        Product(
            "depthwise" if groups > 1 and window[0] == groups and window[1] == 1 else "conv",
            groups,
            given[0] * math.prod(given[2:]),
            window[0] // groups,
            math.prod(window[1:]),
            op.input(places.left),
            op.input(places.right),
            math.prod(made),
            bias_of(op, places),
            width=given[-1],
        )
    ]


def matrix_product(op: Operation, places: Places) -> list[Product]:
    """Reads MatMul, Gemm and their quantised and fused forms.

    A constant operand is the weight, on whichever side it stands; of two activations the right one
    is held.

    Args:
        op: The node.
        places: Which of its inputs are the operands and the biases.

    Returns:
        One product.

    Raises:
        BadInput: When a size is unknown, or the operands do not fit.
    """
    left, right = op.input(places.left), op.input(places.right)
    first = turned(op.shape(places.left), op.integer("transA"))
    second = turned(op.shape(places.right), op.integer("transB"))
    if not first or not second:
        raise op.wrong(f"{left.name} or {right.name} is a single number")
    first = (1, *first) if len(first) == 1 else first
    second = (*second, 1) if len(second) == 1 else second
    rows, reduction, columns = int(first[-2] or 0), int(first[-1] or 0), int(second[-1] or 0)
    if reduction != second[-2]:
        raise op.wrong(f"{left.name} has {reduction} columns and {right.name} {second[-2]} rows")
    batch = _broadcast(op, first[:-2], second[:-2])
    moving, stationary, held = left, right, second[:-2]
    if left.constant and not right.constant:
        moving, stationary, held = right, left, first[:-2]
        rows, columns = columns, rows
    groups = math.prod(int(size or 0) for size in held)
    produced = batch * rows * columns
    return [
        Product(
            "linear" if stationary.constant else "attention",
            groups,
            batch // groups * rows,
            reduction,
            columns,
            moving,
            stationary,
            produced,
            bias_of(op, places),
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


def _broadcast(op: Operation, first: Sequence[int | None], second: Sequence[int | None]) -> int:
    """Number of matrix products in a batch: the leading sizes of both operands, broadcast as NumPy does.

    Shorter ones are filled up with ones from the left. An unknown size is None and counts as 0.

    Returns:
        How many there are.
    """
    length = max(len(first), len(second))
    padded = []
    for sizes in (first, second):
        known = [int(size or 0) for size in sizes]
        padded.append([1] * (length - len(known)) + known)
    total = 1
    for a, b in zip(*padded, strict=True):
        if a != b and 1 not in (a, b):
            raise op.wrong(f"batches of {a} and {b} do not fit")
        total *= max(a, b)
    return total


def blockwise_product(op: Operation, places: Places) -> list[Product]:
    """Reads MatMulNBits and MatMulBnb4: weights packed, their sizes N and K attributes.

    Args:
        op: The node.
        places: Which of its inputs are the biases; the operands are the first two.

    Returns:
        One product.

    Raises:
        BadInput: When a size is unknown, or the input does not fit the weights.
    """
    given = op.shape(0)
    reduction, columns = op.integer("K"), op.integer("N")
    if min(reduction, columns) < 1 or given[-1] != reduction:
        raise op.wrong(f"it multiplies {reduction} by {columns}, and {given[-1]} come in")
    rows = math.prod(given[:-1])
    bits = op.integer("bits", 4)
    return [
        Product(
            "linear",
            1,
            rows,
            reduction,
            columns,
            op.input(0),
            op.input(1),
            rows * columns,
            bias_of(op, places),
            weight_bits=bits,
            weights=reduction * columns,
        )
    ]


def _at(
    rule: Callable[..., list[Product]],
    left: int = 0,
    right: int = 1,
    bias: int | None = 2,
) -> Rule:
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
