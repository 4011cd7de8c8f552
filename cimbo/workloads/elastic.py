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

    def reader(self, subnet: Mapping) -> Callable[[str], Any]:
        """A function from a gene's name to its value in ``subnet``. It raises BadInput for one missing or not listed."""
        return lambda name: pick(self.name, subnet, name, self._values[name])

    @cached_property
    def _genes(self) -> list[Choice]:
        return self.choices()

    @cached_property
    def _values(self) -> dict[str, tuple]:
        return {choice.name: choice.values for choice in self._genes}

    def _extreme(self, best: Callable[[tuple], Any]) -> dict[str, Any]:
        genes = {choice.name: best(choice.values) for choice in self._genes}
        return {choice.name: genes[choice.name] for choice in self._genes if active(choice, genes)}


def active(choice: Choice, genes: Mapping[str, Any]) -> bool:
    """Whether ``genes`` make this choice matter."""
    return all(genes[parent] in values for parent, values in choice.active_if.items())


def block_choices(depth: Choice, block: int, values: Mapping[str, Sequence]) -> list[Choice]:
    """The genes ``values`` (name -> what it may be) of a block that exists where ``depth`` is at least ``block``."""
    deep = [d for d in depth.values if int(d) >= block]
    active_if = {depth.name: deep} if len(deep) < len(depth.values) else None
    return [Choice(name, list(listed), active_if) for name, listed in values.items()]


def divisible(channels: float, by: int = 8) -> int:
    """``channels`` rounded to a multiple of ``by``, never losing more than a tenth (the rule of the MobileNet papers)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded
