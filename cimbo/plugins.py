"""What can be added from outside: networks, simulators and sources of accuracy, found by entry points.

A plug-in is a class of two to four methods; ``cimbo doctor NAME`` checks one with the conformance kit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, Protocol, TypeVar

from cimbo.errors import BadInput, choose_from

T = TypeVar("T")


class Accuracy(Protocol):
    """Where a sub-network's accuracy comes from.

    A source that has no images for the end lists ``parts = ("validation",)``.
    """

    @property
    def genes(self) -> Iterable[str]:
        """The hardware genes that change the accuracy, besides every architecture gene."""
        ...

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Accuracy in percent of ``design`` on the images of ``part`` ("validation" for the search, "test" at the end)."""
        ...


def find(
    group: str,
    name: str,
    built_in: Mapping[str, Callable[..., T]],
    options: Mapping[str, Any] | None = None,
) -> T:
    """The plug-in ``name``: one of ``built_in``, or of the entry points ``cimbo.<group>``, called with ``options``.

    Raises BadInput when there is none of that name, or it takes no such options.
    """
    if name in built_in:
        return _made(f"{group} {name!r}", built_in[name], options or {})
    points = {p.name: p for p in entry_points(group=f"cimbo.{group}")}
    if name in points:
        loaded: Callable[..., T] = points[name].load()
        return _made(f"{group} {name!r}", loaded, options or {})
    known = sorted({*built_in, *points})
    raise BadInput(f"{group} {name!r}", "is unknown", choose_from(name, known))


def _made(where: str, make: Callable[..., T], options: Mapping[str, Any]) -> T:
    try:
        signature(make).bind(**options)
    except TypeError as error:
        raise BadInput(
            where, f"cannot take these options ({error})", "correct [network.options]"
        ) from None
    return make(**options)
