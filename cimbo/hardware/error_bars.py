"""How far absolute figures may be off: what published chips say of the model, by family of arrays.

The geometric spread of modelled over reported, over chips that no constant was fitted on (data/constants.toml,
``error_bar``), is one standard deviation of a log-normal factor on the arrays' area, cycle and energy. What surrounds the
arrays - buffer, network, vector unit, DRAM - has no such comparison, and is not varied here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cimbo.hardware.array_description import CELL_FAMILIES, FAMILY_ALIASES
from cimbo.hardware.chip import DEFAULT_GENES
from cimbo.hardware.cost_model import same_schedule_costs
from cimbo.hardware.rows import Floats
from cimbo.hardware.technology import constant
from cimbo.workloads.layers import Workload

LEAKAGE_SPREAD = 2.0
"""Geometric; assumed: between process corners and temperatures, of which no table tells."""

VARIED_CAUSES = ("area", "cycle", "energy")
COSTS_WITH_BARS = ("area_mm2", "latency_ms", "energy_uj")


@dataclass(frozen=True)
class Spread:
    """Geometric standard deviations of a family's area, cycle and energy, modelled over reported.

    Attributes:
        area: Of a macro's area.
        cycle: Of its cycle.
        energy: Of the energy of an invocation.
    """

    area: float
    cycle: float
    energy: float


def spread_of(family: str) -> Spread:
    """Look up how far the model is off for a family of arrays.

    Args:
        family: One of ``CELL_FAMILIES``, or an older name of one (``FAMILY_ALIASES``).

    Returns:
        Its spreads.

    Raises:
        ValueError: For a name that is no family.
    """
    at = CELL_FAMILIES.index(FAMILY_ALIASES.get(family, family))
    return Spread(
        *(float(constant(f"error_bar.{name}")[at]) for name in ("area", "cycle", "energy"))
    )


def error_bars(workload: Workload, chip: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Finds what a network's costs on a chip are if the arrays are off by one standard deviation to either side.

    Each cause varies alone, the schedule being the one that is best for the chip as modelled; their
    effects, as logarithms, add in squares.

    Args:
        workload: The network.
        chip: Genes of one chip.

    Returns:
        Least and most area_mm2, latency_ms and energy_uj; some two of three chips should lie between.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    costs = _varied_costs(workload, chip)
    return {metric: _between(costs[metric]) for metric in COSTS_WITH_BARS}


def merit_bars(workload: Workload, chip: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Finds the same of figures of merit, from the costs that they are made of.

    Args:
        workload: The network.
        chip: Genes of one chip.

    Returns:
        Least and most power_w, w_per_mm2, tops_per_w and tops_per_mm2.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    figures = _merits(_varied_costs(workload, chip), workload.macs)
    return {name: _between(values) for name, values in figures.items()}


def _merits(costs: Mapping[str, Any], macs: int) -> dict[str, Floats]:
    """Figures of merit (n,) of ``n`` costs, in their order."""
    watts = costs["energy_uj"] * 1e-3 / costs["interval_ms"]
    tera_operations = 2e-12 * macs
    area = costs["area_mm2"]
    return {
        "power_w": watts,
        "w_per_mm2": watts / area,
        "tops_per_w": 1e6 * tera_operations / costs["energy_uj"],
        "tops_per_mm2": 1e3 * tera_operations / costs["interval_ms"] / area,
    }


def _varied_costs(workload: Workload, chip: Mapping[str, Any]) -> Mapping[str, Any]:
    """Costs of the chip as modelled, of it with each factor least, and of it with each most, (1 + 2 * causes,)."""
    own = {**DEFAULT_GENES, **chip}
    return same_schedule_costs(workload, [own, *_varied(own, -1), *_varied(own, 1)])


def _varied(chip: Mapping[str, Any], sign: int) -> Iterator[dict[str, Any]]:
    """The chip with one factor after another by a standard deviation lower (-1) or higher (+1)."""
    spread = spread_of(chip["array"])
    for name in VARIED_CAUSES:
        factor = f"{name}_factor"
        yield {**chip, factor: chip[factor] * getattr(spread, name) ** sign}


def _between(values: Floats) -> tuple[float, float]:
    """Least and most of a figure, of its values in the order of ``_varied_costs``."""
    value = float(values[0])
    effects = np.log(values[1:] / value).reshape(2, len(VARIED_CAUSES))
    less = np.minimum(effects.min(axis=0), 0)
    more = np.maximum(effects.max(axis=0), 0)
    return value * math.exp(-math.hypot(*less)), value * math.exp(math.hypot(*more))


def draw_factors(
    families: list[str], rng: np.random.Generator, common: float = 0.75
) -> dict[str, np.ndarray]:
    """Draws what n chips' figures are off by.

    Args:
        families: Of each chip's arrays, (n,).
        rng: Source of randomness.
        common: Share of the variance that all chips of a family have in common: a constant that is wrong is wrong for all.

    Returns:
        The genes ``ERROR_FACTORS``, (n,) each.
    """
    found = {}
    for name in ("area", "cycle", "energy", "leakage"):
        shared = dict(zip(CELL_FAMILIES, rng.normal(size=len(CELL_FAMILIES)).tolist(), strict=True))
        own = rng.normal(size=len(families))
        known = [FAMILY_ALIASES.get(family, family) for family in families]
        together = np.array([shared[family] for family in known])
        normal = np.sqrt(common) * together + np.sqrt(1 - common) * own
        if name == "leakage":
            spreads = np.full(len(families), LEAKAGE_SPREAD)
        else:
            spreads = np.array([getattr(spread_of(family), name) for family in families])
        found[f"{name}_factor"] = np.exp(np.log(spreads) * normal)
    return found
