"""One chip for several networks: the chip that is best in the worst case, on a weighted mean, and in regret.

Regret is what a network pays for sharing: its cost on the chip over its cost on its specialist, the chip found for it alone
under the same limits, less one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.problem.space import Choice, Params, SearchSpace
from cimbo.workloads.layers import Workload

Array = NDArray[np.float64]
Criterion = Callable[[Array], Array]  # costs (networks, chips) -> (chips,), the smaller the better
N_CHIP_SAMPLES = 20_000
_STARTS, _ROUNDS = 6, 100


@dataclass(frozen=True)
class Portfolio:
    """What is served, and within which limits. ``weights`` (k,) of the k ``workloads``; ``fixed`` genes of every chip."""

    workloads: Sequence[Workload]
    weights: Array
    choices: Sequence[Choice]
    fixed: Mapping[str, Any]
    area_mm2: float
    metric: str = "latency_ms"

    def costs(self, chips: Sequence[Params]) -> Array:
        """Compute what every network costs on every chip.

        Args:
            chips: The n chips, by gene; the ``fixed`` genes are added to each.

        Returns:
            (k, n) of the ``metric`` in its unit, a row for each of the k networks. Infinite for a
            chip that is larger than ``area_mm2``.
        """
        full = [{**chip, **self.fixed} for chip in chips]
        found = np.full((len(self.workloads), len(chips)), np.inf)
        where = np.flatnonzero(hardware.area_mm2(full) <= self.area_mm2)
        if len(where):
            fitting = [full[i] for i in where]
            for row, workload in zip(found, self.workloads, strict=True):
                row[where] = hardware.simulate_batch(workload, fitting)[self.metric]
        return found


@dataclass(frozen=True)
class Served:
    """``chip`` is the best found by ``criterion``; ``costs`` and ``regrets`` (k,) of each network on it."""

    criterion: str
    chip: Params
    area_mm2: float
    costs: Array
    regrets: Array


def serve(asked: Portfolio, *, samples: int = N_CHIP_SAMPLES, seed: int = 0) -> list[Served]:
    """Search one chip for several networks, and a specialist for each.

    Chips are sampled, and the best six by each criterion are then improved gene by gene until no
    single gene helps (at most 100 steps). The results are local optima, the same for equal seeds.

    Args:
        asked: The networks, their weights, the genes of the chip and the limit of its area.
        samples: How many chips to sample.
        seed: Seed of the sample.

    Returns:
        The best chips by worst case, weighted mean and regret, then each network's specialist.
        Where every gene is fixed, the only chip alone.

    Raises:
        BadInput: No sampled chip is within the area, or the only chip is not.
    """
    free = list(_free(asked.choices, asked.fixed))
    if not free:
        return [_the_only_chip(asked)]
    space = SearchSpace(hardware=free)
    sampled = _Priced.of(asked, space.sobol(samples, seed))
    _check_fits(asked, sampled.costs)
    weights = asked.weights[:, None] / asked.weights.sum()
    specialists: dict[str, Criterion] = {}
    for k, workload in enumerate(asked.workloads):
        specialists[f"specialist of {workload.name}"] = partial(_one, k=k)
    shared: dict[str, Criterion] = {"worst case": _worst, "weighted mean": partial(_mean, weights)}
    pool: list[Params] = []
    for criterion in (*specialists.values(), *shared.values()):
        pool += _descents(asked, space, sampled, criterion)
    found = _Priced.of(asked, pool)
    shared["regret"] = partial(_largest_ratio, found.costs.min(1))
    pool += _descents(asked, space, found, shared["regret"])
    return _best_of(asked, _Priced.of(asked, pool), shared | specialists)


def _best_of(asked: Portfolio, found: _Priced, criteria: Mapping[str, Criterion]) -> list[Served]:
    """The best chip by each criterion: one found for another may be better than where its own search ended."""
    cheapest = found.costs.min(1)
    served = []
    for name, criterion in criteria.items():
        best = int(np.argmin(criterion(found.costs)))
        served.append(_served(asked, name, found.chips[best], cheapest))
    return served


@dataclass(frozen=True)
class _Priced:
    """Chips, and what each network costs on each, (networks, chips)."""

    chips: Sequence[Params]
    costs: Array

    @classmethod
    def of(cls, asked: Portfolio, chips: Sequence[Params]) -> _Priced:
        """Compute the costs of chips."""
        return cls(list(chips), asked.costs(chips))


def _check_fits(asked: Portfolio, costs: Array) -> None:
    if not np.isfinite(costs).any():
        raise BadInput("--area", f"no chip is within {asked.area_mm2:g} mm2", "allow more")


def _the_only_chip(asked: Portfolio) -> Served:
    """The chip whose genes are all fixed. Raises BadInput where it is too large."""
    costs = asked.costs([{}])
    _check_fits(asked, costs)
    return _served(asked, "the only chip", {}, costs[:, 0])


def _free(choices: Sequence[Choice], fixed: Mapping[str, Any]) -> Iterator[Choice]:
    """The genes that are left, without those that the fixed ones switch off."""
    for choice in choices:
        settled = [gate for gate in choice.active_if if gate in fixed]
        is_possible = all(fixed[gate] in choice.active_if[gate] for gate in settled)
        if choice.name not in fixed and is_possible:
            yield _without_gates(choice, settled)


def _without_gates(choice: Choice, gates: Collection[str]) -> Choice:
    """The gene without its conditions on some others."""
    conditions = {gate: v for gate, v in choice.active_if.items() if gate not in gates}
    return Choice(choice.name, choice.values, conditions)


def _one(costs: Array, *, k: int) -> Array:
    return np.asarray(costs[k])


def _worst(costs: Array) -> Array:
    return np.asarray(costs.max(0))


def _mean(weights: Array, costs: Array) -> Array:
    """By weights (networks, 1) that sum to 1."""
    return np.asarray((weights * costs).sum(0))


def _largest_ratio(best: Array, costs: Array) -> Array:
    """Over the best that each network can have (networks,)."""
    return np.asarray((costs / best[:, None]).max(0))


def _descents(
    asked: Portfolio, space: SearchSpace, sampled: _Priced, criterion: Criterion
) -> list[Params]:
    """From each of the best sampled chips to one that no change of a single gene improves."""
    values = criterion(sampled.costs)
    found = []
    for i in np.argsort(values, kind="stable")[:_STARTS]:
        start = sampled.chips[int(i)]
        found.append(_descend(asked, space, criterion, start, value=float(values[i])))
    return found


def _descend(
    asked: Portfolio,
    space: SearchSpace,
    criterion: Criterion,
    start: Params,
    *,
    value: float,
) -> Params:
    """The chip that is reached by the best single change, again and again while one helps; ``value``: of the start."""
    best = start
    for _ in range(_ROUNDS):
        steps = space.neighbours(best)
        if not steps:
            break
        values = criterion(asked.costs(steps))
        if not values.min() < value:
            break
        best = steps[int(np.argmin(values))]
        value = float(values.min())
    return best


def _served(asked: Portfolio, name: str, chip: Params, best: Array) -> Served:
    full = {**chip, **asked.fixed}
    costs = asked.costs([chip])[:, 0]
    return Served(name, full, float(hardware.area_mm2([full])[0]), costs, costs / best - 1)
