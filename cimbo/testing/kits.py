"""From a plug-in's name to what the conformance kits find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.sources import SHIPPED_SUPERNETS, accuracy_source
from cimbo.evaluation.simulators import simulator
from cimbo.testing.accuracy import check_shipped
from cimbo.testing.finding import Finding
from cimbo.testing.network import check_network
from cimbo.testing.simulator import check_simulator
from cimbo.testing.surrogate import check_surrogate
from cimbo.workloads import is_family_name, known, network

Kit = Callable[[], list[Finding]]
BUILT_IN_SIMULATORS = ("cimbo", "zigzag", "accelforge", "command", "table")
SURROGATE_KINDS = ("gp", "xgboost", "hybrid", "posynomial")
#: A chip that every simulator can express: one macro, one plane, a converter for every column.
PLAIN_CHIP = {
    "rows": 64,
    "cols": 64,
    "macros_per_pe": 1,
    "pes": 1,
    "adc_bits": 6,
    "columns_per_adc": 1,
    "buffer_mb": 0.5,
    "buffer_gb_s": 64,
    "dram_channels": 1,
    "planes": 1,
}


def kits(name: str, options: dict[str, Any]) -> dict[str, Kit]:
    """Lists the kits that apply to a plug-in.

    Args:
        name: Name of the plug-in, shipped or installed.
        options: What a simulator is set up with; other kinds take none.

    Returns:
        Kind of plug-in -> a function that runs its kit; a name may be of several kinds.

    Raises:
        BadInput: When nothing has this name.
    """
    every: dict[str, tuple[Iterable[str], Kit]] = {
        "network": (known(), lambda: check_network(network(name))),
        "simulator": (
            _named("simulators", BUILT_IN_SIMULATORS),
            partial(_simulator, name, options),
        ),
        "accuracy": (
            _named("accuracy", (*SHIPPED_SUPERNETS, *published.names())),
            lambda: check_shipped(name, accuracy_source(name)),
        ),
        "surrogate": (_named("surrogates", SURROGATE_KINDS), lambda: check_surrogate(_fit(name))),
    }
    found = {}
    for kind, (names, kit) in every.items():
        if name in names:
            found[kind] = kit
    if not found and not is_family_name(name):  # a file, a library's network, an object of a module
        found["network"] = every["network"][1]
    if not found:
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, (names, _) in every.items())
        every_name = [each for names, _ in every.values() for each in names]
        near = get_close_matches(name, every_name, 2)
        question = ""
        if near:
            question = f"did you mean {' or '.join(near)}? "
        raise BadInput(f"plug-in {name!r}", "is unknown", f"{question}use one of {listed}")
    return found


def _named(group: str, built_in: Iterable[str]) -> list[str]:
    return sorted({*built_in, *(point.name for point in entry_points(group=f"cimbo.{group}"))})


def _simulator(name: str, options: dict[str, Any]) -> list[Finding]:
    return check_simulator(simulator(name, **options), chip=PLAIN_CHIP)


def _fit(name: str) -> Any:
    if name in SURROGATE_KINDS:
        import predictors

        return partial(predictors.fit, kind=name)
    return _fit_function(name)


def _fit_function(name: str) -> Any:
    """What an installed surrogate fits by: its own function, or ``predictors.fit`` for one that is a kind."""
    import predictors

    points = entry_points(group="cimbo.surrogates")
    loaded = next(point for point in points if point.name == name).load()
    if isinstance(loaded, predictors.SurrogateKind):
        return partial(predictors.fit, kind=loaded)
    return loaded
