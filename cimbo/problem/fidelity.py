"""Measurements at less than full fidelity, and when one is worth continuing.

An evaluator that measured a metric on a part of its images, of its dies or of its time says so beside it:
``accuracy_fidelity`` is the share of the full measurement (its cost), ``accuracy_std`` the standard deviation of what it
measured around what the full measurement would give. Surrogates learn from such a measurement, with less weight the larger its
deviation. Only measurements at full fidelity can be on the front.
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
# A measurement is continued while the design, with the metric at its mean plus so many deviations,
# would add at least the share LEAST_GAIN to the hypervolume. docs/design/fidelities.md says what other choices gave.
OPTIMISM_DEVIATIONS = 0.5
LEAST_GAIN = 5e-4
# Predicted deviations are multiplied by this. They are right for designs like those already met,
# and too small for others, where the search goes.
PREDICTION_WIDENING = 1.3

__all__ = ["Race", "at_target_fidelity", "deviations"]


@dataclass(frozen=True)
class Race:
    """Decides whether partial measurements of designs are worth continuing, given the front so far.

    Attributes:
        problem: Objectives, references and constraints.
        front: Metrics of the designs on the front, measured at full fidelity.
        predicted: Key of a design to metric to the mean and standard deviation that a surrogate predicted for it.
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
        """Combine a partial measurement with what was predicted, as two normal distributions.

        Args:
            key: The design's key.
            metric: Which of its metrics.
            measured: Its value at less than full fidelity.
            std: Standard deviation of ``measured`` around the full measurement.

        Returns:
            Mean and standard deviation of the full measurement.
        """
        predicted_mean, predicted_std = self.predicted.get(key, {}).get(metric, (0.0, 0.0))
        if std <= 0 or predicted_std <= 0:
            return measured, std
        # The product of two normal densities: means weighted by precision, 1 / variance
        precision_of_prediction = (PREDICTION_WIDENING * predicted_std) ** -2
        precision_of_measured = std**-2
        precision = precision_of_prediction + precision_of_measured
        weighted = precision_of_prediction * predicted_mean + precision_of_measured * measured
        return weighted / precision, precision**-0.5

    def is_hopeless(
        self,
        key: str,
        metric: str,
        std: float,
        metrics: Metrics,
    ) -> bool:
        """Tell whether continuing a measurement is not worth its cost.

        Args:
            key: The design's key.
            metric: What is being measured.
            std: Standard deviation of the partial measurement in ``metrics``.
            metrics: All metrics of the design; the others than ``metric`` count as exact.

        Returns:
            True where the design, with its metric ``OPTIMISM_DEVIATIONS`` better than expected, breaks a constraint or
            adds less than ``LEAST_GAIN`` to the hypervolume; without references, where a design of the front is at least
            as good in every objective. False where an objective is not known yet.
        """
        mean, deviation = self.estimate(key, metric, metrics[metric], std)
        optimistic = {**metrics, metric: mean + self._optimism(metric) * deviation}
        if not all(objective.name in optimistic for objective in self.problem.objectives):
            return False
        if not all(constraint.holds(optimistic) for constraint in self.problem.constraints):
            return True
        return not self._improves_front(optimistic)

    def _improves_front(self, metrics: Metrics) -> bool:
        """Whether a design adds noticeably to the hypervolume; without references, whether nothing is as good."""
        scores = self.problem.scores([metrics])
        front = self.problem.scores(self.front)
        reference = self.problem.reference()
        if reference is None:
            as_good = (front >= scores).all(1)
            return not as_good.any()
        return _adds_hypervolume(front, scores, reference)

    def _optimism(self, metric: str) -> float:
        """How many deviations to add to a metric: positive where it is maximised or has a lower bound, else negative."""
        for objective in self.problem.objectives:
            if objective.name == metric:
                return OPTIMISM_DEVIATIONS * objective.sign
        for constraint in self.problem.constraints:
            if constraint.metric == metric and constraint.relation == "<=":
                return -OPTIMISM_DEVIATIONS
        return OPTIMISM_DEVIATIONS


def _adds_hypervolume(front: Array, scores: Array, reference: Array) -> bool:
    """Whether points (k, m) add more than the share ``LEAST_GAIN`` to the hypervolume of a front (n, m)."""
    before = hypervolume(front, reference)
    after = hypervolume(np.concatenate([front, scores]), reference)
    return after - before > LEAST_GAIN * before


def share_deviation(right: float, seen: int, total: int) -> float:
    """Compute the standard deviation of an accuracy measured on some of all images.

    Args:
        right: Share of the seen images that were classified right, 0 to 1.
        seen: How many images were seen, drawn without replacement.
        total: How many images there are.

    Returns:
        Standard deviation around the share of all images: binomial, with the correction for a finite
        population. A share of 0 or 1 is taken one image away from it, so that it is not certain.
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
    """Gather the standard deviations that evaluators state of their measurements.

    Args:
        metrics: What n designs measured, None where nothing.
        names: Metrics to look for.

    Returns:
        Metric to standard deviations (n,), 0 where none is stated; without metrics of which none is
        stated anywhere.
    """
    of_designs = list(metrics)
    by_metric = {}
    for name in names:
        stated = np.array([_stated_deviation(measured, name) for measured in of_designs])
        if stated.any():
            by_metric[name] = stated
    return by_metric


def _stated_deviation(metrics: Metrics | None, name: str) -> float:
    """The standard deviation that a measurement states of a metric; 0 where it states none."""
    if metrics is None:
        return 0.0
    stated = finite(metrics.get(name + DEVIATION_SUFFIX))
    return max(stated or 0.0, 0.0)
