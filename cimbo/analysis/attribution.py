"""How much of a speed-up each side earns at the baseline's accuracy: the network alone, the chip alone, both together.

Every point that counts is verified: its accuracy was measured and its costs were simulated. A measured accuracy holds on
every chip that shares the genes which shape it, and where costs can be computed (:meth:`JointEvaluator.analytic_costs`) they
are simulated anew, so a study gives more verified points than it has evaluations: its measured networks on the baseline
chip, the largest network on its chips, and its networks on each other's chips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.problem.objectives import Constraint
from cimbo.problem.space import Params, SearchSpace
from cimbo.storage import Record

SPEED_UP_SIDES = ("architecture", "hardware", "joint")
#: What is held besides accuracy and the study's own constraints: metrics that may not exceed the baseline's.
HELD_CONDITIONS: dict[str, tuple[str, ...]] = {
    "accuracy": (),
    "accuracy, area": ("area_mm2",),
    "accuracy, energy": ("energy_uj",),
    "accuracy, area, energy": ("area_mm2", "energy_uj"),
}
ROUNDING_TOLERANCE = 1e-9  # relative; a chip compared with itself keeps its own bound
N_RESAMPLES = 1000
BASELINE_NUMBER = -1  # the source of what no evaluation found


class Evaluator(Protocol):
    """What of an evaluator is needed; :class:`cimbo.evaluation.joint.JointEvaluator` is one."""

    def analytic_costs(self) -> Mapping[str, object]:
        """Costs that can be computed; none when another simulator than ours was asked."""
        ...

    def costs(self, designs: list[Params]) -> Mapping[str, NDArray[np.float64]]:
        """Costs of designs in one batch."""
        ...

    def accuracy_genes(self) -> frozenset[str]:
        """The genes that the accuracy depends on."""
        ...


@dataclass(frozen=True)
class Point:
    """A verified design. ``sources``: numbers of the evaluations that measured its accuracy and that chose its chip."""

    params: Params
    accuracy: float
    costs: Mapping[str, float]
    sources: tuple[int, int] = (BASELINE_NUMBER, BASELINE_NUMBER)

    @property
    def latency_ms(self) -> float:
        return self.costs["latency_ms"]


@dataclass(frozen=True)
class Gain:
    """The fastest point of one side that keeps what is held; ``speedup`` is the baseline's latency over its latency."""

    held: str
    side: str
    speedup: float
    point: Point
    candidates: int  # points that kept everything held


@dataclass(frozen=True)
class Rules:
    """When a point counts. ``within``: points of accuracy it may lack. ``confirm``: a last check of a winner, such as on test
    images, asked in order of latency until one holds."""

    within: float
    constraints: Sequence[Constraint] = ()
    confirm: Callable[[Point], bool] = lambda point: True


@dataclass(frozen=True)
class Pool:
    """Verified points of a study, by side, each fastest first. Every side holds the baseline."""

    baseline: Point
    sides: Mapping[str, Sequence[Point]] = field(default_factory=dict)


def pool(
    space: SearchSpace,
    evaluator: Evaluator,
    baseline: Point,
    records: Mapping[str, Sequence[Record]],
) -> Pool:
    """The points of ``records``, given by the side whose search made them ("joint": both).

    What a joint search found serves every side; what a restricted search found serves its side alone, so that a joint
    search is not credited with evaluations it did not make. Raises BadInput when no evaluation succeeded.
    """
    sides = {}
    for side in SPEED_UP_SIDES:
        found = [
            r
            for name in dict.fromkeys(("joint", side))
            for r in records.get(name, ())
            if _usable(r)
        ]
        points = _points(space, evaluator, baseline, found)
        sides[side] = sorted(_of_side(space, side, baseline, points), key=lambda p: p.latency_ms)
    if all(len(points) < 2 for points in sides.values()):
        raise BadInput(
            "study", "has no verified design besides the baseline", "run cimbo optimize first"
        )
    return Pool(baseline, sides)


