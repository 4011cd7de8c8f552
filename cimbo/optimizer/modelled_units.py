"""The units in which metrics are modelled, and which observations decide that.

Costs that are positive are modelled as their logarithm, everything else in its natural unit: latency spans orders
of magnitude, and both the predictors and the hypervolume that is improved are better behaved on its logarithm.
Outliers, and values of designs that collapse, are drawn in: moved nearer to the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.objectives import Problem

Array = NDArray[np.float64]
# A metric to be maximised is modelled as its logarithm where its largest value is more than so many times the smallest.
LOGARITHMIC_RANGE = 30
# Values below this share of the median are 0 but for rounding; their logarithms would outweigh all others.
ROUNDING_SHARE = 1e-9
# Values further from the median, in median absolute deviations, are not modelled: they are no
# measurements of the same thing.
OUTLIER_DEVIATIONS = 1e3
# Values that are worse than the median by more median absolute deviations than this are drawn in. They
# say that a design failed; how badly does not matter.
COLLAPSE_DEVIATIONS = 5.0
# Deviations below this share of the values are rounding: values drawn in on such a scale would meet the edge.
LEAST_DEVIATION = 1e-9
# The kind of a surrogate, and how far values are drawn in, are decided anew once there are so many times more observations.
RESELECTION_GROWTH = 1.5
# Hyper-parameters are fitted anew once there are so many times more observations.
REFIT_GROWTH = 1.1


def logarithmic(y: Array, goal: str | None) -> bool:
    """Decide whether measurements are modelled as logarithms.

    They are where all are positive, and either they are not to be maximised or the largest is more
    than 30 times the smallest. A value that is 0 but for rounding counts as 0.

    Args:
        y: Measurements in their natural unit, (n,).
        goal: "min" or "max"; None where the metric is no objective.

    Returns:
        Whether logarithms are taken.
    """
    if not (y > ROUNDING_SHARE * abs(np.median(y))).all():
        return False
    return bool(goal != "max" or y.max() > LOGARITHMIC_RANGE * y.min())


def modelled(values: Array, *, log: bool) -> Array:
    """Bring a metric into modelled units, and clip outliers.

    A value is clipped at OUTLIER_DEVIATIONS median absolute deviations from the median: an evaluator's
    -1e9 for "it went wrong" would make all differences between the other values vanish.

    Args:
        values: The metric in its natural unit, (n,); above 0 where ``log`` is set.
        log: Whether modelled units are logarithms.

    Returns:
        Values in modelled units, (n,).
    """
    if log:
        values = np.log(values)
    median = np.median(values)
    deviation = float(np.median(np.abs(values - median)))
    allowed = OUTLIER_DEVIATIONS * deviation
    if allowed > 0:  # 0 where most values are equal: that says nothing of outliers
        return np.clip(values, median - allowed, median + allowed)
    return values


@dataclass(frozen=True)
class Compression:
    """Draws in values that are far worse than the others, as those of designs that collapse.

    An accuracy of 10 % among others around 90 % makes a Gaussian process believe in noise of some
    points and in slopes that are not there, just where differences of half a point decide. Values
    worse than ``edge`` are moved: a distance x beyond it, in units of ``scale``, becomes log(1 + x),
    so that their order stays.

    Attributes:
        sign: +1 where the metric is maximised, -1 where it is minimised.
        edge: ``sign`` times the value from which on values are drawn in.
        scale: Distance that counts as one, in the metric's unit, above 0.
    """

    sign: float
    edge: float
    scale: float

    @classmethod
    def of(
        cls,
        values: Array,
        goal: str | None,
        limits: Sequence[float] = (),
    ) -> Compression:
        """Find the edge for a metric.

        Args:
            values: Measurements in natural units, (n,).
            goal: "max" or "min"; None where neither is wanted, and nothing is drawn in.
            limits: Bounds and reference of the metric: the edge is no better than any of them, so
                that designs stay on their side of each.

        Returns:
            The compression; its edge is COLLAPSE_DEVIATIONS median absolute deviations from the
            median, or infinitely bad where most values are equal.
        """
        sign = -1.0 if goal == "min" else 1.0
        scores = sign * values
        median = float(np.median(scores))
        scale = float(np.median(np.abs(scores - median)))  # median absolute deviation
        if goal is None or scale <= LEAST_DEVIATION * float(np.abs(values).max()):
            return cls(sign, -math.inf, 1.0)
        edge = median - COLLAPSE_DEVIATIONS * scale
        return cls(sign, min([edge, *(sign * limit for limit in limits)]), scale)

    def __call__(self, values: Array) -> Array:
        """Move values that are worse than the edge towards it.

        Args:
            values: Values in natural units, (n,).

        Returns:
            (n,) the values; those better than the edge are unchanged.
        """
        beyond = np.maximum(self.edge - self.sign * values, 0.0)  # by how much worse than the edge
        return values + self.sign * (beyond - self.scale * np.log1p(beyond / self.scale))


def in_modelled_units(problem: Problem, metric: str, y: Array, *, log: bool) -> Array:
    """Bring measurements of a target into modelled units, bad values drawn in.

    How far values are drawn in is decided by the first observations alone, and anew once there are
    ``RESELECTION_GROWTH`` times as many. Between, modelled values of old observations stay as they
    are, so that fits to them can be looked up.

    Args:
        problem: What the study searches.
        metric: One of its targets.
        y: Its measurements in natural units, in the order in which they were made, (n,).
        log: Whether modelled units are logarithms, in which nothing is drawn in.

    Returns:
        Values in modelled units, (n,).
    """
    if log:
        return modelled(y, log=True)
    first = refit_size(len(y), RESELECTION_GROWTH)
    goal = wanted_goals(problem).get(metric)
    compression = Compression.of(y[:first], goal, _limits(problem, metric))
    return modelled(compression(y), log=False)


def _limits(problem: Problem, metric: str) -> list[float]:
    """Values of a metric that designs are compared with: bounds of its constraints, and its reference."""
    limits = [c.bound for c in problem.constraints if c.metric == metric]
    for objective in problem.objectives:
        if objective.name == metric and objective.reference is not None:
            limits.append(objective.reference)
    return limits


def wanted_goals(problem: Problem) -> dict[str, str]:
    """Tell whether each target is to be maximised or minimised.

    Args:
        problem: What the study searches.

    Returns:
        "max" or "min" by target: as an objective says, else as a constraint bounds it.
    """
    goals = {}
    for constraint in problem.constraints:
        goals[constraint.metric] = constraint.goal
    for objective in problem.objectives:
        goals[objective.name] = objective.goal
    return goals


def refit_size(n: int, growth: float) -> int:
    """Find the number of first observations that hyper-parameters are fitted to.

    It stays the same while observations are added, until there are ``growth`` times as many. Sizes are
    5, 5 ``growth``, 5 ``growth``^2, ..., each rounded up before the next is formed.

    Args:
        n: Observations there are.
        growth: Factor from one size to the next, above 1.

    Returns:
        The largest such size that ``n`` reaches; ``n`` itself below 5.
    """
    size = 5
    while (next_size := math.ceil(size * growth)) <= n:
        size = next_size
    return min(size, n)
