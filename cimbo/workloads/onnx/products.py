"""Nodes that multiply matrices, as products of a moving and a stationary operand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cimbo.errors import BadInput
from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.contrib_shapes import turned
from cimbo.workloads.onnx.tensors import MOST_GROUPS, Tensor


@dataclass(frozen=True)
class Product:
    """``groups`` products of ``positions`` vectors of ``reduction`` elements with ``outputs`` stationary columns.

    Attributes:
        kind: of the layer, one of cimbo.workloads.layer.LAYER_KINDS.
        groups: independent products, each with a stationary operand of its own.
        positions: vectors that go through each.
        reduction: elements of a vector.
        outputs: columns of each stationary operand.
        moving: what the vectors are read from.
        stationary: the operand that stays; a weight where it is constant.
        biases: what is added to the result.
        produced: elements that the product leaves.
        suffix: of the layer's name, where one node makes several.
        kernel: side of a square window; 1 where there is none.
        stride: of that window.
        width: output positions in a row of the image.
        weight_bits: bits of a stored weight where its tensor's type does not say them (packed weights).
        weights: stored weights where the stationary tensor's elements do not say them.
        softmax: elements that a softmax follows on.
    """

    kind: str
    groups: int
    positions: int
    reduction: int
    outputs: int
    moving: Tensor
    stationary: Tensor
    produced: int
    biases: tuple[Tensor, ...] = ()
    suffix: str = ""
    kernel: int = 1
    stride: int = 1
    width: int = 1
    weight_bits: int = 0
    weights: int | None = None
    softmax: int = 0


@dataclass(frozen=True)
class Operation:
    """A node with its tensors. ``where`` names it in messages."""

    where: str
    node: Any
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    def input(self, index: int) -> Tensor:
        """Finds an input that has to be there.

        Args:
            index: Number of the input.

        Returns:
            What is known of it.

        Raises:
            BadInput: When it is not there.
        """
        found = self.optional(index)
        if found is None:
            raise BadInput(self.where, f"lacks its input {index}", "export the network again")
        return found

    def optional(self, index: int) -> Tensor | None:
        """Finds an input that may be missing.

        Args:
            index: Number of the input.

        Returns:
            What is known of it; None where it is missing.
        """
        return self.inputs[index] if index < len(self.inputs) else None

    def shape(self, index: int, rank: int | None = None) -> tuple[int, ...]:
        """Finds the shape of an input.

        Args:
            index: Number of the input.
            rank: Dimensions that it must have; None: any number.

        Returns:
            The sizes, all known and positive.

        Raises:
            BadInput: When the input is missing, a size is unknown or not positive, or the rank is
                another; it names the tensor.
        """
        return self._ranked(self.input(index), rank)

    def output_shape(self, rank: int | None = None) -> tuple[int, ...]:
        """Finds the shape of the first output.

        Args:
            rank: Dimensions that it must have; None: any number.

        Returns:
            The sizes, all known and positive.

        Raises:
            BadInput: When there is no output, a size is unknown or not positive, or the rank is
                another.
        """
        if not self.outputs:
            raise BadInput(self.where, "has no output", "export the network again")
        return self._ranked(self.outputs[0], rank)

    def integer(self, name: str, default: int = 0) -> int:
        """Reads an integer attribute.

        Args:
            name: Of the attribute.
            default: The value where the node has none of that name.

        Returns:
            The attribute, or the default.
        """
        return attributes.integer(self.node, name, default)

    def wrong(self, what: str) -> BadInput:
        """Makes the error that refuses this node.

        Args:
            what: What is wrong with it.

        Returns:
            The error, not raised.
        """
        return BadInput(self.where, what, "export the network again")

    def _ranked(self, tensor: Tensor, rank: int | None) -> tuple[int, ...]:
        sizes = tensor.sizes(self.where)
        if rank is not None and len(sizes) != rank:
            raise self.wrong(f"{tensor.name} has {len(sizes)} dimensions and needs {rank}")
        return sizes


@dataclass(frozen=True)
class Places:
    """Where an operator takes its operands from: the inputs' numbers in its schema."""

    left: int = 0
    right: int = 1
    bias: int | None = 2


