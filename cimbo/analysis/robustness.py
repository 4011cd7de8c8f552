"""How sure is a front? Each of its designs' chance to stay on it when the figures it rests on are off.

Errors are relative standard deviations. A bandwidth and the converters' energy are off by one factor for all chips, as a
technology's constants are (log-normal: exp of a normal number); each accuracy is off on its own, but designs whose accuracy
is one measurement share its error. Costs are simulated again with the wrong bandwidths; energy is linear in what a conversion
takes, so that part is scaled. A measured cost changes by the factor by which the simulated one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cimbo import hardware
from cimbo.analysis.mapped_design import COST_METRICS, Placed
from cimbo.hardware.error_bars import draw_factors
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import non_dominated
from cimbo.storage import Record

Array = NDArray[np.float64]
_NOT_OFF: Mapping[str, Array] = MappingProxyType({})
ACCURACY_METRIC = "accuracy"  # the metric that designs of equal architecture share
BANDWIDTH_GENES = ("dram_channels", "buffer_gb_s", "noc_gb_s")


@dataclass(frozen=True)
class Errors:
    """Relative standard deviations of each bandwidth, of the energy a conversion takes, and of a measured accuracy.

    ``silicon``: how many of the standard deviations that published chips show the arrays' area, cycle, energy and leakage are
    off by; see :mod:`cimbo.hardware.error_bars`. ``metrics``: of each other metric, design by design, where cimbo's chip
    model does not know the designs (assumed).
    """

    bandwidth: float = 0.2
    adc_energy: float = 0.3
    accuracy: float = 0.005
    silicon: float = 1.0
    metrics: float = 0.05


def chances(
    problem: Problem,
    records: Sequence[Record],
    placed: Sequence[Placed],
    errors: Errors,
    *,
    draws: int,
    seed: int,
) -> Array:
    """Estimate each design's chance to stay on the front when the figures it rests on are off.

    Each draw makes bandwidths, conversion energies, arrays and accuracies wrong by their errors and
    simulates the designs again; see the head of this module.

    Args:
        problem: Objectives and constraints.
        records: The n designs, evaluated.
        placed: The same n designs as the chip model takes them.
        errors: Relative standard deviations of the figures.
        draws: How many draws.
        seed: Seed of the draws; equal seeds give equal draws.

    Returns:
        (n,) share of the draws, 0 to 1, in which a design is feasible and no other dominates it.
    """
    rng = np.random.default_rng(seed)
    sharing = _sharing(problem, records, placed)
    base = _simulated(placed, np.ones(3), 1.0)
    families = [str(p.full["array"]) for p in placed]
    kept = np.zeros(len(records))
    for _ in range(draws):
        widths, adc = (
            np.exp(rng.normal(0, errors.bandwidth, 3)),
            float(np.exp(rng.normal(0, errors.adc_energy))),
        )
        wrong = 1 + rng.normal(0, errors.accuracy, sharing.max() + 1)[sharing]
        drawn = _NOT_OFF
        if errors.silicon:
            drawn = draw_factors(families, rng)
        off = {name: factor**errors.silicon for name, factor in drawn.items()}
        now = _simulated(placed, widths, adc, off)
        metrics = []
        for i, r in enumerate(records):
            drawn_metrics = {}
            for name, value in r.metrics.items():
                drawn_metrics[name] = value * _factor(name, i, (base, now), wrong)
            metrics.append(_derived_anew(problem, r.metrics, drawn_metrics))
        kept += _on_front(problem, metrics)
    return kept / draws


def chances_by_metrics(
    problem: Problem,
    records: Sequence[Record],
    errors: Errors,
    *,
    draws: int,
    seed: int,
    accuracy: str = ACCURACY_METRIC,
) -> Array:
    """Estimate the same chances where cimbo's chip model does not know the designs.

    Each metric of each design is off by a factor of its own (log-normal, ``errors.metrics``).
    Designs of equal architecture share the factor of their accuracy.

    Args:
        problem: Objectives and constraints.
        records: The n designs, evaluated.
        errors: Relative standard deviations; ``accuracy`` and ``metrics`` of it are used.
        draws: How many draws.
        seed: Seed of the draws; equal seeds give equal draws.
        accuracy: Name of the metric that designs of equal architecture share.

    Returns:
        (n,) share of the draws, 0 to 1, in which a design is feasible and no other dominates it.
    """
    rng = np.random.default_rng(seed)
    genes = {c.name for c in problem.space.architecture} or None
    keys = [problem.space.key(r.params, genes) for r in records]
    sharing = np.unique(keys, return_inverse=True)[1]
    names = sorted({name for r in records for name in r.metrics})
    kept = np.zeros(len(records))
    for _ in range(draws):
        wrong = 1 + rng.normal(0, errors.accuracy, sharing.max() + 1)[sharing]
        factors = np.exp(rng.normal(0, errors.metrics, (len(records), len(names))))
        metrics = []
        for i, r in enumerate(records):
            found = {}
            for name, factor in zip(names, factors[i].tolist(), strict=True):
                if name in r.metrics:
                    off = float(wrong[i]) if name == accuracy else factor
                    found[name] = r.metrics[name] * off
            metrics.append(_derived_anew(problem, r.metrics, found))
        kept += _on_front(problem, metrics)
    return kept / draws


def _derived_anew(
    problem: Problem, measured: Mapping[str, float], drawn: dict[str, float]
) -> dict[str, float]:
    """``drawn`` metrics, those that follow from others by as much off as these make them."""
    derived = problem.derived
    for name in derived.expressions:
        parts = derived.parts(name)
        if name not in measured or any(part not in measured for part in parts):
            continue
        before = float(derived.of_parts(name, measured))
        if before and np.isfinite(before):
            drawn[name] = measured[name] * float(derived.of_parts(name, drawn)) / before
    return drawn


def _sharing(
    problem: Problem, records: Sequence[Record], placed: Sequence[Placed]
) -> NDArray[np.intp]:
    """(n,) number of the accuracy measurement that each design stands on."""
    genes = {c.name for c in problem.space.architecture}
    keys = []
    for r, p in zip(records, placed, strict=True):
        keys.append(problem.space.key(r.params, genes | p.kept))
    return np.unique(keys, return_inverse=True)[1]


def _simulated(
    placed: Sequence[Placed], widths: Array, adc: float, off: Mapping[str, Array] = _NOT_OFF
) -> dict[str, Array]:
    """Costs (n,) with every bandwidth times its factor, conversions times ``adc``, and arrays ``off`` by their factors (n,)."""
    chips = [p.full for p in placed]
    exact = [dict(chip) for chip in chips]
    for index, chip in enumerate(chips):
        for gene, factors in off.items():
            chip[gene] = exact[index][gene] = float(factors[index])
        for gene, factor in zip(BANDWIDTH_GENES, widths, strict=True):
            chip[gene] = chip[gene] * factor
    answer = hardware.simulate_batch([p.workload for p in placed], chips)
    return {name: np.asarray(answer[name]) for name in COST_METRICS} | {
        "energy_uj": answer["energy_uj"] + (adc - 1) * answer["energy_uj.adc"],
        # What bandwidth costs in area is drawn, and does not change because it delivers less.
        "area_mm2": np.asarray(hardware.area_mm2(exact)),
    }


def _factor(
    metric: str, i: int, costs: tuple[dict[str, Array], dict[str, Array]], wrong: Array
) -> float:
    if metric == ACCURACY_METRIC:
        return float(wrong[i])
    base, now = costs
    if metric in base:
        return float(now[metric][i] / base[metric][i])
    return 1.0


def _on_front(problem: Problem, metrics: Sequence[dict[str, float]]) -> NDArray[np.bool_]:
    feasible = np.array([problem.feasible(m) for m in metrics])
    front = np.zeros(len(metrics), bool)
    where = np.flatnonzero(feasible)
    if len(where):
        front[where] = non_dominated(problem.scores([metrics[i] for i in where.tolist()]))
    return front
