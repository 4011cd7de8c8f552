"""What stands in for metrics while candidates are chosen: how the surrogates of a study are fitted.

All of them answer in *modelled units*: the logarithm for positive costs, the natural unit otherwise
(:mod:`cimbo.optimizer.modelled_units`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.errors import BadInput
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
from cimbo.optimizer.views import AnalyticFunction, Features, Inputs, RowsFunction, View, of_rows
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import ranks
from cimbo.problem.space import Rows, SearchSpace

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


@dataclass(frozen=True)
class SurrogateFactory:
    """What surrogates are made from, apart from the observations.

    views: metric -> what it depends on; every gene where it is not named. analytic: metrics that are computed. priors: older
    predictors, used as mean functions. ``kept`` is a memory of fits that are asked for again with the same data, by metric,
    whether the kind was chosen, and number of features; in the order in which they were used last.
    """

    space: SearchSpace
    kind: str | predictors.SurrogateKind = "auto"
    views: Mapping[str, View] = field(default_factory=dict)
    analytic: Mapping[str, AnalyticFunction] = field(default_factory=dict)
    priors: Mapping[str, predictors.Model] = field(default_factory=dict)
    kept: dict[tuple[str, str, int], tuple[bytes, predictors.Model]] = field(default_factory=dict)

    def fit(
        self,
        table: Array,
        y: Array,
        schema: predictors.Schema,
        kind: str | predictors.SurrogateKind,
        *,
        seed: int,
        noise: Array | None = None,
    ) -> predictors.Model:
        """Fit a predictor with the metric's prior as its mean.

        Where the last fit was to the same data, it is looked up instead.

        Args:
            table: Genes and features of the designs, (n, genes + features).
            y: Measurements in their natural unit, (n,).
            schema: What the table and the target are.
            kind: Kind of predictor; "auto" lets the predictors choose one.
            seed: Of the fit.
            noise: Standard deviations of ``y``, (n,); None where measurements were not repeated.

        Returns:
            The predictor.
        """
        columns = [table, y]
        if noise is not None:
            columns.append(noise)
        options = f"{seed} {kind} {schema.log}".encode()
        digest = hashlib.blake2b(np.column_stack(columns).tobytes() + options).digest()
        selects = "auto" if kind == "auto" else "fixed"
        place = (schema.target, selects, len(schema.features))
        if place not in self.kept or self.kept[place][0] != digest:
            prior = self.priors.get(schema.target)
            model = predictors.fit(
                table,
                y,
                schema,
                kind,
                seed=seed,
                mean=prior,
                noise=noise,
            )
            self.kept[place] = (digest, model)
        self.kept[place] = self.kept.pop(place)  # last what was used last
        return self.kept[place][1]


def checked_kind(kind: str | predictors.SurrogateKind) -> str | predictors.SurrogateKind:
    """Check the name of a kind of surrogate, so that nothing is evaluated in vain.

    Args:
        kind: "auto", a name, or a kind itself.

    Returns:
        ``kind`` as it was given.

    Raises:
        BadInput: No surrogate has this name.
    """
    if kind == "auto":
        return kind
    try:
        predictors.find(kind)
    except predictors.PredictorError as error:
        raise BadInput("surrogate", error.wrong, error.remedy) from None
    return kind


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
        seed: Of the fits.
        noise: Of metrics whose measurements were repeated, the standard deviations (n,) of what was
            measured.

    Returns:
        A surrogate by name of the metric; analytic metrics are their own.
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
    """(n,) each metric that was measured of every design."""
    names = dict.fromkeys(chain.from_iterable(metrics))
    found: dict[str, Array] = {}
    for name in names:
        if all(name in measured for measured in metrics):
            found[name] = np.array([measured[name] for measured in metrics], float)
    return found


def is_learned_by_parts(
    problem: Problem,
    factory: SurrogateFactory,
    metric: str,
) -> bool:
    """Tell whether a metric's parts are learned rather than the metric.

    Args:
        problem: What the study searches.
        factory: What surrogates are made from.
        metric: A target.

    Returns:
        Whether it is derived, and neither computed nor known by features of its own or an older
        predictor; with features a surrogate of the whole is as good.
    """
    if metric not in problem.derived.expressions or metric in factory.analytic:
        return False
    return factory.views.get(metric, View()).features is None and metric not in factory.priors


def training_subset(scores: Array) -> NDArray[np.intp]:
    """Choose the rows that a model is fitted to.

    These are all of them up to ``MAX_TRAINING_ROWS``. Beyond, two thirds of so many are the best ones,
    front by front, and one third is spread evenly over the rest: what an exact process costs grows with
    the cube of its rows, and a search goes on where its best designs are.

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
    rest = np.setdiff1d(np.arange(n), best)
    evenly = np.linspace(0, len(rest) - 1, MAX_TRAINING_ROWS - n_best).astype(int)
    return np.sort(np.concatenate([best, rest[evenly]]))


