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
        """Compute the costs of designs in one batch.

        Args:
            designs: The n designs, by gene.

        Returns:
            By metric, the costs in the metric's unit, each (n,) in the order of ``designs``.
        """
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
        """Return the latency in ms."""
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
    """When a point counts.

    Attributes:
        within: Points of accuracy it may lack.
        constraints: Bounds on its metrics.
        confirm: A last check of a winner, such as on test images, asked in order of latency until one holds.
    """

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
    """Collect the verified points of a study, side by side.

    What a joint search found serves every side; what a restricted search found serves its side
    alone, so that a joint search is not credited with evaluations it did not make.

    Args:
        space: The space of the study.
        evaluator: Computes costs, and knows which genes shape the accuracy.
        baseline: What the speed-ups are measured against.
        records: Evaluations by the side whose search made them: "joint" for a search of both,
            "architecture" and "hardware" for searches with the other side fixed. Those that failed
            or lack an accuracy or a latency are left out.

    Returns:
        The baseline and its points by side, each side fastest first.

    Raises:
        BadInput: No side has a point besides the baseline.
    """
    sides = {}
    for side in SPEED_UP_SIDES:
        found = []
        for name in dict.fromkeys(("joint", side)):
            for r in records.get(name, ()):
                if _usable(r):
                    found.append(r)
        points = _points(space, evaluator, baseline, found)
        sides[side] = sorted(_of_side(space, side, baseline, points), key=lambda p: p.latency_ms)
    if all(len(points) < 2 for points in sides.values()):
        raise BadInput(
            "study", "has no verified design besides the baseline", "run cimbo optimize first"
        )
    return Pool(baseline, sides)


def gains(pool: Pool, rules: Rules) -> list[Gain]:
    """Find the speed-up of each side under each of HELD_CONDITIONS.

    Args:
        pool: Verified points by side.
        rules: When a point counts.

    Returns:
        A gain for each pair, condition by condition. Where no point counts, the baseline stands for
        it, with a speed-up of 1.
    """
    gains = []
    for held in HELD_CONDITIONS:
        for side in SPEED_UP_SIDES:
            gains.append(_gain(pool, rules, held, side))
    return gains


def _gain(pool: Pool, rules: Rules, held: str, side: str) -> Gain:
    kept = []
    for p in pool.sides[side]:
        if keeps(p, pool.baseline, rules, HELD_CONDITIONS[held]):
            kept.append(p)
    winner = next((p for p in kept if rules.confirm(p)), pool.baseline)
    return Gain(held, side, pool.baseline.latency_ms / winner.latency_ms, winner, len(kept))


def keeps(point: Point, baseline: Point, rules: Rules, held: Iterable[str]) -> bool:
    """Tell whether a point keeps everything that is held.

    Args:
        point: The point; the baseline itself always keeps everything.
        baseline: What it is compared with.
        rules: How many points of accuracy it may lack, and the constraints. A constraint on a
            metric that the point lacks is not checked.
        held: Metrics of which it may have no more than the baseline.

    Returns:
        Whether it is accurate enough, within the constraints, and has no more of ``held``, up to
        ROUNDING_TOLERANCE. It fails where it lacks a held metric.
    """
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
        points = []
        for r in records:
            points.append(Point(r.params, r.metrics["accuracy"], r.metrics, (r.number, r.number)))
        return points
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
    simulated = []
    for (params, accuracy, sources), row in zip(pairs, rows, strict=True):
        simulated.append(Point(params, accuracy, dict(zip(costs, row, strict=True)), sources))
    return simulated


# ---- intervals ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """A speed-up with its 95 % interval."""

    mean: float
    low: float
    high: float


def over_seeds(speedups: Sequence[float]) -> Interval:
    """Average the speed-ups of independent studies.

    Args:
        speedups: One speed-up for each study, all above 0.

    Returns:
        Their geometric mean with its 95 % interval, by Student's t on the logarithm. Of a
        single study the interval tells nothing: it goes from 0 to e^700.
    """
    from scipy.stats import t

    logs = np.log(speedups)
    centre, n = float(logs.mean()), len(logs)
    if n > 1:
        half = float(t.ppf(0.975, n - 1) * logs.std(ddof=1) / math.sqrt(n))
    else:
        half = math.inf
    return Interval(math.exp(centre), math.exp(centre - half), math.exp(min(centre + half, 700.0)))


def bootstrap(pool: Pool, rules: Rules, gain: Gain, *, seed: int = 0) -> Interval:
    """Find the 95 % interval of a gain by resampling the evaluations of its study.

    Evaluations are drawn with replacement, N_RESAMPLES times; a point survives when the evaluations
    it came from were drawn. The interval shows how much hangs on single evaluations. It cannot
    exceed the best point found, so several seeds are better.

    Args:
        pool: Verified points by side, as the gain was found in.
        rules: When a point counts. ``confirm`` is not asked; points faster than the winner are left
            out instead.
        gain: The gain.
        seed: Seed of the draws.

    Returns:
        The gain's own speed-up, with the 2.5 % and 97.5 % quantiles of what the draws found.
    """
    slower = []
    for p in pool.sides[gain.side]:
        if p.latency_ms >= gain.point.latency_ms:
            slower.append(p)
    kept = []
    for p in slower:
        if keeps(p, pool.baseline, rules, HELD_CONDITIONS[gain.held]):
            kept.append(p)
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
    """Find chips that an architect might start from instead of the drawn one.

    All but the one with more converter bits keep the genes that shape the accuracy, and none but
    that one is larger than the drawn chip.

    Args:
        space: The space of the study.
        evaluator: Computes costs, and knows which genes shape the accuracy.
        network: Genes of the network that runs on the chips.
        drawn: Genes of the chip that was drawn by hand.
        seed: Seed of the 4000 random chips.

    Returns:
        Chips by name: the drawn one; the fastest of those with at most one gene at another value;
        the median in latency of the random chips that have 80 to 100 % of its area, where there are
        any; and the drawn one with the most converter bits listed, where it has converters. The
        drawn one alone where costs cannot be computed.
    """
    if not evaluator.analytic_costs():
        return {"drawn": drawn}
    fixed = evaluator.accuracy_genes()
    chips = SearchSpace((), space.hardware)
    tuned = []
    for n in chips.neighbours(drawn):
        if all(n.get(g) == drawn.get(g) for g in fixed):
            tuned.append(n)
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
