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
    """A tensor with the labels of its sizes, one character each."""

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
    if len(products) < 2:
        return products
    numbered = []
    for number, product in enumerate(products, 1):
        numbered.append(replace(product, suffix=f".{number}"))
    return numbered


def _sizes(op: Operation, terms: Sequence[str]) -> dict[str, int]:
    """The size of each label. A size of 1 gives way to the size that another operand has there."""
    sizes: dict[str, int] = {}
    for index, term in enumerate(terms):
        for label, size in zip(term, op.shape(index), strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    return sizes


def _product(
    first: Operand, second: Operand, later: str, sizes: Mapping[str, int]
) -> list[Product]:
    """The product of two operands whose result keeps the labels of ``later``."""
    moving, stationary = first, second
    if moving.tensor.constant:
        moving, stationary = second, first
    if moving.tensor.constant:
        return []
    own, other = dict.fromkeys(moving.labels), dict.fromkeys(stationary.labels)
    shared = [label for label in own if label in other]
    kept = [label for label in shared if label in later]
    groups = _elements(kept, sizes)
    summed = _elements([label for label in shared if label not in later], sizes)
    rows = _elements([each for each in own if each not in other and each in later], sizes)
    columns = _elements([each for each in other if each not in own and each in later], sizes)
    if len(kept) == len(shared) and 1 in (rows, columns):
        return []
    kind = "attention"
    if stationary.tensor.constant:
        kind = "linear"
    produced = groups * rows * columns
    return [
        Product(kind, groups, rows, summed, columns, moving.tensor, stationary.tensor, produced)
    ]


def _joined(first: Operand, second: Operand, later: str, sizes: Mapping[str, int]) -> Operand:
    """The result of two operands; labels that are not in ``later`` are summed over and gone."""
    labels = "".join(dict.fromkeys(each for each in first.labels + second.labels if each in later))
    one, other = first.tensor, second.tensor
    made = Tensor(
        f"{one.name}, {other.name}",
        tuple(sizes[label] for label in labels),
        one.element_type,
        constant=one.constant and other.constant,
        sources=one.sources | other.sources,
        bits=one.bits,
    )
    return Operand(made, labels)


def _elements(labels: Sequence[str], sizes: Mapping[str, int]) -> int:
    return math.prod(sizes[label] for label in labels)


def _equation(op: Operation) -> tuple[list[str], str]:
    """Read the equation, and replace every ellipsis by labels.

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
    unused = [letter for letter in GREEK_LETTERS if letter not in equation]
    ranks = [len(op.shape(index)) for index in range(len(terms))]
    hidden_counts = []  # how many dimensions the ellipsis of each operand stands for
    fits = True
    for rank, term in zip(ranks, terms, strict=True):
        hidden = rank - len(term.replace(ELLIPSIS_LABEL, ""))
        hidden_counts.append(hidden)
        if hidden < 0 or (hidden > 0 and ELLIPSIS_LABEL not in term):
            fits = False
    most = max(hidden_counts)
    if not fits or most > len(unused):
        raise op.wrong(f"the equation {equation!r} does not fit operands of {ranks} dimensions")
    labels = "".join(unused[:most])
    spelled = []
    for term, hidden in zip(terms, hidden_counts, strict=True):
        # Shapes are broadcast from the right, so a shorter ellipsis gets the last labels.
        spelled.append(term.replace(ELLIPSIS_LABEL, labels[most - hidden :]))
    return spelled, result.replace(ELLIPSIS_LABEL, labels)


def _implied_result(left: str) -> str:
    """The result of an equation without an arrow: labels that occur once, in alphabetical order."""
    counts = Counter(label for label in left if label.isalpha())
    once = sorted(label for label, count in counts.items() if count == 1)
    prefix = ELLIPSIS_LABEL if ELLIPSIS_LABEL in left else ""
    return prefix + "".join(once)
