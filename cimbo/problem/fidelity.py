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
from cimbo.problem.pareto import hypervolume
from cimbo.problem.scalars import finite

DEVIATION_SUFFIX = "_std"
# A measurement goes on while the metric at its mean and half a deviation would add this share of the hypervolume:
# docs/design/fidelities.md says what other choices gave.
OPTIMISM_DEVIATIONS = 0.5
LEAST_GAIN = 5e-4
# Surrogates' stated deviations hold what they say among designs already met; the search leaves those.
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

    def estimate(self, key: str, metric: str, measured: float, std: float) -> tuple[float, float]:
        """Combine a measurement with what was predicted.

        Args:
            key: Of the design.
            metric: Which of its metrics.
            measured: At less than full fidelity.
            std: Standard deviation of ``measured`` around the full measurement.

        Returns:
            Mean and standard deviation of the full measurement.
        """
        prior = self.predicted.get(key, {}).get(metric)
        if prior is None or std <= 0 or prior[1] <= 0:
            return measured, std
        prior_weight = (PREDICTION_WIDENING * prior[1]) ** -2
        weight = std**-2
        total = prior_weight + weight
        return (prior_weight * prior[0] + weight * measured) / total, total**-0.5

    def is_hopeless(self, key: str, metric: str, std: float, metrics: Metrics) -> bool:
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
        if not all(o.name in hoped for o in self.problem.objectives):
            return False
        if not all(c.holds(hoped) for c in self.problem.constraints):
            return True
        scores, best = self.problem.scores([hoped]), self.problem.scores(self.front)
        reference = self.problem.reference()
        if reference is None:
            return bool((best >= scores).all(1).any())
        before = hypervolume(best, reference)
        after = hypervolume(np.concatenate([best, scores]), reference)
        return after - before <= LEAST_GAIN * before

    def _favourable(self, metric: str) -> float:
        """Deviations towards the better end: up for what is maximised or has a lower bound."""
        for o in self.problem.objectives:
            if o.name == metric:
                return OPTIMISM_DEVIATIONS * o.sign
        below = any(c.metric == metric and c.relation == "<=" for c in self.problem.constraints)
        if below:
            return -OPTIMISM_DEVIATIONS
        return OPTIMISM_DEVIATIONS


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
    share = min(max(right, 1.0 / seen), 1.0 - 1.0 / seen)
    return math.sqrt(share * (1.0 - share) / seen * (total - seen) / (total - 1))


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
        column = np.zeros(len(listed))
        for i, measured in enumerate(listed):
            stated = finite((measured or {}).get(name + DEVIATION_SUFFIX))
            column[i] = max(stated or 0.0, 0.0)
        if column.any():
            found[name] = column
    return found
