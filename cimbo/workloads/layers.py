"""A network as the chip sees it: a sequence of matrix products, each with the vector work that follows it."""

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from cimbo._data import path
from cimbo.errors import BadInput

LAYER_KINDS = ("conv", "depthwise", "linear", "attention")
POSITIVE_FIELDS = ("px", "reduction", "columns", "groups", "kernel", "stride", "width")
BITS_FIELDS = ("weight_bits", "activation_bits", "output_bits")
CACHE_FIELDS = ("cached", "appended", "cache_size")
COUNT_FIELDS = (
    *POSITIVE_FIELDS,
    *("vector_ops", "inputs", "outputs", "extra_parameters"),
    *BITS_FIELDS,
    *CACHE_FIELDS,
)
# What several inferences at once have several times, besides positions or groups.
BATCHED_FIELDS = ("vector_ops", "inputs", "outputs", *CACHE_FIELDS)
# What says nothing of a layer's cost on a chip.
DESCRIPTION_FIELDS = ("name", "weights", "frequency")


@dataclass(frozen=True)
class Layer:
    """``groups`` independent products of ``px`` vectors of ``reduction`` with ``columns`` stationary columns.

    A convolution has px = output positions, reduction = input channels x kernel area, columns = output channels, each
    for one group. ``dynamic``: the stationary operand is itself an activation (attention), so it can never stay on
    the chip between inferences and is no parameter. ``inputs`` and ``outputs`` count activation elements moved;
    ``vector_ops`` the operations of the vector unit before and after the product. ``extra_parameters`` are biases and
    norms. ``kernel``, ``stride`` and ``width`` (outputs in a row of the image) describe a convolution's window.
    ``weights`` are the trained elements that the stationary operand is made of, where they are others than its own: 0
    when an earlier layer holds the same ones.

    ``weight_bits`` and ``activation_bits`` are those of the stationary operand (of attention, too) and of the inputs,
    ``output_bits`` those of the results, which whoever reads them decides. 0: as the chip has it, or for results as for
    the inputs. What is wider than the chip's own operands (floating point in a file) is rounded to those.

    Attention over a cache of keys and values: ``cached`` elements of the stationary operand come from the cache, where earlier
    tokens left them, ``appended`` elements are added to it, and ``cache_size`` are those of the whole network's cache
    meanwhile; every layer of such a network says the last. ``frequency`` is how often the layer runs in one run of its
    network, on average: below 1 where the steps of a token loop differ in the length of their cache.

    All counts are those of the whole batch (see :class:`Workload`).

    Raises BadInput when a size is not a positive integer, or bits are no whole number, naming the layer.
    """

    name: str
    kind: str
    px: int
    reduction: int
    columns: int
    groups: int = 1
    dynamic: bool = False
    vector_ops: int = 0
    inputs: int = 0
    outputs: int = 0
    extra_parameters: int = 0
    kernel: int = 1
    stride: int = 1
    width: int = 1
    weights: int | None = None
    weight_bits: int = 0
    activation_bits: int = 0
    output_bits: int = 0
    cached: int = 0
    appended: int = 0
    cache_size: int = 0
    frequency: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in LAYER_KINDS:
            raise BadInput(
                f"layer {self.name}",
                f"kind {self.kind!r} is unknown",
                f"use one of {', '.join(LAYER_KINDS)}",
            )
        for name in COUNT_FIELDS:
            value, least = getattr(self, name), int(name in POSITIVE_FIELDS)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                what = f"{name} is {value!r}"
                raise BadInput(f"layer {self.name}", what, f"give an integer of at least {least}")

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole batch."""
        return self.px * self.reduction * self.columns * self.groups

    @property
    def stationary(self) -> int:
        """Elements of the stationary operand."""
        return self.reduction * self.columns * self.groups

    @property
    def fresh(self) -> float:
        """New elements that each input vector brings to its group when the window's overlap with the last is kept."""
        return self.reduction * min(1.0, self.stride / self.kernel)

    @property
    def parameters(self) -> int:
        """Trained numbers: weights (none for attention's products), biases and norms."""
        held = self.stationary if self.weights is None else self.weights
        return (0 if self.dynamic else held) + self.extra_parameters

    def batched(self, times: int) -> "Layer":
        """Makes the layer for several times as many inferences at once.

        More positions meet the same weights. The stationary operand of attention belongs to one
        inference, so there it is the groups that multiply.

        Args:
            times: How many times as many inferences.

        Returns:
            The layer with its work and traffic multiplied; its parameters stay.
        """
        more = {"groups" if self.dynamic else "px": times}
        counts = {name: getattr(self, name) for name in (*more, *BATCHED_FIELDS)}
        return replace(self, **{name: times * count for name, count in counts.items()})


_shape = attrgetter(*(f.name for f in fields(Layer) if f.name not in DESCRIPTION_FIELDS))
COLUMNS = (
    "px",
    "reduction",
    "columns",
    "groups",
    "dynamic",
    "vector_ops",
    "inputs",
    "outputs",
    "fresh",
    "kernel",
    *BITS_FIELDS,
    *CACHE_FIELDS,
    "count",
)


