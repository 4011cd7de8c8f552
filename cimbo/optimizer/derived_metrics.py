"""Derived metrics in the choice of candidates: computed where all that they are made of can be computed.

What was measured (Kendall tau on 250 designs of fmnist-vit and its chips after 30 and 80 evaluations, four metrics, two seeds)
is in ``docs/design/proposals.md``: a surrogate of the expression and the expression of surrogates are as good as each other
where both see the physics of costs, and what counts is that they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer.surrogates import AnalyticFunction, View, of_rows
from cimbo.problem.derived import DerivedMetrics
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params, Rows, SearchSpace

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ComputedExpression:
    """A derived metric whose expression holds only metrics that are computed, and genes.

    Attributes:
        derived: The study's derived metrics.
        metric: The name of this one.
        parts: The metrics in its expression, as functions of designs.
        space: The space of the designs.
    """

    derived: DerivedMetrics
    metric: str
    parts: Mapping[str, AnalyticFunction]
    space: SearchSpace

    def __call__(self, designs: list[Params]) -> Array:
        """(n,) the metric of n designs."""
        return self.of_rows(self.space, self.space.rows(designs))

    def of_rows(self, space: SearchSpace, rows: Rows) -> Array:
        """Compute the metric of designs that are given as rows.

        Args:
            space: The space of the rows.
            rows: Canonical rows, (n, d).

        Returns:
            The metric in its natural unit, (n,).
        """
        if not len(rows):
            return np.zeros(0)
        genes = space.encode(rows)
        values: dict[str, Array] = {}
        for name in self.derived.parts(self.metric):
            if name in self.parts:
                values[name] = np.asarray(of_rows(self.parts[name], space, rows), float)
            else:
                values[name] = genes[:, space.column[name]]
        return np.asarray(self.derived.of_parts(self.metric, values), float)


def with_computed(
    problem: Problem, analytic: Mapping[str, AnalyticFunction]
) -> dict[str, AnalyticFunction]:
    """Add the derived metrics that can be computed to the analytic ones.

    These are the ones whose expressions hold nothing but analytic metrics and ordered genes.

    Args:
        problem: What the study searches.
        analytic: Metrics that are computed, by name.

    Returns:
        ``analytic`` and such metrics, by name, as functions of designs.
    """
    functions = dict(analytic)
    derived = problem.derived
    numeric = {choice.name for choice in problem.space.choices if choice.ordered}
    for metric in problem.targets:
        if metric in functions or metric not in derived.expressions:
            continue
        parts = derived.parts(metric)
        if all(part in analytic or part in numeric for part in parts):
            computed = {part: analytic[part] for part in parts if part in analytic}
            functions[metric] = ComputedExpression(derived, metric, computed, problem.space)
    return functions


def with_views_of_parts(
    problem: Problem,
    views: Mapping[str, View],
) -> dict[str, View]:
    """Add views of derived metrics that have none of their own.

    A derived metric gets the view of the first metric in its expression that has features and sees
    every gene: these features help to predict the derived metric, too.

    Args:
        problem: What the study searches.
        views: What metrics depend on, by name.

    Returns:
        ``views`` and those of derived metrics with such a part, by name.
    """
    all_views = dict(views)
    for metric in problem.targets:
        if metric in all_views or metric not in problem.derived.expressions:
            continue
        for part in problem.derived.parts(metric):
            view = views.get(part, View())
            if view.features is not None and view.genes is None:
                all_views[metric] = replace(view)
                break
    return all_views
