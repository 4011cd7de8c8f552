"""Collects the layers that are found in a graph, and adds the vector work that follows each to it."""

from collections import Counter
from dataclasses import dataclass, field, replace

from cimbo.workloads.layers import Layer


@dataclass
class Ledger:
    """The layers found so far in a graph or subgraph, and what the user should know about it.

    Every layer has a number that no other layer of any ledger has; vector work names the layer that it follows by it.

    Attributes:
        layers: The layers, in order.
        before: Operations of the vector unit that come before the first layer.
        unknown: Operators that were not understood, and how often.
        unsized: Operators whose sizes are not known, and how often.
        notes: Sentences for the user.
        _places: Number of a layer to its position in ``layers``.
    """

    layers: list[Layer] = field(default_factory=list)
    before: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    unsized: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    _places: dict[int, int] = field(default_factory=dict)

    def append(self, layer: Layer, number: int) -> None:
        """Adds a layer.

        Args:
            layer: The layer.
            number: Its number, by which vector work names it.
        """
        self._places[number] = len(self.layers)
        self.layers.append(layer)

    def holds(self, number: int) -> bool:
        """Tells whether a layer of that number is here.

        Args:
            number: The layer's number.

        Returns:
            True where it is.
        """
        return number in self._places

    def add_work(self, number: int, operations: int, parameters: int = 0) -> None:
        """Adds vector work that follows a layer.

        Args:
            number: The layer's number. Where no layer here has it, the work comes before the first layer.
            operations: Operations of the vector unit.
            parameters: Biases and parameters of norms that the work reads; they count only where the
                layer is here.
        """
        place = self._places.get(number)
        if place is None:
            self.before += operations
            return
        layer = self.layers[place]
        self.layers[place] = replace(
            layer,
            vector_ops=layer.vector_ops + operations,
            extra_parameters=layer.extra_parameters + parameters,
        )

    def absorb(
        self, other: "Ledger", number: int, times: int = 1, *, is_serial: bool = False
    ) -> None:
        """Adds the layers and the work of a subgraph.

        Args:
            other: The subgraph's ledger.
            number: Number of the layer that the subgraph follows.
            times: How often the subgraph runs; 0: only its notes are taken over.
            is_serial: Whether each run needs the results of the one before it.
        """
        if times:
            self.add_work(number, other.before * times)
            for inner_number, place in other._places.items():
                self._places[inner_number] = len(self.layers) + place
            for layer in other.layers:
                self.layers.append(_repeated(layer, times, is_serial=is_serial))
        self.unknown += other.unknown
        self.unsized += other.unsized
        self.notes += other.notes

    @property
    def macs(self) -> int:
        """Multiply-accumulates of its layers."""
        return sum(layer.macs for layer in self.layers)


def _repeated(layer: Layer, times: int, *, is_serial: bool) -> Layer:
    """A layer that runs so many times.

    Attention's stationary operand is another one in each run: its runs count as groups, side by side.

    Args:
        layer: The layer as it runs once.
        times: How often it runs.
        is_serial: Whether each run needs the result of the one before it.

    Returns:
        The layer with its work and traffic multiplied.
    """
    repeated = layer.batched(times)
    if times > 1 and is_serial and not layer.dynamic:
        repeated = replace(repeated, steps=times * max(layer.steps, 1))
    return repeated