@dataclass(frozen=True)
class TokenLoop:
    """What follows the run of a prompt: ``tokens`` runs of ``step``, whose layers are those of a mean step."""

    step: "Workload"
    tokens: int


@dataclass(frozen=True)
class Workload:
    """One network: its layers in order of execution, for ``batch`` inferences at once.

    A batch is one run of the network on so many inputs. Every count of every layer, and so ``macs`` and whatever a
    simulator makes of them, is of the whole batch, whatever the kind of the layer: with weights the output positions
    of all inferences follow one another, in attention each inference has groups of its own. Divide by ``batch`` for
    one inference. Parameters do not depend on it.

    Attributes:
        name: what reports call it.
        layers: at least one.
        other_parameters: embeddings and the like, which are looked up and never multiplied.
        batch: inferences that the layers count.
        warnings: what whoever counted the layers could not be sure of, one sentence each.
        loop: of a language model: the steps, each of one token of every inference, that follow a run over its prompt, of which
            the layers are.

    Raises BadInput when there is no layer, or the batch is not positive.
    """

    name: str
    layers: tuple[Layer, ...]
    other_parameters: int = 0
    batch: int = 1
    warnings: tuple[str, ...] = ()
    loop: TokenLoop | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            what = f"a batch of {self.batch}"
            raise BadInput(f"workload {self.name}", what, "give an integer of at least 1")
        if not self.layers:
            raise BadInput(f"workload {self.name}", "has no layers", "give at least one")

    def batched(self, times: int) -> "Workload":
        """Makes the workload of several times as many inferences at once.

        Args:
            times: How many times as many.

        Returns:
            The workload with the counts of all layers, and of the token loop, multiplied.
        """
        if times == 1:
            return self
        layers = tuple(layer.batched(times) for layer in self.layers)
        loop = self.loop
        if loop is not None:
            loop = replace(loop, step=loop.step.batched(times))
        return replace(self, layers=layers, batch=self.batch * times, loop=loop)

    def with_batch(self, batch: int) -> "Workload":
        """Says that the same layers are those of another number of inferences.

        Args:
            batch: Inferences that the layers count.

        Returns:
            The workload with that batch; no count changes.

        Raises:
            BadInput: When the batch is not positive.
        """
        return replace(self, batch=batch)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the whole batch, attention's products and all tokens of an answer included."""
        every = [layer.macs * layer.frequency for layer in self.layers]
        after = 0 if self.loop is None else self.loop.tokens * self.loop.step.macs
        return round(math.fsum(every)) + after

    @cached_property
    def parameters(self) -> int:
        """Trained numbers: weights, biases, norms and embeddings."""
        return sum(layer.parameters for layer in self.layers) + self.other_parameters

    @cached_property
    def unique(self) -> tuple[NDArray[np.float64], tuple[int, ...]]:
        """The distinct layer shapes as an array (len(COLUMNS), shapes), and each layer's index into it.

        ``count`` says how often a shape occurs; cost models evaluate each shape once.
        """
        index: dict[tuple[object, ...], int] = {}
        where = tuple(index.setdefault(_shape(layer), len(index)) for layer in self.layers)
        firsts = {
            shape: layer
            for layer, shape in zip(reversed(self.layers), reversed(where), strict=True)
        }
        counts = [0.0] * len(index)
        for layer, shape in zip(self.layers, where, strict=True):
            counts[shape] += layer.frequency
        rows = [_row(firsts[shape], count) for shape, count in enumerate(counts)]
        return np.array(rows, dtype=np.float64).T.copy(), where

    def features(self) -> dict[str, float]:
        """Cheap descriptors for surrogates: logarithms of the work and sizes that costs scale with."""
        layers = self.layers
        return {
            "log_macs": math.log(self.macs),
            "log_parameters": math.log(self.parameters),
            "log_dynamic_macs": math.log1p(sum(layer.macs for layer in layers if layer.dynamic)),
            "log_vector_ops": math.log1p(sum(layer.vector_ops for layer in layers)),
            "log_activations": math.log1p(sum(layer.inputs + layer.outputs for layer in layers)),
            "log_vectors": math.log(sum(layer.px for layer in layers)),
            "layers": float(len(layers)),
        }


def _row(layer: Layer, count: float) -> list[float]:
    return [*(float(getattr(layer, name)) for name in COLUMNS[:-1]), count]


def pick(where: str, given: Mapping[str, object], name: str, values: Iterable[object]) -> object:
    """Reads a gene and checks its value.

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

    Operations an element come from constants.toml, section vector_ops. Raises KeyError on an unknown function.
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
    """Makes a linear layer.

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
    """Makes the two products of attention over all tokens.

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
    """Makes a square convolution, padded so that a side has ceil(size / stride) outputs.

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
    return Layer(
        name,
        kind,
        side * side,
        inputs // groups * kernel * kernel,
        outputs // groups,
        groups,
        inputs=size * size * inputs,
        outputs=elements,
        vector_ops=vector_work(requantise=elements) + (work(elements) if work else 0),
        extra_parameters=2 * outputs if parameters is None else parameters,
        kernel=kernel,
        stride=stride,
        width=side,
    )
