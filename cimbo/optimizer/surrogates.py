"""What stands in for metrics while candidates are chosen: how the surrogates of a study are fitted.

All of them answer in *modelled units*: the logarithm for positive costs, the natural unit otherwise
(:mod:`cimbo.optimizer.modelled_units`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.optimizer.expression_surrogate import learned_parts
from cimbo.optimizer.metric_models import (
    AnalyticMetric,
    FittedSurrogate,
    Surrogate,
)
from cimbo.optimizer.modelled_units import (
    REFIT_GROWTH,
    RESELECTION_GROWTH,
    in_modelled_units,
    logarithmic,
    modelled,
    refit_size,
    wanted_goals,
)
from cimbo.optimizer.surrogate_factory import SurrogateFactory, checked_kind
from cimbo.optimizer.views import AnalyticFunction, Features, Inputs, RowsFunction, View, of_rows
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import ranks
from cimbo.problem.space import Rows

__all__ = [
    "AnalyticFunction",
    "AnalyticMetric",
    "Features",
    "FittedSurrogate",
    "Inputs",
    "RowsFunction",
    "Surrogate",
    "SurrogateFactory",
    "View",
    "checked_kind",
    "fit",
    "is_learned_by_parts",
    "of_rows",
    "targets",
    "training_subset",
]

Array = NDArray[np.float64]
MAX_TRAINING_ROWS = 500  # rows that a model is fitted to


def targets(problem: Problem) -> list[str]:
    """List the metrics that need a surrogate.

    Args:
        problem: What the study searches.

    Returns:
        Names of the objectives, then of constrained metrics that are no objective.
    """
    return list(problem.targets)


def fit(
    problem: Problem,
    rows: Rows,
    metrics: Sequence[Mapping[str, float]],
    factory: SurrogateFactory,
    *,
    seed: int,
    noise: Mapping[str, Array] | None = None,
) -> dict[str, Surrogate]:
    """Fit a surrogate for every metric that the problem needs.

    Args:
        problem: What the study searches.
        rows: Canonical rows of the evaluated designs, (n, d).
        metrics: What each of them measured, in natural units.
        factory: What surrogates are made from, apart from the observations.
        seed: Seed of the fits.
        noise: Of metrics whose measurements were repeated, the standard deviations (n,) of what was
            measured.

    Returns:
        Metric to surrogate. An analytic metric is computed, not learned.
    """
    learner = _Learner(
        problem=problem,
        factory=factory,
        inputs=Inputs(problem.space, rows),
        measured=_measured_of_all(metrics),
        scores=problem.scores(metrics),
        noise=noise or {},
        seed=seed,
    )
    fitted: dict[str, Surrogate] = {}
    for metric in targets(problem):
        by_parts = None
        if is_learned_by_parts(problem, factory, metric):
            by_parts = learned_parts(
                metric,
                problem.derived,
                learner.inputs,
                learner.measured,
                learner.learned,
                log=learner.is_logarithmic(metric),
            )
        fitted[metric] = by_parts or learner.learned(metric)
    return fitted


def _measured_of_all(metrics: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Metric to its values (n,), for every metric that all n designs have."""
    names = dict.fromkeys(chain.from_iterable(metrics))
    columns: dict[str, Array] = {}
    for name in names:
        if all(name in measured for measured in metrics):
            columns[name] = np.array([measured[name] for measured in metrics], float)
    return columns


def is_learned_by_parts(
    problem: Problem,
    factory: SurrogateFactory,
    metric: str,
) -> bool:
    """Tell whether surrogates of a metric's parts are fitted instead of one of the metric itself.

    That is so for a derived metric, as energy times latency, unless something is known of it as a whole:
    a function that computes it, features in its view, or an older predictor. With features a surrogate of
    the whole is as good.

    Args:
        problem: What the study searches.
        factory: What surrogates are made from.
        metric: A metric that the search needs.

    Returns:
        True where its parts are learned.
    """
    if metric not in problem.derived.expressions or metric in factory.analytic:
        return False
    return factory.views.get(metric, View()).features is None and metric not in factory.priors


def training_subset(scores: Array) -> NDArray[np.intp]:
    """Choose the rows that a model is fitted to.

    Up to ``MAX_TRAINING_ROWS`` these are all of them. Of more rows that many are chosen, since the time
    of an exact Gaussian process grows with the cube of its rows: two thirds are the best ones, front by
    front, as a search goes on where its best designs are; one third is spread evenly over the others.

    Args:
        scores: Scores of the evaluated designs, to be maximised, (n, m).

    Returns:
        Indices of the rows, rising, at most ``MAX_TRAINING_ROWS``.
    """
    n = len(scores)
    if n <= MAX_TRAINING_ROWS:
        return np.arange(n)
    n_best = 2 * MAX_TRAINING_ROWS // 3
    by_front = np.argsort(ranks(scores, n_best), kind="stable")
    best = by_front[:n_best]
    others = np.setdiff1d(np.arange(n), best)
    evenly_spaced = np.linspace(0, len(others) - 1, MAX_TRAINING_ROWS - n_best).astype(int)
    return np.sort(np.concatenate([best, others[evenly_spaced]]))


