"""Measurements at less than full fidelity, and when one is worth going on with.

An evaluator that measured a metric on a part of its images, of its dies or of its time says so beside it:
``accuracy_fidelity`` is the share of the full measurement (its cost), ``accuracy_std`` the standard deviation of what it
measured around what the full one would. Such a measurement teaches the surrogates, by its deviation less than a full one.
It makes no front: that is for measurements at the target fidelity alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.objectives import Metrics, Problem, at_target_fidelity
from cimbo.problem.pareto import Array, hypervolume
from cimbo.problem.scalars import finite

DEVIATION_SUFFIX = "_std"
# A measurement goes on while a metric of its mean plus so many deviations would add at least the
# share LEAST_GAIN of the hypervolume. docs/design/fidelities.md says what other choices gave.
OPTIMISM_DEVIATIONS = 0.5
LEAST_GAIN = 5e-4
# Predicted deviations are multiplied by this. They are right for designs like those already met,
# and too small for others, where the search goes.
PREDICTION_WIDENING = 1.3

__all__ = ["Race", "at_target_fidelity", "deviations"]


@dataclass(frozen=True)
class Race:
    """What a measurement has to beat to be worth going on with.

    Attributes:
        problem: Objectives, references and constraints.
        front: Metrics of the front at the target fidelity.
        predicted: Key of a design -> metric -> mean and standard deviation, before it was measured.
    """

    problem: Problem
    front: Sequence[Metrics]
    predicted: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    def estimate(
        self,
        key: str,
        metric: str,
        measured: float,
        std: float,
    ) -> tuple[float, float]:
        """Combine a measurement with what was predicted.

        Args:
            key: Of the design.
            metric: Which of its metrics.
            measured: At less than full fidelity.
            std: Standard deviation of ``measured`` around the full measurement.

        Returns:
            Mean and standard deviation of the full measurement.
        """
        prior_mean, prior_std = self.predicted.get(key, {}).get(metric, (0.0, 0.0))
        if std <= 0 or prior_std <= 0:
            return measured, std
        prior_weight = (PREDICTION_WIDENING * prior_std) ** -2
        weight = std**-2
        total = prior_weight + weight
        mean = (prior_weight * prior_mean + weight * measured) / total
        return mean, total**-0.5

    def is_hopeless(
        self,
        key: str,
        metric: str,
        std: float,
        metrics: Metrics,
    ) -> bool:
        """Tell whether measuring on is worth nothing.

        Args:
            key: Of the design.
            metric: What is being measured.
            std: Standard deviation of what stands of it in ``metrics``.
            metrics: Every metric of the design, those known exactly as they are.

        Returns:
            True where the design, at the favourable end of what its metric may be, breaks a constraint or adds next to
            nothing to the hypervolume; without references, where something on the front is at least as good.
        """
        mean, deviation = self.estimate(key, metric, metrics[metric], std)
        hoped = {**metrics, metric: mean + self._favourable(metric) * deviation}
        if not all(objective.name in hoped for objective in self.problem.objectives):
            return False
        if not all(constraint.holds(hoped) for constraint in self.problem.constraints):
            return True
        return not self._adds(hoped)

    def _adds(self, metrics: Metrics) -> bool:
        """Whether a design adds more than next to nothing to the front."""
        scores = self.problem.scores([metrics])
        front = self.problem.scores(self.front)
        reference = self.problem.reference()
        if reference is None:
            as_good = (front >= scores).all(1)
            return not as_good.any()
        return _grows(front, scores, reference)

    def _favourable(self, metric: str) -> float:
        """Deviations towards the better end: up for what is maximised or has a lower bound."""
        for objective in self.problem.objectives:
            if objective.name == metric:
                return OPTIMISM_DEVIATIONS * objective.sign
        for constraint in self.problem.constraints:
            if constraint.metric == metric and constraint.relation == "<=":
                return -OPTIMISM_DEVIATIONS
        return OPTIMISM_DEVIATIONS


def _grows(front: Array, scores: Array, reference: Array) -> bool:
    """Whether points add more than next to nothing to the hypervolume of a front."""
    before = hypervolume(front, reference)
    after = hypervolume(np.concatenate([front, scores]), reference)
    return after - before > LEAST_GAIN * before


def share_deviation(right: float, seen: int, total: int) -> float:
    """Standard deviation of a share measured on a part of all images, drawn without replacement.

    Args:
        right: Share of the seen ones that were right, 0 to 1.
        seen: How many were looked at.
        total: How many there are.

    Returns:
        The binomial deviation with the correction of a finite population; the share is taken one image from 0 and 1.
    """
    if seen >= total:
        return 0.0
    one_image = 1.0 / seen
    share = min(max(right, one_image), 1.0 - one_image)
    binomial = share * (1.0 - share) / seen
    return math.sqrt(binomial * (total - seen) / (total - 1))


def deviations(
    metrics: Iterable[Metrics | None], names: Iterable[str]
) -> dict[str, NDArray[np.float64]]:
    """Standard deviations that measurements state of themselves.

    Args:
        metrics: Of n designs, None where nothing was measured.
        names: Metrics to look for.

    Returns:
        Of each metric of which any measurement states one above 0: (n,), 0 where it states none.
    """
    listed = list(metrics)
    found = {}
    for name in names:
        stated = np.array([_stated_deviation(measured, name) for measured in listed])
        if stated.any():
            found[name] = stated
    return found


def _stated_deviation(metrics: Metrics | None, name: str) -> float:
    """The standard deviation that a measurement states of a metric; 0 where it states none."""
    if metrics is None:
        return 0.0
    stated = finite(metrics.get(name + DEVIATION_SUFFIX))
    return max(stated or 0.0, 0.0)
