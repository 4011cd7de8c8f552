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
    index = CELL_FAMILIES.index(FAMILY_ALIASES.get(family, family))
    return Spread(
        area=float(constant("error_bar.area")[index]),
        cycle=float(constant("error_bar.cycle")[index]),
        energy=float(constant("error_bar.energy")[index]),
    )


def error_bars(workload: Workload, chip: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Work out a network's costs on a chip if the model of the arrays is off by one standard deviation.

    Area, cycle and energy of the arrays are varied one at a time, by one standard deviation to
    either side. The chip keeps the schedule that is best for it as modelled. The errors are taken
    as independent: the squares of the logarithms of their effects are added.

    Args:
        workload: The network.
        chip: Genes of one chip.

    Returns:
        Lower and upper end of area_mm2, latency_ms and energy_uj; about two of three chips should
        lie between them.

    Raises:
        BadInput: Where the genes describe no chip, naming the gene.
    """
    costs = _varied_costs(workload, chip)
    return {metric: _between(costs[metric]) for metric in COSTS_WITH_BARS}


def merit_bars(workload: Workload, chip: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Work out figures of merit if the model of the arrays is off by one standard deviation.

    The arrays are varied as in ``error_bars``; each variant's figures follow from its costs.

    Args:
        workload: The network.
        chip: Genes of one chip.

    Returns:
        Lower and upper end of power_w, w_per_mm2, tops_per_w and tops_per_mm2.

    Raises:
        BadInput: Where the genes describe no chip, naming the gene.
    """
    figures = _merits(_varied_costs(workload, chip), workload.macs)
    return {name: _between(values) for name, values in figures.items()}


def _merits(costs: Mapping[str, Any], macs: int) -> dict[str, Floats]:
    """Figures of merit by name, (n,) each.

    Args:
        costs: energy_uj, interval_ms and area_mm2, (n,) each.
        macs: Multiply-accumulates of the network.

    Returns:
        power_w, w_per_mm2, tops_per_w and tops_per_mm2.
    """
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
    """Costs of a chip and of its variants, columns of shape (1 + 2 * causes,).

    First the chip as modelled, then with each cause of ``VARIED_CAUSES`` one standard deviation
    lower, then with each one standard deviation higher.

    Returns:
        Costs as ``simulate_batch`` names them.
    """
    complete = {**DEFAULT_GENES, **chip}
    chips = [complete, *_varied(complete, -1), *_varied(complete, 1)]
    return same_schedule_costs(workload, chips)


def _varied(chip: Mapping[str, Any], sign: int) -> Iterator[dict[str, Any]]:
    """Yield the chip with one cause after another a standard deviation lower (sign -1) or higher (+1)."""
    spread = spread_of(chip["array"])
    for name in VARIED_CAUSES:
        factor = f"{name}_factor"
        yield {**chip, factor: chip[factor] * getattr(spread, name) ** sign}


def _between(values: Floats) -> tuple[float, float]:
    """Lower and upper end of a figure, from its values in the order of ``_varied_costs``."""
    value = float(values[0])
    log_effects = np.log(values[1:] / value).reshape(2, len(VARIED_CAUSES))
    # Of either sign of a cause, one may lower the figure and the other may raise it.
    lowering = np.minimum(log_effects.min(axis=0), 0)
    raising = np.maximum(log_effects.max(axis=0), 0)
    return value * math.exp(-math.hypot(*lowering)), value * math.exp(math.hypot(*raising))


def draw_factors(
    families: list[str], rng: np.random.Generator, common: float = 0.75
) -> dict[str, np.ndarray]:
    """Draw log-normal factors by which the model may be off for each of n chips.

    A factor is spread**z. Its standard normal z is a sum of two parts: one that all chips of a
    family share, since a constant that is wrong is wrong for all of them, and one of the chip alone.

    Args:
        families: Family of each chip's arrays, (n,).
        rng: Source of randomness.
        common: Fraction of the variance of z that is shared.

    Returns:
        The genes ``ERROR_FACTORS``, (n,) each.
    """
    family_of_chip = [FAMILY_ALIASES.get(family, family) for family in families]
    factors = {}
    for name in ("area", "cycle", "energy", "leakage"):
        draws = rng.normal(size=len(CELL_FAMILIES)).tolist()
        family_draws = dict(zip(CELL_FAMILIES, draws, strict=True))
        shared = np.array([family_draws[family] for family in family_of_chip])
        own = rng.normal(size=len(families))
        z = np.sqrt(common) * shared + np.sqrt(1 - common) * own
        if name == "leakage":
            spreads = np.full(len(families), LEAKAGE_SPREAD)
        else:
            spreads = np.array([getattr(spread_of(family), name) for family in families])
        factors[f"{name}_factor"] = np.exp(np.log(spreads) * z)
    return factors
