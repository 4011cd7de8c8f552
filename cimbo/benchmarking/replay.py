"""A recorded study as a benchmark problem that is quick to evaluate: predictors fitted to its evaluations replace them."""

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
    """Fit predictors to recorded evaluations, which then stand in for real evaluations.

    The predictors are boosted trees, because cimbo's search prefers other models: a search should
    not be tested on a model of its own kind.

    Args:
        problem: Objectives and constraints, whose metrics are wanted.
        records: The evaluations; those that failed or lack a metric are left out.
        views: For each metric the genes and features that it depends on; a metric without one
            depends on every gene.
        exact: For some metrics a function that computes them; these are not predicted.

    Returns:
        A function from designs to their metrics, predicted or computed.

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
        natural = {metric: _natural(model, inputs) for metric, model in fitted.items()}
        metrics_of_designs: list[Mapping[str, float]] = []
        for i in range(len(designs)):
            metrics = {metric: float(values[i]) for metric, values in natural.items()}
            metrics_of_designs.append(metrics)
        return metrics_of_designs

    return measure


def _has_all(record: Record, metrics: Sequence[str]) -> bool:
    """Whether an evaluation succeeded and measured all of some metrics."""
    return record.status == "done" and all(metric in record.metrics for metric in metrics)


def _natural(surrogate: Surrogate, inputs: Inputs) -> NDArray[np.float64]:
    """Predicted means of n designs in natural units, (n,), also where the logarithm is modelled."""
    mean, _ = surrogate.mean_and_std(inputs)
    if surrogate.log:
        return np.exp(mean)
    return mean
