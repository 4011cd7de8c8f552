"""What the reader knows of a tensor: its sizes, what it was made of, and how many bits an element was stored with."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cimbo.errors import BadInput

# Bits of an element by the number that onnx.TensorProto.DataType gives its type.
ELEMENT_BITS = {
    1: 32,  # float
    2: 8,  # uint8
    3: 8,  # int8
    4: 16,  # uint16
    5: 16,  # int16
    6: 32,  # int32
    7: 64,  # int64
    9: 1,  # bool
    10: 16,  # float16
    11: 64,  # double
    12: 32,  # uint32
    13: 64,  # uint64
    16: 16,  # bfloat16
    17: 8,  # float8e4m3fn
    18: 8,  # float8e4m3fnuz
    19: 8,  # float8e5m2
    20: 8,  # float8e5m2fnuz
    21: 4,  # uint4
    22: 4,  # int4
    23: 4,  # float4e2m1
    24: 8,  # float8e8m0
    25: 2,  # uint2
    26: 2,  # int2
}
INTEGER_TYPES = frozenset({2, 3, 4, 5, 6, 7, 9, 12, 13, 21, 22, 25, 26})
# Types of shapes, indices and masks. A quantised weight is narrower; a quantised bias, int32, is known by its place.
INDEX_TYPES = frozenset({6, 7, 9, 12, 13})
FLOAT_TYPE, UINT8_TYPE, INT32_TYPE, INT64_TYPE, BOOL_TYPE = 1, 2, 6, 7, 9
# A tensor of more elements, or a product of more groups, is a fault of the file and not a network.
MOST_ELEMENTS = 2**40
MOST_GROUPS = 2**20


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph.

    Attributes:
        name: what messages call it.
        shape: its sizes; None in the place of a size that is not known, or for all where the rank is not.
        element_type: a number of onnx.TensorProto.DataType, 0 where unknown.
        constant: whether nothing that it depends on is an input of the graph.
        value: its elements, where they are few and known.
        sources: names of the stored tensors that a constant was made of.
        bits: bits of an element as stored, before any dequantisation; 0 where unknown.
        integer_sum: whether it is the accumulator of an integer product, which a scale still has to follow.
        scaled_sum: whether it is such a sum brought to its unit, so that what is added to it is a bias.
        weighted_sum: whether it is the result of a product with weights, so that a vector added to it is a bias.
        is_scale: whether it is a scale that was found while running (dynamic quantisation).
        layer: number of the last layer that it comes from; 0 where it comes from none.
    """

    name: str
    shape: tuple[int | None, ...] | None = None
    element_type: int = 0
    constant: bool = False
    value: NDArray[Any] | None = None
    sources: frozenset[str] = frozenset()
    bits: int = 0
    integer_sum: bool = False
    scaled_sum: bool = False
    weighted_sum: bool = False
    is_scale: bool = False
    layer: int = 0

    @property
    def known_shape(self) -> tuple[int, ...] | None:
        """The sizes where all are known, else None."""
        if self.shape is None:
            return None
        sizes = tuple(size for size in self.shape if size is not None)
        if len(sizes) == len(self.shape):
            return sizes
        return None

    @property
    def elements(self) -> int | None:
        """The number of elements where all sizes are known, else None."""
        sizes = self.known_shape
        if sizes is None:
            return None
        return math.prod(sizes)

    def sizes(self, where: str) -> tuple[int, ...]:
        """Finds the sizes, all of them known.

        Args:
            where: The node that reads the tensor, for the error.

        Returns:
            The sizes, all positive.

        Raises:
            BadInput: When one is unknown or not positive; it names the tensor.
        """
        known = self.known_shape
        if known is None or any(size <= 0 for size in known):
            todo = "set the free sizes (--set NAME=SIZE) or export the file with static shapes"
            raise BadInput(where, f"the shape of {self.name} is {self._shape_in_words()}", todo)
        return known

    def _shape_in_words(self) -> str:
        """The shape for messages, such as "[1, ?, 64]" where a size is unknown."""
        if self.shape is None:
            return "unknown"
        return _printed(self.shape)

    def integers(self) -> list[int] | None:
        """The elements as integers, where they are known."""
        if self.value is None:
            return None
        return [int(each) for each in self.value.ravel()]


@dataclass(frozen=True)
class Made:
    """What was inferred of one output of a node.

    Attributes:
        shape: its sizes; None in the place of an unknown one, or for all where the rank is unknown.
        element_type: a number of onnx.TensorProto.DataType, 0 where unknown.
        value: its elements, where they are few and known.
    """

    shape: tuple[int | None, ...] | None
    element_type: int
    value: NDArray[Any] | None = None


def check_sizes(where: str, name: str, shape: Iterable[int | None] | None) -> None:
    """Refuses a tensor that is larger than any network's.

    Args:
        where: The node or file, for the error.
        name: The tensor's name.
        shape: Its sizes as far as they are known.

    Raises:
        BadInput: When it has more than MOST_ELEMENTS elements; it names the tensor.
    """
    total = math.prod(size for size in shape or () if size is not None)
    if total > MOST_ELEMENTS:
        raise BadInput(where, f"{name} has {total} elements", f"at most {MOST_ELEMENTS} are read")


def bits_of(element_type: int) -> int:
    """Finds the bits of an element.

    Args:
        element_type: Its type, by onnx's number.

    Returns:
        The bits; 0 where the type is unknown.
    """
    return ELEMENT_BITS.get(element_type, 0)


def is_small(shape: tuple[int, ...] | None, most: int) -> bool:
    """Tells whether a tensor has few elements.

    Args:
        shape: Its sizes; None: unknown.
        most: How many elements it may have.

    Returns:
        True where the sizes are known and there are at most so many elements.
    """
    return shape is not None and math.prod(shape) <= most


def _printed(shape: tuple[int | None, ...]) -> str:
    """A shape as text, such as "[1, ?, 64]": unknown sizes are question marks."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def names(listed: str) -> frozenset[str]:
    """Makes a set of the words of a text: operators by name.

    Args:
        listed: The words, with spaces between them.

    Returns:
        The words.
    """
    return frozenset(listed.split())


def completed(made: Made, stated: Made | None) -> Made:
    """Fill in the sizes and the type that could not be inferred with those that the file states.

    Args:
        made: What was inferred of a tensor.
        stated: What the file states of it; None for nothing.

    Returns:
        What is known of it; inferred sizes come first.
    """
    if stated is None:
        return made
    element_type = made.element_type or stated.element_type
    if made.shape is None:
        return Made(stated.shape, element_type, made.value)
    if None in made.shape and stated.shape is not None and len(stated.shape) == len(made.shape):
        pairs = zip(made.shape, stated.shape, strict=True)
        merged = tuple(inferred if inferred is not None else other for inferred, other in pairs)
        return Made(merged, element_type, made.value)
    return Made(made.shape, element_type, made.value)
