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
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.objectives import FIDELITY_SUFFIX, Metrics, Problem, at_target_fidelity
from cimbo.problem.pareto import Array, improvements
from cimbo.problem.scalars import finite
from cimbo.problem.space import Params, canonical_key

DEVIATION_SUFFIX = "_std"
# Predicted deviations are multiplied by this. They are right for designs like those already met,
# and too small for others, where the search goes.
PREDICTION_WIDENING = 1.3
N_OUTCOMES = 64  # values that a full measurement may give, over which a gain is averaged
# Fractions by which the second and further coordinates of evenly spread points move on (Roberts 2018,
# "The unreasonable effectiveness of quasirandom sequences"): powers of the inverse plastic number.
SPREAD_STEP = 0.7548776662466927

__all__ = ["Race", "at_target_fidelity", "deviations"]


@dataclass(frozen=True)
class Race:
    """Decides whether partial measurements of designs are worth continuing, given the front so far.

    What continuing may bring is the hypervolume that the design is expected to add, over all that the full measurement may say.
    It is worth its cost where it brings more for that cost than new designs are expected to.

    Attributes:
        problem: Objectives, references and constraints.
        front: Metrics of the designs on the front, measured at full fidelity.
        predicted: Key of a design to metric to the mean and standard deviation that a surrogate predicted for it.
        gain_elsewhere: The hypervolume that the cost of one full evaluation is expected to add if it is spent on new designs;
            without references, how many designs of the front it is expected to give.
        continued: Keys of designs whose measurement was stopped, and now goes on by one stage. Where this is given, every
            measurement ends after a stage, as it is decided anew after each. None: the evaluator decides by `is_hopeless`.
    """

    problem: Problem
    front: Sequence[Metrics]
    predicted: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    gain_elsewhere: float = 0.0
    continued: frozenset[str] | None = None

    def predicts(self, design: Params, metric: str) -> bool:
        """Tell whether a surrogate predicted a metric of a design."""
        return metric in self.predicted.get(canonical_key(design), {})

    def is_hopeless(
        self,
        design: Params,
        measured: Mapping[str, tuple[float, float]],
        metrics: Metrics,
        remaining_cost: float,
    ) -> bool:
        """Tell whether continuing a measurement is not worth its cost.

        Args:
            design: The design, by gene.
            measured: Metric to its value at less than full fidelity, and to the standard deviation of
                that around the full measurement.
            metrics: The metrics that are known exactly; what it has of ``measured`` does not count.
            remaining_cost: What is left to be spent on this design, as a share of the cost of one full
                evaluation.

        Returns:
            True where the expected gain, divided by ``remaining_cost``, is not above
            ``gain_elsewhere``. False where an objective is neither known nor predicted.
        """
        gain = self.expected_gain(design, measured, metrics)
        return gain is not None and gain <= self.gain_elsewhere * remaining_cost

    def expected_gain(
        self,
        design: Params,
        measured: Mapping[str, tuple[float, float]],
        metrics: Metrics,
    ) -> float | None:
        """Compute what a design is expected to add to the hypervolume, once it is measured in full.

        Args:
            design: The design, by gene.
            measured: As in `is_hopeless`. It is combined with what was predicted of the design.
            metrics: The metrics that are known exactly.

        Returns:
            The mean over what the full measurement may say; outcomes that break a constraint add
            nothing. Without references: the probability that nothing on the front is as good in every
            objective. None where an objective is neither known nor predicted.
        """
        key = canonical_key(design)
        uncertain = {}
        for name, prediction in self.predicted.get(key, {}).items():
            if name not in metrics:
                uncertain[name] = prediction
        for name, (value, std) in measured.items():
            uncertain[name] = self.estimate(key, name, value, std)
        outcomes = []
        for outcome in _outcomes(uncertain):
            outcomes.append(self.problem.completed({**metrics, **outcome}, design))
        if not all(objective.name in outcomes[0] for objective in self.problem.objectives):
            return None
        are_feasible = [self._keeps_constraints(outcome) for outcome in outcomes]
        return float(np.mean(self._gains(outcomes) * are_feasible))

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

    def is_feasible(self, metrics: Metrics) -> bool:
        """Tell whether expected metrics would count for the front.

        Args:
            metrics: The metrics of a design, as they would be measured in full.

        Returns:
            True where every objective is there and no constraint is broken.
        """
        is_complete = all(objective.name in metrics for objective in self.problem.objectives)
        return is_complete and self._keeps_constraints(metrics)

    def _keeps_constraints(self, metrics: Metrics) -> bool:
        """Whether metrics keep every constraint, apart from those on metrics that nothing is known of."""
        for constraint in self.problem.constraints:
            if constraint.metric in metrics and not constraint.holds(metrics):
                return False
        return True

    def _gains(self, outcomes: Sequence[Metrics]) -> Array:
        """(k,) hypervolume that each of some metrics would add; without references 1 where nothing is as good, else 0."""
        scores = self.problem.scores(outcomes)
        front = self.problem.scores(self.front)
        reference = self.problem.reference()
        if reference is None:
            is_as_good = np.all(front[None] >= scores[:, None], axis=2)
            return np.where(np.any(is_as_good, axis=1), 0.0, 1.0)
        return improvements(scores, front, reference)


