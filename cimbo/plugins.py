"""What can be added from outside: networks, simulators and sources of accuracy, found by entry points.

A plug-in is a class of two to four methods; ``cimbo doctor NAME`` checks one with the conformance kit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from cimbo.errors import BadInput

T = TypeVar("T")


class Accuracy(Protocol):
    """Where a sub-network's accuracy comes from."""

    @property
    def genes(self) -> Iterable[str]:
        """The hardware genes that change the accuracy, besides every architecture gene."""
        ...

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Accuracy in percent of ``design`` on the images of ``part`` ("validation" for the search, "test" at the end)."""
        ...


def find(group: str, name: str, built_in: Mapping[str, Callable[[], T]]) -> T:
    """The plug-in ``name``: one of ``built_in``, or of the entry points ``cimbo.<group>``. Raises BadInput when unknown."""
    if name in built_in:
        return built_in[name]()
    points = {p.name: p for p in entry_points(group=f"cimbo.{group}")}
    if name in points:
        loaded: Callable[[], T] = points[name].load()
        return loaded()
    known = sorted({*built_in, *points})
    raise BadInput(f"{group} {name!r}", "is unknown", f"use one of {', '.join(known)}")
