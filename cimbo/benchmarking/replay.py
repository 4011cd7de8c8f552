"""A recorded study as a problem that costs nothing: predictors fitted to its evaluations stand in for the real thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cimbo.benchmarking.runner import Measure
from cimbo.errors import BadInput
from cimbo.optimizer import surrogates
from cimbo.optimizer.surrogates import AnalyticFunction, Inputs, SurrogateFactory, View
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
    known = []
    for r in records:
        if r.status == "done" and all(m in r.metrics for m in needed):
            known.append(r)
    if len(known) < LEAST_RECORDS:
        raise BadInput(
            "replay",
            f"{len(known)} evaluations are too few",
            f"record {LEAST_RECORDS}, or evaluate for real",
        )
    factory = SurrogateFactory(problem.space, "xgboost", views, exact)
    rows = problem.space.rows([r.params for r in known])
    fitted = surrogates.fit(problem, rows, [r.metrics for r in known], factory, seed=0)

    def measure(designs: list[Params]) -> list[Mapping[str, float]]:
        """Predict or compute the metrics of designs.

        Args:
            designs: Designs of the problem's space.

        Returns:
            The metrics of each, in natural units.
        """
        inputs = Inputs(problem.space, problem.space.rows(designs))
        values = {m: s.mean_and_std(inputs)[0] for m, s in fitted.items()}
        natural = {m: np.exp(v) if fitted[m].log else v for m, v in values.items()}
        found: list[Mapping[str, float]] = []
        for i in range(len(designs)):
            found.append({m: float(v[i]) for m, v in natural.items()})
        return found

    return measure
