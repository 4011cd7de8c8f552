"""Einsum, as products of two operands at a time."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.products import Operation, Places, Product
from cimbo.workloads.onnx.tensors import Tensor

ELLIPSIS_LABEL = "..."
GREEK_LETTERS = [chr(code) for code in range(ord("α"), ord("ω"))]
"""Labels for the dimensions that an ellipsis stands for: equations are written in Latin letters."""


@dataclass(frozen=True)
class Operand:
    """A tensor with the labels that the equation gives its dimensions, one character each ("bij")."""

    tensor: Tensor
    labels: str


def einsum(op: Operation, places: Places) -> list[Product]:
    """Reads Einsum.

    Operands are joined from left to right, as onnxruntime does. A label that neither a later
    operand nor the result has is summed over at once. Two operands make no matrix product, but work
    of the vector unit, where nothing is summed and one of them has no label of its own. One operand
    alone is work of the vector unit, too.

    Args:
        op: The node.
        places: Ignored: the operands are all inputs.

    Returns:
        A matrix product for every operand after the first, except where the vector unit does it or
        both operands are constants.

    Raises:
        BadInput: When a size is unknown, or the equation does not fit the operands.
    """
    terms, result = _equation(op)
    operands = [Operand(op.input(index), term) for index, term in enumerate(terms)]
    sizes = _sizes(op, terms)
    products: list[Product] = []
    joined = operands[0]
    for index, operand in enumerate(operands[1:], 1):
        later = result + "".join(each.labels for each in operands[index + 1 :])
        products += _product(joined, operand, later, sizes)
        joined = _joined(joined, operand, later, sizes)
    return _numbered(products)


def _numbered(products: list[Product]) -> list[Product]:
    """The products with the suffixes ".1", ".2", ...; without one where there is only one product."""
    if len(products) < 2:
        return products
    numbered = []
    for number, product in enumerate(products, 1):
        numbered.append(replace(product, suffix=f".{number}"))
    return numbered


def _sizes(op: Operation, terms: Sequence[str]) -> dict[str, int]:
    """The size of each label; ``terms`` are the operands' labels. A size of 1 gives way to another operand's."""
    sizes: dict[str, int] = {}
    for index, term in enumerate(terms):
        for label, size in zip(term, op.shape(index), strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    return sizes


def _product(
    first: Operand, second: Operand, later: str, sizes: Mapping[str, int]
) -> list[Product]:
    """The matrix product of two operands; none where both are constants, or where the vector unit does it.

    Args:
        first: Left operand.
        second: Right operand.
        later: Labels that are still needed: of later operands and of the result. All others are summed over.
        sizes: The size of each label.

    Returns:
        One product, or nothing.
    """
    moving, stationary = first, second
    if moving.tensor.constant:
        moving, stationary = second, first
    if moving.tensor.constant:
        return []
    shared, row_labels = _split_labels(moving.labels, stationary.labels)
    column_labels = _split_labels(stationary.labels, moving.labels)[1]
    # A shared label that is still needed counts independent products; any other is summed over.
    group_labels, summed_labels = _split_labels(shared, later)
    groups = _elements(group_labels, sizes)
    rows = _elements(_split_labels(row_labels, later)[0], sizes)
    columns = _elements(_split_labels(column_labels, later)[0], sizes)
    if not summed_labels and 1 in (rows, columns):
        return []
    return [
        Product(
            kind="linear" if stationary.tensor.constant else "attention",
            groups=groups,
            positions=rows,
            reduction=_elements(summed_labels, sizes),
            outputs=columns,
            moving=moving.tensor,
            stationary=stationary.tensor,
            produced=groups * rows * columns,
        )
    ]


def _split_labels(labels: str, others: str) -> tuple[str, str]:
    """``labels``, each once: those that ``others`` has too, and those that it lacks."""
    common, lacking = "", ""
    for label in dict.fromkeys(labels):
        if label in others:
            common += label
        else:
            lacking += label
    return common, lacking


def _joined(first: Operand, second: Operand, later: str, sizes: Mapping[str, int]) -> Operand:
    """The result of two operands; labels that are not in ``later`` are summed over and gone."""
    labels, _ = _split_labels(first.labels + second.labels, later)
    left, right = first.tensor, second.tensor
    result = Tensor(
        f"{left.name}, {right.name}",
        tuple(sizes[label] for label in labels),
        left.element_type,
        constant=left.constant and right.constant,
        sources=left.sources | right.sources,
        bits=left.bits,
    )
    return Operand(result, labels)


def _elements(labels: str, sizes: Mapping[str, int]) -> int:
    """Elements of a tensor with these labels, of which ``sizes`` has the sizes."""
    return math.prod(sizes[label] for label in labels)


def _equation(op: Operation) -> tuple[list[str], str]:
    """Read the equation, such as "bij,bjk->bik", and replace every ellipsis by labels.

    Args:
        op: The node.

    Returns:
        The labels of each operand, one character a dimension, and those of the result.
    """
    equation = attributes.text(op.node, "equation").replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(op.inputs):
        what = f"the equation {equation!r} has {len(terms)} operands, and {len(op.inputs)} come in"
        raise op.wrong(what)
    if not arrow:
        result = _implied_result(left)
    unused_labels = [letter for letter in GREEK_LETTERS if letter not in equation]
    ranks = [len(op.shape(index)) for index in range(len(terms))]
    hidden_counts = []  # how many dimensions the ellipsis of each operand stands for
    fits = True
    for rank, term in zip(ranks, terms, strict=True):
        hidden = rank - len(term.replace(ELLIPSIS_LABEL, ""))
        hidden_counts.append(hidden)
        if hidden < 0 or (hidden > 0 and ELLIPSIS_LABEL not in term):
            fits = False
    most = max(hidden_counts)
    if not fits or most > len(unused_labels):
        raise op.wrong(f"the equation {equation!r} does not fit operands of {ranks} dimensions")
    labels = "".join(unused_labels[:most])
    without_ellipses = []
    for term, hidden in zip(terms, hidden_counts, strict=True):
        # Shapes are broadcast from the right, so a shorter ellipsis gets the last labels.
        without_ellipses.append(term.replace(ELLIPSIS_LABEL, labels[most - hidden :]))
    return without_ellipses, result.replace(ELLIPSIS_LABEL, labels)


def _implied_result(left: str) -> str:
    """The result's labels where an equation has no arrow: those that ``left`` has once, in alphabetical order."""
    counts = Counter(label for label in left if label.isalpha())
    once = sorted(label for label, count in counts.items() if count == 1)
    prefix = ELLIPSIS_LABEL if ELLIPSIS_LABEL in left else ""
    return prefix + "".join(once)
