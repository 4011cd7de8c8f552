"""Counting a file's parameters, each once however often it is used."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cimbo.workloads.onnx.tensors import INDEX_TYPES, INT32_TYPE


@dataclass
class ParameterCount:
    """Stored tensors, and who uses them first.

    Exporters store shapes and indices among the weights. They are no parameters of a network, so integers of those
    types and lone numbers count only where a product or a bias reads them. A file that names no producer was written
    by hand: there all that it stores as an initializer counts.

    Args:
        has_producer: whether the file says what wrote it.
    """

    has_producer: bool
    _sizes: dict[str, int] = field(default_factory=dict)  # elements of each stored tensor
    _counted: set[str] = field(
        default_factory=set
    )  # tensors that count even if no layer claims them
    _claimed: set[str] = field(default_factory=set)  # tensors that a layer has as its parameters
    _discarded: set[str] = field(
        default_factory=set
    )  # tensors that count only if a layer claims them
    _int32: set[str] = field(
        default_factory=set
    )  # tensors of int32: indices, or biases of quantised layers

    def store(self, source: str, size: int, element_type: int, *, is_number: bool = False) -> None:
        """Takes in an initializer.

        Args:
            source: Its name, one in the whole file.
            size: Its elements.
            element_type: Their type, by onnx's number.
            is_number: Whether it is a lone number, without dimensions.
        """
        self._sizes[source] = size
        if element_type == INT32_TYPE and not is_number:
            self._int32.add(source)
        if not self.has_producer or not (element_type in INDEX_TYPES or is_number):
            self._counted.add(source)

    def made(self, source: str, size: int) -> None:
        """Takes in a constant that a node makes or packs; it counts where a product reads it.

        Args:
            source: Its name, one in the whole file.
            size: Its elements.
        """
        self._sizes[source] = size

    def discard(self, sources: Iterable[str]) -> None:
        """Takes out what is no parameter, unless something claims it: a scale, a running statistic.

        Args:
            sources: Names of stored tensors.
        """
        self._discarded |= set(sources)

    def count_biases(self, sources: Iterable[str]) -> None:
        """Counts stored integers of 32 bits that are dequantised: they are biases, and not indices.

        Args:
            sources: Names of the tensors that are dequantised; those of other types are left as
                they are.
        """
        self._counted |= set(sources) & self._int32

    def claim(self, sources: Iterable[str]) -> int:
        """Gives tensors to the layer that reads them; no later claim counts them.

        Args:
            sources: Names of the tensors.

        Returns:
            How many elements those have that nothing claimed before.
        """
        unclaimed = set(sources) - self._claimed
        self._claimed |= unclaimed
        return sum(self._sizes[source] for source in unclaimed)

    def claim_counted(self, sources: Iterable[str]) -> int:
        """Claims as `claim` does, but of those tensors alone that count anyway.

        Args:
            sources: Names of the tensors.

        Returns:
            How many elements those have that nothing claimed before.
        """
        return self.claim(set(sources) & self._counted)

    @property
    def total(self) -> int:
        """Elements of all tensors that count, claimed by a layer or not."""
        counted = (self._counted - self._discarded) | self._claimed
        return sum(self._sizes[source] for source in counted)