def gains(pool: Pool, rules: Rules) -> list[Gain]:
    """Speed-ups at each condition and for each side."""
    return [_gain(pool, rules, held, side) for held in HELD_CONDITIONS for side in SPEED_UP_SIDES]


def _gain(pool: Pool, rules: Rules, held: str, side: str) -> Gain:
    kept = [p for p in pool.sides[side] if keeps(p, pool.baseline, rules, HELD_CONDITIONS[held])]
    winner = next((p for p in kept if rules.confirm(p)), pool.baseline)
    return Gain(held, side, pool.baseline.latency_ms / winner.latency_ms, winner, len(kept))


def keeps(point: Point, baseline: Point, rules: Rules, held: Iterable[str]) -> bool:
    """Whether ``point`` is as accurate as the baseline, keeps the constraints, and has no more of what is ``held``."""
    if point is baseline:
        return True
    return (
        point.accuracy >= baseline.accuracy - rules.within
        and all(c.holds(point.costs) for c in rules.constraints if c.metric in point.costs)
        and all(
            m in point.costs and point.costs[m] <= baseline.costs[m] * (1 + ROUNDING_TOLERANCE)
            for m in held
        )
    )


# ---- points ---------------------------------------------------------------------------------------------------------


def _usable(record: Record) -> bool:
    return record.status == "done" and {"accuracy", "latency_ms"} <= record.metrics.keys()


def _of_side(
    space: SearchSpace, side: str, baseline: Point, points: Sequence[Point]
) -> Iterator[Point]:
    """The points that leave the other side as the baseline has it."""
    untouched = {"architecture": space.hardware, "hardware": space.architecture, "joint": ()}[side]
    genes = [c.name for c in untouched]
    yield baseline
    for p in points:
        if p.params != baseline.params and all(
            p.params.get(g) == baseline.params.get(g) for g in genes
        ):
            yield p


def _points(
    space: SearchSpace, evaluator: Evaluator, baseline: Point, records: Sequence[Record]
) -> list[Point]:
    """Evaluated designs; with exact costs also every measured network on every chip that leaves its accuracy as it is."""
    if not evaluator.analytic_costs():
        return [
            Point(r.params, r.metrics["accuracy"], r.metrics, (r.number, r.number)) for r in records
        ]
    shaping, hardware = evaluator.accuracy_genes(), [c.name for c in space.hardware]
    measured: dict[tuple[Any, ...], tuple[Params, float, int]] = {}
    chips: dict[tuple[Any, ...], tuple[Params, int]] = {}
    first = (baseline.params, baseline.accuracy, BASELINE_NUMBER)
    for params, accuracy, number in [
        first,
        *((r.params, r.metrics["accuracy"], r.number) for r in records),
    ]:
        chip = {name: params[name] for name in hardware if name in params}
        chips.setdefault(tuple(chip.items()), (chip, number))
        measured.setdefault(
            tuple(item for item in sorted(params.items()) if item[0] in shaping),
            (params, accuracy, number),
        )
    pairs = []
    for params, accuracy, number in measured.values():
        network = {k: v for k, v in params.items() if k not in hardware}
        for chip, origin in chips.values():
            if all(chip.get(g) == params.get(g) for g in hardware if g in shaping):
                pairs.append(({**network, **chip}, accuracy, (number, origin)))
    return _simulated(evaluator, pairs)


def _simulated(
    evaluator: Evaluator, pairs: Sequence[tuple[Params, float, tuple[int, int]]]
) -> list[Point]:
    costs = evaluator.costs([params for params, _, _ in pairs])
    rows = zip(*(values.tolist() for values in costs.values()), strict=True)
    return [
        Point(params, accuracy, dict(zip(costs, row, strict=True)), sources)
        for (params, accuracy, sources), row in zip(pairs, rows, strict=True)
    ]


# ---- intervals ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """A speed-up with its 95 % interval."""

    mean: float
    low: float
    high: float


