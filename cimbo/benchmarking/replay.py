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
    """What the predictors of ``records`` say of a design; metrics in ``exact`` are computed.

    The predictors are a linear model with boosted trees on what it leaves, of another kind than what cimbo's search
    prefers, so that it is not replayed to itself. Raises BadInput for fewer than 30 successful evaluations.
    """
    needed = surrogates.targets(problem)
    known = [r for r in records if r.status == "done" and all(m in r.metrics for m in needed)]
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
        inputs = Inputs(problem.space, problem.space.rows(designs))
        values = {m: s.mean_and_std(inputs)[0] for m, s in fitted.items()}
        natural = {m: np.exp(v) if fitted[m].log else v for m, v in values.items()}
        return [{m: float(v[i]) for m, v in natural.items()} for i in range(len(designs))]

    return measure
