"""Layers as they are found in a graph, with the vector work that follows each."""

from collections import Counter
from dataclasses import dataclass, field, replace

from cimbo.workloads.layers import Layer


@dataclass
class Ledger:
    """Layers found so far, and what was found that the user should know.

    ``before`` is vector work that comes before the first layer. Layers have numbers that no other ledger uses, by which
    the work that follows one of them finds it.
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
            number: By which work that follows it finds it; no other layer of any ledger has it.
        """
        self._places[number] = len(self.layers)
        self.layers.append(layer)

    def holds(self, number: int) -> bool:
        """Tells whether a layer of that number is here.

        Args:
            number: Of the layer.

        Returns:
            True where it is.
        """
        return number in self._places

    def add_work(self, number: int, operations: int, parameters: int = 0) -> None:
        """Adds vector work that follows a layer.

        Args:
            number: Of the layer; of none that is here: the work comes before the first layer.
            operations: Of the vector unit.
            parameters: Biases and norms that the work reads; they count only where the layer is
                here.
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

    def absorb(self, other: "Ledger", number: int, times: int = 1) -> None:
        """Adds what a subgraph costs.

        Args:
            other: The subgraph's ledger.
            number: Of the layer that the subgraph follows.
            times: How often the subgraph runs; 0: only its notes are taken over.
        """
        if times:
            self.add_work(number, other.before * times)
            for inner, place in other._places.items():
                self._places[inner] = len(self.layers) + place
            self.layers += [layer.batched(times) for layer in other.layers]
        self.unknown += other.unknown
        self.unsized += other.unsized
        self.notes += other.notes

    @property
    def macs(self) -> int:
        """Multiply-accumulates of its layers."""
        return sum(layer.macs for layer in self.layers)
