"""Which genes move a metric, by exact SHAP values of boosted trees that are fitted to a study's evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.optimizer.modelled_units import logarithmic, modelled
from cimbo.optimizer.surrogates import View
from cimbo.problem.objectives import Objective, Problem
from cimbo.problem.space import SearchSpace
from cimbo.storage import Record

Array = NDArray[np.float64]
LEAST_DESIGNS = 20  # below, trees of several folds say nothing
MOST_DESIGNS = 1000  # that trees are fitted to, evenly over the search
SURROGATE_KIND = "xgboost"


@dataclass(frozen=True)
class GeneImportance:
    """SHAP values of one metric.

    Attributes:
        metric: The metric.
        log: Whether the trees learned its logarithm; values are then of the logarithm.
        names: The d genes.
        levels: (n, d) index of each gene's value in n evaluated designs; -1 where inactive.
        values: (n, d) by how much each gene moves the prediction of each design.
        explained: Share of the metric's variance that the trees predict on designs they were not fitted to: 1 is all, 0 or
            less is nothing.
    """

    metric: str
    log: bool
    names: Sequence[str]
    levels: NDArray[np.intp]
    values: Array
    explained: float

    @property
    def strength(self) -> Array:
        """(d,) mean absolute value of each gene, in modelled units."""
        return np.asarray(np.abs(self.values).mean(axis=0))

    @property
    def order(self) -> NDArray[np.intp]:
        """(d,) indices of the genes, the strongest first."""
        return np.argsort(-self.strength, kind="stable")


def importances(problem: Problem, records: Sequence[Record]) -> list[GeneImportance]:
    """Find the effects of genes on each objective.

    Args:
        problem: Space and objectives.
        records: Evaluations of its designs; failed ones are left out.

    Returns:
        The effects by objective, without those of which too little was measured.
    """
    done = [record for record in records if record.status == "done"]
    found = (importance(problem.space, objective, done) for objective in problem.objectives)
    return list(filter(None, found))


def importance(
    space: SearchSpace, objective: Objective, records: Sequence[Record], *, seed: int = 0
) -> GeneImportance | None:
    """Fit boosted trees to what was measured of a metric, and take their predictions apart by gene.

    Args:
        space: The space of the designs.
        objective: The metric.
        records: Evaluations; those that lack the metric are left out.
        seed: Of the trees.

    Returns:
        SHAP values at the designs that the trees were fitted to, at most MOST_DESIGNS of them, evenly over the search. None
        for fewer than LEAST_DESIGNS, or where all measured the same.
    """
    having = [record for record in records if objective.name in record.metrics]
    measured = np.array([record.metrics[objective.name] for record in having], float)
    if len(having) < LEAST_DESIGNS or np.ptp(measured) == 0:
        return None
    log = logarithmic(measured, objective.goal)
    n_kept = min(len(having), MOST_DESIGNS)
    kept = np.unique(np.linspace(0, len(having) - 1, n_kept).astype(int))
    y = modelled(measured, log=log)[kept]
    if np.ptp(y) == 0:
        return None
    rows = space.rows(having[i].params for i in kept)
    table = space.encode(rows)
    model = _trees(space, objective.name, table, y, log=log, seed=seed)
    return GeneImportance(
        metric=objective.name,
        log=log,
        names=space.names,
        levels=rows.astype(np.intp),
        values=predictors.contributions(model, table),
        explained=1.0 - float(model.metadata["error"]) ** 2 / float(y.var()),
    )


def _trees(
    space: SearchSpace,
    metric: str,
    table: Array,
    y: Array,
    *,
    log: bool,
    seed: int,
) -> predictors.Model:
    """Boosted trees fitted to a metric ``y`` (n,) in modelled units of designs ``table`` (n, d)."""
    schema = View().schema(space, metric, log=log)
    if log:
        y = np.exp(y)
    return predictors.fit(table, y, schema, SURROGATE_KIND, seed=seed)
