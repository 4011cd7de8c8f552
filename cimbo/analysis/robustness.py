"""How sure is a front? Each of its designs' chance to stay on it when the figures it rests on are off.

Errors are relative standard deviations. A bandwidth and the converters' energy are off by one factor for all chips, as a
technology's constants are (log-normal: exp of a normal number); each accuracy is off on its own, but designs whose accuracy
is one measurement share its error. Costs are simulated again with the wrong bandwidths; energy is linear in what a conversion
takes, so that part is scaled. A measured cost changes by the factor by which the simulated one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
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
    kept = np.zeros(len(records))
    for _ in range(draws):
        widths = np.exp(rng.normal(0, errors.bandwidth, 3))
        adc = float(np.exp(rng.normal(0, errors.adc_energy)))
        accuracy = _accuracy_factors(sharing, errors, rng)
        now = _simulated(placed, widths, adc, _array_factors(placed, errors, rng))
        factors = {name: now[name] / base[name] for name in base}
        factors[ACCURACY_METRIC] = accuracy
        metrics = []
        for i, record in enumerate(records):
            off = {name: float(factor[i]) for name, factor in factors.items()}
            metrics.append(_multiplied(problem, record.metrics, off))
        kept += _on_front(problem, metrics)
    return kept / draws


def _accuracy_factors(sharing: NDArray[np.intp], errors: Errors, rng: np.random.Generator) -> Array:
    """(n,) by what accuracies are off: one factor for each measurement, whose number is in ``sharing`` (n,)."""
    of_measurements = rng.normal(0, errors.accuracy, sharing.max() + 1)
    return np.asarray(1 + of_measurements[sharing])


def _array_factors(
    placed: Sequence[Placed], errors: Errors, rng: np.random.Generator
) -> Mapping[str, Array]:
    """By what the arrays' area, cycle, energy and leakage are off, (n,) each."""
    if not errors.silicon:
        return _NOT_OFF
    families = [str(each.full["array"]) for each in placed]
    drawn = draw_factors(families, rng)
    return {name: factor**errors.silicon for name, factor in drawn.items()}


def _multiplied(
    problem: Problem, measured: Mapping[str, float], factors: Mapping[str, float]
) -> dict[str, float]:
    """Metrics times their factors, those without one as they are, and those that follow from others anew."""
    drawn = {}
    for name, value in measured.items():
        drawn[name] = value * factors.get(name, 1.0)
    return _derived_anew(problem, measured, drawn)


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
    genes = problem.space.architecture_names or None
    keys = [problem.space.key(record.params, genes) for record in records]
    sharing = np.unique(keys, return_inverse=True)[1]
    names = sorted(set(chain.from_iterable(record.metrics for record in records)))
    kept = np.zeros(len(records))
    for _ in range(draws):
        of_accuracy = _accuracy_factors(sharing, errors, rng)
        of_metrics = np.exp(rng.normal(0, errors.metrics, (len(records), len(names))))
        metrics = []
        for i, record in enumerate(records):
            off = dict(zip(names, of_metrics[i].tolist(), strict=True))
            off[accuracy] = float(of_accuracy[i])
            metrics.append(_multiplied(problem, record.metrics, off))
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
    genes = problem.space.architecture_names
    keys = []
    for record, design in zip(records, placed, strict=True):
        keys.append(problem.space.key(record.params, genes | design.kept))
    return np.unique(keys, return_inverse=True)[1]


def _simulated(
    placed: Sequence[Placed], widths: Array, adc: float, off: Mapping[str, Array] = _NOT_OFF
) -> dict[str, Array]:
    """Costs (n,) with every bandwidth times its factor, conversions times ``adc``, and arrays ``off`` by their factors (n,)."""
    chips = []
    exact = []
    for index, design in enumerate(placed):
        chip = dict(design.full)
        for gene, factors in off.items():
            chip[gene] = float(factors[index])
        exact.append(dict(chip))
        for gene, factor in zip(BANDWIDTH_GENES, widths, strict=True):
            chip[gene] = chip[gene] * factor
        chips.append(chip)
    answer = hardware.simulate_batch([design.workload for design in placed], chips)
    costs = {name: np.asarray(answer[name]) for name in COST_METRICS}
    costs["energy_uj"] = answer["energy_uj"] + (adc - 1) * answer["energy_uj.adc"]
    # The area is that of the bandwidth as designed, even where a draw delivers less
    # bandwidth.
    costs["area_mm2"] = np.asarray(hardware.area_mm2(exact))
    return costs


def _on_front(problem: Problem, metrics: Sequence[dict[str, float]]) -> NDArray[np.bool_]:
    """(n,) whether each design is feasible and non-dominated."""
    is_on_front = np.zeros(len(metrics), bool)
    feasible = [i for i, measured in enumerate(metrics) if problem.feasible(measured)]
    if feasible:
        scores = problem.scores([metrics[i] for i in feasible])
        is_on_front[feasible] = non_dominated(scores)
    return is_on_front