def present(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    """Those that there are."""
    return tuple(tensor for tensor in tensors if tensor is not None)


def _bias(op: Operation, places: Places) -> tuple[Tensor, ...]:
    return () if places.bias is None else present(op.optional(places.bias))


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
    channels = given[-1] if last else given[1] if len(given) > 1 else 0
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
            _bias(op, places),
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
            _bias(op, places),
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
            _bias(op, places),
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
    """Elements of the batch that both operands' leading sizes make together."""
    length = max(len(first), len(second))
    padded = [[1] * (length - len(each)) + [int(s or 0) for s in each] for each in (first, second)]
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
            _bias(op, places),
            weight_bits=bits,
            weights=reduction * columns,
        )
    ]


def einsum(op: Operation, places: Places) -> list[Product]:
    """Reads Einsum of two operands.

    Without a sum over a shared label it is vector work where one operand has no label of its own,
    and so is one of one operand.

    Args:
        op: The node.
        places: Ignored: the operands are the first two inputs.

    Returns:
        One product; none where it is vector work.

    Raises:
        BadInput: When it joins more than two operands, a size is unknown, or the equation does not
            fit them.
    """
    if len(op.inputs) == 1:
        return []
    if len(op.inputs) != 2:
        raise BadInput(op.where, f"joins {len(op.inputs)} operands", "split it into pairs")
    first, second, result = _equation(op)
    sizes = dict(zip(first, op.shape(0), strict=True))
    sizes.update({label: size for label, size in zip(second, op.shape(1), strict=True) if size > 1})
    for label in second:
        sizes.setdefault(label, 1)
    shared = [label for label in first if label in second]
    summed = math.prod(sizes[label] for label in shared if label not in result)
    moving, stationary = op.input(0), op.input(1)
    own, other = first, second
    if moving.constant and not stationary.constant:
        moving, stationary, own, other = stationary, moving, second, first
    groups = math.prod(sizes[label] for label in shared if label in result)
    rows = math.prod(sizes[label] for label in own if label not in other and label in result)
    columns = math.prod(sizes[label] for label in other if label not in own and label in result)
    if all(label in result for label in shared) and 1 in (rows, columns):
        return []
    kind = "linear" if stationary.constant else "attention"
    produced = groups * rows * columns
    return [Product(kind, groups, rows, summed, columns, moving, stationary, produced)]


def _equation(op: Operation) -> tuple[str, str, str]:
    """Labels of both operands and of the result; an ellipsis is spelled with capitals that are not used otherwise."""
    written = attributes.text(op.node, "equation").replace(" ", "")
    given, arrow, result = written.partition("->")
    terms = given.split(",")
    if len(terms) != 2:
        raise op.wrong(f"the equation {written!r} has {len(terms)} operands, and two come in")
    if not arrow:
        labels = [each for each in given if each.isalpha()]
        once = sorted(each for each in set(labels) if labels.count(each) == 1)
        result = ("..." if "..." in given else "") + "".join(once)
    spare = [chr(code) for code in range(0x3B1, 0x3C9) if chr(code) not in written]
    ranks = [len(op.shape(index)) for index in (0, 1)]
    dots = [rank - len(t.replace("...", "")) for rank, t in zip(ranks, terms, strict=True)]
    if any(dot < 0 or (dot and "..." not in t) for dot, t in zip(dots, terms, strict=True)):
        raise op.wrong(f"the equation {written!r} does not fit operands of {ranks} dimensions")
    most = max(dots)
    spelled = [
        t.replace("...", "".join(spare[most - dot : most]))
        for t, dot in zip(terms, dots, strict=True)
    ]
    return spelled[0], spelled[1], result.replace("...", "".join(spare[:most]))


def check_product(where: str, product: Product) -> None:
    """Refuses a product that no network has.

    Args:
        where: The node, for the error.
        product: What it multiplies.

    Raises:
        BadInput: When the product has more than MOST_GROUPS groups.
    """
    if product.groups > MOST_GROUPS:
        what = f"has {product.groups} groups"
        raise BadInput(where, what, f"at most {MOST_GROUPS} are read")


Rule = Callable[[Operation], list[Product]]


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
