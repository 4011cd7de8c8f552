"""Einsum of two operands, as a product."""

import math

from cimbo.errors import BadInput
from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.products import Operation, Places, Product


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
