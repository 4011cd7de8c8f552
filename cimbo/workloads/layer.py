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
)
SHARE_FIELDS = ("input_ones", "weight_ones")
# Fields that a user sets beside the network itself. Digests of older releases lack them.
SAID_FIELDS = (*SHARE_FIELDS, "copies")
# Fields that grow with the number of inferences, besides positions or groups.
BATCHED_FIELDS = ("vector_ops", "inputs", "outputs", *CACHE_FIELDS)
# Fields without influence on the cost of a layer.
DESCRIPTION_FIELDS = ("name", "weights", "frequency")


@dataclass(frozen=True, slots=True)
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

    ``input_ones`` and ``weight_ones`` are the shares of the bits of inputs and of the stationary operand that are one; 0: as
    the chip's ``activity`` has it. ``copies`` are those of the layer, itself included, on a chip whose ``duplication`` is
    ``given``; 0: one.

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
    input_ones: float = 0.0
    weight_ones: float = 0.0
    copies: int = 0

    def __post_init__(self) -> None:
        if self.kind not in LAYER_KINDS:
            todo = f"use one of {', '.join(LAYER_KINDS)}"
            raise BadInput(f"layer {self.name}", f"kind {self.kind!r} is unknown", todo)
        for name in COUNT_FIELDS:
            value, least = getattr(self, name), int(name in POSITIVE_FIELDS)
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
        """New elements that each input vector brings to its group when the window's overlap with the last is kept."""
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
            elements: Of the cache.

        Returns:
            The layer with that cache.

        Raises:
            BadInput: When there are fewer than none.
        """
        if elements < 0:
            what = f"cache_size is {elements!r}"
            raise BadInput(f"layer {self.name}", what, "give an integer of at least 0")
        found = object.__new__(Layer)
        for name, value in zip(LAYER_FIELDS, all_fields_of(self), strict=True):
            object.__setattr__(found, name, value)
        object.__setattr__(found, "cache_size", elements)
        return found

    def batched(self, times: int) -> "Layer":
        """Make the layer for several times as many inferences at once.

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
    "count",
)
