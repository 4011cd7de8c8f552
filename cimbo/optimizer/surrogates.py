"""What stands in for metrics while candidates are chosen: how the surrogates of a study are fitted.

All of them answer in *modelled units*: the logarithm for positive costs, the natural unit otherwise. Latency spans orders of
magnitude, and both the predictors and the hypervolume that is improved are better behaved on its logarithm.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.errors import BadInput
from cimbo.optimizer.expression_surrogate import learned_parts
from cimbo.optimizer.metric_models import (
    AnalyticMetric,
    Compression,
    FittedSurrogate,
    Surrogate,
    logarithmic,
    modelled,
)
from cimbo.optimizer.views import AnalyticFunction, Features, Inputs, RowsFunction, View, of_rows
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import ranks
from cimbo.problem.space import Rows, SearchSpace

__all__ = [
    "REFIT_GROWTH",
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
    "logarithmic",
    "modelled",
    "of_rows",
    "refit_size",
    "targets",
    "training_subset",
]

Array = NDArray[np.float64]
RESELECTION_GROWTH = 1.5  # how much more data makes the kind be chosen anew
REFIT_GROWTH = 1.1  # how much more makes the hyper-parameters be found anew
MAX_TRAINING_ROWS = 500  # rows that a model is fitted to


@dataclass(frozen=True)
class SurrogateFactory:
    """What surrogates are made from, apart from the observations.

    views: metric -> what it depends on; every gene where it is not named. analytic: metrics that are computed. priors: older
    predictors, used as mean functions. ``kept`` is a memory of fits that are asked for again with the same data.
    """

    space: SearchSpace
    kind: str | predictors.SurrogateKind = "auto"
    views: Mapping[str, View] = field(default_factory=dict)
    analytic: Mapping[str, AnalyticFunction] = field(default_factory=dict)
    priors: Mapping[str, predictors.Model] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[bytes, predictors.Model]] = field(default_factory=dict)

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
        known = [] if noise is None else [noise]
        data = hashlib.blake2b(
            np.column_stack([table, y, *known]).tobytes() + f"{seed} {kind} {schema.log}".encode()
        ).digest()
        place = (schema.target, "auto" if kind == "auto" else "fixed")
        if place not in self.kept or self.kept[place][0] != data:
            prior = self.priors.get(schema.target)
            model = predictors.fit(table, y, schema, kind, seed=seed, mean=prior, noise=noise)
            self.kept[place] = (data, model)
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
    known_noise = noise or {}
    inputs = Inputs(problem.space, rows)
    goals = _goals(problem)
    scores = problem.scores(metrics)
    measured: dict[str, Array] = {}
    for metric in dict.fromkeys(name for m in metrics for name in m):
        if all(metric in m for m in metrics):
            measured[metric] = np.array([m[metric] for m in metrics], float)

    @cache
    def learned(metric: str) -> Surrogate:
        """Fit one metric by itself, or take it as it is computed."""
        y = measured[metric]
        log = logarithmic(y, goals.get(metric))
        if metric in factory.analytic:
            return AnalyticMetric(metric, factory.analytic[metric], log)
        if not log:
            y = compression(problem, metric, y)(y)
        noise_of = known_noise.get(metric)
        return _learn(
            inputs, y, factory, metric=metric, log=log, seed=seed, scores=scores, noise=noise_of
        )

    fitted: dict[str, Surrogate] = {}
    for metric in targets(problem):
        by_parts = None
        if is_learned_by_parts(problem, factory, metric):
            log = logarithmic(measured[metric], goals.get(metric))
            by_parts = learned_parts(metric, problem.derived, inputs, measured, learned, log=log)
        fitted[metric] = by_parts or learned(metric)
    return fitted


def compression(problem: Problem, metric: str, y: Array) -> Compression:
    """Find how far a metric's bad values are drawn in before it is modelled.

    Args:
        problem: What the study searches.
        metric: One of its targets.
        y: Its measurements in natural units, in the order in which they were made, (n,).

    Returns:
        The compression. As the kind of a surrogate, it is a function of the first so many
        observations and found anew when there are half more, so that fits can be looked up.
    """
    limits = [c.bound for c in problem.constraints if c.metric == metric]
    for objective in problem.objectives:
        if objective.name == metric and objective.reference is not None:
            limits.append(objective.reference)
    first = refit_size(len(y), RESELECTION_GROWTH)
    return Compression.of(y[:first], _goals(problem).get(metric), limits)


def _goals(problem: Problem) -> dict[str, str]:
    """Which way each target is wanted: as an objective says, else as a constraint bounds it."""
    goals = {}
    for constraint in problem.constraints:
        goals[constraint.metric] = "max" if constraint.relation == ">=" else "min"
    for objective in problem.objectives:
        goals[objective.name] = objective.goal
    return goals


def is_learned_by_parts(problem: Problem, factory: SurrogateFactory, metric: str) -> bool:
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

    All of them up to ``MAX_TRAINING_ROWS``; beyond, the best two thirds by front, the others evenly
    from the rest.

    What an exact process costs grows with the cube of its rows; where a search has got to needs
    more of them than where it came from.

    Args:
        scores: Scores of the evaluated designs, to be maximised, (n, m).

    Returns:
        Indices of the rows, rising, at most ``MAX_TRAINING_ROWS``.
    """
    n = len(scores)
    if n <= MAX_TRAINING_ROWS:
        return np.arange(n)
    best = np.argsort(ranks(scores, 2 * MAX_TRAINING_ROWS // 3), kind="stable")[
        : 2 * MAX_TRAINING_ROWS // 3
    ]
    rest = np.setdiff1d(np.arange(n), best)
    return np.sort(
        np.concatenate(
            [best, rest[np.linspace(0, len(rest) - 1, MAX_TRAINING_ROWS - len(best)).astype(int)]]
        )
    )


def _learn(
    inputs: Inputs,
    y: Array,
    factory: SurrogateFactory,
    *,
    metric: str,
    log: bool,
    seed: int,
    scores: Array,
    noise: Array | None,
) -> FittedSurrogate:
    view = factory.views.get(metric, View())
    schema = view.schema(inputs.space, metric, log=log)
    if log:
        y = np.exp(modelled(y, log=True))
    else:
        y = modelled(y, log=False)

    def fitted(kind: str | predictors.SurrogateKind, rows: NDArray[np.intp]) -> predictors.Model:
        """Fit a predictor of a kind to some of the observations."""
        known = None if noise is None else noise[rows]
        return factory.fit(inputs.table(view)[rows], y[rows], schema, kind, seed=seed, noise=known)

    # Kind and hyper-parameters are functions of the first so many observations, found anew when there are half, or a tenth,
    # more: a search that was interrupted finds the same ones again. The other observations are conditioned on.
    first, n = refit_size(len(y), RESELECTION_GROWTH), refit_size(len(y), REFIT_GROWTH)
    if noise is not None:  # a later measurement of an early design changes what all of them say
        n = len(y)
    rows = training_subset(scores[:n])
    chosen = None
    if factory.kind == "auto":
        chosen = fitted("auto", training_subset(scores[:first]))
    if chosen and first == n:
        model = chosen
    else:
        model = fitted(chosen.kind if chosen else factory.kind, rows)
    spread = float(modelled(y[rows], log=log).std())
    if n < len(y):
        rows = np.concatenate([rows, np.arange(n, len(y))])
        model = predictors.extend(model, inputs.table(view)[rows], y[rows], seed=seed)
    # In cross-validation no better than the mean: it may not steer the search alone.
    return FittedSurrogate(
        model, view, trusted=spread == 0 or float(model.metadata["error"]) < spread
    )


def refit_size(n: int, growth: float) -> int:
    """Find the number of observations that hyper-parameters are fitted to.

    Sizes are 5, 5 ``growth``, 5 ``growth``^2, ..., each rounded up before the next is formed.

    Args:
        n: Observations there are.
        growth: Factor from one size to the next, above 1.

    Returns:
        The largest such size that ``n`` reaches; ``n`` itself below 5.
    """
    reached = 5
    while (following := math.ceil(reached * growth)) <= n:
        reached = following
    return min(reached, n)
