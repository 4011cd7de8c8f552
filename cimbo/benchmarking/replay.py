"""A recorded study as a problem that costs nothing: predictors fitted to its evaluations stand in for the real thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cimbo.benchmarking.runner import Measure
from cimbo.errors import BadInput
from cimbo.optimizer import surrogates
from cimbo.optimizer.surrogates import (
    AnalyticFunction,
    Inputs,
    Surrogate,
    SurrogateFactory,
    View,
)
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params
from cimbo.storage import Record

LEAST_RECORDS = 30


def replay(
    problem: Problem,
    records: Sequence[Record],
    views: Mapping[str, View],
    exact: Mapping[str, AnalyticFunction],
) -> Measure:
    """Fit predictors to recorded evaluations, and let them stand in for the real thing.

    The predictors are boosted trees, another kind than what cimbo's search prefers, so that it is
    not replayed to itself.

    Args:
        problem: Objectives and constraints, whose metrics are wanted.
        records: The evaluations; those that failed or lack a metric are left out.
        views: Metric to what it depends on; a metric without one depends on every gene.
        exact: Metric to the function that computes it; such a metric is not predicted.

    Returns:
        From designs to their metrics, as predicted or computed.

    Raises:
        BadInput: For fewer than 30 successful evaluations.
    """
    needed = surrogates.targets(problem)
    known = [record for record in records if _has_all(record, needed)]
    if len(known) < LEAST_RECORDS:
        todo = f"record {LEAST_RECORDS}, or evaluate for real"
        raise BadInput("replay", f"{len(known)} evaluations are too few", todo)
    factory = SurrogateFactory(problem.space, "xgboost", views, exact)
    rows = problem.space.rows([record.params for record in known])
    metrics = [record.metrics for record in known]
    fitted = surrogates.fit(problem, rows, metrics, factory, seed=0)

    def measure(designs: list[Params]) -> list[Mapping[str, float]]:
        """Predict or compute the metrics of designs.

        Args:
            designs: Designs of the problem's space.

        Returns:
            The metrics of each, in natural units.
        """
        inputs = Inputs(problem.space, problem.space.rows(designs))
        natural = {metric: _natural(each, inputs) for metric, each in fitted.items()}
        found: list[Mapping[str, float]] = []
        for i in range(len(designs)):
            found.append({metric: float(values[i]) for metric, values in natural.items()})
        return found

    return measure


def _has_all(record: Record, metrics: Sequence[str]) -> bool:
    """Whether an evaluation succeeded and measured all of some metrics."""
    return record.status == "done" and all(metric in record.metrics for metric in metrics)


def _natural(surrogate: Surrogate, inputs: Inputs) -> NDArray[np.float64]:
    """(n,) what is predicted of designs, in natural units."""
    mean, _ = surrogate.mean_and_std(inputs)
    if surrogate.log:
        return np.exp(mean)
    return mean
