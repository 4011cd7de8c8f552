"""Layers and workloads of one's own: the usual layers by their sizes.

``Layer`` and ``Workload`` are imported from here, too.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from cimbo._data import path
from cimbo.errors import BadInput
from cimbo.workloads.layer import LAYER_COLUMNS, Layer
from cimbo.workloads.workload import TokenLoop, Workload

__all__ = [
    "LAYER_COLUMNS",
    "Layer",
    "TokenLoop",
    "Workload",
    "attention",
    "conv",
    "linear",
    "pick",
    "vector_work",
]


def pick(where: str, given: Mapping[str, object], name: str, values: Iterable[object]) -> object:
    """Read a gene and checks its value.

    Args:
        where: What the genes are of, for the error.
        given: Gene to value.
        name: The gene to read.
        values: What it may be.

    Returns:
        The gene's value.

    Raises:
        BadInput: When the gene is missing or has another value; it names ``where`` and the gene.
    """
    allowed = list(values)
    if name not in given:
        raise BadInput(f"{where}.{name}", "is missing", f"give one of {allowed}")
    if given[name] not in allowed:
        raise BadInput(f"{where}.{name}", f"is {given[name]!r}", f"give one of {allowed}")
    return given[name]


@cache
def _vector_ops() -> dict[str, int]:
    constants = tomllib.loads(path("constants.toml").read_text(encoding="utf-8"))["vector_ops"]
    return {name: int(entry["value"]) for name, entry in constants.items()}


def vector_work(**elements: int) -> int:
    """Operations of the vector unit for so many elements of each function (``gelu=..., softmax=...``).

    Operations an element come from constants.toml, section vector_ops.

    Returns:
        How many operations.

    Raises:
        KeyError: On an unknown function.
    """
    return sum(_vector_ops()[name] * count for name, count in elements.items())


def linear(
    name: str,
    tokens: int,
    shape: tuple[int, int],
    *,
    bias: bool = True,
    work: int = 0,
    norm: int = 0,
) -> Layer:
    """Make a linear layer.

    Args:
        name: Of the layer.
        tokens: Vectors that go through it.
        shape: Elements of an input vector and of an output vector.
        bias: Whether it has a bias for each output.
        work: Operations of the vector unit around it, besides requantisation.
        norm: Parameters of norms around it.

    Returns:
        The layer, for one inference.
    """
    inputs, outputs = shape
    return Layer(
        name,
        "linear",
        tokens,
        inputs,
        outputs,
        inputs=tokens * inputs,
        outputs=tokens * outputs,
        vector_ops=work + vector_work(requantise=tokens * outputs),
        extra_parameters=outputs * bias + norm,
        width=1,
    )


def attention(name: str, tokens: int, heads: int, size: int) -> tuple[Layer, Layer]:
    """Make the two products of attention over all tokens.

    Args:
        name: Of the attention; the layers are called name.scores and name.context.
        tokens: How many queries, and keys, there are.
        heads: Heads, each a group of its own.
        size: Elements of a head's vectors.

    Returns:
        Scores (Q x K^T, then softmax) and context (scores x V), for one inference.
    """
    scores, context = heads * tokens * tokens, heads * tokens * size
    first = Layer(
        f"{name}.scores",
        "attention",
        tokens,
        size,
        tokens,
        heads,
        dynamic=True,
        inputs=context,
        outputs=scores,
        vector_ops=vector_work(softmax=scores, requantise=scores),
    )
    second = Layer(
        f"{name}.context",
        "attention",
        tokens,
        tokens,
        size,
        heads,
        dynamic=True,
        inputs=scores,
        outputs=context,
        vector_ops=vector_work(requantise=context),
    )
    return first, second


def conv(
    name: str,
    size: int,
    channels: tuple[int, int],
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    parameters: int | None = None,
    work: Callable[[int], int] | None = None,
) -> Layer:
    """Make a square convolution, padded so that a side has ceil(size / stride) outputs.

    Args:
        name: Of the layer.
        size: Inputs on each side of the image.
        channels: Channels that go in and come out, both divisible by ``groups``.
        kernel: Side of the window.
        stride: Step of the window.
        groups: Independent groups of channels; as many as input channels: a depthwise convolution.
        parameters: Biases or norms; None: two an output channel, as batch norm has.
        work: Gives the operations of the vector unit for a number of outputs, besides
            requantisation; None: there are no others.

    Returns:
        The layer, for one inference.
    """
    inputs, outputs = channels
    side = -(-size // stride)
    elements = side * side * outputs
    kind = "depthwise" if groups == inputs > 1 else "conv"
    vector_ops = vector_work(requantise=elements)
    if work is not None:
        vector_ops += work(elements)
    if parameters is None:
        parameters = 2 * outputs
    return Layer(
        name,
        kind,
        side * side,
        inputs // groups * kernel * kernel,
        outputs // groups,
        groups,
        inputs=size * size * inputs,
        outputs=elements,
        vector_ops=vector_ops,
        extra_parameters=parameters,
        kernel=kernel,
        stride=stride,
        width=side,
    )