@dataclass(frozen=True, eq=False)
class _Learner:
    """Fits the surrogates of all metrics to one set of evaluated designs.

    Attributes:
        problem: What the study searches.
        factory: What surrogates are made from, apart from the observations.
        inputs: The evaluated designs, n rows in the order in which they were measured.
        measured: Metric to what was measured, (n,) in natural units, of metrics that every design has.
        scores: (n, m) scores of the designs, to be maximised, by which training rows are chosen.
        noise: Metric to standard deviations (n,), of metrics whose measurements were repeated.
        seed: Seed of the fits.
    """

    problem: Problem
    factory: SurrogateFactory
    inputs: Inputs
    measured: Mapping[str, Array]
    scores: Array
    noise: Mapping[str, Array]
    seed: int
    _known: dict[str, Surrogate] = field(default_factory=dict)

    def is_logarithmic(self, metric: str) -> bool:
        """Whether a metric is modelled as its logarithm."""
        return logarithmic(self.measured[metric], wanted_goals(self.problem).get(metric))

    def learned(self, metric: str) -> Surrogate:
        """The surrogate of a metric by itself: computed where it is analytic, else fitted. It is made only once."""
        if metric not in self._known:
            if metric in self.factory.analytic:
                compute = self.factory.analytic[metric]
                self._known[metric] = AnalyticMetric(metric, compute, self.is_logarithmic(metric))
            else:
                self._known[metric] = self._fitted(metric)
        return self._known[metric]

    def _fitted(self, metric: str) -> FittedSurrogate:
        """Fit a predictor of a metric.

        Hyper-parameters are fitted to the first observations alone, and anew when a tenth more have come (for the kind: half
        more). They depend on nothing but the log, so that a search that was interrupted finds the same ones again. The
        predictor is then extended by the later observations, which is quick.

        Args:
            metric: The metric.

        Returns:
            The predictor of all observations, and whether it may be trusted.
        """
        data = self._data(metric, self._view(metric))
        n_fitted = refit_size(len(data.y), REFIT_GROWTH)
        # With repeated measurements a new one may change the value of an early design: all are
        # fitted anew.
        if data.noise is not None:
            n_fitted = len(data.y)
        rows = training_subset(self.scores[:n_fitted])
        model = self._model(data, rows, n_fitted)
        spread = float(modelled(data.y[rows], log=data.schema.log).std())
        if n_fitted < len(data.y):
            rows = np.concatenate([rows, np.arange(n_fitted, len(data.y))])
            model = predictors.extend(model, data.table[rows], data.y[rows], seed=self.seed)
        # A predictor whose held-out error is no less than the spread is no better than the mean
        is_trusted = spread == 0 or float(model.metadata["error"]) < spread
        return FittedSurrogate(model, data.view, trusted=is_trusted)

    def _view(self, metric: str) -> View:
        """Choose the view that a metric is learned from: its own or, if that has less error, its plain one.

        Like the kind of a surrogate, it is chosen by the first observations, and anew when half more have come.

        Args:
            metric: The metric.

        Returns:
            The view with the smaller held-out error.
        """
        view = self.factory.views.get(metric, View())
        if view.plain is None:
            return view
        if self._held_out_error(metric, view.plain) < self._held_out_error(metric, view):
            return view.plain
        return view

    def _held_out_error(self, metric: str, view: View) -> float:
        """The held-out error of the best kind with a view on the first observations, in modelled units."""
        data = self._data(metric, view)
        n_first = refit_size(len(data.y), RESELECTION_GROWTH)
        model = self._fit(data, training_subset(self.scores[:n_first]), "auto")
        return float(model.metadata["error"])

    def _data(self, metric: str, view: View) -> _MetricData:
        """Gather what a metric is learned from under a view."""
        log = self.is_logarithmic(metric)
        y = in_modelled_units(self.problem, metric, self.measured[metric], log=log)
        if log:
            y = np.exp(y)  # a predictor takes natural units, and the logarithm itself
        return _MetricData(
            view=view,
            schema=view.schema(self.inputs.space, metric, log=log),
            table=self.inputs.table(view),
            y=y,
            noise=self.noise.get(metric),
        )

    def _model(
        self,
        data: _MetricData,
        rows: NDArray[np.intp],
        n_fitted: int,
    ) -> predictors.Model:
        """Fit a predictor, of the kind that was best when kinds were last compared.

        Args:
            data: What the metric is learned from.
            rows: Numbers of the training rows, chosen from the first ``n_fitted`` observations.
            n_fitted: How many observations count for the hyper-parameters.

        Returns:
            The predictor.
        """
        if self.factory.kind != "auto":
            return self._fit(data, rows, self.factory.kind)
        n_first = refit_size(len(data.y), RESELECTION_GROWTH)
        best = self._fit(data, training_subset(self.scores[:n_first]), "auto")
        if n_first == n_fitted:
            return best
        return self._fit(data, rows, best.kind)

    def _fit(
        self, data: _MetricData, rows: NDArray[np.intp], kind: str | predictors.SurrogateKind
    ) -> predictors.Model:
        """Fit a predictor of one kind, or of the best, to some rows of the data."""
        noise = None
        if data.noise is not None:
            noise = data.noise[rows]
        table, y = data.table[rows], data.y[rows]
        return self.factory.fit(table, y, data.schema, kind, seed=self.seed, noise=noise)


@dataclass(frozen=True, eq=False)
class _MetricData:
    """What one metric is learned from.

    Attributes:
        view: The genes and features that its surrogate sees.
        schema: What the table and the target are.
        table: (n, genes + features) of the evaluated designs.
        y: (n,) measurements in natural units, with outliers and collapsed designs drawn in.
        noise: (n,) standard deviations of the measurements; None where they were not repeated.
    """

    view: View
    schema: predictors.Schema
    table: Array
    y: Array
    noise: Array | None