def _outcomes(uncertain: Mapping[str, tuple[float, float]]) -> list[dict[str, float]]:
    """What full measurements may say: equally likely values of independent normal distributions.

    Args:
        uncertain: Metric to mean and standard deviation.

    Returns:
        Values by metric; one outcome alone where no metric has a deviation.
    """
    means = {name: mean for name, (mean, _) in uncertain.items()}
    names = [name for name, (_, std) in uncertain.items() if std > 0]
    outcomes = []
    for deviations_of_outcome in _normal_points(len(names)):
        outcome = dict(means)
        for name, deviation in zip(names, deviations_of_outcome, strict=True):
            mean, std = uncertain[name]
            outcome[name] = mean + std * float(deviation)
        outcomes.append(outcome)
    return outcomes


@cache
def _normal_points(dimensions: int) -> Array:
    """(k, dimensions) points spread evenly over independent standard normal distributions; one where there are none."""
    if dimensions == 0:
        return np.zeros((1, 0))
    middles = (np.arange(N_OUTCOMES) + 0.5) / N_OUTCOMES
    shares = np.empty((N_OUTCOMES, dimensions))
    shares[:, 0] = middles
    for power in range(1, dimensions):
        shares[:, power] = (0.5 + np.arange(N_OUTCOMES) * SPREAD_STEP**power) % 1.0
    within = np.clip(shares, middles[0], middles[-1])
    return np.array(np.vectorize(NormalDist().inv_cdf)(within), float)


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


def partial_metrics(metrics: Metrics) -> list[str]:
    """Name the metrics that were not measured in full.

    Args:
        metrics: A design's metrics, with the fidelities that its evaluator states.

    Returns:
        Those whose fidelity is below 1.
    """
    names = []
    for name, value in metrics.items():
        if name.endswith(FIDELITY_SUFFIX) and value < 1.0:
            names.append(name.removesuffix(FIDELITY_SUFFIX))
    return names


def believed_in_full(metrics: Metrics) -> dict[str, float]:
    """Take what was measured in part for what a full measurement would give.

    Args:
        metrics: A design's metrics, with the fidelities that its evaluator states.

    Returns:
        The metrics without the fidelities.
    """
    return {k: v for k, v in metrics.items() if not k.endswith(FIDELITY_SUFFIX)}


def remaining_cost(metrics: Metrics) -> float:
    """Compute what is left to be spent on a design, as a share of the cost of one full evaluation.

    Args:
        metrics: Its metrics, with the fidelities that its evaluator states.

    Returns:
        0 for a design that was measured in full.
    """
    fidelities = [metrics[name + FIDELITY_SUFFIX] for name in partial_metrics(metrics)]
    return 1.0 - min(fidelities, default=1.0)


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
