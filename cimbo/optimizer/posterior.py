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
# The reference moves by this share of the way to the point near which the user wants the front,
# so that a box around the point is left.
ABOUT_SHARE = 0.6
LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class ScoreModel:
    """The surrogates as scores to be maximised and violations to be avoided, with what was measured."""

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
        """(n,) what was measured of a metric, in modelled units."""
        values = np.array([measured[metric] for measured in self.measured], float)
        return in_modelled_units(self.problem, metric, values, log=self.fitted[metric].log)

    @cached_property
    def _spreads(self) -> dict[str, float]:
        """Standard deviation of what was measured of each constrained metric, in modelled units; 1 where there is none."""
        names = [constraint.metric for constraint in self.problem.constraints]
        return {name: float(self._modelled(name).std()) or 1.0 for name in names}

    def _violation(self, constraint: Constraint, values: Array) -> Array:
        """Violation of modelled ``values``, in units of the metric's spread so that several can be added."""
        bound = constraint.bound
        if self.fitted[constraint.metric].log:
            bound = math.log(bound) if bound > 0 else -math.inf
        excess = values - bound
        if constraint.relation != "<=":
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
        """(n,) by how much the means at rows break constraints, and how likely they fail, in all."""
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
        broken = np.maximum(violations, 0).sum(1)
        return evolution.survivors(scores, broken + self.shortfall()(scores), n)

    def _upper_bound(self, inputs: Inputs, beta: float) -> Array:
        """(n, m) mean and ``beta`` deviations of each objective, to be maximised."""
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
        """Build the measure of how far scores lie below the reference.

        Returns:
            A function of scores (n, m) that gives this distance, (n,), summed over objectives in
            units of the observed spread.
        """
        observed, _ = self.observed()
        unit = np.maximum(observed.std(0), LEAST_SPREAD)
        floor = self.reference()

        def shortfall(scores: Array) -> Array:
            """Sum how far scores (n, m) lie below the reference."""
            missing = np.maximum(floor - scores, 0)
            return np.asarray((missing / unit).sum(1))

        return shortfall

    def draw(self, rows: Rows, n: int, seed: int) -> tuple[Array, Array]:
        """Draw joint samples of the surrogates.

        Args:
            rows: Canonical rows of the designs, (k, d).
            n: Number of samples.
            seed: Of the first metric; every other one has the next seed.

        Returns:
            Scores (n, k, m) in modelled units, to be maximised, and violations (n, k, c), at most 0
            where a constraint is kept.
        """
        inputs = Inputs(self.problem.space, rows)
        drawn = {}
        for i, (name, surrogate) in enumerate(self.fitted.items()):
            drawn[name] = surrogate.samples(inputs, n, seed + i)
        scores = self.problem.scores_of(drawn)
        violations = np.zeros((*scores.shape[:2], len(self.problem.constraints)))
        for i, constraint in enumerate(self.problem.constraints):
            violations[..., i] = self._violation(constraint, drawn[constraint.metric])
        return scores, violations

    def reference(self) -> Array:
        """Choose the reference point.

        It is the study's where it has one, else just below the observed front. It is moved towards
        the point that the front is wanted near, where there is one.

        Returns:
            Scores in modelled units, (m,).
        """
        point = self._below_observed_front()
        for i, objective in enumerate(self.problem.objectives):
            if objective.reference is not None:
                point[i] = self._score_of(objective, objective.reference, point[i])
        return self._towards(point)

    def _below_observed_front(self) -> Array:
        """(m,) a tenth of the front's range below its worst scores; the front is of feasible designs if there are any."""
        scores, violations = self.observed()
        feasible = (violations <= 0).all(1)
        if feasible.any():
            scores = scores[feasible]
        front = scores[non_dominated(scores)]
        worst = front.min(0)
        range_ = np.ptp(front, axis=0)
        magnitude = np.maximum(np.abs(worst), 1.0)
        return np.asarray(worst - 0.1 * np.where(range_ > 0, range_, magnitude))

    def _towards(self, reference: Array) -> Array:
        """The reference moved towards the point that the front is wanted near."""
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
        """Sort out designs of which it is certain that they break a constraint.

        Args:
            rows: Canonical rows of the designs, (k, d).

        Returns:
            False where a constraint that can be computed is violated, (k,).
        """
        allowed = np.ones(len(rows), bool)
        inputs = Inputs(self.problem.space, rows)
        for constraint in self.problem.constraints:
            metric = self.fitted[constraint.metric]
            if isinstance(metric, AnalyticMetric):
                allowed &= self._violation(constraint, metric.mean(inputs)) <= 0
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
        predicted = {name: _natural(surrogate, inputs) for name, surrogate in self.fitted.items()}
        return candidate_of_row(self.problem.space, row, origin=origin, predicted=predicted)


def _natural(surrogate: Surrogate, inputs: Inputs) -> tuple[float, float]:
    """Mean and standard deviation of a measurement of one design, in natural units.

    Of a metric modelled as a logarithm they are the median and the standard deviation to first order.

    Returns:
        Mean and standard deviation.
    """
    means, stds = surrogate.mean_and_std(inputs)
    mean = float(means[0])
    std = math.hypot(float(stds[0]), surrogate.noise)
    if surrogate.log:
        median = math.exp(mean)
        return median, median * std
    return mean, std
