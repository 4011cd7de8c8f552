"""One chip for several networks: the chip that is best in the worst case, on a weighted mean, and in regret.

Regret is what a network pays for sharing: its cost on the chip over its cost on its specialist, the chip found for it alone
under the same limits, less one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    chips = space.sobol(samples, seed)
    costs = asked.costs(chips)
    _check_fits(asked, costs)
    every: list[Criterion] = [partial(_one, k=k) for k in range(len(costs))]
    weights = asked.weights[:, None] / asked.weights.sum()
    criteria: dict[str, Criterion] = {
        "worst case": _worst,
        "weighted mean": lambda c: (weights * c).sum(0),
    }
    pool = []
    for criterion in (*every, *criteria.values()):
        pool.extend(_descents(asked, space, (chips, costs), criterion))
    best = asked.costs(pool).min(1)
    criteria["regret"] = lambda c: (c / best[:, None]).max(0)
    pool += _descents(asked, space, (pool, asked.costs(pool)), criteria["regret"])
    # A chip found for one purpose may serve another better than the one its own search ended at.
    costs = asked.costs(pool)
    criteria |= {
        f"specialist of {w.name}": only for w, only in zip(asked.workloads, every, strict=True)
    }
    chosen = {}
    for name, criterion in criteria.items():
        chosen[name] = pool[int(np.argmin(criterion(costs)))]
    return [_served(asked, name, chip, costs.min(1)) for name, chip in chosen.items()]


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
        if choice.name in fixed:
            continue
        conditions = dict(choice.active_if)
        met = []
        for gate in choice.active_if:
            if gate in fixed:
                met.append(fixed[gate] in conditions.pop(gate))
        if all(met):
            yield Choice(choice.name, choice.values, conditions)


def _one(costs: Array, *, k: int) -> Array:
    return np.asarray(costs[k])


def _worst(costs: Array) -> Array:
    return np.asarray(costs.max(0))


def _descents(
    asked: Portfolio, space: SearchSpace, sampled: tuple[list[Params], Array], criterion: Criterion
) -> list[Params]:
    """From each of the best sampled chips to one that no change of a single gene improves."""
    chips, values = sampled[0], criterion(sampled[1])
    starts = np.argsort(values, kind="stable")[:_STARTS]
    return [_descend(asked, space, (chips[i], float(values[i])), criterion) for i in starts]


def _descend(
    asked: Portfolio, space: SearchSpace, start: tuple[Params, float], criterion: Criterion
) -> Params:
    best, value = start
    for _ in range(_ROUNDS):
        steps = []
        for c in space.choices:
            for v in c.values:
                if v != best[c.name]:
                    steps.append({**best, c.name: v})
        around = criterion(asked.costs(steps))
        if not around.min() < value:
            break
        best, value = steps[int(np.argmin(around))], float(around.min())
    return best


def _served(asked: Portfolio, name: str, chip: Params, best: Array) -> Served:
    full = {**chip, **asked.fixed}
    costs = asked.costs([chip])[:, 0]
    return Served(name, full, float(hardware.area_mm2([full])[0]), costs, costs / best - 1)
