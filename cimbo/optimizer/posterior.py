"""The surrogates as the search uses them: scores to be maximised, violations to be avoided, in modelled units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer import evolution
from cimbo.optimizer.surrogates import AnalyticMetric, Inputs, Surrogate, compression, modelled
from cimbo.problem.objectives import Candidate, Constraint, Problem, candidate_of_row
from cimbo.problem.pareto import non_dominated
from cimbo.problem.space import Rows

Array = NDArray[np.float64]
# How far of the way to the point that a front is wanted near the reference is moved: a box around the point is left.
ABOUT_SHARE = 0.6


@dataclass(frozen=True)
class ScoreModel:
    """The surrogates as scores to be maximised and violations to be avoided, with what was measured."""

    problem: Problem
    fitted: Mapping[str, Surrogate]
    rows: Rows
    measured: Sequence[Mapping[str, float]]
    about: Mapping[str, float] = field(default_factory=dict)

    def observed(self) -> tuple[Array, Array]:
        """Gather what was measured, as the search sees it.

        Returns:
            Scores (n, m) in modelled units, to be maximised, and violations (n, c), at most 0 where
            a constraint is kept.
        """
        scores = [o.sign * self._modelled(o.name) for o in self.problem.objectives]
        return np.stack(scores, 1), self._stack(
            [self._violation(c, self._modelled(c.metric)) for c in self.problem.constraints]
        )

    def _stack(self, columns: list[Array]) -> Array:
        if columns:
            return np.stack(columns, 1)
        return np.zeros((len(self.rows), 0))

    def _modelled(self, metric: str) -> Array:
        values = np.array([m[metric] for m in self.measured], float)
        if not self.fitted[metric].log:
            values = compression(self.problem, metric, values)(values)
        return modelled(values, log=self.fitted[metric].log)

    def _violation(self, c: Constraint, values: Array) -> Array:
        """Violation of modelled ``values``, in units of the metric's spread so that several can be added."""
        log = self.fitted[c.metric].log
        if log:
            bound = math.log(c.bound) if c.bound > 0 else -math.inf
        else:
            bound = c.bound
        sign = 1.0 if c.relation == "<=" else -1.0
        return sign * (values - bound) / (self._modelled(c.metric).std() or 1.0)

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
            inputs = Inputs(self.problem.space, rows)
            violation, scores = (
                np.zeros(len(rows)),
                np.zeros((len(rows), len(self.problem.objectives))),
            )
            for c in self.problem.constraints:
                violation += np.maximum(self._violation(c, self.fitted[c.metric].mean(inputs)), 0)
            kept = (
                violation <= 0
            )  # nobody asks for the objectives of the others, and a simulator may stand behind them
            if kept.any():
                scores[kept] = self._upper_bound(Inputs(self.problem.space, rows[kept]), beta)
                violation[kept] = shortfall(scores[kept])
            return scores, violation

        return score

    def best(self, n: int) -> NDArray[np.intp]:
        """Choose the best evaluated designs.

        Those that keep the constraints and are above the reference come first.

        Args:
            n: Number of designs wanted.

        Returns:
            Their indices in ``rows``, the best first; fewer than ``n`` where there are no more.
        """
        scores, violations = self.observed()
        return evolution.survivors(
            scores, np.maximum(violations, 0).sum(1) + self.shortfall()(scores), n
        )

    def _upper_bound(self, inputs: Inputs, beta: float) -> Array:
        columns = []
        for o in self.problem.objectives:
            s = self.fitted[o.name]
            if beta:
                mean, deviation = s.mean_and_std(inputs)
            else:
                mean, deviation = s.mean(inputs), np.zeros(len(inputs.rows))
            columns.append(o.sign * mean + beta * deviation)
        return np.stack(columns, 1)

    def shortfall(self) -> Callable[[Array], Array]:
        """Build the measure of how far scores lie below the reference.

        Returns:
            A function of scores (n, m) that gives this distance, (n,), summed over objectives in
            units of the observed spread.
        """
        floor, unit = self.reference(), np.maximum(self.observed()[0].std(0), 1e-12)
        return lambda scores: np.asarray((np.maximum(floor - scores, 0) / unit).sum(1))

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
        for i, (name, s) in enumerate(self.fitted.items()):
            drawn[name] = s.samples(inputs, n, seed + i)
        scores = np.stack([o.sign * drawn[o.name] for o in self.problem.objectives], -1)
        violations = [self._violation(c, drawn[c.metric]) for c in self.problem.constraints]
        return scores, np.stack(violations, -1) if violations else np.zeros((*scores.shape[:2], 0))

    def reference(self) -> Array:
        """Choose the reference point.

        It is the study's where it has one, else just below the observed front. It is moved towards
        the point that the front is wanted near, where there is one.

        Returns:
            Scores in modelled units, (m,).
        """
        scores, violations = self.observed()
        feasible = scores[(violations <= 0).all(1)]
        front = (feasible if len(feasible) else scores)[
            non_dominated(feasible if len(feasible) else scores)
        ]
        span = np.ptp(front, axis=0)
        inferred = front.min(0) - 0.1 * np.where(
            span > 0, span, np.maximum(np.abs(front.min(0)), 1.0)
        )
        given = []
        for i, o in enumerate(self.problem.objectives):
            if o.reference is None:
                given.append(inferred[i])
            else:
                given.append(self._modelled_reference(o.name, o.sign, o.reference, inferred[i]))
        return self._towards(np.array(given))

    def _towards(self, reference: Array) -> Array:
        """The reference moved towards the point that the front is wanted near."""
        moved = reference.copy()
        for i, o in enumerate(self.problem.objectives):
            if o.name in self.about:
                wanted = self._modelled_reference(o.name, o.sign, self.about[o.name], reference[i])
                moved[i] += ABOUT_SHARE * max(wanted - reference[i], 0.0)
        return moved

    def _modelled_reference(
        self, name: str, sign: float, reference: float, inferred: float
    ) -> float:
        if not self.fitted[name].log:
            return sign * reference
        if reference > 0:
            return sign * math.log(reference)
        return inferred

    def allowed(self, rows: Rows) -> NDArray[np.bool_]:
        """Sort out designs of which it is certain that they break a constraint.

        Args:
            rows: Canonical rows of the designs, (k, d).

        Returns:
            False where a constraint that can be computed is violated, (k,).
        """
        allowed = np.ones(len(rows), bool)
        inputs = Inputs(self.problem.space, rows)
        for c in self.problem.constraints:
            s = self.fitted[c.metric]
            if isinstance(s, AnalyticMetric):
                allowed &= self._violation(c, s.mean(inputs)) <= 0
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
        for name, s in self.fitted.items():
            mean, std = (float(v[0]) for v in s.mean_and_std(inputs))
            std = math.hypot(std, s.noise)  # of a measurement, as it will be compared with one
            # Natural units; of a log-normal the median and the standard deviation to first order.
            if s.log:
                predicted[name] = (math.exp(mean), math.exp(mean) * std)
            else:
                predicted[name] = (mean, std)
        return candidate_of_row(self.problem.space, row, origin=origin, predicted=predicted)
