"""What every elastic family shares: finding its extreme sub-networks and reading genes."""

from collections.abc import Callable, Mapping
from typing import Any

from cimbo.space import Choice
from cimbo.workload import pick


def extreme(choices: list[Choice], best: Callable[[tuple], Any]) -> dict[str, Any]:
    """Every gene at ``best`` (min or max) of its values; genes whose parents make them inactive are left out."""
    genes = {choice.name: best(choice.values) for choice in choices}
    return {choice.name: genes[choice.name] for choice in choices if active(choice, genes)}


def active(choice: Choice, genes: Mapping[str, Any]) -> bool:
    """Whether ``genes`` make this choice matter."""
    return all(genes[parent] in values for parent, values in choice.active_if.items())


def reader(where: str, subnet: Mapping, choices: list[Choice]) -> Callable[[str], Any]:
    """A function from a gene's name to its checked value. Raises BadInput on a missing gene or a value not listed."""
    allowed = {choice.name: choice.values for choice in choices}
    return lambda name: pick(where, subnet, name, allowed[name])


def divisible(channels: float, by: int = 8) -> int:
    """``channels`` rounded to a multiple of ``by``, never losing more than a tenth (the rule of the MobileNet papers)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded
