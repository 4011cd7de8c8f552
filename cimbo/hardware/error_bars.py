"""How far absolute figures may be off: what published chips say of the model, by family of arrays.

The geometric spread of modelled over reported, over chips that no constant was fitted on (data/constants.toml,
``error_bar``), is one standard deviation of a log-normal factor on the arrays' area, cycle and energy. What surrounds the
arrays - buffer, network, vector unit, DRAM - has no such comparison, and is not varied here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cimbo.hardware.array_description import CELL_FAMILIES, FAMILY_ALIASES
from cimbo.hardware.chip import DEFAULT_GENES
from cimbo.hardware.cost_model import simulate_batch
from cimbo.hardware.technology import constant
from cimbo.workloads.layers import Workload

LEAKAGE_SPREAD = 2.0
"""Geometric; assumed: between process corners and temperatures, of which no table tells."""

_BAR_OF = {"area_mm2": "area", "latency_ms": "cycle", "energy_uj": "energy"}


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
        family: One of ``FAMILIES``, or an older name of one (``FAMILY_ALIASES``).

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

    Args:
        workload: The network.
        chip: Genes of one chip.

    Returns:
        Least and most latency_ms, energy_uj and area_mm2; some two of three chips should lie between.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    own = {**DEFAULT_GENES, **chip}
    spread = spread_of(own["array"])
    factors = {name: getattr(spread, name) for name in ("area", "cycle", "energy")}
    chips = []
    for sign in (-1, 1):
        chips += [{**own, f"{name}_factor": factor**sign} for name, factor in factors.items()]
    costs = simulate_batch(workload, chips)
    bars = {}
    for metric, name in _BAR_OF.items():
        at = list(factors).index(name)
        low, high = float(costs[metric][at]), float(costs[metric][at + len(factors)])
        bars[metric] = (min(low, high), max(low, high))
    return bars


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
