"""Einsum, as products of two operands at a time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.products import Operation, Places, Product
from cimbo.workloads.onnx.tensors import Tensor


@dataclass(frozen=True)
class Operand:
    """A tensor with the labels of its sizes, one character each."""

    tensor: Tensor
    labels: str


def einsum(op: Operation, places: Places) -> list[Product]:
    """Reads Einsum.

    Operands are joined from left to right, as onnxruntime does, and labels that nothing later needs
    are summed at once. Of two operands it is vector work where nothing is summed and one has no
    label of its own; so is one operand alone.

    Args:
        op: The node.
        places: Ignored: the operands are all inputs.

    Returns:
        A product for every operand after the first; fewer where one is vector work, or of constants
        alone.

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
    """The size of each label; one that is 1 in an operand is broadcast."""
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
    """Labels of the operands and of the result; an ellipsis is spelled with Greek letters."""
    written = attributes.text(op.node, "equation").replace(" ", "")
    given, arrow, result = written.partition("->")
    terms = given.split(",")
    if len(terms) != len(op.inputs):
        what = f"the equation {written!r} has {len(terms)} operands, and {len(op.inputs)} come in"
        raise op.wrong(what)
    if not arrow:
        labels = [each for each in given if each.isalpha()]
        once = sorted(each for each in set(labels) if labels.count(each) == 1)
        result = ("..." if "..." in given else "") + "".join(once)
    spare = "".join(chr(code) for code in range(0x3B1, 0x3C9) if chr(code) not in written)
    ranks = [len(op.shape(index)) for index in range(len(terms))]
    dots = [rank - len(t.replace("...", "")) for rank, t in zip(ranks, terms, strict=True)]
    most = max(dots)
    misfits = any(dot < 0 or (dot and "..." not in t) for dot, t in zip(dots, terms, strict=True))
    if misfits or most > len(spare):
        raise op.wrong(f"the equation {written!r} does not fit operands of {ranks} dimensions")
    spelled = []
    for term, dot in zip(terms, dots, strict=True):
        spelled.append(term.replace("...", spare[most - dot : most]))
    return spelled, result.replace("...", spare[:most])
