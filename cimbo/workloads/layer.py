"""One matrix product of a network, with the vector work that follows it."""

from dataclasses import dataclass, fields, replace
from operator import attrgetter

import numpy as np

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
    "copies",
    "steps",
)
SHARE_FIELDS = ("input_ones", "weight_ones")
# Fields that digests of workloads by older releases lack: what a user sets beside the network, and steps of recurrences.
SAID_FIELDS = (*SHARE_FIELDS, "copies", "steps")
# Fields that grow with the number of inferences, besides positions or groups.
BATCHED_FIELDS = ("vector_ops", "inputs", "outputs", *CACHE_FIELDS)
# Fields without influence on the cost of a layer.
DESCRIPTION_FIELDS = ("name", "weights", "frequency")


@dataclass(frozen=True, slots=True)
class Layer:
    """One matrix product of a network: ``groups`` independent products of px x reduction with reduction x columns.

    The second operand is stationary: it is held in the chip's arrays while the ``px`` vectors of the first one stream past. All
    counts are those of the whole batch (see :class:`Workload`).

    Attributes:
        name: What reports call it.
        kind: One of LAYER_KINDS.
        px: Vectors that meet the stationary operand (M): of a convolution its output positions.
        reduction: Elements of such a vector (K): of a convolution the input channels of a group times the area of its kernel.
        columns: Columns of the stationary operand (N): of a convolution the output channels of a group.
        groups: Independent products: groups of channels, or heads of attention.
        dynamic: Whether the stationary operand is itself an activation, as in attention: it then cannot stay on the chip
            between inferences and is no parameter.
        vector_ops: Operations of the vector unit before and after the product.
        inputs: Activation elements that are read.
        outputs: Activation elements that are written.
        extra_parameters: Biases and parameters of norms.
        kernel: Side of a convolution's window, in pixels.
        stride: Step of that window.
        width: Outputs in a row of the image.
        weights: Trained elements that the stationary operand is made of, where they are others than its own: 0 when an
            earlier layer holds the same ones.
        weight_bits: Bits of the stationary operand, in attention too. 0, here and for the other bits: as the chip has it. What
            is wider than the chip's operands, as floating point in a file, is rounded to those.
        activation_bits: Bits of the inputs.
        output_bits: Bits of the results, which the layer that reads them decides; 0: those of the inputs.
        cached: In attention over a cache of keys and values: elements of the stationary operand that come from the cache.
        appended: Elements that this layer adds to the cache.
        cache_size: Elements of the whole network's cache meanwhile; every layer of such a network says it.
        frequency: How often the layer runs in one run of its network, on average: below 1 where the steps of a token loop
            differ in the length of their cache.
        input_ones: Share of the bits of the inputs that are one; 0: as the chip's ``activity`` has it.
        weight_ones: Share of the bits of the stationary operand that are one; likewise.
        copies: Copies of the layer, itself included, on a chip whose ``duplication`` is ``given``; 0: one.
        steps: Of a recurrent layer: its ``px`` vectors come in so many steps, each of which needs the results of the step
            before, so that only the vectors of one step (those of the batch) are computed side by side; 0: no such order.

    Raises:
        BadInput: When a size is not a positive integer, or bits are no whole number; it names the layer.
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
    input_ones: float = 0.0
    weight_ones: float = 0.0
    copies: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        if self.kind not in LAYER_KINDS:
            todo = f"use one of {', '.join(LAYER_KINDS)}"
            raise BadInput(f"layer {self.name}", f"kind {self.kind!r} is unknown", todo)
        for name in COUNT_FIELDS:
            value = getattr(self, name)
            least = int(name in POSITIVE_FIELDS)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                what = f"{name} is {value!r}"
                raise BadInput(f"layer {self.name}", what, f"give an integer of at least {least}")
        for name in SHARE_FIELDS:
            share = getattr(self, name)
            if not 0 <= share <= 1:
                what = f"{name} is {share!r}"
                raise BadInput(f"layer {self.name}", what, "give a share from 0 to 1")

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
        """Elements of an input vector that were not in the last one: the windows of a convolution overlap."""
        return self.reduction * min(1.0, self.stride / self.kernel)

    @property
    def parameters(self) -> int:
        """Trained numbers: weights (none for attention's products), biases and norms."""
        if self.dynamic:
            return self.extra_parameters
        if self.weights is None:
            return self.stationary + self.extra_parameters
        return self.weights + self.extra_parameters

    def with_cache_size(self, elements: int) -> "Layer":
        """Says how large the cache of the whole network is while the layer runs.

        Searches over language models ask it of millions of layers, so nothing else is checked again.

        Args:
            elements: Elements of the cache.

        Returns:
            The layer with that cache.

        Raises:
            BadInput: When there are fewer than none.
        """
        if elements < 0:
            what = f"cache_size is {elements!r}"
            raise BadInput(f"layer {self.name}", what, "give an integer of at least 0")
        copy = object.__new__(
            Layer
        )  # without the checks of the constructor, which take most of the time
        for name, value in zip(LAYER_FIELDS, all_fields_of(self), strict=True):
            object.__setattr__(copy, name, value)
        object.__setattr__(copy, "cache_size", elements)
        return copy

    def batched(self, times: int) -> "Layer":
        """Make the layer for several times as many inferences at once.

        More positions meet the same weights. The stationary operand of attention belongs to one
        inference, so there it is the groups that multiply.

        Args:
            times: How many times as many inferences.

        Returns:
            The layer with its work and traffic multiplied; its parameters stay.
        """
        grown_size = "groups" if self.dynamic else "px"
        counts = {name: getattr(self, name) for name in (grown_size, *BATCHED_FIELDS)}
        return replace(self, **{name: times * count for name, count in counts.items()})


LAYER_FIELDS = tuple(f.name for f in fields(Layer))
all_fields_of = attrgetter(*LAYER_FIELDS)
# The fields that decide a layer's cost, as a tuple: layers that agree in it cost the same.
shape_of = attrgetter(*(f.name for f in fields(Layer) if f.name not in DESCRIPTION_FIELDS))
LAYER_COLUMNS = (
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
    *SHARE_FIELDS,
    "copies",
    "steps",
    "count",
)