def over_seeds(speedups: Sequence[float]) -> Interval:
    """Geometric mean of independent studies and its 95 % interval: Student's t on the logarithm."""
    from scipy.stats import t

    logs = np.log(speedups)
    centre, n = float(logs.mean()), len(logs)
    half = float(t.ppf(0.975, n - 1) * logs.std(ddof=1) / math.sqrt(n)) if n > 1 else math.inf
    return Interval(math.exp(centre), math.exp(centre - half), math.exp(min(centre + half, 700.0)))


def bootstrap(pool: Pool, rules: Rules, gain: Gain, *, seed: int = 0) -> Interval:
    """The gain with the 95 % interval of what other samples of the same evaluations would have found.

    Evaluations are drawn with replacement; a point survives when the evaluations it came from were drawn. The interval
    shows how much hangs on single evaluations; it cannot exceed the best point found, so several seeds are better.
    """
    slower = [p for p in pool.sides[gain.side] if p.latency_ms >= gain.point.latency_ms]
    kept = [p for p in slower if keeps(p, pool.baseline, rules, HELD_CONDITIONS[gain.held])]
    sources = np.array([p.sources for p in kept])
    numbers = np.unique(sources[sources != BASELINE_NUMBER])
    ranks = np.where(sources == BASELINE_NUMBER, len(numbers), np.searchsorted(numbers, sources))
    rng, found = np.random.default_rng(seed), []
    for _ in range(N_RESAMPLES):
        drawn = np.zeros(len(numbers) + 1, bool)
        drawn[rng.integers(0, max(len(numbers), 1), len(numbers))] = True
        drawn[-1] = True  # the baseline is always there
        found.append(
            pool.baseline.latency_ms / kept[int(np.argmax(drawn[ranks].all(1)))].latency_ms
        )
    return Interval(gain.speedup, *(float(q) for q in np.quantile(found, (0.025, 0.975))))


# ---- baselines ------------------------------------------------------------------------------------------------------


def baselines(
    space: SearchSpace, evaluator: Evaluator, network: Params, drawn: Params, *, seed: int = 0
) -> dict[str, Params]:
    """Chips that an architect might start from instead of the ``drawn`` one, for ``network``; by name.

    All keep the genes that shape the accuracy, and none is larger than the drawn one, except where the name says so.
    """
    if not evaluator.analytic_costs():
        return {"drawn": drawn}
    fixed = evaluator.accuracy_genes()
    chips = SearchSpace((), space.hardware)
    tuned = [n for n in chips.neighbours(drawn) if all(n.get(g) == drawn.get(g) for g in fixed)]
    kept = {gene: drawn[gene] for gene in fixed if gene in drawn}
    random = [chips.canonical({**chip, **kept}) for chip in chips.sobol(4000, seed)]
    found = {"drawn": drawn}
    area = _costs(evaluator, network, [drawn])["area_mm2"][0] * (1 + ROUNDING_TOLERANCE)
    costs = _costs(evaluator, network, [drawn, *tuned])
    best = np.argmin(np.where(costs["area_mm2"] <= area, costs["latency_ms"], np.inf))
    found["drawn, its best single knob turned"] = [drawn, *tuned][best]
    costs = _costs(evaluator, network, random)
    alike = np.flatnonzero((costs["area_mm2"] <= area) & (costs["area_mm2"] >= 0.8 * area))
    if len(alike):
        order = alike[np.argsort(costs["latency_ms"][alike])]
        found["median of random chips of its area"] = random[order[len(order) // 2]]
    if "adc_bits" in drawn:
        most = chips.choices[chips.column["adc_bits"]].values[-1]
        found[f"drawn with {most}-bit converters (larger)"] = {**drawn, "adc_bits": most}
    return found


def _costs(
    evaluator: Evaluator, network: Params, chips: Sequence[Params]
) -> Mapping[str, NDArray[np.float64]]:
    return evaluator.costs([{**network, **chip} for chip in chips])
