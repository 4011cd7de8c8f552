"""The surrogates as the search uses them: scores to be maximised, violations to be avoided, in modelled units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer import evolution
from cimbo.optimizer.failures import FailureModel
from cimbo.optimizer.modelled_units import in_modelled_units
from cimbo.optimizer.surrogates import AnalyticMetric, Inputs, Surrogate
from cimbo.problem.objectives import (
    Candidate,
    Constraint,
    Objective,
    Problem,
    candidate_of_row,
)
from cimbo.problem.pareto import non_dominated
from cimbo.problem.space import Rows

Array = NDArray[np.float64]
# By which share of the way the reference moves towards the point near which the user wants the
# front: less than 1, so that the front around that point is still above the reference.
ABOUT_SHARE = 0.6
LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class ScoreModel:
    """The surrogates of all metrics, as scores to be maximised and violations to be avoided.

    Attributes:
        problem: Space, objectives and constraints.
        fitted: Metric to surrogate.
        rows: (n, d) canonical rows of the evaluated designs.
        measured: What each of them measured, in natural units.
        about: Objective to value, of the point near which the front is wanted; empty for the whole front.
        failures: The chance that a design's evaluation succeeds; None where none has failed.
    """

    problem: Problem
    fitted: Mapping[str, Surrogate]
    rows: Rows
    measured: Sequence[Mapping[str, float]]
    about: Mapping[str, float] = field(default_factory=dict)
    failures: FailureModel | None = None

    def observed(self) -> tuple[Array, Array]:
        """Gather what was measured, as the search sees it.

        Returns:
            Scores (n, m) in modelled units, to be maximised, and violations (n, c), at most 0 where
            a constraint is kept.
        """
        scores = [o.sign * self._modelled(o.name) for o in self.problem.objectives]
        violations = np.zeros((len(self.rows), len(self.problem.constraints)))
        for column, constraint in zip(violations.T, self.problem.constraints, strict=True):
            column[:] = self._violation(constraint, self._modelled(constraint.metric))
        return np.stack(scores, 1), violations

    def _modelled(self, metric: str) -> Array:
        """(n,) what the evaluated designs measured of a metric, in modelled units."""
        values = np.array([measured[metric] for measured in self.measured], float)
        return in_modelled_units(self.problem, metric, values, log=self.fitted[metric].log)

    @cached_property
    def _spreads(self) -> dict[str, float]:
        """Standard deviation of what was measured of each constrained metric, in modelled units; 1 where there is none."""
        names = [constraint.metric for constraint in self.problem.constraints]
        return {name: float(self._modelled(name).std()) or 1.0 for name in names}

    def _violation(self, constraint: Constraint, values: Array) -> Array:
        """How far values of a metric, in modelled units, break a constraint; at most 0 where it is kept.

        Args:
            constraint: The constraint.
            values: (...) values of its metric, in modelled units.

        Returns:
            (...) violations in units of the metric's spread, so that those of several can be added.
        """
        bound = constraint.bound
        if self.fitted[constraint.metric].log:
            bound = math.log(bound) if bound > 0 else -math.inf
        excess = values - bound
        if constraint.relation != "<=":  # ">="
            excess = -1.0 * excess
        return np.asarray(excess / self._spreads[constraint.metric])

    def score(self, beta: float) -> evolution.Score:
        """Build the score that the search for candidates maximises.

        Objectives count at mean + ``beta`` standard deviations, constraints at the mean. What lies
        below the reference adds nothing to the hypervolume: it counts as a violation, so that the
        search spends its population on the part of the front that matters.

        Args:
            beta: Standard deviations above the mean, from 0.

        Returns:
            A function of canonical rows (n, d) that gives scores (n, m) in modelled units and
            violations (n,). Rows that break a constraint have scores of 0.
        """
        shortfall = self.shortfall()

        def score(rows: Rows) -> tuple[Array, Array]:
            """Score rows (n, d): scores (n, m) and violations (n,)."""
            scores = np.zeros((len(rows), len(self.problem.objectives)))
            violation = self._expected_violation(rows)
            # The objectives of the other designs are not needed, and computing them
            # may need a simulator.
            kept = violation <= 0
            if kept.any():
                scores[kept] = self._upper_bound(Inputs(self.problem.space, rows[kept]), beta)
                violation[kept] = shortfall(scores[kept])
            return scores, violation

        return score

    def _expected_violation(self, rows: Rows) -> Array:
        """(n,) total violation of rows (n, d): of every constraint at its mean, and of a likely failure; 0 where none."""
        inputs = Inputs(self.problem.space, rows)
        total = np.zeros(len(rows))
        for constraint in self.problem.constraints:
            mean = self.fitted[constraint.metric].mean(inputs)
            total += np.maximum(self._violation(constraint, mean), 0)
        if self.failures is not None:
            total += self.failures.violation(rows)
        return total

    def best(self, n: int) -> NDArray[np.intp]:
        """Choose the best evaluated designs.

        Those that keep the constraints and are above the reference come first.

        Args:
            n: Number of designs wanted.

        Returns:
            Their indices in ``rows``, the best first; fewer than ``n`` where there are no more.
        """
        scores, violations = self.observed()
        violation = np.maximum(violations, 0).sum(1)
        return evolution.survivors(scores, violation + self.shortfall()(scores), n)

    def _upper_bound(self, inputs: Inputs, beta: float) -> Array:
        """(n, m) mean plus ``beta`` standard deviations of each objective's score, to be maximised."""
        columns = []
        for objective in self.problem.objectives:
            surrogate = self.fitted[objective.name]
            if beta:
                mean, deviation = surrogate.mean_and_std(inputs)
                columns.append(objective.sign * mean + beta * deviation)
            else:
                columns.append(objective.sign * surrogate.mean(inputs))
        return np.stack(columns, 1)

    def shortfall(self) -> Callable[[Array], Array]:
        """Build the function that measures how far scores lie below the reference.

        Returns:
            A function from scores (n, m) to shortfalls (n,): the sum over objectives of what is
            missing, each in units of the observed standard deviation.
        """
        observed, _ = self.observed()
        unit = np.maximum(observed.std(0), LEAST_SPREAD)
        reference = self.reference()

        def shortfall(scores: Array) -> Array:
            """Sum how far scores (n, m) lie below the reference."""
            missing = np.maximum(reference - scores, 0)
            return np.asarray((missing / unit).sum(1))

        return shortfall

    def draw(self, rows: Rows, n: int, seed: int) -> tuple[Array, Array]:
        """Draw joint samples of the surrogates.

        Args:
            rows: Canonical rows of the designs, (k, d).
            n: Number of samples.
            seed: Seed of the first metric; the second one has ``seed + 1``, and so on.

        Returns:
            Scores (n, k, m) in modelled units, to be maximised, and violations (n, k, c), at most 0
            where a constraint is kept.
        """
        inputs = Inputs(self.problem.space, rows)
        samples = {}
        for i, (name, surrogate) in enumerate(self.fitted.items()):
            samples[name] = surrogate.samples(inputs, n, seed + i)
        scores = self.problem.scores_of(samples)
        violations = np.zeros((*scores.shape[:2], len(self.problem.constraints)))
        for i, constraint in enumerate(self.problem.constraints):
            violations[..., i] = self._violation(constraint, samples[constraint.metric])
        return scores, violations

    def reference(self) -> Array:
        """Choose the reference point.

        It is the study's in each objective that has one, else just below the observed front. Where the
        front is wanted near a point, it is then moved towards that point.

        Returns:
            Scores in modelled units, (m,).
        """
        reference = self._below_observed_front()
        for i, objective in enumerate(self.problem.objectives):
            if objective.reference is not None:
                reference[i] = self._score_of(objective, objective.reference, reference[i])
        return self._towards_wanted(reference)

    def _below_observed_front(self) -> Array:
        """(m,) the worst scores of the observed front less a tenth of its range; of feasible designs if there are any."""
        scores, violations = self.observed()
        feasible = (violations <= 0).all(1)
        if feasible.any():
            scores = scores[feasible]
        front = scores[non_dominated(scores)]
        worst = front.min(0)
        range_ = np.ptp(front, axis=0)
        magnitude = np.maximum(np.abs(worst), 1.0)  # stands in for the range of a single point
        return np.asarray(worst - 0.1 * np.where(range_ > 0, range_, magnitude))

    def _towards_wanted(self, reference: Array) -> Array:
        """(m,) the reference moved by ``ABOUT_SHARE`` of the way to the point near which the front is wanted."""
        moved = reference.copy()
        for i, objective in enumerate(self.problem.objectives):
            if objective.name in self.about:
                wanted = self._score_of(objective, self.about[objective.name], reference[i])
                moved[i] += ABOUT_SHARE * max(wanted - reference[i], 0.0)
        return moved

    def _score_of(
        self,
        objective: Objective,
        value: float,
        otherwise: float,
    ) -> float:
        """A value of an objective as a score in modelled units; ``otherwise`` where it has no logarithm."""
        if not self.fitted[objective.name].log:
            return objective.sign * value
        if value > 0:
            return objective.sign * math.log(value)
        return otherwise

    def allowed(self, rows: Rows) -> NDArray[np.bool_]:
        """Find the designs that keep every constraint which can be computed.

        Args:
            rows: Canonical rows of the designs, (k, d).

        Returns:
            (k,) False where a constraint on an analytic metric is violated; constraints on metrics that
            are predicted do not count, as the prediction may be wrong.
        """
        allowed = np.ones(len(rows), bool)
        inputs = Inputs(self.problem.space, rows)
        for constraint in self.problem.constraints:
            surrogate = self.fitted[constraint.metric]
            if isinstance(surrogate, AnalyticMetric):
                allowed &= self._violation(constraint, surrogate.mean(inputs)) <= 0
        return allowed

    def predicted(self, row: Rows, origin: str) -> Candidate:
        """Make a candidate of a design, with what the surrogates expect of it.

        Args:
            row: Canonical row of the design, (d,).
            origin: What chose it, as the log names it.

        Returns:
            The candidate. Mean and standard deviation of each metric are those of a measurement, in
            natural units; of a metric modelled as a logarithm they are the median and the standard
            deviation to first order.
        """
        inputs = Inputs(self.problem.space, row[None])
        predicted = {}
        for name, surrogate in self.fitted.items():
            predicted[name] = _in_natural_units(surrogate, inputs)
        return candidate_of_row(self.problem.space, row, origin=origin, predicted=predicted)


def _in_natural_units(surrogate: Surrogate, inputs: Inputs) -> tuple[float, float]:
    """Predict a measurement of one design, in natural units.

    Args:
        surrogate: The metric's surrogate.
        inputs: The design, one row.

    Returns:
        Mean and standard deviation of the measurement; of a metric modelled as a logarithm the median
        and the standard deviation to first order.
    """
    means, stds = surrogate.mean_and_std(inputs)
    mean = float(means[0])
    std = math.hypot(float(stds[0]), surrogate.noise)
    if surrogate.log:
        median = math.exp(mean)
        return median, median * std
    return mean, std
