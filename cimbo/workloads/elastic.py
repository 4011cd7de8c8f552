"""What every elastic family shares: extreme sub-networks, reading genes, and genes of blocks that may be absent."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from cimbo.problem.space import Choice
from cimbo.workloads.layers import pick


class Family(ABC):
    """A family that is described by its genes; the other half of `cimbo.workloads.Network` is a workload."""

    name: str

    @abstractmethod
    def choices(self) -> list[Choice]:
        """The genes, in a fixed order."""

    def largest(self) -> dict[str, Any]:
        """Every active gene at its largest value."""
        return self._extreme(max)

    def smallest(self) -> dict[str, Any]:
        """Every active gene at its smallest value."""
        return self._extreme(min)

    def reader(self, subnet: Mapping[str, Any]) -> Callable[[str], Any]:
        """Makes a function that reads genes of a sub-network.

        Args:
            subnet: Gene to value.

        Returns:
            A function from a gene's name to its value. It raises BadInput for a gene that is
            missing or has a value outside its list.
        """
        return lambda name: pick(self.name, subnet, name, self._values[name])

    @cached_property
    def _genes(self) -> list[Choice]:
        """The genes, made once."""
        return self.choices()

    @cached_property
    def _values(self) -> dict[str, tuple[Any, ...]]:
        """Gene to its values."""
        return {choice.name: choice.values for choice in self._genes}

    def _extreme(self, pick_value: Callable[[tuple[Any, ...]], Any]) -> dict[str, Any]:
        """The sub-network in which every gene has the value that ``pick_value`` (max or min) picks; active genes alone."""
        genes = {choice.name: pick_value(choice.values) for choice in self._genes}
        subnet = {}
        for choice in self._genes:
            if active(choice, genes):
                subnet[choice.name] = genes[choice.name]
        return subnet


def active(choice: Choice, genes: Mapping[str, Any]) -> bool:
    """Tells whether a gene exists in a sub-network.

    Args:
        choice: The gene.
        genes: Gene to value, with every gene that ``choice`` depends on.

    Returns:
        True where all of the gene's conditions hold.

    Raises:
        KeyError: When a gene that ``choice`` depends on is not among ``genes``.
    """
    return all(genes[parent] in values for parent, values in choice.active_if.items())


def block_choices(depth: Choice, block: int, values: Mapping[str, Sequence[Any]]) -> list[Choice]:
    """Makes the genes of a block that exists where the network is deep enough.

    Args:
        depth: The gene that says how many blocks there are.
        block: Number of the block as ``depth`` counts: it exists where depth is at least that.
        values: Gene to its values.

    Returns:
        The genes; conditional where a value of ``depth`` leaves the block out.
    """
    deep_enough = [value for value in depth.values if int(value) >= block]
    active_if = None
    if len(deep_enough) < len(depth.values):
        active_if = {depth.name: deep_enough}
    return [Choice(name, list(of_gene), active_if) for name, of_gene in values.items()]


def divisible(channels: float, by: int = 8) -> int:
    """Rounds a number of channels to a multiple, by the rule of the MobileNet papers.

    Args:
        channels: How many there would be.
        by: What the result is divisible by.

    Returns:
        The nearest multiple, at least ``by``; the next larger one where rounding down would lose more
        than a tenth of the channels.
    """
    rounded = max(by, int(channels + by / 2) // by * by)
    if rounded < 0.9 * channels:
        return rounded + by
    return rounded
