"""The usual layers (linear, convolution, attention), made from their sizes.

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
    """Read a gene of a sub-network and check its value.

    Args:
        where: What the genes belong to, for the error.
        given: Gene to value.
        name: The gene to read.
        values: Its allowed values.

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
    """Function of the vector unit, such as "gelu", to operations an element."""
    constants = tomllib.loads(path("constants.toml").read_text(encoding="utf-8"))["vector_ops"]
    return {name: int(entry["value"]) for name, entry in constants.items()}


def vector_work(**elements: int) -> int:
    """Count the operations of the vector unit, which computes all but the matrix products.

    Args:
        **elements: Function to the number of elements that it is computed for, as in ``gelu=1024``. Operations
            an element are those of constants.toml, section vector_ops.

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
        name: Name of the layer.
        tokens: How many vectors go through it.
        shape: Elements of an input vector, and of an output vector.
        bias: Whether it has a bias for each output.
        work: Operations of the vector unit before and after it, besides requantisation of the outputs.
        norm: Parameters of norms before and after it.

    Returns:
        The layer, for one inference.
    """
    inputs, outputs = shape
    return Layer(
        name,
        "linear",
        px=tokens,
        reduction=inputs,
        columns=outputs,
        inputs=tokens * inputs,
        outputs=tokens * outputs,
        vector_ops=work + vector_work(requantise=tokens * outputs),
        extra_parameters=outputs * bias + norm,
        width=1,
    )


def attention(name: str, tokens: int, heads: int, size: int) -> tuple[Layer, Layer]:
    """Make the two products of attention over all tokens.

    Args:
        name: Name of the attention; the layers are called name.scores and name.context.
        tokens: How many queries there are, and how many keys and values.
        heads: How many heads; each is an independent product.
        size: Elements of a head's query, key or value.

    Returns:
        Scores (Q x K^T, then softmax) and context (scores x V), for one inference.
    """
    n_scores, n_values = heads * tokens * tokens, heads * tokens * size
    scores = Layer(
        f"{name}.scores",
        "attention",
        px=tokens,
        reduction=size,
        columns=tokens,
        groups=heads,
        dynamic=True,
        inputs=n_values,
        outputs=n_scores,
        vector_ops=vector_work(softmax=n_scores, requantise=n_scores),
    )
    context = Layer(
        f"{name}.context",
        "attention",
        px=tokens,
        reduction=tokens,
        columns=size,
        groups=heads,
        dynamic=True,
        inputs=n_scores,
        outputs=n_values,
        vector_ops=vector_work(requantise=n_values),
    )
    return scores, context


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
        name: Name of the layer.
        size: Pixels on each side of the input image.
        channels: Channels that go in and come out, both divisible by ``groups``.
        kernel: Side of the window, in pixels.
        stride: Step of the window, in pixels.
        groups: Independent groups of channels. With as many as input channels it is a depthwise convolution.
        parameters: Number of biases and parameters of norms; None: two an output channel, as batch
            norm has.
        work: Function from the number of output elements to operations of the vector unit, besides
            requantisation; None: there are no others.

    Returns:
        The layer, for one inference.
    """
    inputs, outputs = channels
    side = -(-size // stride)  # rounded up
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
        px=side * side,
        reduction=inputs // groups * kernel * kernel,
        columns=outputs // groups,
        groups=groups,
        inputs=size * size * inputs,
        outputs=elements,
        vector_ops=vector_ops,
        extra_parameters=parameters,
        kernel=kernel,
        stride=stride,
        width=side,
    )
