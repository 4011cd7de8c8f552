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
LARGEST_LOG = 700.0  # whose exponential is still a float
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
        found: list[Record] = []
        for name in dict.fromkeys(("joint", side)):
            found += filter(_usable, records.get(name, ()))
        points = _points(space, evaluator, baseline, found)
        of_side = _of_side(space, side, baseline, points)
        sides[side] = sorted(of_side, key=lambda point: point.latency_ms)
    if all(len(points) < 2 for points in sides.values()):
        wrong = "has no verified design besides the baseline"
        raise BadInput("study", wrong, "run cimbo optimize first")
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
    kept = _kept(pool, pool.sides[side], rules, held)
    winner = next(filter(rules.confirm, kept), pool.baseline)
    return Gain(held, side, pool.baseline.latency_ms / winner.latency_ms, winner, len(kept))


def _kept(pool: Pool, points: Iterable[Point], rules: Rules, held: str) -> list[Point]:
    """The points that keep what a condition holds, in their order."""
    metrics = HELD_CONDITIONS[held]
    return [point for point in points if keeps(point, pool.baseline, rules, metrics)]


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
    if not point.accuracy >= baseline.accuracy - rules.within:
        return False
    for constraint in rules.constraints:
        if constraint.metric in point.costs and not constraint.holds(point.costs):
            return False
    return all(_has_no_more(point, baseline, metric) for metric in held)


def _has_no_more(point: Point, baseline: Point, metric: str) -> bool:
    """Whether a point has a metric, and no more of it than the baseline but for rounding."""
    if metric not in point.costs:
        return False
    return point.costs[metric] <= baseline.costs[metric] * (1 + ROUNDING_TOLERANCE)


# ---- points ---------------------------------------------------------------------------------------------------------


def _usable(record: Record) -> bool:
    return record.status == "done" and {"accuracy", "latency_ms"} <= record.metrics.keys()


def _of_side(
    space: SearchSpace, side: str, baseline: Point, points: Sequence[Point]
) -> Iterator[Point]:
    """The points that leave the other side as the baseline has it."""
    untouched = {"architecture": space.hardware, "hardware": space.architecture, "joint": ()}[side]
    genes = [choice.name for choice in untouched]
    yield baseline
    for point in points:
        if point.params != baseline.params and agree(point.params, baseline.params, genes):
            yield point


def agree(one: Params, other: Params, genes: Iterable[str]) -> bool:
    """Tell whether two designs, or chips, have some genes alike.

    Args:
        one: Genes of the one.
        other: Genes of the other.
        genes: Names that are looked at.

    Returns:
        Whether each is the same; one that neither has is the same, too.
    """
    return all(one.get(gene) == other.get(gene) for gene in genes)


def _points(
    space: SearchSpace, evaluator: Evaluator, baseline: Point, records: Sequence[Record]
) -> list[Point]:
    """Evaluated designs; with exact costs also every measured network on every chip that leaves its accuracy as it is."""
    if not evaluator.analytic_costs():
        points = []
        for r in records:
            points.append(Point(r.params, r.metrics["accuracy"], r.metrics, (r.number, r.number)))
        return points
    shaping = evaluator.accuracy_genes()
    hardware = [choice.name for choice in space.hardware]
    parts = _Parts.of(baseline, records, shaping, hardware)
    pairs = []
    for network in parts.networks:
        for chip in parts.chips:
            if agree(chip.genes, network.genes, [gene for gene in hardware if gene in shaping]):
                pairs.append(_pair(network, chip, hardware))
    return _simulated(evaluator, pairs)


@dataclass(frozen=True)
class _Part:
    """A measured network, by all genes of the design, or a chip; ``number`` of the evaluation that it comes from."""

    genes: Params
    number: int
    accuracy: float = math.nan


@dataclass(frozen=True)
class _Parts:
    """The different networks whose accuracy was measured, and the different chips, each as it was met first."""

    networks: list[_Part]
    chips: list[_Part]

    @classmethod
    def of(
        cls,
        baseline: Point,
        records: Sequence[Record],
        shaping: frozenset[str],
        hardware: Sequence[str],
    ) -> _Parts:
        """Take designs apart; ``shaping`` genes decide the accuracy, ``hardware`` ones are the chip's."""
        designs = [_Part(baseline.params, BASELINE_NUMBER, baseline.accuracy)]
        for record in records:
            designs.append(_Part(record.params, record.number, record.metrics["accuracy"]))
        networks: dict[tuple[Any, ...], _Part] = {}
        chips: dict[tuple[Any, ...], _Part] = {}
        for design in designs:
            genes = sorted(design.genes.items())
            networks.setdefault(tuple(item for item in genes if item[0] in shaping), design)
            chip = {name: design.genes[name] for name in hardware if name in design.genes}
            chips.setdefault(tuple(chip.items()), _Part(chip, design.number))
        return cls(list(networks.values()), list(chips.values()))


@dataclass(frozen=True)
class _Pair:
    """A design whose accuracy is known; ``sources`` as in `Point`."""

    params: Params
    accuracy: float
    sources: tuple[int, int]


def _pair(network: _Part, chip: _Part, hardware: Sequence[str]) -> _Pair:
    """A network on a chip."""
    params = {name: value for name, value in network.genes.items() if name not in hardware}
    return _Pair({**params, **chip.genes}, network.accuracy, (network.number, chip.number))


def _simulated(evaluator: Evaluator, pairs: Sequence[_Pair]) -> list[Point]:
    """The points of designs whose accuracy is known, with their costs."""
    costs = evaluator.costs([pair.params for pair in pairs])
    rows = zip(*(values.tolist() for values in costs.values()), strict=True)
    simulated = []
    for pair, row in zip(pairs, rows, strict=True):
        by_metric = dict(zip(costs, row, strict=True))
        simulated.append(Point(pair.params, pair.accuracy, by_metric, pair.sources))
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
    mean = float(logs.mean())
    n = len(logs)
    half = math.inf
    if n > 1:
        half = float(t.ppf(0.975, n - 1) * logs.std(ddof=1) / math.sqrt(n))
    highest = min(mean + half, LARGEST_LOG)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(highest))


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
    side = pool.sides[gain.side]
    slower = [point for point in side if point.latency_ms >= gain.point.latency_ms]
    kept = _kept(pool, slower, rules, gain.held)
    rng = np.random.default_rng(seed)
    speedups = []
    for survives in _resampled(np.array([point.sources for point in kept]), rng):
        fastest = kept[int(np.argmax(survives))]
        speedups.append(pool.baseline.latency_ms / fastest.latency_ms)
    low, high = np.quantile(speedups, (0.025, 0.975))
    return Interval(gain.speedup, float(low), float(high))


def _resampled(sources: NDArray[np.intp], rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Whether each point survives, (n,), in each of N_RESAMPLES draws of the evaluations that it has as sources (n, 2)."""
    numbers = np.unique(sources[sources != BASELINE_NUMBER])
    is_baseline = sources == BASELINE_NUMBER
    positions = np.where(is_baseline, len(numbers), np.searchsorted(numbers, sources))
    for _ in range(N_RESAMPLES):
        is_drawn = np.zeros(len(numbers) + 1, bool)
        is_drawn[rng.integers(0, max(len(numbers), 1), len(numbers))] = True
        is_drawn[-1] = True  # the baseline is always there
        yield np.asarray(is_drawn[positions].all(1))