@dataclass(frozen=True, eq=False)
class _Learner:
    """What the surrogates of all metrics are learned from.

    ``measured``: metrics (n,) of every design. ``scores`` (n, m): which of many designs are learned from. ``noise``: standard
    deviations (n,) of repeated measurements.
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
        """A metric fitted by itself, or as it is computed; once."""
        if metric not in self._known:
            if metric in self.factory.analytic:
                compute = self.factory.analytic[metric]
                self._known[metric] = AnalyticMetric(metric, compute, self.is_logarithmic(metric))
            else:
                self._known[metric] = self._fitted(metric)
        return self._known[metric]

    def _fitted(self, metric: str) -> FittedSurrogate:
        """A predictor of a metric.

        Kind and hyper-parameters are functions of the first so many observations, found anew when there are half, or a tenth,
        more: a search that was interrupted finds the same ones again. The other observations are conditioned on.

        Returns:
            The predictor of all observations, and whether it may be trusted.
        """
        data = self._data(metric, self._view(metric))
        n = refit_size(len(data.y), REFIT_GROWTH)
        if data.noise is not None:  # a later measurement of an early design changes what all say
            n = len(data.y)
        rows = training_subset(self.scores[:n])
        model = self._model(data, rows, n)
        spread = float(modelled(data.y[rows], log=data.schema.log).std())
        if n < len(data.y):
            rows = np.concatenate([rows, np.arange(n, len(data.y))])
            model = predictors.extend(model, data.table[rows], data.y[rows], seed=self.seed)
        # In cross-validation it is no better than the mean, so part of each batch is
        # chosen without it.
        is_trusted = spread == 0 or float(model.metadata["error"]) < spread
        return FittedSurrogate(model, data.view, trusted=is_trusted)

    def _view(self, metric: str) -> View:
        """What a metric is learned from: of a view and its plain one the better by held-out error.

        As the kind of a surrogate, it is chosen by the first so many observations and anew when there are half more.

        Returns:
            The view.
        """
        view = self.factory.views.get(metric, View())
        if view.plain is None:
            return view
        if self._held_out_error(metric, view.plain) < self._held_out_error(metric, view):
            return view.plain
        return view

    def _held_out_error(self, metric: str, view: View) -> float:
        """The error of the best kind with a view on the first observations, in modelled units."""
        data = self._data(metric, view)
        first = refit_size(len(data.y), RESELECTION_GROWTH)
        model = self._fit(data, training_subset(self.scores[:first]), "auto")
        return float(model.metadata["error"])

    def _data(self, metric: str, view: View) -> _MetricData:
        log = self.is_logarithmic(metric)
        y = in_modelled_units(self.problem, metric, self.measured[metric], log=log)
        if log:
            y = np.exp(y)
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
        n: int,
    ) -> predictors.Model:
        """A predictor fitted to ``rows``, which are chosen from the first ``n`` observations.

        With "auto" the kind is the one that was best for the first observations, as many as there were when a kind was last
        chosen. Where these are the first ``n``, that predictor is the one that is asked for.

        Returns:
            The predictor.
        """
        if self.factory.kind != "auto":
            return self._fit(data, rows, self.factory.kind)
        first = refit_size(len(data.y), RESELECTION_GROWTH)
        chosen = self._fit(data, training_subset(self.scores[:first]), "auto")
        if first == n:
            return chosen
        return self._fit(data, rows, chosen.kind)

    def _fit(
        self, data: _MetricData, rows: NDArray[np.intp], kind: str | predictors.SurrogateKind
    ) -> predictors.Model:
        noise = None
        if data.noise is not None:
            noise = data.noise[rows]
        table, y = data.table[rows], data.y[rows]
        return self.factory.fit(table, y, data.schema, kind, seed=self.seed, noise=noise)


@dataclass(frozen=True, eq=False)
class _MetricData:
    """What one metric is learned from: its ``table`` (n, genes + features), ``y`` (n,) without outliers, and ``noise`` (n,)."""

    view: View
    schema: predictors.Schema
    table: Array
    y: Array
    noise: Array | None
